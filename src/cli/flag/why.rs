//! `flag why`: how a flag comes to be what it is for an id, step by step. From the journal and the copy of what is
//! declared, so it needs nobody; a keeper that answers knows besides what is in memory only.

use super::board;
use super::known::PATIENCE;
use super::list::{age, json};
use crate::cli::caller::Caller;
use crate::cli::duration::brief;
use crate::cli::error::Error;
use crate::cli::json::SCHEMA;
use crate::cli::narrate::one_line;
use crate::cli::output::{Output, printable};
use crate::exit_code::ExitCode;
use crate::flags::why::why;
use crate::flags::{Catalog, Tree, Truth, View};
use crate::ipc::flags::{Reply, Request};
use crate::paths::Project;
use crate::services::keeper::{client, host_id};
use crate::store::{self, Entry};
use crate::sys::clock;
use clap::Args;
use serde::Serialize;

/// `flag why`
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// A flag, or a migration.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// For this id: a user, or an instance where the share is counted by instances.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// `flag why`
pub(super) fn run(typed: &Why, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let declared = store::declared::recall(&project.state).unwrap_or_default();
    let journal = store::read_only(&project.state).map_err(|error| Error::Failed {
        message: error.to_string(),
        hint: "run it as the supervisor's user or as root".to_owned(),
    })?;
    let catalog = Catalog::new(declared.flags, declared.migrations);
    if catalog.flag(&typed.name).is_none() && catalog.migration(&typed.name).is_none() {
        return Err(super::unknown(&typed.name, project).1);
    }
    let volatile = in_memory(&typed.name, project);
    let set = |name: &str| match &volatile {
        Some(truth) if name == typed.name => Some(*truth),
        _ => journal.truth(name),
    };
    let view = View { catalog: &catalog, set: &set, facts: journal.facts() };
    let decided = why(&view, &tree(project), &typed.name, typed.id.as_deref());
    let steps: Vec<String> = decided.steps.iter().map(|step| printable(&step.to_string())).collect();
    let value = decided.value.map(Truth::from);
    if output.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            schema: u32,
            flag: &'a str,
            id: Option<&'a str>,
            /// null: the caller's default.
            value: Option<serde_json::Value>,
            text: Option<String>,
            steps: &'a [String],
            generation: Option<u64>,
        }
        output.object(&Answer {
            schema: SCHEMA,
            flag: &typed.name,
            id: typed.id.as_deref(),
            value: value.map(json),
            text: value.map(|value| value.to_string()),
            steps: &steps,
            generation: board(project).generation(),
        })?;
        return Ok(ExitCode::Done);
    }
    let whom = typed.id.as_deref().map_or_else(String::new, |id| format!(" for `{}`", printable(id)));
    let is = value.map_or_else(|| "the caller's default".to_owned(), |value| printable(&value.to_string()));
    output.line(&format!("{} is {}{whom}", output.style.strong(&printable(&typed.name)), is))?;
    for (number, step) in (1..).zip(&steps) {
        output.line(&format!("  {number}. {step}"))?;
    }
    if let Some(entry) = journal.get(&typed.name) {
        output.line(&format!("  {}", output.style.dim(&by(entry))))?;
    }
    Ok(ExitCode::Done)
}

/// `last changed by ana, 4m ago, generation 43: SHOP-812`
fn by(entry: &Entry) -> String {
    let ago = brief(age(entry.time, clock::wall()));
    let reason =
        if entry.reason.is_empty() { String::new() } else { format!(": {}", printable(&entry.reason)) };
    format!("last changed by {}, {ago} ago, generation {}{reason}", one_line(&entry.actor), entry.generation)
}

/// What the keeper has in memory only, and the journal does not.
fn in_memory(name: &str, project: &Project) -> Option<Truth> {
    let request = Request::List { flags: vec![name.to_owned()] };
    let answer = client::ask(&project.runtime, &request, PATIENCE).ok()?;
    answer.replies.into_iter().find_map(|reply| match reply {
        Reply::Flag(flag) if flag.set && !flag.durable => Some(flag.truth),
        _ => None,
    })
}

/// The instances that the supervisor has, and this host. Without a supervisor there are none to count.
fn tree(project: &Project) -> Tree {
    let mut tree = Tree { host: host_id(), ..Tree::default() };
    if let Ok(snapshot) = Caller::new(&project.runtime).snapshot() {
        for service in snapshot.users() {
            tree.instances.entry(service.service.clone()).or_default().insert(service.instance.clone());
        }
    }
    tree
}
