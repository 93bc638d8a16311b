//! Every request that there is, through the socket, against a keeper that runs.
//!
//! What must hold: the answer, the journal, the board and the audit log say the same; what is refused changes nothing; what
//! is sent again changes nothing and is answered the same.

#![allow(clippy::unwrap_used)]

#[path = "support/keeper.rs"]
mod support;

use mainstay::audit;
use mainstay::flags::guard::{Guarding, Mode, RollState};
use mainstay::flags::{Declaration, Kind, Migration, Packed, Requires, Stage, Truth, Value};
use mainstay::ipc::declared::Declarations;
use mainstay::ipc::flags::{Changed, Edit, Flag, How, Reply, Request, Roll, Steering, Way};
use mainstay::services::keeper::client;
use support::{Home, Life, declaration};

fn text(text: &str) -> Value {
    Value::Text(Packed::new(text).unwrap())
}

/// Flags of every kind, a guarded one, and a migration of three stages.
fn declarations() -> Declarations {
    let guard = Guarding { services: vec!["web".into()], ..Guarding::default() };
    let stage = |name: &str, on: &[&str]| Stage {
        name: name.into(),
        on: on.iter().map(|flag| (*flag).into()).collect(),
        ..Stage::default()
    };
    Declarations {
        flags: vec![
            declaration("plain"),
            Declaration { kind: Kind::Bool, ..declaration("switch") },
            Declaration {
                kind: Kind::Int,
                default: Value::Int(10),
                safe: Value::Int(1),
                ..declaration("limit")
            },
            Declaration {
                kind: Kind::Text,
                default: text("info"),
                safe: text("warn"),
                ..declaration("level")
            },
            Declaration { configured: Some(Value::On), ..declaration("configured") },
            Declaration { guard: Some(guard.clone()), ..declaration("guarded") },
            Declaration { why: true, ..declaration("explained") },
            Declaration {
                requires: Some(Requires { flag: "switch".into(), on: true }),
                ..declaration("dependent")
            },
            declaration("one_a"),
            declaration("one_b"),
            declaration("two"),
            declaration("three"),
        ],
        migrations: vec![Migration {
            name: "otp_cleanup".into(),
            stages: vec![
                stage("registry", &["one_a", "one_b"]),
                Stage { steps: vec![1_000, 50_000, 100_000], ..stage("telemetry", &["two"]) },
                Stage { one_way: true, ..stage("enforce", &["three"]) },
            ],
            guard,
            ..Migration::default()
        }],
        guard: Mode::On,
    }
}

fn home() -> (Home, Life) {
    let home = Home::new(&[]);
    home.declare_all(&declarations());
    let life = home.start();
    (home, life)
}

fn how(reason: &str) -> How {
    How { id: client::fresh_id(), reason: reason.into(), ..How::default() }
}

fn set(flag: &str, to: &str, reason: &str) -> Request {
    Request::Set { how: how(reason), edits: vec![Edit::new(flag, to)] }
}

fn stage(way: Way, to: &str, force: bool) -> Request {
    Request::Stage {
        how: how("because"),
        migration: "otp_cleanup".into(),
        to: to.into(),
        way,
        force,
        past_one_way: false,
        at_once: false,
    }
}

#[track_caller]
fn ask(home: &Home, request: &Request) -> Vec<Reply> {
    home.request(request).unwrap_or_else(|refusal| panic!("{refusal:?}")).replies
}

#[track_caller]
fn refused(home: &Home, request: &Request) -> (u8, String, String) {
    let before = home.truth();
    let refusal = home.request(request).unwrap_err();
    assert_eq!(home.truth(), before, "what is refused changes nothing");
    (refusal.code, refusal.message, refusal.hint)
}

/// Flag, old and new of each that changed.
fn changes(replies: &[Reply]) -> Vec<(&str, &str, &str)> {
    let changed = replies.iter().filter_map(|reply| match reply {
        Reply::Changed(Changed { flag, old, new, unchanged: false, .. }) => {
            Some((flag.as_str(), old.as_str(), new.as_str()))
        }
        _ => None,
    });
    changed.collect()
}

