//! K: shutdown.

use crate::rig::{LIVES, Rig, deaf_until_told, told};
use crate::support::gone;
use serde_json::Value;

/// How each ended after a cursor: `name signal-or-code`.
fn ends(rig: &Rig, after: &str) -> Vec<String> {
    let exits = rig.project.events(after).into_iter().filter(|event| event["kind"] == "exited");
    let how = |event: &Value| match (&event["signal"], &event["code"]) {
        (Value::String(signal), _) => signal.clone(),
        (_, code) => code.to_string(),
    };
    let mut ends: Vec<String> =
        exits.map(|event| format!("{} {}", event["instance"].as_str().unwrap(), how(&event))).collect();
    ends.sort_unstable();
    ends
}

const DEAF: &str = r#"command = ["sh", "-c", "trap '' TERM; echo on; exec sleep 100000"]
ready = { output = "on" }"#;

#[test]
fn k01_k02_k03_each_has_its_own_grace() {
    let rig = Rig::otp(
        1,
        &format!(
            "[service.infinite]\n{LIVES}\nstop = {{ grace = \"forever\" }}\n[service.deaf]\n{DEAF}\nstop = {{ grace = \"200ms\" }}\n\
             [service.brutal]\n{LIVES}\nstop = {{ grace = \"kill\" }}\n"
        ),
    );
    let cursor = rig.cursor();
    rig.ok(&["stop", "--all"]);
    assert_eq!(ends(&rig, &cursor), ["brutal SIGKILL", "deaf SIGKILL", "infinite SIGTERM"]);
}

#[test]
fn k04_whatever_children_do_during_the_stop_nothing_is_restarted() {
    let mut services = format!("[service.a0]\n{LIVES}\n");
    for (at, restart) in ["permanent", "transient", "temporary"].into_iter().enumerate() {
        for code in [0, 42, 3] {
            services += &format!(
                "[service.s{at}-{code}]\ncommand = [\"sh\", \"-c\", \"trap 'exit {code}' TERM; echo on; while :; do read x < never.ctl; done\"]\n\
                 ready = {{ output = \"on\" }}\nrestart = {{ policy = \"{restart}\", clean = [42] }}\n"
            );
        }
    }
    let rig = Rig::prepared(&format!("name = \"t\"\nsemantics = \"otp\"\n{services}"));
    rig.pipe("never");
    rig.project.start();
    let cursor = rig.cursor();
    rig.ok(&["stop", "--all"]);
    let ends = ends(&rig, &cursor);
    assert_eq!(ends.len(), 10, "{ends:?}");
    for at in 0..3 {
        for code in [0, 42, 3] {
            assert!(ends.contains(&format!("s{at}-{code} {code}")), "{ends:?}");
        }
    }
    let events = rig.project.events(&cursor);
    assert!(!events.iter().any(|event| event["kind"] == "starting"), "something was started during the stop");
    // K09, D29: who did not end as one does then is told.
    let errors: Vec<&str> = events
        .iter()
        .filter(|event| event["shutdown_error"] == true)
        .map(|event| event["instance"].as_str().unwrap())
        .collect();
    assert!(errors.contains(&"s1-3") && errors.contains(&"s0-0"), "{errors:?}");
    assert!(!errors.contains(&"s1-0") && !errors.contains(&"a0"), "{errors:?}");
}

#[test]
fn k05_k13_the_end_by_command_leaves_nothing() {
    let rig = Rig::otp(
        1,
        &format!("[service.good]\n{LIVES}\n[service.deaf]\n{DEAF}\nstop = {{ grace = \"100ms\" }}\n"),
    );
    let pids = [rig.pid("good"), rig.pid("deaf")];
    rig.ends(|| rig.ok(&["shutdown"]));
    pids.into_iter().for_each(gone);
}

#[test]
fn k06_a_caller_that_gives_up_does_not_end_the_stop() {
    let rig = Rig::otp(1, &format!("[service.slow]\n{}\n", deaf_until_told("slow")));
    let pid = rig.pid("slow");
    let said = rig.fails(124, &["terminate", "slow", "--timeout", "100ms"]);
    assert!(said.contains("slow to terminate"), "{said}");
    rig.say("slow", 0);
    gone(pid);
}

#[test]
fn k10_who_died_just_before_is_told_with_its_own_reason() {
    let rig = Rig::otp(1, &format!("[service.a]\n{}\nrestart = \"transient\"\n", told("a")));
    let cursor = rig.cursor();
    rig.say("a", 0);
    rig.happens(&cursor, "a", "finished");
    rig.ok(&["terminate", "a"]);
    assert_eq!(ends(&rig, &cursor), ["a 0"]);
}
