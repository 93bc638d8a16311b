//! What a black box says about a death, as the record keeps it: bounded, and told from the death on.
//!
//! The box is hostile: its reader cleans every text and proves every record, and what is left is only the life's own
//! account. Here it is put in order and cut to a length, so that no service can fill the disk with one death.

use super::Pairs;
use crate::blackbox::{self, Image, Status};
use crate::board::{Snapshot, name_hash};
use crate::flags::{Body, Held, Truth, Value};
use crate::time::{Duration, Instant};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// So many of its newest events are kept.
pub const EVENTS: usize = 20;
/// So many threads.
pub const CONTEXTS: usize = 16;
/// So many open spans.
pub const SPANS: usize = 32;
/// So many flags.
pub const FLAGS: usize = 64;
/// A panic so long before the death may be why it came.
const UNWINDING: Duration = Duration::from_secs(5);
/// Events are told to some milliseconds only, so a span may seem to have ended so long before the panic that ended it.
const COARSE: Duration = Duration::from_millis(20);

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// [`super::Record::doing`]
    pub doing: Vec<Span>,
    /// [`super::Record::context`]
    pub context: Vec<Context>,
    /// [`super::Record::events`]
    pub events: Vec<Said>,
    /// [`super::Record::flags`]
    pub flags: Vec<Flag>,
    /// [`super::Record::unsaid`]
    pub unsaid: Unsaid,
}

/// A span that was open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// How many of those before it in the list it is a part of.
    pub depth: u32,
    /// 16 hexadecimal digits.
    pub span: String,
    /// Those of the span that it is a part of; empty: none.
    pub parent: String,
    /// 32 hexadecimal digits; empty: none.
    pub trace: String,
    /// The process that opened it.
    pub process: u32,
    /// The thread that opened it.
    pub thread: u32,
    /// For how long it was open.
    pub open_ns: u64,
    /// A panic has ended it on the way to the death.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unwound: bool,
    /// It was said that it fails.
    pub failed: bool,
    /// What was said of it.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub attributes: Pairs,
    /// Some of what was said found no room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// What one thread was at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Its process; 0: noted of the whole life.
    pub process: u32,
    /// The thread; 0 as well.
    pub thread: u32,
    /// Its name; may be empty.
    pub thread_name: String,
    /// What it was at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Keys and values.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub keys: Pairs,
    /// What it passed, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breadcrumbs: Vec<Breadcrumb>,
    /// Its last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What a thread was at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// What it is called.
    pub name: String,
    /// Which one; may be empty.
    pub id: String,
    /// What ties it to operations elsewhere; may be empty.
    pub correlation: String,
    /// For how long.
    pub open_ns: u64,
}

/// Something that a thread passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breadcrumb {
    /// So long before the death.
    pub before_ns: u64,
    /// What.
    pub text: String,
}

/// An error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// So long before the death.
    pub before_ns: u64,
    /// What was wrong.
    pub text: String,
    /// Where in the source; may be empty.
    pub place: String,
    /// It was a panic.
    pub panic: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// So long before the death, to a few milliseconds.
    pub before_ns: u64,
    /// `event`, `error` or `panic`.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// The thread.
    pub thread: u32,
    /// The span that was open, 16 hexadecimal digits; empty: none.
    pub span: String,
    /// What was said with it.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub attributes: Pairs,
    /// Some of what was said found no room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// A flag that it has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flag {
    /// Its name; when it is not declared any more, its hash.
    pub name: String,
    /// What it had seen last: `true`, `10%`, `stage 2`.
    pub value: String,
    /// Since when it had seen that.
    pub before_ns: u64,
    /// At which number of the board it was at least.
    pub generation: u64,
    /// That is not what the flag is now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub changed_since: bool,
}

/// What of a box is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsaid {
    /// Records that were being written when it died, or that somebody scribbled over.
    pub torn: u64,
    /// Times that a thread found no room for its context.
    pub contexts_unplaced: u64,
    /// Spans that found no room.
    pub spans_unplaced: u64,
    /// Contexts, spans and flags that are left out here.
    pub left_out: u64,
}

impl Unsaid {
    /// All is told.
    pub fn is_nothing(&self) -> bool {
        *self == Unsaid::default()
    }
}

