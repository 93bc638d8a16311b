//! What a life said in its box: data, as a reader hands it on. Every text is clean (see
//! [`clean`](super::text::clean)) and bounded; nothing of it is more than the life's own account.

use crate::time::Instant;

/// What one thread was doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Its process; 0 for what was noted of the whole life, by `mainstay note`.
    pub process: u32,
    /// The thread, as the kernel numbers it; 0 as well.
    pub thread: u32,
    /// Its name, of at most 15 bytes. Often the program's.
    pub thread_name: String,
    /// What it was at.
    pub operation: Option<Operation>,
    /// Keys and values, in the order in which they were first set; each key once.
    pub keys: Vec<(String, String)>,
    /// What it passed, the oldest first; at most eight.
    pub breadcrumbs: Vec<Breadcrumb>,
    /// Its last error.
    pub error: Option<Failure>,
    /// Records that were being written, or were scribbled over.
    pub torn: usize,
}

/// What a thread was at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// What it is called.
    pub name: String,
    /// Which one.
    pub id: String,
    /// What ties it to operations elsewhere; empty: nothing was said.
    pub correlation: String,
    /// When it began.
    pub since: Instant,
}

/// Something that a thread passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breadcrumb {
    /// When.
    pub at: Instant,
    /// What.
    pub text: String,
}

/// An error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Instant,
    /// What is wrong.
    pub text: String,
    /// Where in the source; empty: nothing was said.
    pub place: String,
    /// It was a panic.
    pub panic: bool,
}

/// How a span ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing else was said.
    #[default]
    Ok,
    /// It failed.
    Error,
}

/// A span that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenSpan {
    /// The process that opened it.
    pub process: u32,
    /// The thread that opened it.
    pub thread: u32,
    /// Its number.
    pub span: u64,
    /// The span that it is a part of; 0: none.
    pub parent: u64,
    /// The trace that it is a part of.
    pub trace: u128,
    /// What it is called.
    pub name: String,
    /// When it began.
    pub since: Instant,
    /// What was said of it, the oldest first. Why it fails is under `error`.
    pub attributes: Vec<(String, String)>,
    /// How it stands.
    pub status: Status,
    /// Some of what was said found no room.
    pub cut: bool,
}

/// A span that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedSpan {
    /// Its ticket: how many finished before it.
    pub ticket: u64,
    /// The thread that finished it.
    pub thread: u32,
    /// As of [`OpenSpan`].
    pub span: u64,
    /// As of [`OpenSpan`].
    pub parent: u64,
    /// As of [`OpenSpan`].
    pub trace: u128,
    /// As of [`OpenSpan`].
    pub name: String,
    /// When it began.
    pub since: Instant,
    /// When it ended: never before `since` by an honest account.
    pub until: Instant,
    /// As of [`OpenSpan`]; whole pairs only.
    pub attributes: Vec<(String, String)>,
    /// How it ended.
    pub status: Status,
    /// Some of what was said found no room.
    pub cut: bool,
}

/// What kind of event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Something that happened.
    #[default]
    Event,
    /// An error that was noted.
    Error,
    /// A panic.
    Panic,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its ticket: how many records were begun before it. An event of several records takes as many tickets.
    pub ticket: u64,
    /// The ticket after its last: where a reader goes on.
    pub next: u64,
    /// When, to a few milliseconds: events of one thread are ordered by their tickets.
    pub at: Instant,
    /// The thread that it happened in.
    pub thread: u32,
    /// What kind.
    pub kind: Kind,
    /// The span that was open then; 0: none.
    pub span: u64,
    /// Its trace; 0: none.
    pub trace: u128,
    /// What it is called.
    pub name: String,
    /// What was said with it.
    pub attributes: Vec<(String, String)>,
    /// Some of what was said found no room, or a record of several is not there.
    pub cut: bool,
}

/// How far whoever drains a box has come: its own account, in cells that the service could change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// All events before this ticket were taken out of the box.
    pub events_taken: u64,
    /// All events before this ticket are where they belong.
    pub events_written: u64,
    /// The same of finished spans.
    pub spans_taken: u64,
    /// The same of finished spans.
    pub spans_written: u64,
}
