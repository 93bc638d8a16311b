//! What clients and the supervisor say to each other. Data only.
//!
//! A connection carries one request; the answer is one or more [`Reply`] frames, the last of which is
//! [`Reply::Done`] or [`Reply::Refused`]. Messages are flat, so that no frame nests.

use crate::time::Wall;
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

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The supervisor itself.
    Head(Head),
    /// One instance.
    Service(Service),
    /// One group.
    Group(Group),
    /// One event.
    Event(Event),
    /// So many events before the next are gone from the ring.
    Missed {
        /// How many.
        count: u64,
    },
    /// This node was acted on.
    Acted {
        /// The instance's name.
        instance: String,
        /// The main process before it, 0 when there was none.
        pid: u32,
        /// Its state when this was said, empty when it is not there any more; answering [`Request::Revise`]:
        /// `added`, `removed` or `restarted`.
        state: String,
    },
    /// A group, counted.
    Counts(Counts),
    /// One member of a group.
    Which(Which),
    /// One thing that is, or would be, different.
    Difference(Difference),
    /// A rolling restart has begun; its end is [`What::Rolled`].
    Rolling {
        /// Its number.
        roll: u32,
    },
    /// What is wrong with the file, for people; several in a row are one text.
    Diagnostics {
        /// A part of the text.
        text: String,
    },
    /// That was all. `cursor`: the newest event when the request was taken.
    Done {
        /// The newest event when the request was taken.
        cursor: u64,
    },
    /// It was not done.
    Refused(Refusal),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Refusal {
    /// The exit code that this means for a command line (see [`crate::exit_code`]).
    pub code: u8,
    /// What happened and where.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// The supervisor itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Head {
    /// The project's name.
    pub project: String,
    /// The configuration file; empty for `run -- CMD`.
    pub config: String,
    /// The supervisor's pid.
    pub pid: u32,
    /// Since it started.
    pub up_ns: u64,
    /// Restarts of the user's services in the last hour.
    pub restarts_hour: u32,
    /// True while everything is being stopped.
    pub shutting_down: bool,
    /// Crash records that could not be written since the supervisor began.
    pub crashes_unwritten: u64,
    /// The newest event.
    pub cursor: u64,
}

/// One instance, as `status` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Service {
    /// `web`
    pub service: String,
    /// `web#2`
    pub instance: String,
    /// The group it is in; the root's name when in none.
    pub group: String,
    /// `waiting starting up ready stopping stopped finished backing_off gave_up`
    pub state: String,
    /// `up` or `down`.
    pub wanted: String,
    /// True when what is equals what is wanted.
    pub as_wanted: bool,
    /// The main process; 0: none.
    pub pid: u32,
    /// The number of its newest life; 0: none yet.
    pub incarnation: u64,
    /// Since exec of the present life; 0 when there is none.
    pub up_ns: u64,
    /// Restarts inside its window now.
    pub restarts: u32,
    /// Its own limit; 0: none.
    pub restarts_max: u32,
    /// The window of that limit.
    pub window_ns: u64,
    /// Backing off: until the next try. Else 0.
    pub retry_in_ns: u64,
    /// Processor time of the main process since exec, in nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory of the main process, in bytes.
    pub memory: u64,
    /// What it waits for, or why it is not as wanted, in words; may be empty.
    pub because: String,
    /// What it needs, as the file names it: instances, and groups as `@name`.
    pub needs: Vec<String>,
    /// How its last life ended; `None` when none did.
    pub last_exit: Option<LastExit>,
    /// A built-in service of mainstay.
    pub builtin: bool,
}

/// How a life ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct LastExit {
    /// The exit code, if it exited.
    pub code: Option<u8>,
    /// The signal's number, if it was killed.
    pub signal: Option<i32>,
    /// A core was dumped.
    pub core: bool,
    /// A start that failed: which step and why, in words. Then there was no life.
    pub error: String,
    /// From exec to exit.
    pub lived_ns: u64,
    /// How long ago.
    pub ago_ns: u64,
    /// When.
    pub time: Wall,
    /// The number of the crash record; 0 when there is none (it was asked to stop, or it was clean).
    pub crash: u64,
    /// It had been asked to stop.
    pub asked: bool,
    /// The kernel killed it because there was no memory left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oom: bool,
}

/// One group, as `tree` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The group it is in; empty for the root.
    pub parent: String,
    /// `one_for_one`, `one_for_all`, `rest_for_one`.
    pub strategy: String,
    /// Its shared window, 0 when it has none: restarts allowed.
    pub intensity: u32,
    /// Length of that window.
    pub period_ns: u64,
    /// Names of its members in order; groups as `@name`.
    pub members: Vec<String>,
}

