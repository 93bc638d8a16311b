//! `emergency`: one migration, or everything, on its safe value, in one change.

use super::changed;
use super::changing::{self, Changing};
use super::error::Error;
use super::output::{Output, printable};
use crate::exit_code::ExitCode;
use crate::ipc::flags::Request;
use crate::paths::Project;
use clap::Args;

/// `emergency`
#[derive(Clone, Debug, Args)]
pub struct Emergency {
    /// Only this migration and its flags; everything when none is named.
    #[arg(value_name = "MIGRATION")]
    pub migration: Option<String>,
    /// How; a reason is required.
    #[command(flatten)]
    pub changing: Changing,
}

/// Does the verb.
///
/// # Errors
/// As [`Error::code`] says.
pub fn run(emergency: &Emergency, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let changing = &emergency.changing;
    let migration = emergency.migration.clone().unwrap_or_default();
    let request = |how| Request::Emergency { how, migration: migration.clone() };
    let answer = changing::change(project, changing, false, output, request)?;
    changing::tell(&answer, changing, output, |changes, output| {
        let moved = changes.iter().filter(|changed| !changed.unchanged);
        let lines: Vec<String> = moved.map(|one| changed::what(one, output.style)).collect();
        for line in &lines {
            output.line(line)?;
        }
        output.line(&summary(&migration, lines.len(), answer.generation, changing.dry_run))
    })
}

fn summary(migration: &str, count: usize, generation: u64, dry_run: bool) -> String {
    let what = if migration.is_empty() { "everything".to_owned() } else { printable(migration) };
    match (count, dry_run) {
        (0, _) => format!("{what} is on its safe value already, generation {generation}"),
        (1, true) => format!("dry run: 1 change would put {what} on its safe value"),
        (count, true) => format!("dry run: {count} changes would put {what} on its safe value"),
        (1, false) => format!("{what} is on its safe value: 1 change, generation {generation}"),
        (count, false) => {
            format!("{what} is on its safe value: {count} changes at once, generation {generation}")
        }
    }
}
