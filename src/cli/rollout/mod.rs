//! Following a rollout to its end: of a flag, or of a stage that comes in by steps.
//!
//! The keeper does it; this asks how far it is, again and again, so the keeper may die meanwhile. Who stops following
//! changes nothing.

mod show;
pub mod steer;

pub use show::{Object, clock_words, percent, share, share_of, words_of_state};

use super::duration::exact;
use super::error::Error;
use super::flag::seen;
use super::output::Output;
use crate::board::Board;
use crate::exit_code::ExitCode;
use crate::flags::guard::RollState;
use crate::ipc::client::CallError;
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Reply, Request, Roll};
use crate::paths::Project;
use crate::services::keeper::client::{self, AskError};
use crate::sys::signal::Interrupt;
use crate::sys::{clock, futex};
use crate::time::{Duration, Instant};
use show::Picture;

/// How often to look; what changes the board is seen at once.
const EVERY: Duration = Duration::from_millis(200);
/// A keeper that is away is back within milliseconds; after this there is no supervisor.
const AWAY: Duration = Duration::from_secs(10);
/// So long is waited for readers to see that it was taken back.
const GLANCE: Duration = Duration::from_secs(1);

/// `r-3`, `3`
///
/// # Errors
/// What to write instead.
pub fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("r-").unwrap_or(text);
    let number = digits.parse().ok().filter(|number| *number != 0);
    number.ok_or_else(|| "write the number of a rollout, like r-3".to_owned())
}

/// What is known of a rollout that is to be followed.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// What held before, when somebody looked.
    pub from: String,
    /// What it comes to, when that is more than the last step says: `2 telemetry`.
    pub to: String,
    /// The service whose instances are counted; empty: several, or not known.
    pub service: String,
    /// The flags by which readers can be asked whether they saw it being taken back.
    pub flags: Vec<String>,
    /// How long to follow; `None`: to its end.
    pub timeout: Option<Duration>,
}

/// Shows the steps of a rollout until it is over: 0 when it came to its end, 1 when it was taken back or ended.
///
/// # Errors
/// It ran longer than the timeout; nobody answers any more.
pub fn follow(
    first: Roll,
    follow: &Follow,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let interrupt =
        Interrupt::listen().map_err(|source| Error::System { doing: "listening to Ctrl-C", source })?;
    let deadline = follow.timeout.map(|timeout| clock::now() + timeout);
    let board = Board::open(&project.runtime);
    let mut picture = Picture::new(follow, output.style);
    let mut roll = first;
    let mut answered = clock::now();
    loop {
        let generation = board.generation();
        picture.draw(&roll, output)?;
        if is_over(roll.state) {
            return end(&roll, follow, project, picture, output);
        }
        if interrupt.arrived() {
            picture.leave(output)?;
            output.say(&left_alone(&roll));
            output.flush()?;
            return Err(Error::Interrupted);
        }
        let now = clock::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            picture.leave(output)?;
            return Err(late(&roll, follow.timeout.unwrap_or_default()));
        }
        let left = deadline.map_or(EVERY, |deadline| deadline.since(now)).min(EVERY);
        match generation {
            Some(generation) => drop(board.wait(generation, left)),
            None => futex::pause(left),
        }
        match look(project, roll.number, clock::now() + EVERY.max(left)) {
            Ok(news) => {
                roll = news;
                answered = clock::now();
            }
            Err(error) if is_away(&error) && clock::now().since(answered) < AWAY => {}
            Err(error) => {
                picture.leave(output)?;
                return Err(lost(error, &roll, project));
            }
        }
    }
}

/// Shows what a rollout would do.
///
/// # Errors
/// Only those of writing.
pub fn planned(roll: &Roll, from: &str, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    if output.json {
        output.object(&Object::of(roll))?;
        return Ok(ExitCode::Done);
    }
    let follow = Follow { from: from.to_owned(), ..Follow::default() };
    for line in Picture::new(&follow, output.style).plan(roll) {
        output.line(&line)?;
    }
    Ok(ExitCode::Done)
}

