//! Where a reader of flags asks when no board can be read and it never saw one (B7): the keeper, then the
//! journal.

use super::client::{self, AskError};
use crate::board::{Answer, Fallback, Known};
use crate::exit_code::ExitCode;
use crate::flags::{Declaration, Truth};
use crate::ipc::flags::{Reply, Request};
use crate::store;
use crate::sys::clock;
use crate::time::Duration;
use std::path::PathBuf;

/// The keeper and the journal of one project.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The runtime directory.
    pub runtime: PathBuf,
    /// The state directory.
    pub state: PathBuf,
}

impl Fallback for Elsewhere {
    fn ask(&self, name: &str, limit: Duration) -> Option<Answer> {
        let request = Request::List { flags: vec![name.to_owned()] };
        match client::ask_once(&client::socket(&self.runtime), &request, clock::now() + limit) {
            Ok(answer) => answer.replies.into_iter().find_map(|reply| match reply {
                Reply::Flag(flag) if flag.declared.name == name => Some(known(flag.truth, flag.declared)),
                _ => None,
            }),
            Err(AskError::Refused(refusal)) => {
                (refusal.code == ExitCode::NotFound.number()).then_some(Answer::Unknown)
            }
            Err(AskError::Call(_) | AskError::Late) => None,
        }
    }

    /// What somebody set, else the default that was declared when a keeper last began.
    fn recall(&self, name: &str) -> Option<Answer> {
        let state = store::read_only(&self.state).ok()?;
        let set = state.get(name).and_then(|entry| Some((entry.truth?, entry)));
        match (set, store::declared::recall(&self.state, name)) {
            (Some((truth, _)), Some(declaration)) => Some(known(truth, declaration)),
            (Some((truth, entry)), None) => Some(Answer::known(truth, entry.salt.clone())),
            (None, declaration) => declaration.map(|d| known(d.default.into(), d)),
        }
    }
}

fn known(truth: Truth, declaration: Declaration) -> Answer {
    let Declaration { salt, allow, deny, unit, .. } = declaration;
    Answer::Known(Box::new(Known { allow, deny, unit, ..Known::new(truth, salt) }))
}
