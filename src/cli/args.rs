//! What was typed: the command line as `clap` reads it, and nothing of what it means (that is
//! [`super::command`]).

use super::crash::Crash;
use super::flag::FlagCommand;
use super::logs::Logs;
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
    Restart(Act),
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
    /// Read and set feature flags.
    #[command(subcommand)]
    Flag(FlagCommand),
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

/// `start`, `stop`, `restart`
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
