//! Spans and events as a service uses them: nested, failing, part of a trace that came from elsewhere; written to its black
//! box, and told to whoever drains that.

#[path = "support/boxed.rs"]
mod boxed;

use mainstay::blackbox::{BlackBox, Drained, Image, Status};
use mainstay::sys::socket::{self, Kind};
use mainstay::trace::{self, OpenSpan};
use mainstay::{context, event, span};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn spans_are_nested_and_say_how_they_end() {
    if boxed::is_child() {
        let request = span!("request", path = "/pay", http.attempt = 2);
        {
            let query = span!("query");
            query.attribute("rows", 3);
            query.fail("no answer");
            event!("cache.miss", key = "A-1", ratio = 0.5);
        }
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _span = span!("panics");
            panic!("on purpose");
        }));
        assert!(unwound.is_err());
        request.attribute("status", 502);
        event!("outer");
        drop(request);
        event!("alone");
        std::mem::forget(span!("open", left = "open"));
        return;
    }
    let image = boxed::run("spans_are_nested_and_say_how_they_end");
    let spans = image.finished_spans(0);
    let [query, panics, request] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*request.name, request.parent, request.status), ("request", 0, Status::Ok));
    assert_eq!(request.attributes, pairs(&[("path", "/pay"), ("http.attempt", "2"), ("status", "502")]));
    assert_eq!(
        (&*query.name, query.parent, query.trace, query.status),
        ("query", request.span, request.trace, Status::Error)
    );
    assert_eq!(query.attributes, pairs(&[("rows", "3"), ("error", "no answer")]));
    assert_eq!((&*panics.name, panics.parent, panics.status), ("panics", request.span, Status::Error));
    assert_eq!(panics.attributes, pairs(&[("error", "panic")]));
    assert!(request.since <= query.since && query.since <= query.until && query.until <= request.until);
    let events = image.events();
    let [miss, outer, alone] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&*miss.name, miss.span, miss.trace), ("cache.miss", query.span, query.trace));
    assert_eq!(miss.attributes, pairs(&[("key", "A-1"), ("ratio", "0.5")]));
    assert_eq!((outer.span, alone.span, alone.trace), (request.span, 0, 0));
    let open = image.open_spans();
    assert_eq!((open.len(), &*open[0].name, open[0].parent), (1, "open", 0));
    assert_ne!(open[0].trace, request.trace, "a trace of its own");
    assert_eq!(open[0].attributes, pairs(&[("left", "open")]));
}

#[test]
fn guards_that_are_dropped_in_any_order_leave_the_right_one_current() {
    let outer = span!("outer");
    let inner = span!("inner");
    drop(outer);
    assert_eq!(trace::current(), Some(inner.ids()), "the inner one is still open");
    drop(inner);
    let open = OpenSpan::open("not entered", |_| {});
    let within = open.open_within("part", |_| {});
    assert_eq!(within.ids().0, open.ids().0);
}

#[test]
fn a_trace_goes_on_from_process_to_process() {
    const FROM: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    if boxed::is_child() {
        assert_eq!(trace::current(), None);
        assert_eq!(trace::current_traceparent().as_deref(), Some(FROM), "handed on as it came");
        let span = span!("first");
        let handed = trace::current_traceparent().unwrap();
        assert_eq!(handed, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-00", span.ids().1));
        let printed = trace::pass_on(Command::new("sh").args(["-c", "echo $TRACEPARENT"])).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&printed.stdout).trim(), handed);
        return;
    }
    let the_box = BlackBox::make().unwrap();
    let (mut command, _inherited) = boxed::child("a_trace_goes_on_from_process_to_process", the_box.as_fd());
    let output = command.env("TRACEPARENT", FROM).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let span = &the_box.image().unwrap().finished_spans(0)[0];
    assert_eq!((span.trace, span.parent), (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7));
}

#[test]
fn one_event_in_an_interval_and_how_many_were_left_out() {
    if boxed::is_child() {
        for n in 0..1000 {
            event!(once_per(Duration::from_secs(3600)), "often", n = n);
            event!(once_per(Duration::ZERO), "always", n = n);
        }
        return;
    }
    let image = boxed::run("one_event_in_an_interval_and_how_many_were_left_out");
    let named = |name: &str| image.events().iter().filter(|event| event.name == name).count();
    assert!(named("often") <= 1 && named("always") > 256);
    assert_eq!(image.events_next(), 1001);
}

