#![allow(unsafe_code)] // A fork has no safe form.
//! Context as a service uses it: set, merged, restored, carried, attached to errors; isolated between threads and
//! processes; the same with a box and without, and until a thread's very end.

#[path = "support/boxed.rs"]
mod boxed;

use mainstay::blackbox::{Context, Kind};
use mainstay::sys::own;
use mainstay::{context, event, span};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

fn keys(context: &Context) -> Vec<(&str, &str)> {
    context.keys.iter().map(|(key, value)| (&**key, &**value)).collect()
}

#[track_caller]
fn check_keys(expected: &[(&str, &str)]) {
    assert_eq!(keys(&context::current()), expected);
}

#[test]
fn what_is_set_stays_until_it_is_set_anew_removed_or_cleared() {
    assert!(context::set("order", "A-1042") && context::set("attempt", 1));
    context::set("attempt", 2u64);
    check_keys(&[("order", "A-1042"), ("attempt", "2")]);
    context::remove("order");
    context::remove("never set");
    check_keys(&[("attempt", "2")]);
    context::breadcrumb("x");
    context::failed("y");
    let operation = context::operation("z");
    context::clear();
    let Context { keys, operation: now, breadcrumbs, error, .. } = context::current();
    assert!(keys.is_empty() && now.is_none() && breadcrumbs.is_empty() && error.is_none());
    drop(operation);
}

#[test]
fn nested_keys_merge_and_what_was_before_is_there_again() {
    context::set("shop", "berlin");
    context::with([("order", "A-1"), ("tier", "gold")], || {
        check_keys(&[("shop", "berlin"), ("order", "A-1"), ("tier", "gold")]);
        context::with([("order", "B-2"), ("shop", "rome")], || {
            check_keys(&[("shop", "rome"), ("order", "B-2"), ("tier", "gold")]);
            context::set("inside", true);
            context::remove("tier");
        });
        check_keys(&[("shop", "berlin"), ("order", "A-1"), ("tier", "gold")]);
    });
    check_keys(&[("shop", "berlin")]);
}

#[test]
fn what_was_before_is_there_again_also_after_unwinding() {
    context::set("shop", "berlin");
    let operation = context::operation("outer");
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        context::with([("order", "A-1")], || {
            let _inner = context::operation("inner");
            let _span = span!("failing");
            panic!("on purpose");
        })
    }));
    assert!(unwound.is_err());
    check_keys(&[("shop", "berlin")]);
    assert_eq!(context::current().operation.map(|of| of.id), Some(operation.id()));
    assert_eq!(mainstay::trace::current(), None);
}

#[test]
fn a_value_that_panics_or_asks_for_the_context_spoils_nothing() {
    struct Odd(bool);
    impl std::fmt::Display for Odd {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            context::set("from within", 1);
            assert!(!self.0, "on purpose");
            write!(formatter, "{} keys", context::current().keys.len())
        }
    }
    context::set("odd", format_args!("{}", Odd(false)));
    check_keys(&[("from within", "1"), ("odd", "1 keys")]);
    assert!(catch_unwind(|| context::set("odd", format_args!("{}", Odd(true)))).is_err());
    check_keys(&[("from within", "1"), ("odd", "1 keys")]);
}

#[test]
fn no_thread_has_anothers_but_by_carrying() {
    context::set("order", "A-1");
    let _span = span!("request");
    let operation = context::operation("checkout");
    let carried = context::carry();
    let (ours, id) = (mainstay::trace::current(), operation.id());
    thread::spawn(move || {
        check_keys(&[]);
        assert_eq!(mainstay::trace::current(), None);
        carried.run(|| {
            check_keys(&[("order", "A-1")]);
            assert_eq!(mainstay::trace::current(), ours);
            assert_eq!(context::current().operation.map(|of| of.id), Some(id.clone()));
            context::set("mine", "too");
        });
        check_keys(&[]);
        carried.install();
        check_keys(&[("order", "A-1")]);
    })
    .join()
    .unwrap();
    check_keys(&[("order", "A-1")]);
}

