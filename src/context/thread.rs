//! What one thread is doing, as it says: the truth of it, in the thread itself. The lane in the black box is its mirror,
//! and whether there is one changes nothing here.
//!
//! The state has nothing to drop, so it can be used until the thread's very end, also by whatever else is dropped then.
//! Only giving back the lane happens in a destructor; after that the thread has none any more.

use super::keys::Keys;
use crate::blackbox::record::lane::{CRUMB_COUNT, CRUMB_TEXT, ERROR_TEXT, KEY_COUNT, OPERATION_TEXT};
use crate::blackbox::text::Packed;
use crate::blackbox::{self, Lane};
use crate::sys::own;
use crate::time::Instant;
use std::cell::{Cell, RefCell};
use std::thread;

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::new()) };
    /// Registered with the first lane.
    static LEAVING: Leaving = const { Leaving(Cell::new(false)) };
}

/// What a thread is at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doing {
    pub(super) since: Instant,
    /// The name, with pairs `id` and `correlation`.
    pub(super) text: Packed<OPERATION_TEXT>,
}

/// Something that it passed.
#[derive(Clone, Copy)]
pub(super) struct Crumb {
    pub(super) at: Instant,
    pub(super) text: Packed<CRUMB_TEXT>,
}

/// An error.
#[derive(Clone, Copy)]
pub(super) struct Noted {
    pub(super) at: Instant,
    pub(super) panic: bool,
    /// What, with a pair `at`.
    pub(super) text: Packed<ERROR_TEXT>,
}

pub(super) struct State {
    pub(super) keys: Keys,
    pub(super) operation: Option<Doing>,
    crumbs: [Crumb; CRUMB_COUNT],
    crumb_count: u32,
    pub(super) error: Option<Noted>,
    error_count: u32,
    lane: Option<Lane<'static>>,
    /// How often a lane was asked for in vain.
    refusals: u32,
    /// The thread is at its end.
    left: bool,
    /// The mirror shows what was so when the thread began to unwind.
    stale: bool,
}

/// Does it with the state of this thread. `None`: it is done with already, by whoever called this from within.
#[inline]
pub(super) fn state<R>(act: impl FnOnce(&mut State) -> R) -> Option<R> {
    STATE.with(|state| Some(act(&mut *state.try_borrow_mut().ok()?)))
}

impl State {
    const fn new() -> State {
        const NO_CRUMB: Crumb = Crumb { at: Instant::ZERO, text: Packed::EMPTY };
        State {
            keys: Keys::new(),
            operation: None,
            crumbs: [NO_CRUMB; CRUMB_COUNT],
            crumb_count: 0,
            error: None,
            error_count: 0,
            lane: None,
            refusals: 0,
            left: false,
            stale: false,
        }
    }

    /// The newest breadcrumbs, the oldest first.
    pub(super) fn crumbs(&self) -> impl Iterator<Item = &Crumb> {
        let first = self.crumb_count.saturating_sub(CRUMB_COUNT as u32);
        (first..self.crumb_count).map(|number| &self.crumbs[number as usize % CRUMB_COUNT])
    }

    pub(super) fn add_crumb(&mut self, crumb: Crumb) {
        let number = self.crumb_count;
        self.crumbs[number as usize % CRUMB_COUNT] = crumb;
        self.crumb_count += 1;
        if let Some(lane) = self.lane() {
            lane.set_breadcrumb(number, crumb.at, &crumb.text);
        }
    }

    pub(super) fn note(&mut self, error: Noted) {
        self.error = Some(error);
        self.error_count = self.error_count.wrapping_add(1);
        let number = self.error_count;
        if let Some(lane) = self.lane() {
            lane.set_error(number, error.panic, error.at, &error.text);
        }
    }

    pub(super) fn set_operation(&mut self, operation: Option<Doing>) {
        self.operation = operation;
        if thread::panicking() {
            return self.keep_mirror();
        }
        let Some(lane) = self.lane() else { return };
        match &operation {
            Some(doing) => lane.set_operation(doing.since, &doing.text),
            None => lane.remove_operation(),
        }
    }

