//! `stage list`: every migration in a table.

use super::args::List;
use super::{at, migrations};
use crate::cli::bar::bar;
use crate::cli::duration::brief;
use crate::cli::error::Error;
use crate::cli::json::{SCHEMA, timestamp};
use crate::cli::narrate::one_line;
use crate::cli::output::{Output, Style};
use crate::cli::table::{Table, shorten};
use crate::exit_code::ExitCode;
use crate::flags::WHOLE;
use crate::ipc::flags::Migration;
use crate::paths::Project;
use crate::sys::clock;
use crate::time::Wall;
use serde::Serialize;

/// `stage list`
pub(super) fn list(list: &List, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let found = migrations(&list.migrations, project)?;
    if output.json {
        return found
            .iter()
            .try_for_each(|(migration, _)| output.object(&Object::of(migration)))
            .map(|()| ExitCode::Done);
    }
    if found.is_empty() {
        output.say("no migrations are declared; add `[migration.NAME]` to the configuration");
        return Ok(ExitCode::Done);
    }
    let shown: Vec<&Migration> = found.iter().map(|(migration, _)| migration).collect();
    let text = render(&shown, clock::wall(), output.style);
    output.data(&text)?;
    Ok(ExitCode::Done)
}

fn render(migrations: &[&Migration], now: Wall, style: Style) -> String {
    let mut table = table(migrations, now, 20, usize::MAX);
    for (places, longest) in [(10, usize::MAX), (10, 20), (0, 12)] {
        if table.width() <= style.width {
            break;
        }
        table = self::table(migrations, now, places, longest);
    }
    let lines = table.lines(|row, column, cell| match (row, column) {
        (None, _) => style.dim(cell),
        (Some(row), 3) => paint(&migrations[row].guard, cell, style),
        _ => cell.to_owned(),
    });
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// What the guard thinks, in its colour.
pub(super) fn paint(guard: &str, cell: &str, style: Style) -> String {
    match guard {
        "" => cell.to_owned(),
        "banned" | "frozen" => style.bad(cell),
        _ => style.busy(cell),
    }
}

fn table(migrations: &[&Migration], now: Wall, places: usize, longest: usize) -> Table {
    let mut table = Table::new(["MIGRATION", "STAGE", "SET BY", "GUARD"]);
    for migration in migrations {
        let Migration { stage, stages, stage_name, roll, .. } = migration;
        let part = u64::from(*stage) * u64::from(WHOLE) / u64::from((*stages).max(1));
        let bar = bar(part as u32, places);
        let name = shorten(stage_name, longest);
        let roll = if *roll == 0 { String::new() } else { format!(", r-{roll} to {}", stage + 1) };
        let cell = format!("{bar} {stage}/{stages} {name}{roll}");
        let guard = if migration.guard.is_empty() { "-".to_owned() } else { one_line(&migration.guard) };
        let set_by = set_by(migration, now);
        table.row(vec![migration.name.clone(), cell.trim_start().to_owned(), set_by, guard]);
    }
    table
}

/// `ana, 4m ago`
pub(super) fn set_by(migration: &Migration, now: Wall) -> String {
    if migration.generation == 0 {
        return "file".to_owned();
    }
    format!(
        "{}, {} ago",
        one_line(&migration.actor),
        brief(now.0.saturating_sub(migration.time.0).max(0) as u64 * 1000)
    )
}

/// A migration in JSON.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    schema: u32,
    name: &'a str,
    stage: u32,
    stage_name: &'a str,
    stages: u32,
    /// null: none is being brought in.
    roll: Option<String>,
    generation: u64,
    actor: &'a str,
    uid: Option<u32>,
    reason: &'a str,
    time: Option<String>,
    guard: &'a str,
    owner: &'a str,
    description: &'a str,
}

impl<'a> Object<'a> {
    pub(super) fn of(migration: &'a Migration) -> Object<'a> {
        let moved = migration.generation != 0;
        Object {
            schema: SCHEMA,
            name: &migration.name,
            stage: migration.stage,
            stage_name: if migration.stage == 0 { "" } else { &migration.stage_name },
            stages: migration.stages,
            roll: (migration.roll != 0).then(|| format!("r-{}", migration.roll)),
            generation: migration.generation,
            actor: &migration.actor,
            uid: moved.then_some(migration.uid),
            reason: &migration.reason,
            time: moved.then(|| timestamp(migration.time)),
            guard: &migration.guard,
            owner: &migration.owner,
            description: &migration.description,
        }
    }
}

/// `0 → 1 registry` needs both names.
pub(super) fn place(migration: &Migration) -> String {
    at(migration.stage, &migration.stage_name)
}