#[test]
fn what_is_kept_is_bounded() {
    assert!((0..16).all(|n| context::set(&format!("key{n}"), n)));
    assert!(!context::set("one more", 1) && context::set("key3", "anew") && !context::set("", "no key"));
    let long = "ä".repeat(100);
    context::set("key4", &*long);
    (0..20).for_each(context::breadcrumb);
    let context = context::current();
    assert_eq!((context.keys.len(), &*context.keys[3].1), (16, "anew"));
    assert_eq!(context.keys[4].1, "ä".repeat((80 - 4) / 2));
    let crumbs: Vec<String> = context.breadcrumbs.iter().map(|crumb| crumb.text.clone()).collect();
    assert_eq!(crumbs, ["12", "13", "14", "15", "16", "17", "18", "19"]);
}

#[test]
fn operations_have_ids_and_what_ties_them_together() {
    let outer = context::operation("checkout");
    context::correlate("req-7");
    {
        let inner = context::operation(&"pay".repeat(100));
        let of = context::current().operation.unwrap();
        assert_eq!((of.id.clone(), &*of.correlation), (inner.id(), "req-7"));
        assert!(of.name.starts_with("paypay") && inner.id() != outer.id());
    }
    let of = context::current().operation.unwrap();
    assert_eq!((&*of.name, of.id.clone(), &*of.correlation), ("checkout", outer.id(), "req-7"));
    drop(outer);
    let span = span!("request");
    let _traced = context::operation("traced");
    assert_eq!(context::current().operation.unwrap().correlation, format!("{:032x}", span.ids().0));
}

#[test]
fn an_error_carries_its_context_and_shows_it() {
    let error = || "x".parse::<u32>().unwrap_err();
    assert_eq!(context::enrich(error()).to_string(), "invalid digit found in string");
    context::set("order", "A-1");
    let operation = context::operation("checkout");
    context::set("tier", "gold");
    let enriched = context::enrich(error());
    context::clear();
    let shown = enriched.to_string();
    let start = format!("invalid digit found in string [checkout {}, ", operation.id());
    assert!(shown.starts_with(&start) && shown.ends_with(" ms; order=A-1 tier=gold]"), "{shown}");
    assert_eq!(std::error::Error::source(&enriched).unwrap().to_string(), error().to_string());
    assert_eq!(enriched.into_error(), error());
}

// With a box --------------------------------------------------------------------------------------------------

#[test]
fn the_box_has_what_each_thread_says() {
    if boxed::is_child() {
        context::set("order", "A-1");
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (ready, wait) = (mpsc::channel(), mpsc::channel::<()>());
                let run = move || {
                    context::set("worker", n);
                    context::failed(format_args!("worker {n}"));
                    ready.0.send(()).unwrap();
                    let _ = wait.1.recv();
                };
                let thread = thread::Builder::new().name(format!("worker-{n}")).spawn(run).unwrap();
                ready.1.recv().unwrap();
                (thread, wait.0)
            })
            .collect();
        // As it is killed: nobody is asked.
        std::mem::forget(threads);
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(0) }
    }
    let image = boxed::run("the_box_has_what_each_thread_says");
    let mut contexts = image.contexts();
    contexts.sort_by(|a, b| a.thread_name.cmp(&b.thread_name));
    let named: Vec<_> = contexts.iter().filter(|of| of.thread_name.starts_with("worker-")).collect();
    assert_eq!((contexts.len(), named.len(), image.torn()), (4, 3, 0));
    for (n, of) in named.iter().enumerate() {
        assert_eq!(keys(of), [("worker", &*n.to_string())]);
        let error = of.error.as_ref().unwrap();
        assert!(
            error.text == format!("worker {n}") && error.place.starts_with("tests/context.rs:"),
            "{error:?}"
        );
    }
    assert!(contexts.iter().any(|of| keys(of) == [("order", "A-1")]));
    assert_eq!(image.events().iter().filter(|event| event.kind == Kind::Error).count(), 3);
}

#[test]
fn a_thread_that_ends_gives_its_lane_back_unless_it_ends_with_an_error() {
    if boxed::is_child() {
        mainstay::panic::install();
        for n in 0..200 {
            thread::spawn(move || context::set("thread", n)).join().unwrap();
        }
        let panics = thread::Builder::new().name("panics".into()).spawn(|| -> () {
            context::set("order", "A-1");
            panic!("no such order");
        });
        assert!(panics.unwrap().join().is_err());
        return;
    }
    let image = boxed::run("a_thread_that_ends_gives_its_lane_back_unless_it_ends_with_an_error");
    let contexts = image.contexts();
    let [of] = &contexts[..] else { panic!("{contexts:?}") };
    let error = of.error.as_ref().unwrap();
    assert_eq!((&*of.thread_name, keys(of)), ("panics", vec![("order", "A-1")]));
    assert!(error.panic && error.text == "no such order" && error.place.starts_with("tests/context.rs:"));
    let events = image.events();
    let [panic] = &events[..] else { panic!("{events:?}") };
    assert_eq!((panic.kind, &*panic.attributes[0].1), (Kind::Panic, "no such order"));
    assert_eq!(image.unplaced(), (0, 0));
}

