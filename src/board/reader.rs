//! Reading flags: what services link, and what `mainstay flag` uses.
//!
//! A read never blocks, never fails and never crashes, whatever happens to the file, the keeper or the
//! supervisor: it answers with a proven value, else with the last proven one marked stale, else with what
//! the keeper or the journal say, else with the caller's default (B7). No thread, no signal but the SIGBUS
//! guard, no allocation; handles and boards may be shared by threads and used after a fork.

use super::attachment::{Attachment, Search, View};
use super::decide::{Hashed, Lost, decide};
use super::fallback::{Answer, Fallback, Known};
use super::flag::Flag;
use super::latch::Latch;
use super::layout::FUTEX;
use super::look::look_sometimes;
use super::migration::Migration;
use super::snapshot::{self, Snapshot};
use super::witness::Options;
use crate::flags::{Body, Held, Name, Packed, Prefix, Truth, Value};
use crate::mapped::proof::Sought;
use crate::sys::{clock, futex};
use crate::time::Duration;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the flag is set to; `None`: not known, so the caller's default holds.
    pub truth: Option<Truth>,
    /// Where that comes from.
    pub source: Source,
}

/// How good a [`Reading`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a live board, and proven.
    Proven,
    /// The last that was proven: the board is damaged or gone, and being mended.
    Stale,
    /// There is no board; the keeper or the journal said so.
    Asked,
    /// Proven: no such flag is declared.
    Unknown,
    /// Nobody knows anything.
    Lost,
}

impl Reading {
    pub(super) const UNKNOWN: Reading = Reading { truth: None, source: Source::Unknown };
    pub(super) const LOST: Reading = Reading { truth: None, source: Source::Lost };

    pub(super) fn proven(truth: Truth) -> Reading {
        Reading { truth: Some(truth), source: Source::Proven }
    }
}

/// What a look-up by name came to.
enum Found {
    /// A flag of a live board: the body of its word.
    Here(View, usize, u32),
    /// There is no board, and somebody else knows it.
    Told(Box<Known>),
    Unknown,
    Lost,
}

/// The flags of one runtime directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Board {
    pub(super) attachment: Arc<Attachment>,
    latch: Arc<Latch>,
}

impl Board {
    /// The board in this runtime directory. It need not exist yet.
    pub fn open(directory: &Path) -> Board {
        Board::open_by(directory, Options::of_this_process())
    }

    /// The same, with other ways to the truth while there is no board.
    pub fn open_with(directory: &Path, fallback: Box<dyn Fallback>) -> Board {
        Board::open_by(directory, Options { fallback: Some(fallback), ..Options::of_this_process() })
    }

    /// The same, as the options say.
    pub fn open_by(directory: &Path, options: Options) -> Board {
        Board { attachment: Arc::new(Attachment::new(directory, options)), latch: Arc::default() }
    }

    /// A handle to a flag, good for ever, whether the flag exists yet or not. Its reads answer `false`
    /// where the flag has no opinion; see [`Flag::or`]. A name that cannot be one is never known.
    pub fn flag(&self, name: &str) -> Flag {
        Flag::new(self.attachment.clone(), name)
    }

    /// A handle to a migration, good for ever.
    pub fn migration(&self, name: &str) -> Migration {
        Migration::new(self.flag(name))
    }

    /// Reads a flag by name. Use a handle where it is read often: it costs a tenth, and remembers.
    #[inline]
    pub fn read(&self, name: &str) -> Reading {
        match self.look_up(name) {
            Found::Here(view, _, bits) => self.reading(view, bits),
            Found::Told(known) => Reading { truth: Some(known.truth), source: Source::Asked },
            Found::Unknown => Reading::UNKNOWN,
            Found::Lost => Reading::LOST,
        }
    }

    /// The same, and what it means for `id`, or without one for everybody; `None`: no opinion.
    pub fn read_for(&self, name: &str, id: Option<&str>) -> (Reading, Option<bool>) {
        match self.look_up(name) {
            Found::Here(view, slot, bits) => {
                let reading = self.reading(view, bits);
                let on = match self.decide(view, slot, bits, id) {
                    Ok(on) => on.filter(|_| reading.truth.is_some()),
                    Err(Lost) => return (Reading::LOST, None),
                };
                (reading, on)
            }
            Found::Told(known) => {
                let reading = Reading { truth: Some(known.truth), source: Source::Asked };
                let own = self.attachment.instance();
                (reading, Packed::new(name).and_then(|name| known.decide(&name, id, own)))
            }
            Found::Unknown => (Reading::UNKNOWN, None),
            Found::Lost => (Reading::LOST, None),
        }
    }

