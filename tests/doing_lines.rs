#![allow(unsafe_code)] // A fork has no safe form.
//! What single lines of contexts and spans are for, each by itself.

#[path = "support/boxed.rs"]
mod boxed;

use mainstay::blackbox::{self, BlackBox, Kind, Status};
use mainstay::sys::{inherited, own};
use mainstay::trace::{self, OpenSpan};
use mainstay::{context, span};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Uid, fork, setuid};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The box that this process has inherited, to look into.
fn own_box() -> BlackBox {
    let number: i32 = std::env::var(blackbox::VARIABLE).unwrap().parse().unwrap();
    BlackBox::open(inherited::take(number).unwrap()).unwrap()
}

/// What the box says of this thread: the keys, and the operation.
fn shown(of: &BlackBox) -> (Vec<(String, String)>, Option<String>) {
    let contexts = of.image().unwrap().contexts();
    let ours = contexts.into_iter().find(|context| u64::from(context.thread) == own::thread() & 0xffff_ffff);
    let ours = ours.unwrap_or_default();
    (ours.keys, ours.operation.map(|operation| operation.name))
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn an_empty_key_is_none() {
    assert!(!context::set("", "value"));
    assert_eq!(context::current().keys, []);
}

#[test]
fn a_long_error_leaves_room_for_its_place() {
    context::failed(&*"x".repeat(1000));
    let error = context::current().error.unwrap();
    assert!(error.text.len() > 100 && error.place.starts_with("tests/doing_lines.rs:"), "{error:?}");
}

#[test]
fn what_an_operation_is_correlated_with_counts_before_the_trace() {
    let _span = span!("request");
    let _around = context::operation("checkout");
    context::correlate("req-7");
    let _within = context::operation("payment");
    assert_eq!(context::current().operation.unwrap().correlation, "req-7");
}

#[test]
fn what_a_thread_knew_is_there_again_after_a_run_that_unwinds() {
    context::set("order", "A-1");
    let carried = thread::spawn(|| {
        context::set("order", "B-2");
        context::carry()
    });
    let carried = carried.join().unwrap();
    let ended = catch_unwind(AssertUnwindSafe(|| carried.run(|| panic!("on purpose"))));
    assert!(ended.is_err());
    assert_eq!(context::current().keys, [pair("order", "A-1")]);
}

#[test]
fn keys_that_came_from_another_thread_are_taken_back_in_the_box_too() {
    if boxed::is_child() {
        let the_box = own_box();
        context::set("order", "A-1");
        let other = thread::spawn(|| {
            context::set("order", "B-2");
            context::carry()
        });
        let other = other.join().unwrap();
        context::with([("", ""); 0], || {
            other.install();
            assert_eq!(shown(&the_box).0, [pair("order", "B-2")]);
        });
        assert_eq!(context::current().keys, [pair("order", "A-1")]);
        assert_eq!(shown(&the_box).0, [pair("order", "A-1")]);
        return;
    }
    boxed::run("keys_that_came_from_another_thread_are_taken_back_in_the_box_too");
}

#[test]
fn the_box_shows_what_was_so_at_a_panic_until_the_thread_goes_on() {
    if boxed::is_child() {
        let the_box = own_box();
        context::set("order", "A-1");
        let _outer = context::operation("outer");
        let ended = catch_unwind(AssertUnwindSafe(|| {
            context::with([("order", "B-2")], || {
                let _inner = context::operation("inner");
                panic!("on purpose");
            })
        }));
        assert!(ended.is_err());
        assert_eq!(shown(&the_box), (vec![pair("order", "B-2")], Some("inner".to_owned())));
        assert_eq!(context::current().keys, [pair("order", "A-1")]);
        context::breadcrumb("goes on");
        assert_eq!(shown(&the_box), (vec![pair("order", "A-1")], Some("outer".to_owned())));
        return;
    }
    boxed::run("the_box_shows_what_was_so_at_a_panic_until_the_thread_goes_on");
}

#[test]
fn a_thread_that_has_given_back_its_lane_takes_no_other() {
    struct AtTheEnd;
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            assert!(context::set("end", true));
        }
    }
    thread_local! {
        static FIRST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
        static LAST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
    }
    if boxed::is_child() {
        let ended = thread::spawn(|| {
            // Destroyed in one order or the other: one of them after what gives back the lane.
            FIRST.set(Some(AtTheEnd));
            context::set("order", "A-1");
            LAST.set(Some(AtTheEnd));
        });
        ended.join().unwrap();
        return;
    }
    let image = boxed::run("a_thread_that_has_given_back_its_lane_takes_no_other");
    assert_eq!(image.contexts(), []);
}

