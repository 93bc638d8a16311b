//! `flag set`, `enable`, `disable`, `percent`, `reset`: one request to the keeper, all flags at once.

use super::args::{Changing, Names, Percent, Reset, Set};
use super::ask;
use crate::cli::error::Error;
use crate::cli::output::{Output, printable};
use crate::config::plan::DEFAULT_TIMEOUT;
use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Changed, Edit, How, Reply, Request, To};
use crate::paths::Project;
use crate::services::keeper::client::fresh_id;
use serde::Serialize;

/// `flag set`
pub(super) fn set(set: &Set, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let edits = edits(&set.assignments).map_err(usage)?;
    change(edits, &set.changing, project, output)
}

/// `flag enable`, `flag disable`
pub(super) fn all(
    names: &Names,
    to: To,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let edits = names.flags.iter().map(|flag| Edit { flag: flag.clone(), to: to.to_string() }).collect();
    change(edits, &names.changing, project, output)
}

/// `flag percent`
pub(super) fn percent(
    percent: &Percent,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let edit = Edit { flag: percent.flag.clone(), to: percent.share.to_string() };
    change(vec![edit], &percent.changing, project, output)
}

/// `flag reset`
pub(super) fn reset(reset: &Reset, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let request = Request::Reset { how: how(&reset.changing), flags: reset.flags.clone() };
    send(&request, &reset.changing, project, output)
}

fn change(
    edits: Vec<Edit>,
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    send(&Request::Set { how: how(changing), edits }, changing, project, output)
}

fn how(changing: &Changing) -> How {
    How {
        id: fresh_id(),
        reason: changing.why.clone().unwrap_or_default(),
        volatile: changing.volatile,
        dry_run: changing.dry_run,
        override_ban: false,
    }
}

fn send(
    request: &Request,
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let answer = ask(project, request, changing.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    let mut durable = true;
    let mut count = 0;
    for reply in &answer.replies {
        let Reply::Changed(changed) = reply else { continue };
        count += 1;
        durable &= changed.durable;
        if output.json {
            output.object(&Object::of(changed, changing.dry_run))?;
        } else {
            let line = line(changed, changing.dry_run, output.style.glyphs);
            output.line(&line)?;
        }
    }
    if count == 0 && !output.json {
        output.say("every flag is on its default already");
    }
    if !durable && !changing.dry_run {
        output.say(
            "warning: this is in memory only, and lost if the keeper dies before the disk can be written",
        );
        // Asked for without --volatile, it is what somebody else forced in before.
        return Ok(if changing.volatile { ExitCode::Done } else { ExitCode::Failed });
    }
    Ok(ExitCode::Done)
}

/// `new-checkout off → on  generation 43`
fn line(changed: &Changed, dry_run: bool, glyphs: bool) -> String {
    let arrow = if glyphs { "→" } else { "->" };
    let Changed { flag, old, new, generation, unchanged, durable, .. } = changed;
    let flag = printable(flag);
    if *unchanged {
        return format!("{flag} is {new} already  generation {generation}");
    }
    let number = if dry_run { "dry run".to_owned() } else { format!("generation {generation}") };
    let memory = if *durable || dry_run { "" } else { ", in memory only" };
    format!("{flag} {old} {arrow} {new}  {number}{memory}")
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    flag: &'a str,
    old: &'a str,
    new: &'a str,
    generation: u64,
    unchanged: bool,
    durable: bool,
    dry_run: bool,
}

impl<'a> Object<'a> {
    fn of(changed: &'a Changed, dry_run: bool) -> Object<'a> {
        let Changed { flag, old, new, generation, unchanged, durable, .. } = changed;
        let (generation, unchanged, durable) = (*generation, *unchanged, *durable);
        Object { schema: 1, flag, old, new, generation, unchanged, durable, dry_run }
    }
}

/// `a=on b=12.5%`, or `a on`.
fn edits(words: &[String]) -> Result<Vec<Edit>, String> {
    let edit = |flag: &str, value: &str| Edit { flag: flag.to_owned(), to: value.to_owned() };
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

fn usage(message: String) -> Error {
    Error::Refused(Refusal { code: ExitCode::Usage.number(), message, hint: String::new() })
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
        for typed in [&["a"][..], &["a=on", "off"]] {
            assert!(edits(&words(typed)).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn a_change_is_one_line_with_its_number() {
        let changed = Changed {
            flag: "x".into(),
            old: "off".into(),
            new: "12.5%".into(),
            generation: 43,
            unchanged: false,
            repeated: false,
            durable: true,
        };
        assert_eq!(line(&changed, false, true), "x off → 12.5%  generation 43");
        assert_eq!(line(&changed, true, false), "x off -> 12.5%  dry run");
        let volatile = Changed { durable: false, ..changed.clone() };
        assert_eq!(line(&volatile, false, true), "x off → 12.5%  generation 43, in memory only");
        let same = Changed { unchanged: true, ..changed };
        assert_eq!(line(&same, false, true), "x is 12.5% already  generation 43");
    }
}
