//! `flag list`: what each flag is for readers, what brings it in, who set it, and who has seen that.

use super::args::List;
use super::known::Known;
use super::unknown;
use crate::cli::bar::bar;
use crate::cli::duration::{brief, exact};
use crate::cli::error::Error;
use crate::cli::json::{SCHEMA, seconds, timestamp};
use crate::cli::narrate::one_line;
use crate::cli::output::{Output, Style, printable};
use crate::cli::table::{Table, shorten};
use crate::exit_code::ExitCode;
use crate::flags::{Kind, Truth, Value};
use crate::ipc::flags::{Flag, Seen};
use crate::paths::Project;
use crate::sys::clock;
use crate::time::Wall;
use serde::Serialize;
use wildmatch::WildMatch;

/// `flag list`
pub(super) fn list(list: &List, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let known = Known::find(project)?;
    let names: Vec<&str> = known.flags.iter().map(|flag| flag.declared.name.as_str()).collect();
    let wanted = chosen(&list.flags, &names, project)?;
    let shown: Vec<&Flag> = known.flags.iter().filter(|flag| wanted(&flag.declared.name)).collect();
    if output.json {
        for flag in &shown {
            output.object(&Object::of(flag, known.seen.as_deref(), known.generation))?;
        }
        return Ok(ExitCode::Done);
    }
    if shown.is_empty() {
        output.say("no flags are declared; add `[flag.NAME]` to the configuration");
        return Ok(ExitCode::Done);
    }
    let now = clock::wall();
    let text = render(&shown, known.seen.as_deref(), now, output.style);
    output.data(&text)?;
    for flag in shown {
        if let Some(warning) = expired(flag, now) {
            output.say(&warning);
        }
    }
    Ok(ExitCode::Done)
}

/// Which names were asked for; a name or pattern that matches none is an error.
pub(super) fn chosen<'a>(
    patterns: &'a [String],
    names: &[&str],
    project: &Project,
) -> Result<impl Fn(&str) -> bool + use<'a>, Error> {
    let matchers: Vec<_> = patterns.iter().map(|pattern| WildMatch::new(pattern)).collect();
    for (pattern, matcher) in patterns.iter().zip(&matchers) {
        if !names.iter().any(|name| matcher.matches(name)) {
            return Err(unknown(pattern, project).1);
        }
    }
    Ok(move |name: &str| matchers.is_empty() || matchers.iter().any(|matcher| matcher.matches(name)))
}

