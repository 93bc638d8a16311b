//! `span NAME -- CMD`: a command as a span of the life that we run in. Its exit status is ours.
//!
//! We stay between: signals that are meant for the command are handed on, and the span ends when it does. When we are
//! killed with it, the span stays open in the black box, which is what a crash record wants to know.

use super::error::Error;
use super::note::pair;
use super::output::Output;
use super::said::{self, Datagram};
use crate::blackbox;
use crate::exit_code::ExitCode;
use crate::supervisor::Cause;
use crate::sys::signal::Signals;
use crate::sys::{clock, pidfd, pipe};
use crate::trace;
use clap::Args;
use std::ffi::OsString;
use std::io;
use std::process::Command;

/// Signals that somebody sends us and means the command.
const HANDED_ON: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];
/// Not executable, and not there: what shells say.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// `span`
#[derive(Clone, Debug, Args)]
pub struct Span {
    /// What it is called.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Said of it; may be given again.
    #[arg(long = "attr", value_name = "KEY=VALUE", value_parser = pair)]
    pub attributes: Vec<(String, String)>,
    /// The command.
    #[arg(last = true, value_name = "COMMAND", required = true)]
    pub command: Vec<OsString>,
}

/// Runs the command within a span, and says what its end means for us.
///
/// # Errors
/// Signals cannot be received.
pub fn run(span: &Span, output: &mut Output<'_>) -> Result<u8, Error> {
    let system = |doing| move |source| Error::System { doing, source };
    // Before the command is there: none of them is lost.
    let mut signals = Signals::install(&HANDED_ON).map_err(system("receiving signals"))?;
    let open = Open::begin(span, output);
    let mut command = Command::new(&span.command[0]);
    command.args(&span.command[1..]);
    open.pass_on(&mut command);
    let status = match command.spawn() {
        Ok(child) => follow(child.id(), &mut signals).map_err(system("waiting for the command")),
        Err(error) => {
            output.say(&format!("mainstay: cannot run `{}`: {error}", span.command[0].to_string_lossy()));
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            Ok(Cause::Code(if is_missing { NOT_FOUND } else { NOT_EXECUTABLE }))
        }
    };
    let failed = match &status {
        Ok(Cause::Code(0)) => None,
        Ok(Cause::Code(code)) => Some(format!("exited {code}")),
        Ok(Cause::Signal(signal, _)) => Some(format!("killed by {}", crate::sys::signal::name(*signal))),
        Ok(Cause::Unknown) | Err(_) => Some("nobody saw how it ended".to_owned()),
    };
    open.end(failed, output);
    Ok(match status? {
        Cause::Code(code) => code,
        Cause::Signal(signal, _) => 128u8.wrapping_add(signal as u8),
        Cause::Unknown => ExitCode::System.number(),
    })
}

/// Waits for its end, and hands signals on meanwhile.
fn follow(pid: u32, signals: &mut Signals) -> io::Result<Cause> {
    // Our own child, not reaped yet: the number is its.
    let child = pidfd::open(pid)?.ok_or(io::ErrorKind::NotFound)?;
    loop {
        pipe::readable_one_of(&[&child, signals])?;
        for signal in signals.pending().collect::<Vec<_>>() {
            pidfd::signal(&child, signal)?;
        }
        if let Some((cause, _)) = pidfd::reap(&child)? {
            return Ok(cause);
        }
    }
}

/// A span that is open: in the box, or by telemetry's account, or nowhere.
enum Open {
    InBox(trace::Span),
    ByTelemetry(Told),
    Nowhere,
}

/// What telemetry is told twice.
struct Told {
    name: String,
    attributes: Vec<(String, String)>,
    trace: u128,
    span: u64,
    parent: Option<String>,
    start: u64,
}

impl Open {
    fn begin(span: &Span, output: &mut Output<'_>) -> Open {
        // Of a process that ends with it.
        let name: &'static str = span.name.clone().leak();
        if blackbox::seen().is_some() {
            let open = trace::Span::open(name, |text| {
                span.attributes.iter().for_each(|(key, value)| text.add(key, value.as_str()));
            });
            return Open::InBox(open);
        }
        let parent = trace::current_traceparent();
        let continued = parent.as_deref().and_then(trace::from_traceparent).map(|parent| parent.ids().0);
        let told = Told {
            name: span.name.clone(),
            attributes: span.attributes.clone(),
            trace: continued
                .unwrap_or_else(|| u128::from(trace::new_id()) << 64 | u128::from(trace::new_id())),
            span: trace::new_id(),
            parent,
            start: clock::now().as_nanos(),
        };
        match told.say("begin", None) {
            Ok(()) => Open::ByTelemetry(told),
            Err(error) => {
                output.say(&format!("mainstay: the span is seen by nobody: {}", said::why(&error)));
                Open::Nowhere
            }
        }
    }

    /// The command continues the trace within this span.
    fn pass_on(&self, command: &mut Command) {
        match self {
            Open::InBox(_) => drop(trace::pass_on(command)),
            Open::ByTelemetry(Told { trace, span, .. }) => {
                command.env("TRACEPARENT", format!("00-{trace:032x}-{span:016x}-01"));
            }
            Open::Nowhere => {}
        }
    }

    fn end(self, failed: Option<String>, output: &mut Output<'_>) {
        match self {
            Open::InBox(span) => {
                if let Some(why) = failed {
                    span.fail(why.as_str());
                }
            }
            Open::ByTelemetry(told) => {
                if let Err(error) = told.say("end", failed.as_deref()) {
                    output.say(&format!(
                        "mainstay: nobody has seen the end of the span: {}",
                        said::why(&error)
                    ));
                }
            }
            Open::Nowhere => {}
        }
    }
}

impl Told {
    fn say(&self, state: &str, failed: Option<&str>) -> io::Result<()> {
        let mut datagram = Datagram::of_this_life().ok_or_else(said::nobody)?;
        datagram.line("X_MAINSTAY_SPAN", &self.name);
        datagram.line("X_MAINSTAY_SPAN_STATE", state);
        datagram.line("X_MAINSTAY_SPAN_ID", &format!("{:016x}", self.span));
        datagram.line("X_MAINSTAY_SPAN_START", &self.start.to_string());
        // Of the trace that it continues; else that of a new one, in which it has no parent.
        let own = || format!("00-{:032x}-{:016x}-01", self.trace, 0);
        datagram.line("TRACEPARENT", &self.parent.clone().unwrap_or_else(own));
        for (key, value) in &self.attributes {
            datagram.line("X_MAINSTAY_SPAN_ATTRIBUTE", &format!("{key}={value}"));
        }
        if let Some(why) = failed {
            datagram.line("X_MAINSTAY_SPAN_FAILED", why);
        }
        datagram.send()
    }
}