    /// What stands in this place of the keys goes to the mirror.
    #[inline]
    pub(super) fn show_key(&mut self, at: usize) {
        let Some(lane) = self.lane() else { return };
        match self.keys.at(at) {
            Some(entry) => lane.set_key(at, entry),
            None => lane.remove_key(at),
        }
    }

    /// What is put back while a panic unwinds is put back in the thread alone: whoever looks at the death that follows wants
    /// to see what was so before. When the thread goes on all the same, the next thing that it says brings the mirror up
    /// to date.
    pub(super) fn keep_mirror(&mut self) {
        self.stale = true;
    }

    /// Everything is forgotten.
    pub(super) fn clear(&mut self) {
        (self.keys, self.operation, self.error, self.crumb_count) = (Keys::new(), None, None, 0);
        if let Some(lane) = self.lane() {
            lane.forget();
            lane.remove_operation();
            (0..KEY_COUNT).for_each(|at| lane.remove_key(at));
        }
    }

    /// Takes over what another thread carries here, in place of what there was.
    pub(super) fn install(&mut self, keys: Keys, operation: Option<Doing>) {
        self.keys.take_over(&keys);
        self.operation = operation;
        if let Some(lane) = self.lane() {
            self.show_all(lane);
        }
    }

    /// The mirror; one is asked for when there is none, and in a child of a fork, whose parent has the other.
    #[inline]
    fn lane(&mut self) -> Option<Lane<'static>> {
        let owner = own::thread();
        match self.lane {
            Some(lane) if lane.is_of(owner) => {
                if self.stale && !thread::panicking() {
                    self.stale = false;
                    self.show_all(lane);
                }
                Some(lane)
            }
            _ => self.claim(owner),
        }
    }

    #[cold]
    fn claim(&mut self, owner: u64) -> Option<Lane<'static>> {
        let noter = blackbox::seen()?;
        // Where there is none, looking takes 64 system calls: less and less often.
        let waits = self.refusals > 0 && !self.refusals.is_power_of_two();
        let leaves = !self.left && LEAVING.try_with(|leaving| leaving.0.set(true)).is_ok();
        self.lane = if leaves && !waits { noter.lane(owner, &own::thread_name()) } else { None };
        match self.lane {
            Some(lane) => {
                (self.refusals, self.stale) = (0, false);
                self.show_all(lane);
            }
            None => self.refusals = self.refusals.wrapping_add(1),
        }
        self.lane
    }

    fn show_all(&self, lane: Lane<'static>) {
        for at in 0..KEY_COUNT {
            match self.keys.at(at) {
                Some(entry) => lane.set_key(at, entry),
                None => lane.remove_key(at),
            }
        }
        match &self.operation {
            Some(doing) => lane.set_operation(doing.since, &doing.text),
            None => lane.remove_operation(),
        }
        for (number, crumb) in (self.crumb_count.saturating_sub(CRUMB_COUNT as u32)..).zip(self.crumbs()) {
            lane.set_breadcrumb(number, crumb.at, &crumb.text);
        }
        if let Some(error) = &self.error {
            lane.set_error(self.error_count, error.panic, error.at, &error.text);
        }
    }

    fn leave(&mut self) {
        self.left = true;
        let lane = self.lane.take().filter(|lane| lane.is_of(own::thread()));
        // A thread that ended with an error may be why its process ends soon, and the end of the first one is that: its
        // lane stays until somebody needs it.
        let (process, thread) = (own::thread() >> 32, own::thread() & 0xffff_ffff);
        if let (Some(lane), None, true) = (lane, &self.error, process != thread) {
            lane.release();
        }
    }
}

/// Gives back the lane when the thread ends.
struct Leaving(Cell<bool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        state(State::leave);
    }
}
