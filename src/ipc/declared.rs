//! What the configuration says about flags, as the supervisor hands it to the keeper and as the keeper leaves it on
//! the disk. Data only.

use super::codec::{self, Malformed};
use crate::flags::guard::Mode;
use crate::flags::{Declaration, Migration};
use bincode::{Decode, Encode};

/// Everything that the configuration says about flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Declarations {
    /// The flags.
    pub flags: Vec<Declaration>,
    /// The migrations.
    pub migrations: Vec<Migration>,
    /// The guard's switch for the whole host, until somebody moves it by hand.
    pub guard: Mode,
}

impl Declarations {
    /// As bytes.
    ///
    /// # Errors
    /// More than [`codec::PLAN_LIMIT`] of them.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        codec::encode_plan(self)
    }

    /// From these bytes.
    ///
    /// # Errors
    /// They are of another version, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Declarations, Malformed> {
        codec::decode_plan(bytes)
    }
}
