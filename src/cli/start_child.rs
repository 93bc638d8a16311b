//! `start-child`: one more child, followed until its first start succeeded or failed. Then nothing of it is kept.

use super::act::{self, Act};
use super::caller::Caller;
use super::error::Error;
use super::output::Output;
use super::select::Snapshot;
use crate::ipc::control::{NewChild, Request, Verb};
use crate::time::Duration;

/// What `start-child` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartChild {
    /// The child.
    pub child: NewChild,
    /// How long to wait; `None`: not at all.
    pub wait: Option<Duration>,
}

/// Does the verb.
pub fn run(start: &StartChild, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let mut child = start.child.clone();
    // Relative words of its command are meant from here; a template knows its own directory.
    let here = std::env::current_dir()
        .map_err(|source| Error::System { doing: "finding the current directory", source })?;
    child.directory = here.to_string_lossy().into_owned();
    let act = Act {
        verb: Verb::Start,
        patterns: vec![child.name.clone()],
        wait: start.wait,
        dry_run: child.dry_run,
        pid: 0,
    };
    act::carry_out(&act, &Request::StartChild(child), &Snapshot::default(), caller, output)
}