#[track_caller]
fn flag(home: &Home, name: &str) -> Flag {
    match &ask(home, &Request::List { flags: vec![name.into()] })[..] {
        [Reply::Flag(flag)] => (**flag).clone(),
        other => panic!("{other:?}"),
    }
}

fn rolls(replies: &[Reply]) -> Vec<&Roll> {
    let roll = |reply: &'_ Reply| matches!(reply, Reply::Roll(_));
    replies
        .iter()
        .filter(|reply| roll(reply))
        .map(|reply| match reply {
            Reply::Roll(roll) => roll,
            _ => unreachable!(),
        })
        .collect()
}

#[test]
fn every_kind_is_set_by_what_people_write_and_read_from_the_board() {
    let (home, _life) = home();
    for (name, to, expected) in [
        ("plain", "12.5%", Value::Share(12_500)),
        ("switch", "on", Value::On),
        ("limit", "-43", Value::Int(-43)),
        ("level", "debug", text("debug")),
        ("level", "\"disabled\"", text("disabled")),
    ] {
        ask(&home, &set(name, to, ""));
        assert_eq!(home.board(name), Some(expected.into()), "{name}");
        assert_eq!(flag(&home, name).truth, Truth::from(expected), "{name}");
    }
    for (name, to, hint) in [
        ("switch", "12%", "on or off"),
        ("limit", "many", "whole number"),
        ("level", &"x".repeat(129), "128 bytes"),
        ("plain", "100.0001%", "percentage"),
    ] {
        let (code, message, _) = refused(&home, &set(name, to, ""));
        assert_eq!(code, 2, "{message}");
        assert!(message.contains(name) && message.contains(hint), "{message}");
    }
    let (code, message, hint) = refused(&home, &set("otp_cleanup", "1", ""));
    assert_eq!(code, 2, "{message}");
    assert!(hint.contains("stage"), "{hint}");
    let (code, _, hint) = refused(&home, &set("limi", "1", ""));
    assert_eq!((code, hint.as_str()), (4, "did you mean `limit`?"));
}

#[test]
fn default_is_what_the_declaration_says_and_load_is_what_the_file_says() {
    let (home, _life) = home();
    assert_eq!(home.board("configured"), Some(Value::On.into()));
    ask(&home, &set("configured", "default", ""));
    assert_eq!(home.board("configured"), Some(Value::Off.into()));
    ask(&home, &Request::Load { how: how("again") });
    assert_eq!(home.board("configured"), Some(Value::On.into()));
    assert!(!flag(&home, "configured").set);
    ask(&home, &stage(Way::Enable, "1", false));
    let reset = ask(&home, &Request::Reset { how: how("all of it"), flags: vec![] });
    let changed = changes(&reset);
    assert!(changed.contains(&("configured", "on", "off")), "{changed:?}");
    assert!(changed.contains(&("otp_cleanup", "1", "0")), "{changed:?}");
    assert_eq!(home.board("one_a"), Some(Value::Off.into()));
    assert_eq!(home.board("otp_cleanup"), Some(Value::Stage(0).into()));
}

#[test]
fn a_reason_is_asked_for_where_one_is_required() {
    let (home, _life) = home();
    for request in [
        set("guarded", "on", ""),
        set("explained", "on", " "),
        Request::Emergency { how: How::default(), migration: String::new() },
        Request::Guard { how: How::default(), mode: Some(Mode::Off), thaw: vec![] },
    ] {
        let (code, message, hint) = refused(&home, &request);
        assert_eq!(code, 2, "{message}");
        assert!(hint.contains("--why"), "{hint}");
    }
    ask(&home, &set("guarded", "on", "a try"));
    assert_eq!(flag(&home, "guarded").reason, "a try");
    let long = "x".repeat(mainstay::services::keeper::REASON_MAX + 1);
    assert_eq!(refused(&home, &set("plain", "on", &long)).0, 2);
}

