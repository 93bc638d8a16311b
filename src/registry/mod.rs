//! Names for processes: who is `orders` now, on which port?
//!
//! A process has a name until it gives it back or ends; then it vanishes within milliseconds, and is never taken for that of
//! another process with the same number. Looking a name up needs nobody: it is read from a mapped table
//! (`docs/registry.md`), in nanoseconds. The built-in `mainstay.registry` writes that table; it is started when it is
//! first asked for something.
//!
//! ```no_run
//! use mainstay::registry;
//!
//! # fn main() -> Result<(), registry::Error> {
//! let mine = registry::register("orders", &[("port", "8080")])?;
//! if let Some(stock) = registry::lookup("stock")? {
//!     println!("stock is pid {}, port {:?}", stock.process.pid, stock.meta.get("port"));
//! }
//! drop(mine); // Or when the process ends, however it does.
//! # Ok(())
//! # }
//! ```
//!
//! These functions mean the tree that this process is a service of; [`Names`] means any.

mod client;
mod error;
mod image;
pub mod layout;
pub mod log;
mod names;
mod place;
mod record;
mod registration;
mod table;
mod watch;
mod writer;

pub use crate::ipc::registry::{Entry, Process, Why};
pub use error::{Error, Repair, TableError};
pub use names::{Names, describe, open};
pub use registration::Registration;
pub use watch::{Happened, Watch};
pub use writer::Writer;

use std::path::Path;
use std::sync::OnceLock;

/// Of the tree that this process is a service of; looked for once.
static HERE: OnceLock<Names> = OnceLock::new();

fn here() -> Result<&'static Names, Error> {
    match HERE.get() {
        Some(names) => Ok(names),
        None => {
            let names = Names::here()?;
            Ok(HERE.get_or_init(|| names))
        }
    }
}

/// What a table says that nobody keeps any more: for a registry whose log is gone.
pub(crate) fn left_behind(runtime: &Path) -> Vec<Entry> {
    Names::open(runtime).read_table("").unwrap_or_default()
}

/// Gives this process a name: see [`Names::register`].
///
/// # Errors
/// As there, and [`Error::NoTree`].
pub fn register(name: &str, meta: &[(&str, &str)]) -> Result<Registration, Error> {
    here()?.register(name, meta)
}

/// Who has this name: see [`Names::lookup`].
///
/// # Errors
/// As there, and [`Error::NoTree`].
pub fn lookup(name: &str) -> Result<Option<Entry>, Error> {
    here()?.lookup(name)
}

/// All names that begin so: see [`Names::list`].
///
/// # Errors
/// As there, and [`Error::NoTree`].
pub fn list(prefix: &str) -> Result<Vec<Entry>, Error> {
    here()?.list(prefix)
}

/// What happens to names that begin so: see [`Names::watch`].
///
/// # Errors
/// [`Error::NoTree`].
pub fn watch(prefix: &str) -> Result<Watch, Error> {
    Ok(here()?.watch(prefix))
}
