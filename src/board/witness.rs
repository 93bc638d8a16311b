//! How a board is opened, and who is told of what was read.

use super::fallback::Fallback;
use crate::blackbox;
use crate::time::Instant;
use std::env;
use std::fmt;
use std::sync::atomic::AtomicU64;

/// The variable that names the instance of whoever a supervisor started.
const INSTANCE: &str = "MAINSTAY_INSTANCE";

/// A word that a handle has proven and that differs from the last one it proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The hash of the flag's name, as `docs/board.md` defines it.
    pub name: u64,
    /// Its slot on the board that was read.
    pub slot: u32,
    /// The word, body and seal.
    pub word: u64,
    /// The number of the last change before the word was loaded, so the word is at least as new; 0 when that could not be read.
    pub generation: u64,
    /// When that was.
    pub at: Instant,
}

/// Who is told of the words that handles read. Called from inside a read, by any thread and in forked children: it must not
/// panic, block, allocate or make a system call.
pub trait Witness: Sync {
    /// A handle has proven this word.
    fn seen(&self, sighting: Sighting);
}

/// Notes in the black box of this life.
struct OwnBlackBox;

impl Witness for OwnBlackBox {
    fn seen(&self, Sighting { name, word, generation, at, .. }: Sighting) {
        if let Some(noter) = blackbox::seen() {
            noter.note(name, word as u32, generation, at);
        }
    }
}

/// How a board is opened.
#[derive(Default)]
pub struct Options {
    /// Other ways to the truth while there is no board.
    pub fallback: Option<Box<dyn Fallback>>,
    /// Who is told of what handles read.
    pub witness: Option<&'static dyn Witness>,
    /// The instance for which shares by instances are decided; `None`: outside of any.
    pub instance: Option<String>,
    /// Where somebody who lives as long as boards are exchanged says which is in place, by its incarnation: a handle that
    /// reads that one does not look for others now and then. `None`: it looks.
    pub in_place: Option<&'static AtomicU64>,
}

impl Options {
    /// As a process of this kind reads: for its own instance, if it is one's, and noting what it reads in its black box, if
    /// it has one.
    pub fn of_this_process() -> Options {
        let instance = env::var(INSTANCE).ok().filter(|instance| !instance.is_empty());
        let witness = blackbox::seen().map(|_| &OwnBlackBox as &'static dyn Witness);
        Options { fallback: None, witness, instance, in_place: blackbox::board() }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("instance", &self.instance).finish_non_exhaustive()
    }
}
