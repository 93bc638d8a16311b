//! Records of a box as plain cells: how each kind is laid out, and what proves it. Pure; writers and readers share it.
//!
//! Every record is proven by its check over what it belongs to (the owner of a lane or slot, the ticket of a place in a
//! ring), its head and its other cells, as far as the head says that they are used. A record is written head first and
//! check last: cut off in between it does not prove itself, and counts as *torn*.

use super::layout::{EVENT, EVENT_PARTS, FINISHED_SPAN, LANE, SPAN, proof};
use super::text::Marks;

/// Set in every head: a head of 0 is no record.
const PRESENT: u64 = 1 << 31;

/// Bytes of text that an open span has room for: its name, its attributes.
pub const SPAN_TEXT: usize = (SPAN - span::TEXT) * 8;
/// The same of a finished one.
pub const FINISHED_TEXT: usize = (FINISHED_SPAN - finished::TEXT) * 8;
/// The same of an event of one record, and of the longest event.
pub const EVENT_SHORT: usize = (EVENT - event::TEXT) * 8;
/// See [`EVENT_SHORT`].
pub const EVENT_TEXT: usize = EVENT_SHORT + (EVENT_PARTS - 1) * (EVENT - event::MORE) * 8;

/// A lane: what one thread is doing.
///
/// | cells | what |
/// |---|---|
/// | 0 | whose it is: process in the upper half, thread in the lower. 0: nobody's |
/// | 1, 2 | the name of the thread, padded with zeros |
/// | 16 to 39 | the operation: check, head, since when, text: name, and pairs `id`, `correlation` |
/// | 40 to 71, 72 to 103 | two errors, the newer one counts: check, head, when, text: what, and a pair `at` |
/// | 104 to 191 | eight breadcrumbs of 11: check, head, when, text |
/// | 192 to 383 | sixteen keys of 12: check, head, text: the key, the value |
pub mod lane {
    use super::LANE;

    /// Whose.
    pub const OWNER: usize = 0;
    /// In an owner: the lane is being made ready, and what is in it is the last owner's.
    pub const CLEARING: u64 = 1 << 63;
    /// The owner of the lane for what is noted of the whole life: no process has the number 0.
    pub const LIFE: u64 = 1;
    /// Two cells.
    pub const NAME: usize = 1;
    /// The operation.
    pub const OPERATION: usize = 16;
    /// Its cells.
    pub const OPERATION_CELLS: usize = 24;
    /// The first error.
    pub const ERRORS: usize = OPERATION + OPERATION_CELLS;
    /// How many.
    pub const ERROR_COUNT: usize = 2;
    /// Cells of each.
    pub const ERROR_CELLS: usize = 32;
    /// The first breadcrumb.
    pub const CRUMBS: usize = ERRORS + ERROR_COUNT * ERROR_CELLS;
    /// How many.
    pub const CRUMB_COUNT: usize = 8;
    /// Cells of each.
    pub const CRUMB_CELLS: usize = 11;
    /// The first key.
    pub const KEYS: usize = CRUMBS + CRUMB_COUNT * CRUMB_CELLS;
    /// How many.
    pub const KEY_COUNT: usize = 16;
    /// Cells of each.
    pub const KEY_CELLS: usize = 12;
    /// Bytes of the name of an operation and its two ids.
    pub const OPERATION_TEXT: usize = (OPERATION_CELLS - TIMED) * 8;
    /// Bytes of an error.
    pub const ERROR_TEXT: usize = (ERROR_CELLS - TIMED) * 8;
    /// Bytes of a breadcrumb.
    pub const CRUMB_TEXT: usize = (CRUMB_CELLS - TIMED) * 8;
    /// Bytes of a key and its value.
    pub const KEY_TEXT: usize = (KEY_CELLS - UNTIMED) * 8;
    /// Cells before the text, with a time.
    pub(in super::super) const TIMED: usize = 3;
    /// The same without.
    pub(in super::super) const UNTIMED: usize = 2;

    /// The heads of all its records.
    pub(in super::super) fn heads() -> impl Iterator<Item = usize> {
        let of = |start: usize, count: usize, cells: usize| {
            (0..count).map(move |number| start + number * cells + 1)
        };
        of(OPERATION, 1, OPERATION_CELLS)
            .chain(of(ERRORS, ERROR_COUNT, ERROR_CELLS))
            .chain(of(CRUMBS, CRUMB_COUNT, CRUMB_CELLS))
            .chain(of(KEYS, KEY_COUNT, KEY_CELLS))
    }

    const _: () = assert!(CRUMBS == 104 && KEYS == 192 && KEYS + KEY_COUNT * KEY_CELLS == LANE);
}

/// An open span: owner, check, head, span, parent, trace (two cells, the upper half first), since when, text.
pub mod span {
    /// As of a lane.
    pub const OWNER: usize = 0;
    pub(in super::super) const CHECK: usize = 1;
    pub(in super::super) const TEXT: usize = 8;
}

/// A finished span: check, ticket + 1, head, span, parent, trace (two cells), since when, until when, text.
pub mod finished {
    pub(in super::super) const TEXT: usize = 9;
}

/// A record of an event: check, ticket + 1, head; in the first one of an event when, span, trace (two cells); text.
pub mod event {
    pub(in super::super) const TEXT: usize = 7;
    pub(in super::super) const MORE: usize = 3;
}

