//! Every exit code of `mainstay`. The table never changes: scripts depend on it.

use std::process::ExitCode as Process;

/// What the program tells the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: done; for `status`: every selected service is as wanted.
    Done = 0,
    /// 1: understood and failed: a start failed, a rollback, a refusal.
    Failed = 1,
    /// 2: usage error; for flags: unknown flag.
    Usage = 2,
    /// 3: `status`, `is-up`: something wanted up is not (starting, backing off, gave up).
    NotAsWanted = 3,
    /// 4: no such service, crash or instance.
    NotFound = 4,
    /// 69: no supervisor reached.
    Unreachable = 69,
    /// 70: a bug in mainstay.
    Bug = 70,
    /// 71: a system call failed.
    System = 71,
    /// 75: already running.
    AlreadyRunning = 75,
    /// 77: not permitted.
    NotPermitted = 77,
    /// 78: configuration error.
    Configuration = 78,
    /// 124: `--timeout` ran out.
    TimedOut = 124,
}

impl ExitCode {
    /// All of them, for the manual and for tests.
    pub const ALL: [ExitCode; 12] = [
        ExitCode::Done,
        ExitCode::Failed,
        ExitCode::Usage,
        ExitCode::NotAsWanted,
        ExitCode::NotFound,
        ExitCode::Unreachable,
        ExitCode::Bug,
        ExitCode::System,
        ExitCode::AlreadyRunning,
        ExitCode::NotPermitted,
        ExitCode::Configuration,
        ExitCode::TimedOut,
    ];

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// One line for the manual.
    pub const fn meaning(self) -> &'static str {
        match self {
            ExitCode::Done => "done; for `status`: every selected service is as wanted",
            ExitCode::Failed => "understood and failed: start failed, rolled back, refused",
            ExitCode::Usage => "usage error; for flags: unknown flag",
            ExitCode::NotAsWanted => "`status`, `is-up`: something wanted up is not ready",
            ExitCode::NotFound => "no such service, flag, migration or crash",
            ExitCode::Unreachable => "no supervisor reached; says which socket was tried",
            ExitCode::Bug => "internal bug",
            ExitCode::System => "a system call failed",
            ExitCode::AlreadyRunning => "already running: pid and since when",
            ExitCode::NotPermitted => "not permitted",
            ExitCode::Configuration => "configuration error; also what `check` returns",
            ExitCode::TimedOut => "`--timeout` ran out; says what was awaited",
        }
    }

    /// The code with this number; what is not in the table is a failure.
    pub fn from_number(number: u8) -> ExitCode {
        ExitCode::ALL.into_iter().find(|code| code.number() == number).unwrap_or(ExitCode::Failed)
    }
}

impl From<ExitCode> for Process {
    fn from(code: ExitCode) -> Process {
        Process::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_exit_codes_never_changes() {
        let numbers: Vec<u8> = ExitCode::ALL.into_iter().map(ExitCode::number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 69, 70, 71, 75, 77, 78, 124]);
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_number(code.number()), code);
            assert!(!code.meaning().is_empty());
        }
        assert_eq!(ExitCode::from_number(200), ExitCode::Failed);
    }
}
