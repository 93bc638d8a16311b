//! mainstay inside of a Rust program: a tree in code instead of in a file.
//!
//! A [`Tree`] is built from [`Service`]s, [`Group`]s, [`Pool`]s and [`Template`]s whose methods are the keys of the
//! configuration file, with the same rules, the same defaults and all flaws at once. Then it runs
//!
//! - in this process, with its loop on the calling thread: [`Tree::run`];
//! - in this process, on a thread of its own: [`Tree::spawn`];
//! - in a process of its own, which survives the host or ends with it: [`Tree::spawn_child`].
//!
//! However it runs, a [`Handle`] asks it and changes it: [`Handle::status`], [`Handle::events`], [`Handle::start_child`],
//! [`Handle::reload`]. A handle speaks the control protocol over the project's socket, so the commands of
//! `mainstay` see the same tree.
//!
//! mainstay's own processes (the logger, the keeper of the flags) are the host's executable: its `main` begins with
//! [`enter`]. `docs/embedding.md` has a whole example, and what the tree does to the process it runs in.
//!
//! ```no_run
//! use mainstay::embed::{Service, Tree, enter};
//!
//! fn main() -> Result<(), mainstay::embed::Error> {
//!     enter();
//!     let tree = Tree::new("shop").add(Service::new("web", ["python3", "-m", "http.server"]));
//!     tree.handle_signals(true).run(|event, _| println!("{} {:?}", event.instance, event.what))?;
//!     Ok(())
//! }
//! ```
//!
//! What it must not do: know a rule or a default of its own, touch the process of the host beyond what was asked, or
//! have another way to the supervisor than everybody else.

mod child;
mod entrance;
mod error;
mod events;
mod flag;
mod flaw;
mod group;
mod guard;
mod handle;
mod health;
mod host;
mod inside;
mod keys;
mod migration;
mod new_child;
mod running;
mod service;
mod telemetry;
mod text;
mod tree;
mod words;

pub use crate::cli::select::Snapshot;
pub use crate::config::Plan;
pub use crate::flags::Unit;
pub use crate::flags::guard::Mode;
pub use crate::ipc::client::CallError;
pub use crate::ipc::control::{Changed, Counts, Difference, Event, What, Which};
pub use crate::supervisor::spec::{AutoShutdown, Grace, OnLimit, Restart, Strategy};
pub use entrance::{enter, own};
pub use error::Error;
pub use events::Events;
pub use flag::{Flag, FlagKind, FlagValue};
pub use flaw::{Flaw, Flaws};
pub use group::{Group, Member, Pool};
pub use guard::Guard;
pub use handle::{Acted, Done, Handle, Reload, Reloaded};
pub use health::Health;
pub use host::OnHostDeath;
pub use migration::{Migration, Stage};
pub use new_child::NewChild;
pub use running::{End, Running};
pub use service::{Service, Template};
pub use telemetry::Telemetry;
pub use tree::{Defaults, Tree};
pub use words::{Backoff, Condition, Log, LogFile, Ready, Semantics, Signal, User};
