//! What a program says to `tracing` stands in its black box. `cargo test --features tracing --test tracing_layer`.

#![cfg(feature = "tracing")]

#[path = "support/boxed.rs"]
mod boxed;

use mainstay::blackbox::{Kind, Status};
use mainstay::trace::{self, Layer};
use mainstay::{event, span};
use tracing_subscriber::prelude::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn spans_and_events_of_tracing_and_ours_are_one_tree() {
    if boxed::is_child() {
        tracing_subscriber::registry().with(Layer).init();
        let ours = span!("ours");
        let request = tracing::info_span!("request", path = "/pay", status = tracing::field::Empty);
        let entered = request.enter();
        tracing::info!(attempt = 2, "asking the bank");
        {
            let _query = span!("query");
            event!("cache.miss");
        }
        request.record("status", 502);
        tracing::error!(code = 7, "the bank did not answer");
        drop(entered);
        assert_eq!(trace::current(), Some(ours.ids()), "left again");
        let failing = tracing::warn_span!(parent: &request, "failing", error = "no answer");
        std::thread::spawn(move || failing.in_scope(|| tracing::debug!("elsewhere"))).join().unwrap();
        drop(request);
        std::mem::forget(ours);
        return;
    }
    let image = boxed::run("spans_and_events_of_tracing_and_ours_are_one_tree");
    let (open, spans, events) = (image.open_spans(), image.finished_spans(0), image.events());
    let [ours] = &open[..] else { panic!("{open:?}") };
    let [query, failing, request] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*request.name, request.parent, request.trace), ("request", ours.span, ours.trace));
    assert_eq!(request.attributes, pairs(&[("path", "/pay"), ("status", "502")]));
    assert_eq!((&*query.name, query.parent), ("query", request.span));
    assert_eq!((&*failing.name, failing.parent, failing.status), ("failing", request.span, Status::Error));
    let [asking, miss, error, elsewhere] = &events[..] else { panic!("{events:?}") };
    let said = |of: &mainstay::blackbox::Event, key: &str| {
        of.attributes.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone())
    };
    assert_eq!(said(asking, "message").as_deref(), Some("asking the bank"));
    assert_eq!(
        (said(asking, "attempt").as_deref(), said(asking, "level").as_deref()),
        (Some("2"), Some("INFO"))
    );
    assert_eq!((asking.span, miss.span, elsewhere.span), (request.span, query.span, failing.span));
    assert_eq!((asking.kind, error.kind), (Kind::Event, Kind::Error));
    let contexts = image.contexts();
    let last = contexts.iter().find_map(|of| of.error.as_ref()).unwrap();
    assert_eq!(last.text, "the bank did not answer");
}
