//! One journal as bytes: a header, the snapshot it begins with, the changes since (J2, J3). Pure.
//!
//! ```text
//! 0   magic "mainstay"      8
//! 8   version               4
//! 12  checksum of the rest  4
//! 16  epoch                 8   one more than any journal before it
//! 24  salt                  8   random: an epoch that is used twice by mistake still differs
//! 32  snapshot              8   how many records the snapshot has
//! 40  generation            8   the newest change that the snapshot holds
//! 48  records: the snapshot's, then one for each change; then zeros as far as room is reserved
//! ```
//!
//! All numbers are little-endian. What [`read`] returns is the longest proven prefix and never more.

use super::record::{BODY_MAX, Chain, HEAD};
use super::state::{Change, Entry, Receipt, State};
use crate::flags::guard::{Fact, Facts};
use crate::ipc::codec::{self, Malformed};
use bincode::{Decode, Encode};

const MAGIC: [u8; 8] = *b"mainstay";
const VERSION: u32 = 2;
/// Where the records begin.
const HEADER: usize = 48;
/// The snapshot is cut into records of about this size, so that damage costs only what is behind it.
const CHUNK: usize = 256;
/// Facts are larger: what to put back of a whole migration is one.
const FACTS: usize = 8;

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Record {
    /// Part of the snapshot.
    Flags(Vec<(String, Entry)>),
    /// Part of the snapshot.
    Receipts(Vec<Receipt>),
    /// Part of the snapshot.
    Facts(Vec<Fact>),
    /// Part of the snapshot: a change that is in it, and not known to be in the audit log.
    Unaudited(Change),
    /// A change.
    Change(Change),
}

/// What a journal says, as far as it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its epoch; 0 when not even the header is proven.
    pub epoch: u64,
    /// What its proven records add up to.
    pub state: State,
    /// The changes that may be missing in the audit log: what waited when this journal began, and all since.
    pub unaudited: Vec<Change>,
    /// How many records are proven.
    pub records: u64,
    /// How many bytes are proven.
    pub end: usize,
    /// How many bytes behind them are not zero: a torn tail, or damage.
    pub unproven: usize,
    /// False when the header or a part of the snapshot is damaged: then values are missing.
    pub whole: bool,
}

/// A journal that a newer mainstay wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Its version.
    Version(u32),
    /// A proven record that this version does not know.
    Record(Malformed),
}

/// The longest proven prefix of these bytes.
pub fn read(bytes: &[u8]) -> Result<Reading, Foreign> {
    let nothing = || Reading {
        epoch: 0,
        state: State::default(),
        unaudited: Vec::new(),
        records: 0,
        end: 0,
        unproven: meaningful(bytes),
        whole: false,
    };
    let Some((header, mut rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(nothing()) };
    let Some(header) = Header::read(header)? else { return Ok(nothing()) };
    let mut chain = Chain::start(header.epoch, header.sum());
    let (mut state, mut unaudited) = (State::default(), Vec::new());
    while let Some(body) = chain.take(rest) {
        rest = &rest[HEAD + body.len()..];
        let record = codec::decode_record(body).map_err(Foreign::Record)?;
        match record {
            Record::Flags(flags) => state.flags.extend(flags),
            Record::Receipts(receipts) => receipts.into_iter().for_each(|r| state.remember(r)),
            Record::Facts(facts) => facts.iter().for_each(|fact| state.learn(fact)),
            Record::Unaudited(change) => unaudited.push(change),
            Record::Change(change) => {
                state.apply(&change);
                unaudited.push(change);
            }
        }
    }
    state.generation = state.generation.max(header.generation);
    Ok(Reading {
        epoch: header.epoch,
        state,
        unaudited,
        records: chain.count(),
        end: bytes.len() - rest.len(),
        unproven: meaningful(rest),
        whole: chain.count() >= header.snapshot,
    })
}

/// The epoch that these bytes claim, if they begin like a journal; 0 otherwise.
pub(super) fn epoch_of(bytes: &[u8]) -> u64 {
    let header = bytes.first_chunk::<HEADER>().and_then(|h| Header::read(h).ok().flatten());
    header.map_or(0, |h| h.epoch)
}

/// A new journal that begins with this state, and the chain that its changes continue.
pub(super) fn begin(epoch: u64, salt: u64, state: &State, unaudited: &[Change]) -> (Vec<u8>, Chain) {
    let records = snapshot(state, unaudited);
    let header = Header { epoch, salt, snapshot: records.len() as u64, generation: state.generation };
    let mut bytes = header.bytes().to_vec();
    let mut chain = Chain::start(epoch, header.sum());
    for record in records {
        let record = encode(&record).expect("a chunk is short, and what was a record once is one again");
        chain.append(&record, &mut bytes);
    }
    (bytes, chain)
}

/// The body of a change's record; an error when it names so many flags that it is too long.
pub(super) fn body(change: &Change) -> Result<Vec<u8>, Malformed> {
    encode(&Record::Change(change.clone()))
}

fn encode(record: &Record) -> Result<Vec<u8>, Malformed> {
    const { assert!(codec::RECORD_LIMIT == BODY_MAX) };
    codec::encode_record(record)
}

fn snapshot(state: &State, unaudited: &[Change]) -> Vec<Record> {
    let mut records = Vec::new();
    let all: Vec<_> = state.flags.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect();
    records.extend(all.chunks(CHUNK).map(|part| Record::Flags(part.to_vec())));
    let receipts: Vec<_> = state.receipts.iter().copied().collect();
    records.extend(receipts.chunks(CHUNK).map(|part| Record::Receipts(part.to_vec())));
    let facts: Vec<_> = match state.facts == Facts::default() {
        true => Vec::new(),
        false => state.facts.iter().collect(),
    };
    records.extend(facts.chunks(FACTS).map(|part| Record::Facts(part.to_vec())));
    records.extend(unaudited.iter().cloned().map(Record::Unaudited));
    records
}

/// Length of `bytes` without the zeros at its end.
fn meaningful(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1)
}

struct Header {
    epoch: u64,
    salt: u64,
    snapshot: u64,
    generation: u64,
}

impl Header {
    /// `None` when it is not proven; an error when it is, and of another version.
    fn read(bytes: &[u8; HEADER]) -> Result<Option<Header>, Foreign> {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        if bytes[..8] != MAGIC || half(12) != sum_of(bytes) {
            return Ok(None);
        }
        match half(8) {
            VERSION => {
                Ok(Some(Header { epoch: word(16), salt: word(24), snapshot: word(32), generation: word(40) }))
            }
            newer => Err(Foreign::Version(newer)),
        }
    }

    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        for (at, word) in [(16, self.epoch), (24, self.salt), (32, self.snapshot), (40, self.generation)] {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let sum = sum_of(&bytes);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn sum(&self) -> u32 {
        sum_of(&self.bytes())
    }
}

fn sum_of(header: &[u8; HEADER]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..12]);
    hasher.update(&header[16..]);
    hasher.finalize()
}