impl Evidence {
    /// What this copy of a box says about a death at this moment. `board` gives flags their names; it is asked only when
    /// some were read.
    pub fn of(image: &Image, died: Instant, board: impl FnOnce() -> Option<Names>) -> Evidence {
        let mut seen: Vec<blackbox::Seen> = image.all_seen().collect();
        // The newest are the ones that it may have died of.
        seen.sort_by_key(|seen| (std::cmp::Reverse(seen.at), seen.hash));
        let names = if seen.is_empty() { None } else { board() }.unwrap_or_default();
        let mut contexts = image.contexts();
        contexts.sort_by_key(|context| {
            let error = context.error.as_ref();
            let (panics, at) = error.map_or((false, None), |error| (error.panic, Some(error.at)));
            (std::cmp::Reverse((panics, at)), context.process, context.thread)
        });
        let mut spans = image.open_spans();
        let events = image.events();
        let unwound = unwound(image, &events, &spans, died);
        let ended: HashMap<u64, u64> = unwound.iter().map(|span| (span.span, lasted(span))).collect();
        // Helpers that outlive their main process may end spans of theirs before the box is read.
        let later =
            image.finished_spans(0).into_iter().filter(|span| span.since <= died && span.until > died);
        let known: HashSet<u64> = spans.iter().map(|span| span.span).chain(ended.keys().copied()).collect();
        spans.extend(later.filter(|span| !known.contains(&span.span)).map(reopened));
        spans.extend(unwound.into_iter().map(reopened));
        spans.sort_by_key(|span| (span.since, span.span));
        let left_out = [(contexts.len(), CONTEXTS), (spans.len(), SPANS), (seen.len(), FLAGS)];
        let left_out = left_out.iter().map(|(found, kept)| found.saturating_sub(*kept) as u64).sum();
        let (contexts_unplaced, spans_unplaced) = image.unplaced();
        Evidence {
            doing: in_tree_order(spans.into_iter().take(SPANS).collect(), &ended, died),
            context: contexts
                .into_iter()
                .take(CONTEXTS)
                .map(|context| self::context(context, died))
                .collect(),
            events: events.iter().rev().take(EVENTS).rev().map(|event| said(event, died)).collect(),
            flags: seen.iter().take(FLAGS).map(|seen| names.flag(seen, died)).collect(),
            unsaid: Unsaid { torn: image.torn() as u64, contexts_unplaced, spans_unplaced, left_out },
        }
    }
}

/// The spans around the newest panic that it has ended while it unwound, if the death came soon after it: whoever panics
/// was at them.
fn unwound(
    image: &Image,
    events: &[blackbox::Event],
    open: &[blackbox::OpenSpan],
    died: Instant,
) -> Vec<blackbox::FinishedSpan> {
    let panic = events.iter().rev().find(|event| event.kind == blackbox::Kind::Panic && event.span != 0);
    let Some(panic) = panic.filter(|panic| before(panic.at, died) <= UNWINDING.as_nanos() as u64) else {
        return Vec::new();
    };
    let after = |span: &blackbox::FinishedSpan| before(span.until, panic.at) <= COARSE.as_nanos() as u64;
    let finished =
        image.finished_spans(0).into_iter().filter(|span| span.status == Status::Error && after(span));
    let mut finished: HashMap<u64, blackbox::FinishedSpan> = finished.map(|span| (span.span, span)).collect();
    let (mut found, mut next) = (Vec::new(), panic.span);
    // Each is taken out, so a circle ends.
    while let Some(span) = finished.remove(&next) {
        next = span.parent;
        if open.iter().all(|other| other.span != span.span) {
            found.push(span);
        }
    }
    found
}

fn lasted(span: &blackbox::FinishedSpan) -> u64 {
    span.until.as_nanos().saturating_sub(span.since.as_nanos())
}

/// As it was before it ended. That a panic ended it is said elsewhere.
fn reopened(span: blackbox::FinishedSpan) -> blackbox::OpenSpan {
    let said = |(key, value): &(String, String)| !(key == "error" && value == "panic");
    blackbox::OpenSpan {
        process: 0,
        thread: span.thread,
        span: span.span,
        parent: span.parent,
        trace: span.trace,
        name: span.name,
        since: span.since,
        attributes: span.attributes.into_iter().filter(said).collect(),
        status: span.status,
        cut: span.cut,
    }
}

/// Each span behind the one that it is a part of, those that began first first. A parent that is not there, or a circle
/// of them, makes a span one without a parent.
fn in_tree_order(spans: Vec<blackbox::OpenSpan>, ended: &HashMap<u64, u64>, died: Instant) -> Vec<Span> {
    let known: HashSet<u64> = spans.iter().map(|span| span.span).collect();
    let mut left: Vec<Option<blackbox::OpenSpan>> = spans.into_iter().map(Some).collect();
    let mut ordered: Vec<(u32, blackbox::OpenSpan)> = Vec::new();
    // A chain of parents that never ends in a root is a circle: whoever is left after all roots is taken as one.
    while let Some(root) = left
        .iter()
        .position(|span| {
            span.as_ref().is_some_and(|span| !known.contains(&span.parent) || span.parent == span.span)
        })
        .or_else(|| left.iter().position(Option::is_some))
    {
        let mut open = vec![(root, 0)];
        while let Some((at, depth)) = open.pop() {
            let Some(span) = left[at].take() else { continue };
            let parts = left.iter().enumerate().rev();
            let parts = parts.filter(|(_, part)| part.as_ref().is_some_and(|part| part.parent == span.span));
            open.extend(parts.map(|(at, _)| (at, depth + 1)));
            ordered.push((depth, span));
        }
    }
    let lasted = |span: &blackbox::OpenSpan| ended.get(&span.span).copied();
    ordered.into_iter().map(|(depth, span)| self::span(depth, lasted(&span), span, died)).collect()
}

