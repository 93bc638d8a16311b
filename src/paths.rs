//! Which project a command means, and where its files are. Pure: the environment and the file system are given.
//!
//! Every command of one folder finds the same project, with a file or without one. Nothing is created here.

use crate::config::words;
use crate::exit_code::ExitCode;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The file that is searched for.
pub const FILE_NAME: &str = "mainstay.toml";

/// Every variable that decides about paths.
pub const VARIABLES: [&str; 13] = [
    "HOME",
    "LOGS_DIRECTORY",
    "MAINSTAY_CONFIG",
    "MAINSTAY_LOGS_DIR",
    "MAINSTAY_PROJECT",
    "MAINSTAY_RUNTIME_DIR",
    "MAINSTAY_STATE_DIR",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// What of the process decides about paths.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Environment variables; of these only [`VARIABLES`] matter.
    pub variables: BTreeMap<String, OsString>,
    /// Effective user id.
    pub uid: u32,
    /// The current directory, absolute.
    pub directory: PathBuf,
}

/// What may be asked of the file system and the user database.
pub trait Probe {
    /// Who owns what is there; `None`: nothing is there, or it cannot be reached. Links are followed.
    fn owner(&self, path: &Path) -> Option<u32>;
    /// Who owns what is there, a link itself when it is one; `None`: nothing is there.
    fn link_owner(&self, path: &Path) -> Option<u32>;
    /// The content of a file.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The path without links and dots; `None` when it cannot be resolved.
    fn canonical(&self, path: &Path) -> Option<PathBuf>;
    /// The home directory of a user, from the user database.
    fn home(&self, uid: u32) -> Option<PathBuf>;
}

/// What the command line says about the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--project NAME`
    pub project: Option<String>,
}

/// A project and its directories. None of them need exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its configuration; `None`: there is none, as for `run -- CMD` in an empty folder.
    pub config: Option<PathBuf>,
    /// Sockets, board, ledger: of this boot.
    pub runtime: PathBuf,
    /// Journal, crashes: kept.
    pub state: PathBuf,
    /// Output of services.
    pub logs: PathBuf,
    /// What chose it, for `status`.
    pub chosen_by: ChosenBy,
    /// Where a configuration was looked for and not found, in order.
    pub searched: Vec<PathBuf>,
}

/// What decided which project is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// `--config`
    Config,
    /// `--project`
    Project,
    /// `$MAINSTAY_CONFIG`
    ConfigVariable,
    /// `$MAINSTAY_RUNTIME_DIR`: the command runs inside a service.
    RuntimeVariable,
    /// A file that was found.
    Search,
    /// The current folder, without any file.
    Folder,
}

impl fmt::Display for ChosenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChosenBy::Config => "--config",
            ChosenBy::Project => "--project",
            ChosenBy::ConfigVariable => "$MAINSTAY_CONFIG",
            ChosenBy::RuntimeVariable => "$MAINSTAY_RUNTIME_DIR",
            ChosenBy::Search => "found by searching",
            ChosenBy::Folder => "the current folder",
        })
    }
}

/// Why no project, or no directory for it, could be found; [`PathError::exit_code`] says how that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The file that was named cannot be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Who named it.
        chosen_by: ChosenBy,
        /// What the system says.
        reason: String,
    },
    /// `--project` is no valid name.
    BadName {
        /// What was given.
        name: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// Somebody else owns it, so it is not trusted.
    NotOurs {
        /// What.
        path: PathBuf,
        /// Who.
        owner: u32,
        /// What to do.
        advice: String,
    },
    /// There is nowhere to keep state.
    NoHome {
        /// The user without a home.
        uid: u32,
    },
    /// There is no configuration, and the command needs one.
    NoConfiguration {
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Unreadable { file, chosen_by, reason } => {
                write!(f, "cannot read `{}` ({chosen_by}): {reason}", file.display())
            }
            PathError::BadName { name, reason } => {
                write!(f, "`{}` cannot name a project: {reason}", name.escape_debug())
            }
            PathError::NotOurs { path, owner, advice } => {
                write!(f, "`{}` belongs to uid {owner}, so it is not used\nnext: {advice}", path.display())
            }
            PathError::NoHome { uid } => write!(
                f,
                "there is nowhere to keep state: HOME is not set and uid {uid} has no home directory\n\
                 next: set XDG_STATE_HOME or STATE_DIRECTORY to a directory of your own"
            ),
            PathError::NoConfiguration { searched } => {
                writeln!(f, "no configuration found; looked at")?;
                for place in searched {
                    writeln!(f, "  {}", place.display())?;
                }
                write!(f, "next: mainstay run -- CMD, or write {FILE_NAME}")
            }
        }
    }
}

impl std::error::Error for PathError {}

impl PathError {
    /// How a command ends that meets it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            PathError::NotOurs { .. } => ExitCode::NotPermitted,
            PathError::BadName { .. } => ExitCode::Usage,
            PathError::Unreadable { .. } | PathError::NoHome { .. } | PathError::NoConfiguration { .. } => {
                ExitCode::Configuration
            }
        }
    }
}

