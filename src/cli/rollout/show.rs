//! How a rollout looks: one line a step, the last of them in place on a terminal; in a pipe each when it is over; in
//! JSON an object for each change.

use super::Follow;
use crate::cli::bar::bar;
use crate::cli::changed::arrow;
use crate::cli::duration::{exact, setting};
use crate::cli::error::Error;
use crate::cli::flag::seen::Count;
use crate::cli::json::{SCHEMA, seconds};
use crate::cli::output::{Output, Style, printable};
use crate::cli::table::{length, shorten};
use crate::flags::guard::RollState;
use crate::flags::{Kind, Value, WHOLE};
use crate::ipc::flags::Roll;
use serde::Serialize;

/// What was drawn so far.
pub struct Picture {
    from: String,
    to: String,
    service: String,
    style: Style,
    /// What was drawn last.
    last: Option<Roll>,
    /// The line that may still change, as it stands on the terminal.
    line: String,
}

impl Picture {
    /// Nothing yet.
    pub fn new(follow: &Follow, style: Style) -> Picture {
        let Follow { from, to, service, .. } = follow.clone();
        Picture { from, to, service, style, last: None, line: String::new() }
    }

    /// Brings the picture up to date.
    pub fn draw(&mut self, roll: &Roll, output: &mut Output<'_>) -> Result<(), Error> {
        let last = self.last.replace(roll.clone());
        let moved = last.as_ref().is_none_or(|last| (last.step, last.state) != (roll.step, roll.state));
        if output.json {
            if moved {
                output.object(&Object::of(roll))?;
            }
            return output.flush();
        }
        if last.is_none() {
            let head = self.head(roll);
            output.line(&head)?;
        }
        // Steps that are over, from the one that was drawn last.
        let over = last.as_ref().map_or(roll.step, |last| last.step)..roll.step;
        for step in over {
            let seen = last.as_ref().filter(|last| last.step == step);
            let line =
                self.step(roll, step, &Now::Over { crashes: seen.map_or(0, |last| last.crashes) }, seen);
            self.settle(&line, output)?;
        }
        let held = roll.state == RollState::Held;
        match roll.state {
            RollState::Baking | RollState::Held => {
                let line = self.step(roll, roll.step, &Now::Baking, Some(roll));
                if self.style.terminal {
                    self.redraw(&line, output)?;
                } else if held && moved {
                    output.line(&line)?;
                }
            }
            RollState::Done => {
                let now = Now::Over { crashes: roll.crashes };
                let line = self.step(roll, roll.step, &now, Some(roll));
                self.settle(&line, output)?;
            }
            RollState::RolledBack | RollState::Ended => {
                // What is over does not bake any more: how far it came was seen before.
                let seen = last.filter(|last| last.step == roll.step);
                let (baked_ns, crashes, on) =
                    seen.map_or((0, 0, 0), |it| (it.baked_ns, it.crashes, it.instances_on));
                let cut = Roll {
                    baked_ns: roll.baked_ns.max(baked_ns),
                    crashes: roll.crashes.max(crashes),
                    instances_on: if on > 0 { on } else { roll.instances_on },
                    ..roll.clone()
                };
                let line = self.step(&cut, roll.step, &Now::CutShort, Some(&cut));
                self.settle(&line, output)?;
            }
        }
        output.flush()
    }

    /// What would be done, a line a step.
    pub fn plan(&self, roll: &Roll) -> Vec<String> {
        let planned = Roll { number: 0, ..roll.clone() };
        let bake =
            if roll.bake_ns == 0 { String::new() } else { format!("  bakes {}", setting(roll.bake_ns)) };
        let widest = widest(roll);
        let steps = roll
            .steps
            .iter()
            .map(|text| percent(text))
            .map(|text| format!("  {text:>widest$}  {}{bake}", bar(share(text), 20)));
        std::iter::once(self.head(&planned)).chain(steps).collect()
    }

    /// Ends the line that may still change where it is.
    pub fn leave(&mut self, output: &mut Output<'_>) -> Result<(), Error> {
        if !std::mem::take(&mut self.line).is_empty() {
            output.line("")?;
        }
        output.flush()
    }

    /// Says how it ended. `seen`: by how many it is seen that it was taken back.
    pub fn close(self, roll: &Roll, seen: Option<Count>, output: &mut Output<'_>) -> Result<(), Error> {
        if output.json {
            return Ok(());
        }
        for line in self.last_words(roll, seen) {
            output.line(&line)?;
        }
        Ok(())
    }

