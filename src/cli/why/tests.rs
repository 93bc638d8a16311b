//! Tests of `why`: fixed inputs against expected text.

use super::*;
use crate::time::Wall;

const S: u64 = 1_000_000_000;
/// 2026-11-23 12:07:58.301 UTC.
const DIED: Wall = Wall(1_795_435_678_301_000);

fn service(state: &str) -> Service {
    Service {
        service: "worker".into(),
        instance: "worker".into(),
        state: state.into(),
        wanted: "up".into(),
        restarts_max: 5,
        window_ns: 30 * S,
        ..Service::default()
    }
}

fn event(at_ns: u64, what: What) -> Event {
    let subject = if matches!(what, What::FlagChanged { .. }) { "new-checkout" } else { "worker" };
    let instance = if subject == "worker" { "worker" } else { "" };
    Event {
        seq: at_ns,
        time: DIED,
        mono_ns: at_ns,
        service: subject.into(),
        instance: instance.into(),
        incarnation: 1,
        what,
    }
}

fn exited(code: u8) -> What {
    What::Exited {
        code: Some(code),
        signal: None,
        core: false,
        lived_ns: S,
        asked: false,
        abnormal: true,
        crash: 12,
        pid: 1,
        restart: 0,
        max: 0,
        shutdown_error: false,
        oom: false,
        watchdog: false,
        unhealthy: false,
    }
}

fn check(service: &Service, events: &[Event], expected: &str) {
    let words = Words {
        time: String::new(),
        stream: "stderr".into(),
        text: "database unreachable at 10.0.0.5:5432".into(),
    };
    let fingerprints = (12..=18).map(|number| (number, "7f3a0c11".to_owned())).collect();
    let recorded = Recorded { words: Some(words), fingerprints, ..Recorded::default() };
    let got = explain(service, events, &recorded, &Look::plain());
    assert_eq!(got, expected, "\n{got}\nis not\n{expected}");
}

#[test]
fn giving_up_is_explained_by_what_happened() {
    let mut events: Vec<_> = (0..6).map(|n| event(100 * S + n * 11 * S / 5, exited(3))).collect();
    events.insert(0, event(90 * S, exited(9)));
    events.push(event(111 * S, What::GaveUp { max: 5, within_ns: 30 * S }));
    let changed = What::FlagChanged {
        old: "off".into(),
        new: "on".into(),
        generation: 4,
        actor: "ana".into(),
        reason: String::new(),
    };
    events.insert(1, event(95 * S, changed));
    let worker = Service {
        last_exit: Some(LastExit { code: Some(3), crash: 12, time: DIED, ..LastExit::default() }),
        ..service("gave_up")
    };
    check(
        &worker,
        &events,
        "worker gave up at 12:07:58: it exited 3 six times in 11 s (limit 5 restarts in 30s).
Last words: \"database unreachable at 10.0.0.5:5432\". Same cause each time (fingerprint 7f3a0c11).
Changed shortly before: flag new-checkout off → on at 12:07:58 by ana.
Evidence: mainstay crash show c-12   Again: mainstay start worker",
    );
}

#[test]
fn giving_up_for_several_reasons_names_each() {
    let events: Vec<_> = [3, 3, 1].iter().zip(1..).map(|(code, n)| event(n * S, exited(*code))).collect();
    check(
        &service("gave_up"),
        &events,
        "worker gave up: it ended three times in 2 s: exited 3 (twice), exited 1 (once) (limit 5 restarts in 30s).
Last words: \"database unreachable at 10.0.0.5:5432\". Same cause each time (fingerprint 7f3a0c11).
Evidence: mainstay logs worker   Again: mainstay start worker",
    );
}

#[test]
fn deaths_before_somebody_began_anew_do_not_count() {
    let events = [
        event(S, exited(7)),
        event(2 * S, What::GaveUp { max: 5, within_ns: 1 }),
        event(3 * S, exited(3)),
        event(4 * S, exited(3)),
        event(5 * S, What::GaveUp { max: 5, within_ns: 1 }),
    ];
    let text = explain(&service("gave_up"), &events, &Recorded::default(), &Look::plain());
    assert!(text.starts_with("worker gave up at 12:07:58: it exited 3 twice in 1 s"), "{text}");
}

#[test]
fn giving_up_is_explained_by_the_last_exit_when_events_are_gone() {
    let worker = Service {
        last_exit: Some(LastExit {
            signal: Some(11),
            core: true,
            crash: 3,
            time: DIED,
            ..LastExit::default()
        }),
        ..service("gave_up")
    };
    let text = explain(&worker, &[], &Recorded::default(), &Look::plain());
    assert_eq!(
        text,
        "worker gave up at 12:07:58: it was killed by SIGSEGV (core dumped) (limit 5 restarts in 30s).
Evidence: mainstay crash show c-3   Again: mainstay start worker"
    );
}

