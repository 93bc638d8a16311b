//! How a change of flags is typed, and how it is asked of the keeper. A reason that is missing is asked for on a
//! terminal; in a script it is a usage error that says how.

use super::changed::{Object, VOLATILE};
use super::duration;
use super::error::Error;
use super::output::{Output, printable};
use crate::config::plan::DEFAULT_TIMEOUT;
use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Changed, How, Reply, Request, SAY_WHY};
use crate::paths::Project;
use crate::services::keeper::client::{self, Answer, AskError, fresh_id};
use crate::time::Duration;
use clap::Args;
use std::io::{BufRead, IsTerminal};

/// How to change flags.
#[derive(Clone, Debug, Default, Args)]
pub struct Changing {
    /// Why; kept with the change.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Change it even when the disk cannot keep it: then the change may be lost with the keeper.
    #[arg(long)]
    pub volatile: bool,
    /// Say what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// How long to wait: 60s for the keeper when not given; a rollout, to its end.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
}

impl Changing {
    /// How long the keeper may take.
    pub fn within(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// In the keeper's words, as a request of its own.
    fn how(&self, override_ban: bool) -> How {
        How {
            id: fresh_id(),
            reason: self.why.clone().unwrap_or_default(),
            volatile: self.volatile,
            dry_run: self.dry_run,
            override_ban,
        }
    }
}

/// Asks the keeper to make a change, with the reason that the user gives on the way if one is needed. What a person
/// should know besides is said.
///
/// # Errors
/// As [`ask`]; a usage error when a reason is needed and nobody can be asked, or none was given.
pub fn change(
    project: &Project,
    changing: &Changing,
    override_ban: bool,
    output: &mut Output<'_>,
    request: impl Fn(How) -> Request,
) -> Result<Answer, Error> {
    let how = changing.how(override_ban);
    let answer = match ask(project, &request(how.clone()), changing.within()) {
        Err(Error::Refused(refusal)) if refusal.hint == SAY_WHY && how.reason.is_empty() => {
            let reason = reason(refusal, output)?;
            ask(project, &request(How { id: fresh_id(), reason, ..how }), changing.within())
        }
        answer => answer,
    }?;
    for reply in &answer.replies {
        if let Reply::Note { text } = reply {
            output.say(&format!("note: {}", printable(text)));
        }
    }
    Ok(answer)
}

/// Tells what changed: a line of JSON for each change, or for people what `people` say of them all; then what is not durable.
///
/// # Errors
/// Writing failed.
pub fn tell(
    answer: &Answer,
    changing: &Changing,
    output: &mut Output<'_>,
    people: impl FnOnce(&[&Changed], &mut Output<'_>) -> Result<(), Error>,
) -> Result<ExitCode, Error> {
    let changes: Vec<&Changed> = changes(answer).collect();
    match output.json {
        true => {
            changes.iter().try_for_each(|one| output.object(&Object::of(one, changing.dry_run, None)))?;
        }
        false => people(&changes, output)?,
    }
    Ok(kept(answer, changing, output))
}

/// What changed, of all that was answered.
pub fn changes(answer: &Answer) -> impl Iterator<Item = &Changed> {
    answer.replies.iter().filter_map(|reply| match reply {
        Reply::Changed(changed) => Some(changed),
        _ => None,
    })
}

/// How the command ends: a change that the disk does not have is said, and is a failure unless it was asked for.
pub fn kept(answer: &Answer, changing: &Changing, output: &mut Output<'_>) -> ExitCode {
    if changing.dry_run || is_durable(answer) {
        return ExitCode::Done;
    }
    output.say(VOLATILE);
    // Asked for without --volatile, it is what somebody else forced in before.
    if changing.volatile { ExitCode::Done } else { ExitCode::Failed }
}

/// Whether the disk has it: each flag says so of itself; where none is named, what is newest says so of all.
fn is_durable(answer: &Answer) -> bool {
    match changes(answer).next() {
        Some(_) => changes(answer).all(|changed| changed.durable),
        None => answer.durable,
    }
}

/// What the user says when asked why; the refusal itself when there is nobody, or no word.
fn reason(refusal: Refusal, output: &mut Output<'_>) -> Result<String, Error> {
    let input = std::io::stdin();
    if !output.talk_style.terminal || !input.is_terminal() {
        return Err(Error::Refused(Refusal { code: ExitCode::Usage.number(), ..refusal }));
    }
    output.flush()?;
    let prompt = format!("{}\nwhy? ", output.talk_style.busy(&refusal.message));
    // Nobody hearing it is no failure: then there is no answer either.
    let _ = output.talk_writer().write_all(prompt.as_bytes());
    let mut line = String::new();
    input
        .lock()
        .read_line(&mut line)
        .map_err(|source| Error::System { doing: "reading the reason from the terminal", source })?;
    match line.trim() {
        "" => Err(Error::Refused(Refusal {
            code: ExitCode::Usage.number(),
            message: "no reason was given, and nothing was changed".to_owned(),
            hint: refusal.hint,
        })),
        reason => Ok(reason.to_owned()),
    }
}

/// Asks the keeper, in the words of the command line.
///
/// # Errors
/// As [`Error::code`] says.
pub fn ask(project: &Project, request: &Request, within: Duration) -> Result<Answer, Error> {
    client::ask(&project.runtime, request, within).map_err(|error| match error {
        AskError::Refused(refusal) => Error::Refused(refusal),
        AskError::Call(error) => Error::Call(error),
        AskError::Late => {
            let again = match request {
                request if request.changes() => {
                    "; it may have made the change all the same, and asking again is safe"
                }
                _ => "",
            };
            let within = duration::exact(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
            let socket = client::socket(&project.runtime);
            let message = format!("the keeper at {} did not answer within {within}{again}", socket.display());
            Error::TimedOut { message }
        }
    })
}

/// A usage error of the command line that only its meaning shows.
pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Refused(Refusal { code: ExitCode::Usage.number(), message: message.into(), hint: hint.into() })
}
