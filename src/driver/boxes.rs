//! Black boxes: which lives have one, how long it is kept, and what becomes of it at a death.
//!
//! Invariants: a box never takes a descriptor that a start needs, and the supervisor never reads one. Whoever dies with
//! something in its box has it handed to the logger beside the news of its death; a box that nobody wrote to costs one
//! look at its size. So a thousand plain services that die at once are told of as if there were no boxes.

use super::Driver;
use crate::blackbox;
use crate::ipc::builtin::BoxOf;
use crate::supervisor::spec::{ChildId, Incarnation};
use crate::sys::memory;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// So many boxes of deaths that are not recorded yet are kept. When more die at once, the boxes of the first are worth more
/// than those of the last, which often die of the first.
const OF_THE_DEAD: usize = 256;

/// Descriptors that boxes leave free beside those that the instances need: for the boxes of the dead, and for those on their
/// way to the keeper.
pub const KEPT_FREE: u64 = OF_THE_DEAD as u64 + 64;

/// The header was written by us: so much of a box that says nothing takes memory. The counters stand beside it, so a life that
/// only counted has said nothing either. Larger pages hold contexts, too: there every box counts as written to.
pub(super) const OWN_PAGE: u64 = 4096;

/// The descriptor at which a life finds its black box: below those that are lent at a start (so it is in nobody's
/// way), above those that programs and shells number themselves.
pub const BLACKBOX: i32 = 15;
/// How it is told so.
pub const BLACKBOX_VARIABLE: &std::ffi::CStr = c"MAINSTAY_BLACKBOX_FD=15";

/// The black box of a life; it stays when that has ended, until the next one begins.
pub struct BlackBox {
    /// Whose.
    pub incarnation: Incarnation,
    /// It.
    pub memory: Arc<OwnedFd>,
    /// Counts it as kept.
    _kept: Arc<()>,
}

/// How many there are.
#[derive(Default)]
pub struct Boxes {
    /// As many others hold this as there are boxes in slots.
    kept: Arc<()>,
    /// Made ready for whoever begins next, so that no start waits for it; and whether it wakes telemetry.
    spare: Option<(bool, OwnedFd)>,
    /// Somebody has taken one: others will.
    wanted: bool,
    /// It was said that there are too few descriptors.
    said: bool,
}

impl Boxes {
    fn kept(&self) -> u64 {
        Arc::strong_count(&self.kept) as u64 - 1
    }
}

impl Driver {
    /// A black box for the life that is about to begin. Without a descriptor for it there is none: then nobody knows which
    /// flags it reads and what it was doing, and it runs all the same.
    pub(super) fn make_blackbox(&mut self, child: ChildId, incarnation: Incarnation) {
        let wants_one = self.roster.builtin(child).is_none() && self.roster.of(child).blackbox;
        let has_one = self.slots[child.0 as usize].blackbox.is_some();
        if !wants_one || !has_one && self.boxes.kept() >= self.descriptors.for_boxes() {
            self.slot(child).blackbox = None;
            if wants_one {
                self.say_boxes_are_short();
            }
            return;
        }
        self.boxes.wanted = true;
        let spare = self.boxes.spare.take().filter(|(wakes, _)| *wakes == self.telemetry_wanted);
        let made = spare.map_or_else(|| self.new_box(), |(_, spare)| Ok(spare));
        let slot = &mut self.slots[child.0 as usize];
        match (made, &mut slot.blackbox) {
            (Err(_), _) => {
                slot.blackbox = None;
                self.say_boxes_are_short();
            }
            // Nobody else has the last one any more: its place is used again, so nothing is allocated.
            (Ok(memory), Some(of)) if Arc::strong_count(&of.memory) == 1 => {
                of.incarnation = incarnation;
                if let Some(place) = Arc::get_mut(&mut of.memory) {
                    *place = memory;
                }
            }
            (Ok(memory), of) => {
                let memory = Arc::new(memory);
                *of = Some(BlackBox { incarnation, memory, _kept: self.boxes.kept.clone() });
            }
        }
    }

    /// At the end of a wake-up: the next start finds a box ready. Making one takes as long as a start may be made longer by.
    pub(super) fn make_spare_box(&mut self) {
        if std::mem::take(&mut self.boxes.wanted)
            && self.boxes.spare.is_none()
            && self.descriptors.for_boxes() > 0
        {
            self.boxes.spare = self.new_box().ok().map(|spare| (self.telemetry_wanted, spare));
        }
    }

    fn new_box(&self) -> io::Result<OwnedFd> {
        let made = blackbox::BlackBox::make()?;
        // Nobody drains it: nobody is to be woken for it.
        if !self.telemetry_wanted {
            made.silence()?;
        }
        Ok(OwnedFd::from(made))
    }

    fn say_boxes_are_short(&mut self) {
        if !std::mem::replace(&mut self.boxes.said, true) {
            let kept = self.boxes.kept();
            self.warn(format!(
                "descriptors are short: lives beyond {kept} have no black box, so their crash reports say less; raise the \
                 hard limit (ulimit -Hn), or set blackbox = false where none is needed"
            ));
        }
    }

    /// Other instances need descriptors now: as many boxes as stand in their way are let go. Their lives keep writing into
    /// them, and nobody will read it.
    pub(super) fn make_room_among_boxes(&mut self) {
        let room = self.descriptors.for_boxes();
        let mut surplus = self.boxes.kept().saturating_sub(room);
        for slot in self.slots.iter_mut().rev() {
            if surplus == 0 {
                break;
            }
            surplus -= u64::from(slot.blackbox.take().is_some());
        }
    }

    /// What becomes of the box of a life that has just died, whose death is told under a crash number or not.
    pub(super) fn box_of_the_dead(
        &self,
        child: ChildId,
        incarnation: Incarnation,
        crash: u64,
    ) -> (BoxOf, Option<Arc<OwnedFd>>) {
        let slot = &self.slots[child.0 as usize];
        let Some(of) = slot.blackbox.as_ref().filter(|of| of.incarnation == incarnation && crash != 0) else {
            return (BoxOf::None, None);
        };
        match memory::touched(of.memory.as_fd()) {
            Ok(touched) if touched <= OWN_PAGE => (BoxOf::Untouched, None),
            _ if self.deaths.boxes() >= OF_THE_DEAD => (BoxOf::LetGo, None),
            _ => (BoxOf::Here, Some(of.memory.clone())),
        }
    }
}
