//! What the logger must know after its own death: in a memfd that the supervisor keeps.
//!
//! Two things: the **intent**, one record about the transfer that is under way, and one **word** for each
//! instance. Both are changed by one `pwrite` inside one page, which SIGKILL cannot tear; the checksum is for
//! anything else that may have written there. No mapping, so that each change is a system call, and a test
//! that kills between any two system calls has killed between any two changes.

use super::line::Which;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// Where the words begin: one page after the intent.
const WORDS: u64 = 4096;
/// The intent's bytes, checksum included.
const INTENT: usize = 112;

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is under way. The holding pipe may hold bytes that are in their file already.
    #[default]
    Idle,
    /// Something is being appended to the file, which ended at `offset`. Whole lines behind that count as appended.
    Appending,
    /// The file has it. `bytes` of the pipe are not wanted any more, the words are not all set.
    Appended,
}

/// One transfer: bytes of a pipe → lines of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Intent {
    /// How far it has come.
    pub(super) step: Step,
    /// From which instance's pipe, and which; `None`: from none (a mark).
    pub(super) from: Option<(u32, Which)>,
    /// The inode of that pipe: the number may be another instance's by now, and its bytes are none of ours.
    pub(super) pipe: u64,
    /// How many bytes.
    pub(super) bytes: u32,
    /// The file (device, inode); zeros: none, the bytes are dropped.
    pub(super) file: (u64, u64),
    /// The file's length before.
    pub(super) offset: u64,
    /// What instances' words are afterwards.
    pub(super) words: [Option<(u32, u64)>; 2],
    /// How what is appended begins: this many bytes are not the service's ...
    pub(super) lead: u32,
    /// ... and its first bytes go on with the line that the file ends with.
    pub(super) joined: bool,
}

impl Intent {
    fn to_bytes(self) -> [u8; INTENT] {
        let step = match self.step {
            Step::Idle => 0,
            Step::Appending => 1,
            Step::Appended => 2,
        };
        let (child, which) = match self.from {
            None => (0, 0),
            Some((child, Which::Out)) => (child, 1),
            Some((child, Which::Err)) => (child, 2),
        };
        let word = |n: usize| self.words[n].map_or((u64::MAX, 0), |(child, word)| (u64::from(child), word));
        let fields = [
            step,
            u64::from(child),
            which,
            u64::from(self.bytes),
            self.file.0,
            self.file.1,
            self.offset,
            word(0).0,
            word(0).1,
            word(1).0,
            word(1).1,
            u64::from(self.lead) | u64::from(self.joined) << 32,
            self.pipe,
        ];
        let mut bytes = [0; INTENT];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let check = u64::from(crc32fast::hash(&bytes[..INTENT - 8])) | 1 << 32;
        bytes[INTENT - 8..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// `None` when the checksum says that these bytes are no intent.
    fn from_bytes(bytes: &[u8; INTENT]) -> Option<Intent> {
        let field = |n: usize| u64::from_le_bytes(std::array::from_fn(|at| bytes[n * 8 + at]));
        if field(INTENT / 8 - 1) != u64::from(crc32fast::hash(&bytes[..INTENT - 8])) | 1 << 32 {
            return None;
        }
        let step = match field(0) {
            0 => Step::Idle,
            1 => Step::Appending,
            2 => Step::Appended,
            _ => return None,
        };
        let from = match field(2) {
            0 => None,
            1 => Some((u32::try_from(field(1)).ok()?, Which::Out)),
            2 => Some((u32::try_from(field(1)).ok()?, Which::Err)),
            _ => return None,
        };
        let word = |n: usize| u32::try_from(field(n)).ok().map(|child| (child, field(n + 1)));
        Some(Intent {
            step,
            from,
            pipe: field(12),
            bytes: u32::try_from(field(3)).ok()?,
            file: (field(4), field(5)),
            offset: field(6),
            words: [word(7), word(9)],
            lead: (field(11) & u64::from(u32::MAX)) as u32,
            joined: field(11) >> 32 != 0,
        })
    }
}

/// What is known about one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The newest life whose beginning is marked in the log; 0: none.
    pub(super) life: u64,
    /// The end of that life is marked too.
    pub(super) ended: bool,
    /// Where stdout and stderr stand.
    pub(super) place: [Place; 2],
}

/// Where a stream stands between two reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Its last line is complete.
    #[default]
    LineStart,
    /// Its last line is not, and another line came after it in the file.
    MidLine,
    /// Its last line is not, and is the end of the file.
    FileEnd,
}

impl Word {
    /// `tag` is mixed in, so that another instance with this number later does not inherit it.
    pub(super) fn to_bits(self, tag: u16) -> u64 {
        let place = |place| match place {
            Place::LineStart => 0,
            Place::MidLine => 1,
            Place::FileEnd => 2,
        };
        let flags = place(self.place[0]) | place(self.place[1]) << 2 | u64::from(self.ended) << 4 | 1 << 5;
        self.life << 24 | u64::from(tag) << 8 | flags
    }

