//! What a supervisor reads in the ledger of an earlier one: hostile input, of which it believes no more than it
//! can check.

use super::{
    BEGAN, BOOT, CRASH, ENTRIES_MAX, ENTRY, EVENT, HEAD, INCARNATION, INTENDED, KEPT, MAGIC, NAME, NAME_CELL,
    Numbers, SUPERVISOR, VERSION, boot,
};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;

/// What a supervisor of the past left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Where it stopped counting.
    pub numbers: Numbers,
    /// Its pid, when it neither said goodbye nor belongs to another boot.
    pub supervisor: Option<u32>,
    /// Lives that it had not seen end; empty for another boot.
    pub lives: Vec<PastLife>,
}

/// One life in a ledger of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastLife {
    /// The instance.
    pub name: String,
    /// The start token.
    pub incarnation: u64,
    /// 0 when it died between intention and fork, or right after it.
    pub pid: u32,
    /// The inode of its pidfd: the identity that a reused pid does not have.
    pub identity: u64,
}

/// What an earlier supervisor left in `directory`; nothing when there is no ledger that can be read.
pub fn past(directory: BorrowedFd<'_>) -> Past {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut bytes = Vec::new();
    for name in [NAME, KEPT] {
        let limit = ((HEAD + ENTRY * ENTRIES_MAX) * 8) as u64;
        let read = openat(directory, name, flags, Mode::empty())
            .map_err(io::Error::from)
            .and_then(|fd| File::from(fd).take(limit).read_to_end(&mut bytes));
        if read.is_ok()
            && let Some(past) = parse(&bytes, boot())
        {
            return past;
        }
        bytes.clear();
    }
    Past::default()
}

pub(super) fn parse(bytes: &[u8], boot: [u64; 2]) -> Option<Past> {
    let cells: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|cell| u64::from_le_bytes(cell.try_into().expect("chunks of eight bytes")))
        .collect();
    if cells.len() < HEAD || cells[0] != MAGIC || cells[1] != VERSION {
        return None;
    }
    let numbers = Numbers {
        incarnation: cells[INCARNATION].max(1),
        crash: cells[CRASH].max(1),
        event: cells[EVENT].max(1),
    };
    if cells[BOOT..BOOT + 2] != boot {
        return Some(Past { numbers, ..Past::default() });
    }
    let supervisor = u32::try_from(cells[SUPERVISOR]).ok().filter(|pid| *pid != 0);
    let lives = cells[HEAD..]
        .chunks_exact(ENTRY)
        .filter(|entry| entry[0] == INTENDED || entry[0] == BEGAN)
        .map(|entry| PastLife {
            name: name_of(&entry[NAME_CELL..]),
            incarnation: entry[1],
            pid: if entry[0] == BEGAN { u32::try_from(entry[2]).unwrap_or(0) } else { 0 },
            identity: entry[3],
        })
        .collect();
    Some(Past { numbers, supervisor, lives })
}

fn name_of(cells: &[u64]) -> String {
    let bytes: Vec<u8> =
        cells.iter().flat_map(|cell| cell.to_le_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
