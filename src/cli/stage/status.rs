//! `stage status`: one migration in full: where it stands, since when and by whom, every stage with its flags, what
//! the guard thinks.

use super::args::Status;
use super::list::{self, paint, set_by};
use super::{ANSWER_WITHIN, at, migrations};
use crate::cli::changing::ask;
use crate::cli::error::Error;
use crate::cli::guard::watched_words;
use crate::cli::output::{Output, Style, printable};
use crate::cli::rollout::{percent, rolls, share_of, words_of_state};
use crate::exit_code::ExitCode;
use crate::ipc::flags::{Migration, Reply, Request, Roll, Stage, Watched};
use crate::paths::Project;
use crate::sys::clock;
use crate::time::Wall;
use serde::Serialize;

/// `stage status`
pub(super) fn status(status: &Status, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let found = migrations(&status.migrations, project)?;
    let watched = watched(project)?;
    if found.is_empty() && !output.json {
        output.say("no migrations are declared; add `[migration.NAME]` to the configuration");
    }
    let mut first = true;
    for (migration, stages) in &found {
        let baking: Vec<&Watched> = watched.iter().filter(|one| one.name == migration.name).collect();
        if output.json {
            output.object(&Whole::of(migration, stages, &baking))?;
            continue;
        }
        let roll = match migration.roll {
            0 => None,
            number => {
                let request = Request::Rolls { rolls: vec![number] };
                rolls(ask(project, &request, ANSWER_WITHIN)?.replies).pop()
            }
        };
        if !std::mem::take(&mut first) {
            output.line("")?;
        }
        for line in render(migration, stages, &baking, roll.as_ref(), clock::wall(), output.style) {
            output.line(&line)?;
        }
    }
    Ok(ExitCode::Done)
}

fn watched(project: &Project) -> Result<Vec<Watched>, Error> {
    let answer = ask(project, &Request::Guarding, ANSWER_WITHIN)?;
    let watched = answer.replies.into_iter().filter_map(|reply| match reply {
        Reply::Watched(watched) => Some(watched),
        _ => None,
    });
    Ok(watched.collect())
}

fn render(
    migration: &Migration,
    stages: &[Stage],
    baking: &[&Watched],
    roll: Option<&Roll>,
    now: Wall,
    style: Style,
) -> Vec<String> {
    let mut lines = Vec::new();
    let who = match migration.generation {
        0 => "as configured".to_owned(),
        _ => format!("by {}", set_by(migration, now)),
    };
    let reason = if migration.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", printable(&migration.reason))
    };
    lines.push(format!(
        "{}  stage {} of {}   {who}{reason}",
        style.strong(&migration.name),
        at(migration.stage, &migration.stage_name),
        migration.stages
    ));
    let about = match (migration.description.as_str(), migration.owner.as_str()) {
        ("", "") => String::new(),
        (what, "") => what.to_owned(),
        ("", owner) => format!("owner: {owner}"),
        (what, owner) => format!("{what}; owner: {owner}"),
    };
    if !about.is_empty() {
        lines.push(format!("  {}", style.dim(&printable(&about))));
    }
    if !migration.guard.is_empty() && baking.is_empty() {
        lines.push(format!("  guard: {}", paint(&migration.guard, &printable(&migration.guard), style)));
    }
    lines.extend(baking.iter().map(|one| format!("  guard: {}", style.busy(&watched_words(one)))));
    if let Some(roll) = roll {
        let outcome = printable(&roll.outcome);
        let why = if outcome.is_empty() { String::new() } else { format!(": {outcome}") };
        let (state, share) = (words_of_state(roll.state), share_of(roll));
        lines.push(format!("  r-{} brings in stage {}: {state} at {share}{why}", roll.number, roll.stage));
    }
    lines.extend(table(stages, migration, style));
    lines
}

/// A line a flag; the first of a stage has its name.
fn table(stages: &[Stage], migration: &Migration, style: Style) -> Vec<String> {
    let name_width = stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0);
    let digits = stages.len().to_string().len();
    let flags = stages.iter().flat_map(|stage| &stage.flags);
    let flag_width = flags.map(|(flag, _)| flag.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for stage in stages {
        let mark = match (stage.on, style.glyphs) {
            (true, true) => "●",
            (true, false) => "*",
            (false, true) => "○",
            (false, false) => "-",
        };
        let mut notes = Vec::new();
        if !stage.steps.is_empty() {
            let steps: Vec<&str> = stage.steps.iter().map(|step| percent(step)).collect();
            notes.push(format!("by {}", steps.join(", ")));
        }
        if stage.one_way {
            notes.push("one way".to_owned());
        }
        if migration.roll != 0 && stage.number == migration.stage + 1 {
            notes.push(format!("r-{}", migration.roll));
        }
        let head = format!("{mark} {:>digits$} {:<name_width$}", stage.number, stage.name);
        let head = if stage.on { style.good(&head) } else { head };
        let blank = " ".repeat(digits + name_width + 3);
        let notes = notes.join(", ");
        let rows = stage.flags.len().max(1);
        for row in 0..rows {
            let left = if row == 0 { head.as_str() } else { blank.as_str() };
            let flag = match stage.flags.get(row) {
                Some((flag, value)) => format!("{flag:<flag_width$}  {:<8}", printable(value)),
                None => " ".repeat(flag_width + 10),
            };
            let right = if row == 0 { style.dim(&notes) } else { String::new() };
            lines.push(format!("  {left}  {flag}  {right}").trim_end().to_owned());
        }
        if !stage.banned.is_empty() {
            lines.push(format!("  {blank}  {} {}", style.bad("banned:"), printable(&stage.banned)));
        }
    }
    lines
}

/// A migration with all that belongs to it.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    migration: list::Object<'a>,
    parts: Vec<Part<'a>>,
    watched: Vec<crate::cli::guard::WatchedObject<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    stage: u32,
    name: &'a str,
    on: bool,
    flags: Vec<FlagIs<'a>>,
    steps: &'a [String],
    one_way: bool,
    /// null: it is not.
    banned: Option<&'a str>,
}

#[derive(Serialize)]
struct FlagIs<'a> {
    flag: &'a str,
    text: &'a str,
}

impl<'a> Whole<'a> {
    fn of(migration: &'a Migration, stages: &'a [Stage], baking: &[&'a Watched]) -> Whole<'a> {
        let part = |stage: &'a Stage| Part {
            stage: stage.number,
            name: &stage.name,
            on: stage.on,
            flags: stage.flags.iter().map(|(flag, text)| FlagIs { flag, text }).collect(),
            steps: &stage.steps,
            one_way: stage.one_way,
            banned: (!stage.banned.is_empty()).then_some(&stage.banned),
        };
        Whole {
            migration: list::Object::of(migration),
            parts: stages.iter().map(part).collect(),
            watched: baking.iter().map(|one| crate::cli::guard::WatchedObject::of(one)).collect(),
        }
    }
}
