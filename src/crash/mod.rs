//! Crash records: what is known about each death, one JSON object a line in `state/crashes.jsonl`.
//!
//! The logger is the only writer; `crash list`, `crash show` and `why` read the file without anybody's help.
//! A line that is no record (torn by a kill or a full disk) is passed over by readers and closed off by the
//! next writer.

mod changes;
mod record;
mod store;

pub use changes::{Change, Changes, REMEMBERED, SHORTLY, is_change};
pub use record::{LastWord, Record, cause, duration};
pub use store::{Store, file, read};
