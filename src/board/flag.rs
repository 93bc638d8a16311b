//! A handle to one flag: found once, read in a nanosecond, good for ever.
//!
//! A read is one load: the flag's word is the one that was last proven, or it is another. Only then the board's state is
//! looked at, the word opened under its seal, and the record it leads to read. Whatever fails, the slow path finds the flag
//! again by its name. What a handle knows of the flag's place changes while others read it; it is told apart by the state of the
//! board that it belongs to.

use super::attachment::{Attachment, Search, View};
use super::decide::{Hashed, Lost, decide};
use super::kept::{self, Kept};
use super::look::look_sometimes;
use super::reader::{Reading, Source};
use super::witness::Sighting;
use crate::flags::{Body, Cell, Held, NAME_MAX, Name, Packed, Prefix, Seal, Truth, Value};
use crate::mapped::proof::Sought;
use crate::sys::clock;
use crate::sys::mapping::Spot;
use crate::time::Instant;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A flag of a [`Board`](super::Board).
pub struct Flag {
    word: Spot,
    /// The word that was last proven, or [`TOLD`] and the body that somebody told us; 0: nothing yet.
    pub(super) last: AtomicU64,
    /// The last proven word that plainly says on or off: what most reads compare with, and nothing else. It is never wrong,
    /// only old: then a read looks closer, and puts the newer one here.
    plain: AtomicU64,
    /// Where it is said which board is in place.
    in_place: &'static AtomicU64,
    /// What stood there when that was the board on which the flag was found; [`ANOTHER`]: it was not.
    here: AtomicU64,
    pub(super) prefix: AtomicU64,
    default: bool,
    /// The last word of a share by instances, and in [`OWN_IS_ON`] what it means for the reader's own instance.
    own: AtomicU64,
    /// The word that the state of the board has while it is live on which the flag was found; 0: none. Written before and
    /// after the fields of [`Facts`].
    live: AtomicU64,
    slot: AtomicU32,
    reference: AtomicU32,
    pub(super) name: Option<Name>,
    pub(super) attachment: Arc<Attachment>,
    pub(super) kept: Box<Kept>,
}

/// No word has this upper half and a body by chance more often than any other; a body behind it was told.
pub(super) const TOLD: u64 = 0xffff_ffff << 32;

/// Before a word was plain. Not 0 or all ones, which a damaged board is full of.
const NEVER_PLAIN: u64 = 0x9e37_79b9_7f4a_7c15;

/// No board has this incarnation.
const ANOTHER: u64 = u64::MAX;

/// A bit that is 0 in the body of a flag that is not disabled.
const OWN_IS_ON: u64 = 1 << 18;

/// How often a read begins again because another thread noted a change of the same flag meanwhile; then the
/// last proven value is good enough.
const TRIES: usize = 8;

/// Where a flag is on one board, and what belongs to it there.
#[derive(Clone, Copy)]
struct Facts {
    view: View,
    slot: usize,
    seal: Seal,
    prefix: Prefix,
    reference: Cell,
}

/// A search for the place.
enum Found {
    Here(Facts),
    Absent,
    Lost,
}

/// What a read came to: a word, told apart by where it is from; its body is that of a flag.
pub(super) enum Settled {
    Word(u64, Source),
    Unknown,
    Lost,
}

impl Flag {
    pub(super) fn new(attachment: Arc<Attachment>, name: &str) -> Flag {
        let flag = Flag {
            word: Spot::new(&attachment.region, 0),
            last: AtomicU64::new(0),
            plain: AtomicU64::new(NEVER_PLAIN),
            in_place: attachment.in_place(),
            here: AtomicU64::new(ANOTHER),
            prefix: AtomicU64::new(0),
            default: false,
            own: AtomicU64::new(0),
            live: AtomicU64::new(0),
            slot: AtomicU32::new(0),
            reference: AtomicU32::new(0),
            name: Name::new(name).ok(),
            attachment,
            kept: Box::default(),
        };
        flag.find();
        flag
    }

    /// The same flag, whose [`Flag::is_on`] and [`Flag::is_on_for`] answer `default` where it has no opinion: when it is
    /// disabled, unknown, a share without an id, a number or a text, or nobody can say.
    pub fn or(mut self, default: bool) -> Flag {
        self.default = default;
        self
    }

