//! Why a tree does not run, or a call was not done.

use super::flaw::Flaws;
use crate::exit_code::ExitCode;
use crate::ipc::client::CallError;
use crate::ipc::control::Refusal;
use crate::run::Failure;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What went wrong, where, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The tree makes no sense as it is; nothing was started.
    Flaws(Flaws),
    /// `main` does not begin with [`enter`](super::enter), so the host's executable cannot be used for the processes of
    /// mainstay's own. Nothing was started.
    NotEntered,
    /// The program for the processes of mainstay's own does not answer as one of this version.
    Program {
        /// Which.
        path: PathBuf,
        /// What it did instead.
        message: String,
    },
    /// The tree could not begin. Nothing was started.
    Begin {
        /// What `mainstay run` would exit with.
        code: ExitCode,
        /// What happened and where.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The supervisor did not do it, and nothing was changed.
    Refused {
        /// What a command would exit with.
        code: ExitCode,
        /// What happened and where.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The tree has ended.
    Ended,
    /// The supervisor ended in disorder: it was killed, or panicked. What it started may still run until a tree of this
    /// name begins again.
    Lost(String),
    /// No answer, though the tree has not ended; whether it was done is not known.
    Call(CallError),
    /// A system call failed.
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn system(doing: &'static str) -> impl Fn(io::Error) -> Error {
        move |source| Error::System { doing, source }
    }

    /// What to do, when that is known.
    pub fn hint(&self) -> &str {
        match self {
            Error::Begin { hint, .. } | Error::Refused { hint, .. } => hint,
            Error::NotEntered => {
                "make `mainstay::embed::enter()` the first line of `main`, or name a `mainstay` with `Tree::program`"
            }
            _ => "",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Flaws(flaws) => flaws.fmt(f),
            Error::NotEntered => f.write_str(
                "this program cannot run mainstay's own processes: its `main` does not begin with `mainstay::embed::enter()`",
            ),
            Error::Program { path, message } => {
                write!(f, "`{}` cannot run mainstay's own processes: {message}", path.display())
            }
            Error::Begin { message, .. } | Error::Refused { message, .. } => f.write_str(message),
            Error::Ended => f.write_str("the tree has ended"),
            Error::Lost(how) => write!(f, "the supervisor ended in disorder: {how}"),
            Error::Call(error) => error.fmt(f),
            Error::System { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Flaws(flaws) => Some(flaws),
            Error::Call(error) => Some(error),
            Error::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Flaws> for Error {
    fn from(flaws: Flaws) -> Error {
        Error::Flaws(flaws)
    }
}

impl From<Failure> for Error {
    fn from(Failure { code, message, hint }: Failure) -> Error {
        Error::Begin { code, message, hint }
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { code, message, hint }: Refusal) -> Error {
        Error::Refused { code: ExitCode::from_number(code), message, hint }
    }
}
