//! Where a reader of flags asks when no board can be read and it never saw one (B7): the keeper, then the
//! journal.

use super::client::{self, AskError};
use super::ground::Truths;
use super::host;
use crate::board::{Answer, Fallback};
use crate::exit_code::ExitCode;
use crate::flags::{Catalog, Tree, Truth, Value};
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
        let until = clock::now() + limit;
        let socket = client::socket(&self.runtime);
        let names = vec![name.to_owned()];
        let flag = client::ask_once(&socket, &Request::List { flags: names.clone() }, until);
        // A migration is no flag, and the keeper says so.
        let answer = match flag {
            Err(AskError::Refused(refusal)) if refusal.code != ExitCode::NotFound.number() => {
                client::ask_once(&socket, &Request::Migrations { migrations: names }, until)
            }
            flag => flag,
        };
        match answer {
            Ok(answer) => answer.replies.into_iter().find_map(|reply| match reply {
                Reply::Flag(flag) if flag.declared.name == name => {
                    Some(known(flag.effective, flag.declared.salt))
                }
                Reply::Migration(migration) if migration.name == name => {
                    Some(known(Value::Stage(migration.stage).into(), String::new()))
                }
                _ => None,
            }),
            Err(AskError::Refused(refusal)) => {
                (refusal.code == ExitCode::NotFound.number()).then_some(Answer::Unknown)
            }
            Err(AskError::Call(_) | AskError::Late) => None,
        }
    }

    /// What somebody set, else what was declared when a keeper last began.
    fn recall(&self, name: &str) -> Option<Answer> {
        let state = store::read_only(&self.state).ok()?;
        let declared = store::declared::recall(&self.state).unwrap_or_default();
        let catalog = Catalog::new(declared.flags, declared.migrations);
        // Which instances there are nobody can tell now.
        let tree = Tree { host: host::id(), ..Tree::default() };
        let truths = Truths { catalog: &catalog, state: &state, tree: &tree };
        if let Some(seen) = truths.effective([name]).remove(name) {
            let salt = catalog.flag(name).map(|flag| flag.salt.clone()).unwrap_or_default();
            return Some(known(seen.truth, salt));
        }
        let entry = state.get(name)?;
        Some(known(entry.truth?, entry.salt.clone()))
    }
}

fn known(truth: Truth, salt: String) -> Answer {
    Answer::Known { truth, salt }
}
