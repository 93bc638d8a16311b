//! `flag import`, `flag export`: what flags are set to, out of one board and into another, from and to flagd.

use super::board;
use super::change::{self, Also};
use super::known::{Known, PATIENCE};
use crate::cli::changing::{self, Changing, usage};
use crate::cli::error::Error;
use crate::cli::here::read_bounded;
use crate::cli::json::SCHEMA;
use crate::cli::output::Output;
use crate::config::exchange::{self, Current, Format, Import as How, Setting, To};
use crate::exit_code::ExitCode;
use crate::flags::{Declaration, Truth, Value};
use crate::ipc::flags::{Edit, Migration, Reply, Request, Way};
use crate::paths::Project;
use crate::services::keeper::client;
use crate::store;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Written {
    /// mainstay's own.
    Toml,
    /// The JSON of flagd.
    Flagd,
}

impl Written {
    fn format(self) -> Format {
        match self {
            Written::Toml => Format::Own,
            Written::Flagd => Format::Flagd,
        }
    }
}

/// `flag import`
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// What `flag export` wrote, or flagd's JSON; `-` is the standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Its format; JSON when its name ends in .json, else TOML.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<Written>,
    /// Take what can be carried, and warn of the rest.
    #[arg(long)]
    pub lenient: bool,
    /// Set flags although the guard has banned them.
    #[arg(long)]
    pub override_ban: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// `flag export`
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// How it is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "toml")]
    pub format: Written,
    /// Leave out what the format has no word for, and warn of it.
    #[arg(long)]
    pub lenient: bool,
}

/// `flag export`
pub(super) fn export(export: &Export, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let known = Known::find(project)?;
    let migrations = migrations(project);
    let flags = known.flags.iter().map(|flag| Current::Flag(&flag.declared, flag.truth));
    let stages = migrations.iter().map(|Stands { name, stage, stage_name }| Current::Migration {
        name,
        stage: *stage,
        stage_name,
    });
    let all: Vec<Current<'_>> = flags.chain(stages).collect();
    let exported = exchange::export(export.format.format(), &all, export.lenient).map_err(|lost| {
        let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
        Error::Failed { message: lost.join("\n"), hint: "leave it out with --lenient".to_owned() }
    })?;
    if output.json {
        #[derive(Serialize)]
        struct Answer<'a> {
            schema: u32,
            format: &'static str,
            text: &'a str,
            lost: Vec<String>,
        }
        let format = if export.format == Written::Toml { "toml" } else { "flagd" };
        let lost = exported.lost.iter().map(ToString::to_string).collect();
        output.object(&Answer { schema: SCHEMA, format, text: &exported.text, lost })?;
        return Ok(ExitCode::Done);
    }
    output.data(&exported.text)?;
    for lost in &exported.lost {
        output.say(&format!("warning: left out: {lost}"));
    }
    Ok(ExitCode::Done)
}

/// A migration and where it stands.
struct Stands {
    name: String,
    stage: u32,
    stage_name: String,
}

/// From the keeper; without it from the board.
fn migrations(project: &Project) -> Vec<Stands> {
    let request = Request::Migrations { migrations: Vec::new() };
    if let Ok(answer) = client::ask(&project.runtime, &request, PATIENCE) {
        let told = answer.replies.into_iter().filter_map(|reply| match reply {
            Reply::Migration(Migration { name, stage, stage_name, .. }) => {
                Some(Stands { name, stage, stage_name })
            }
            _ => None,
        });
        return told.collect();
    }
    let declared = store::declared::recall(&project.state).unwrap_or_default().migrations;
    let snapshot = board(project).snapshot();
    let stands = snapshot.flags().filter_map(|(name, truth)| match truth.value {
        Value::Stage(stage) => {
            let migration = declared.iter().find(|migration| migration.name == name);
            let stage_name = migration.map_or("", |migration| migration.stage_name(stage)).to_owned();
            Some(Stands { name: name.to_owned(), stage, stage_name })
        }
        _ => None,
    });
    stands.collect()
}

/// `flag import`
pub(super) fn import(import: &Import, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let (name, text) = read(&import.file)?;
    let format = import.format.map_or_else(|| by_name(&import.file), Written::format);
    let known = Known::find(project)?;
    let declared: Vec<Declaration> = known.flags.iter().map(|flag| flag.declared.clone()).collect();
    let stands = migrations(project);
    let names: Vec<String> = stands.iter().map(|stands| stands.name.clone()).collect();
    let how = How { file: &name, lenient: import.lenient, flags: Some(&declared), migrations: Some(&names) };
    let color = output.talk_style.color;
    let imported = exchange::import(format, &text, &how).map_err(|found| Error::Shown {
        text: format!("{}nothing was changed", found.render(color)),
        code: ExitCode::Configuration,
    })?;
    if imported.warnings.warnings() > 0 {
        let warnings = imported.warnings.render(color);
        output.say(warnings.trim_end());
    }
    let (mut edits, mut moves) = (Vec::new(), Vec::new());
    for Setting { name, to } in imported.settings {
        match to {
            To::Stage(stage) => moves.extend(whither(name, &stage, &stands, project)?),
            // A disabled flag keeps its value, there as here.
            To::Flag(Truth { value, disabled }) => {
                edits.push(Edit { flag: name, to: value.to_string(), disabled });
            }
        }
    }
    // First where migrations stand: what flags are besides is what the file says of them.
    let mut code = ExitCode::Done;
    for one in moves {
        code = stand(one, import, project, output)?;
    }
    if edits.is_empty() {
        return Ok(code);
    }
    // What is kept of these is kept of the moves before them, too: the journal is one.
    let also = Also { override_ban: import.override_ban, wait_seen: false };
    change::change(edits, &import.changing, also, project, output)
}

/// A migration, the number of the stage that it is to be moved to, and which way that is.
type Move = (String, u32, Way);

/// Where the file says that a migration stands; `None`: there.
fn whither(name: String, stage: &str, stands: &[Stands], project: &Project) -> Result<Option<Move>, Error> {
    let declared = store::declared::recall(&project.state).unwrap_or_default().migrations;
    let number = declared.iter().find(|one| one.name == name).and_then(|one| one.stage_of(stage));
    let number = number.or_else(|| stage.parse().ok()).ok_or_else(|| {
        let message =
            format!("migration `{name}` has no stage `{}`; nothing was changed", stage.escape_debug());
        usage(message, "mainstay stage status")
    })?;
    let now = stands.iter().find(|one| one.name == name).map_or(0, |one| one.stage);
    let way = if number > now { Way::Enable } else { Way::Rollback };
    Ok((number != now).then_some((name, number, way)))
}

fn stand(
    (migration, number, way): Move,
    import: &Import,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let answer =
        changing::change(project, &import.changing, import.override_ban, output, |how| Request::Stage {
            how,
            migration: migration.clone(),
            to: number.to_string(),
            way,
            force: true,
            past_one_way: false,
            at_once: true,
        })?;
    change::told(&answer, &import.changing, "", output)
}

/// What messages call the file, and what is in it.
fn read(file: &Path) -> Result<(String, Vec<u8>), Error> {
    let most = crate::config::FILE_MAX as u64 + 1;
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::System { doing: "reading the standard input", source })?;
        return Ok(("standard input".to_owned(), bytes));
    }
    let bytes = read_bounded(file).map_err(|error| Error::Failed {
        message: format!("cannot read `{}`: {error}", file.display()),
        hint: String::new(),
    })?;
    Ok((file.display().to_string(), bytes))
}

fn by_name(file: &Path) -> Format {
    match file.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("json") => Format::Flagd,
        _ => Format::Own,
    }
}
