//! What was typed: the command line as `clap` reads it, and nothing of what it means (that is
//! [`super::command`]).

use super::audit::AuditCommand;
use super::crash::Crash;
use super::emergency::Emergency;
use super::flag::FlagCommand;
use super::guard::GuardCommand;
use super::logs::Logs;
use super::note::Note;
use super::registry::RegistryCommand;
use super::span::Span;
use super::stage::StageCommand;
use super::telemetry::TelemetryCommand;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Keeps processes alive the way Erlang/OTP does, and lets them share feature flags that outlive any crash.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "\
PATTERN is a service (web), one of its instances ('web#2'), a glob ('worker*') or a group (@app).
DURATION has a unit: 500ms, 10s, 1m30s. Exit codes: 0 done, 1 failed, 2 usage, 3 not as wanted,
4 no such service, 69 no supervisor, 75 already running, 77 not permitted, 78 configuration, 124 timeout.

First steps:  mainstay run -- ./web --port 8080    mainstay check    mainstay run    mainstay status"
)]
pub struct Arguments {
    /// What every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The configuration file; found from here upwards when not given.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "project")]
    pub config: Option<PathBuf>,
    /// The project, by its name.
    #[arg(long, global = true, value_name = "NAME")]
    pub project: Option<String>,
    /// Answer in JSON: one object, or one a line for streams.
    #[arg(long, global = true)]
    pub json: bool,
    /// Colour the output.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR or CLICOLOR=0 is set; CLICOLOR_FORCE colours everywhere.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Start everything and keep it running: a configuration file, or one command after `--`.
    Run(Run),
    /// Read the configuration and report every error in it.
    Check,
    /// Show every service: what it is, what it was, what is wrong.
    Status(Status),
    /// Show groups and services as a tree.
    Tree(Tree),
    /// Say in a sentence why a service is as it is.
    Why(Why),
    /// Start services, with what they need.
    Start(Act),
    /// Stop services until somebody starts them.
    Stop(Act),
    /// Stop services and start them again.
    Restart(Restart),
    /// Apply the changed file: only what differs is touched.
    Reload(Reload),
    /// Run so many instances of services, until the next reload.
    Scale(Scale),
    /// Add a child: from a template (worker@mail), to a pool (@jobs), or a command after `--`.
    StartChild(StartChild),
    /// Stop a child; one that was added as temporary, or is in a pool, is removed.
    Terminate(Terminate),
    /// Start a child that is down.
    RestartChild(OneChild),
    /// Remove a child that is down.
    DeleteChild(OneChild),
    /// Count the members of a group: specs, active, supervisors, workers.
    Count(Count),
    /// List the members of a group, newest first, as OTP's which_children does; or one child.
    Which(Which),
    /// Send a signal to the main process of services; what follows is an ordinary death.
    Kill(Kill),
    /// Print the pid of a service's main process.
    Pid(Pid),
    /// Wait until services reach a state.
    Wait(Wait),
    /// Print the number of the newest event, for `--after`.
    Cursor,
    /// Print what happened, and with -f what happens.
    Events(Events),
    /// Whether services are as wanted: exit 0, or 3 with the reason.
    IsUp(IsUp),
    /// Stop everything, the supervisor too.
    Shutdown(Shutdown),
    /// Print what services wrote, and with -f what they write.
    Logs(Logs),
    /// Show what is known about deaths.
    Crash(Crash),
    /// From within a service: note keys and values, which its crash report then has.
    Note(Note),
    /// From within a service: run a command as a span. Its exit status is passed on.
    Span(Span),
    /// Read and set feature flags.
    #[command(subcommand)]
    Flag(FlagCommand),
    /// Move migrations from stage to stage, and back.
    #[command(subcommand)]
    Stage(StageCommand),
    /// Put one migration, or every flag, on its safe value: at once, whatever was set.
    Emergency(Emergency),
    /// The guard: what it watches, what it has banned, its switch.
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Names for processes: who is `orders` now, on which port?
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// The log of all changes of flags: show it, and prove that nobody changed it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Spans and events: how many were taken, written, left out, lost and sent.
    #[command(subcommand)]
    Telemetry(TelemetryCommand),
    /// Print a completion script for a shell.
    Completions(Completions),
    /// Print the version.
    Version,
}

