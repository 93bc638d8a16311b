//! What clients and the keeper say to each other. Data only.
//!
//! A connection carries one request; the answer is any number of [`Reply`] frames, the last of which is
//! [`Reply::Done`] or [`Reply::Refused`].
//!
//! A change may be sent again. Its `id` is chosen by the client at random: a keeper that has already made
//! that change (its acknowledgement was lost because the keeper, or the connection, died) answers as it
//! would have then and changes nothing. Besides, changes are absolute values, never "one more".

use super::control::Refusal;
use crate::flags::guard::{Mode, RollState};
use crate::flags::{Declaration, Kind, NotAValue, Truth, Value};
use crate::time::Wall;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is spoken on `control/keeper`.
#[derive(Debug)]
pub struct Flags;

impl super::server::Protocol for Flags {
    type Request = Request;
    type Reply = Reply;

    fn refused(refusal: Refusal) -> Reply {
        Reply::Refused(refusal)
    }
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Makes all these changes at once, or none of them. Answered by one [`Reply::Changed`] for each flag.
    Set {
        /// How.
        #[serde(default)]
        how: How,
        /// Which flag becomes what.
        edits: Vec<Edit>,
    },
    /// Puts these flags on their default, all at once; none named: every declared flag, and every migration before its
    /// first stage.
    Reset {
        /// How.
        #[serde(default)]
        how: How,
        /// Names.
        #[serde(default)]
        flags: Vec<String>,
    },
    /// What the configuration says holds again, for every flag and migration.
    Load {
        /// How.
        #[serde(default)]
        how: How,
    },
    /// Moves a migration. Answered by one [`Reply::Changed`] for each flag that changes and one for the migration, or
    /// by [`Reply::Roll`] when the stage comes in by steps.
    Stage {
        /// How.
        #[serde(default)]
        how: How,
        /// Which.
        migration: String,
        /// To where: the number or the name of a stage.
        to: String,
        /// Up or down.
        way: Way,
        /// More than one stage at a time.
        #[serde(default)]
        force: bool,
        /// Down past a stage that is one-way.
        #[serde(default)]
        past_one_way: bool,
        /// All at once, although the stage has steps.
        #[serde(default)]
        at_once: bool,
    },
    /// Puts one migration, and every flag of it, or everything on the board on its safe value, in one change.
    Emergency {
        /// How; a reason is required.
        #[serde(default)]
        how: How,
        /// Which; empty: everything.
        #[serde(default)]
        migration: String,
    },
    /// Brings a flag in by steps, each of which bakes. Answered by [`Reply::Roll`].
    Roll {
        /// How.
        #[serde(default)]
        how: How,
        /// Which.
        flag: String,
        /// Percentages, rising.
        steps: Vec<String>,
        /// How long each bakes, in nanoseconds; 0: as declared, or five minutes.
        #[serde(default)]
        bake_ns: u64,
        /// `id`, `host`, `instance`; empty: as declared. Another one than the declared one is an error.
        #[serde(default)]
        unit: String,
    },
    /// Ends a rollout that is going on, where it is or by taking it back; or lets a held one go on.
    Steer {
        /// How.
        #[serde(default)]
        how: How,
        /// Its number.
        roll: u64,
        /// What becomes of it.
        to: Steering,
    },
    /// Moves the guard's switch for the whole host, or lets a frozen subject be changed again.
    Guard {
        /// How; a reason is required.
        #[serde(default)]
        how: How,
        /// The switch; `None`: as it is.
        #[serde(default)]
        mode: Option<Mode>,
        /// Flags and migrations whose freeze and cool-down end.
        #[serde(default)]
        thaw: Vec<String>,
    },
    /// One [`Reply::Flag`] each for these flags; none named: for every declared flag, by name.
    List {
        /// Names.
        #[serde(default)]
        flags: Vec<String>,
    },
    /// One [`Reply::Migration`] each, and behind it one [`Reply::Stage`] for each of its stages; none named: for all.
    Migrations {
        /// Names.
        #[serde(default)]
        migrations: Vec<String>,
    },
    /// One [`Reply::Roll`] each; none named: all that are kept, the newest last.
    Rolls {
        /// Numbers.
        #[serde(default)]
        rolls: Vec<u64>,
    },
    /// [`Reply::GuardIs`], then one [`Reply::Watched`] for each change that is watched, one [`Reply::Banned`] for each ban.
    Guarding,
    /// One [`Reply::Seen`] for each of these flags (none named: all) and each service that has read it.
    Seen {
        /// Names.
        #[serde(default)]
        flags: Vec<String>,
    },
    /// [`Reply::Where`].
    Where,
}