    /// Is the flag on for everybody? `default` where it has no opinion, is a share, or is not known. A share by instances is
    /// decided for the instance that reads.
    #[inline]
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        look_sometimes(&self.attachment);
        let bits = Sought::new(name).and_then(|name| self.attachment.at_first_sight(&name));
        match bits.and_then(Body::plainly) {
            Some(on) => on,
            None => self.is_on_otherwise(name).unwrap_or(default),
        }
    }

    #[inline(never)]
    fn is_on_otherwise(&self, name: &str) -> Option<bool> {
        match self.look_up(name) {
            Found::Here(view, slot, bits) => self.decide(view, slot, bits, None).ok().flatten(),
            Found::Told(known) => known.decide(&Packed::new(name)?, None, self.attachment.instance()),
            Found::Unknown | Found::Lost => None,
        }
    }

    /// Is the flag on for this id? `default` as in [`Board::is_on`].
    pub fn is_on_for(&self, name: &str, id: &str, default: bool) -> bool {
        self.read_for(name, Some(id)).1.unwrap_or(default)
    }

    /// The number that the flag is set to; `None` where it has no opinion, is none, or is not known.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.look_up(name) {
            Found::Here(view, _, bits) => match Body::from_bits(bits)? {
                Body::Flag { held: Held::Int(at), disabled: false } => self.attachment.arena(view).int(at),
                _ => None,
            },
            Found::Told(known) => known.truth.int(),
            Found::Unknown | Found::Lost => None,
        }
    }

    /// The text that the flag is set to; `None` as for [`Board::int`].
    pub fn text(&self, name: &str) -> Option<Packed> {
        match self.look_up(name) {
            Found::Here(view, _, bits) => match Body::from_bits(bits)? {
                Body::Flag { held: Held::Text(at), disabled: false } => self.attachment.arena(view).text(at),
                _ => None,
            },
            Found::Told(known) => known.truth.text(),
            Found::Unknown | Found::Lost => None,
        }
    }

    /// The stage of a migration and its name, which is empty before the first; `None` when there is no such migration, or
    /// nobody can say.
    pub fn stage(&self, name: &str) -> Option<(u32, Packed)> {
        match self.look_up(name) {
            Found::Here(view, slot, bits) => {
                let Body::Flag { held: Held::Stage(stage), disabled: false } = Body::from_bits(bits)? else {
                    return None;
                };
                if stage == 0 {
                    return Some((0, Packed::default()));
                }
                let reference = self.attachment.name_record(view, slot)?.reference;
                Some((stage, self.attachment.arena(view).stage(reference, stage)?))
            }
            Found::Told(known) => {
                let Value::Stage(stage) = known.truth.value else { return None };
                let name = known.stages.get((stage as usize).wrapping_sub(1)).map_or("", |name| name);
                Some((stage, Packed::new(name)?))
            }
            Found::Unknown | Found::Lost => None,
        }
    }

    /// What the body of a proven word says; lost, when a record behind it is.
    fn reading(&self, view: View, bits: u32) -> Reading {
        let Some(Body::Flag { held, disabled }) = Body::from_bits(bits) else { return Reading::LOST };
        match value_of(&self.attachment, view, held) {
            Some(value) => Reading::proven(Truth { value, disabled }),
            None => Reading::LOST,
        }
    }

    fn decide(&self, view: View, slot: usize, bits: u32, id: Option<&str>) -> Result<Option<bool>, Lost> {
        let Some(Body::Flag { held, disabled }) = Body::from_bits(bits) else { return Err(Lost) };
        let needs_no_record = matches!(held, Held::Off | Held::On { lists: false }) || disabled;
        let (prefix, reference) = if needs_no_record {
            (Prefix::of(&Packed::default()), 0)
        } else {
            let record = self.attachment.name_record(view, slot).ok_or(Lost)?;
            (record.prefix(), record.reference)
        };
        let arena = self.attachment.arena(view);
        let listed = |id: &Hashed<'_>| arena.listed(reference, id.id, id.hash);
        let instance = |id: &Hashed<'_>| match held {
            Held::Instances(at) => arena.has_instance(at, id.hash),
            _ => None,
        };
        decide((held, disabled), prefix, id, self.attachment.instance(), listed, instance)
    }

    #[inline]
    fn look_up(&self, name: &str) -> Found {
        // What is too long, or has other characters, is not in the index.
        let Some(name) = Sought::new(name) else { return Found::Unknown };
        look_sometimes(&self.attachment);
        match self.proven(&name) {
            Some(found) => found,
            None => self.look_up_slowly(&name),
        }
    }

    #[inline]
    fn proven(&self, name: &Sought<'_>) -> Option<Found> {
        let (view, slot, seal) = match self.attachment.search(name) {
            Search::Found { view, slot, seal } => (view, slot, seal),
            Search::Absent => return Some(Found::Unknown),
            Search::Lost => return None,
        };
        let bits = seal.open(self.attachment.region.load(view.header.layout.word(slot)))?;
        fence(Ordering::Acquire);
        match Body::from_bits(bits)? {
            Body::Flag { .. } => Some(Found::Here(view, slot, bits)),
            Body::Removed => Some(Found::Unknown),
            Body::Unused | Body::Retired => None,
        }
    }

    #[cold]
    fn look_up_slowly(&self, name: &Sought<'_>) -> Found {
        if Name::new(name.text()).is_err() {
            return Found::Unknown;
        }
        let now = clock::coarse();
        self.attachment.recover(now);
        if let Some(found) = self.proven(name) {
            return found;
        }
        match self.attachment.ask(name.text(), now) {
            None => Found::Lost,
            Some(Answer::Unknown) => Found::Unknown,
            Some(Answer::Known(known)) => Found::Told(known),
        }
    }

    /// Every flag, all as of one moment: all of a change, or of a stage, or nothing of it. A copy: 0.1 µs a flag.
    pub fn snapshot(&self) -> Snapshot {
        snapshot::take(&self.attachment)
    }

    /// A snapshot to hold on to, for a request or for the life of a process: what is asked of it does not change while it is
    /// held. As long as nothing changes on the board all get the same copy, so that one for each request costs nothing.
    ///
    /// ```no_run
    /// # use mainstay::board::Board;
    /// # fn serve(board: &Board) {
    /// let flags = board.latch(); // At the beginning of a request.
    /// let checkout = flags.is_on_for("new-checkout", "user:17", false);
    /// // … and at its end: the same answer, whatever was set meanwhile.
    /// assert_eq!(flags.is_on_for("new-checkout", "user:17", false), checkout);
    /// # }
    /// ```
    pub fn latch(&self) -> Arc<Snapshot> {
        self.latch.take(&self.attachment)
    }

    /// The number of the last change; `None` when no board can be read.
    pub fn generation(&self) -> Option<u64> {
        let now = clock::coarse();
        self.attachment.look(now);
        self.attachment.generation().or_else(|| {
            self.attachment.recover(now);
            self.attachment.generation()
        })
    }

    /// Waits until the generation is another one than `seen`, and returns it; `None` after `timeout`.
    /// Sleeps on the board itself: no socket, and no polling but a look each 100 ms.
    pub fn wait(&self, seen: u64, timeout: Duration) -> Option<u64> {
        const MOST: Duration = Duration::from_millis(100);
        const MOST_WHILE_LOST: Duration = Duration::from_millis(2);
        let deadline = clock::now() + timeout;
        loop {
            let half = self.attachment.region.half(FUTEX);
            let value = half.map(|half| half.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            let generation = self.generation();
            if generation.is_some_and(|generation| generation != seen) {
                return generation;
            }
            let left = deadline.since(clock::now());
            if left.is_zero() {
                return None;
            }
            let left = left.min(if generation.is_some() { MOST } else { MOST_WHILE_LOST });
            match (half, value) {
                (Some(half), Some(value)) if generation.is_some() => futex::wait(half, value, left),
                _ => futex::pause(left),
            }
        }
    }

    /// Why no board can be read in the directory now; `None` when one can.
    pub fn trouble(&self) -> Option<io::Error> {
        self.attachment.trouble()
    }
}

/// The value behind a proven word of the board that is shown; `None`: its record is lost.
pub(super) fn value_of(attachment: &Attachment, view: View, held: Held) -> Option<Value> {
    let arena = || attachment.arena(view);
    Some(match held {
        Held::Off => Value::Off,
        Held::On { .. } => Value::On,
        Held::Share { share, .. } => Value::Share(share),
        Held::Stage(stage) => Value::Stage(stage),
        Held::Int(at) => Value::Int(arena().int(at)?),
        Held::Text(at) => Value::Text(arena().text(at)?),
        Held::Instances(at) => Value::Share(arena().share(at)?),
    })
}