/// The second cell of a lane's record, the third of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) marks: Marks,
    /// Which record of an event this is, of how many.
    pub(super) part: u8,
    pub(super) parts: u8,
    /// The thread; of a breadcrumb, its number as it wraps.
    pub(super) number: u32,
    /// What kind of event or error; the status of a span.
    pub(super) kind: u8,
}

impl Head {
    #[inline]
    pub(super) const fn of(marks: Marks, number: u32, kind: u8) -> Head {
        Head { marks, part: 0, parts: 1, number, kind }
    }

    #[inline]
    pub(super) const fn bits(self) -> u64 {
        self.marks.bits()
            | (self.part as u64 & 3) << 25
            | ((self.parts as u64 - 1) & 3) << 27
            | PRESENT
            | (self.number as u64 & 0xff_ffff) << 32
            | (self.kind as u64) << 56
    }

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Option<Head> {
        if bits & PRESENT == 0 {
            return None;
        }
        Some(Head {
            marks: Marks::of(bits & 0x1ff_ffff),
            part: (bits >> 25 & 3) as u8,
            parts: (bits >> 27 & 3) as u8 + 1,
            number: (bits >> 32) as u32 & 0xff_ffff,
            kind: (bits >> 56) as u8,
        })
    }

    /// How many cells of this record's text are used, of `room`.
    #[inline]
    pub(super) const fn text_cells(self, room: usize) -> usize {
        let cells = (self.marks.length as usize).div_ceil(8);
        if cells < room { cells } else { room }
    }
}

/// The head of a record of a lane that proves itself; `Err`: it is torn; `Ok(None)`: there is none.
pub(super) fn proven_in_lane(
    place: usize,
    owner: u64,
    text: usize,
    cells: &[u64],
) -> Result<Option<Head>, ()> {
    if cells[1] == 0 {
        return Ok(None);
    }
    let head = Head::from_bits(cells[1]).ok_or(())?;
    let used = text + head.text_cells(cells.len() - text);
    let mut proven = [0; LONGEST];
    proven[..used].copy_from_slice(&cells[..used]);
    proven[0] = owner;
    (proof(place, &proven[..used]) == cells[0]).then_some(Some(head)).ok_or(())
}

/// The head of an open span that proves itself; as [`proven_in_lane`].
pub(super) fn proven_span(place: usize, cells: &[u64; SPAN]) -> Result<Option<Head>, ()> {
    if cells[span::OWNER] == 0 || cells[span::CHECK + 1] == 0 {
        return Ok(None);
    }
    let head = Head::from_bits(cells[span::CHECK + 1]).ok_or(())?;
    let used = span::TEXT + head.text_cells(SPAN - span::TEXT);
    (span_check(place, cells, used) == cells[span::CHECK]).then_some(Some(head)).ok_or(())
}

/// What proves the first `used` cells of an open span.
#[inline]
pub(super) fn span_check(place: usize, cells: &[u64; SPAN], used: usize) -> u64 {
    let mut proven = *cells;
    proven[span::CHECK] = 0;
    proof(place, &proven[..used])
}

/// The head of a record in a ring that proves itself, and its ticket; as [`proven_in_lane`].
pub(super) fn proven_in_ring(
    place: usize,
    text: impl Fn(Head) -> usize,
    cells: &[u64],
) -> Result<Option<(u64, Head)>, ()> {
    if cells[0] == 0 && cells[1] == 0 {
        return Ok(None);
    }
    let ticket = cells[1].checked_sub(1).ok_or(())?;
    let head = Head::from_bits(cells[2]).ok_or(())?;
    let used = text(head).min(cells.len());
    (proof(place, &cells[1..used]) == cells[0]).then_some(Some((ticket, head))).ok_or(())
}

/// Cells of an event's record that are used.
#[inline]
pub(super) const fn event_used(head: Head) -> usize {
    let (text, before) = match head.part {
        0 => (event::TEXT, 0),
        part => (event::MORE, EVENT_SHORT / 8 + (part as usize - 1) * (EVENT - event::MORE)),
    };
    let rest = (head.marks.length as usize).div_ceil(8).saturating_sub(before);
    if text + rest < EVENT { text + rest } else { EVENT }
}

/// Cells of a finished span that are used.
#[inline]
pub(super) const fn finished_used(head: Head) -> usize {
    finished::TEXT + head.text_cells(FINISHED_SPAN - finished::TEXT)
}

/// The longest record.
const LONGEST: usize = SPAN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_as_it_was_written() {
        let marks = Marks { length: 384, name: 255, cut: true };
        for (part, parts, number, kind) in [(0, 1, 0, 0), (3, 4, 0xff_ffff, 255), (1, 2, 4_194_303, 7)] {
            let head = Head { marks, part, parts, number, kind };
            assert_eq!(Head::from_bits(head.bits()), Some(head));
        }
        assert_eq!(Head::from_bits(!PRESENT), None);
    }

    #[test]
    fn the_sizes_are_what_the_page_says() {
        assert_eq!((SPAN_TEXT, FINISHED_TEXT, EVENT_SHORT, EVENT_TEXT), (320, 184, 72, 384));
        assert_eq!((lane::OPERATION_TEXT, lane::ERROR_TEXT), (168, 232));
        assert_eq!((lane::CRUMB_TEXT, lane::KEY_TEXT), (64, 80));
    }
}
