//! From the file to a collector, which may do anything.

use crate::collector::{Collector, Does};
use crate::rig::{Arrived, Home, Service, endpoint, settings};
use mainstay::ipc::builtin::FromTelemetry;
use mainstay::services::telemetry::place::Place;
use mainstay::telemetry::Settings;
use std::net::TcpListener;

fn home(collector: &Collector) -> Home {
    Home::new(&Settings { endpoint: endpoint(collector.address), ..settings() })
}

/// Waits until the exporter says that so much is done.
#[track_caller]
fn await_place(home: &Home, is_it: impl Fn(&Place) -> bool) -> Place {
    home.until("the exporter says so", || Place::read(&home.state()).filter(&is_it))
}

#[test]
fn what_is_in_the_file_is_what_the_collector_gets() {
    let collector = Collector::new(&[]);
    let home = home(&collector);
    let web = Service::new(&home, 1, "web");
    let _life = home.start(&[&web]);
    let mut arrived = Arrived::default();
    for n in 0..20 {
        web.span(&format!("span {n}"));
        web.event(&format!("event {n}"));
        collector.take_until(&mut arrived, |arrived| arrived.of("web") == 2 * (n + 1));
    }
    await_place(&home, |place| place.exported == 40);
    let file = home.arrived();
    assert_eq!((file.spans, file.events), (arrived.spans, arrived.events));
}

/// Whatever it does with single requests, in the end it has everything.
#[test]
fn a_collector_that_refuses_answers_garbage_or_closes_early_gets_everything_in_the_end() {
    let again = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    let overloaded =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 9\r\n\r\noverload";
    let orders = [
        Does::Answer(again),
        Does::Close,
        Does::Answer(overloaded),
        Does::Answer("SSH-2.0-OpenSSH_9.2\r\n"),
        Does::Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        Does::Answer(""),
    ];
    let collector = Collector::new(&orders);
    let home = home(&collector);
    let web = Service::new(&home, 1, "web");
    let _life = home.start(&[&web]);
    (0..50).for_each(|n| web.event(&format!("event {n}")));
    let mut arrived = Arrived::default();
    collector.take_until(&mut arrived, |arrived| arrived.of("web") == 50);
    let place = await_place(&home, |place| place.exported == 50);
    assert_eq!((place.rejected, place.dropped, place.trouble.as_str()), (0, 0, ""));
    let said: Vec<_> =
        home.heard().into_iter().filter(|said| matches!(said, FromTelemetry::Trouble { .. })).collect();
    assert!(said.len() <= 1, "it is said once: {said:?}");
}

#[test]
fn what_a_collector_does_not_want_is_counted_and_not_sent_again() {
    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!";
    let collector = Collector::new(&[Does::TakeBut(2), Does::Answer(refusal)]);
    let home = Home::new(&Settings {
        endpoint: endpoint(collector.address),
        batch_size: 5,
        batch_every: std::time::Duration::from_secs(3000),
        ..settings()
    });
    let web = Service::new(&home, 1, "web");
    let _life = home.start(&[&web]);
    (0..15).for_each(|n| web.event(&format!("event {n}")));
    let place = await_place(&home, |place| place.exported + place.rejected == 15);
    // Two of the first five, all of the second, none of the third.
    assert_eq!((place.exported, place.rejected, place.number), (8, 7, 3));
    let mut arrived = Arrived::default();
    collector.take_until(&mut arrived, |arrived| arrived.last.number == 3);
    assert_eq!(arrived.of("web"), 10);
}

#[test]
fn nothing_waits_for_a_collector_that_stalls_and_the_next_life_sends_again() {
    let collector = Collector::new(&[Does::Stall]);
    let home = home(&collector);
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    for n in 0..30 {
        web.event(&format!("event {n}"));
        home.await_arrived("the file has it", |arrived| arrived.of("web") == n + 1);
    }
    assert!(!collector.next().expect("the first batch").taken);
    life.end();
    assert_eq!(Place::read(&home.state()).map_or(0, |place| place.exported), 0);
    let _life = home.start(&[&web]);
    web.event("more");
    let mut arrived = Arrived::default();
    collector.take_until(&mut arrived, |arrived| arrived.of("web") == 31);
    assert!(arrived.doubled().is_empty(), "{:?}", arrived.doubled());
}

#[test]
fn a_collector_that_comes_later_gets_what_was_written_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let home = Home::new(&Settings { endpoint: endpoint(address), ..settings() });
    let web = Service::new(&home, 1, "web");
    let _life = home.start(&[&web]);
    web.span("early");
    home.await_said("it is said that nobody answers", |said| {
        matches!(said, FromTelemetry::Trouble { message } if message.contains("cannot send to") && message.contains("refused"))
    });
    let collector = Collector::on(TcpListener::bind(address).unwrap(), &[]);
    let mut arrived = Arrived::default();
    collector.take_until(&mut arrived, |arrived| arrived.of("web") == 1);
    await_place(&home, |place| place.exported == 1 && place.trouble.is_empty());
}

/// Killed again and again while it sends: everything arrives, and twice only what was in flight.
#[test]
fn an_exporter_that_is_killed_sends_everything_and_at_most_what_was_in_flight_twice() {
    let collector = Collector::new(&[]);
    let home = home(&collector);
    let web = Service::new(&home, 1, "web");
    let mut arrived = Arrived::default();
    for life in 0..10u64 {
        let mut telemetry = home.start(&[&web]);
        (0..20).for_each(|n| web.event(&format!("life {life} event {n}")));
        collector.take_until(&mut arrived, |arrived| arrived.of("web") > life * 20);
        telemetry.kill();
    }
    let _life = home.start(&[&web]);
    collector.take_until(&mut arrived, |arrived| arrived.of("web") == 200);
    let place = await_place(&home, |place| place.written == 200);
    assert_eq!((place.rejected, place.dropped), (0, 0));
    let most = arrived.records.values().max();
    assert!(most <= Some(&2), "each death may double one batch: {most:?}");
}

#[test]
fn what_is_rotated_away_before_the_collector_comes_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let home = Home::new(&Settings {
        endpoint: endpoint(address),
        max_size: 16 << 10,
        files: 2,
        batch_size: 10,
        ..settings()
    });
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    for n in 0..1000 {
        web.event(&format!("event {n}"));
        if n % 50 == 49 {
            home.await_summary("they are written", |last| last.totals.written == n + 1);
        }
    }
    life.end();
    let collector = Collector::on(TcpListener::bind(address).unwrap(), &[]);
    let _life = home.start(&[&web]);
    web.event("last");
    let mut arrived = Arrived::default();
    collector
        .take_until(&mut arrived, |arrived| arrived.records.contains_key(&("web".into(), "last".into())));
    let place = await_place(&home, |place| place.written == 1001);
    assert_eq!(place.exported + place.dropped, 1001, "{place:?}");
    assert_eq!(place.exported, arrived.of("web"));
    assert!(place.dropped > 800, "{place:?}");
}