#[test]
fn a_stage_puts_all_its_flags_at_once_whatever_was_set_by_hand() {
    let (home, _life) = home();
    ask(&home, &set("one_b", "30%", ""));
    ask(&home, &set("three", "on", ""));
    let replies = ask(&home, &stage(Way::Enable, "registry", false));
    let changed = changes(&replies);
    assert!(
        changed.contains(&("one_a", "off", "on")) && changed.contains(&("one_b", "30%", "on")),
        "{changed:?}"
    );
    assert!(changed.contains(&("three", "on", "off")), "by hand, and not of a stage that is on: {changed:?}");
    assert!(changed.contains(&("otp_cleanup", "0", "1")), "{changed:?}");
    for (name, value) in
        [("one_a", Value::On), ("one_b", Value::On), ("two", Value::Off), ("three", Value::Off)]
    {
        assert_eq!(home.board(name), Some(value.into()), "{name}");
    }
    assert_eq!(home.board("otp_cleanup"), Some(Value::Stage(1).into()));
    let (code, message, hint) = refused(&home, &stage(Way::Enable, "3", false));
    assert_eq!(code, 1, "{message}");
    assert!(hint.contains("--force"), "{hint}");
    assert_eq!(refused(&home, &stage(Way::Rollback, "1", false)).0, 1, "not earlier");
    assert_eq!(refused(&home, &stage(Way::Enable, "regitry", false)).2, "did you mean `registry`?");
    let replies = ask(&home, &stage(Way::Rollback, "0", false));
    assert!(changes(&replies).contains(&("otp_cleanup", "1", "0")));
    assert_eq!(home.board("one_a"), Some(Value::Off.into()));
}

#[test]
fn a_stage_with_steps_comes_in_as_a_rollout_and_its_number_with_the_last_step() {
    let (home, _life) = home();
    ask(&home, &stage(Way::Enable, "1", false));
    let replies = ask(&home, &stage(Way::Enable, "2", false));
    let [roll] = rolls(&replies)[..] else { panic!("{replies:?}") };
    assert_eq!((roll.state, roll.step, roll.stage), (RollState::Baking, 0, 2));
    assert_eq!(roll.steps, ["1%", "50%", "on"]);
    assert_eq!(home.board("two"), Some(Value::Share(1_000).into()));
    assert_eq!(
        home.board("otp_cleanup"),
        Some(Value::Stage(1).into()),
        "the stage before, while it comes in"
    );
    assert_eq!(flag(&home, "two").roll, roll.number);
    let back = Request::Steer { how: how("no"), roll: roll.number, to: Steering::Back };
    let replies = ask(&home, &back);
    assert_eq!(rolls(&replies)[0].state, RollState::RolledBack);
    assert_eq!(home.board("two"), Some(Value::Off.into()));
    let migrations = ask(&home, &Request::Migrations { migrations: vec![] });
    let Reply::Migration(migration) = &migrations[0] else { panic!("{migrations:?}") };
    assert_eq!((migration.stage, migration.stage_name.as_str(), migration.stages), (1, "registry", 3));
    assert_eq!(migrations.len(), 4);
    let Reply::Stage(first) = &migrations[1] else { panic!("{migrations:?}") };
    assert!(first.on);
    assert_eq!(first.flags, [("one_a".into(), "on".into()), ("one_b".into(), "on".into())]);
    assert_eq!(refused(&home, &Request::Migrations { migrations: vec!["otp".into()] }).0, 4);
}