impl Request {
    /// How a change is to be made; `None`: it changes nothing.
    pub fn how(&self) -> Option<&How> {
        match self {
            Request::Set { how, .. }
            | Request::Reset { how, .. }
            | Request::Load { how }
            | Request::Stage { how, .. }
            | Request::Emergency { how, .. }
            | Request::Roll { how, .. }
            | Request::Steer { how, .. }
            | Request::Guard { how, .. } => Some(how),
            Request::List { .. }
            | Request::Migrations { .. }
            | Request::Rolls { .. }
            | Request::Guarding
            | Request::Seen { .. }
            | Request::Where => None,
        }
    }

    /// True when it may change something.
    pub fn changes(&self) -> bool {
        self.how().is_some()
    }
}

/// What a refusal hints at when nothing but the reason is missing: a client on a terminal asks for it then.
pub const SAY_WHY: &str = "say it with `--why TEXT`";

/// How a change is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct How {
    /// Chosen at random, the same when it is sent again; 0: never recognised.
    pub id: u64,
    /// Why; may be empty where no reason is required.
    pub reason: String,
    /// Make it even when it cannot be made durable.
    pub volatile: bool,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
    /// Make it although the guard has banned it.
    pub override_ban: bool,
}

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To a later stage.
    Enable,
    /// To an earlier one, 0 included.
    Rollback,
}

/// What becomes of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// It ends, and what it has brought in stays.
    End,
    /// It ends, and what held before it holds again.
    Back,
    /// A held one takes its next step.
    On,
}

/// One flag and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Its name.
    pub flag: String,
    /// What it becomes: `disabled`, `default`, or a value as [`Value::parse`] takes it for the flag's kind. (A text of
    /// one of those two words is written as a JSON string.)
    pub to: String,
    /// The flag is disabled, and the value is for when it is enabled again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

impl Edit {
    /// The flag becomes this, and is not disabled unless that is what it becomes.
    pub fn new(flag: impl Into<String>, to: impl Into<String>) -> Edit {
        Edit { flag: flag.into(), to: to.into(), disabled: false }
    }
}

/// What a flag becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// This value, and not disabled.
    Value(Value),
    /// Disabled; the value stays for later.
    Disabled,
    /// Its default, as if nobody had ever set it.
    Default,
}

impl To {
    /// What [`Edit::to`] means for a flag of this kind.
    ///
    /// # Errors
    /// It is no value of that kind.
    pub fn parse(kind: Kind, text: &str) -> Result<To, NotAValue> {
        match text {
            "disabled" => Ok(To::Disabled),
            "default" => Ok(To::Default),
            _ => Value::parse(kind, text).map(To::Value),
        }
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Value(value) => value.fmt(f),
            To::Disabled => f.write_str("disabled"),
            To::Default => f.write_str("default"),
        }
    }
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// What became of one flag.
    Changed(Changed),
    /// One flag.
    Flag(Box<Flag>),
    /// One migration.
    Migration(Migration),
    /// One stage of the migration before it.
    Stage(Stage),
    /// One rollout.
    Roll(Roll),
    /// The guard's switch.
    GuardIs {
        /// For the whole host.
        mode: Mode,
    },
    /// One change that is watched.
    Watched(Watched),
    /// One ban.
    Banned(Banned),
    /// Who has read a flag.
    Seen(Seen),
    /// Where everything is.
    Where(Where),
    /// Something that a person should know besides.
    Note {
        /// A sentence.
        text: String,
    },
    /// That was all.
    Done {
        /// The number of the newest change.
        generation: u64,
        /// False when some change made so far would not survive the keeper.
        durable: bool,
    },
    /// It was not done, no part of it.
    Refused(Refusal),
}

