//! From one thread to another.

use super::keys::Keys;
use super::thread::{Doing, state};
use crate::trace::{self, Current};

/// Keys, operation and span of a thread, on their way to another.
#[derive(Clone)]
pub struct Carried {
    keys: Keys,
    operation: Option<Doing>,
    current: Current,
}

impl Carried {
    pub(super) fn of_this_thread() -> Carried {
        let (keys, operation) = state(|state| (state.keys, state.operation)).unwrap_or((Keys::new(), None));
        Carried { keys, operation, current: trace::Current::of_this_thread() }
    }

    /// This thread has it from now on, in place of what it had.
    pub fn install(&self) {
        self.current.install();
        state(|state| state.install(self.keys, self.operation));
    }

    /// Does it with this, and puts back what there was, also when it unwinds.
    pub fn run<R>(&self, act: impl FnOnce() -> R) -> R {
        struct Back(Carried);
        impl Drop for Back {
            fn drop(&mut self) {
                self.0.install();
            }
        }
        let _back = Back(Carried::of_this_thread());
        self.install();
        act()
    }
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Carried").field("keys", &self.keys.all()).finish_non_exhaustive()
    }
}
