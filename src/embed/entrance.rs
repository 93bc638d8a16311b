//! The host's executable as one of mainstay's own processes: the logger, the keeper, a supervisor.
//!
//! Invariant: no process of mainstay's own is started from an executable that has not shown first that it becomes
//! one. In the host itself [`enter`] was called; and the executable, started with [`HELLO`], said the words of this version.

use super::error::Error;
use super::tree::Tree;
use crate::cli::revision;
use crate::exit_code::ExitCode;
use crate::services;
use crate::sys::launch::{Environment, Launch, Program, Request, StartError};
use crate::sys::{clock, inherited, pidfd, process};
use crate::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The subcommand that only says who we are.
const HELLO: &str = "@hello";
/// What it says on descriptor 3: all of mainstay's processes are of one version.
const WORDS: &str = concat!("mainstay ", env!("CARGO_PKG_VERSION"), "\n");
/// An executable that has not said them by then does something else.
const WITHIN: Duration = Duration::from_secs(10);

static ENTERED: AtomicBool = AtomicBool::new(false);

/// The first line of `main` in a program that embeds mainstay.
///
/// mainstay's own processes (the logger, the keeper of the flags, a supervisor as a child) are the host's own executable under
/// another first argument, such as `@logger`. In such a process this becomes it and never returns; in any other it
/// does nothing. Call it before anything else: before threads, arguments, files.
///
/// # Panics
/// Never.
pub fn enter() {
    ENTERED.store(true, Ordering::Relaxed);
    if let Some(code) = own(std::env::args_os().skip(1)) {
        std::process::exit(code.number().into());
    }
}

/// Becomes the one of mainstay's processes that these words (without the program's name) name, and runs it to its end.
/// `None`: they name none.
pub fn own(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    Some(match words.next()?.to_str()? {
        "@keeper" => services::keeper::main(words),
        "@logger" => services::logger::main(words),
        "@registry" => services::registry::main(words),
        "@telemetry" => services::telemetry::main(words),
        revision::SUBCOMMAND => revision::main(words),
        super::child::SUBCOMMAND => super::child::main(),
        HELLO => hello(),
        _ => return None,
    })
}

fn hello() -> ExitCode {
    let said = inherited::take(3).and_then(|pipe| File::from(pipe).write_all(WORDS.as_bytes()));
    if said.is_ok() { ExitCode::Done } else { ExitCode::Usage }
}

/// The program that mainstay's own processes are started from; it has shown that it is one.
pub(super) fn program(tree: &Tree) -> Result<Arc<OwnedFd>, Error> {
    let (program, path) = match &tree.host.program {
        Some(path) => {
            let opened = File::open(path).map_err(|error| Error::Program {
                path: path.clone(),
                message: format!("it cannot be opened: {error}"),
            })?;
            (OwnedFd::from(opened), path.clone())
        }
        None if !ENTERED.load(Ordering::Relaxed) => return Err(Error::NotEntered),
        None => {
            let path =
                std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
            (process::executable().map_err(Error::system("opening this program"))?, path)
        }
    };
    let program = Arc::new(program);
    greet(&program, &path)?;
    Ok(program)
}

/// How a process of mainstay's own is started: its words, and its descriptors from 3 on.
pub(super) fn launch(
    program: &Arc<OwnedFd>,
    words: &[&str],
    descriptors: Vec<Arc<OwnedFd>>,
) -> Result<Launch, StartError> {
    let mut request = Request::new(Program::Open(program.clone()), words.iter().map(Into::into).collect());
    request.environment = Arc::new(Environment::new(std::env::vars_os()));
    // What is typed is meant for the host.
    if let Ok(null) = File::open("/dev/null") {
        request.descriptors.push((0, Arc::new(null.into())));
    }
    request.descriptors.extend((3..).zip(descriptors));
    Launch::new(request)
}

fn greet(program: &Arc<OwnedFd>, path: &Path) -> Result<(), Error> {
    let wrong = |message: String| Error::Program { path: path.to_owned(), message };
    let (mut read, write) = std::io::pipe().map_err(Error::system("making a pipe"))?;
    let write = Arc::new(OwnedFd::from(write));
    let started = launch(program, &["mainstay.hello", HELLO], vec![write.clone()])
        .and_then(|mut launch| launch.start(&[], None))
        .map_err(|error| wrong(error.to_string()))?;
    drop(write);
    let deadline = clock::now() + WITHIN;
    let mut said = Vec::new();
    let in_time = loop {
        let left = Timespec::try_from(deadline.since(clock::now())).unwrap_or_default();
        match poll(&mut [PollFd::new(&read, PollFlags::IN)], Some(&left)) {
            Ok(0) => break false,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(Error::system("waiting for the program")(error.into())),
        }
        let mut piece = [0; 256];
        match read.read(&mut piece) {
            Ok(0) | Err(_) => break true,
            Ok(count) => said.extend_from_slice(&piece[..count]),
        }
        if said.len() > WORDS.len() {
            break true;
        }
    };
    // It has said all it has to say; what it would do now is not wanted.
    let _ = pidfd::signal(&started.pidfd, libc::SIGKILL);
    // Somebody who reaps every child may have been faster.
    let _ = pidfd::wait(&started.pidfd);
    if said == WORDS.as_bytes() {
        return Ok(());
    }
    Err(wrong(match (in_time, said.is_empty()) {
        (false, _) => format!(
            "it did not answer within {} s; is `mainstay::embed::enter()` the first line of its `main`?",
            WITHIN.as_secs()
        ),
        (true, true) => {
            "it did not answer; is `mainstay::embed::enter()` the first line of its `main`?".to_owned()
        }
        (true, false) => format!(
            "it says {:?}, and this library is {:?}",
            String::from_utf8_lossy(&said).trim_end(),
            WORDS.trim_end()
        ),
    }))
}
