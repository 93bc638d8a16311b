//! `flag wait`: until one flag is something, by sleeping on the board itself.

use super::args::Wait;
use super::board;
use super::known::kind_of;
use super::list::json;
use super::read::{not_there, object, plain};
use crate::board::Source;
use crate::cli::changing::usage;
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::output::{Output, printable};
use crate::config::plan::DEFAULT_TIMEOUT;
use crate::exit_code::ExitCode;
use crate::flags::{Kind, Truth, Value};
use crate::paths::Project;
use crate::store;
use crate::sys::clock;
use crate::time::Duration;

/// `flag wait`
pub(super) fn wait(wait: &Wait, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let board = board(project);
    let within = wait.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let deadline = clock::now() + within;
    loop {
        // The number first: a change between the two reads makes the wait return at once.
        let generation = board.generation();
        let reading = board.read(&wait.flag);
        let is = match (reading.truth, reading.source) {
            (Some(truth), _) => plain(truth),
            (None, Source::Unknown) => return Err(not_there(&wait.flag, reading, project)),
            (None, _) => "not known".to_owned(),
        };
        if let Some(truth) = reading.truth
            && is_met(truth, &wait.until, &|name| stage(&wait.flag, name, project))?
        {
            if output.json {
                object(&wait.flag, json(truth), &is, reading, generation, output)?;
            }
            return Ok(ExitCode::Done);
        }
        let left = deadline.since(clock::now());
        if left == Duration::ZERO {
            let within = duration::exact(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
            let (until, is) = (printable(&wait.until), printable(&is));
            let message = format!("waited {within} for flag `{}` to be {until}: it is {is}", wait.flag);
            return Err(Error::TimedOut { message });
        }
        board.wait(generation.unwrap_or_default(), left);
    }
}

/// The number of a stage of this migration, by its name.
fn stage(migration: &str, name: &str, project: &Project) -> Option<u32> {
    let declared = store::declared::recall(&project.state)?.migrations;
    declared.iter().find(|one| one.name == migration)?.stage_of(name)
}

/// Whether a flag that is this is what was typed; what it can never be is an error now, not a timeout.
fn is_met(truth: Truth, until: &str, stage: &dyn Fn(&str) -> Option<u32>) -> Result<bool, Error> {
    if until == "disabled" {
        return Ok(truth.disabled);
    }
    let wanted = match kind_of(truth.value) {
        Kind::Stage => {
            let number = until.parse().ok().or_else(|| stage(until));
            let wrong = || usage(format!("`{}` is no stage of this migration", until.escape_debug()), "");
            Value::Stage(number.ok_or_else(wrong)?)
        }
        kind => Value::parse(kind, until).map_err(|error| usage(error.to_string(), ""))?,
    };
    Ok(truth == wanted.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Packed;

    #[test]
    fn a_flag_of_any_kind_can_be_waited_for() {
        let is_met = |truth, until: &str| is_met(truth, until, &|name| (name == "registry").then_some(2));
        let text = |text: &str| Value::Text(Packed::new(text).unwrap());
        for (value, until, met) in [
            (Value::On, "on", true),
            (Value::On, "true", true),
            (Value::Share(12_500), "12.5%", true),
            (Value::Share(12_500), "12.50%", true),
            (Value::Off, "12.5%", false),
            (Value::Stage(2), "2", true),
            (Value::Stage(2), "3", false),
            (Value::Stage(2), "registry", true),
            (Value::Stage(1), "registry", false),
            (Value::Int(42), "42", true),
            (Value::Int(42), "+42", true),
            (text("debug"), "debug", true),
            (text("debug"), "\"debug\"", true),
            (text("info"), "debug", false),
            (Value::On, "disabled", false),
        ] {
            assert_eq!(is_met(value.into(), until).unwrap(), met, "{value} {until}");
        }
        assert!(is_met(Truth { value: Value::On, disabled: true }, "disabled").unwrap());
        assert!(!is_met(Truth { value: Value::On, disabled: true }, "on").unwrap());
    }

    #[test]
    fn what_it_can_never_be_is_said_at_once() {
        for (value, until) in
            [(Value::On, "42"), (Value::Int(1), "on"), (Value::Stage(1), "registry"), (Value::Off, "12.5")]
        {
            assert_eq!(
                is_met(value.into(), until, &|_| None).unwrap_err().code(),
                ExitCode::Usage,
                "{value} {until}"
            );
        }
    }
}
