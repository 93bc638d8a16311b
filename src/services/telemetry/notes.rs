//! Programs that link nothing: whose process sent a datagram, and writing what it says into the black box of that life.

use super::boxes::{Boxes, Key};
use crate::blackbox::layout::CELLS;
use crate::blackbox::text::Packed;
use crate::blackbox::{self, BlackBox, Ids, Kind, Moment, Noter, Status};
use crate::sys::mapped::Mapped;
use crate::sys::{own, procfs};
use crate::telemetry::note::{Said, SpanSaid};
use crate::time::Instant;
use std::os::fd::AsFd;

/// So many parents of a process are looked at.
const ANCESTORS: usize = 32;

/// The life that this process is of: its main process, one of its session, or a descendant. `None`: nobody's.
///
/// The kernel names the sender; what it says about itself is not believed. Who has left its session and its parents is
/// not known any more, and refused.
pub(super) fn life_of(boxes: &Boxes, pid: u32) -> Option<Key> {
    let mut pid = pid;
    for _ in 0..ANCESTORS {
        if let Some(key) = boxes.of_pid(pid) {
            return Some(key);
        }
        let stat = procfs::stat(pid).ok()?;
        if let Some(key) = boxes.of_pid(stat.session) {
            return Some(key);
        }
        if stat.parent <= 1 {
            return None;
        }
        pid = stat.parent;
    }
    None
}

/// Writes what was said into a box, as a service would; false: it cannot be written.
///
/// A note is in the context of the whole life, and an event. Of a span, its beginning is one, too, and its end is a finished span: who dies in between leaves
/// the beginning.
pub(super) fn write(memory: &BlackBox, said: &Said, sender: u32, now: Instant) -> bool {
    let Ok(cells) = Mapped::<CELLS>::new(memory.as_fd()) else { return false };
    // A service can overwrite its header, and then has no use for a box.
    let Some(noter) = Noter::new(&cells) else { return false };
    let moment = |span, trace| Moment { at: now, thread: sender, kind: Kind::Event, span, trace };
    match said {
        Said::Ring => {}
        Said::Note(pairs) => {
            // Where somebody holds the lock, or no lane is left, the event says it.
            let _ = blackbox::note(memory.as_fd(), pairs);
            noter.event(moment(0, 0), &packed("note", pairs));
        }
        Said::Span(span) if !span.ended => {
            let mut text = packed("span", &[("name".to_owned(), span.name.clone())]);
            span.attributes.iter().for_each(|(key, value)| text.add(key, value));
            noter.event(moment(span.id, trace_of(span)), &text);
        }
        Said::Span(span) => {
            let owner = own::thread();
            let Some(slot) = noter.slot(owner, 0) else { return false };
            let ids = Ids { span: span.id, parent: span.parent.1, trace: trace_of(span) };
            slot.open(
                ids,
                Instant::from_nanos(span.start.min(now.as_nanos())),
                &packed(&span.name, &span.attributes),
            );
            if let Some(why) = &span.failed {
                slot.change(|text, status| {
                    text.add("error", why);
                    *status = Status::Error;
                });
            }
            noter.finish(slot, now);
        }
    }
    true
}

fn trace_of(span: &SpanSaid) -> u128 {
    // A span of no trace is one by itself.
    if span.parent.0 == 0 { span.id.into() } else { span.parent.0 }
}

fn packed<const BYTES: usize>(name: &str, pairs: &[(String, String)]) -> Packed<BYTES> {
    let mut text = Packed::new(name);
    pairs.iter().for_each(|(key, value)| text.add(key, value));
    text
}
