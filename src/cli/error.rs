//! What can go wrong with a command, and the exit code of each.

use crate::exit_code::ExitCode;
use crate::ipc::client::CallError;
use crate::ipc::control::Refusal;
use crate::paths::PathError;
use crate::run::Failure;
use std::fmt;
use std::io;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Error {
    /// The supervisor did not do it, and said why.
    Refused(Refusal),
    /// There was no answer.
    Call(CallError),
    /// No project could be found.
    Path(PathError),
    /// A name that names nothing.
    NoSuch {
        /// `service`
        kind: &'static str,
        /// What was typed.
        name: String,
        /// What may have been meant.
        near: Vec<String>,
    },
    /// Understood, and not reached: a start that failed, a state that never comes.
    Failed {
        /// What happened.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// Something wanted up is not.
    NotAsWanted {
        /// What is.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The timeout ran out.
    TimedOut {
        /// What was awaited, and what is instead.
        message: String,
    },
    /// A run that did not begin, or ended by itself.
    Run(Failure),
    /// The supervisor ended while it was being waited on.
    Ended {
        /// What was awaited.
        awaited: String,
    },
    /// A system call failed.
    System {
        /// "writing to stdout"
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What is wrong with a file, as it is shown: whole lines, without a last newline.
    Shown {
        /// The lines.
        text: String,
        /// What to tell the shell.
        code: ExitCode,
    },
    /// Ctrl-C, and what there is to say was said.
    Interrupted,
    /// Nobody reads our stdout any more: not worth a word.
    ClosedOutput,
}

impl Error {
    /// What to tell the shell.
    pub fn code(&self) -> ExitCode {
        match self {
            Error::Refused(refusal) => ExitCode::from_number(refusal.code),
            Error::Call(CallError::Unreachable { .. }) => ExitCode::Unreachable,
            Error::Call(CallError::NotPermitted { .. }) => ExitCode::NotPermitted,
            Error::Call(CallError::Late) => ExitCode::TimedOut,
            Error::Call(CallError::HungUp) => ExitCode::Unreachable,
            Error::Call(CallError::Broken(_)) => ExitCode::Failed,
            Error::Call(CallError::System(_)) => ExitCode::System,
            Error::Path(PathError::NotOurs { .. }) => ExitCode::NotPermitted,
            Error::Path(
                PathError::Unreadable { .. }
                | PathError::BadName { .. }
                | PathError::NoHome { .. }
                | PathError::NoConfiguration { .. },
            ) => ExitCode::Configuration,
            Error::NoSuch { .. } => ExitCode::NotFound,
            Error::Failed { .. } | Error::Interrupted => ExitCode::Failed,
            Error::NotAsWanted { .. } => ExitCode::NotAsWanted,
            Error::TimedOut { .. } => ExitCode::TimedOut,
            Error::Run(failure) => failure.code,
            Error::Shown { code, .. } => *code,
            Error::Ended { .. } => ExitCode::Unreachable,
            Error::System { .. } => ExitCode::System,
            Error::ClosedOutput => ExitCode::Done,
        }
    }

    /// What to do about it; may be empty.
    pub fn hint(&self) -> String {
        match self {
            Error::Refused(refusal) => refusal.hint.clone(),
            Error::Call(CallError::Unreachable { .. }) => {
                "start it with `mainstay run`, or name another project with --config or --project".to_owned()
            }
            Error::Call(CallError::NotPermitted { .. }) => {
                "run the command as the supervisor's user or as root".to_owned()
            }
            Error::Call(CallError::Late) => {
                "the supervisor is stopped or overloaded; `ps` shows its state".to_owned()
            }
            Error::Call(CallError::HungUp) => "it may be restarting: try again".to_owned(),
            Error::Call(CallError::Broken(_)) => {
                "client and supervisor are of different versions: restart the older one".to_owned()
            }
            Error::NoSuch { near, .. } => match &near[..] {
                [] => "`mainstay status --all` shows what there is".to_owned(),
                near => format!(
                    "did you mean {}?",
                    near.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")
                ),
            },
            Error::Run(failure) => failure.hint.clone(),
            Error::Failed { hint, .. } | Error::NotAsWanted { hint, .. } => hint.clone(),
            // A path error says in its own last line what to do.
            Error::Path(_)
            | Error::Call(CallError::System(_))
            | Error::TimedOut { .. }
            | Error::Ended { .. }
            | Error::System { .. }
            | Error::Interrupted
            | Error::Shown { .. }
            | Error::ClosedOutput => String::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => f.write_str(&refusal.message),
            Error::Call(CallError::Unreachable { socket, source }) => {
                write!(f, "no supervisor answers at {}: {source}", socket.display())
            }
            Error::Call(error) => error.fmt(f),
            Error::Path(error) => error.fmt(f),
            Error::NoSuch { kind, name, .. } => write!(f, "no {kind} matches `{}`", name.escape_debug()),
            Error::Failed { message, .. }
            | Error::NotAsWanted { message, .. }
            | Error::TimedOut { message } => f.write_str(message),
            Error::Run(failure) => f.write_str(&failure.message),
            Error::Ended { awaited } => write!(f, "the supervisor ended while waiting for {awaited}"),
            Error::System { doing, source } => write!(f, "{doing} failed: {source}"),
            Error::Shown { text, .. } => f.write_str(text),
            Error::Interrupted => f.write_str("interrupted"),
            Error::ClosedOutput => f.write_str("nobody reads the output"),
        }
    }
}

impl std::error::Error for Error {}

impl From<CallError> for Error {
    fn from(error: CallError) -> Error {
        Error::Call(error)
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Error {
        Error::Path(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::frame::Broken;

    #[test]
    fn every_error_has_its_exit_code() {
        let io = || io::Error::from_raw_os_error(2);
        let refused = |code| Error::Refused(Refusal { code, message: String::new(), hint: String::new() });
        let text = String::new;
        for (error, code) in [
            (refused(4), 4),
            (refused(1), 1),
            (refused(77), 77),
            (refused(200), 1),
            (Error::Call(CallError::Unreachable { socket: "/x".into(), source: io() }), 69),
            (Error::Call(CallError::NotPermitted { socket: "/x".into() }), 77),
            (Error::Call(CallError::Late), 124),
            (Error::Call(CallError::HungUp), 69),
            (Error::Call(CallError::Broken(Broken::TooLong)), 1),
            (Error::Call(CallError::System(io())), 71),
            (Error::Path(PathError::NoConfiguration { searched: Vec::new() }), 78),
            (Error::Path(PathError::NotOurs { path: "/x".into(), owner: 1, advice: text() }), 77),
            (Error::NoSuch { kind: "service", name: text(), near: Vec::new() }, 4),
            (Error::Failed { message: text(), hint: text() }, 1),
            (Error::NotAsWanted { message: text(), hint: text() }, 3),
            (Error::TimedOut { message: text() }, 124),
            (Error::Run(Failure { code: ExitCode::AlreadyRunning, message: text(), hint: text() }), 75),
            (Error::Ended { awaited: text() }, 69),
            (Error::System { doing: "", source: io() }, 71),
            (Error::Interrupted, 1),
            (Error::Shown { text: text(), code: ExitCode::Configuration }, 78),
            (Error::ClosedOutput, 0),
        ] {
            assert_eq!(error.code().number(), code, "{error:?}");
        }
    }
}
