//! The model's data: what a supervisor is told, and what it holds. Written from OTP's rules alone.
//!
//! A supervisor is a value that holds its children in start order, and a child that is a supervisor holds its own.
//! Nothing is shared, nothing is looked up: the rules in `rules` walk these vectors from end to end.

/// Who falls together. `Pool` is OTP's `simple_one_for_one`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
    Pool,
}

/// When a child that ended is started again (E).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

/// When significant children end their supervisor (M).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoShutdown {
    Never,
    Any,
    All,
}

/// What a supervisor is told at its start: OTP's flags and start list. Of a pool, the list is its one template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    /// So many restarts are allowed ...
    pub(crate) intensity: usize,
    /// ... within so many nanoseconds.
    pub(crate) period: u64,
    /// Its clock knows whole seconds only, as OTP's does (I03).
    pub(crate) whole_seconds: bool,
    pub(crate) auto_shutdown: AutoShutdown,
    /// D20; of a pool only.
    pub(crate) max_children: Option<usize>,
    pub(crate) specs: Vec<Spec>,
}

/// What a child is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) restart: Restart,
    pub(crate) significant: bool,
    /// Killed at once when it is to end (K03).
    pub(crate) brutal: bool,
    pub(crate) job: Job,
}

/// What starting a child means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Job {
    Worker,
    Supervisor(Plan),
}

/// A supervisor that runs.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    /// Which start of it this is: a notice for an earlier one finds nobody.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) plan: Plan,
    /// In start order, the oldest first.
    pub(crate) kids: Vec<Kid>,
    /// When it restarted something.
    pub(crate) stamps: Vec<u64>,
}

/// A child specification that is kept, and what runs of it.
#[derive(Clone, Debug)]
pub(crate) struct Kid {
    pub(crate) spec: Spec,
    pub(crate) pid: Pid,
}

/// OTP's pid field.
#[derive(Clone, Debug)]
pub(crate) enum Pid {
    Undefined,
    /// Its restart failed, and the notice with this tag will try again (J07).
    Restarting(u64),
    Running(Live),
}

/// What runs.
#[derive(Clone, Debug)]
pub(crate) enum Live {
    /// A process: which life.
    Worker(u64),
    Supervisor(Supervisor),
}

/// How a child ended, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// `normal`, `shutdown`, `{shutdown, _}`.
    Clean,
    Abnormal,
}

/// Why the outermost supervisor ended. All three are the reason `shutdown` to a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody asked.
    Asked,
    /// I07: the offender.
    Limit(String),
    /// M18.
    Significant,
}

/// What a supervisor does after it handled something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum After {
    Lives,
    Ends(Why),
}

impl Plan {
    /// The plan in one line: `OneForAll 2 Any [a transient!, e permanent OneForOne 1 Never [ea temporary]]`.
    pub(crate) fn line(&self) -> String {
        let specs: Vec<String> = self.specs.iter().map(Spec::line).collect();
        let bound = self.max_children.map_or(String::new(), |max| format!(" max {max}"));
        let (strategy, intensity, auto) = (self.strategy, self.intensity, self.auto_shutdown);
        format!("{strategy:?} {intensity} {auto:?}{bound} [{}]", specs.join(", "))
    }
}

impl Spec {
    fn line(&self) -> String {
        let significant = if self.significant { " significant" } else { "" };
        let inner = match &self.job {
            Job::Worker => String::new(),
            Job::Supervisor(plan) => format!(" {}", plan.line()),
        };
        format!("{} {:?}{significant}{inner}", self.name, self.restart)
    }
}