/// The whole table. `seen`: `None` when nobody could be asked, and then there is no such column.
fn render(flags: &[&Flag], seen: Option<&[Seen]>, now: Wall, style: Style) -> String {
    let mut table = table(flags, seen, now, Detail::at(0));
    for level in 1..=Detail::LEAST {
        if table.width() <= style.width {
            break;
        }
        table = self::table(flags, seen, now, Detail::at(level));
    }
    let lines = table.lines(|row, column, cell| match (row, column) {
        (None, _) => style.dim(cell),
        (Some(row), 1) => match flags[row].effective {
            Truth { disabled: true, .. } => style.dim(cell),
            Truth { value: Value::On, .. } => style.good(cell),
            _ => cell.to_owned(),
        },
        (Some(row), 2) => match flags[row].guard.as_str() {
            "" => cell.to_owned(),
            "banned" | "frozen" => style.bad(cell),
            _ => style.busy(cell),
        },
        (Some(row), 4) if behind(&flags[row].declared.name, seen) => style.busy(cell),
        _ => cell.to_owned(),
    });
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// How much is shown of each column; each level leaves out a little more.
#[derive(Clone, Copy)]
struct Detail {
    bar: usize,
    each_service: bool,
    text: usize,
    ago: bool,
    words: usize,
}

impl Detail {
    const LEAST: u32 = 5;

    fn at(level: u32) -> Detail {
        Detail {
            bar: if level < 1 {
                20
            } else if level < 4 {
                10
            } else {
                0
            },
            each_service: level < 2,
            text: if level < 3 { 24 } else { 10 },
            ago: level < 3,
            words: if level < 5 { usize::MAX } else { 14 },
        }
    }
}

fn table(flags: &[&Flag], seen: Option<&[Seen]>, now: Wall, detail: Detail) -> Table {
    let columns = ["FLAG", "VALUE", "STAGE", "SET BY", "SEEN BY"];
    let count = if seen.is_some() { 5 } else { 4 };
    let mut table = Table::new(columns.into_iter().take(count));
    for flag in flags {
        let value = shorten(&printable(&flag.effective.to_string()), detail.text);
        let mut row =
            vec![flag.declared.name.clone(), value, standing(flag, detail), set_by(flag, now, detail)];
        row.extend(seen.map(|seen| seen_by(&flag.declared.name, seen, detail)));
        table.row(row);
    }
    table
}

/// What brings the flag in, or holds it back: `[#####...............] r-3, baking`, `otp_cleanup 2`, `needs search`.
fn standing(flag: &Flag, detail: Detail) -> String {
    let mut words = Vec::new();
    if flag.roll != 0 {
        words.push(format!("r-{}", flag.roll));
    }
    if let Some((migration, stage)) = &flag.stage {
        words.push(format!("{migration} {stage}"));
    }
    if !flag.guard.is_empty() {
        words.push(one_line(&flag.guard));
    }
    // Readers see something else than what was set.
    if flag.effective != flag.truth {
        words.push(match &flag.declared.requires {
            Some(requires) if requires.on => format!("set {}, needs {}", flag.truth, requires.flag),
            Some(requires) => format!("set {}, needs not {}", flag.truth, requires.flag),
            None => format!("set {}", flag.truth),
        });
    }
    let words = shorten(&words.join(", "), detail.words);
    let share = match flag.truth {
        Truth { value: Value::Share(share), disabled: false } => bar(share, detail.bar),
        _ => String::new(),
    };
    match (share.as_str(), words.as_str()) {
        ("", "") => "-".to_owned(),
        ("", words) => words.to_owned(),
        (share, words) => format!("{share} {words}").trim_end().to_owned(),
    }
}

fn set_by(flag: &Flag, now: Wall, detail: Detail) -> String {
    match flag.actor.as_str() {
        "" if flag.declared.configured.is_some() => "file".to_owned(),
        "" => "default".to_owned(),
        actor if detail.ago => format!("{}, {} ago", one_line(actor), brief(age(flag.time, now))),
        actor => shorten(&one_line(actor), 12),
    }
}

/// `web 4/4  worker 0/1 behind 12s`
fn seen_by(flag: &str, seen: &[Seen], detail: Detail) -> String {
    let of_flag: Vec<&Seen> = seen.iter().filter(|seen| seen.flag == flag).collect();
    if of_flag.is_empty() {
        return "-".to_owned();
    }
    if detail.each_service {
        let words = of_flag.iter().map(|seen| {
            let late = lateness(seen.behind_ns);
            format!("{} {}/{}{late}", seen.service, seen.newest, seen.running)
        });
        return words.collect::<Vec<_>>().join("  ");
    }
    let sum = |count: fn(&Seen) -> u32| of_flag.iter().map(|seen| count(seen)).sum::<u32>();
    let late = lateness(of_flag.iter().map(|seen| seen.behind_ns).max().unwrap_or_default());
    format!("{}/{}{late}", sum(|seen| seen.newest), sum(|seen| seen.running))
}

fn lateness(behind_ns: u64) -> String {
    match behind_ns {
        0 => String::new(),
        behind @ 1..1_000_000_000 => format!(" behind {}", exact(behind)),
        behind => format!(" behind {}", brief(behind)),
    }
}

fn behind(flag: &str, seen: Option<&[Seen]>) -> bool {
    seen.into_iter().flatten().any(|seen| seen.flag == flag && seen.behind_ns > 0)
}

/// What is said of a flag that should not be there any more.
fn expired(flag: &Flag, now: Wall) -> Option<String> {
    let expires = flag.declared.expires.as_deref()?;
    let last: jiff::civil::Date = expires.parse().ok()?;
    let today =
        jiff::Timestamp::from_microsecond(now.0).ok()?.to_zoned_datetime(jiff::tz::TimeZone::system()).date();
    let owner = flag.declared.owner.as_deref().map(|owner| format!("; its owner is {owner}"));
    (today > last).then(|| {
        printable(&format!(
            "warning: flag `{}` was to be gone after {expires}{}",
            flag.declared.name,
            owner.unwrap_or_default()
        ))
    })
}

pub(super) fn age(time: Wall, now: Wall) -> u64 {
    u64::try_from(now.0.saturating_sub(time.0)).unwrap_or(0).saturating_mul(1000)
}

/// One line of `flag list --json`.
#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    name: &'a str,
    kind: Kind,
    /// What readers see: `true`, `false`, the percentage, the number, the text; `null` while it is disabled.
    value: serde_json::Value,
    text: String,
    disabled: bool,
    /// What was set, when readers see something else.
    held_back: Option<String>,
    set: bool,
    generation: u64,
    actor: &'a str,
    uid: Option<u32>,
    reason: &'a str,
    time: Option<String>,
    durable: bool,
    default: String,
    safe: String,
    migration: Option<&'a str>,
    stage: Option<u32>,
    roll: Option<String>,
    guard: &'a str,
    owner: Option<&'a str>,
    description: Option<&'a str>,
    expires: Option<&'a str>,
    /// null: nobody could be asked.
    seen: Option<Vec<SeenBy<'a>>>,
    board_generation: u64,
}

