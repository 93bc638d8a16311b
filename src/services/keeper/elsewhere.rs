//! Where a reader of flags asks when no board can be read and it never saw one (B7): the keeper, then the
//! journal.

use super::client::{self, AskError};
use super::ground::Truths;
use super::host;
use crate::board::{Answer, Fallback, Known};
use crate::exit_code::ExitCode;
use crate::flags::{Catalog, Declaration, Effective, Tree, Truth, Unit, Value};
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
    /// The state directory; `None`: it is not ours to read.
    pub state: Option<PathBuf>,
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
            Ok(answer) => told(name, answer.replies),
            Err(AskError::Refused(refusal)) => {
                (refusal.code == ExitCode::NotFound.number()).then_some(Answer::Unknown)
            }
            Err(AskError::Call(_) | AskError::Late) => None,
        }
    }

    /// What somebody set, else what was declared when a keeper last began.
    fn recall(&self, name: &str) -> Option<Answer> {
        let directory = self.state.as_ref()?;
        let state = store::read_only(directory).ok()?;
        let declared = store::declared::recall(directory).unwrap_or_default();
        let catalog = Catalog::new(declared.flags, declared.migrations);
        // Which instances there are nobody can tell now.
        let tree = Tree { host: host::id(), ..Tree::default() };
        let truths = Truths { catalog: &catalog, state: &state, tree: &tree };
        match (truths.effective([name]).remove(name), catalog.flag(name), catalog.migration(name)) {
            (Some(seen), Some(flag), _) => Some(of_flag(seen, flag)),
            (Some(seen), None, Some(migration)) => {
                let stages = migration.stages.iter().map(|stage| stage.name.clone()).collect();
                Some(of_migration(seen.truth, stages))
            }
            _ => {
                let entry = state.get(name)?;
                Some(Answer::known(entry.truth?, entry.salt.clone()))
            }
        }
    }
}

/// What the keeper said of a flag, or of a migration and its stages.
fn told(name: &str, replies: Vec<Reply>) -> Option<Answer> {
    let (mut stage, mut stages) = (None, Vec::new());
    for reply in replies {
        match reply {
            Reply::Flag(flag) if flag.declared.name == name => {
                let instances = (flag.declared.unit == Unit::Instance).then_some(flag.instances);
                return Some(of_flag(Effective { truth: flag.effective, on: instances }, &flag.declared));
            }
            Reply::Migration(migration) if migration.name == name => stage = Some(migration.stage),
            // A long one comes in parts.
            Reply::Stage(part) if part.number as usize == stages.len() + 1 => stages.push(part.name),
            _ => {}
        }
    }
    Some(of_migration(Value::Stage(stage?).into(), stages))
}

fn of_flag(seen: Effective, flag: &Declaration) -> Answer {
    // Lists of a flag by host were looked at, for this host.
    let list = |ids: &Vec<String>| if flag.unit == Unit::Host { Vec::new() } else { ids.clone() };
    let (allow, deny) = (list(&flag.allow), list(&flag.deny));
    let known = Known::new(seen.truth, flag.salt.clone());
    Answer::Known(Box::new(Known { allow, deny, unit: flag.unit, instances: seen.on, ..known }))
}

fn of_migration(truth: Truth, stages: Vec<String>) -> Answer {
    Answer::Known(Box::new(Known { stages, ..Known::new(truth, String::new()) }))
}
