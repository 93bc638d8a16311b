//! Where lives are prepared: from a program of the plan to a launch, its pipes and its names; and the count of
//! the descriptors that this takes, which is refused beforehand when it cannot be (S1).

use super::boxes;
use super::builtins::Program;
use super::rooms::Rooms;
use super::roster::Entry;
use super::setup::Failed;
use crate::config::plan::{self, Check, Log};
use crate::sys::launch::{self, Environment, Launch, Request, Resource, StartError};
use crate::sys::log_pipe::LogPipe;
use crate::sys::process::Inherited;
use crate::sys::user::{UnknownIdentity, Users};
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Descriptors that the supervisor needs whatever it supervises: sockets, clients, files, one start.
const DESCRIPTORS_BASE: u64 = 320;

/// How many descriptors there may be, and how many the instances take.
pub struct Descriptors {
    limit: Option<u64>,
    /// The pidfd of each instance, and its cgroup.
    each: u64,
    instances: u64,
    logged: u64,
}

impl Descriptors {
    /// None taken yet.
    pub fn new(cgroups: bool, inherited: &Inherited) -> Descriptors {
        let each = 1 + u64::from(cgroups);
        Descriptors { limit: inherited.descriptors, each, instances: 0, logged: 0 }
    }

    /// How many black boxes there may be beside what instances need: whatever is left over, since a life can do without.
    pub fn for_boxes(&self) -> u64 {
        let needed = self.needed(self.instances, self.logged) + boxes::KEPT_FREE;
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(needed))
    }

    fn needed(&self, instances: u64, logged: u64) -> u64 {
        DESCRIPTORS_BASE + self.each * instances + 2 * logged
    }

    /// Takes what these need.
    ///
    /// # Errors
    /// They are too many, with the arithmetic; then nothing is taken.
    pub fn take<'a>(&mut self, programs: impl Iterator<Item = &'a plan::Program>) -> Result<(), Failed> {
        let (mut instances, mut logged) = (self.instances, self.logged);
        for program in programs {
            instances += 1;
            logged += u64::from(has_pipes(&program.log));
        }
        let each = self.each;
        let needed = self.needed(instances, logged);
        if let Some(limit) = self.limit.filter(|limit| needed > *limit) {
            let arithmetic =
                format!("{DESCRIPTORS_BASE} + {each} × {instances} instances + 2 × {logged} with a log");
            return Err(Failed::Descriptors { needed, arithmetic, limit });
        }
        (self.instances, self.logged) = (instances, logged);
        Ok(())
    }

    /// Gives back what a removed instance had.
    pub fn give_back(&mut self, log: &Log) {
        self.instances = self.instances.saturating_sub(1);
        self.logged = self.logged.saturating_sub(u64::from(has_pipes(log)));
    }
}

fn has_pipes(log: &Log) -> bool {
    matches!(log, Log::Logger { .. })
}

/// An instance that is prepared and not in the tree yet.
pub struct Prepared {
    /// How it is started.
    pub launch: Result<Launch, StartError>,
    /// Where its output goes.
    pub pipes: Option<[LogPipe; 2]>,
    /// How the command of its health check is started, if it has one.
    pub check: Option<Box<Result<Launch, StartError>>>,
    /// What is known of it.
    pub entry: Entry,
}

/// What all preparations have in common.
pub struct Workshop {
    /// What services and built-ins inherit.
    pub environments: Environments,
    /// What no template tells of a new child: whether it dies with us.
    pub fate_shared: bool,
    /// The users of the plan in force, looked up when it was loaded.
    pub users: Users,
    inherited: Inherited,
}

impl Workshop {
    /// For this project.
    pub fn new(rooms: &Rooms, inherited: &Inherited, fate_shared: bool, users: Users) -> Workshop {
        Workshop { environments: Environments::new(rooms), fate_shared, users, inherited: *inherited }
    }

    /// Makes its pipes (or takes these) and its table. `users` has its user: nobody is looked up here, in the loop,
    /// because a name service may take its time.
    ///
    /// # Errors
    /// No descriptors are left. What is wrong with the launch itself is in [`Prepared::launch`].
    pub fn prepare(
        &self,
        what: &plan::Program,
        program: &Program,
        pipes: Option<[LogPipe; 2]>,
        users: &Users,
    ) -> Result<Prepared, Failed> {
        let (pipes, descriptors) = match what.log {
            Log::Logger { .. } => {
                let pipe = || LogPipe::new().map_err(|e| Failed::System("making the pipes for output", e));
                let pipes = match pipes {
                    Some(pipes) => pipes,
                    None => [pipe()?, pipe()?],
                };
                let descriptors = vec![(1, pipes[0].descriptor()), (2, pipes[1].descriptor())];
                (Some(pipes), descriptors)
            }
            Log::Inherit => (None, Vec::new()),
            Log::Discard => (None, vec![(1, program.null()), (2, program.null())]),
        };
        let mut request = request(what, &self.environments, &self.inherited, users);
        request.descriptors.push((0, program.null()));
        request.descriptors.extend(descriptors);
        let check = self.check(what, program, users);
        Ok(Prepared { launch: Launch::new(request), pipes, check, entry: Entry::of(what) })
    }