/// `run`
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Go to the background when everything has been started.
    #[arg(short, long)]
    pub detach: bool,
    /// With -d: return when everything is up; exit 1 when something is not.
    #[arg(long, requires = "detach")]
    pub wait: bool,
    /// With --wait: how long.
    #[arg(long, value_name = "DURATION", requires = "wait", value_parser = super::duration::parse)]
    pub timeout: Option<std::time::Duration>,
    /// Run only this command, without a configuration file.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `status`
#[derive(Clone, Debug, Default, Args)]
pub struct Status {
    /// Only these.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// The built-in services too.
    #[arg(short, long)]
    pub all: bool,
}

/// `tree`
#[derive(Clone, Debug, Default, Args)]
pub struct Tree {
    /// The built-in services too.
    #[arg(short, long)]
    pub all: bool,
}

/// `why`
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// Whose state to explain.
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,
}

/// `start`, `stop`
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("targets").required(true).args(["patterns", "all"]))]
pub struct Act {
    /// Which ones.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// Every service; the supervisor stays.
    #[arg(short, long)]
    pub all: bool,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `restart`
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("targets").required(true).args(["patterns", "all"]))]
pub struct Restart {
    /// Which ones.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// Every service; the supervisor stays.
    #[arg(short, long)]
    pub all: bool,
    /// A few at a time, each waiting until the ones before are ready again.
    #[arg(long)]
    pub rolling: bool,
    /// With --rolling: this share of them at a time, like 25%.
    #[arg(long, value_name = "PERCENT", requires = "rolling", conflicts_with = "at_once", value_parser = share)]
    pub share: Option<u32>,
    /// With --rolling: so many at a time; one when not given.
    #[arg(long, value_name = "N", requires = "rolling", value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: Option<u32>,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `25%`, `25`
fn share(text: &str) -> Result<u32, String> {
    match text.strip_suffix('%').unwrap_or(text).trim().parse() {
        Ok(share @ 1..=100) => Ok(share),
        _ => Err("a share is from 1% to 100%".to_owned()),
    }
}

/// `reload`
#[derive(Clone, Debug, Args)]
pub struct Reload {
    /// As OTP does it: nothing is started, restarted or deleted; what is new waits for restart-child.
    #[arg(long)]
    pub otp: bool,
    /// So many changed services are restarted at a time; one when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub at_once: Option<u32>,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `scale`
#[derive(Clone, Debug, Args)]
pub struct Scale {
    /// How many instances of which service.
    #[arg(value_name = "SERVICE=N", required = true, value_parser = scaled)]
    pub wanted: Vec<(String, u32)>,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `web=8`
fn scaled(text: &str) -> Result<(String, u32), String> {
    let wanted = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, count) = wanted.ok_or("write it as SERVICE=N, like web=8")?;
    let count = count.parse().map_err(|_| format!("`{count}` is not a number of instances"))?;
    Ok((name.to_owned(), count))
}

/// `start-child`
#[derive(Clone, Debug, Args)]
pub struct StartChild {
    /// worker@mail from the template `worker@`; @jobs for one more in that pool; else a new name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The group of a child that no template describes; the root when not given.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// When it is started again.
    #[arg(long, value_name = "WHEN", value_enum)]
    pub restart: Option<RestartType>,
    /// How long its stop may take: a duration, `kill` for none, or `infinity`.
    #[arg(long, value_name = "DURATION", value_parser = grace)]
    pub grace: Option<crate::ipc::control::Grace>,
    /// Its end may end its group (see auto_shutdown).
    #[arg(long)]
    pub significant: bool,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
    /// Words after those of the template; or the command of a child that no template describes.
    #[arg(last = true, value_name = "WORDS")]
    pub words: Vec<String>,
}

/// When a child is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RestartType {
    /// Always.
    Permanent,
    /// After an abnormal end.
    Transient,
    /// Never.
    Temporary,
}

fn grace(text: &str) -> Result<crate::ipc::control::Grace, String> {
    use crate::ipc::control::Grace;
    match text {
        "kill" => Ok(Grace::Kill),
        "infinity" => Ok(Grace::Infinity),
        text => {
            let grace = super::duration::parse(text).map_err(|error| error.to_string())?;
            Ok(Grace::After(u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX)))
        }
    }
}

