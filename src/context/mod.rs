//! What a thread is doing, so that whoever looks at its error, or its end, knows: keys and values, an operation with its
//! ids, breadcrumbs.
//!
//! ```
//! use mainstay::context;
//!
//! context::set("shop", "berlin");
//! let price = context::with([("order", "A-1042"), ("tier", "gold")], || {
//!     context::breadcrumb("asking the warehouse");
//!     "x".parse::<u32>().map_err(context::enrich)
//! });
//! let told = price.unwrap_err().to_string();
//! assert_eq!(told, "invalid digit found in string [shop=berlin order=A-1042 tier=gold]");
//! assert_eq!(context::current().keys.len(), 1, "what `with` set is gone again");
//! ```
//!
//! Every thread has its own. It needs nobody: no supervisor, no black box, no other process. Where there is a black box,
//! everything here is also written there, so a crash record has it; that takes no system call and allocates nothing.
//!
//! Bounded: 16 keys, of which each has 80 bytes with its value; 8 breadcrumbs of 64 bytes; one operation. What is longer is
//! cut off, and a 17th key is not taken.

mod carried;
mod enriched;
mod keys;
mod thread;

pub use carried::Carried;
pub use enriched::Enriched;

use crate::blackbox::record::lane::KEY_COUNT;
use crate::blackbox::text::{Packed, Value};
use crate::blackbox::{Breadcrumb, Context, Failure, Kind, Operation};
use crate::sys::{own, ticks};
use crate::trace;
use keys::Keys;
use std::marker::PhantomData;
use std::panic::Location;
use thread::{Crumb, Doing, Noted, state};

/// Sets a key of this thread's context, until it is set anew, [`remove`]d or [`clear`]ed, or the [`with`] ends that is
/// around it. False: there are 16 others, or the key is empty.
#[inline]
pub fn set(key: &str, value: impl Value) -> bool {
    // Before the state is borrowed: writing a value may run anybody's code.
    let entry = keys::entry(key, &value);
    if key.is_empty() {
        return false;
    }
    state(|state| {
        let at = state.keys.set(entry);
        at.inspect(|at| state.show_key(*at)).is_some()
    })
    .unwrap_or(false)
}

/// Removes a key.
pub fn remove(key: &str) {
    state(|state| {
        if let Some(at) = state.keys.remove(key) {
            state.show_key(at);
        }
    });
}

/// Does it with these keys besides those that are set; afterwards all keys are what they were before, also when it
/// unwinds.
#[inline]
pub fn with<K: AsRef<str>, V: Value, R>(
    keys: impl IntoIterator<Item = (K, V)>,
    act: impl FnOnce() -> R,
) -> R {
    let _scope = Scope { before: state(|state| state.keys) };
    for (key, value) in keys {
        set(key.as_ref(), value);
    }
    act()
}

/// Puts the keys back.
struct Scope {
    before: Option<Keys>,
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        let Some(before) = &self.before else { return };
        state(|state| {
            let changed = state.keys.restore(before);
            if std::thread::panicking() {
                return state.keep_mirror();
            }
            (0..KEY_COUNT).filter(|at| changed[*at]).for_each(|at| state.show_key(at));
        });
    }
}

/// Forgets all that this thread has said: keys, operation, breadcrumbs, its last error.
pub fn clear() {
    state(thread::State::clear);
}

/// What is known of this thread now.
pub fn current() -> Context {
    let thread = own::thread();
    let mut context = Context {
        process: (thread >> 32) as u32,
        thread: thread as u32,
        thread_name: crate::blackbox::text::clean_padded(&own::thread_name()),
        ..Context::default()
    };
    state(|state| {
        context.keys = state.keys.all();
        context.operation = state.operation.as_ref().map(|doing| {
            let (name, pairs) = doing.text.unpacked();
            let of = |key: &str| {
                pairs.iter().find(|(k, _)| k == key).map_or(String::new(), |(_, value)| value.clone())
            };
            Operation { name, id: of("id"), correlation: of("correlation"), since: doing.since }
        });
        context.breadcrumbs =
            state.crumbs().map(|crumb| Breadcrumb { at: crumb.at, text: crumb.text.unpacked().0 }).collect();
        context.error = state.error.as_ref().map(|error| {
            let (text, pairs) = error.text.unpacked();
            let place = pairs.into_iter().next().map(|(_, place)| place).unwrap_or_default();
            Failure { at: error.at, text, place, panic: error.panic }
        });
    });
    context
}

