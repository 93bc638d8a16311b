//! A span, from where it is opened to where it ends.

use super::parent::Current;
use super::{SpanText, Value, new_id};
use crate::blackbox::{self, Ids, Noter, Slot, Status};
use crate::sys::{own, ticks};
use crate::time::Instant;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

thread_local! {
    /// Where the search for a slot begins: near the last one, and elsewhere for each thread.
    static HINT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A span that is open, without being the innermost of any thread: [`Span`] is that, too.
///
/// For spans that are left and entered again, or go from thread to thread. It ends where it is dropped.
#[derive(Debug)]
pub struct OpenSpan {
    name: &'static str,
    ids: Ids,
    flags: u8,
    /// What is needed to write it; `None`: there is no box.
    writing: Option<Writing>,
}

/// A span in a box.
#[derive(Debug)]
struct Writing {
    noter: Noter<'static>,
    /// `None`: so many were open.
    slot: Option<Slot<'static>>,
    since: Instant,
    thread: u64,
    /// Of a span without a slot.
    failed: AtomicBool,
}

impl OpenSpan {
    /// Opens a span that is a part of this thread's innermost one.
    #[inline]
    pub fn open(name: &'static str, say: impl FnOnce(&mut SpanText)) -> OpenSpan {
        OpenSpan::open_in(Current::for_a_span(), name, say)
    }

    /// Opens a span that is a part of another.
    #[inline]
    pub fn open_within(&self, name: &'static str, say: impl FnOnce(&mut SpanText)) -> OpenSpan {
        OpenSpan::open_in(self.as_current(), name, say)
    }

    #[inline]
    fn open_in(of: Current, name: &'static str, say: impl FnOnce(&mut SpanText)) -> OpenSpan {
        OpenSpan::written(of, name, |slot, ids, since| {
            let mut text = SpanText::empty();
            text.set_name(name);
            say(&mut text);
            slot.open(ids, since, &text);
        })
    }

    #[inline]
    fn written(of: Current, name: &'static str, write: impl FnOnce(Slot<'_>, Ids, Instant)) -> OpenSpan {
        let trace = if of.trace == 0 { u128::from(new_id()) << 64 | u128::from(new_id()) } else { of.trace };
        let ids = Ids { span: new_id(), parent: of.span, trace };
        let writing = blackbox::seen().map(|noter| {
            let thread = own::thread();
            let since = ticks::now();
            let slot = noter.slot(thread, hint());
            if let Some(slot) = slot {
                HINT.set(slot.next());
                write(slot, ids, since);
            }
            Writing { noter, slot, since, thread, failed: AtomicBool::new(false) }
        });
        OpenSpan { name, ids, flags: of.flags, writing }
    }

    /// Says something of it.
    #[inline]
    pub fn attribute(&self, key: &str, value: impl Value) {
        if let Some(slot) = self.slot() {
            slot.change(|text, _| text.add(key, &value));
        }
    }

    /// It has failed, or it will: why is its attribute `error`.
    pub fn fail(&self, why: impl Value) {
        if let Some(writing) = &self.writing {
            writing.failed.store(true, Ordering::Relaxed);
        }
        if let Some(slot) = self.slot() {
            slot.change(|text, status| {
                *status = Status::Error;
                text.add("error", &why);
            });
        }
    }

    /// The number of its trace, and its own.
    pub fn ids(&self) -> (u128, u64) {
        (self.ids.trace, self.ids.span)
    }

    /// As what new spans of a thread are a part of.
    #[inline]
    pub(crate) fn as_current(&self) -> Current {
        Current { trace: self.ids.trace, span: self.ids.span, flags: self.flags }
    }

    /// Not in a child of a fork, which has copies of its parent's spans: they are the parent's to change and to end.
    #[inline]
    fn writing(&self) -> Option<&Writing> {
        self.writing.as_ref().filter(|writing| writing.thread >> 32 == u64::from(own::process()))
    }

    #[inline]
    fn slot(&self) -> Option<&Slot<'static>> {
        self.writing()?.slot.as_ref()
    }
}

impl Drop for OpenSpan {
    #[inline]
    fn drop(&mut self) {
        let Some(Writing { noter, slot, since, thread, failed }) = self.writing() else { return };
        let until = ticks::now();
        match slot {
            Some(slot) => {
                noter.finish(*slot, until);
                HINT.set(slot.number());
            }
            None => {
                let status = if failed.load(Ordering::Relaxed) { Status::Error } else { Status::Ok };
                noter.finish_unplaced(*thread as u32, self.ids, self.name, status, *since, until);
            }
        }
        blackbox::ring(*noter);
    }
}

#[inline]
fn hint() -> usize {
    match HINT.get() {
        usize::MAX => own::thread() as usize * 8,
        hint => hint,
    }
}

/// An open span, the innermost one of its thread until it is dropped: then it ends, and the one around it is again.
///
/// When it is dropped by a panic, it has failed.
#[derive(Debug)]
#[must_use = "a span ends when this is dropped"]
pub struct Span {
    span: OpenSpan,
    before: Current,
    /// The thread was unwinding when it was opened.
    unwinding: bool,
    _of_this_thread: PhantomData<*const ()>,
}

impl Span {
    /// Opens one; `say` is called only where there is a black box with room. The macro [`span!`](crate::span) calls this.
    #[inline]
    pub fn open(name: &'static str, say: impl FnOnce(&mut SpanText)) -> Span {
        Span::entered(|| OpenSpan::open(name, say))
    }

    /// The same, of which nothing is said but its name: that costs less.
    #[inline]
    pub fn open_named(name: &'static str) -> Span {
        let write = |slot: Slot<'_>, ids, since| slot.open_named(ids, since, name);
        Span::entered(|| OpenSpan::written(Current::for_a_span(), name, write))
    }

    #[inline]
    fn entered(open: impl FnOnce() -> OpenSpan) -> Span {
        let before = Current::of_this_thread();
        let span = open();
        span.as_current().install();
        Span { span, before, unwinding: thread::panicking(), _of_this_thread: PhantomData }
    }

    /// Says something of it.
    #[inline]
    pub fn attribute(&self, key: &str, value: impl Value) {
        self.span.attribute(key, value);
    }

    /// It has failed, or it will: why is its attribute `error`.
    pub fn fail(&self, why: impl Value) {
        self.span.fail(why);
    }

    /// The number of its trace, and its own.
    pub fn ids(&self) -> (u128, u64) {
        self.span.ids()
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        // Not when another one was opened later and is still open, or the thread was given another meanwhile.
        if Current::of_this_thread() == self.span.as_current() {
            self.before.install();
        }
        if thread::panicking() && !self.unwinding {
            self.span.fail("panic");
        }
    }
}