#[test]
fn every_state_has_its_sentence() {
    let exit = |code: u8, asked| {
        Some(LastExit { code: Some(code), ago_ns: 300 * S, lived_ns: 2 * S, asked, ..LastExit::default() })
    };
    let running = |state| Service { pid: 7, up_ns: 48 * S, ..service(state) };
    for (service, expected) in [
        (running("ready"), "worker is ready for 48s (pid 7); it has not ended before."),
        (
            Service { last_exit: exit(0, true), ..running("up") },
            "worker is up for 48s (pid 7). The life before exited 0 5m ago, as it was asked to.",
        ),
        (running("starting"), "worker was started 48s ago (pid 7) and has not said that it is ready."),
        (
            Service { because: "port 8080 is not answered yet".into(), ..running("starting") },
            "worker was started 48s ago (pid 7): port 8080 is not answered yet.",
        ),
        (service("waiting"), "worker waits for what it needs."),
        (
            Service { because: "waits for db".into(), ..service("waiting") },
            "worker is waiting: waits for db.",
        ),
        (running("stopping"), "worker was asked to stop and has not ended yet (pid 7); it is 48s old."),
        (
            Service { wanted: "down".into(), last_exit: exit(0, true), ..service("stopped") },
            "worker is stopped as wanted: it exited 0 5m ago, as it was asked to.",
        ),
        (
            Service { because: "its group gave up".into(), ..service("stopped") },
            "worker is stopped, though it is wanted up (its group gave up), and has not run yet.
Again: mainstay start worker",
        ),
        (
            Service { last_exit: exit(0, false), ..service("finished") },
            "worker has finished: it exited 0 5m ago after 2 s.",
        ),
        (Service { because: "by ana".into(), ..service("paused") }, "worker is paused: by ana."),
    ] {
        assert_eq!(explain(&service, &[], &Recorded::default(), &Look::plain()), expected);
    }
}

#[test]
fn backing_off_says_until_when() {
    let worker = Service {
        restarts: 2,
        retry_in_ns: 1_600_000_000,
        last_exit: Some(LastExit { code: Some(3), ago_ns: 4 * S, crash: 9, ..LastExit::default() }),
        ..service("backing_off")
    };
    check(
        &worker,
        &[],
        "worker is backing off: it exited 3 4s ago (c-9); restart 2 of 5 comes in 1.6 s.
Last words: \"database unreachable at 10.0.0.5:5432\".
Evidence: mainstay crash show c-9",
    );
}

#[test]
fn a_reload_of_its_own_keys_is_what_changed_and_what_it_was_at_is_said() {
    let reload = |path: &str| What::Reloaded {
        added: 0,
        removed: 0,
        restarted: 1,
        in_place: 0,
        from: "file".into(),
        paths: vec![path.into()],
    };
    let events = |path: &str| {
        let mut events = vec![event(90 * S, reload(path))];
        events.extend((0..2).map(|n| event((100 + n) * S, exited(3))));
        events
    };
    let error = "no such card (src/card.rs:7:5)".to_owned();
    let recorded = Recorded { error, doing: "charge card".into(), ..Recorded::default() };
    let told = |path: &str| explain(&service("gave_up"), &events(path), &recorded, &Look::plain());
    let text = told("worker.env.DB_HOST");
    assert!(
        text.contains("\nLast error: no such card (src/card.rs:7:5). It was at: charge card.\n"),
        "{text}"
    );
    assert!(
        text.contains("\nChanged shortly before: config reload at 12:07:58 (worker.env.DB_HOST).\n"),
        "{text}"
    );
    assert!(!told("web.env.DB_HOST").contains("Changed"), "that of another service is not its");
}

#[test]
fn deaths_with_different_fingerprints_have_no_cause_in_common() {
    let events: Vec<_> = (1..=2).map(|n| event(n * S, exited(3))).collect();
    let mut second = events[1].clone();
    if let What::Exited { crash, .. } = &mut second.what {
        *crash = 13;
    }
    let events = [events[0].clone(), second];
    let told = |other: &str| {
        let fingerprints = [(12, "7f3a0c11".to_owned()), (13, other.to_owned())].into();
        explain(
            &service("gave_up"),
            &events,
            &Recorded { fingerprints, ..Recorded::default() },
            &Look::plain(),
        )
    };
    assert!(told("7f3a0c11").contains("Same cause each time"));
    assert!(!told("7f3a0c12").contains("Same cause"));
}