    /// A line that stays.
    fn settle(&mut self, line: &str, output: &mut Output<'_>) -> Result<(), Error> {
        if self.style.terminal {
            self.redraw(line, output)?;
            self.line.clear();
            return output.line("");
        }
        output.line(line)
    }

    /// The same line anew: without escapes, so that any terminal can do it.
    fn redraw(&mut self, line: &str, output: &mut Output<'_>) -> Result<(), Error> {
        let line = shorten(line, self.style.width.saturating_sub(1));
        if line == self.line {
            return Ok(());
        }
        let rest = length(&self.line).saturating_sub(length(&line));
        output.data(&format!("\r{line}{}", " ".repeat(rest)))?;
        self.line = line;
        Ok(())
    }

    /// `r-3  new-checkout off → on   guard: 3 crashes in 60s, ready, health`
    fn head(&self, roll: &Roll) -> String {
        let to = self.goal(roll);
        let from = if self.from.is_empty() { String::new() } else { format!("{} ", printable(&self.from)) };
        let number = if roll.number == 0 { "dry run".to_owned() } else { format!("r-{}", roll.number) };
        let guard = if roll.guard.is_empty() { String::new() } else { format!("   guard: {}", roll.guard) };
        let name = self.style.strong(&printable(&roll.name));
        format!("{number}  {name} {from}{} {to}{}", arrow(self.style), self.style.dim(&printable(&guard)))
    }

    /// `  25%  [#####...............]  0m41s / 2m     3 of 10 web   3 new crashes`
    fn step(&self, roll: &Roll, step: u32, now: &Now, seen: Option<&Roll>) -> String {
        let widest = widest(roll);
        let text = roll.steps.get(step as usize).map_or("", |text| percent(text));
        let baked = match now {
            Now::Over { .. } => format!("baked {}", clock_words(roll.bake_ns)),
            Now::Baking | Now::CutShort => {
                format!("{} / {}", clock_words(roll.baked_ns), setting(roll.bake_ns))
            }
        };
        let instances = match seen {
            Some(roll) if roll.instances > 0 => {
                let whom = if self.service.is_empty() { "instances" } else { &self.service };
                let (on, all) = (roll.instances_on.to_string(), roll.instances.to_string());
                format!("{on:>0$} of {all} {whom}   ", all.len())
            }
            _ => String::new(),
        };
        let words = match (now, roll.state) {
            (Now::Over { crashes }, _) => crashes_words(*crashes),
            (Now::Baking, RollState::Held) => format!("held: {}", printable(&roll.outcome)),
            (Now::Baking, _) if !roll.outcome.is_empty() => {
                format!("{}, {}", crashes_words(roll.crashes), printable(&roll.outcome))
            }
            (Now::Baking | Now::CutShort, _) => crashes_words(roll.crashes),
        };
        let bar = bar(share(text), 20);
        format!("  {text:>widest$}  {bar}  {baked:<12}   {instances}{words}").trim_end().to_owned()
    }

    fn last_words(&self, roll: &Roll, seen: Option<Count>) -> Vec<String> {
        let Style { glyphs, .. } = self.style;
        let outcome = printable(&roll.outcome);
        let why = if outcome.is_empty() { String::new() } else { format!(": {outcome}") };
        match roll.state {
            RollState::Done => {
                let good = self.style.good(if glyphs { "✓" } else { "ok" });
                let what = if roll.stage == 0 { "is" } else { "is at" };
                let (name, goal) = (printable(&roll.name), self.goal(roll));
                vec![format!(
                    "{good} {name} {what} {goal}, every step is proven, generation {}",
                    roll.generation
                )]
            }
            RollState::RolledBack => {
                let bad = self.style.bad(if glyphs { "✗" } else { "!!" });
                let took =
                    if roll.took_ns == 0 { String::new() } else { format!(" in {}", exact(roll.took_ns)) };
                let mut lines = vec![format!("{bad} rolled back{took}{why}")];
                let again = match seen {
                    Some(Count { read, newest }) if read > 0 && newest == read => {
                        format!("all {read} read {} again", self.before())
                    }
                    Some(Count { read, newest }) if read > 0 => {
                        format!("{newest} of {read} read {} again so far", self.before())
                    }
                    _ => format!("{} again", self.before()),
                };
                let mut line = format!("  {again}, generation {}.", roll.generation);
                if let Some(crash) = roll.evidence.first() {
                    line += &format!(" Evidence: mainstay crash show c-{crash}");
                }
                lines.push(line);
                lines
            }
            RollState::Ended => {
                let mark = self.style.dim(if glyphs { "■" } else { "--" });
                vec![format!("{mark} r-{} ended at {}{why}", roll.number, share_of(roll))]
            }
            RollState::Baking | RollState::Held => Vec::new(),
        }
    }

