//! `mainstay guard …`: what the guard watches and has banned; its switch; ending a freeze.

use super::changing::{self, Changing, ask};
use super::duration::{brief, setting};
use super::error::Error;
use super::json::{SCHEMA, seconds, timestamp};
use super::narrate::one_line;
use super::output::{Output, Style, printable};
use super::rollout::clock_words;
use super::table::{Table, shorten};
use crate::exit_code::ExitCode;
use crate::flags::guard::Mode;
use crate::ipc::flags::{Banned, Reply, Request, Watched};
use crate::paths::Project;
use crate::services::keeper::client;
use crate::sys::clock;
use crate::time::{Duration, Wall};
use clap::{Args, Subcommand};
use serde::Serialize;

/// `guard …`
#[derive(Clone, Debug, Subcommand)]
pub enum GuardCommand {
    /// Show its switch, the changes that it watches, and what it has banned.
    Status,
    /// Let it act: it watches changes, and takes back those that kill.
    On(Switch),
    /// Switch it off for this host: nothing is watched.
    Off(Switch),
    /// Let it watch, and only say what it would do.
    Observe(Switch),
    /// End the freeze and the cool-down of flags and migrations: they may be changed again.
    Thaw(Thaw),
}

/// `guard on`, `off`, `observe`
#[derive(Clone, Debug, Args)]
pub struct Switch {
    /// How; a reason is required.
    #[command(flatten)]
    pub changing: Changing,
}

/// `guard thaw`
#[derive(Clone, Debug, Args)]
pub struct Thaw {
    /// Flags and migrations.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How; a reason is required.
    #[command(flatten)]
    pub changing: Changing,
}

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Does what was typed, for this project.
///
/// # Errors
/// As [`Error::code`] says.
pub fn run(command: &GuardCommand, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    match command {
        GuardCommand::Status => status(project, output),
        GuardCommand::On(switch) => turn(Some(Mode::On), &[], &switch.changing, project, output),
        GuardCommand::Off(switch) => turn(Some(Mode::Off), &[], &switch.changing, project, output),
        GuardCommand::Observe(switch) => turn(Some(Mode::Observe), &[], &switch.changing, project, output),
        GuardCommand::Thaw(thaw) => turn(None, &thaw.names, &thaw.changing, project, output),
    }
}

fn turn(
    mode: Option<Mode>,
    thaw: &[String],
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let request = |how| Request::Guard { how, mode, thaw: thaw.to_vec() };
    let answer = changing::change(project, changing, false, output, request)?;
    let would = if changing.dry_run { "dry run: " } else { "" };
    if output.json {
        #[derive(Serialize)]
        struct Turned<'a> {
            schema: u32,
            mode: Option<Mode>,
            thawed: &'a [String],
            dry_run: bool,
            generation: u64,
        }
        let (dry_run, generation) = (changing.dry_run, answer.generation);
        output.object(&Turned { schema: SCHEMA, mode, thawed: thaw, dry_run, generation })?;
    } else if let Some(mode) = mode {
        output.line(&format!("{would}the guard is {}", mode_words(mode)))?;
    } else {
        for name in thaw {
            output.line(&format!("{would}{} may be changed again", printable(name)))?;
        }
    }
    Ok(changing::kept(&answer, changing, output))
}

fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::On => "on: it watches changes, and takes back those that kill",
        Mode::Observe => "observing: it only says what it would do",
        Mode::Off => "off: no change is watched",
    }
}

fn status(project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let answer = ask(project, &Request::Guarding, ANSWER_WITHIN)?;
    let (mut mode, mut watched, mut banned) = (Mode::On, Vec::new(), Vec::new());
    for reply in answer.replies {
        match reply {
            Reply::GuardIs { mode: is } => mode = is,
            Reply::Watched(one) => watched.push(one),
            Reply::Banned(one) => banned.push(one),
            _ => {}
        }
    }
    if output.json {
        #[derive(Serialize)]
        struct Status<'a> {
            schema: u32,
            mode: Mode,
            watched: Vec<WatchedObject<'a>>,
            banned: Vec<BannedObject<'a>>,
        }
        let watched = watched.iter().map(WatchedObject::of).collect();
        let banned = banned.iter().map(BannedObject::of).collect();
        output.object(&Status { schema: SCHEMA, mode, watched, banned })?;
        return Ok(ExitCode::Done);
    }
    let style = output.style;
    for line in render(mode, &watched, &banned, clock::wall(), style) {
        output.line(&line)?;
    }
    Ok(ExitCode::Done)
}