#[test]
fn a_rollout_is_begun_listed_and_ended() {
    let (home, _life) = home();
    let begin = |steps: &[&str], unit: &str| Request::Roll {
        how: how("slowly"),
        flag: "guarded".into(),
        steps: steps.iter().map(|step| (*step).into()).collect(),
        bake_ns: 0,
        unit: unit.into(),
    };
    assert_eq!(refused(&home, &begin(&["50", "10"], "")).0, 2);
    assert_eq!(refused(&home, &begin(&["10", "x"], "")).0, 2);
    assert_eq!(refused(&home, &begin(&["10"], "host")).0, 2, "another unit than the declared one");
    assert_eq!(refused(&home, &begin(&["10"], "planet")).0, 2);
    let replies = ask(&home, &begin(&["10", "100"], "id"));
    let [roll] = rolls(&replies)[..] else { panic!("{replies:?}") };
    assert_eq!(changes(&replies), [("guarded", "off", "10%")]);
    assert_eq!(roll.guard, "3 crashes in 60s, ready, health");
    assert_eq!(rolls(&ask(&home, &Request::Rolls { rolls: vec![] })).len(), 1);
    let end = Request::Steer { how: how("enough"), roll: roll.number, to: Steering::End };
    assert_eq!(rolls(&ask(&home, &end))[0].state, RollState::Ended);
    assert_eq!(home.board("guarded"), Some(Value::Share(10_000).into()), "what came in stays");
    assert_eq!(refused(&home, &Request::Rolls { rolls: vec![99] }).0, 4);
    assert_eq!(refused(&home, &Request::Steer { how: how("x"), roll: 99, to: Steering::On }).0, 4);
}

#[test]
fn emergency_is_one_change_and_nothing_stands_in_its_way() {
    let (home, _life) = home();
    ask(&home, &stage(Way::Enable, "1", false));
    ask(&home, &set("limit", "99", ""));
    let before = home.truth().generation();
    let replies = ask(&home, &Request::Emergency { how: how("fire"), migration: "otp_cleanup".into() });
    assert!(changes(&replies).contains(&("otp_cleanup", "1", "0")), "{replies:?}");
    assert_eq!(home.truth().generation(), before + 1);
    assert_eq!(home.board("limit"), Some(Value::Int(99).into()), "not of that migration");
    ask(&home, &Request::Emergency { how: how("fire"), migration: String::new() });
    assert_eq!(home.board("limit"), Some(Value::Int(1).into()));
    assert_eq!(home.board("level"), Some(text("warn").into()));
    let found = audit::newest(&audit::file(&home.state()), "limit", 1).unwrap();
    assert_eq!((found.lines[0].verb.as_str(), found.lines[0].reason.as_str()), ("emergency", "fire"));
}

#[test]
fn what_a_flag_requires_decides_what_readers_see_and_both_appear_at_once() {
    let (home, _life) = home();
    ask(&home, &set("dependent", "on", ""));
    assert_eq!(home.board("dependent"), Some(Value::Off.into()));
    let seen = flag(&home, "dependent");
    assert_eq!((seen.truth.value, seen.effective.value), (Value::On, Value::Off));
    let before = mainstay::board::Board::open(&home.runtime()).generation().unwrap();
    ask(&home, &set("switch", "on", ""));
    assert_eq!(home.board("dependent"), Some(Value::On.into()));
    assert_eq!(mainstay::board::Board::open(&home.runtime()).generation(), Some(before + 1));
    ask(&home, &set("switch", "off", ""));
    assert_eq!(home.board("dependent"), Some(Value::Off.into()));
}

#[test]
fn what_is_sent_again_is_answered_the_same_and_changes_nothing_whatever_it_is() {
    let (home, mut life) = home();
    let roll = Request::Roll {
        how: how("slowly"),
        flag: "guarded".into(),
        steps: vec!["10".into(), "100".into()],
        bake_ns: 0,
        unit: String::new(),
    };
    for request in [
        set("level", "debug", ""),
        stage(Way::Enable, "1", false),
        stage(Way::Enable, "2", false),
        roll,
        Request::Steer { how: how("no"), roll: 1, to: Steering::Back },
        stage(Way::Rollback, "0", false),
        Request::Emergency { how: how("fire"), migration: String::new() },
        Request::Reset { how: how("all"), flags: vec!["limit".into()] },
        Request::Load { how: how("again") },
        Request::Guard { how: how("quiet"), mode: Some(Mode::Observe), thaw: vec![] },
    ] {
        let first = ask(&home, &request);
        let made = home.truth();
        for restarted in [false, true] {
            if restarted {
                life.kill();
                life = home.start();
            }
            let again = ask(&home, &request);
            assert_eq!(home.truth(), made, "{request:?}");
            let (mut one, mut other) = (changes(&first), changes(&again));
            one.sort_unstable();
            other.sort_unstable();
            assert_eq!(one, other, "{request:?}");
            let numbers =
                |replies: &[Reply]| rolls(replies).iter().map(|roll| roll.number).collect::<Vec<_>>();
            assert_eq!(numbers(&first), numbers(&again), "{request:?}");
            let repeated = |reply: &Reply| matches!(reply, Reply::Changed(changed) if !changed.repeated);
            assert!(!again.iter().any(repeated), "{again:?}");
        }
    }
}