    /// What the last step makes of it: `on`, `50%`, `stage 2 telemetry`.
    fn goal(&self, roll: &Roll) -> String {
        let last = roll.steps.last().map_or("", String::as_str);
        match roll.stage {
            0 => Value::of_share(share(last)).to_string(),
            stage if self.to.is_empty() => format!("stage {stage}"),
            _ => format!("stage {}", printable(&self.to)),
        }
    }

    fn before(&self) -> String {
        if self.from.is_empty() { "as before".to_owned() } else { printable(&self.from) }
    }
}

/// How far a step is.
enum Now {
    /// It has baked.
    Over { crashes: u32 },
    /// It bakes, or is held.
    Baking,
    /// It ended before it had baked.
    CutShort,
}

fn widest(roll: &Roll) -> usize {
    roll.steps.iter().map(|text| length(percent(text))).max().unwrap_or(0).max(4)
}

fn crashes_words(crashes: u32) -> String {
    match crashes {
        0 => "ok".to_owned(),
        1 => "1 new crash".to_owned(),
        n => format!("{n} new crashes"),
    }
}

/// The share of a step, which is written as a value: `12.5%`, and `on` for all.
pub fn share(text: &str) -> u32 {
    match Value::parse(Kind::Percent, text) {
        Ok(Value::On) => WHOLE,
        Ok(Value::Share(share)) => share,
        _ => 0,
    }
}

/// A step as it is shown: `100%` for all.
pub fn percent(text: &str) -> &str {
    if text == "on" { "100%" } else { text }
}

/// The share of the step that is in force, as people write it.
pub fn share_of(roll: &Roll) -> &str {
    roll.steps.get(roll.step as usize).map_or("-", |text| percent(text))
}

/// A state as people say it.
pub fn words_of_state(state: RollState) -> &'static str {
    match state {
        RollState::Baking => "baking",
        RollState::Held => "held",
        RollState::Done => "done",
        RollState::RolledBack => "rolled back",
        RollState::Ended => "ended",
    }
}

/// `0m41s`, `2m00s`, `1h02m`; below a minute `41s`, below ten seconds `0.3s`: always as wide for one rollout.
pub fn clock_words(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..10 => format!("{:.1}s", (nanos / 100_000_000) as f64 / 10.0),
        10..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// A rollout in JSON.
#[derive(Serialize)]
pub struct Object<'a> {
    schema: u32,
    roll: String,
    name: &'a str,
    /// null: it is a flag's.
    stage: Option<u32>,
    state: RollState,
    steps: &'a [String],
    step: u32,
    share: &'a str,
    baked_seconds: f64,
    bake_seconds: f64,
    /// null where the unit is not the instance.
    instances: Option<u32>,
    instances_on: Option<u32>,
    crashes: u32,
    outcome: &'a str,
    evidence: Vec<String>,
    guard: &'a str,
    generation: u64,
    took_ns: u64,
}

impl<'a> Object<'a> {
    /// This one.
    pub fn of(roll: &'a Roll) -> Object<'a> {
        let counted = roll.instances > 0;
        Object {
            schema: SCHEMA,
            roll: format!("r-{}", roll.number),
            name: &roll.name,
            stage: (roll.stage != 0).then_some(roll.stage),
            state: roll.state,
            steps: &roll.steps,
            step: roll.step,
            share: share_of(roll),
            baked_seconds: seconds(roll.baked_ns),
            bake_seconds: seconds(roll.bake_ns),
            instances: counted.then_some(roll.instances),
            instances_on: counted.then_some(roll.instances_on),
            crashes: roll.crashes,
            outcome: &roll.outcome,
            evidence: roll.evidence.iter().map(|crash| format!("c-{crash}")).collect(),
            guard: &roll.guard,
            generation: roll.generation,
            took_ns: roll.took_ns,
        }
    }
}

#[cfg(test)]
#[path = "show/tests.rs"]
mod tests;