/// `terminate`
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["name", "pid"]))]
pub struct Terminate {
    /// A child, or @group; with --pid the pool.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The member of a pool with this main process.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `restart-child`, `delete-child`
#[derive(Clone, Debug, Args)]
pub struct OneChild {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `count`
#[derive(Clone, Debug, Args)]
pub struct Count {
    /// The group; the root when not given.
    #[arg(value_name = "@GROUP")]
    pub group: Option<String>,
}

/// `which`
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// A group, the root when not given; or one child.
    #[arg(value_name = "@GROUP|NAME")]
    pub target: Option<String>,
    /// The member of a pool with this main process.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
}

/// Whether to wait for the end, and whether to begin at all.
#[derive(Clone, Debug, Default, Args)]
pub struct Waiting {
    /// Return when it is done (the default).
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Return when it has begun.
    #[arg(long, overrides_with = "wait")]
    pub no_wait: bool,
    /// How long to wait; 60s when not given.
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait", value_parser = super::duration::parse)]
    pub timeout: Option<std::time::Duration>,
    /// Say what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// `kill`
#[derive(Clone, Debug, Args)]
pub struct Kill {
    /// A name or number: TERM, SIGKILL, 9.
    #[arg(short, long, default_value = "TERM", value_parser = super::signal::parse)]
    pub signal: i32,
    /// Which ones.
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,
    /// Say what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// `pid`
#[derive(Clone, Debug, Args)]
pub struct Pid {
    /// Whose; each running instance on a line of its own.
    #[arg(value_name = "PATTERN")]
    pub pattern: String,
}

/// `wait`
#[derive(Clone, Debug, Args)]
pub struct Wait {
    /// Which ones; all of them must reach the state.
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,
    /// The state; `up` is also met by `ready`.
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: State,
    /// Only what happened after this event counts (see `cursor`).
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<u64>,
    /// How long to wait; 60s when not given.
    #[arg(long, value_name = "DURATION", value_parser = super::duration::parse)]
    pub timeout: Option<std::time::Duration>,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum State {
    /// It waits for what it needs.
    Waiting,
    /// It was started.
    Starting,
    /// It runs; also met by `ready`.
    Up,
    /// It runs and said so.
    Ready,
    /// It was asked to stop.
    Stopping,
    /// Down as wanted.
    Stopped,
    /// Down, its work is done.
    Finished,
    /// It waits for its next try.
    BackingOff,
    /// Its limit was reached.
    GaveUp,
}

impl State {
    /// The state that the supervisor calls this; `None` when it is newer than we are.
    pub fn from_name(name: &str) -> Option<State> {
        State::value_variants().iter().copied().find(|state| state.name() == name)
    }

    /// As the supervisor writes it.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Starting => "starting",
            State::Up => "up",
            State::Ready => "ready",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Finished => "finished",
            State::BackingOff => "backing_off",
            State::GaveUp => "gave_up",
        }
    }
}

/// `events`
#[derive(Clone, Debug, Default, Args)]
pub struct Events {
    /// Only of these services.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// Only what happened after this event (see `cursor`).
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<u64>,
    /// Go on, until interrupted.
    #[arg(short, long)]
    pub follow: bool,
}

/// `is-up`
#[derive(Clone, Debug, Default, Args)]
pub struct IsUp {
    /// Which ones; all when not given.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
}

/// `shutdown`
#[derive(Clone, Debug, Default, Args)]
pub struct Shutdown {
    /// Waiting and not doing.
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `completions`
#[derive(Clone, Copy, Debug, Args)]
pub struct Completions {
    /// Whose syntax.
    #[arg(value_enum)]
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_of_the_command_line_holds() {
        Arguments::command().debug_assert();
    }
}