impl Project {
    /// The configuration, for commands that cannot do without.
    ///
    /// # Errors
    /// [`PathError::NoConfiguration`], with the places that were looked at.
    pub fn configuration(&self) -> Result<&Path, PathError> {
        self.config.as_deref().ok_or_else(|| PathError::NoConfiguration { searched: self.searched.clone() })
    }
}

/// The project that is meant.
///
/// In order: `--config` and `--project`; `$MAINSTAY_CONFIG`; `$MAINSTAY_RUNTIME_DIR`; the search: [`FILE_NAME`] in the current
/// directory and upwards, in `$XDG_CONFIG_HOME/mainstay`, and for root in `/etc/mainstay`; at last the current folder itself.
/// `RUNTIME_DIRECTORY`, `STATE_DIRECTORY` and `LOGS_DIRECTORY` are the directories when they are set, whatever
/// chose the project; only `$MAINSTAY_RUNTIME_DIR` comes before them.
///
/// # Errors
/// [`PathError`]; never that there is no file: see [`Project::configuration`].
pub fn resolve(choice: &Choice, environment: &Environment, probe: &dyn Probe) -> Result<Project, PathError> {
    let finder = Finder { environment, probe };
    if let Some(name) = &choice.project {
        check_project_name(name)?;
    }
    if let Some(file) = &choice.config {
        return finder.with_file(file, choice.project.as_deref(), ChosenBy::Config);
    }
    if let Some(name) = &choice.project {
        return finder.with_name(name);
    }
    if let Some(file) = finder.variable("MAINSTAY_CONFIG") {
        return finder.with_file(Path::new(file), None, ChosenBy::ConfigVariable);
    }
    if let Some(runtime) = finder.variable("MAINSTAY_RUNTIME_DIR") {
        return finder.inside_a_service(Path::new(runtime));
    }
    let (found, searched) = finder.search()?;
    match found {
        Some(file) => Ok(Project { searched, ..finder.with_file(&file, None, ChosenBy::Search)? }),
        None => {
            let folder = finder.canonical(&environment.directory);
            let project = finder.project(folder_name(&folder), None, ChosenBy::Folder)?;
            Ok(Project { searched, ..project })
        }
    }
}

/// The name of a project whose file says none: its folder's name and a short hash of the folder's path.
///
/// The hash is CRC-32: it tells two folders `web` apart, and nobody gains by a collision.
pub fn folder_name(folder: &Path) -> String {
    let hash = crc32fast::hash(folder.as_os_str().as_bytes());
    let base = folder.file_name().map_or("root".into(), |name| name.to_string_lossy());
    let base = words::make_name(&base, words::NAME_MAX - 9);
    let base = if base.is_empty() { "project" } else { base.as_str() };
    format!("{base}-{hash:08x}")
}

fn check_project_name(name: &str) -> Result<(), PathError> {
    let reason = match words::check_name(name) {
        Err(reason) => reason,
        Ok(()) if name == words::RESERVED_PREFIX => "it is the group of the built-in services".to_owned(),
        Ok(()) => return Ok(()),
    };
    Err(PathError::BadName { name: name.to_owned(), reason })
}

struct Finder<'a> {
    environment: &'a Environment,
    probe: &'a dyn Probe,
}