#[derive(Serialize)]
struct SeenBy<'a> {
    service: &'a str,
    running: u32,
    read: u32,
    newest: u32,
    behind_seconds: f64,
    generation: u64,
}

impl<'a> Object<'a> {
    fn of(flag: &'a Flag, seen: Option<&'a [Seen]>, board_generation: u64) -> Object<'a> {
        let touched = flag.generation != 0;
        let by = |seen: &'a Seen| SeenBy {
            service: &seen.service,
            running: seen.running,
            read: seen.read,
            newest: seen.newest,
            behind_seconds: seconds(seen.behind_ns),
            generation: seen.generation,
        };
        let declared = &flag.declared;
        Object {
            schema: SCHEMA,
            name: &declared.name,
            kind: declared.kind,
            value: json(flag.effective),
            text: flag.effective.to_string(),
            disabled: flag.effective.disabled,
            held_back: (flag.effective != flag.truth).then(|| flag.truth.to_string()),
            set: flag.set,
            generation: flag.generation,
            actor: &flag.actor,
            uid: touched.then_some(flag.uid),
            reason: &flag.reason,
            time: touched.then(|| timestamp(flag.time)),
            durable: flag.durable,
            default: declared.default.to_string(),
            safe: declared.safe.to_string(),
            migration: flag.stage.as_ref().map(|(migration, _)| migration.as_str()),
            stage: flag.stage.as_ref().map(|(_, stage)| *stage),
            roll: (flag.roll != 0).then(|| format!("r-{}", flag.roll)),
            guard: &flag.guard,
            owner: declared.owner.as_deref(),
            description: declared.description.as_deref(),
            expires: declared.expires.as_deref(),
            seen: seen.map(|seen| seen.iter().filter(|seen| seen.flag == declared.name).map(by).collect()),
            board_generation,
        }
    }
}

/// A value in JSON: `true`, `false`, the percentage, the number, the text; `null` while it is disabled.
pub(super) fn json(truth: Truth) -> serde_json::Value {
    match truth.value {
        _ if truth.disabled => serde_json::Value::Null,
        Value::Off => false.into(),
        Value::On => true.into(),
        Value::Share(share) => (f64::from(share) / 1000.0).into(),
        Value::Stage(stage) => stage.into(),
        Value::Int(number) => number.into(),
        Value::Text(text) => text.text().unwrap_or_default().into(),
    }
}

#[cfg(test)]
#[path = "list/tests.rs"]
mod tests;