/// Leaves a breadcrumb: the last eight are kept.
pub fn breadcrumb(text: impl Value) {
    let text = Packed::of_name_value(&text, usize::MAX);
    let crumb = Crumb { at: ticks::now(), text };
    state(|state| state.add_crumb(crumb));
}

/// This thread is at an operation from now on, until what is returned is dropped; then at the one before. It has an id of
/// its own, and a correlation id: that of the operation around it, else that of the trace, else none.
#[must_use = "the operation ends when this is dropped"]
pub fn operation(name: &str) -> InOperation {
    let id = trace::new_id();
    let before = state(|state| state.operation).flatten();
    let around = before.as_ref().map_or("", |doing| doing.text.value("correlation"));
    let doing = match trace::current() {
        Some((trace, _)) if around.is_empty() => doing(name, id, &format_args!("{trace:032x}")),
        _ => doing(name, id, around),
    };
    state(|state| state.set_operation(Some(doing)));
    InOperation { before, id, _of_this_thread: PhantomData }
}

/// What ties the operation of this thread to others elsewhere: the id of a request that came in, say. Without an operation
/// nothing happens.
pub fn correlate(id: &str) {
    state(|state| {
        if let Some(mut of) = state.operation {
            let mut text = Packed::EMPTY;
            std::mem::swap(&mut text, &mut of.text);
            of.text = Packed::of_name(str::from_utf8(text.name_bytes()).unwrap_or_default(), usize::MAX);
            of.text.add("id", text.value("id"));
            of.text.add("correlation", id);
            state.set_operation(Some(of));
        }
    });
}

fn doing(name: &str, id: u64, correlation: &(impl Value + ?Sized)) -> Doing {
    // Room for both ids, whatever the name.
    let mut text = Packed::of_name(name, 80);
    text.add("id", &format_args!("{id:016x}"));
    text.add("correlation", correlation);
    Doing { since: ticks::now(), text }
}

/// An operation that this thread is at.
#[derive(Debug)]
pub struct InOperation {
    before: Option<Doing>,
    id: u64,
    _of_this_thread: PhantomData<*const ()>,
}

impl InOperation {
    /// Its id, as 16 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:016x}", self.id)
    }
}

impl Drop for InOperation {
    fn drop(&mut self) {
        state(|state| state.set_operation(self.before));
    }
}

/// Notes an error of this thread: as the last one of its context, and as an event.
#[track_caller]
pub fn failed(what: impl Value) {
    note(&what, Some(Location::caller()), Kind::Error);
}

/// The error, with the context of this thread as it is now. It is noted as by [`failed`].
#[track_caller]
pub fn enrich<E: std::fmt::Display>(error: E) -> Enriched<E> {
    note(&format_args!("{error}"), Some(Location::caller()), Kind::Error);
    Enriched::new(error, current())
}

pub(crate) fn note(what: &(impl Value + ?Sized), place: Option<&Location<'_>>, kind: Kind) {
    remember(what, place, kind);
    trace::event_of(kind, if kind == Kind::Panic { "panic" } else { "error" }, |said| {
        said.add("what", what);
        if let Some(place) = place {
            said.add("at", &format_args!("{}:{}:{}", place.file(), place.line(), place.column()));
        }
    });
}

/// The last error of this thread, whose event is written otherwise.
#[cfg(feature = "tracing")]
pub(crate) fn last_error(what: &dyn Value) {
    remember(what, None, Kind::Error);
}

fn remember(what: &(impl Value + ?Sized), place: Option<&Location<'_>>, kind: Kind) {
    // 80 bytes for the place.
    let mut text = Packed::of_name_value(what, crate::blackbox::record::lane::ERROR_TEXT - 80);
    if let Some(place) = place {
        text.add("at", &format_args!("{}:{}:{}", place.file(), place.line(), place.column()));
    }
    let noted = Noted { at: ticks::now(), panic: kind == Kind::Panic, text };
    state(|state| state.note(noted));
}

/// What this thread knows, to be [installed](Carried::install) in another that works for it.
///
/// ```
/// use mainstay::context;
///
/// context::set("order", "A-1042");
/// let carried = context::carry();
/// let seen = std::thread::spawn(move || {
///     carried.install();
///     context::current().keys
/// });
/// assert_eq!(seen.join().unwrap(), [("order".to_owned(), "A-1042".to_owned())]);
/// ```
pub fn carry() -> Carried {
    Carried::of_this_thread()
}

/// Its page's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/context.md")]
struct Page;