fn span(depth: u32, lasted: Option<u64>, span: blackbox::OpenSpan, died: Instant) -> Span {
    Span {
        depth,
        span: format!("{:016x}", span.span),
        parent: number(span.parent),
        trace: if span.trace == 0 { String::new() } else { format!("{:032x}", span.trace) },
        process: span.process,
        thread: span.thread,
        open_ns: lasted.unwrap_or_else(|| before(span.since, died)),
        unwound: lasted.is_some(),
        failed: span.status == Status::Error,
        attributes: span.attributes.into_iter().collect(),
        cut: span.cut,
        name: span.name,
    }
}

fn context(context: blackbox::Context, died: Instant) -> Context {
    let operation = context.operation.map(|operation| Operation {
        open_ns: before(operation.since, died),
        name: operation.name,
        id: operation.id,
        correlation: operation.correlation,
    });
    let crumbs = context.breadcrumbs.into_iter();
    Context {
        process: context.process,
        thread: context.thread,
        thread_name: context.thread_name,
        operation,
        keys: context.keys.into_iter().collect(),
        breadcrumbs: crumbs
            .map(|crumb| Breadcrumb { before_ns: before(crumb.at, died), text: crumb.text })
            .collect(),
        error: context.error.map(|error| Failure {
            before_ns: before(error.at, died),
            text: error.text,
            place: error.place,
            panic: error.panic,
        }),
    }
}

fn said(event: &blackbox::Event, died: Instant) -> Said {
    Said {
        before_ns: before(event.at, died),
        kind: match event.kind {
            blackbox::Kind::Event => "event",
            blackbox::Kind::Error => "error",
            blackbox::Kind::Panic => "panic",
        }
        .to_owned(),
        name: event.name.clone(),
        thread: event.thread,
        span: number(event.span),
        attributes: event.attributes.iter().cloned().collect(),
        cut: event.cut,
    }
}

/// By its own clock, which may say anything: never after the death.
fn before(moment: Instant, died: Instant) -> u64 {
    died.as_nanos().saturating_sub(moment.as_nanos())
}

fn number(span: u64) -> String {
    if span == 0 { String::new() } else { format!("{span:016x}") }
}

/// The flags of a board by the hashes of their names.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<u64, (String, u32, Truth)>);

impl Names {
    /// Those of this copy of a board.
    pub fn of(board: &Snapshot) -> Names {
        let named = board
            .bodies()
            .filter_map(|(name, body, truth)| Some((name_hash(name)?, (name.to_owned(), body, truth))));
        Names(named.collect())
    }

    fn flag(&self, seen: &blackbox::Seen, died: Instant) -> Flag {
        let known = self.0.get(&seen.hash);
        let present = known.filter(|(_, body, _)| *body == seen.body);
        Flag {
            name: known.map_or_else(|| format!("{:016x}", seen.hash), |(name, ..)| name.clone()),
            value: present.map_or_else(|| of_body(seen.body), |(.., truth)| of_truth(*truth)),
            before_ns: before(seen.at, died),
            generation: seen.generation,
            changed_since: present.is_none(),
        }
    }
}

fn of_truth(truth: Truth) -> String {
    let value = match truth.value {
        Value::Stage(stage) => format!("stage {stage}"),
        Value::On => "true".to_owned(),
        Value::Off => "false".to_owned(),
        other => other.to_string(),
    };
    if truth.disabled { format!("{value} (disabled)") } else { value }
}

/// What a word said whose record may be gone.
fn of_body(body: u32) -> String {
    match Body::from_bits(body) {
        Some(Body::Flag { held, disabled }) => {
            let value = match held {
                Held::Off => "false".to_owned(),
                Held::On { .. } => "true".to_owned(),
                Held::Share { share, .. } => Value::of_share(share).to_string(),
                Held::Stage(stage) => format!("stage {stage}"),
                Held::Int(_) | Held::Text(_) => "another value".to_owned(),
                Held::Instances(_) => "on for some instances".to_owned(),
            };
            if disabled { format!("{value} (disabled)") } else { value }
        }
        _ => "not declared".to_owned(),
    }
}

#[cfg(test)]
mod tests;