/// What became of one flag.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub flag: String,
    /// Before, as people write it.
    pub old: String,
    /// Now.
    pub new: String,
    /// The number of the change; of the change that set it, when nothing was to be done.
    pub generation: u64,
    /// True when it already was so: nothing was done.
    pub unchanged: bool,
    /// True when this very request had been carried out before (see the module).
    pub repeated: bool,
    /// True when it survives the keeper and the machine.
    pub durable: bool,
}

/// One flag, as `flag list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Flag {
    /// How it is declared.
    pub declared: Declaration,
    /// What was set, or holds unset.
    pub truth: Truth,
    /// What readers see: what was set, unless another flag forbids it, or the host's share decides.
    pub effective: Truth,
    /// Where the unit is the instance and a share or a list decides: the instances for which it is on.
    pub instances: Vec<String>,
    /// True when somebody set it; the rest says who. A reset flag is not set, but somebody reset it.
    pub set: bool,
    /// The number of the newest change to it; 0: none.
    pub generation: u64,
    /// The uid of who made that change.
    pub uid: u32,
    /// The name of that user, or its number; `guard`; empty: nobody.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub time: Wall,
    /// True when it survives the keeper and the machine.
    pub durable: bool,
    /// The migration and the stage that decide about it, if one does: `otp_cleanup`, 2.
    pub stage: Option<(String, u32)>,
    /// The rollout that is bringing it in; 0: none.
    pub roll: u64,
    /// What the guard thinks of it in a word: `baking`, `banned`, `cooling down`, `frozen`; empty: nothing.
    pub guard: String,
}

/// One migration, as `stage status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Migration {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub stage: u32,
    /// The name of that stage; `-` for 0.
    pub stage_name: String,
    /// How many stages it has.
    pub stages: u32,
    /// The rollout that is bringing in the next stage; 0: none.
    pub roll: u64,
    /// The number of the change that brought it here; 0: nobody ever moved it.
    pub generation: u64,
    /// Who did.
    pub uid: u32,
    /// See [`Flag::actor`].
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub time: Wall,
    /// As [`Flag::guard`].
    pub guard: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
}

/// One stage of a migration. One with more flags than a frame holds comes in parts, one after the other: with the same
/// number, and each with other flags.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Stage {
    /// From 1.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// True when it is on.
    pub on: bool,
    /// Its flags and what readers see of each, as people write it.
    pub flags: Vec<(String, String)>,
    /// The shares by which it comes in, as people write them.
    pub steps: Vec<String>,
    /// A rollback past here must be asked for by name.
    pub one_way: bool,
    /// Why it is banned; empty: it is not.
    pub banned: String,
}

/// One rollout.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Roll {
    /// `r-3` is 3.
    pub number: u64,
    /// The flag; or the migration.
    pub name: String,
    /// The stage that comes in; 0: it is a flag's.
    pub stage: u32,
    /// As people write them.
    pub steps: Vec<String>,
    /// The index of the step that is in force.
    pub step: u32,
    /// How it is.
    pub state: RollState,
    /// How long this step has baked so far: the least of what its services need to have been up.
    pub baked_ns: u64,
    /// How long it must.
    pub bake_ns: u64,
    /// Of so many instances …
    pub instances: u32,
    /// … so many have it on; only where the unit is the instance.
    pub instances_on: u32,
    /// Abnormal exits of its services since this step began.
    pub crashes: u32,
    /// Why it is held, or how it ended; may be empty.
    pub outcome: String,
    /// The crash records that are the evidence.
    pub evidence: Vec<u64>,
    /// How it is watched, in a few words: `3 crashes in 60s, ready, health`.
    pub guard: String,
    /// The generation of its newest change.
    pub generation: u64,
    /// How long the guard needed from the evidence to the published rollback; 0: there was none.
    pub took_ns: u64,
}

