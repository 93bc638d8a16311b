//! One snapshot for all who ask while nothing changes.

use super::attachment::Attachment;
use super::snapshot::{self, Snapshot};
use std::sync::{Arc, Mutex};

/// The newest copy that somebody took.
#[derive(Debug, Default)]
pub(super) struct Latch(Mutex<Option<Arc<Snapshot>>>);

impl Latch {
    /// The copy, if it is still what the board says; else a new one. Waits for nobody: after a fork the lock may be held by a
    /// thread that this process does not have.
    pub(super) fn take(&self, attachment: &Attachment) -> Arc<Snapshot> {
        let Ok(mut kept) = self.0.try_lock() else { return Arc::new(snapshot::take(attachment)) };
        if let Some(kept) = &*kept
            && snapshot::is_current(kept, attachment)
        {
            return kept.clone();
        }
        let taken = Arc::new(snapshot::take(attachment));
        *kept = Some(taken.clone());
        taken
    }
}