impl Finder<'_> {
    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<&OsStr> {
        debug_assert!(VARIABLES.contains(&name), "{name} is not among those that are looked at");
        self.environment.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable that holds an absolute path; the XDG specification says to ignore relative ones.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// A directory of systemd's: the first of a list with colons.
    fn given(&self, name: &str) -> Option<PathBuf> {
        let first = self.variable(name)?.as_bytes().split(|b| *b == b':').find(|part| !part.is_empty())?;
        Some(self.rooted(Path::new(OsStr::from_bytes(first))))
    }

    fn rooted(&self, path: &Path) -> PathBuf {
        self.environment.directory.join(path)
    }

    /// Without links and dots where that can be told, so that all ways to a folder give one project.
    fn canonical(&self, path: &Path) -> PathBuf {
        self.probe.canonical(path).unwrap_or_else(|| without_dots(path))
    }

    fn with_file(&self, file: &Path, name: Option<&str>, chosen_by: ChosenBy) -> Result<Project, PathError> {
        let file = self.rooted(file);
        let text = self.probe.read(&file).map_err(|error| PathError::Unreadable {
            file: file.clone(),
            chosen_by,
            reason: error.to_string(),
        })?;
        // A link to the file stays a link: its folder is where relative paths begin, and where the user looks.
        let folder = self.canonical(file.parent().unwrap_or(Path::new("/")));
        let file = file.file_name().map_or(file.clone(), |name| folder.join(name));
        let name = match name {
            Some(name) => name.to_owned(),
            None => crate::config::name_of(&text).unwrap_or_else(|| folder_name(&folder)),
        };
        self.project(name, Some(file), chosen_by)
    }

    /// `--project NAME`: the file that the search finds is its own only when it gives that name.
    fn with_name(&self, name: &str) -> Result<Project, PathError> {
        let (found, searched) = self.search()?;
        let file = match found {
            Some(file) => Some(self.with_file(&file, None, ChosenBy::Project)?),
            None => None,
        };
        match file.filter(|project| project.name == name) {
            Some(project) => Ok(Project { searched, ..project }),
            None => Ok(Project { searched, ..self.project(name.to_owned(), None, ChosenBy::Project)? }),
        }
    }

    /// The supervisor says where it is; its name is that of the directory unless it says that too.
    fn inside_a_service(&self, runtime: &Path) -> Result<Project, PathError> {
        let runtime = self.rooted(runtime);
        let name = match self.variable("MAINSTAY_PROJECT") {
            Some(name) => name.to_string_lossy().into_owned(),
            None => runtime.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        };
        check_project_name(&name)?;
        let state = match self.absolute("MAINSTAY_STATE_DIR") {
            Some(state) => state,
            None => self.state(&name)?,
        };
        let logs = self.absolute("MAINSTAY_LOGS_DIR").unwrap_or_else(|| self.logs(&name, &state));
        let chosen_by = ChosenBy::RuntimeVariable;
        Ok(Project { name, config: None, runtime, state, logs, chosen_by, searched: Vec::new() })
    }

    /// The nearest configuration, and every place that was looked at before.
    fn search(&self) -> Result<(Option<PathBuf>, Vec<PathBuf>), PathError> {
        let upwards = self.environment.directory.ancestors().map(|folder| folder.join(FILE_NAME));
        let mut places: Vec<PathBuf> = upwards.collect();
        let configuration = self.absolute("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")));
        places.extend(configuration.map(|folder| folder.join("mainstay").join(FILE_NAME)));
        if self.environment.uid == 0 {
            places.push(Path::new("/etc/mainstay").join(FILE_NAME));
        }
        let mut searched = Vec::new();
        for place in places {
            match self.probe.owner(&place) {
                // A file in a folder like /tmp could be anybody's, and says which programs to run.
                Some(owner) if owner != 0 && owner != self.environment.uid => {
                    let advice = format!("name it, if you trust it: --config {}", place.display());
                    return Err(PathError::NotOurs { path: place, owner, advice });
                }
                Some(_) => return Ok((Some(place), searched)),
                None => searched.push(place),
            }
        }
        Ok((None, searched))
    }

    fn project(
        &self,
        name: String,
        config: Option<PathBuf>,
        chosen_by: ChosenBy,
    ) -> Result<Project, PathError> {
        let runtime = match self.given("RUNTIME_DIRECTORY") {
            Some(given) => given,
            None => self.runtime(&name)?,
        };
        let state = match self.given("STATE_DIRECTORY") {
            Some(given) => given,
            None => self.state(&name)?,
        };
        let logs = self.given("LOGS_DIRECTORY").unwrap_or_else(|| self.logs(&name, &state));
        Ok(Project { name, config, runtime, state, logs, chosen_by, searched: Vec::new() })
    }

    fn runtime(&self, name: &str) -> Result<PathBuf, PathError> {
        let uid = self.environment.uid;
        if uid == 0 {
            return Ok(Path::new("/run/mainstay").join(name));
        }
        // `su` leaves the variable of the user before, whose directory is closed to this one.
        if let Some(given) = self.absolute("XDG_RUNTIME_DIR").filter(|dir| self.probe.owner(dir) == Some(uid))
        {
            return Ok(given.join("mainstay").join(name));
        }
        let temporary = self.absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
        let ours = temporary.join(format!("mainstay-{uid}"));
        // The link's own owner: a link put there by somebody else must not lead anywhere.
        if let Some(owner) = self.probe.link_owner(&ours).filter(|owner| *owner != uid) {
            let advice = "set XDG_RUNTIME_DIR or RUNTIME_DIRECTORY to a directory of your own".to_owned();
            return Err(PathError::NotOurs { path: ours, owner, advice });
        }
        Ok(ours.join(name))
    }

    fn state(&self, name: &str) -> Result<PathBuf, PathError> {
        let uid = self.environment.uid;
        if uid == 0 {
            return Ok(Path::new("/var/lib/mainstay").join(name));
        }
        let home = match self.absolute("XDG_STATE_HOME") {
            Some(given) => given,
            None => self.home().ok_or(PathError::NoHome { uid })?.join(".local/state"),
        };
        Ok(home.join("mainstay").join(name))
    }

    fn logs(&self, name: &str, state: &Path) -> PathBuf {
        let own_state =
            self.given("STATE_DIRECTORY").is_none() && self.absolute("MAINSTAY_STATE_DIR").is_none();
        if self.environment.uid == 0 && own_state {
            Path::new("/var/log/mainstay").join(name)
        } else {
            state.join("logs")
        }
    }

    fn home(&self) -> Option<PathBuf> {
        self.absolute("HOME").or_else(|| self.probe.home(self.environment.uid))
    }
}

/// `/a/./b/../c` → `/a/c`, for paths that do not exist.
fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
