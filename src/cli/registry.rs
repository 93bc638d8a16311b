//! `mainstay registry …`: names for processes.

use super::duration::brief;
use super::error::Error;
use super::json::{SCHEMA, timestamp};
use super::narrate::one_line;
use super::output::{Output, printable};
use super::table::Table;
use crate::exit_code::ExitCode;
use crate::ipc::client::CallError;
use crate::ipc::control::Refusal;
use crate::ipc::registry::{Entry, Process, Why};
use crate::paths::Project;
use crate::registry::{self, Happened, Names};
use crate::sys::clock;
use crate::time::{Duration, Wall};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeMap;

/// How long the registry may take: it may have to be started first.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// `registry …`
#[derive(Clone, Debug, Subcommand)]
pub enum RegistryCommand {
    /// Give a process a name, until it ends: the process that calls this, or that of --pid.
    Register(Register),
    /// Take a name away; the process goes on.
    Unregister(OneName),
    /// Print the pid of whoever has a name, or with --json all that is known; exit 4 when nobody has.
    Lookup(OneName),
    /// List all names, or those that begin with PREFIX.
    List(Beginning),
    /// Print what there is, and then every name that comes, and goes, with why.
    Watch(Beginning),
}

/// `registry register`
#[derive(Clone, Debug, Args)]
pub struct Register {
    /// Up to 128 bytes of printable ASCII without blanks.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Whom it means; the process that called mainstay when not given.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Something to say of it, such as port=8080; may be given again.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub meta: Vec<(String, String)>,
}

/// `registry lookup`, `unregister`
#[derive(Clone, Debug, Args)]
pub struct OneName {
    /// Which.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `registry list`, `watch`
#[derive(Clone, Debug, Args)]
pub struct Beginning {
    /// Only names that begin so.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Does what was typed, for this project.
///
/// # Errors
/// As [`Error::code`] says.
pub fn run(command: &RegistryCommand, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let names = Names::open_with(&project.runtime, &project.state);
    match command {
        RegistryCommand::Register(register) => self::register(register, &names, output)?,
        RegistryCommand::Unregister(OneName { name }) => {
            let was = names.unregister(name, 0, ANSWER_WITHIN).map_err(failed)?;
            match output.json {
                true => output.object(&Shown::new(&was))?,
                false => output.say(&format!("{name} is free; pid {} had it", was.process.pid)),
            }
        }
        RegistryCommand::Lookup(OneName { name }) => lookup(name, &names, output)?,
        RegistryCommand::List(Beginning { prefix }) => list(prefix, &names, output)?,
        RegistryCommand::Watch(Beginning { prefix }) => watch(prefix, &names, output)?,
    }
    Ok(ExitCode::Done)
}

fn register(register: &Register, names: &Names, output: &mut Output<'_>) -> Result<(), Error> {
    let caller = std::os::unix::process::parent_id();
    let pid = register.pid.unwrap_or(caller);
    let ended = || not_found(format!("there is no process {pid}"), "only a living process can have a name");
    let process = registry::describe(pid).ok_or_else(ended)?;
    if register.pid.is_none() && (pid <= 1 || std::os::unix::process::parent_id() != caller) {
        return Err(Error::Failed {
            message: "the process that called mainstay has ended".to_owned(),
            hint: "say whom the name means: --pid PID".to_owned(),
        });
    }
    let meta: BTreeMap<String, String> = register.meta.iter().cloned().collect();
    let entry = names.register_process(&register.name, process, meta, ANSWER_WITHIN).map_err(failed)?;
    match output.json {
        true => output.object(&Shown::new(&entry)),
        false => {
            output.say(&format!("{} is pid {}", entry.name, entry.process.pid));
            Ok(())
        }
    }
}

fn lookup(name: &str, names: &Names, output: &mut Output<'_>) -> Result<(), Error> {
    let nobody = || {
        let hint = "`mainstay registry list` lists what there is";
        not_found(format!("nobody is registered as `{}`", name.escape_debug()), hint)
    };
    let entry = names.lookup(name).map_err(failed)?.filter(lives).ok_or_else(nobody)?;
    match output.json {
        true => output.object(&Shown::new(&entry)),
        false => output.line(&entry.process.pid.to_string()),
    }
}

/// While the registry itself is just being restarted, a table may name somebody who has ended.
fn lives(entry: &Entry) -> bool {
    matches!(registry::open(entry.process), Ok(Some(_)))
}

fn list(prefix: &str, names: &Names, output: &mut Output<'_>) -> Result<(), Error> {
    let mut entries = names.list(prefix).map_err(failed)?;
    entries.retain(lives);
    if output.json {
        #[derive(Serialize)]
        struct List<'a> {
            schema: u32,
            names: Vec<Inner<'a>>,
        }
        let names = entries.iter().map(Inner::new).collect();
        return output.object(&List { schema: SCHEMA, names });
    }
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["NAME", "PID", "SERVICE", "SINCE", "META"]);
    let now = clock::wall();
    for entry in &entries {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        table.row(vec![
            printable(&entry.name),
            entry.process.pid.to_string(),
            or_dash(printable(&entry.instance)),
            age(entry.since, now),
            or_dash(meta_words(&entry.meta)),
        ]);
    }
    let style = output.style;
    for line in table.lines(|row, _, cell| if row.is_none() { style.dim(cell) } else { cell.to_owned() }) {
        output.line(line.trim_end())?;
    }
    Ok(())
}

