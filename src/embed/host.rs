//! Where and how a tree runs: directories, and what it may do to the process it runs in.

use super::error::Error;
use super::tree::Tree;
use crate::cli::here;
use crate::paths::{self, Choice, Environment, Project};
use std::path::PathBuf;
use std::time::Duration;

/// How long a question to the supervisor waits for its answer, unless the tree says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What becomes of a tree in a process of its own when its host dies, whatever it dies of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnHostDeath {
    /// The tree is stopped in order, and nothing is left.
    #[default]
    Die,
    /// The tree goes on, as one that `mainstay run -d` started: also without the host's stdout and stderr, unless
    /// [`Tree::foreground`] says that it writes to them.
    Stay,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Host {
    pub(super) runtime: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) logs: Option<PathBuf>,
    pub(super) program: Option<PathBuf>,
    pub(super) signals: bool,
    pub(super) raise: bool,
    pub(super) death: OnHostDeath,
    pub(super) foreground: bool,
    pub(super) within: Duration,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            runtime: None,
            state: None,
            logs: None,
            program: None,
            signals: false,
            raise: false,
            death: OnHostDeath::default(),
            foreground: false,
            within: ANSWER_WITHIN,
        }
    }
}

/// Where and how it runs. None of this is part of the plan.
impl Tree {
    /// Where its sockets, its flag board and its ledger are; as for `mainstay --project NAME` unless said. What
    /// `RUNTIME_DIRECTORY` says is meant for the host and not looked at.
    pub fn runtime_dir(mut self, path: impl Into<PathBuf>) -> Tree {
        self.host.runtime = Some(path.into());
        self
    }

    /// Where what must be kept is: journal of the flags, records of deaths.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Tree {
        self.host.state = Some(path.into());
        self
    }

    /// Where the output of services goes; `logs` in the state directory unless said.
    pub fn logs_dir(mut self, path: impl Into<PathBuf>) -> Tree {
        self.host.logs = Some(path.into());
        self
    }

    /// A `mainstay` of this version, used for the processes of mainstay's own instead of the host's executable. Then
    /// `main` need not begin with [`enter`](super::enter).
    pub fn program(mut self, path: impl Into<PathBuf>) -> Tree {
        self.host.program = Some(path.into());
        self
    }

    /// In its own process only: whether SIGTERM and SIGINT stop the tree in order (the second time at once), SIGHUP,
    /// SIGQUIT, SIGUSR1 and SIGUSR2 do what they do to `mainstay run`. Handlers that were there are called first. When
    /// the last such tree has ended, a signal that had its default action has it again. `false` unless said.
    pub fn handle_signals(mut self, handle: bool) -> Tree {
        self.host.signals = handle;
        self
    }

    /// In its own process only: whether the limit on open descriptors is raised as far as it goes, for a tree of more
    /// services than it allows. Services still get the one that was. `false` unless said.
    pub fn raise_limits(mut self, raise: bool) -> Tree {
        self.host.raise = raise;
        self
    }

    /// As a child only: what becomes of it when the host dies.
    pub fn on_host_death(mut self, what: OnHostDeath) -> Tree {
        self.host.death = what;
        self
    }

    /// Whether the output of services and the events are also written to stdout and stderr. `false` unless said.
    pub fn foreground(mut self, foreground: bool) -> Tree {
        self.host.foreground = foreground;
        self
    }

    /// How long a [`Handle`](super::Handle) waits for an answer; 10 s unless said.
    pub fn answer_within(mut self, within: Duration) -> Tree {
        self.host.within = within;
        self
    }

    /// The directories, none of which need exist yet.
    pub(super) fn project(&self) -> Result<Project, Error> {
        let process = here::environment();
        let directory = process.directory.clone();
        // What was said to the host is not said to a tree inside of it: there may be several.
        let meant_for_the_host = |name: &str| name.ends_with("_DIRECTORY") || name.starts_with("MAINSTAY_");
        let variables = process.variables.into_iter().filter(|(name, _)| !meant_for_the_host(name));
        let environment =
            Environment { variables: variables.collect(), uid: process.uid, directory: PathBuf::from("/") };
        let choice = Choice { project: Some(self.name.clone()), ..Choice::default() };
        let all_given = [&self.host.runtime, &self.host.state].into_iter().all(Option::is_some);
        let found = match paths::resolve(&choice, &environment, &here::System) {
            Ok(found) => found,
            // Whoever says where everything is needs no home.
            Err(_) if all_given => Project {
                name: self.name.clone(),
                config: None,
                runtime: PathBuf::new(),
                state: PathBuf::new(),
                logs: PathBuf::new(),
                chosen_by: paths::ChosenBy::Project,
                searched: Vec::new(),
            },
            Err(error) => {
                return Err(Error::Begin {
                    code: error.exit_code(),
                    message: error.to_string(),
                    hint: "say where: `runtime_dir`, `state_dir`".to_owned(),
                });
            }
        };
        let at = |said: &Option<PathBuf>| said.as_ref().map(|path| directory.join(path));
        let logs = at(&self.host.logs).or_else(|| Some(at(&self.host.state)?.join("logs")));
        Ok(Project {
            config: None,
            runtime: at(&self.host.runtime).unwrap_or(found.runtime),
            state: at(&self.host.state).unwrap_or(found.state),
            logs: logs.unwrap_or(found.logs),
            searched: Vec::new(),
            ..found
        })
    }
}
