//! What the judge knows of each child and group. Where a command, or a group that fell, makes a truth unknowable
//! from outside, it says so instead of guessing.

use mainstay::supervisor::spec::{Grace, GroupId, Incarnation, Node};
use mainstay::time::{Duration, Instant};

/// Whether something is so, as far as it can be known from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Sure {
    Yes,
    #[default]
    No,
    Maybe,
}

impl From<bool> for Sure {
    fn from(is: bool) -> Sure {
        if is { Sure::Yes } else { Sure::No }
    }
}

/// One life, as the world knows it.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) number: Incarnation,
    /// When exec was done.
    pub(crate) exec: Option<Instant>,
    /// How long it may take to be ready, as declared when exec was done.
    pub(crate) within: Option<Duration>,
    pub(crate) ready: Option<Instant>,
    /// The main process is gone, its helpers are not.
    pub(crate) exited: bool,
    /// When it was asked to stop, and how long it was given.
    pub(crate) stop: Option<(Instant, Grace)>,
    pub(crate) kill: bool,
    pub(crate) never_ready: bool,
    /// It failed while it ran, and nobody had asked it to stop.
    pub(crate) failed: Sure,
}

impl Life {
    pub(crate) fn new(number: Incarnation) -> Life {
        Life {
            number,
            exec: None,
            within: None,
            ready: None,
            exited: false,
            stop: None,
            kill: false,
            never_ready: false,
            failed: Sure::No,
        }
    }

    /// It was asked to end.
    pub(crate) fn leaves(&self) -> bool {
        self.stop.is_some() || self.kill
    }

    /// It was asked to end, and not because it failed.
    pub(crate) fn asked(&self) -> bool {
        self.leaves() && !self.never_ready && self.failed != Sure::Yes
    }

    /// Since when it has been as good as it gets.
    pub(crate) fn good_since(&self) -> Option<Instant> {
        if self.within.is_some() { self.ready } else { self.exec }
    }
}

/// What is known of a child.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Which child this is: a number is given again, this is not.
    pub(crate) serial: u64,
    pub(crate) life: Option<Life>,
    /// Its newest life; 0 before the first.
    pub(crate) newest: Incarnation,
    /// The last life of whoever had this number before.
    pub(crate) past: Incarnation,
    /// It was up, failed, or was down for good.
    pub(crate) tried: bool,
    /// It ended cleanly and its restart type leaves it at that.
    pub(crate) done: bool,
    /// It died by itself and its restart type leaves it at that.
    pub(crate) over: bool,
    /// Whether somebody wants it up.
    pub(crate) wanted: Sure,
    /// There is a reason to stop the life that it has, or had last.
    pub(crate) excused: bool,
    /// A roll may have told it to end.
    pub(crate) bounced: bool,
    /// The life that a roll, which is over since, may have told to end.
    pub(crate) late: Option<Incarnation>,
    /// A reload put it into another group: what it caused before is not told where it is now.
    pub(crate) moved: bool,
    /// It was added and never was up.
    pub(crate) fresh: bool,
    /// It must go as soon as it has no process.
    pub(crate) goes: bool,
    /// It may.
    pub(crate) may_go: bool,
    /// The newest revision does not have it; it is kept (N05).
    pub(crate) kept: bool,
    /// It left the group whose list it is in, and may come back.
    pub(crate) left: Option<GroupId>,
}

/// What is known of a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownGroup {
    /// Whether it is down as a whole: then there is no such supervisor.
    pub(crate) down: Sure,
    /// It fell, ended or began anew at least once.
    pub(crate) fell: bool,
    /// Its start may have failed, or one in it, which nobody reports (A09).
    pub(crate) silent: bool,
    /// Its significant members have done their work, and it is not started again: all in it are done.
    pub(crate) finished: bool,
    /// It is no longer wanted, and goes with its last member.
    pub(crate) goes: bool,
    /// The newest revision does not have it; it is kept until its parent begins anew (N05).
    pub(crate) kept: bool,
    /// It left the group whose list it is in, and may come back.
    pub(crate) left: Option<GroupId>,
    /// The members that it was declared with, in order.
    pub(crate) list: Vec<Node>,
}

/// A group that takes members down: none of them starts before these lives are gone.
#[derive(Debug)]
pub(crate) struct Fall {
    pub(crate) group: usize,
    pub(crate) members: Vec<Node>,
    pub(crate) doomed: Vec<(usize, Incarnation)>,
}

/// A rolling restart.
#[derive(Debug)]
pub(crate) struct Roll {
    pub(crate) number: u32,
    /// All of it.
    pub(crate) members: Vec<usize>,
    /// Who has not been restarted: child, serial, the life that it had at the beginning.
    pub(crate) waiting: Vec<(usize, u64, Option<Incarnation>)>,
    pub(crate) away: Vec<(usize, u64, Incarnation)>,
    pub(crate) at_once: usize,
    pub(crate) over: bool,
}
