//! What happened, numbered.

use crate::time::Wall;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

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
        /// Which one ([`Reply::Rolling`](super::Reply::Rolling)).
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
