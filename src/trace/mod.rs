//! Spans and events: what a service does, for whoever asks while it does it, and after its death.
//!
//! ```
//! use mainstay::{event, span};
//!
//! let request = span!("request", path = "/pay", attempt = 2);
//! {
//!     let _query = span!("query"); // a part of the request
//!     event!("cache.miss", key = "A-1042");
//! }
//! request.attribute("status", 502);
//! request.fail("the bank did not answer");
//! ```
//!
//! A span is a guard: it ends where it is dropped. Both are written to the black box of this life, by plain stores: an event
//! costs some 12 ns and a span some 55, without a lock, an allocation or a system call. Outside of a tree there is no box,
//! and both cost next to nothing.
//!
//! Spans know what they are a part of, and the trace that they belong to. The first one continues the trace that the
//! environment names (`TRACEPARENT`, as the W3C writes it); [`current_traceparent`] and [`pass_on`] hand it down.

mod ids;
#[cfg(feature = "tracing")]
mod layer;
mod once_per;
mod parent;
mod span;

pub use ids::new_id;
#[cfg(feature = "tracing")]
pub use layer::Layer;
pub use once_per::OncePer;
pub use parent::{Current, Parent, current, current_traceparent, from_traceparent, pass_on};
pub use span::{OpenSpan, Span};

pub use crate::blackbox::text::Value;

use crate::blackbox::record::{EVENT_TEXT, SPAN_TEXT};
use crate::blackbox::text::Packed;
use crate::blackbox::{self, Kind, Moment};
use crate::sys::{clock, own};

/// What is said of an event while it is written.
pub type EventText = Packed<EVENT_TEXT>;
/// What is said of a span while it is opened.
pub type SpanText = Packed<SPAN_TEXT>;

/// Writes an event; `say` is called only where there is a black box. The macro [`event!`](crate::event) calls this.
#[inline]
pub fn event(name: &str, say: impl FnOnce(&mut EventText)) {
    event_of(Kind::Event, name, say);
}

#[inline]
pub(crate) fn event_of(kind: Kind, name: &str, say: impl FnOnce(&mut EventText)) {
    let Some(noter) = blackbox::seen() else { return };
    let mut text = EventText::empty();
    text.set_name(name);
    say(&mut text);
    noter.event(moment(kind), &text);
    blackbox::ring(noter);
}

/// Writes an event of which nothing is said but its name, in half the time: `event!("name")` calls this.
#[inline]
pub fn event_named(name: &str) {
    let Some(noter) = blackbox::seen() else { return };
    noter.event_named(moment(Kind::Event), name);
    blackbox::ring(noter);
}

#[inline]
fn moment(kind: Kind) -> Moment {
    let Current { trace, span, .. } = Current::of_this_thread();
    Moment { at: clock::coarse(), thread: own::thread() as u32, kind, span, trace }
}

/// Opens a span, which ends where the guard is dropped: `span!("name")`, `span!("name", key = value, …)`.
///
/// Keys are words, or words with dots between them; values are texts, numbers and truth values, and
/// `format_args!("{other}")`. The name is a literal.
#[macro_export]
macro_rules! span {
    ($name:expr $(,)?) => {
        $crate::trace::Span::open_named($name)
    };
    ($name:expr $(, $first:ident $(. $more:ident)* = $value:expr)* $(,)?) => {
        $crate::trace::Span::open($name, |_text| {
            $(_text.add(concat!(stringify!($first) $(, ".", stringify!($more))*), &$value);)*
        })
    };
}

/// Writes an event: `event!("name")`, `event!("name", key = value, …)`; see [`span!`](crate::span) for keys and values.
///
/// `event!(once_per(interval), "name", …)` writes the first one in each interval, a `Duration`; how many it left out since
/// the one before is said under `left_out`.
#[macro_export]
macro_rules! event {
    (once_per($interval:expr), $name:expr $(, $first:ident $(. $more:ident)* = $value:expr)* $(,)?) => {{
        static ONCE_PER: $crate::trace::OncePer = $crate::trace::OncePer::new($interval);
        if let Some(left_out) = ONCE_PER.due() {
            $crate::trace::event($name, |_text| {
                $(_text.add(concat!(stringify!($first) $(, ".", stringify!($more))*), &$value);)*
                if left_out > 0 {
                    _text.add("left_out", &left_out);
                }
            });
        }
    }};
    ($name:expr $(,)?) => {
        $crate::trace::event_named($name)
    };
    ($name:expr $(, $first:ident $(. $more:ident)* = $value:expr)* $(,)?) => {
        $crate::trace::event($name, |_text| {
            $(_text.add(concat!(stringify!($first) $(, ".", stringify!($more))*), &$value);)*
        })
    };
}