    /// As the service itself, but another command, and not as one of its lives.
    fn check(
        &self,
        what: &plan::Program,
        program: &Program,
        users: &Users,
    ) -> Option<Box<Result<Launch, StartError>>> {
        let Some(Check::Exec(argv)) = what.health.as_ref().map(|health| &health.how) else { return None };
        let what = plan::Program { argv: argv.clone(), watchdog: None, ..what.clone() };
        let mut request = request(&what, &self.environments, &self.inherited, users);
        request.numbers.clear();
        request.descriptors = (0..3).map(|number| (number, program.null())).collect();
        Some(Box::new(Launch::new(request)))
    }
}

/// What a program inherits, with what every service is told; and only the latter.
pub struct Environments {
    /// Ours, and what every service is told.
    pub inherited: Arc<Environment>,
    bare: Arc<Environment>,
}

impl Environments {
    fn new(rooms: &Rooms) -> Environments {
        let runtime = rooms.runtime();
        let told: Vec<(OsString, OsString)> = vec![
            ("MAINSTAY_PROJECT".into(), rooms.project().name.clone().into()),
            ("MAINSTAY_RUNTIME_DIR".into(), runtime.into()),
            ("MAINSTAY_STATE_DIR".into(), rooms.project().state.clone().into()),
            ("MAINSTAY_LOGS_DIR".into(), rooms.project().logs.clone().into()),
            ("MAINSTAY_BOARD".into(), runtime.join("board").into()),
            ("NOTIFY_SOCKET".into(), runtime.join("notify").into()),
        ];
        let ours = std::env::vars_os().filter(|(name, _)| !meant_for_us(name));
        Environments {
            inherited: Arc::new(Environment::new(ours.chain(told.clone()))),
            bare: Arc::new(Environment::new(told)),
        }
    }
}

/// What whoever started the supervisor says to it, not to its services.
fn meant_for_us(name: &OsStr) -> bool {
    const NAMES: [&str; 12] = [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "FDSTORE",
        "MAINPID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MANAGERPID",
        "SYSTEMD_EXEC_PID",
    ];
    let name = name.to_string_lossy();
    NAMES.contains(&&*name) || name.ends_with("_DIRECTORY") || name.starts_with("MAINSTAY_")
}

/// A user that was not looked up before is unknown: nobody is looked up here.
fn request(
    what: &plan::Program,
    environments: &Environments,
    inherited: &Inherited,
    users: &Users,
) -> Request {
    let name = launch::Program::Named(what.argv[0].clone().into());
    let mut request = Request::new(name, what.argv.iter().map(Into::into).collect());
    request.environment =
        if what.inherit_env { environments.inherited.clone() } else { environments.bare.clone() };
    request.variables = vec![
        ("MAINSTAY_SERVICE".into(), what.service.clone().into()),
        ("MAINSTAY_INSTANCE".into(), what.instance.clone().into()),
    ];
    if let Some(every) = what.watchdog {
        request.variables.push(("WATCHDOG_USEC".into(), every.as_micros().to_string().into()));
    }
    request.identity = what.user.as_deref().map(|name| {
        let unknown = || Err(UnknownIdentity::User(name.to_owned(), 0));
        users.get(name).cloned().unwrap_or_else(unknown)
    });
    if let Some(Ok(identity)) = &request.identity {
        let text = |text: &CStr| OsStr::from_bytes(text.to_bytes()).to_owned();
        let home = identity.home.as_deref().map(text);
        let shell = identity.shell.as_deref().map(text);
        let name: Option<OsString> = identity.name.as_ref().map(Into::into);
        let of_user = [("HOME", home), ("SHELL", shell), ("USER", name.clone()), ("LOGNAME", name)];
        request.variables.extend(of_user.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
    }
    request.variables.extend(what.env.iter().map(|(name, value)| (name.into(), value.into())));
    request.numbers = vec!["MAINSTAY_INCARNATION".into()];
    request.directory = Some(what.directory.clone());
    request.user = what.user.clone();
    request.umask = what.umask;
    request.death_signal = what.fate_shared.then_some(libc::SIGKILL);
    request.limits = vec![(Resource::Nofile, inherited.nofile)];
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::launch::Step;
    use crate::sys::process::Limit;

    #[test]
    fn nobody_is_looked_up_while_a_launch_is_prepared() {
        let environments = Environments { inherited: Arc::default(), bare: Arc::default() };
        let inherited = Inherited { nofile: Limit::default(), umask: 0o22, descriptors: None };
        let what = plan::Program {
            argv: vec!["true".into()],
            user: Some("root".to_owned()),
            ..plan::Program::default()
        };
        let launch = |users: &Users| Launch::new(request(&what, &environments, &inherited, users));
        let unknown = launch(&Users::default()).err().expect("root is not among nobody");
        assert_eq!(
            (unknown.step, unknown.to_string().as_str()),
            (Step::FindUser, "finding user `root`: no such user")
        );
        assert!(launch(&Users::look_up(["root"])).is_ok());
    }
}