/// OTP's four counts of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Counts {
    /// Whose.
    pub group: String,
    /// Members, running or not; of a pool: 1, its template.
    pub specs: u32,
    /// Members that run.
    pub active: u32,
    /// Members that are groups, running or not.
    pub supervisors: u32,
    /// Members that are services, running or not.
    pub workers: u32,
}

/// One member of a group, as OTP's `which_children` says it, with its specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Which {
    /// `web#2`, `@app`.
    pub name: String,
    /// The group that it is a member of.
    pub group: String,
    /// `worker` or `supervisor`.
    pub kind: String,
    /// It is a member of a pool: its name means nothing to `terminate`.
    pub pool: bool,
    /// `running`, `restarting`, `undefined`.
    pub child: String,
    /// The main process; 0: none.
    pub pid: u32,
    /// `permanent`, `transient`, `temporary`.
    pub restart: String,
    /// How long its stop may take; of a group: for ever.
    pub shutdown: Option<Grace>,
    /// Its end may end its group.
    pub significant: bool,
    /// It was added at run time.
    pub added: bool,
}

/// One difference between two plans.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Difference {
    /// An instance, `@group`, or `flag NAME`.
    pub name: String,
    /// What becomes of it.
    pub change: Changed,
    /// What differs, in words.
    pub why: Vec<String>,
}

/// What becomes of something that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// New.
    Added,
    /// Stopped and gone.
    Removed,
    /// Stopped and started.
    Restarted,
    /// Changed without anybody noticing.
    InPlace,
}

/// How many are added, removed, restarted and changed in place. By OTP's rule nothing is removed or restarted.
pub fn tally(differences: &[Difference], otp: bool) -> (u32, u32, u32, u32) {
    let of = |change| differences.iter().filter(|one| one.change == change).count() as u32;
    let (added, removed) = (of(Changed::Added), of(Changed::Removed));
    let (restarted, in_place) = (of(Changed::Restarted), of(Changed::InPlace));
    if otp { (added, 0, 0, in_place + restarted) } else { (added, removed, restarted, in_place) }
}

