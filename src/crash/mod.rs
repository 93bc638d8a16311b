//! Crash records: what is known about each death, one JSON object a line in `state/crashes.jsonl`.
//!
//! The logger is the only writer of records; `crash list`, `crash show` and `why` read the file without anybody's help.
//! A line that is no record (torn by a kill or a full disk) is passed over by readers and closed off by the
//! next writer.

mod changes;
mod evidence;
mod fingerprint;
mod pairs;
mod record;
mod store;

pub use crate::ipc::builtin::{BoxOf, Fault, GroupMemory, Used};
pub use changes::{Change, ChangeOf, Changes, REMEMBERED, SHORTLY, is_change, keys_of};
pub use evidence::{Breadcrumb, Context, Evidence, Failure, Flag, Names, Operation, Said, Span, Unsaid};
pub use pairs::Pairs;
pub use record::{LastWord, Record, SCHEMA, cause, duration};
pub use store::{File, Store, Unwritten, file, read, throw_away};