    /// What an instance starts with when the bits are nobody's or another's.
    pub(super) fn from_bits(bits: u64, tag: u16) -> Word {
        if bits & 1 << 5 == 0 || bits >> 8 & 0xffff != u64::from(tag) {
            return Word::default();
        }
        let place = |bits| match bits & 3 {
            0 => Place::LineStart,
            2 => Place::FileEnd,
            _ => Place::MidLine,
        };
        Word { life: bits >> 24, ended: bits & 1 << 4 != 0, place: [place(bits), place(bits >> 2)] }
    }
}

/// Bits of a word whose stream `which` stands at a line's start.
pub(super) fn at_line_start(bits: u64, which: Which) -> u64 {
    bits & !(3 << (2 * which as u64))
}

/// Bits of a word of which nothing is the file's end any more.
pub(super) fn not_at_file_end(bits: u64) -> u64 {
    Which::BOTH.into_iter().map(|which| 2 * which as u64).fold(bits, |bits, shift| match bits >> shift & 3 {
        2 => bits & !(3 << shift) | 1 << shift,
        _ => bits,
    })
}

/// What tells the words of two instances apart that had the same number, also when they had the same name.
pub(super) fn tag(instance: &str, pipe: u64) -> u16 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(instance.as_bytes());
    hash.update(&pipe.to_le_bytes());
    (hash.finalize() & 0xffff) as u16
}

/// The memfd.
#[derive(Debug)]
pub(super) struct Memory(File);

impl Memory {
    /// What the supervisor handed down. It may be all zeros: nothing was ever under way.
    pub(super) fn new(memfd: OwnedFd) -> Memory {
        Memory(File::from(memfd))
    }

    /// What the life before was doing; [`Step::Idle`] when there is nothing believable.
    pub(super) fn intent(&self) -> Intent {
        let mut bytes = [0; INTENT];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => Intent::from_bytes(&bytes).unwrap_or_default(),
            Err(_) => Intent::default(),
        }
    }

    /// Replaces the intent.
    pub(super) fn set_intent(&self, intent: Intent) -> io::Result<()> {
        self.0.write_all_at(&intent.to_bytes(), 0)
    }

    /// An instance's bits; 0 when it never had any.
    pub(super) fn word(&self, child: u32) -> u64 {
        let mut bytes = [0; 8];
        match self.0.read_exact_at(&mut bytes, WORDS + 8 * u64::from(child)) {
            Ok(()) => u64::from_le_bytes(bytes),
            Err(_) => 0,
        }
    }

    /// Sets an instance's bits. Where the memory ends and cannot grow (1 MiB, of which only what is written takes memory, is enough for 130,560 instances)
    /// nothing is remembered: then a death of the logger costs later instances the mark of a rest, no byte.
    pub(super) fn set_word(&self, child: u32, bits: u64) -> io::Result<()> {
        match self.0.write_all_at(&bits.to_le_bytes(), WORDS + 8 * u64::from(child)) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        Memory::new(crate::sys::memory::zeroed("logger", 64 << 10).unwrap())
    }

    const SOME: Intent = Intent {
        step: Step::Appended,
        from: Some((7, Which::Err)),
        pipe: 11,
        bytes: 65536,
        file: (1, 2),
        offset: 3,
        words: [Some((7, 8)), None],
        lead: 9,
        joined: true,
    };

    #[test]
    fn an_intent_outlives_its_writer() {
        let memory = memory();
        assert_eq!(memory.intent(), Intent::default());
        for intent in [SOME, Intent { from: None, step: Step::Appending, ..SOME }, Intent::default()] {
            memory.set_intent(intent).unwrap();
            assert_eq!(memory.intent(), intent);
        }
    }

    #[test]
    fn an_intent_with_any_bit_flipped_is_none() {
        let bytes = SOME.to_bytes();
        for bit in 0..INTENT * 8 {
            let mut torn = bytes;
            torn[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Intent::from_bytes(&torn), None, "bit {bit}");
        }
        assert_eq!(Intent::from_bytes(&[0; INTENT]), None);
    }

    #[test]
    fn a_word_is_its_own_instances() {
        let (web2, web3) = (tag("web#2", 1), tag("web#3", 1));
        assert_ne!(web2, tag("web#2", 2), "another one of the same name");
        let word = Word { life: 1 << 39, ended: true, place: [Place::MidLine, Place::FileEnd] };
        assert_eq!(Word::from_bits(word.to_bits(web2), web2), word);
        assert_eq!(Word::from_bits(word.to_bits(web2), web3), Word::default());
        assert_eq!(Word::from_bits(0, web2), Word::default());
        let bits = |place| Word { place, ..word }.to_bits(web2);
        assert_eq!(at_line_start(word.to_bits(web2), Which::Err), bits([Place::MidLine, Place::LineStart]));
        assert_eq!(not_at_file_end(word.to_bits(web2)), bits([Place::MidLine, Place::MidLine]));
        assert_eq!(
            not_at_file_end(bits([Place::FileEnd, Place::LineStart])),
            bits([Place::MidLine, Place::LineStart])
        );
        let memory = memory();
        memory.set_word(7_679, 5).unwrap();
        memory.set_word(7_680, 5).unwrap();
        assert_eq!((memory.word(7_679), memory.word(7_678), memory.word(7_680)), (5, 0, 0));
    }
}