fn age(since: Wall, now: Wall) -> String {
    brief(u64::try_from(now.0 - since.0).unwrap_or(0).saturating_mul(1000))
}

fn meta_words(meta: &BTreeMap<String, String>) -> String {
    let words: Vec<String> = meta.iter().map(|(key, value)| format!("{key}={}", one_line(value))).collect();
    words.join(" ")
}

fn watch(prefix: &str, names: &Names, output: &mut Output<'_>) -> Result<(), Error> {
    let mut watch = names.watch(prefix);
    loop {
        // Without a deadline there is always a next one.
        let Some(happened) = watch.next(None).map_err(failed)? else { continue };
        match (output.json, &happened) {
            (true, happened) => output.object(&Line::new(happened))?,
            (false, Happened::Added(entry)) => {
                let of = if entry.instance.is_empty() { "" } else { " " };
                let meta = meta_words(&entry.meta);
                let blank = if meta.is_empty() { "" } else { " " };
                let (name, instance) = (printable(&entry.name), printable(&entry.instance));
                output.line(&format!("+ {name} pid {}{of}{instance}{blank}{meta}", entry.process.pid))?;
            }
            (false, Happened::Gone(entry, why)) => {
                let name = printable(&entry.name);
                output.line(&format!("- {name} pid {}: {}", entry.process.pid, why_words(*why)))?;
            }
            (false, Happened::Here) => {}
        }
        output.flush()?;
    }
}

fn why_words(why: Why) -> &'static str {
    match why {
        Why::Died => "it ended",
        Why::Unregistered => "unregistered",
    }
}

fn not_found(message: String, hint: &str) -> Error {
    Error::Refused(Refusal { code: ExitCode::NotFound.number(), message, hint: hint.to_owned() })
}

/// An error of the library as one of the command line.
fn failed(error: registry::Error) -> Error {
    match error {
        registry::Error::Refused(refusal) => Error::Refused(refusal),
        registry::Error::Unreachable(error) => Error::Call(error),
        registry::Error::Late => Error::Call(CallError::Late),
        registry::Error::NoTree => {
            Error::Failed { message: registry::Error::NoTree.to_string(), hint: String::new() }
        }
    }
}

/// A name in JSON.
#[derive(Serialize)]
struct Inner<'a> {
    name: &'a str,
    pid: u32,
    started: u64,
    inode: u64,
    service: &'a str,
    uid: u32,
    ticket: u64,
    since: String,
    meta: &'a BTreeMap<String, String>,
}

impl Inner<'_> {
    fn new(entry: &Entry) -> Inner<'_> {
        let Process { pid, started, inode } = entry.process;
        Inner {
            name: &entry.name,
            pid,
            started,
            inode,
            service: &entry.instance,
            uid: entry.uid,
            ticket: entry.ticket,
            since: timestamp(entry.since),
            meta: &entry.meta,
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    #[serde(flatten)]
    entry: Inner<'a>,
}

impl Shown<'_> {
    fn new(entry: &Entry) -> Shown<'_> {
        Shown { schema: SCHEMA, entry: Inner::new(entry) }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    happened: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
    #[serde(flatten)]
    entry: Option<Inner<'a>>,
}

impl Line<'_> {
    fn new(happened: &Happened) -> Line<'_> {
        let (word, why, entry) = match happened {
            Happened::Added(entry) => ("added", None, Some(entry)),
            Happened::Gone(entry, why) => ("gone", Some(*why), Some(entry)),
            Happened::Here => ("here", None, None),
        };
        Line { schema: SCHEMA, happened: word, why, entry: entry.map(Inner::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_a_key_and_a_value_in_which_anything_may_stand() {
        assert_eq!(pair("url=http://x/?a=b"), Ok(("url".into(), "http://x/?a=b".into())));
        assert_eq!(pair("empty="), Ok(("empty".into(), String::new())));
        assert!(pair("nothing").is_err());
    }

    #[test]
    fn every_error_has_its_exit_code() {
        let refusal = |code| Refusal { code, message: String::new(), hint: String::new() };
        assert_eq!(failed(registry::Error::Refused(refusal(4))).code(), ExitCode::NotFound);
        assert_eq!(failed(registry::Error::Refused(refusal(1))).code(), ExitCode::Failed);
        assert_eq!(failed(registry::Error::Late).code(), ExitCode::TimedOut);
        let source = std::io::ErrorKind::NotFound.into();
        let unreachable = CallError::Unreachable { socket: "x".into(), source };
        assert_eq!(failed(registry::Error::Unreachable(unreachable)).code(), ExitCode::Unreachable);
    }
}