fn render(mode: Mode, watched: &[Watched], banned: &[Banned], now: Wall, style: Style) -> Vec<String> {
    let words = mode_words(mode);
    let words = match mode {
        Mode::On => style.good(words),
        Mode::Observe => style.busy(words),
        Mode::Off => style.bad(words),
    };
    let mut lines = vec![format!("guard {words}")];
    if watched.is_empty() && banned.is_empty() {
        lines.push("nothing is watched, nothing is banned".to_owned());
    }
    if !watched.is_empty() {
        let mut table = Table::new(["WATCHED", "BAKED", "CRASHES", "SET BY", "STATE"]);
        for one in watched {
            let state = match (one.held.as_str(), one.observe) {
                ("", false) => "baking".to_owned(),
                ("", true) => "observed".to_owned(),
                (held, _) => format!("held: {}", printable(held)),
            };
            table.row(vec![
                subject(&one.name, one.stage),
                format!("{} / {}", clock_words(one.baked_ns), setting(one.bake_ns)),
                one.crashes.to_string(),
                format!("{}, {} ago", one_line(&one.actor), ago(one.time, now)),
                state,
            ]);
        }
        lines.push(String::new());
        lines.extend(
            table.lines(|row, _, cell| if row.is_none() { style.dim(cell) } else { cell.to_owned() }),
        );
    }
    if !banned.is_empty() {
        let mut table = Table::new(["BANNED", "SINCE", "ROLLBACKS", "EVIDENCE", "WHY"]);
        for one in banned {
            let frozen = if one.frozen { ", frozen" } else { "" };
            let evidence: Vec<String> = one.evidence.iter().map(|crash| format!("c-{crash}")).collect();
            let evidence = if evidence.is_empty() { "-".to_owned() } else { evidence.join(" ") };
            table.row(vec![
                subject(&one.name, one.stage),
                format!("{} ago", ago(one.time, now)),
                format!("{}{frozen}", one.rollbacks),
                shorten(&evidence, 20),
                printable(&one.why),
            ]);
        }
        lines.push(String::new());
        lines.extend(
            table.lines(|row, _, cell| if row.is_none() { style.dim(cell) } else { cell.to_owned() }),
        );
        lines.push(String::new());
        lines.push(style.dim("Set one all the same: --override-ban. End a freeze: mainstay guard thaw NAME"));
    }
    lines
}

fn subject(name: &str, stage: u32) -> String {
    if stage == 0 { printable(name) } else { format!("{} {stage}", printable(name)) }
}

fn ago(time: Wall, now: Wall) -> String {
    brief(u64::try_from(now.0.saturating_sub(time.0)).unwrap_or(0).saturating_mul(1000))
}

/// `baking 0m41s of 5m, 1 new crash`
pub fn watched_words(one: &Watched) -> String {
    let crashes = match one.crashes {
        0 => String::new(),
        1 => ", 1 new crash".to_owned(),
        n => format!(", {n} new crashes"),
    };
    let held = if one.held.is_empty() { String::new() } else { format!(", held: {}", printable(&one.held)) };
    let observe = if one.observe { ", only observed" } else { "" };
    let baked = clock_words(one.baked_ns);
    format!("baking {baked} of {}{crashes}{held}{observe}", setting(one.bake_ns))
}

/// What is said after a change of `name` that the guard watches; `None`: it does not, or nobody could be asked.
pub fn bakes(name: &str, project: &Project) -> Option<String> {
    let answer = client::ask(&project.runtime, &Request::Guarding, Duration::from_secs(1)).ok()?;
    answer.replies.into_iter().rev().find_map(|reply| match reply {
        Reply::Watched(one) if one.name == name && one.observe => {
            Some(format!("the guard observes it for {}", setting(one.bake_ns)))
        }
        Reply::Watched(one) if one.name == name => {
            Some(format!("the guard watches it for {}, and takes it back if it kills", setting(one.bake_ns)))
        }
        _ => None,
    })
}

/// A watched change in JSON.
#[derive(Serialize)]
pub struct WatchedObject<'a> {
    name: &'a str,
    stage: Option<u32>,
    generation: u64,
    baked_seconds: f64,
    bake_seconds: f64,
    crashes: u32,
    held: &'a str,
    observe: bool,
    actor: &'a str,
    time: String,
}

impl<'a> WatchedObject<'a> {
    /// This one.
    pub fn of(one: &'a Watched) -> WatchedObject<'a> {
        WatchedObject {
            name: &one.name,
            stage: (one.stage != 0).then_some(one.stage),
            generation: one.generation,
            baked_seconds: seconds(one.baked_ns),
            bake_seconds: seconds(one.bake_ns),
            crashes: one.crashes,
            held: &one.held,
            observe: one.observe,
            actor: &one.actor,
            time: timestamp(one.time),
        }
    }
}

#[derive(Serialize)]
struct BannedObject<'a> {
    name: &'a str,
    stage: Option<u32>,
    why: &'a str,
    evidence: Vec<String>,
    time: String,
    rollbacks: u32,
    frozen: bool,
}

impl<'a> BannedObject<'a> {
    fn of(one: &'a Banned) -> BannedObject<'a> {
        BannedObject {
            name: &one.name,
            stage: (one.stage != 0).then_some(one.stage),
            why: &one.why,
            evidence: one.evidence.iter().map(|crash| format!("c-{crash}")).collect(),
            time: timestamp(one.time),
            rollbacks: one.rollbacks,
            frozen: one.frozen,
        }
    }
}
