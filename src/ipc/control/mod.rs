//! What clients and the supervisor say to each other. Data only.
//!
//! A connection carries one request; the answer is one or more [`Reply`] frames, the last of which is
//! [`Reply::Done`] or [`Reply::Refused`]. Messages are flat, so that no frame nests.

mod event;
mod reply;

pub use event::{Event, What};
pub use reply::{Changed, Counts, Difference, Group, Head, LastExit, Refusal, Reply, Service, Which, tally};

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// [`Reply::Head`], then one [`Reply::Service`] an instance and one [`Reply::Group`] a group in the
    /// order of the tree (several in a row for a group of more than 500 members), then `Done`. `all`: the built-in services too.
    Status {
        /// The built-in services too.
        #[serde(default)]
        all: bool,
    },
    /// The number of the newest event, as `Done`.
    Cursor,
    /// The events after this number ([`Reply::Event`]), oldest first, preceded by [`Reply::Missed`] when
    /// some are no longer there. `follow`: no `Done`, but what comes later as it happens.
    Events {
        /// Only later ones.
        #[serde(default)]
        after: u64,
        /// Goes on.
        #[serde(default)]
        follow: bool,
    },
    /// Do something with the nodes that these patterns name: `web`, `web#2`, `'worker*'`, `@group`.
    /// Answered by one [`Reply::Acted`] a node, then `Done` with the cursor from *before* the act.
    Act {
        /// What.
        verb: Verb,
        /// With what; empty: with every service of the user (`stop --all`).
        #[serde(default)]
        targets: Vec<String>,
        /// For [`Verb::Kill`]: the signal's number.
        #[serde(default)]
        signal: i32,
        /// For [`Verb::Terminate`]: the member of a pool with this main process, the newest it had; the targets
        /// name the pool, or nothing. 0: not by pid.
        #[serde(default)]
        pid: u32,
        /// Says what would be done, and does nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// Everything down in order, then the supervisor ends. `Done` when it has begun; the connection is
    /// closed when everything is down.
    Shutdown,
    /// OTP's `start_child`. Answered by [`Reply::Acted`], then `Done` with the cursor from before it. What
    /// becomes of the first start is told by events; when it fails, nothing is kept ([`What::Removed`]).
    StartChild(NewChild),
    /// OTP's `count_children` of a group, the user's root when it is empty: [`Reply::Counts`], then `Done`.
    Count {
        /// With or without its `@`.
        #[serde(default)]
        group: String,
    },
    /// OTP's `which_children` (newest first) of a `@group`, the user's root when it is empty; or `which_child` of
    /// one name: [`Reply::Which`] each, then `Done`.
    Which {
        /// `@group`, or the name of a child.
        #[serde(default)]
        target: String,
        /// The member of a pool with this main process; 0: not by pid.
        #[serde(default)]
        pid: u32,
    },
    /// Restarts these, at most so many at a time. Answered by one [`Reply::Acted`] each, [`Reply::Rolling`], then
    /// `Done` with the cursor from before it; [`What::Rolled`] ends it.
    Roll {
        /// Patterns; empty: every service of the user.
        #[serde(default)]
        targets: Vec<String>,
        /// At least 1; 0: as `share` says, or one.
        #[serde(default)]
        at_once: u32,
        /// Percent of them, rounded up; 0: as `at_once` says.
        #[serde(default)]
        share: u32,
        /// Says what would be done, and does nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// Another plan: the file read again, or another number of instances. Answered by one
    /// [`Reply::Difference`] each, one [`Reply::Acted`] for each instance that comes, goes or is restarted by it,
    /// [`Reply::Rolling`] when some are, then `Done` with the cursor from before the change; when the file has errors by
    /// [`Reply::Diagnostics`] and `Refused` with code 78, and nothing was changed.
    Revise {
        /// Services and how many instances each shall have; empty: the file is read again.
        #[serde(default)]
        scale: Vec<(String, u32)>,
        /// A file with a whole plan, as an embedding program writes it (`cli::revision::seal`), instead of the file
        /// that was read; empty: not.
        #[serde(default)]
        plan: String,
        /// Nothing is started, restarted or deleted (OTP N03 to N06).
        #[serde(default)]
        otp: bool,
        /// So many changed services are restarted at a time; 0: one.
        #[serde(default)]
        at_once: u32,
        /// Says what would be done, and does nothing.
        #[serde(default)]
        dry_run: bool,
        /// Errors in colour.
        #[serde(default)]
        color: bool,
    },
}

/// A child for [`Request::StartChild`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewChild {
    /// `worker@mail` from a template; `@jobs`: one more in that pool; else any name, with words to execute.
    pub name: String,
    /// The group of a child that comes from no template; empty: the user's root.
    pub group: String,
    /// Words after the template's own; or all words to execute.
    pub argv: Vec<String>,
    /// Where it runs, absolute, when it comes from no template.
    pub directory: String,
    /// `permanent`, `transient`, `temporary`; empty: as the template says, or permanent.
    pub restart: String,
    /// How long its stop may take.
    pub grace: Option<Grace>,
    /// Its end may end its group.
    pub significant: bool,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

/// How long a stop may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grace {
    /// SIGKILL at once.
    Kill,
    /// So many nanoseconds, then SIGKILL.
    After(u64),
    /// For ever.
    Infinity,
}

/// What can be done with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Wanted up.
    Start,
    /// Wanted down.
    Stop,
    /// Stopped and started.
    Restart,
    /// A signal to the main process, by pidfd; what follows is an ordinary death.
    Kill,
    /// OTP's `terminate_child`: stopped; removed, too, when it was added as temporary or is in a pool.
    Terminate,
    /// OTP's `restart_child`: a stopped child is started.
    RestartChild,
    /// OTP's `delete_child`: a stopped child is removed.
    DeleteChild,
}