#[test]
fn with_everything_else_gone_it_all_works_the_same() {
    if boxed::is_child() {
        context::with([("order", "A-1")], || {
            let span = span!("request");
            event!("happened");
            span.fail(&*context::enrich("no board").to_string());
        });
        return;
    }
    let the_box = BlackBox::make().unwrap();
    let (mut command, _inherited) =
        boxed::child("with_everything_else_gone_it_all_works_the_same", the_box.as_fd());
    for variable in ["MAINSTAY_BOARD", "MAINSTAY_RUNTIME_DIR", "MAINSTAY_STATE_DIR"] {
        command.env(variable, "/nowhere/at/all");
    }
    let output = command.env("MAINSTAY_INSTANCE", "web#1").env("MAINSTAY_INCARNATION", "7").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let image = the_box.image().unwrap();
    let span = &image.finished_spans(0)[0];
    assert_eq!(span.attributes, pairs(&[("error", "no board [order=A-1]")]));
    assert_eq!((image.events().len(), image.torn()), (2, 0));
    assert!(image.is_rung());
}

// The bell ------------------------------------------------------------------------------------------------------

/// A child whose runtime directory has this inbox; what its box says at the end.
fn with_inbox(name: &str, prepare: impl FnOnce(&OwnedFd, &std::path::Path)) -> (Image, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry");
    let inbox = socket::bind(Kind::Datagram, &path, 0o666).unwrap();
    prepare(&inbox, &path);
    let the_box = BlackBox::make().unwrap();
    let (mut command, _inherited) = boxed::child(name, the_box.as_fd());
    command
        .env("MAINSTAY_RUNTIME_DIR", folder.path())
        .env("MAINSTAY_INSTANCE", "web#1")
        .env("MAINSTAY_INCARNATION", "7");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while let Some(received) = socket::receive(&inbox, &mut buffer).unwrap() {
        heard.push(String::from_utf8_lossy(&buffer[..received.length]).into_owned());
    }
    (the_box.image().unwrap(), heard)
}

#[test]
fn whoever_drains_is_woken_once_for_each_sleep() {
    let name = "whoever_drains_is_woken_once_for_each_sleep";
    if boxed::is_child() {
        let number: i32 = std::env::var(mainstay::blackbox::VARIABLE).unwrap().parse().unwrap();
        let the_box = BlackBox::open(mainstay::sys::inherited::take(number).unwrap()).unwrap();
        for _ in 0..3 {
            (0..1000).for_each(|n| event!("happened", n = n));
            drop(span!("request"));
            assert!(the_box.news().unwrap().is_rung());
            the_box.await_ring().unwrap();
            assert!(!the_box.news().unwrap().is_rung());
        }
        let drained = Drained { events_taken: 4, events_written: 3, spans_taken: 2, spans_written: 1 };
        the_box.set_drained(drained).unwrap();
        assert_eq!(the_box.news().unwrap().drained(), drained);
        assert_eq!(
            (the_box.news().unwrap().events_next(), the_box.news().unwrap().finished_next()),
            (3000, 3)
        );
        assert_eq!(the_box.news().unwrap().events(), the_box.image().unwrap().events());
        return;
    }
    let (_, heard) = with_inbox(name, |_, _| {});
    assert_eq!(heard, vec!["X_MAINSTAY_BELL=1\nMAINSTAY_INSTANCE=web#1\nMAINSTAY_INCARNATION=7"; 3]);
}

#[test]
fn a_full_inbox_holds_nobody_up_and_is_tried_again() {
    if boxed::is_child() {
        (0..100).for_each(|n| event!("happened", n = n));
        return;
    }
    let full = |_: &OwnedFd, path: &std::path::Path| {
        let sender = socket::connect(Kind::Datagram, path).unwrap();
        while socket::send(&sender, b"full", &[] as &[OwnedFd]).is_ok() {}
    };
    let (image, heard) = with_inbox("a_full_inbox_holds_nobody_up_and_is_tried_again", full);
    assert!(heard.iter().all(|message| message == "full") && !image.is_rung());
    assert_eq!(image.events().len(), 100);
}
