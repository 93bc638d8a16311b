//! A panic hook: message and place of a panic are the last error of its thread's context, and an event.

use crate::blackbox::Kind;
use crate::context;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

/// From now on panics are noted, before whatever was done about them is done as before. Once is enough; more do nothing.
///
/// ```
/// mainstay::panic::install();
/// let _ = std::thread::spawn(|| panic!("no such order")).join();
/// ```
pub fn install() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        note(info);
        before(info);
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text =
        payload.downcast_ref::<&str>().copied().or_else(|| Some(payload.downcast_ref::<String>()?.as_str()));
    context::note(text.unwrap_or("a panic without a message"), info.location(), Kind::Panic);
}