    /// Is it on for everybody? A share by instances is decided for the instance that reads, `MAINSTAY_INSTANCE`; lists
    /// are not looked at.
    #[inline]
    pub fn is_on(&self) -> bool {
        let (word, changed) = self.at_first_sight(&self.plain);
        if changed == 0 { Body::plain_is_on(word as u32) } else { self.is_on_otherwise() }
    }

    #[cold]
    #[inline(never)]
    fn is_on_otherwise(&self) -> bool {
        self.look();
        let plain = self.plain.load(Ordering::Relaxed);
        let word = self.word.load();
        fence(Ordering::Acquire);
        if word == plain { Body::plain_is_on(word as u32) } else { self.is_on_slowly() }
    }

    #[inline(never)]
    fn is_on_slowly(&self) -> bool {
        if let Some(word) = self.as_before()
            && let Some(on) = Body::plainly(word as u32)
        {
            // For the next read to find it faster.
            self.plain.store(word, Ordering::Relaxed);
            return on;
        }
        let own = self.own.load(Ordering::Relaxed);
        if self.as_before() == Some(own & !OWN_IS_ON) && own != 0 {
            return own & OWN_IS_ON != 0;
        }
        self.decide(None).unwrap_or(self.default)
    }

    /// Is it on for this id, of 1 to 1024 bytes? Lists are looked at first. For a share by instances the id is the name of
    /// one, as `web#2`.
    #[inline]
    pub fn is_on_for(&self, id: &str) -> bool {
        let (word, changed) = self.at_first_sight(&self.last);
        if changed == 0
            && let Some(on) = self.by_share(word, id)
        {
            return on;
        }
        self.is_on_for_otherwise(id)
    }

    #[cold]
    #[inline(never)]
    fn is_on_for_otherwise(&self, id: &str) -> bool {
        self.look();
        let on = self.as_before().and_then(|word| self.by_share(word, id));
        on.unwrap_or_else(|| self.decide(Some(id)).unwrap_or(self.default))
    }

    /// What the last proven word means for an id, when it is nothing but a share.
    #[inline]
    fn by_share(&self, word: u64, id: &str) -> Option<bool> {
        let share = Body::plain_share(word as u32)?;
        // The last word was kept after the prefix.
        let position = Prefix::from_bits(self.prefix.load(Ordering::Relaxed)).position(id);
        Some(position.map_or(self.default, |position| position < share))
    }

    /// The number that it is set to; `None` where it has no opinion, or is none.
    #[inline]
    pub fn int(&self) -> Option<i64> {
        self.look();
        let word = self.settled()?;
        match held(word)? {
            Held::Int(_) => self
                .kept
                .int(word)
                .or_else(|| self.record(word, |facts, at| self.attachment.arena(facts.view).int(at))),
            _ => None,
        }
    }

    /// The text that it is set to; `None` where it has no opinion, or is none.
    pub fn text(&self) -> Option<Packed> {
        self.look();
        let word = self.settled()?;
        match held(word)? {
            Held::Text(_) => self
                .kept
                .text(word)
                .or_else(|| self.record(word, |facts, at| self.attachment.arena(facts.view).text(at))),
            _ => None,
        }
    }

    /// The stage of a migration; `None` when there is none of this name, or nobody can say.
    #[inline]
    pub fn stage(&self) -> Option<u32> {
        self.look();
        match held(self.settled()?)? {
            Held::Stage(stage) => Some(stage),
            _ => None,
        }
    }

    /// The stage of a migration and its name; that of stage 0 is empty. `None` as for [`Flag::stage`], and when the name is
    /// not known.
    pub fn stage_and_name(&self) -> Option<(u32, Packed)> {
        self.look();
        let word = self.settled()?;
        match held(word)? {
            Held::Stage(0) => Some((0, Packed::default())),
            Held::Stage(stage) => {
                let read = || {
                    let facts = self.facts()?;
                    self.attachment.arena(facts.view).stage(facts.reference, stage)
                };
                Some((stage, self.kept.text(word).or_else(read)?))
            }
            _ => None,
        }
    }

    /// What it is set to, and how good that answer is. Looks at the clock: 3 ns more than the others.
    pub fn read(&self) -> Reading {
        self.attachment.look(clock::coarse());
        self.reading(None).0
    }

    /// The same, and what it means for `id`, or without one for everybody; `None`: no opinion.
    pub fn read_for(&self, id: Option<&str>) -> (Reading, Option<bool>) {
        self.attachment.look(clock::coarse());
        self.reading(Some(id))
    }

