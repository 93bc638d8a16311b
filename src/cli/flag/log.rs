//! `flag log`: the changes of one flag or migration, from the audit log. Needs no supervisor.

use super::known::Known;
use super::unknown;
use crate::cli::audit;
use crate::cli::error::Error;
use crate::cli::output::{Output, printable};
use crate::exit_code::ExitCode;
use crate::paths::Project;
use crate::store;
use clap::Args;

/// `flag log`
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// A flag, or a migration.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// So many changes, the newest first; 0: all.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub lines: usize,
}

/// `flag log`
pub(super) fn run(log: &Log, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    if audit::print(&log.name, log.lines, project, output)? > 0 {
        return Ok(ExitCode::Done);
    }
    if !is_known(&log.name, project) {
        return Err(unknown(&log.name, project).1);
    }
    if !output.json {
        output.say(&format!("nobody has ever changed `{}`", printable(&log.name)));
    }
    Ok(ExitCode::Done)
}

fn is_known(name: &str, project: &Project) -> bool {
    let copy = store::declared::recall(&project.state).unwrap_or_default();
    copy.migrations.iter().any(|migration| migration.name == name)
        || Known::find(project).is_ok_and(|known| known.flags.iter().any(|flag| flag.declared.name == name))
}
