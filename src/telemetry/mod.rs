//! What is made of finished spans and events, as data: which are kept, how they are written, how much became of each.
//! Pure.
//!
//! [`Sampler`] decides about each record; [`Batch`] collects what is kept until it is full or old enough; [`otlp`] writes
//! a batch as OTLP/JSON, with a summary that says what became of everything that was taken since the last one. [`http`] is
//! the exporter's side of a conversation with a collector; [`note`] reads datagrams of programs that link nothing.
//!
//! Invariant: everything that was taken is counted once: written, sampled out, or lost, by whose and why ([`Counts`]).

pub mod batch;
pub mod counts;
pub mod fair;
pub mod http;
pub mod note;
pub mod otlp;
pub mod record;
pub mod sample;
pub mod settings;
pub mod summary;

pub use batch::Batch;
pub use counts::Counts;
pub use record::{Event, Life, Record, Span, Value};
pub use sample::{Sampler, Verdict};
pub use settings::{Endpoint, Settings};
pub use summary::Summary;
