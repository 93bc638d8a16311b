//! `flag set`, `enable`, `disable`, `percent`, `reset`, `load`: one request to the keeper, all flags at once.

use super::args::{Load, Names, Percent, Reset, Set};
use super::seen;
use crate::cli::changed;
use crate::cli::changing::{self, Changing, usage};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::exit_code::ExitCode;
use crate::ipc::flags::{Changed, Edit, How, Request, To};
use crate::paths::Project;
use crate::services::keeper::client::Answer;
use crate::sys::clock;
use crate::time::Duration;

/// On a terminal, a change waits so long for those who read the flag to see it.
const GLANCE: Duration = Duration::from_millis(300);

/// `flag set`
pub(super) fn set(set: &Set, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let edits = edits(&set.assignments).map_err(|message| usage(message, ""))?;
    let how = Also { override_ban: set.override_ban, wait_seen: set.wait_seen };
    change(edits, &set.changing, how, project, output)
}

/// `flag enable`, `flag disable`
pub(super) fn all(
    names: &Names,
    to: To,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let edits = names.flags.iter().map(|flag| Edit::new(flag, to.to_string())).collect();
    let how = Also { override_ban: names.override_ban, wait_seen: names.wait_seen };
    change(edits, &names.changing, how, project, output)
}

/// `flag percent`
pub(super) fn percent(
    percent: &Percent,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let edit = Edit::new(&percent.flag, percent.share.to_string());
    let how = Also { override_ban: percent.override_ban, wait_seen: percent.wait_seen };
    change(vec![edit], &percent.changing, how, project, output)
}

/// `flag reset`
pub(super) fn reset(reset: &Reset, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let request = |how| Request::Reset { how, flags: reset.flags.clone() };
    let answer = changing::change(project, &reset.changing, false, output, request)?;
    told(&answer, &reset.changing, "every flag is on its default already", output)
}

/// `flag load`
pub(super) fn load(load: &Load, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let request = |how| Request::Load { how };
    let answer = changing::change(project, &load.changing, false, output, request)?;
    told(&answer, &load.changing, "every flag is as the configuration says already", output)
}

/// What a change may be told besides.
#[derive(Clone, Copy, Default)]
pub(super) struct Also {
    pub(super) override_ban: bool,
    pub(super) wait_seen: bool,
}

/// All of these at once.
pub(super) fn change(
    edits: Vec<Edit>,
    changing: &Changing,
    also: Also,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let deadline = clock::now() + changing.within();
    let request = |how: How| Request::Set { how, edits: edits.clone() };
    let answer = changing::change(project, changing, also.override_ban, output, request)?;
    let changes: Vec<&Changed> = changing::changes(&answer).collect();
    let flags: Vec<String> =
        changes.iter().filter(|changed| !changed.unchanged).map(|changed| changed.flag.clone()).collect();
    let look = !changing.dry_run && !flags.is_empty();
    if output.json {
        let seen = if look && also.wait_seen { seen::wait(project, &flags, deadline) } else { None };
        changes.iter().try_for_each(|changed| {
            output.object(&changed::Object::of(changed, changing.dry_run, seen.map(|(count, _)| count)))
        })?;
        return finish(&answer, changing, also, seen.map(|(count, _)| count), output);
    }
    // The line stands before the wait, so that whoever is interrupted meanwhile knows that it was done.
    let lines: Vec<String> =
        changes.iter().map(|one| changed::line(one, changing.dry_run, output.style)).collect();
    output.data(&lines.join("\n"))?;
    let wait = match (also.wait_seen, output.style.terminal) {
        (true, _) => Some(deadline),
        (false, true) => Some(deadline.min(clock::now() + GLANCE)),
        (false, false) => None,
    };
    let seen = match wait.filter(|_| look) {
        Some(until) => {
            output.flush()?;
            seen::wait(project, &flags, until)
        }
        None => None,
    };
    let words = seen.map(|(count, took)| count.words(took)).filter(|words| !words.is_empty());
    let between = if lines.len() == 1 { ", " } else { "\n" };
    let tail = words.map_or_else(String::new, |words| format!("{between}{words}"));
    output.line(&tail)?;
    finish(&answer, changing, also, seen.map(|(count, _)| count), output)
}

/// Says what became of every flag.
pub(super) fn told(
    answer: &Answer,
    changing: &Changing,
    nothing: &str,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    changing::tell(answer, changing, output, |changes, output| {
        for changed in changes {
            let line = changed::line(changed, changing.dry_run, output.style);
            output.line(&line)?;
        }
        if changes.is_empty() {
            output.say(nothing);
        }
        Ok(())
    })
}

fn finish(
    answer: &Answer,
    changing: &Changing,
    also: Also,
    seen: Option<seen::Count>,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let code = changing::kept(answer, changing, output);
    match seen {
        Some(count) if also.wait_seen && !count.complete() => {
            let (late, all) = (count.read - count.newest, count.read);
            let message = format!("the change was made, and {late} of {all} processes have not seen it");
            return Err(Error::TimedOut { message });
        }
        None if also.wait_seen
            && changing::changes(answer).any(|one| !one.unchanged)
            && !changing.dry_run =>
        {
            let message = "the change was made, and nobody could be asked who has seen it".to_owned();
            return Err(Error::TimedOut { message });
        }
        _ => {}
    }
    Ok(code)
}

/// `a=on b=12.5%`, or `a on`.
fn edits(words: &[String]) -> Result<Vec<Edit>, String> {
    let edit = |flag: &str, value: &str| Edit::new(flag, value);
    match words {
        [flag, value] if !flag.contains('=') && !value.contains('=') => Ok(vec![edit(flag, value)]),
        words => words
            .iter()
            .map(|word| match word.split_once('=') {
                Some((flag, value)) => Ok(edit(flag, value)),
                None => Err(format!("`{word}`: write FLAG=VALUE, for instance {word}=on")),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn check(typed: &[&str], expected: &[(&str, &str)]) {
        let edits = edits(&words(typed)).unwrap();
        let seen: Vec<_> = edits.iter().map(|e| (e.flag.as_str(), e.to.as_str())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn assignments_are_taken_with_or_without_an_equals_sign() {
        check(&["a=on"], &[("a", "on")]);
        check(&["a", "12.5%"], &[("a", "12.5%")]);
        check(&["a=on", "b=default"], &[("a", "on"), ("b", "default")]);
        check(&["a=x=y"], &[("a", "x=y")]);
        check(&["log-level=debug"], &[("log-level", "debug")]);
        for typed in [&["a"][..], &["a=on", "off"]] {
            assert!(edits(&words(typed)).is_err(), "{typed:?}");
        }
    }
}
