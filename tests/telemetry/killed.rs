//! Telemetry is killed, alone and under load: nothing arrives twice, and what does not arrive is said to be lost.

use crate::rig::{Home, Service, settings};
use mainstay::blackbox::Drained;
use mainstay::services::telemetry::spool;
use std::sync::atomic::{AtomicBool, Ordering};

/// Several threads write, telemetry is killed again and again and used in the same instant.
#[test]
fn what_arrives_and_what_is_said_to_be_lost_is_what_was_sent_however_often_it_is_killed() {
    let home = Home::new(&settings());
    let services: Vec<Service> = (0..3).map(|n| Service::new(&home, n, &format!("s{n}"))).collect();
    let all: Vec<&Service> = services.iter().collect();
    let over = AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        for service in &services {
            scope.spawn(move || {
                let mut n = 0u64;
                while !over.load(Ordering::Relaxed) {
                    service.event(&format!("event {n}"));
                    service.span(&format!("span {n}"));
                    n += 1;
                    if n.is_multiple_of(16) {
                        std::thread::yield_now();
                    }
                }
            });
        }
        for life in 1..=12u64 {
            let mut telemetry = home.start(&all);
            // Some batches of this life; then in the middle of whatever it does.
            let last = spool::last(&home.logs()).map_or(0, |last| last.number);
            home.await_summary("it goes on", |now| now.begun >= life && now.number > last + life % 4);
            telemetry.kill();
        }
        over.store(true, Ordering::Relaxed);
    });
    let telemetry = home.start(&all);
    home.await_summary("the last life has begun", |last| last.begun == 13);
    let sent: u64 = services.iter().map(Service::sent).sum();
    home.await_summary("all is told", |last| last.totals.taken + last.totals.lost + last.totals.torn >= sent);
    telemetry.end();
    let arrived = home.arrived();
    assert_eq!(arrived.doubled(), Vec::<&(String, String)>::new(), "nothing arrives twice");
    let came = arrived.records.len() as u64;
    assert_eq!(came + arrived.gone(), sent, "{:?}", arrived.last.totals);
    assert!(came > 100, "{came} of {sent}");
}

#[test]
fn what_was_written_while_nobody_was_there_is_taken_by_the_next_life_as_far_as_it_was_not_overwritten() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    let mut life = home.start(&[&web]);
    web.event("first");
    home.await_arrived("the first", |arrived| arrived.of("web") == 1);
    life.kill();
    (0..5000).for_each(|n| web.span(&format!("span {n}")));
    (0..100).for_each(|n| web.event(&format!("event {n}")));
    let life = home.start(&[&web]);
    home.await_arrived("what is left", |arrived| arrived.last.begun == 2 && arrived.of("web") > 600);
    life.end();
    let arrived = home.arrived();
    // The ring of finished spans has 512 places.
    assert_eq!((arrived.of("web"), arrived.last.totals.lost), (1 + 512 + 100, 5000 - 512));
    assert_eq!(arrived.last.totals.torn, 0);
}

/// Killed between the line and the cursors: the successor knows from the line what is in it.
#[test]
fn a_batch_that_is_in_the_file_is_not_taken_again_when_the_box_does_not_say_so() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    let mut life = home.start(&[&web]);
    (0..50).for_each(|n| web.event(&format!("event {n}")));
    home.await_arrived("they arrive", |arrived| arrived.of("web") == 50);
    life.kill();
    // As it was before the batch.
    let drained = Drained { events_taken: 50, ..Drained::default() };
    web.memory.set_drained(drained).unwrap();
    let life = home.start(&[&web]);
    web.event("after");
    home.await_arrived("it goes on", |arrived| arrived.of("web") == 51);
    life.end();
    let arrived = home.arrived();
    assert!(arrived.doubled().is_empty(), "{:?}", arrived.doubled());
    // The last batch may have held only some of the fifty: those before it are said in the box, which was wiped.
    assert_eq!(arrived.last.totals.written, 51);
}

/// Killed in the middle of a line: what is not whole is cut off, and its records are taken again.
#[test]
fn a_batch_that_is_half_in_the_file_is_written_again() {
    let home = Home::new(&settings());
    let web = Service::new(&home, 1, "web");
    let mut life = home.start(&[&web]);
    web.event("one");
    home.await_arrived("it arrives", |arrived| arrived.of("web") == 1);
    life.kill();
    let file = spool::path(&home.logs());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"resourceSpans\":[]}\n{\"resourceLogs\":[{\"resource\":");
    std::fs::write(&file, bytes).unwrap();
    let life = home.start(&[&web]);
    web.event("two");
    home.await_summary("it goes on", |last| last.begun == 2);
    life.end();
    assert_eq!(home.arrived().of("web"), 2);
}
