//! What a command line means: typed options, defaults and contradictions resolved once, here.

use super::act::Act;
use super::args::{self, Verb};
use super::crash::Crash;
use super::events::Events;
use super::flag::FlagCommand;
use super::kill::Kill;
use super::logs::Logs;
use super::shutdown::Shutdown;
use super::wait::Wait;
use crate::config::plan::DEFAULT_TIMEOUT;
use crate::ipc::control;
use crate::time::Duration;
use clap_complete::Shell;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Command {
    /// `run`
    Run(args::Run),
    /// `check`
    Check,
    /// `version`
    Version,
    /// `completions`
    Completions(Shell),
    /// `logs`
    Logs(Logs),
    /// `crash …`
    Crash(Crash),
    /// `flag …`
    Flag(FlagCommand),
    /// What a running supervisor is asked.
    Ask(Ask),
}

/// What a running supervisor is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `status`
    Status {
        /// Empty: all.
        patterns: Vec<String>,
        /// The built-ins too.
        all: bool,
    },
    /// `tree`
    Tree {
        /// The built-ins too.
        all: bool,
    },
    /// `why`
    Why {
        /// Whose.
        patterns: Vec<String>,
    },
    /// `start`, `stop`, `restart`
    Act(Act),
    /// `kill`
    Kill(Kill),
    /// `pid`
    Pid {
        /// Whose.
        pattern: String,
    },
    /// `wait`
    Wait(Wait),
    /// `cursor`
    Cursor,
    /// `events`
    Events(Events),
    /// `is-up`
    IsUp {
        /// Empty: all.
        patterns: Vec<String>,
    },
    /// `shutdown`
    Shutdown(Shutdown),
}

impl Command {
    /// What was meant by it.
    pub fn of(verb: Verb) -> Command {
        let act = |verb, act: args::Act| {
            let wait = wait(&act.waiting);
            // With `--all` there are no patterns, and none means all of the user's services.
            Ask::Act(Act { verb, patterns: act.patterns, wait, dry_run: act.waiting.dry_run })
        };
        let ask = match verb {
            Verb::Run(run) => return Command::Run(run),
            Verb::Check => return Command::Check,
            Verb::Version => return Command::Version,
            Verb::Completions(completions) => return Command::Completions(completions.shell),
            Verb::Logs(logs) => return Command::Logs(logs),
            Verb::Crash(crash) => return Command::Crash(crash),
            Verb::Flag(flag) => return Command::Flag(flag),
            Verb::Status(status) => Ask::Status { patterns: status.patterns, all: status.all },
            Verb::Tree(tree) => Ask::Tree { all: tree.all },
            Verb::Why(why) => Ask::Why { patterns: why.patterns },
            Verb::Start(start) => act(control::Verb::Start, start),
            Verb::Stop(stop) => act(control::Verb::Stop, stop),
            Verb::Restart(restart) => act(control::Verb::Restart, restart),
            Verb::Kill(kill) => {
                Ask::Kill(Kill { signal: kill.signal, patterns: kill.patterns, dry_run: kill.dry_run })
            }
            Verb::Pid(pid) => Ask::Pid { pattern: pid.pattern },
            Verb::Wait(wait) => Ask::Wait(Wait {
                patterns: wait.patterns,
                state: wait.state,
                after: wait.after,
                timeout: wait.timeout.unwrap_or(DEFAULT_TIMEOUT),
            }),
            Verb::Cursor => Ask::Cursor,
            Verb::Events(events) => {
                Ask::Events(Events { patterns: events.patterns, after: events.after, follow: events.follow })
            }
            Verb::IsUp(is_up) => Ask::IsUp { patterns: is_up.patterns },
            Verb::Shutdown(shutdown) => {
                Ask::Shutdown(Shutdown { wait: wait(&shutdown.waiting), dry_run: shutdown.waiting.dry_run })
            }
        };
        Command::Ask(ask)
    }
}

/// Waiting is the default.
fn wait(waiting: &args::Waiting) -> Option<Duration> {
    (!waiting.no_wait).then(|| waiting.timeout.unwrap_or(DEFAULT_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, State};
    use clap::Parser;

    fn ask(line: &str) -> Ask {
        let words = std::iter::once("mainstay").chain(line.split_whitespace());
        match Command::of(Arguments::try_parse_from(words).unwrap().verb) {
            Command::Ask(ask) => ask,
            other => panic!("{other:?}"),
        }
    }

    fn stop(patterns: &[&str], wait: Option<u64>, dry_run: bool) -> Ask {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Ask::Act(Act { verb: control::Verb::Stop, patterns, wait: wait.map(Duration::from_secs), dry_run })
    }

    #[test]
    fn waiting_is_the_default_and_the_last_word_counts() {
        assert_eq!(ask("stop web"), stop(&["web"], Some(60), false));
        assert_eq!(ask("stop web --no-wait"), stop(&["web"], None, false));
        assert_eq!(ask("stop web --no-wait --wait"), stop(&["web"], Some(60), false));
        assert_eq!(ask("stop web --wait --timeout 5s"), stop(&["web"], Some(5), false));
        assert_eq!(ask("stop --all -n"), stop(&[], Some(60), true));
    }

    #[test]
    fn what_scripts_type_is_understood() {
        let patterns = vec!["web".to_owned()];
        let timeout = Duration::from_secs(2);
        assert_eq!(
            ask("wait web --state ready --after 41 --timeout 2s"),
            Ask::Wait(Wait { patterns: patterns.clone(), state: State::Ready, after: Some(41), timeout })
        );
        assert_eq!(
            ask("kill -s KILL web"),
            Ask::Kill(Kill { signal: 9, patterns: patterns.clone(), dry_run: false })
        );
        assert_eq!(
            ask("events --after 7 -f --json"),
            Ask::Events(Events { patterns: Vec::new(), after: Some(7), follow: true })
        );
        assert_eq!(ask("status --all web"), Ask::Status { patterns, all: true });
        assert_eq!(ask("wait x --state backing_off").clone(), ask("wait --state backing_off x"));
    }

    #[test]
    fn contradictions_and_omissions_are_usage_errors() {
        for line in [
            "",
            "stop",
            "stop --all web",
            "start",
            "kill",
            "why",
            "pid",
            "pid a b",
            "wait web",
            "wait web --state sleeping",
            "wait web --state ready --timeout 5",
            "stop web --no-wait --timeout 5s",
            "status --config a --project b",
            "kill -s TREM web",
            "frobnicate",
            "run --wait",
            "run --timeout 5s",
            "events --after now",
        ] {
            let words = std::iter::once("mainstay").chain(line.split_whitespace());
            let error = Arguments::try_parse_from(words).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_command_after_two_dashes_keeps_its_own_options() {
        let words =
            ["mainstay", "run", "-d", "--wait", "--timeout", "5s", "--", "./web", "--port", "8080", "-d"];
        match Command::of(Arguments::try_parse_from(words).unwrap().verb) {
            Command::Run(run) => {
                assert!(run.detach && run.wait);
                assert_eq!(run.timeout, Some(Duration::from_secs(5)));
                assert_eq!(run.command, ["./web", "--port", "8080", "-d"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
