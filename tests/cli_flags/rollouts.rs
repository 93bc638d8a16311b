//! `flag roll`.

use crate::rig::{Keeper, changed, done, flag, refused, roll, seen};
use mainstay::flags::guard::RollState::{Baking, Done, Ended, Held, RolledBack};
use mainstay::flags::{Declaration, Value};
use mainstay::ipc::flags::{Flag, Reply, Request, Roll, Steering};
use nix::sys::signal::Signal;

const BEGIN: &str = "flag roll new-checkout --steps 10,25,50,100 --bake 2m --unit instance --why SHOP-812";

/// A keeper that is asked how `r-3` is, and finds it so, one after the other; then as at the end. `None`: it dies on
/// that question.
fn rolling(mut states: Vec<Option<Roll>>) -> Keeper {
    states.reverse();
    Keeper::new(move |request| {
        Some(match request {
            Request::List { .. } => {
                let declared = Declaration {
                    name: "new-checkout".into(),
                    services: vec!["web".into()],
                    ..Declaration::default()
                };
                vec![Reply::Flag(Box::new(Flag { declared, ..flag("", Value::Off) })), done(43)]
            }
            Request::Roll { .. } => vec![Reply::Roll(roll(0, Baking)), done(44)],
            Request::Rolls { rolls } => {
                assert_eq!(rolls, &[3]);
                let next = if states.len() > 1 { states.pop().unwrap() } else { states[0].clone() };
                vec![Reply::Roll(next?), done(44)]
            }
            Request::Seen { flags } => {
                assert_eq!(flags, &["new-checkout"]);
                vec![seen("new-checkout", "web", 10, 10, 10), done(47)]
            }
            other => panic!("{other:?}"),
        })
    })
}

fn all(states: impl IntoIterator<Item = Roll>) -> Vec<Option<Roll>> {
    states.into_iter().map(Some).collect()
}

fn killed() -> Roll {
    Roll {
        outcome: "web#7 died of SIGSEGV 1.2 s after it saw on (c-13)".into(),
        evidence: vec![13, 11],
        generation: 47,
        took_ns: 3_000_000,
        // It does not bake any more.
        baked_ns: 0,
        instances_on: 0,
        ..roll(1, RolledBack)
    }
}