/// How a rollout is now.
fn look(project: &Project, number: u64, deadline: Instant) -> Result<Roll, AskError> {
    let request = Request::Rolls { rolls: vec![number] };
    let answer = client::ask_once(&client::socket(&project.runtime), &request, deadline)?;
    rolls(answer.replies)
        .into_iter()
        .find(|roll| roll.number == number)
        .ok_or_else(|| AskError::Refused(no_such(number)))
}

/// The replies that are rollouts.
pub fn rolls(replies: Vec<Reply>) -> Vec<Roll> {
    let rolls = replies.into_iter().filter_map(|reply| match reply {
        Reply::Roll(roll) => Some(roll),
        _ => None,
    });
    rolls.collect()
}

fn no_such(number: u64) -> Refusal {
    Refusal {
        code: ExitCode::NotFound.number(),
        message: format!("there is no rollout r-{number}"),
        hint: "`mainstay flag roll --status` shows those that are kept".to_owned(),
    }
}

fn is_away(error: &AskError) -> bool {
    match error {
        AskError::Refused(_) => false,
        AskError::Late => true,
        AskError::Call(error) => {
            matches!(error, CallError::Unreachable { .. } | CallError::Late | CallError::HungUp)
        }
    }
}

fn is_over(state: RollState) -> bool {
    match state {
        RollState::Baking | RollState::Held => false,
        RollState::Done | RollState::RolledBack | RollState::Ended => true,
    }
}

/// Says how it ended, and whether readers saw it.
fn end(
    roll: &Roll,
    follow: &Follow,
    project: &Project,
    picture: Picture,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let back = roll.state == RollState::RolledBack;
    let count = if back && !output.json && !follow.flags.is_empty() {
        seen::wait(project, &follow.flags, clock::now() + GLANCE).map(|(count, _)| count)
    } else {
        None
    };
    picture.close(roll, count, output)?;
    Ok(if roll.state == RollState::Done { ExitCode::Done } else { ExitCode::Failed })
}

fn left_alone(roll: &Roll) -> String {
    let n = roll.number;
    format!(
        "r-{n} goes on without you.\n  follow it      mainstay flag roll --follow r-{n}\n  take it back   mainstay flag \
         roll --back r-{n}"
    )
}

fn late(roll: &Roll, timeout: Duration) -> Error {
    let timeout = exact(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    let message = format!(
        "followed r-{} for {timeout}: it is {} at {} and goes on; mainstay flag roll --follow r-{}",
        roll.number,
        words_of_state(roll.state),
        share_of(roll),
        roll.number
    );
    Error::TimedOut { message }
}

fn lost(error: AskError, roll: &Roll, project: &Project) -> Error {
    match error {
        AskError::Refused(refusal) => Error::Refused(refusal),
        AskError::Call(CallError::NotPermitted { socket }) => Error::Call(CallError::NotPermitted { socket }),
        AskError::Call(_) | AskError::Late => Error::Refused(Refusal {
            code: ExitCode::Unreachable.number(),
            message: format!(
                "nobody has answered at {} for {}; r-{} is kept, and goes on when the supervisor runs",
                client::socket(&project.runtime).display(),
                exact(u64::try_from(AWAY.as_nanos()).unwrap_or(u64::MAX)),
                roll.number
            ),
            hint: format!(
                "start it with `mainstay run`, then `mainstay flag roll --follow r-{}`",
                roll.number
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_named_as_it_is_shown() {
        assert_eq!(number("r-3"), Ok(3));
        assert_eq!(number("3"), Ok(3));
        for wrong in ["", "r-", "r-0", "s-3", "-3", "three"] {
            assert!(number(wrong).unwrap_err().contains("r-3"), "{wrong:?} was taken");
        }
    }
}
