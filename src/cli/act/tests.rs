//! Tests of `start`, `stop` and `restart`: fixed inputs against expected text.

use super::*;
use crate::ipc::control::Service;
use crate::time::Wall;

const MS: u64 = 1_000_000;

fn event(instance: &str, at_ms: u64, incarnation: u64, what: What) -> Event {
    Event {
        seq: 1,
        time: Wall(0),
        mono_ns: at_ms * MS,
        service: instance.into(),
        instance: instance.into(),
        incarnation,
        what,
    }
}

fn snapshot(services: &[(&str, &str, &str, u64)]) -> Snapshot {
    let services = services.iter().map(|(instance, state, wanted, incarnation)| Service {
        instance: (*instance).into(),
        state: (*state).into(),
        wanted: (*wanted).into(),
        incarnation: *incarnation,
        ..Service::default()
    });
    Snapshot { services: services.collect(), ..Snapshot::default() }
}

fn acting(verb: Verb, instances: &[&str], before: &Snapshot) -> Acting {
    let instances: Vec<_> = instances.iter().map(|instance| (*instance).to_owned()).collect();
    Acting::new(verb, &instances, before)
}

fn ready(after_ms: u64, away_ms: u64) -> What {
    What::Ready {
        after_ns: after_ms * MS,
        how: "tcp 8080".into(),
        away_ns: away_ms * MS,
        info: String::new(),
    }
}

#[test]
fn stopping_everything_reads_in_the_order_in_which_they_ended() {
    let before = snapshot(&[("web", "ready", "up", 1), ("worker", "up", "up", 2)]);
    let mut acting = acting(Verb::Stop, &["web", "worker"], &before);
    for event in [
        event("worker", 100, 2, What::Stopping),
        event("worker", 109, 2, What::Stopped),
        event("web", 109, 1, What::Stopping),
    ] {
        acting.happened(&event);
        assert!(!acting.done());
    }
    assert_eq!(acting.awaited(), "web to stop");
    acting.happened(&event("web", 123, 1, What::Stopped));
    assert!(acting.done());
    let glyphs = Style { glyphs: true, ..Style::PLAIN };
    assert_eq!(acting.stopped_line(true, glyphs), "■ worker 9 ms · web 14 ms · all stopped in reverse order");
    assert_eq!(acting.stopped_line(false, Style::PLAIN), "worker 9 ms · web 14 ms · stopped");
}

#[test]
fn what_was_down_needed_no_time_to_stop() {
    let mut acting = acting(Verb::Stop, &["web", "worker"], &Snapshot::default());
    acting.happened(&event("worker", 5, 1, What::Stopped));
    acting.happened(&event("web", 5, 1, What::Stopping));
    acting.happened(&event("web", 9, 1, What::Stopped));
    assert_eq!(
        acting.stopped_line(true, Style::PLAIN),
        "worker was down · web 4 ms · all stopped in reverse order"
    );
}

#[test]
fn stopping_a_crowd_is_one_short_line() {
    let names: Vec<String> = (0..40).map(|n| format!("service-{n}")).collect();
    let mut acting = Acting::new(Verb::Stop, &names, &Snapshot::default());
    for (index, name) in names.iter().enumerate() {
        acting.happened(&event(name, 100 + index as u64, 1, What::Stopping));
        acting.happened(&event(name, 200 + index as u64, 1, What::Stopped));
    }
    let line = acting.stopped_line(true, Style::PLAIN);
    assert_eq!(line, "40 instances in 139 ms · all stopped in reverse order");
}

#[test]
fn starting_ends_with_ready_or_up_whichever_the_service_knows() {
    let before = snapshot(&[("web", "stopped", "down", 1), ("worker", "stopped", "down", 2)]);
    let mut acting = acting(Verb::Start, &["web", "worker"], &before);
    acting.look(&snapshot(&[("web", "starting", "up", 3), ("worker", "waiting", "up", 2)]));
    assert!(!acting.done());
    let decided = acting.happened(&event("web", 191, 3, ready(91, 0))).map(|(i, o)| line(i, o, Style::PLAIN));
    assert_eq!(decided.as_deref(), Some("ok web ready in 91 ms  (tcp 8080)"));
    let decided = acting.happened(&event("worker", 200, 4, What::Up { after_ns: 108 * MS }));
    let decided = decided.map(|(i, o)| line(i, o, Style::PLAIN));
    assert_eq!(decided.as_deref(), Some("ok worker up in 108 ms"));
    assert!(acting.done());
}

#[test]
fn starting_what_runs_is_done_at_once() {
    let mut acting = acting(Verb::Start, &["web"], &snapshot(&[("web", "ready", "up", 1)]));
    acting.look(&snapshot(&[("web", "ready", "up", 1)]));
    assert!(acting.done());
}

#[test]
fn stopping_what_gave_up_is_done_when_it_is_wanted_down() {
    let mut acting = acting(Verb::Stop, &["web"], &Snapshot::default());
    acting.look(&snapshot(&[("web", "gave_up", "up", 1)]));
    assert!(!acting.done());
    acting.look(&snapshot(&[("web", "gave_up", "down", 1)]));
    assert!(acting.done());
}

#[test]
fn a_restart_is_done_only_by_a_later_life() {
    let before = snapshot(&[("web", "ready", "up", 7)]);
    let mut acting = acting(Verb::Restart, &["web"], &before);
    acting.look(&before);
    assert!(!acting.done(), "the old life is not the new one");
    acting.happened(&event("web", 1, 7, ready(5, 0)));
    acting.happened(&event("web", 2, 7, What::Stopped));
    assert!(!acting.done(), "the old life's late readiness is not the new one's");
    acting.happened(&event("web", 80, 8, ready(60, 73)));
    assert!(acting.done());
    let outcome = acting.targets[0].outcome.clone().unwrap();
    assert_eq!(line("web", &outcome, Style::PLAIN), "ok web ready again, was away 73 ms  (tcp 8080)");
}

#[test]
fn a_start_that_fails_says_its_step() {
    let mut acting = acting(Verb::Start, &["web"], &Snapshot::default());
    let error = "changing directory to `/srv/web`: No such file or directory (os error 2)";
    acting.happened(&event("web", 1, 1, What::StartFailed { error: error.into(), hint: String::new() }));
    assert!(!acting.done(), "it is tried again");
    assert_eq!(acting.awaited(), format!("web to start ({error})"));
    acting.happened(&event("web", 9, 6, What::GaveUp { max: 5, within_ns: 1 }));
    assert_eq!(acting.failures().collect::<Vec<_>>(), [("web", error)]);
}

#[test]
fn a_start_that_somebody_undoes_says_so_while_it_waits() {
    let mut acting = acting(Verb::Start, &["web"], &Snapshot::default());
    acting.happened(&event("web", 1, 1, What::Stopped));
    assert_eq!(acting.awaited(), "web to start (it was stopped meanwhile)");
    acting.happened(&event("web", 2, 2, ready(1, 0)));
    assert!(acting.done());
}