#[test]
fn a_child_of_a_fork_has_numbers_of_its_own() {
    let before = trace::new_id();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: the child allocates nothing.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let told = writer.write_all(&trace::new_id().to_le_bytes()).is_ok();
            // SAFETY: ends the child at once, without the test harness.
            unsafe { libc::_exit(i32::from(!told)) }
        }
        ForkResult::Parent { child } => {
            let mut bytes = [0; 8];
            reader.read_exact(&mut bytes).unwrap();
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            let (theirs, ours) = (u64::from_le_bytes(bytes), trace::new_id());
            assert!(theirs != ours && theirs != before && ours != before);
        }
    }
}

#[test]
fn a_thread_that_may_not_be_signalled_lives() {
    // SAFETY: the child allocates nothing.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            // Nobody may signal the first process but root.
            let nobody = !Uid::effective().is_root() || setuid(Uid::from_raw(65_534)).is_ok();
            let lives =
                own::lives(1 << 32 | 1) && !own::lives(0) && !own::lives(u64::from(u32::MAX >> 2) << 32 | 7);
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!(nobody && lives))) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
        }
    }
}

#[test]
fn a_span_that_found_no_slot_says_that_it_failed() {
    if boxed::is_child() {
        let open: Vec<OpenSpan> = (0..64).map(|_| OpenSpan::open("open", |_| {})).collect();
        let unplaced = OpenSpan::open("unplaced", |_| {});
        unplaced.fail("no answer");
        drop(unplaced);
        drop(OpenSpan::open("fine", |_| {}));
        open.into_iter().for_each(std::mem::forget);
        return;
    }
    let image = boxed::run("a_span_that_found_no_slot_says_that_it_failed");
    let finished: Vec<_> = image.finished_spans(0).into_iter().map(|span| (span.name, span.status)).collect();
    assert_eq!(finished, [("unplaced".to_owned(), Status::Error), ("fine".to_owned(), Status::Ok)]);
    assert_eq!(image.unplaced(), (0, 2));
}

#[test]
fn the_end_of_a_span_wakes_whoever_drains() {
    if boxed::is_child() {
        let the_box = own_box();
        the_box.await_ring().unwrap();
        let span = span!("request");
        assert!(!the_box.heads().unwrap().is_rung(), "its beginning is for nobody to drain");
        drop(span);
        assert!(the_box.heads().unwrap().is_rung());
        return;
    }
    boxed::run("the_end_of_a_span_wakes_whoever_drains");
}

#[test]
fn a_panic_is_noted_once_however_it_is_said_and_what_was_done_about_it_before_is_done_still() {
    static BEFORE: AtomicU32 = AtomicU32::new(0);
    if boxed::is_child() {
        std::panic::set_hook(Box::new(|_| {
            BEFORE.fetch_add(1, Ordering::SeqCst);
        }));
        (0..3).for_each(|_| mainstay::panic::install());
        let number = 7;
        assert!(catch_unwind(|| panic!("without anything")).is_err());
        assert!(catch_unwind(|| panic!("with {number}")).is_err());
        assert!(catch_unwind(|| std::panic::panic_any(number)).is_err());
        assert_eq!(BEFORE.load(Ordering::SeqCst), 3);
        return;
    }
    let image = boxed::run(
        "a_panic_is_noted_once_however_it_is_said_and_what_was_done_about_it_before_is_done_still",
    );
    let panics = image.events().into_iter().filter(|event| event.kind == Kind::Panic);
    let said: Vec<String> = panics.map(|event| event.attributes[0].1.clone()).collect();
    assert_eq!(said, ["without anything", "with 7", "a panic without a message"]);
}
