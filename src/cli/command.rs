//! What a command line means: typed options, defaults and contradictions resolved once, here.

use super::act::Act;
use super::args::{self, Verb};
use super::audit::AuditCommand;
use super::crash::Crash;
use super::emergency::Emergency;
use super::events::Events;
use super::flag::FlagCommand;
use super::guard::GuardCommand;
use super::kill::Kill;
use super::logs::Logs;
use super::note::Note;
use super::registry::RegistryCommand;
use super::revise::Revise;
use super::roll::Roll;
use super::shutdown::Shutdown;
use super::span::Span;
use super::stage::StageCommand;
use super::start_child::StartChild;
use super::telemetry::TelemetryCommand;
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
    /// `note`
    Note(Note),
    /// `span`
    Span(Span),
    /// `flag …`
    Flag(FlagCommand),
    /// `stage …`
    Stage(StageCommand),
    /// `emergency`
    Emergency(Emergency),
    /// `registry …`
    Registry(RegistryCommand),
    /// `guard …`
    Guard(GuardCommand),
    /// `audit …`
    Audit(AuditCommand),
    /// `telemetry …`
    Telemetry(TelemetryCommand),
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
    /// `start`, `stop`, `restart`, `terminate`, `restart-child`, `delete-child`
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
    /// `start-child`
    StartChild(StartChild),
    /// `restart --rolling`
    Roll(Roll),
    /// `reload`, `scale`
    Revise(Revise),
    /// `count`
    Count {
        /// Empty: the root.
        group: String,
    },
    /// `which`
    Which {
        /// Empty: the root.
        target: String,
        /// 0: not by pid.
        pid: u32,
    },
}

impl Command {
    /// What was meant by it.
    pub fn of(verb: Verb) -> Command {
        let act = |verb, act: args::Act| {
            let wait = wait(&act.waiting);
            // With `--all` there are no patterns, and none means all of the user's services.
            Ask::Act(Act { verb, patterns: act.patterns, wait, dry_run: act.waiting.dry_run, pid: 0 })
        };
        let one = |verb, name: Option<String>, pid: Option<u32>, waiting: &args::Waiting| {
            Ask::Act(Act {
                verb,
                patterns: name.into_iter().collect(),
                wait: wait(waiting),
                dry_run: waiting.dry_run,
                pid: pid.unwrap_or(0),
            })
        };
        let ask = match verb {
            Verb::Run(run) => return Command::Run(run),
            Verb::Check => return Command::Check,
            Verb::Version => return Command::Version,
            Verb::Completions(completions) => return Command::Completions(completions.shell),
            Verb::Logs(logs) => return Command::Logs(logs),
            Verb::Crash(crash) => return Command::Crash(crash),
            Verb::Note(note) => return Command::Note(note),
            Verb::Span(span) => return Command::Span(span),
            Verb::Flag(flag) => return Command::Flag(flag),
            Verb::Stage(stage) => return Command::Stage(stage),
            Verb::Emergency(emergency) => return Command::Emergency(emergency),
            Verb::Registry(registry) => return Command::Registry(registry),
            Verb::Guard(guard) => return Command::Guard(guard),
            Verb::Audit(audit) => return Command::Audit(audit),
            Verb::Telemetry(telemetry) => return Command::Telemetry(telemetry),
            Verb::Status(status) => Ask::Status { patterns: status.patterns, all: status.all },
            Verb::Tree(tree) => Ask::Tree { all: tree.all },
            Verb::Why(why) => Ask::Why { patterns: why.patterns },
            Verb::Start(start) => act(control::Verb::Start, start),
            Verb::Stop(stop) => act(control::Verb::Stop, stop),
            Verb::Restart(restart) if restart.rolling => Ask::Roll(Roll {
                patterns: restart.patterns,
                at_once: restart.at_once.unwrap_or(0),
                share: restart.share.unwrap_or(0),
                wait: wait(&restart.waiting),
                dry_run: restart.waiting.dry_run,
            }),
            Verb::Restart(args::Restart { patterns, all, waiting, .. }) => {
                act(control::Verb::Restart, args::Act { patterns, all, waiting })
            }
            Verb::Reload(reload) => Ask::Revise(Revise {
                scale: Vec::new(),
                otp: reload.otp,
                at_once: reload.at_once.unwrap_or(0),
                wait: wait(&reload.waiting),
                dry_run: reload.waiting.dry_run,
            }),
            Verb::Scale(scale) => Ask::Revise(Revise {
                scale: scale.wanted,
                otp: false,
                at_once: 0,
                wait: wait(&scale.waiting),
                dry_run: scale.waiting.dry_run,
            }),
            Verb::StartChild(child) => Ask::StartChild(StartChild {
                child: control::NewChild {
                    name: child.name,
                    group: child.group.unwrap_or_default(),
                    argv: child.words,
                    directory: String::new(),
                    restart: child.restart.map(restart_word).unwrap_or_default().to_owned(),
                    grace: child.grace,
                    significant: child.significant,
                    dry_run: child.waiting.dry_run,
                },
                wait: wait(&child.waiting),
            }),
            Verb::Terminate(it) => one(control::Verb::Terminate, it.name, it.pid, &it.waiting),
            Verb::RestartChild(it) => one(control::Verb::RestartChild, Some(it.name), None, &it.waiting),
            Verb::DeleteChild(it) => one(control::Verb::DeleteChild, Some(it.name), None, &it.waiting),
            Verb::Count(count) => Ask::Count { group: count.group.unwrap_or_default() },
            Verb::Which(which) => {
                Ask::Which { target: which.target.unwrap_or_default(), pid: which.pid.unwrap_or(0) }
            }
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

fn restart_word(restart: args::RestartType) -> &'static str {
    match restart {
        args::RestartType::Permanent => "permanent",
        args::RestartType::Transient => "transient",
        args::RestartType::Temporary => "temporary",
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
        Ask::Act(Act {
            verb: control::Verb::Stop,
            patterns,
            wait: wait.map(Duration::from_secs),
            dry_run,
            pid: 0,
        })
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
