//! Showing what the book says: first in the log, then in the table; and making both good again when somebody damaged them.

use super::book::{Book, Change};
use crate::registry::log::{self, Log, Recalled};
use crate::registry::{Repair, TableError, Writer};
use crate::sys::watch::{Interest, Watch};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// See the module.
pub(super) struct Publisher {
    runtime: PathBuf,
    state: PathBuf,
    /// `None`: none could be made yet.
    table: Option<Writer>,
    log: Log,
    watch: Option<Watch>,
    /// The trouble that was told, until it is over.
    said: Option<String>,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What was put right, in words.
    pub(super) repaired: Vec<String>,
    /// What cannot be, in words: told once.
    pub(super) trouble: Option<String>,
}

impl Publisher {
    pub(super) fn new(runtime: &Path, state: &Path) -> Publisher {
        Publisher {
            runtime: runtime.to_owned(),
            state: state.to_owned(),
            table: None,
            log: Log::new(state),
            watch: Watch::new().ok(),
            said: None,
        }
    }

    /// What the last life knew: its log. Only where that is gone, the table that it left: each of its cells proves itself,
    /// and whom it names is proven before it is believed.
    pub(super) fn recall(&self) -> Recalled {
        log::recall(&self.state).unwrap_or_else(|| {
            let entries = crate::registry::left_behind(&self.runtime);
            let last = entries.iter().map(|entry| entry.ticket).max().unwrap_or(0);
            Recalled { entries: entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect(), last }
        })
    }

    /// A log and a table of this life's own.
    pub(super) fn begin(&mut self, book: &Book) -> Looked {
        let mut looked = self.look(book);
        // That there was none is how each life begins.
        looked.repaired.clear();
        looked
    }

    /// Shows these changes, which the book has already.
    pub(super) fn show(&mut self, book: &Book, changes: &[Change]) {
        for change in changes {
            // One that is not written is written anew at the next look, with all others.
            match change {
                Change::Added(entry) => drop(self.log.added(entry)),
                Change::Gone(entry, _) => drop(self.log.gone(entry)),
            }
        }
        if !changes.is_empty() && self.log.needs_renewal(book.len()) {
            let _ = self.log.renew(book.list(""), book.last());
        }
        let Some(table) = &mut self.table else { return };
        for change in changes {
            let shown = match change {
                Change::Added(entry) => table.put(entry),
                Change::Gone(entry, _) => {
                    table.take(&entry.name);
                    true
                }
            };
            if !shown {
                // With the book's names, the rest of these changes is in it, too. Without space for it none must stay that
                // says less than is true.
                if table.replace(book.list("")).is_err()
                    && let Some(table) = self.table.take()
                {
                    table.retire();
                }
                self.watch_again();
                return;
            }
        }
    }

    /// Makes sure that log and table stand and say what the book says.
    pub(super) fn look(&mut self, book: &Book) -> Looked {
        let mut looked = Looked::default();
        let mut trouble = None;
        if self.log.needs_renewal(book.len())
            && let Err(error) = self.log.renew(book.list(""), book.last())
        {
            let path = self.state.join("registry");
            trouble =
                Some(format!("names do not survive the registry: writing `{}`: {error}", path.display()));
        }
        match self.make_good(book) {
            Ok(repairs) => {
                if !repairs.is_empty() {
                    self.watch_again();
                }
                looked.repaired.extend(repairs.iter().map(ToString::to_string));
            }
            Err(error) => trouble = Some(error.to_string()),
        }
        if trouble != self.said {
            looked.trouble.clone_from(&trouble);
            if trouble.is_none() {
                looked.repaired.push("log and table of names can be written again".to_owned());
            }
            self.said = trouble;
        }
        looked
    }

    fn make_good(&mut self, book: &Book) -> Result<Vec<Repair>, TableError> {
        match &mut self.table {
            Some(table) => match table.look()? {
                Some(repairs) => Ok(repairs),
                None => {
                    table.replace(book.list(""))?;
                    Ok(vec![Repair::Replaced])
                }
            },
            none => {
                *none = Some(Writer::create(&self.runtime, book.list(""))?);
                Ok(vec![Repair::Replaced])
            }
        }
    }

    /// Watches belong to files, not to names. What cannot be watched is looked at each second.
    fn watch_again(&self) {
        let Some(watch) = &self.watch else { return };
        let _ = watch.add(&self.runtime, Interest::Names);
        let _ = watch.add(&self.runtime.join(".kept"), Interest::Names);
        let _ = watch.add(&self.runtime.join(crate::registry::layout::TABLE), Interest::Content);
    }

    /// What to wait for.
    pub(super) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Takes what was seen; true: there is a reason to look.
    pub(super) fn something_happened(&self) -> bool {
        self.watch.as_ref().and_then(|watch| watch.read().ok()).is_some_and(|seen| !seen.is_empty())
    }
}
