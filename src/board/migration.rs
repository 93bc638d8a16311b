//! A handle to a migration.

use super::flag::Flag;
use super::reader::Reading;
use crate::flags::Packed;

/// A migration of a [`Board`](super::Board): a flag whose value is a stage.
#[derive(Debug)]
pub struct Migration {
    flag: Flag,
}

impl Migration {
    pub(super) fn new(flag: Flag) -> Migration {
        Migration { flag }
    }

    /// The stage at which it is; 0 before the first, and when there is no such migration or nobody can say.
    #[inline]
    pub fn stage(&self) -> u32 {
        self.flag.stage().unwrap_or(0)
    }

    /// The name of that stage; `None` before the first, and when it is not known.
    pub fn stage_name(&self) -> Option<Packed> {
        self.flag.stage_and_name().filter(|(stage, _)| *stage > 0).map(|(_, name)| name)
    }

    /// Both of one moment; see [`Flag::stage_and_name`].
    pub fn stage_and_name(&self) -> Option<(u32, Packed)> {
        self.flag.stage_and_name()
    }

    /// Its stage as a reading, and how good that answer is.
    pub fn read(&self) -> Reading {
        self.flag.read()
    }
}