/// A change that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Watched {
    /// The flag; or the migration.
    pub name: String,
    /// The stage; 0: it is a flag's.
    pub stage: u32,
    /// The generation of the change.
    pub generation: u64,
    /// See [`Roll::baked_ns`].
    pub baked_ns: u64,
    /// How long it must.
    pub bake_ns: u64,
    /// Abnormal exits of its services since.
    pub crashes: u32,
    /// Why it goes no further; empty: it does.
    pub held: String,
    /// It is only observed.
    pub observe: bool,
    /// Who made it.
    pub actor: String,
    /// When.
    pub time: Wall,
}

/// What must not be set again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Banned {
    /// The flag; or the migration.
    pub name: String,
    /// The stage; 0: it is a flag's.
    pub stage: u32,
    /// In a sentence.
    pub why: String,
    /// The crash records that are the evidence.
    pub evidence: Vec<u64>,
    /// When.
    pub time: Wall,
    /// So many rollbacks in the last 24 hours.
    pub rollbacks: u32,
    /// It stays as it is until `guard --thaw`.
    pub frozen: bool,
}

/// How many instances of one service have read a flag, and what.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Seen {
    /// The flag.
    pub flag: String,
    /// The service.
    pub service: String,
    /// Instances that run.
    pub running: u32,
    /// Of them, those that have read it since they started.
    pub read: u32,
    /// Of those, the ones whose last read is of its newest value.
    pub newest: u32,
    /// Since when the slowest of the others is behind, in nanoseconds; 0: none is.
    pub behind_ns: u64,
    /// The oldest generation that one of them last saw; 0: none has read it.
    pub generation: u64,
}

/// Where everything is, and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Where {
    /// The keeper.
    pub pid: u32,
    /// The board's path.
    pub board: String,
    /// The journal's path.
    pub journal: String,
    /// The journal's epoch; 0 while there is no journal that can be written.
    pub epoch: u64,
    /// The number of the newest change.
    pub generation: u64,
    /// Declared flags.
    pub flags: u32,
    /// What is wrong with the journal, in words; empty: nothing.
    pub trouble: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::codec;

    #[test]
    fn a_request_written_by_hand_is_understood() {
        let line =
            r#"{"request":"set","edits":[{"flag":"new-checkout","to":"12.5%"}],"how":{"reason":"a try"}}"#;
        let edits = vec![Edit::new("new-checkout", "12.5%")];
        let how = How { reason: "a try".into(), ..How::default() };
        let expected = Request::Set { how, edits };
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), expected);
        assert_eq!(codec::decode::<Request>(&codec::encode(&expected).unwrap()), Ok(expected));
    }

    #[test]
    fn a_missing_reason_is_hinted_at_in_the_words_that_clients_know() {
        assert_eq!(crate::flags::Refused::NoReason("it".into()).hint(), SAY_WHY);
    }

    #[test]
    fn the_words_that_are_no_values_are_those_of_every_kind() {
        for kind in [Kind::Bool, Kind::Percent, Kind::Int, Kind::Text] {
            assert_eq!(To::parse(kind, "disabled"), Ok(To::Disabled));
            assert_eq!(To::parse(kind, "default"), Ok(To::Default));
        }
        let disabled = To::parse(Kind::Text, "\"disabled\"").unwrap();
        assert_eq!(disabled.to_string(), "\"disabled\"");
    }
}
