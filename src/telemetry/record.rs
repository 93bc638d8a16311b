//! A finished span or an event, as it was taken from a black box: plain data, with times of the wall clock.

/// The life that a record is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// `web`
    pub service: String,
    /// `web#2`
    pub instance: String,
    /// Which of its lives.
    pub incarnation: u64,
    /// Its main process; 0 when that is not known.
    pub pid: u32,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
}

/// A span that has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// Its trace; 0: none, which no collector takes, so one is made of the span's own id.
    pub trace: u128,
    /// Its own id; never 0.
    pub id: u64,
    /// The span in which it was opened; 0: none.
    pub parent: u64,
    /// What it is of.
    pub name: String,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ended; not before `start`.
    pub end: u64,
    /// Why it failed; `None`: it did not say that it did.
    pub failed: Option<String>,
    /// Keys and values.
    pub attributes: Vec<(String, Value)>,
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// It happened.
    #[default]
    Info,
    /// Something went wrong.
    Error,
    /// A panic.
    Fatal,
}

/// Something that happened at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// What.
    pub name: String,
    /// When, in nanoseconds since the Unix epoch.
    pub at: u64,
    /// How bad it is.
    pub severity: Severity,
    /// The trace in which; 0: none.
    pub trace: u128,
    /// The span in which; 0: none.
    pub span: u64,
    /// Keys and values.
    pub attributes: Vec<(String, Value)>,
}

/// One of both.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A finished span.
    Span(Span),
    /// An event.
    Event(Event),
}

impl Record {
    /// What sampling by name goes by.
    pub fn name(&self) -> &str {
        match self {
            Record::Span(span) => &span.name,
            Record::Event(event) => &event.name,
        }
    }

    /// True of a span that failed.
    pub fn failed(&self) -> bool {
        matches!(self, Record::Span(Span { failed: Some(_), .. }))
    }

    /// The trace that it belongs to: all records of one are kept or none is. 0: none.
    pub fn trace(&self) -> u128 {
        match self {
            Record::Span(span) if span.trace == 0 => span.id.into(),
            Record::Span(span) => span.trace,
            Record::Event(event) => event.trace,
        }
    }
}