    /// Looks now and then whether the board's name leads to another one; not while it is said that this one is in place.
    #[inline]
    fn look(&self) {
        let said = self.in_place.load(Ordering::Relaxed);
        if said != self.here.load(Ordering::Relaxed) {
            look_sometimes(&self.attachment);
            if said != 0 {
                self.look_whether_it_is_here(said);
            }
        }
    }

    #[inline(never)]
    fn look_whether_it_is_here(&self, said: u64) {
        if !self.attachment.shows(said) {
            // Whoever has the acknowledgement of a change reads it: also when the board before was lost with its names, and
            // nobody could retire it.
            self.attachment.recover(clock::coarse());
        }
        let live = self.live.load(Ordering::Acquire);
        if self.attachment.shows(said) && self.attachment.view().is_some_and(|view| view.live == live) {
            self.here.store(said, Ordering::Relaxed);
            // Whoever finds it elsewhere meanwhile says so after this, or it is seen here.
            fence(Ordering::SeqCst);
            if self.live.load(Ordering::Relaxed) != live {
                self.here.store(ANOTHER, Ordering::Relaxed);
            }
        }
    }

    fn reading(&self, decide_for: Option<Option<&str>>) -> (Reading, Option<bool>) {
        let (word, source) = match self.settle() {
            Settled::Word(word, source) => (word, source),
            Settled::Unknown => return (Reading::UNKNOWN, None),
            Settled::Lost => return (Reading::LOST, None),
        };
        let Some(value) = self.value(word) else { return (Reading::LOST, None) };
        let truth = Truth { value, disabled: is_disabled(word) };
        let opinion = decide_for.and_then(|id| match self.decide_word(word, id) {
            Ok(on) => on,
            Err(Lost) => self.decide(id),
        });
        (Reading { truth: Some(truth), source }, opinion)
    }

    /// The value behind a word that was settled.
    fn value(&self, word: u64) -> Option<Value> {
        let arena = |facts: Facts| self.attachment.arena(facts.view);
        Some(match body(word)?.0 {
            Held::Off => Value::Off,
            Held::On { .. } => Value::On,
            Held::Share { share, .. } => Value::Share(share),
            Held::Stage(stage) => Value::Stage(stage),
            Held::Int(_) => {
                let kept = self.kept.int(word);
                Value::Int(kept.or_else(|| self.record(word, |facts, at| arena(facts).int(at)))?)
            }
            Held::Text(_) => {
                let kept = self.kept.text(word);
                Value::Text(kept.or_else(|| self.record(word, |facts, at| arena(facts).text(at)))?)
            }
            Held::Instances(_) => {
                let kept = self.kept.share(word).map(|(share, _)| share);
                Value::Share(kept.or_else(|| self.record(word, |facts, at| arena(facts).share(at)))?)
            }
        })
    }

    /// What `read` finds in the record that a word leads to, if it is a word of the board that is shown.
    fn record<T>(&self, word: u64, read: impl Fn(Facts, Cell) -> Option<T>) -> Option<T> {
        let facts = self.facts()?;
        facts.seal.open(word)?;
        match body(word)?.0 {
            Held::Int(at) | Held::Text(at) | Held::Instances(at) => read(facts, at),
            _ => None,
        }
    }

    fn decide(&self, id: Option<&str>) -> Option<bool> {
        // Once more when the board was exchanged between its word and its records.
        for _ in 0..2 {
            let (word, source) = match self.settle() {
                Settled::Word(word, source) => (word, source),
                Settled::Unknown | Settled::Lost => return None,
            };
            match self.decide_word(word, id) {
                Ok(on) => return on,
                Err(Lost) if source != Source::Proven => {
                    return if is_told(word) { self.ask_for(id) } else { None };
                }
                Err(Lost) => drop(self.find()),
            }
        }
        None
    }

