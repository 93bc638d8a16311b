//! `flag roll`: a flag comes in by steps, each of which bakes before the next.

use super::known::PATIENCE;
use crate::cli::changing::{self, Changing, usage};
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::cli::rollout::{self, Follow, Object, follow, steer};
use crate::exit_code::ExitCode;
use crate::flags::Value;
use crate::ipc::flags::{Flag, Reply, Request, Steering};
use crate::paths::Project;
use crate::services::keeper::client;
use clap::{ArgGroup, Args, ValueEnum};
use std::time::Duration;

/// `flag roll`
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["flag", "status", "follow", "end", "back", "on"]))]
pub struct Roll {
    /// Which.
    #[arg(value_name = "FLAG", requires = "steps")]
    pub flag: Option<String>,
    /// The percentages, rising: 1,10,50,100.
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', requires = "flag", value_parser = percent)]
    pub steps: Vec<String>,
    /// How long each step is watched before the next; as the flag is declared, or 5m, when not given.
    #[arg(long, value_name = "DURATION", requires = "flag", value_parser = duration::parse)]
    pub bake: Option<Duration>,
    /// Whose share it is; as the flag is declared when not given.
    #[arg(long, requires = "flag", value_enum)]
    pub unit: Option<Unit>,
    /// Show how this rollout is; all of them when none is named.
    #[arg(long, value_name = "ROLL", num_args = 0..=1, value_parser = rollout::number)]
    pub status: Option<Option<u64>>,
    /// Show this rollout to its end.
    #[arg(long, value_name = "ROLL", value_parser = rollout::number)]
    pub follow: Option<u64>,
    /// End this rollout; what it has brought in stays.
    #[arg(long, value_name = "ROLL", value_parser = rollout::number)]
    pub end: Option<u64>,
    /// End this rollout; what held before holds again.
    #[arg(long, value_name = "ROLL", value_parser = rollout::number)]
    pub back: Option<u64>,
    /// Let this rollout, which is held, take its next step.
    #[arg(long, value_name = "ROLL", value_parser = rollout::number)]
    pub on: Option<u64>,
    /// Print its number and return; it goes on by itself.
    #[arg(long, requires = "flag", conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Roll it out although the guard has banned it.
    #[arg(long, requires = "flag")]
    pub override_ban: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// Whose share it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Of ids that readers name.
    Id,
    /// Of hosts.
    Host,
    /// Of the instances of its services.
    Instance,
}

/// `10` or `10%` as the keeper takes it.
fn percent(text: &str) -> Result<String, String> {
    match Value::of_percent(text.trim()).map_err(|error| error.to_string())? {
        Value::On => Ok("100%".to_owned()),
        Value::Off => Err("a step above 0% brings something in; to take it all back, set it off".to_owned()),
        share => Ok(share.to_string()),
    }
}

/// `flag roll`
pub(super) fn run(roll: &Roll, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let changing = &roll.changing;
    if let Some(flag) = &roll.flag {
        return begin(flag, roll, project, output);
    }
    if let Some(number) = roll.status {
        return steer::status(number, changing, project, output);
    }
    if let Some(number) = roll.follow {
        return steer::attach(number, changing, project, output);
    }
    let steering = [(roll.end, Steering::End), (roll.back, Steering::Back), (roll.on, Steering::On)];
    match steering.into_iter().find_map(|(number, to)| Some((number?, to))) {
        Some((number, to)) => steer::steer(number, to, changing, project, output),
        None => Err(usage("say what to roll out, or which rollout is meant", "")),
    }
}

fn begin(flag: &str, roll: &Roll, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let before = look(flag, project);
    let unit = match roll.unit {
        None => "",
        Some(Unit::Id) => "id",
        Some(Unit::Host) => "host",
        Some(Unit::Instance) => "instance",
    };
    let bake_ns = roll.bake.map_or(0, |bake| u64::try_from(bake.as_nanos()).unwrap_or(u64::MAX));
    // Following may take hours; beginning may not.
    let asking = Changing { timeout: None, ..roll.changing.clone() };
    let answer = changing::change(project, &asking, roll.override_ban, output, |how| Request::Roll {
        how,
        flag: flag.to_owned(),
        steps: roll.steps.clone(),
        bake_ns,
        unit: unit.to_owned(),
    })?;
    let begun =
        rollout::rolls(answer.replies.clone()).into_iter().next_back().ok_or_else(|| Error::Failed {
            message: format!("the keeper took the rollout of `{flag}` without saying its number"),
            hint: "mainstay flag roll --status".to_owned(),
        })?;
    if roll.changing.dry_run {
        return rollout::planned(&begun, &from(before.as_ref()), output);
    }
    let code = changing::kept(&answer, &roll.changing, output);
    if roll.no_wait {
        return match output.json {
            true => output.object(&Object::of(&begun)),
            false => output.line(&format!("r-{}", begun.number)),
        }
        .map(|()| code);
    }
    let how = Follow {
        from: from(before.as_ref()),
        service: before.as_ref().map_or_else(String::new, service),
        flags: vec![flag.to_owned()],
        timeout: roll.changing.timeout,
        ..Follow::default()
    };
    follow(begun, &how, project, output)
}

/// What the flag was before; `None`: it is not known, and nobody needs to.
fn look(flag: &str, project: &Project) -> Option<Flag> {
    let request = Request::List { flags: vec![flag.to_owned()] };
    let answer = client::ask(&project.runtime, &request, PATIENCE).ok()?;
    answer.replies.into_iter().find_map(|reply| match reply {
        Reply::Flag(flag) => Some(*flag),
        _ => None,
    })
}

fn from(flag: Option<&Flag>) -> String {
    flag.map_or_else(String::new, |flag| flag.truth.to_string())
}

/// The one service whose instances count.
fn service(flag: &Flag) -> String {
    let guarded = flag.declared.guard.as_ref().map_or(&[][..], |guard| &guard.services[..]);
    let services = if flag.declared.services.is_empty() { guarded } else { &flag.declared.services[..] };
    match services {
        [one] => one.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_share_that_brings_something_in() {
        assert_eq!(percent("10"), Ok("10%".to_owned()));
        assert_eq!(percent(" 12.5%"), Ok("12.5%".to_owned()));
        assert_eq!(percent("100"), Ok("100%".to_owned()));
        for wrong in ["0", "101", "", "ten", "-1", "0.0001"] {
            assert!(percent(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
