//! `stage enable`, `stage rollback`: one request; a stage with steps is followed like a rollout.

use super::args::{Enable, Rollback};
use super::{at, list, migrations};
use crate::cli::changed::{self, arrow};
use crate::cli::changing::{self, Changing};
use crate::cli::error::Error;
use crate::cli::guard::bakes;
use crate::cli::output::{Output, printable};
use crate::cli::rollout::{self, Follow, follow, rolls};
use crate::exit_code::ExitCode;
use crate::ipc::flags::{How, Migration, Request, Stage, Way};
use crate::paths::Project;
use crate::services::keeper::client::Answer;

/// `stage enable`
pub(super) fn enable(enable: &Enable, project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let request = |how: How| Request::Stage {
        how,
        migration: enable.migration.clone(),
        to: enable.stage.clone(),
        way: Way::Enable,
        force: enable.force,
        past_one_way: false,
        at_once: enable.at_once,
    };
    let before = now(&enable.migration, project);
    // Following may take hours; beginning may not.
    let asking = Changing { timeout: None, ..enable.changing.clone() };
    let answer = changing::change(project, &asking, enable.override_ban, output, request)?;
    let Some(roll) = rolls(answer.replies.clone()).into_iter().next_back() else {
        return told(
            &answer,
            before.as_ref(),
            (&enable.migration, &enable.stage),
            &enable.changing,
            project,
            output,
        );
    };
    let from = before.as_ref().map_or_else(String::new, |(migration, _)| list::place(migration));
    if enable.changing.dry_run {
        return rollout::planned(&roll, &from, output);
    }
    let code = changing::kept(&answer, &enable.changing, output);
    if enable.no_wait {
        return match output.json {
            true => output.object(&rollout::Object::of(&roll)),
            false => output.line(&format!("r-{}", roll.number)),
        }
        .map(|()| code);
    }
    let stages = before.map(|(_, stages)| stages).unwrap_or_default();
    let stage = stages.into_iter().find(|stage| stage.number == roll.stage);
    let how = Follow {
        from,
        to: stage.as_ref().map_or_else(String::new, |stage| at(stage.number, &stage.name)),
        flags: stage.into_iter().flat_map(|stage| stage.flags).map(|(flag, _)| flag).collect(),
        timeout: enable.changing.timeout,
        ..Follow::default()
    };
    follow(roll, &how, project, output)
}

/// `stage rollback`
pub(super) fn rollback(
    rollback: &Rollback,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let request = |how: How| Request::Stage {
        how,
        migration: rollback.migration.clone(),
        to: rollback.stage.clone(),
        way: Way::Rollback,
        force: false,
        past_one_way: rollback.past_one_way,
        at_once: false,
    };
    let before = now(&rollback.migration, project);
    let answer = changing::change(project, &rollback.changing, false, output, request)?;
    told(
        &answer,
        before.as_ref(),
        (&rollback.migration, &rollback.stage),
        &rollback.changing,
        project,
        output,
    )
}

/// Where a migration stands; `None`: it is not known, and nobody needs to.
fn now(name: &str, project: &Project) -> Option<(Migration, Vec<Stage>)> {
    migrations(&[name.to_owned()], project).ok()?.pop()
}

/// The migration, then its flags below it, then the guard. `before`: where it stood, when that is known.
fn told(
    answer: &Answer,
    before: Option<&(Migration, Vec<Stage>)>,
    (migration, to): (&str, &str),
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    changing::tell(answer, changing, output, |changes, output| {
        let style = output.style;
        let own = changes.iter().find(|changed| changed.flag == migration);
        let after = if changing.dry_run { None } else { now(migration, project) };
        let from = match (own, before) {
            (_, Some((before, _))) => list::place(before),
            (Some(own), None) => printable(&own.old),
            (None, None) => "?".to_owned(),
        };
        let line = match (&after, own) {
            (Some((after, _)), _) => {
                let to = list::place(after);
                format!(
                    "{} stage {from} {} {to}  generation {}",
                    printable(migration),
                    arrow(style),
                    after.generation
                )
            }
            (None, Some(own)) => changed::line(own, changing.dry_run, style),
            (None, None) => {
                let stages = before.map_or(&[][..], |(_, stages)| stages);
                let meant = stages.iter().find(|stage| stage.name == to || stage.number.to_string() == to);
                let to = meant.map_or_else(|| printable(to), |stage| at(stage.number, &stage.name));
                format!("{} stage {from} {} {to}  dry run", printable(migration), arrow(style))
            }
        };
        output.line(&line)?;
        for changed in changes.iter().filter(|one| one.flag != migration && one.old != one.new) {
            let line = format!("  {}", changed::what(changed, style));
            output.line(&line)?;
        }
        match bakes(migration, project).filter(|_| !changing.dry_run) {
            Some(words) => output.line(&format!("  {words}")),
            None => Ok(()),
        }
    })
}
