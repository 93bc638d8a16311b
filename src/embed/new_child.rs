//! A child that is added while the tree runs.

use super::error::Error;
use crate::exit_code::ExitCode;
use crate::ipc::control;
use crate::supervisor::spec::{Grace, Restart};
use std::path::{Path, PathBuf};

/// One more child for [`Handle::start_child`](super::Handle::start_child).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChild {
    name: String,
    group: String,
    words: Vec<String>,
    directory: Option<PathBuf>,
    restart: Option<Restart>,
    grace: Option<Grace>,
    significant: bool,
}

impl NewChild {
    /// The instance `worker@mail` of the template `worker`, for the argument `mail`.
    pub fn of(template: impl AsRef<str>, argument: impl AsRef<str>) -> NewChild {
        NewChild::named(format!("{}@{}", template.as_ref(), argument.as_ref()))
    }

    /// One more in a pool; its number is its name.
    pub fn in_pool(pool: impl AsRef<str>) -> NewChild {
        NewChild::named(format!("@{}", pool.as_ref()))
    }

    /// A child of the outermost group that no template knows and that executes these words, with mainstay's defaults.
    pub fn new<W: Into<String>>(name: impl Into<String>, command: impl IntoIterator<Item = W>) -> NewChild {
        NewChild::named(name.into()).args(command)
    }

    fn named(name: String) -> NewChild {
        NewChild {
            name,
            group: String::new(),
            words: Vec::new(),
            directory: None,
            restart: None,
            grace: None,
            significant: false,
        }
    }

    /// Words behind those of the command.
    pub fn args<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> NewChild {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// The group of a child that comes from no template.
    pub fn group(mut self, group: impl Into<String>) -> NewChild {
        self.group = group.into();
        self
    }

    /// Where a child runs that comes from no template; the host's current directory unless said.
    pub fn directory(mut self, path: impl AsRef<Path>) -> NewChild {
        self.directory = Some(path.as_ref().to_owned());
        self
    }

    /// When it is started again; as the template says, or permanent, unless said.
    pub fn restart(mut self, restart: Restart) -> NewChild {
        self.restart = Some(restart);
        self
    }

    /// How long a stop may take.
    pub fn grace(mut self, grace: Grace) -> NewChild {
        self.grace = Some(grace);
        self
    }

    /// Its end may end its group.
    pub fn significant(mut self, significant: bool) -> NewChild {
        self.significant = significant;
        self
    }

    pub(super) fn message(&self) -> Result<control::NewChild, Error> {
        let here = std::env::current_dir().map_err(Error::system("finding the current directory"))?;
        let directory = self.directory.as_ref().map_or_else(|| here.clone(), |path| here.join(path));
        let directory = directory.into_os_string().into_string().map_err(|path| Error::Refused {
            code: ExitCode::Usage,
            message: format!("`directory`: the path `{}` is not UTF-8", path.display()),
            hint: String::new(),
        })?;
        Ok(control::NewChild {
            name: self.name.clone(),
            group: self.group.clone(),
            argv: self.words.clone(),
            directory,
            restart: match self.restart {
                None => "",
                Some(Restart::Permanent) => "permanent",
                Some(Restart::Transient) => "transient",
                Some(Restart::Temporary) => "temporary",
            }
            .to_owned(),
            grace: self.grace.map(|grace| match grace {
                Grace::Kill => control::Grace::Kill,
                Grace::After(after) => {
                    control::Grace::After(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
                }
                Grace::Forever => control::Grace::Infinity,
            }),
            significant: self.significant,
            dry_run: false,
        })
    }
}