#[test]
fn a_dry_run_of_a_stage_says_what_would_be_and_does_nothing() {
    let (home, _life) = home();
    let before = home.truth();
    let Request::Stage { migration, to, way, .. } = stage(Way::Enable, "1", false) else { unreachable!() };
    let how = How { dry_run: true, ..how("a try") };
    let request =
        Request::Stage { how, migration, to, way, force: false, past_one_way: false, at_once: false };
    let replies = ask(&home, &request);
    assert!(changes(&replies).contains(&("otp_cleanup", "0", "1")));
    assert_eq!(home.truth(), before);
    assert_eq!(home.board("one_a"), Some(Value::Off.into()));
}

#[test]
fn the_audit_log_says_who_what_and_why_in_a_chain_that_breaks_where_it_is_touched() {
    let (home, mut life) = home();
    ask(&home, &set("plain", "12.5%", "a try"));
    ask(&home, &stage(Way::Enable, "1", false));
    let path = audit::file(&home.state());
    let newest = |name: &str| audit::newest(&path, name, 1).unwrap().lines.remove(0);
    let line = newest("plain");
    assert_eq!((line.verb.as_str(), line.reason.as_str()), ("flag set plain=12.5%", "a try"));
    assert_eq!((line.changes[0].from.as_str(), line.changes[0].to.as_str()), ("off", "12.5%"));
    let line = newest("otp_cleanup");
    assert_eq!(line.verb, "stage enable otp_cleanup 1");
    assert!(line.facts.iter().any(|said| said.what == "stands at stage 1"), "{line:?}");
    let lines = home.audited().len() as u64;
    life.kill();
    // A word of the second line.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("a try", "a lie", 1)).unwrap();
    let broken = audit::verify(&path).unwrap_err().to_string();
    assert!(broken.contains("line 3") && broken.contains("does not continue"), "{broken}");
    // The keeper goes on behind it, and destroys no evidence.
    let _life = home.start();
    ask(&home, &set("plain", "on", "after"));
    assert_eq!(audit::newest(&path, "", 1).unwrap().lines[0].reason, "after");
    assert!(std::fs::read_to_string(&path).unwrap().lines().count() as u64 > lines);
    assert_eq!(audit::verify(&path).unwrap_err().to_string(), broken);
}

#[test]
fn where_guarding_and_seen_answer() {
    let (home, life) = home();
    let place = home.where_is_everything();
    assert_eq!((place.pid, place.flags), (life.id(), 12));
    ask(&home, &set("guarded", "on", "a try"));
    let guarding = ask(&home, &Request::Guarding);
    assert_eq!(guarding[0], Reply::GuardIs { mode: Mode::On });
    let Reply::Watched(watched) = &guarding[1] else { panic!("{guarding:?}") };
    assert_eq!((watched.name.as_str(), watched.bake_ns), ("guarded", 300_000_000_000));
    assert_eq!(flag(&home, "guarded").guard, "baking");
    assert_eq!(ask(&home, &Request::Seen { flags: vec!["plain".into()] }), [], "nobody is there to read it");
    assert_eq!(refused(&home, &Request::Seen { flags: vec!["plan".into()] }).0, 4);
}
