//! From boxes to the file.

use crate::rig::{Home, Service, attribute, settings};
use mainstay::ipc::builtin::FromTelemetry;
use mainstay::telemetry::Settings;
use std::time::Duration;

#[test]
fn spans_and_events_arrive_with_who_where_and_when() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    let before = jiff::Timestamp::now().as_nanosecond();
    web.span("GET /");
    web.event("cache.miss");
    let arrived = home.await_arrived("both arrive", |arrived| arrived.of("web") == 2);
    let after = jiff::Timestamp::now().as_nanosecond();
    let (span, event) = (&arrived.spans[0], &arrived.events[0]);
    let time = |json: &serde_json::Value, key: &str| json[key].as_str().unwrap().parse::<i128>().unwrap();
    let (start, end) = (time(span, "startTimeUnixNano"), time(span, "endTimeUnixNano"));
    // The clocks' distance is measured, so it may be off by a little.
    let slack = 50_000_000;
    assert!(
        before - slack <= start && start <= end && end <= after + slack,
        "{before} {start} {end} {after}"
    );
    assert!((before - slack..=after + slack).contains(&time(event, "timeUnixNano")));
    assert_eq!((span["name"].as_str(), event["eventName"].as_str()), (Some("GET /"), Some("cache.miss")));
    assert_eq!(attribute(event, "thread.id"), "7");
    assert_eq!((arrived.last.totals.taken, arrived.last.totals.written), (2, 2));
    life.end();
}

#[test]
fn what_a_life_left_when_it_ended_is_written_and_then_its_box_is_given_up() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    (0..300).for_each(|n| web.event(&format!("last word {n}")));
    let _life = home.start(&[&web]);
    home.say_ended(&web);
    home.await_said("the box is drained", |said| {
        *said == FromTelemetry::Drained { child: 1, incarnation: 1 }
    });
    assert_eq!(home.arrived().of("web"), 300, "and before that everything is in the file");
}

#[test]
fn a_service_that_floods_starves_nobody_and_takes_no_memory() {
    let home = Home::new(&Settings { per_second: 500, max_size: 8 << 20, ..settings() });
    let (flood, quiet) = (Service::new(&home, 1, "flood"), Service::new(&home, 2, "quiet"));
    let life = home.start(&[&flood, &quiet]);
    let over = std::sync::atomic::AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        let flooding = &flood;
        scope.spawn(move || {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                flooding.span("flood");
            }
        });
        for n in 0..20 {
            quiet.event(&format!("quiet {n}"));
            // Each is in the file, beside the flood, before the next is sent.
            let written = || quiet.memory.heads().unwrap().drained().events_written;
            home.until("the quiet one is heard", || (written() > n).then_some(()));
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let memory = mainstay::sys::procfs::usage(life.id()).unwrap().1;
    assert!(memory < 64 << 20, "{memory} bytes");
    life.end();
    let arrived = home.arrived();
    let totals = &arrived.last.totals;
    assert!(totals.over_ceiling > 0, "{totals:?}");
    assert_eq!(arrived.of("quiet"), 20, "every word of the quiet one is there");
    let told = totals.taken + totals.lost + totals.torn;
    assert_eq!(told, flood.sent() + quiet.sent(), "each is accounted for: {totals:?}");
    assert_eq!(totals.written, arrived.records.values().sum::<u64>());
}

#[test]
fn what_is_left_out_is_counted_and_what_is_kept_says_for_how_many_it_stands() {
    let names = vec![("health".to_owned(), 0), ("GET*".to_owned(), 10_000)];
    let home = Home::new(&Settings { names, ..settings() });
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    for n in 0..400 {
        web.event("health");
        web.event(&format!("GET /{n}"));
        web.event(&format!("order {n}"));
        if n % 50 == 49 {
            home.await_arrived("they are taken", |arrived| arrived.last.totals.taken == 3 * (n + 1));
        }
    }
    life.end();
    let arrived = home.arrived();
    let starting = |what: &str| arrived.records.keys().filter(|(_, name)| name.starts_with(what)).count();
    assert_eq!((starting("health"), starting("order")), (0, 400));
    assert!((15..80).contains(&starting("GET")), "{} of 400", starting("GET"));
    assert_eq!(arrived.last.totals.sampled_out, 800 - starting("GET") as u64);
    let get =
        arrived.events.iter().find(|event| event["eventName"].as_str().unwrap().starts_with("GET")).unwrap();
    let sampled =
        get["attributes"].as_array().unwrap().iter().find(|a| a["key"] == "mainstay.sampled").unwrap();
    assert_eq!(sampled["value"]["doubleValue"], 0.1);
}

#[test]
fn batches_are_written_by_size_before_they_are_old() {
    let home = Home::new(&Settings { batch_size: 10, batch_every: Duration::from_secs(3000), ..settings() });
    let web = Service::new(&home, 1, "web");
    let life = home.start(&[&web]);
    (0..25).for_each(|n| web.event(&format!("{n}")));
    let arrived = home.await_arrived("two batches", |arrived| arrived.last.number == 2);
    assert_eq!((arrived.of("web"), arrived.last.events), (20, 10));
    life.end();
    assert_eq!(
        (home.arrived().of("web"), home.arrived().last.events),
        (25, 5),
        "the rest comes with its end"
    );
}

#[test]
fn nobody_is_woken_while_no_service_writes() {
    let home = Home::new(&settings());
    let services: Vec<Service> = (0..20).map(|n| Service::new(&home, n, &format!("s{n}"))).collect();
    let life = home.start(&services.iter().collect::<Vec<_>>());
    services.iter().for_each(|service| service.event("one"));
    home.await_arrived("all arrive", |arrived| arrived.last.totals.written == 20);
    // It sleeps for ever: `ppoll` without a time. Before that it may look at some box once more.
    let call = format!("/proc/{}/syscall", life.id());
    let start = mainstay::sys::clock::now();
    loop {
        let text = std::fs::read_to_string(&call).unwrap();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if words[0] == libc::SYS_ppoll.to_string() && words.get(3) == Some(&"0x0") {
            break;
        }
        assert!(
            mainstay::sys::clock::now().since(start) < Duration::from_secs(60),
            "it is woken again and again: {text}"
        );
        std::thread::yield_now();
    }
    // Whoever writes now wakes it.
    services[7].event("two");
    home.await_arrived("it is woken", |arrived| arrived.last.totals.written == 21);
}
