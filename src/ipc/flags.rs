//! What clients and the keeper say to each other. Data only.
//!
//! A connection carries one request; the answer is any number of [`Reply`] frames, the last of which is
//! [`Reply::Done`] or [`Reply::Refused`].
//!
//! A change may be sent again. Its `id` is chosen by the client at random: a keeper that has already made
//! that change (its acknowledgement was lost because the keeper, or the connection, died) answers as it
//! would have then and changes nothing. Besides, changes are absolute values, never "one more".

use super::control::Refusal;
use crate::flags::{NotAValue, Truth, Value};
use crate::time::Wall;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

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
        /// Chosen at random, the same when it is sent again; 0: never recognised.
        #[serde(default)]
        id: u64,
        /// Which flag becomes what.
        edits: Vec<Edit>,
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
        /// Make it even when it cannot be made durable.
        #[serde(default)]
        volatile: bool,
        /// Says what would be done, and does nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// Puts these flags on their default, all at once; none named: every declared flag.
    Reset {
        /// As in `Set`.
        #[serde(default)]
        id: u64,
        /// Names.
        #[serde(default)]
        flags: Vec<String>,
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
        /// Make it even when it cannot be made durable.
        #[serde(default)]
        volatile: bool,
        /// Says what would be done, and does nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// One [`Reply::Flag`] each for these flags; none named: for every declared flag, by name.
    List {
        /// Names.
        #[serde(default)]
        flags: Vec<String>,
    },
    /// [`Reply::Where`].
    Where,
}

/// One flag and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Its name.
    pub flag: String,
    /// What it becomes.
    pub to: To,
}

/// What a flag becomes. As text: `on`, `off`, `12.5%`, `disabled`, `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum To {
    /// This value, and not disabled.
    Value(Value),
    /// Disabled; the value stays for later.
    Disabled,
    /// Its default, as if nobody had ever set it.
    Default,
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

impl FromStr for To {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<To, NotAValue> {
        match text {
            "disabled" => Ok(To::Disabled),
            "default" => Ok(To::Default),
            _ => text.parse().map(To::Value),
        }
    }
}

impl From<To> for String {
    fn from(to: To) -> String {
        to.to_string()
    }
}

impl TryFrom<String> for To {
    type Error = NotAValue;

    fn try_from(text: String) -> Result<To, NotAValue> {
        text.parse()
    }
}

/// What the keeper answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// What became of one flag.
    Changed(Changed),
    /// One flag.
    Flag(Flag),
    /// Where everything is.
    Where(Where),
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
    /// Its name.
    pub name: String,
    /// What holds.
    pub truth: Truth,
    /// What holds until somebody sets it.
    pub default: Value,
    /// What stands in the hash before an id.
    pub salt: String,
    /// True when somebody set it; the rest says who. A reset flag is not set, but somebody reset it.
    pub set: bool,
    /// The number of the newest change to it; 0: none.
    pub generation: u64,
    /// The uid of who made that change.
    pub uid: u32,
    /// The name of that user, or its number; empty: nobody.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub time: Wall,
    /// True when it survives the keeper and the machine.
    pub durable: bool,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// What it is for; may be empty.
    pub description: String,
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
        let line = r#"{"request":"set","edits":[{"flag":"new-checkout","to":"12.5%"}]}"#;
        let edits = vec![Edit { flag: "new-checkout".into(), to: To::Value(Value::Share(12_500)) }];
        let expected = Request::Set { id: 0, edits, reason: String::new(), volatile: false, dry_run: false };
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), expected);
        assert_eq!(codec::decode::<Request>(&codec::encode(&expected).unwrap()), Ok(expected));
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_in_json_too() {
        let line = r#"{"request":"set","edits":[{"flag":"x","to":"120%"}]}"#;
        assert!(serde_json::from_str::<Request>(line).unwrap_err().to_string().contains("120%"));
    }
}
