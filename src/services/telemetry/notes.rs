//! Programs that link nothing: whose process sent a datagram, and writing what it says into the black box of that life.

use super::boxes::{Boxes, Key};
use crate::blackbox::BlackBox;
use crate::sys::procfs;
use crate::telemetry::note::Said;
use crate::time::Instant;

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

/// Writes what was said into a box; false: it cannot be written.
pub(super) fn write(memory: &BlackBox, said: &Said, now: Instant) -> bool {
    let _ = (memory, said, now);
    false
}