    /// What a word means for `id`; `Ok(None)`: no opinion.
    fn decide_word(&self, word: u64, id: Option<&str>) -> Result<Option<bool>, Lost> {
        let (held, disabled) = body(word).ok_or(Lost)?;
        if id.is_none()
            && let (Held::Instances(_), false) = (held, disabled)
            && let Some((_, own)) = self.kept.share(word)
        {
            // For the next read to find it faster.
            self.keep_own(word, own);
            return Ok(own);
        }
        // Of a board before this one nothing is known but what was kept.
        let here = self.facts().filter(|facts| facts.seal.open(word).is_some());
        let kept = || Prefix::from_bits(self.prefix.load(Ordering::Relaxed));
        let prefix = here.map_or_else(kept, |here| here.prefix);
        let listed = |id: &Hashed<'_>| {
            let here = here?;
            self.attachment.arena(here.view).listed(here.reference, id.id, id.hash)
        };
        let instance = |id: &Hashed<'_>| match held {
            Held::Instances(at) => self.attachment.arena(here?.view).has_instance(at, id.hash),
            _ => None,
        };
        decide((held, disabled), prefix, id, self.attachment.instance(), listed, instance)
    }

    /// The word, and 0 when it is `known` and the board on which the flag was found is in place: what most reads in a service
    /// find.
    ///
    /// One condition for both, and everything else out of the way: no branch is taken, so its speed does not depend on where a
    /// caller's loop happens to lie.
    #[inline]
    fn at_first_sight(&self, known: &AtomicU64) -> (u64, u64) {
        let moved = self.in_place.load(Ordering::Relaxed) ^ self.here.load(Ordering::Relaxed);
        let known = known.load(Ordering::Relaxed);
        let word = self.word.load();
        fence(Ordering::Acquire);
        (word, moved | (word ^ known))
    }

    /// The word, when it is the one that was last proven: what nearly every read finds. Its seal was looked at when it was
    /// noted, so it is not computed again; and the state of the board need not be looked at, because each word of a
    /// board that is retired is another one.
    #[inline]
    fn as_before(&self) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let word = self.word.load();
        fence(Ordering::Acquire);
        // Before the first proof, and after somebody told, `last` is no word that a cell of a flag can hold.
        (word == last).then_some(word)
    }

    /// The word, however it comes.
    #[inline]
    fn settled(&self) -> Option<u64> {
        match self.settle() {
            Settled::Word(word, _) => Some(word),
            Settled::Unknown | Settled::Lost => None,
        }
    }

    #[inline]
    fn settle(&self) -> Settled {
        match self.as_before() {
            Some(word) if body(word).is_some() => Settled::Word(word, Source::Proven),
            _ => self.settle_otherwise(),
        }
    }

    #[inline(never)]
    fn settle_otherwise(&self) -> Settled {
        match self.facts().and_then(|facts| self.prove(&facts)) {
            Some(word) => Settled::Word(word, Source::Proven),
            None => self.settle_slowly(),
        }
    }

    /// The word that is there now, if it and the record behind it prove themselves; it becomes the last one.
    fn prove(&self, facts: &Facts) -> Option<u64> {
        let Facts { view, slot, seal, .. } = *facts;
        for _ in 0..TRIES {
            let last = self.last.load(Ordering::Relaxed);
            let before = self.attachment.before_sighting();
            // B7: the state first. A board that is live now has every value that was published before now.
            if self.attachment.view() != Some(view) {
                return None;
            }
            let word = self.attachment.region.load(view.header.layout.word(slot));
            fence(Ordering::Acquire);
            let Some(Body::Flag { held, disabled }) = Body::from_bits(seal.open(word)?) else { return None };
            let value = self.to_keep(facts, held, disabled)?;
            if word == last {
                return Some(word);
            }
            // Not a plain store: a thread that was stopped here must not put an old word over a newer one.
            // And again when another thread was faster: what it put there may be older than this.
            if self.kept.replace(&self.last, last, word, value) {
                if let kept::Value::Share(_, own) = value {
                    self.keep_own(word, own);
                }
                self.noted(slot, word, before);
                return Some(word);
            }
        }
        None
    }

    /// What must be kept beside the word; `None` when it is lost.
    fn to_keep(&self, facts: &Facts, held: Held, disabled: bool) -> Option<kept::Value> {
        let arena = self.attachment.arena(facts.view);
        Some(match held {
            Held::Off | Held::On { .. } | Held::Share { .. } | Held::Stage(0) => kept::Value::Nothing,
            Held::Int(at) => kept::Value::Int(arena.int(at)?),
            Held::Text(at) => kept::Value::Text(arena.text(at)?),
            Held::Stage(stage) => match arena.stage(facts.reference, stage) {
                // The number is what counts.
                None => kept::Value::Nothing,
                Some(name) => kept::Value::Text(name),
            },
            Held::Instances(at) => {
                let own = self.attachment.instance().and_then(|own| facts.prefix.hash(own));
                let own = match own {
                    Some(hash) if !disabled => Some(arena.has_instance(at, hash)?),
                    _ => None,
                };
                kept::Value::Share(arena.share(at)?, own)
            }
        })
    }

    fn keep_own(&self, word: u64, own: Option<bool>) {
        if let Some(on) = own {
            self.own.store(word | if on { OWN_IS_ON } else { 0 }, Ordering::Relaxed);
        }
    }

    fn noted(&self, slot: usize, word: u64, before: Option<(u64, Instant)>) {
        let Some((generation, at)) = before else { return };
        let mut buffer = [0; NAME_MAX];
        let name = self.name.as_ref().and_then(|name| name.packed().text_in(&mut buffer));
        if let Some(name) = name.and_then(Sought::new) {
            let (name, slot) = (name.hash(), slot as u32);
            self.attachment.note(Sighting { name, slot, word, generation, at });
        }
    }

    /// Where it is on the board that is shown, if that is the one on which it was found.
    fn facts(&self) -> Option<Facts> {
        let live = self.live.load(Ordering::Acquire);
        let slot = self.slot.load(Ordering::Relaxed) as usize;
        let prefix = Prefix::from_bits(self.prefix.load(Ordering::Relaxed));
        let reference = self.reference.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if self.live.load(Ordering::Relaxed) != live {
            return None; // Another thread finds it just now.
        }
        let view = self.attachment.view().filter(|view| view.live == live)?;
        let seal = view.header.seal(view.header.layout.word(slot));
        Some(Facts { view, slot, seal, prefix, reference })
    }

    /// Finds the flag on the board that is shown now.
    fn find(&self) -> Found {
        let mut buffer = [0; NAME_MAX];
        let name = self.name.as_ref().and_then(|name| name.packed().text_in(&mut buffer));
        let Some(name) = name.and_then(Sought::new) else { return Found::Absent };
        let (view, slot, seal) = match self.attachment.search(&name) {
            Search::Found { view, slot, seal } => (view, slot, seal),
            Search::Absent => return Found::Absent,
            Search::Lost => return Found::Lost,
        };
        let Some(record) = self.attachment.name_record(view, slot) else { return Found::Lost };
        let facts = Facts { view, slot, seal, prefix: record.prefix(), reference: record.reference };
        if self.live.load(Ordering::Acquire) != view.live {
            self.live.store(0, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            self.here.store(ANOTHER, Ordering::Relaxed);
            // Nobody takes a part of these for the whole.
            fence(Ordering::Release);
            self.word.point_to(&self.attachment.region, view.header.layout.word(slot));
            self.prefix.store(facts.prefix.to_bits(), Ordering::Relaxed);
            self.slot.store(slot as u32, Ordering::Relaxed);
            self.reference.store(facts.reference, Ordering::Relaxed);
            self.live.store(view.live, Ordering::Release);
        }
        Found::Here(facts)
    }

    #[cold]
    #[inline(never)]
    fn settle_slowly(&self) -> Settled {
        let now = clock::coarse();
        if let Some(settled) = self.found_again() {
            return settled;
        }
        self.attachment.recover(now);
        if let Some(settled) = self.found_again() {
            return settled;
        }
        match self.last.load(Ordering::Acquire) {
            0 => self.ask(),
            last => Settled::Word(last, Source::Stale),
        }
    }

    /// What the board that is shown says after a new search; `None`: nothing that is proven.
    fn found_again(&self) -> Option<Settled> {
        let facts = match self.find() {
            Found::Here(facts) => facts,
            Found::Absent => return Some(Settled::Unknown),
            Found::Lost => return None,
        };
        if let Some(word) = self.prove(&facts) {
            return Some(Settled::Word(word, Source::Proven));
        }
        let word = self.attachment.region.load(facts.view.header.layout.word(facts.slot));
        let removed = Body::from_bits(facts.seal.open(word)?) == Some(Body::Removed);
        removed.then_some(Settled::Unknown)
    }
}

/// What the body of a flag's word holds, and whether it is disabled.
#[inline]
fn body(word: u64) -> Option<(Held, bool)> {
    match Body::from_bits(word as u32) {
        Some(Body::Flag { held, disabled }) => Some((held, disabled)),
        _ => None,
    }
}

/// What it holds, unless it is disabled.
#[inline]
fn held(word: u64) -> Option<Held> {
    body(word).filter(|(_, disabled)| !disabled).map(|(held, _)| held)
}

/// Whether somebody told us, and it was never read.
fn is_told(word: u64) -> bool {
    word & TOLD == TOLD
}

fn is_disabled(word: u64) -> bool {
    body(word).is_some_and(|(_, disabled)| disabled)
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag")
            .field("name", &self.name)
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}