/// One numbered event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Event {
    /// Its number; rises by one, also across supervisors of one project.
    pub seq: u64,
    /// When, for people.
    pub time: Wall,
    /// When, on the monotonic clock.
    pub mono_ns: u64,
    /// `web`; the group's name for group events; the flag's for flag events; empty for the whole tree.
    pub service: String,
    /// `web#2`; empty when it is not about an instance.
    pub instance: String,
    /// Which life; 0 when it is not about one.
    pub incarnation: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// It waits for what it needs.
    Waiting,
    /// exec succeeded: there is a process. `command` is what is executed, shortened.
    Starting {
        /// The main process.
        pid: u32,
        /// For people.
        command: String,
    },
    /// Up, and no readiness is declared.
    Up {
        /// Since exec.
        after_ns: u64,
    },
    /// Ready.
    Ready {
        /// Since exec.
        after_ns: u64,
        /// How it was found out: `tcp 8080`, `output`, `notify`.
        how: String,
        /// Since the death of the life before, when this one is a restart; else 0.
        away_ns: u64,
        /// What it said with it (`STATUS=`): OTP's `Info`. Handed on, never looked at; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        info: String,
    },
    /// The start failed; `error` names step and cause.
    StartFailed {
        /// "changing directory to `/srv/web`: No such file or directory (os error 2)"
        error: String,
        /// What to do.
        hint: String,
    },
    /// Not ready in time; it is being ended.
    NeverReady {
        /// How long it was given.
        within_ns: u64,
        /// What was seen meanwhile, in words ("port 8080 is answered by pid 812 (nginx)"); may be empty.
        detail: String,
    },
    /// It was asked to stop.
    Stopping,
    /// Its grace was over.
    Killing,
    /// The main process ended.
    Exited {
        /// The exit code, if it exited.
        code: Option<u8>,
        /// `SIGKILL`, if it was killed by a signal.
        signal: Option<String>,
        /// A core was dumped.
        core: bool,
        /// From exec to exit.
        lived_ns: u64,
        /// It had been asked to stop.
        asked: bool,
        /// It counts as abnormal.
        abnormal: bool,
        /// The crash record's number; 0: none.
        crash: u64,
        /// The main process that was.
        pid: u32,
        /// It is started again: for the how-manieth time within its window. 0: it is not.
        restart: u32,
        /// Its limit; 0: none.
        max: u32,
        /// It had been asked to stop, and did not end as one does then.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shutdown_error: bool,
        /// The kernel killed it because there was no memory left. Then it counts as abnormal, whatever the status.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        oom: bool,
        /// It missed its watchdog and was ended for that. Then it counts as abnormal, whatever the status.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        watchdog: bool,
        /// Too many health checks in a row failed and it was ended for that. Then it counts as abnormal, whatever
        /// the status.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unhealthy: bool,
    },
    /// It will be tried again.
    BackingOff {
        /// From this event.
        in_ns: u64,
        /// Restarts in its window, this one included.
        attempt: u32,
        /// Its limit; 0: none.
        max: u32,
    },
    /// Down as wanted.
    Stopped,
    /// Down, its work is done.
    Finished,
    /// Down, its limit is reached.
    GaveUp {
        /// The limit.
        max: u32,
        /// The window.
        within_ns: u64,
    },
    /// A group is restarting because of this instance.
    GroupRestarting {
        /// The instance.
        by: String,
    },
    /// A group's window is used up.
    LimitReached {
        /// The offender.
        by: String,
    },
    /// A group stays down.
    GroupGaveUp,
    /// There is nothing to run here: its condition is false, or it exited with its `ignore` code before it was
    /// ready. Not a failure.
    Ignored,
    /// It is not in the tree any more.
    Removed,
    /// A group ends because this significant member did.
    GroupAutoShutdown {
        /// The member.
        by: String,
    },
    /// So many members of a group did not end as they were asked to, all in this way.
    ShutdownErrors {
        /// In words.
        how: String,
        /// How many.
        count: u32,
    },
    /// A rolling restart is over.
    Rolled {
        /// Which one ([`Reply::Rolling`]).
        roll: u32,
        /// Restarted, and as good as they get.
        done: u32,
        /// Who did not come up: those after it were left as they were. Empty: all did.
        failed: String,
    },
    /// Another plan is in force.
    Reloaded {
        /// How many are new.
        added: u32,
        /// How many are gone.
        removed: u32,
        /// How many are being restarted.
        restarted: u32,
        /// How many changed in place.
        in_place: u32,
        /// `file`, `program` (a tree in code), or what was scaled: `web=8`.
        from: String,
        /// Where in the file something differs: `worker.env.DB_HOST`, `@app.strategy`, `mailer`. The first 64.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        paths: Vec<String>,
    },
    /// Another plan could not be taken; nothing was changed.
    ReloadFailed {
        /// Why.
        message: String,
    },
    /// Everything wanted is up.
    AllUp {
        /// Since the supervisor started, or since it was last true.
        after_ns: u64,
    },
    /// The supervisor is stopping everything.
    ShuttingDown,
    /// The main process had a health check that failed.
    Unhealthy {
        /// So many in a row, this one included.
        in_a_row: u32,
        /// What was found.
        detail: String,
    },
    /// A flag has a new value.
    FlagChanged {
        /// Before.
        old: String,
        /// Now.
        new: String,
        /// The board's generation.
        generation: u64,
        /// Who.
        actor: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A migration stands at another stage.
    StageChanged {
        /// Before.
        from: u32,
        /// Now.
        to: u32,
        /// The name of the stage; `-` for 0.
        stage_name: String,
        /// The board's generation.
        generation: u64,
        /// Who.
        actor: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A rollout was moved.
    RollMoved {
        /// `r-3` is 3.
        roll: u64,
        /// `baking`, `held`, `done`, `rolled_back`, `ended`.
        state: String,
        /// The share of the step that is in force, as people write it.
        share: String,
        /// Why it is held, or how it ended; may be empty.
        outcome: String,
    },
    /// The guard took a change back, or (observing) would have.
    RolledBack {
        /// Why, in a sentence.
        why: String,
        /// The crash records that are the evidence.
        evidence: Vec<u64>,
        /// The generation of the change that took it back; 0 when it was only observed.
        generation: u64,
        /// From the evidence to the published rollback.
        took_ns: u64,
        /// Nothing was done.
        observed: bool,
    },
    /// A change has baked: what holds now is what is gone back to from now on.
    Proven {
        /// The generation of the change.
        generation: u64,
    },
    /// Something in the runtime directory was damaged and is whole again.
    Repaired {
        /// What, and what was found.
        what: String,
    },
    /// Something is wrong that services do not notice (a full disk, a failing keeper).
    Warning {
        /// In words.
        message: String,
    },
}