#[test]
fn a_rollout_is_a_line_a_step_in_a_pipe_and_ends_with_0() {
    let keeper =
        rolling(all([roll(0, Baking), roll(1, Baking), roll(2, Baking), roll(3, Baking), roll(3, Done)]));
    keeper.check(
        BEGIN,
        0,
        "\
r-3  new-checkout off -> on   guard: 3 crashes in 60s, ready, health
   10%  [##..................]  baked 2m00s     1 of 10 web   ok
   25%  [#####...............]  baked 2m00s     3 of 10 web   ok
   50%  [##########..........]  baked 2m00s     5 of 10 web   ok
  100%  [####################]  baked 2m00s    10 of 10 web   ok
ok new-checkout is on, every step is proven, generation 47
",
        "",
    );
    let begun: Vec<Request> =
        keeper.asked().into_iter().filter(|request| matches!(request, Request::Roll { .. })).collect();
    let [Request::Roll { how, flag, steps, bake_ns, unit }] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!((how.reason.as_str(), flag.as_str(), unit.as_str()), ("SHOP-812", "new-checkout", "instance"));
    assert_eq!(
        (&steps[..], *bake_ns),
        (&["10%", "25%", "50%", "100%"].map(String::from)[..], 120_000_000_000)
    );
}

#[test]
fn a_rollout_that_kills_says_so_with_its_evidence_and_ends_with_1() {
    let keeper = rolling(all([roll(0, Baking), Roll { crashes: 3, ..roll(1, Baking) }, killed()]));
    keeper.check(
        BEGIN,
        1,
        "\
r-3  new-checkout off -> on   guard: 3 crashes in 60s, ready, health
   10%  [##..................]  baked 2m00s     1 of 10 web   ok
   25%  [#####...............]  0m41s / 2m      3 of 10 web   3 new crashes
!! rolled back in 3 ms: web#7 died of SIGSEGV 1.2 s after it saw on (c-13)
  all 10 read off again, generation 47. Evidence: mainstay crash show c-13
",
        "",
    );
}

#[test]
fn on_a_terminal_the_step_that_bakes_is_one_line_in_place() {
    let keeper = rolling(all([
        Roll { baked_ns: 1_000_000_000, ..roll(0, Baking) },
        Roll { baked_ns: 60_000_000_000, ..roll(0, Baking) },
        Roll { crashes: 3, ..roll(1, Baking) },
        killed(),
    ]));
    let (status, screen) = keeper.on_terminal(BEGIN).end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(
        screen,
        "\
r-3  new-checkout off → on   guard: 3 crashes in 60s, ready, health
   10%  [##..................]  baked 2m00s     1 of 10 web   ok
   25%  [#####...............]  0m41s / 2m      3 of 10 web   3 new crashes
✗ rolled back in 3 ms: web#7 died of SIGSEGV 1.2 s after it saw on (c-13)
  all 10 read off again, generation 47. Evidence: mainstay crash show c-13
"
    );
}

#[test]
fn a_rollout_is_followed_across_the_death_of_the_keeper() {
    let states = vec![
        Some(roll(0, Baking)),
        None,
        None,
        Some(roll(1, Baking)),
        None,
        Some(roll(3, Baking)),
        Some(roll(3, Done)),
    ];
    let outcome = rolling(states).run(BEGIN);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    // The step that came and went meanwhile has its line, without what nobody saw.
    assert!(outcome.stdout.contains("\n   50%  [##########..........]  baked 2m00s    ok\n"), "{outcome:?}");
}

#[test]
fn a_held_rollout_says_why_and_goes_on_being_followed() {
    let held = Roll { outcome: "web was sick before the change".into(), ..roll(1, Held) };
    let keeper = rolling(all([roll(1, Baking), held.clone(), held, roll(2, Ended)]));
    let outcome = keeper.run("flag roll --follow r-3");
    assert_eq!(outcome.code, 1);
    assert_eq!(
        outcome.stdout,
        "\
r-3  new-checkout -> on   guard: 3 crashes in 60s, ready, health
   25%  [#####...............]  0m41s / 2m      3 of 10 instances   held: web was sick before the change
   25%  [#####...............]  baked 2m00s     3 of 10 instances   ok
   50%  [##########..........]  0m41s / 2m      5 of 10 instances   ok
-- r-3 ended at 50%
"
    );
}

#[test]
fn a_timeout_leaves_the_rollout_alone_and_says_how_it_is() {
    let keeper = rolling(all([roll(0, Baking)]));
    let outcome = keeper.run(&format!("{BEGIN} --timeout 300ms"));
    assert_eq!(outcome.code, 124);
    assert_eq!(
        outcome.stderr,
        "mainstay: followed r-3 for 300 ms: it is baking at 10% and goes on; mainstay flag roll --follow r-3\n"
    );
    assert!(!keeper.asked().iter().any(|request| matches!(request, Request::Steer { .. })));
}

#[test]
fn ctrl_c_leaves_the_rollout_alone_and_says_so() {
    let keeper = rolling(all([roll(0, Baking)]));
    let mut terminal = keeper.on_terminal(BEGIN);
    terminal.await_text("0m41s / 2m");
    terminal.signal(Signal::SIGINT);
    let (status, screen) = terminal.end();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2), "{screen}");
    assert!(
        screen.ends_with(
            " 1 of 10 web   ok\nr-3 goes on without you.\n  follow it      mainstay flag roll --follow r-3\n  take it back   mainstay flag roll --back r-3\n"
        ),
        "{screen}"
    );
    assert!(!keeper.asked().iter().any(|request| matches!(request, Request::Steer { .. })));
}

#[test]
fn a_refused_rollout_ends_with_1_and_one_that_is_not_waited_for_prints_its_number() {
    let keeper =
        Keeper::saying(refused(1, "`new-checkout` is banned: it killed web#7 (c-13)", "--override-ban"));
    keeper.check(
        BEGIN,
        1,
        "",
        "mainstay: `new-checkout` is banned: it killed web#7 (c-13)\nhint: --override-ban\n",
    );
    let keeper = rolling(all([roll(0, Baking)]));
    keeper.check(&format!("{BEGIN} --no-wait"), 0, "r-3\n", "");
    let object = keeper.run(&format!("{BEGIN} --no-wait --json")).ok();
    assert!(object.starts_with("{\"schema\":1,\"roll\":\"r-3\",\"name\":\"new-checkout\","), "{object}");
}

#[test]
fn a_dry_run_shows_the_steps_and_begins_nothing() {
    let keeper = rolling(all([roll(0, Baking)]));
    keeper.check(
        &format!("{BEGIN} -n"),
        0,
        "\
dry run  new-checkout off -> on   guard: 3 crashes in 60s, ready, health
   10%  [##..................]  bakes 2m
   25%  [#####...............]  bakes 2m
   50%  [##########..........]  bakes 2m
  100%  [####################]  bakes 2m
",
        "",
    );
    let how = keeper.asked().iter().find_map(|request| request.how().cloned()).unwrap();
    assert!(how.dry_run);
}

#[test]
fn in_json_a_rollout_is_an_object_for_each_change() {
    let keeper = rolling(all([roll(0, Baking), roll(0, Baking), roll(1, Baking), killed()]));
    let outcome = keeper.run(&format!("{BEGIN} --json"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, ""));
    let objects: Vec<serde_json::Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = objects.iter().map(|o| (o["share"].as_str(), o["state"].as_str())).collect();
    assert_eq!(
        said,
        [(Some("10%"), Some("baking")), (Some("25%"), Some("baking")), (Some("25%"), Some("rolled_back"))]
    );
    assert_eq!(objects[2]["took_ns"], 3_000_000);
    assert_eq!(objects[2]["evidence"], serde_json::json!(["c-13", "c-11"]));
    assert!(!outcome.stdout.contains(": {") && !outcome.stdout.contains(", \""), "{}", outcome.stdout);
}

#[test]
fn the_rollouts_that_are_kept_are_a_table_the_newest_first() {
    let done_before =
        Roll { number: 2, bake_ns: 300_000_000_000, baked_ns: 300_000_000_000, ..roll(3, Done) };
    let keeper = Keeper::saying(vec![Reply::Roll(done_before), Reply::Roll(killed()), done(47)]);
    keeper.check(
        "flag roll --status",
        0,
        "\
ROLL  FLAG          STEP      STATE        BAKED       WHY
r-3   new-checkout  25% 2/4   rolled back  0.0s / 2m   web#7 died of SIGSEGV 1…
r-2   new-checkout  100% 4/4  done         5m00s / 5m  -
",
        "",
    );
}

#[test]
fn a_rollout_that_does_not_exist_is_not_found() {
    let keeper = Keeper::saying(vec![done(47)]);
    let talk =
        "mainstay: there is no rollout r-9\nhint: `mainstay flag roll --status` shows those that are kept\n";
    keeper.check("flag roll --status r-9", 4, "", talk);
    keeper.check("flag roll --follow r-9", 4, "", talk);
    keeper.check(
        "flag roll --status",
        0,
        "",
        "nothing is being rolled out; begin with `mainstay flag roll FLAG --steps 1,10,50,100`\n",
    );
}

#[test]
fn a_rollout_is_steered_by_its_number() {
    let keeper = Keeper::new(|request| {
        let Request::Steer { to, .. } = request else { panic!("{request:?}") };
        Some(match to {
            Steering::End => {
                vec![Reply::Roll(Roll { outcome: "ended by ana".into(), ..roll(1, Ended) }), done(48)]
            }
            Steering::Back => {
                vec![changed("new-checkout", "25%", "off", 48), Reply::Roll(roll(1, RolledBack)), done(48)]
            }
            Steering::On => vec![Reply::Roll(roll(2, Baking)), done(48)],
        })
    });
    keeper.check("flag roll --end r-3", 0, "r-3 new-checkout ended at 25%: ended by ana\n", "");
    keeper.check(
        "flag roll --back r-3 --why worse",
        0,
        "new-checkout 25% -> off  generation 48\nr-3 new-checkout rolled back at 25%\n",
        "",
    );
    keeper.check("flag roll --on 3", 0, "r-3 new-checkout baking at 50%\n", "");
    let rolls: Vec<u64> = keeper
        .asked()
        .iter()
        .map(|request| match request {
            Request::Steer { roll, .. } => *roll,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(rolls, [3, 3, 3]);
}

#[test]
fn what_is_typed_with_a_rollout_reaches_the_keeper_and_nothing_else() {
    let keeper = Keeper::saying(vec![Reply::Roll(roll(0, Baking)), done(44)]);
    let line = "flag roll new-checkout --steps 10,100 --no-wait";
    for (line, typed) in [(line.to_owned(), false), (format!("{line} --override-ban --volatile -n"), true)] {
        keeper.run(&line).ok();
        let asked = keeper.asked();
        let Some(Request::Roll { how, .. }) = asked.iter().find(|request| request.changes()) else {
            panic!("{asked:?}")
        };
        assert_eq!([how.override_ban, how.volatile, how.dry_run], [typed; 3], "{line}");
    }
}

#[test]
fn a_rollout_that_is_in_memory_only_is_no_success_unless_it_was_asked_for() {
    let talk =
        "warning: this is in memory only, and lost if the keeper dies before the disk can be written\n";
    let in_memory = |roll: Roll| vec![Reply::Roll(roll), Reply::Done { generation: 48, durable: false }];
    let keeper = Keeper::new(move |request| {
        Some(match request {
            Request::Roll { .. } | Request::Stage { .. } => in_memory(roll(0, Baking)),
            Request::Steer { .. } => in_memory(roll(1, Ended)),
            _ => vec![done(48)],
        })
    });
    for (line, said) in [
        ("flag roll new-checkout --steps 10,100 --no-wait", "r-3\n"),
        ("stage enable otp 1 --no-wait", "r-3\n"),
        ("flag roll --end r-3", "r-3 new-checkout ended at 25%\n"),
    ] {
        keeper.check(line, 1, said, talk);
        keeper.check(&format!("{line} --volatile"), 0, said, talk);
        let dry = keeper.run(&format!("{line} --dry-run"));
        assert_eq!((dry.code, dry.stderr.as_str()), (0, ""), "{line}");
    }
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let keeper = Keeper::saying(vec![done(1)]);
    for line in [
        "flag roll",
        "flag roll x",
        "flag roll x --steps",
        "flag roll x --steps 0,50",
        "flag roll x --steps 10,101",
        "flag roll x --steps 10 --bake 5",
        "flag roll x --steps 10 --unit person",
        "flag roll --steps 10",
        "flag roll --end",
        "flag roll --end s-3",
        "flag roll --end r-3 --back r-3",
        "flag roll --status --unit id",
        "flag roll x --steps 10 --no-wait --timeout 5s",
    ] {
        assert_eq!(keeper.run(line).code, 2, "{line}");
    }
    assert_eq!(keeper.asked(), []);
}
