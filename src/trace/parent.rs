//! What a span is a part of: the span around it, or what another process said, as the W3C writes it.

use crate::sys::shared::Once;
use std::cell::Cell;
use std::env;
use std::marker::PhantomData;
use std::process::Command;

/// The variable that holds the trace which a process continues.
pub const VARIABLE: &str = "TRACEPARENT";

/// `sampled`, in what is handed on by who was not told.
const SAMPLED: u8 = 1;

thread_local! {
    /// Nothing to drop, so it is there until the thread's very end.
    static CURRENT: Cell<Current> = const { Cell::new(Current::NONE) };
}

/// What this process continues, by its environment.
static INHERITED: Once<Current> = Once::new();

/// The innermost open span of a thread, or what takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its trace; 0: there is none.
    pub(crate) trace: u128,
    /// Its number.
    pub(crate) span: u64,
    /// The flags of the trace.
    pub(crate) flags: u8,
}

impl Current {
    pub(crate) const NONE: Current = Current { trace: 0, span: 0, flags: SAMPLED };

    /// That of this thread.
    #[inline]
    pub(crate) fn of_this_thread() -> Current {
        CURRENT.get()
    }

    /// This one is, from now on.
    #[inline]
    pub(crate) fn install(self) {
        CURRENT.set(self);
    }

    /// What a new span is a part of: the innermost open one, else what the environment names, else nothing.
    #[inline]
    pub(crate) fn for_a_span() -> Current {
        let current = CURRENT.get();
        if current.trace != 0 { current } else { inherited().unwrap_or(Current::NONE) }
    }
}

#[inline]
fn inherited() -> Option<Current> {
    INHERITED
        .get(|| {
            let Parent(current) = from_traceparent(&env::var(VARIABLE).ok()?)?;
            Some(Box::leak(Box::new(current)))
        })
        .copied()
}

/// Trace and number of the innermost open span of this thread.
pub fn current() -> Option<(u128, u64)> {
    let current = Current::of_this_thread();
    (current.trace != 0).then_some((current.trace, current.span))
}

/// What to hand on so that whoever gets it continues this thread's trace: in a header `traceparent`, or as the variable
/// `TRACEPARENT`. `None`: no span is open, and this process continues none.
pub fn current_traceparent() -> Option<String> {
    let Current { trace, span, flags } = Current::for_a_span();
    (trace != 0).then(|| format!("00-{trace:032x}-{span:016x}-{flags:02x}"))
}

/// A program that is started by `command` continues the trace of this thread, when there is one.
pub fn pass_on(command: &mut Command) -> &mut Command {
    match current_traceparent() {
        Some(text) => command.env(VARIABLE, text),
        None => command,
    }
}

/// A span elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent(Current);

/// What another process handed on. `None`: it is not as the W3C writes it, or its numbers are 0.
///
/// Later versions of the format may have more behind the flags; that is left out.
///
/// ```
/// use mainstay::{span, trace};
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent = trace::from_traceparent(text).unwrap();
/// let _theirs = parent.enter();
/// let _ours = span!("request");
/// assert!(trace::current_traceparent().unwrap().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// ```
pub fn from_traceparent(text: &str) -> Option<Parent> {
    let text = text.trim();
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        let hexadecimal = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == digits && hexadecimal).then_some(part)
    };
    let version = u8::from_str_radix(part(2)?, 16).ok()?;
    let trace = u128::from_str_radix(part(32)?, 16).ok()?;
    let span = u64::from_str_radix(part(16)?, 16).ok()?;
    let flags = u8::from_str_radix(part(2)?, 16).ok()?;
    let ends = version > 0 || parts.next().is_none();
    (version != 0xff && trace != 0 && span != 0 && ends).then_some(Parent(Current { trace, span, flags }))
}

impl Parent {
    /// Spans that this thread opens are a part of it, until what is returned is dropped.
    #[must_use = "it is left when this is dropped"]
    pub fn enter(self) -> Entered {
        let before = Current::of_this_thread();
        self.0.install();
        Entered { before, _of_this_thread: PhantomData }
    }

    /// Its trace and its number.
    pub fn ids(self) -> (u128, u64) {
        (self.0.trace, self.0.span)
    }
}

/// This thread works for a span elsewhere.
#[derive(Debug)]
pub struct Entered {
    before: Current,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.before.install();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_handed_on_is_taken_as_it_is() {
        let parent = from_traceparent(TEXT).unwrap();
        assert_eq!(parent.ids(), (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7));
        let entered = parent.enter();
        assert_eq!(current_traceparent().as_deref(), Some(TEXT));
        let mut command = Command::new("true");
        let given: Vec<_> = pass_on(&mut command).get_envs().collect();
        assert_eq!(given, [("TRACEPARENT".as_ref(), Some(TEXT.as_ref()))]);
        drop(entered);
        assert_eq!(current(), None);
        let later = from_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what-will-be");
        assert_eq!(later.map(Parent::ids), Some(parent.ids()));
    }

    #[test]
    fn what_is_not_as_it_is_written_is_refused() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bä-01",
        ] {
            assert_eq!(from_traceparent(wrong), None, "{wrong}");
        }
    }
}
