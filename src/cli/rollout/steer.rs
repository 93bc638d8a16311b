//! Rollouts that are there already: how they are, and what becomes of them.

use super::show::{self, Object, clock_words, share_of};
use super::{Follow, follow, no_such, rolls, words_of_state};
use crate::cli::bar::bar;
use crate::cli::changed;
use crate::cli::changing::{self, Changing, ask};
use crate::cli::duration::setting;
use crate::cli::error::Error;
use crate::cli::output::{Output, Style, printable};
use crate::cli::table::{Table, shorten};
use crate::exit_code::ExitCode;
use crate::flags::guard::RollState;
use crate::ipc::flags::{Reply, Request, Roll, Steering};
use crate::paths::Project;

/// How one rollout is, or all that are kept are.
pub fn status(
    number: Option<u64>,
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let request = Request::Rolls { rolls: number.into_iter().collect() };
    let rolls = rolls(ask(project, &request, changing.within())?.replies);
    if let Some(number) = number.filter(|number| !rolls.iter().any(|roll| roll.number == *number)) {
        return Err(Error::Refused(no_such(number)));
    }
    if output.json {
        return rolls.iter().try_for_each(|roll| output.object(&Object::of(roll))).map(|()| ExitCode::Done);
    }
    if rolls.is_empty() {
        output.say("nothing is being rolled out; begin with `mainstay flag roll FLAG --steps 1,10,50,100`");
        return Ok(ExitCode::Done);
    }
    let text = render(&rolls, output.style);
    output.data(&text)?;
    Ok(ExitCode::Done)
}

/// Shows an earlier rollout to its end.
pub fn attach(
    number: u64,
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let request = Request::Rolls { rolls: vec![number] };
    let found = rolls(ask(project, &request, changing.within())?.replies);
    let roll = found.into_iter().find(|roll| roll.number == number);
    let roll = roll.ok_or_else(|| Error::Refused(no_such(number)))?;
    let flags = if roll.stage == 0 { vec![roll.name.clone()] } else { Vec::new() };
    let how = Follow { flags, timeout: changing.timeout, ..Follow::default() };
    follow(roll, &how, project, output)
}

/// Ends a rollout, takes it back, or lets a held one go on.
pub fn steer(
    number: u64,
    to: Steering,
    changing: &Changing,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let request = |how| Request::Steer { how, roll: number, to };
    let answer = changing::change(project, changing, false, output, request)?;
    for reply in &answer.replies {
        match reply {
            Reply::Changed(changed) if output.json => {
                output.object(&changed::Object::of(changed, changing.dry_run, None))?;
            }
            Reply::Changed(changed) => {
                let line = changed::line(changed, changing.dry_run, output.style);
                output.line(&line)?;
            }
            Reply::Roll(roll) if output.json => output.object(&Object::of(roll))?,
            Reply::Roll(roll) => {
                let line = line(roll);
                output.line(&line)?;
            }
            _ => {}
        }
    }
    Ok(changing::kept(&answer, changing, output))
}

/// `r-3 new-checkout ended at 25%`
fn line(roll: &Roll) -> String {
    let outcome = printable(&roll.outcome);
    let why = if outcome.is_empty() { String::new() } else { format!(": {outcome}") };
    let (name, state, share) = (printable(&roll.name), words_of_state(roll.state), share_of(roll));
    format!("r-{} {name} {state} at {share}{why}", roll.number)
}

/// The newest first.
fn render(rolls: &[Roll], style: Style) -> String {
    let mut rolls: Vec<&Roll> = rolls.iter().collect();
    rolls.sort_unstable_by_key(|roll| std::cmp::Reverse(roll.number));
    let mut table = table(&rolls, 20, usize::MAX);
    for (bar, why) in [(10, usize::MAX), (10, 24), (0, 24), (0, 12)] {
        if table.width() <= style.width {
            break;
        }
        table = self::table(&rolls, bar, why);
    }
    let lines = table.lines(|row, column, cell| match (row, column) {
        (None, _) => style.dim(cell),
        (Some(row), 3) => match rolls[row].state {
            RollState::Done => style.good(cell),
            RollState::RolledBack => style.bad(cell),
            RollState::Baking | RollState::Held => style.busy(cell),
            RollState::Ended => cell.to_owned(),
        },
        _ => cell.to_owned(),
    });
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

fn table(rolls: &[&Roll], places: usize, longest: usize) -> Table {
    let mut table = Table::new(["ROLL", "FLAG", "STEP", "STATE", "BAKED", "WHY"]);
    for roll in rolls {
        let name = match roll.stage {
            0 => roll.name.clone(),
            stage => format!("{} {stage}", roll.name),
        };
        let share = share_of(roll);
        let step =
            format!("{} {share} {}/{}", bar(show::share(share), places), roll.step + 1, roll.steps.len());
        let baked = format!("{} / {}", clock_words(roll.baked_ns), setting(roll.bake_ns));
        let outcome = if roll.outcome.is_empty() { "-".to_owned() } else { printable(&roll.outcome) };
        table.row(vec![
            format!("r-{}", roll.number),
            name,
            step.trim_start().to_owned(),
            words_of_state(roll.state).to_owned(),
            baked,
            shorten(&outcome, longest),
        ]);
    }
    table
}