#[test]
fn threads_without_a_lane_are_counted_and_have_their_context_all_the_same() {
    if boxed::is_child() {
        let (ready, all) = mpsc::channel();
        for n in 0..70 {
            let ready = ready.clone();
            thread::spawn(move || {
                context::set("thread", n);
                check_keys(&[("thread", &n.to_string())]);
                ready.send(()).unwrap();
                thread::park();
            });
        }
        (0..70).for_each(|_| all.recv().unwrap());
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(0) }
    }
    let image = boxed::run("threads_without_a_lane_are_counted_and_have_their_context_all_the_same");
    assert_eq!((image.contexts().len(), image.unplaced()), (64, (6, 0)));
}

#[test]
fn a_child_of_a_fork_has_a_copy_and_a_lane_of_its_own_and_leaves_its_parents_alone() {
    if boxed::is_child() {
        context::set("order", "A-1");
        let span = span!("request", of = "parent");
        let parent = (own::thread(), context::carry());
        // SAFETY: the child's allocator is as the parent's: this process has no other thread that allocates now.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                assert!(own::thread() != parent.0);
                check_keys(&[("order", "A-1")]);
                context::set("who", "child");
                let inner = span!("query");
                assert_eq!(inner.ids().0, span.ids().0);
                drop(inner);
                // Its copy of the parent's guard ends nothing.
                drop(span);
                // SAFETY: ends the child at once, without the test harness.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
                check_keys(&[("order", "A-1")]);
                // SAFETY: ends this process at once, with the span open.
                unsafe { libc::_exit(0) }
            }
        }
    }
    let image = boxed::run("a_child_of_a_fork_has_a_copy_and_a_lane_of_its_own_and_leaves_its_parents_alone");
    let mut contexts = image.contexts();
    contexts.sort_by_key(|of| of.keys.len());
    assert_eq!(keys(&contexts[0]), [("order", "A-1")]);
    assert_eq!(keys(&contexts[1]), [("order", "A-1"), ("who", "child")]);
    assert!(contexts.len() == 2 && contexts[0].process != contexts[1].process);
    let (open, finished) = (image.open_spans(), image.finished_spans(0));
    assert_eq!((open.len(), &*open[0].name, finished.len(), &*finished[0].name), (1, "request", 1, "query"));
    assert_eq!(finished[0].parent, open[0].span);
}

/// Everything that a destructor does at a thread's very end, when other thread-locals are gone.
#[test]
fn it_all_works_until_the_threads_very_end() {
    struct AtTheEnd(mpsc::Sender<Vec<(String, String)>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            context::set("end", true);
            context::with([("nested", 1)], || {
                let _operation = context::operation("ending");
                let span = span!("ending", key = 1);
                context::breadcrumb("still here");
                event!("ending");
                span.fail(context::enrich("an error").to_string().as_str());
            });
            self.0.send(context::current().keys).unwrap();
        }
    }
    thread_local! {
        static FIRST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
        static LAST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) };
    }
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // Destroyed in one order or the other: one of them after ours.
        FIRST.set(Some(AtTheEnd(tell.clone())));
        context::set("order", "A-1");
        LAST.set(Some(AtTheEnd(tell)));
    })
    .join()
    .unwrap();
    let expected = [("order", "A-1"), ("end", "true")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!([told.recv().unwrap(), told.recv().unwrap()], [expected.clone(), expected]);
    if boxed::is_child() {
        return;
    }
    let image = boxed::run("it_all_works_until_the_threads_very_end");
    // The lane was given back, or it has the error that was noted while there still was one.
    assert!(image.contexts().iter().all(|of| of.error.is_some()), "{:?}", image.contexts());
    assert_eq!((image.open_spans().len(), image.finished_spans(0).len(), image.torn()), (0, 2, 0));
    assert_eq!(image.events().iter().filter(|event| event.name == "ending").count(), 2);
}
