//! What clients and the registry say to each other. Data only.
//!
//! A connection carries one request; the answer is any number of [`Reply`] frames, the last of which is
//! [`Reply::Done`] or [`Reply::Refused`]. That of [`Request::Watch`] has no end: what is there now, [`Reply::Here`], and
//! then what happens.
//!
//! Every request may be sent again when its answer was lost: who has a name already and registers it with the same
//! metadata is told so, and an `unregister` says which registration it means.

use super::control::Refusal;
use crate::time::Wall;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is spoken on `control/registry`.
#[derive(Debug)]
pub struct Registry;

impl super::server::Protocol for Registry {
    type Request = Request;
    type Reply = Reply;

    fn refused(refusal: Refusal) -> Reply {
        Reply::Refused(refusal)
    }
}

/// Which process, for ever: a number alone is given to others later.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number. In a request 0: whoever sends it.
    #[serde(default)]
    pub pid: u32,
    /// When it began, in clock ticks since boot. In a request 0: not known.
    #[serde(default)]
    pub started: u64,
    /// The inode of its pidfd, which no other process of this boot has. 0: not known, or a kernel before 6.9.
    #[serde(default)]
    pub inode: u64,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Gives a name to a process, until that ends. Answered by one [`Reply::Entry`]. The same process again: its metadata
    /// is replaced. A name that a living process has is refused; who has it is said.
    Register {
        /// The name.
        name: String,
        /// Whom it means; whoever asks, when it is left out.
        #[serde(default)]
        process: Process,
        /// Keys and values.
        #[serde(default)]
        meta: BTreeMap<String, String>,
    },
    /// Takes a name away. Answered by one [`Reply::Entry`]: what it was.
    Unregister {
        /// The name.
        name: String,
        /// Only if this is its registration ([`Entry::ticket`]); 0: whichever it is.
        #[serde(default)]
        ticket: u64,
    },
    /// Who has this name. Answered by one [`Reply::Entry`].
    Lookup {
        /// The name.
        name: String,
    },
    /// All names that begin so, in order.
    List {
        /// The beginning; empty: all.
        #[serde(default)]
        prefix: String,
    },
    /// The same, then [`Reply::Here`], then every change of such a name, for as long as the client stays.
    Watch {
        /// The beginning; empty: all.
        #[serde(default)]
        prefix: String,
    },
}

/// A name, and whom it means.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Who has it.
    pub process: Process,
    /// The instance of the tree that it belongs to (`web#2`); empty: none that is known.
    pub instance: String,
    /// The user who registered it.
    pub uid: u32,
    /// Numbers registrations, of whatever name: a later one has a higher number.
    pub ticket: u64,
    /// When it was registered.
    pub since: Wall,
    /// Keys and values.
    pub meta: BTreeMap<String, String>,
}

/// Why a name is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its process ended.
    Died,
    /// Somebody took it away.
    Unregistered,
}

/// Something that the registry answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// A name that is there.
    Entry(Entry),
    /// All that was there has been said; what follows happens.
    Here,
    /// A name is there that was not, or with other metadata than it had.
    Added(Entry),
    /// A name is not there any more.
    Gone {
        /// What it was.
        entry: Entry,
        /// Why.
        why: Why,
    },
    /// That was all.
    Done,
    /// No, and why.
    Refused(Refusal),
}
