//! `guard status|on|off|observe|thaw`.

use crate::rig::{Keeper, done, refused};
use mainstay::flags::guard::Mode;
use mainstay::ipc::flags::{Banned, Reply, Request, SAY_WHY, Watched};
use mainstay::time::Wall;

fn busy() -> Keeper {
    let watched = Watched {
        name: "new-checkout".into(),
        stage: 0,
        generation: 44,
        baked_ns: 41_000_000_000,
        bake_ns: 300_000_000_000,
        crashes: 1,
        held: "web was sick before the change".into(),
        observe: false,
        actor: "ana".into(),
        time: Wall(0),
    };
    let banned = Banned {
        name: "otp_cleanup".into(),
        stage: 2,
        why: "web#7 died of SIGSEGV three times in 4 s".into(),
        evidence: vec![9, 11, 13],
        time: Wall(0),
        rollbacks: 3,
        frozen: true,
    };
    Keeper::saying(vec![
        Reply::GuardIs { mode: Mode::On },
        Reply::Watched(watched),
        Reply::Banned(banned),
        done(44),
    ])
}

#[test]
fn the_guard_shows_what_it_watches_and_what_it_has_banned() {
    let outcome = busy().run("guard status");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    // How long ago depends on today; everything else does not.
    let ago = outcome.stdout.split("ana, ").nth(1).and_then(|rest| rest.split("  ").next()).unwrap();
    let blanks = " ".repeat(ago.len().saturating_sub("SINCE".len()));
    assert_eq!(
        outcome.stdout,
        format!(
            "\
guard on: it watches changes, and takes back those that kill

WATCHED       BAKED       CRASHES  SET BY    {blanks}  STATE
new-checkout  0m41s / 5m  1        ana, {ago}  held: web was sick before the change

BANNED         SINCE{blanks}  ROLLBACKS  EVIDENCE       WHY
otp_cleanup 2  {ago}  3, frozen  c-9 c-11 c-13  web#7 died of SIGSEGV three times in 4 s

Set one all the same: --override-ban. End a freeze: mainstay guard thaw NAME
"
        )
    );
}

#[test]
fn a_guard_without_work_says_so() {
    let keeper = Keeper::saying(vec![Reply::GuardIs { mode: Mode::Observe }, done(1)]);
    keeper.check(
        "guard status",
        0,
        "guard observing: it only says what it would do\nnothing is watched, nothing is banned\n",
        "",
    );
    let object = "{\"schema\":1,\"mode\":\"observe\",\"watched\":[],\"banned\":[]}\n";
    keeper.check("guard status --json", 0, object, "");
}

#[test]
fn the_guard_in_json_keeps_its_keys() {
    let whole = busy().run("guard status --json").ok();
    let object: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(object["banned"][0]["evidence"], serde_json::json!(["c-9", "c-11", "c-13"]));
    assert_eq!(object["banned"][0]["stage"], 2);
    assert_eq!(object["watched"][0]["stage"], serde_json::Value::Null);
    assert_eq!(object["watched"][0]["baked_seconds"], 41.0);
}

#[test]
fn the_switch_is_moved_with_a_reason() {
    let keeper = Keeper::saying(vec![done(45)]);
    for (line, said, mode, thaw) in [
        ("guard off --why night", "the guard is off: no change is watched\n", Some(Mode::Off), &[][..]),
        (
            "guard on --why day",
            "the guard is on: it watches changes, and takes back those that kill\n",
            Some(Mode::On),
            &[],
        ),
        (
            "guard observe --why try",
            "the guard is observing: it only says what it would do\n",
            Some(Mode::Observe),
            &[],
        ),
        (
            "guard thaw a b --why mended",
            "a may be changed again\nb may be changed again\n",
            None,
            &["a", "b"],
        ),
    ] {
        keeper.check(line, 0, said, "");
        let asked = keeper.asked();
        let [Request::Guard { how, mode: sent, thaw: names }] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(
            (*sent, &names[..]),
            (mode, &thaw.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()[..])
        );
        assert!(!how.reason.is_empty());
    }
    let strict = Keeper::saying(refused(2, "the guard's switch needs a reason", SAY_WHY));
    let talk = "mainstay: the guard's switch needs a reason\nhint: say it with `--why TEXT`\n";
    strict.check("guard off", 2, "", talk);
    assert_eq!(strict.run("guard thaw --why x").code, 2);
}

#[test]
fn a_switch_that_is_moved_in_memory_only_is_no_success_unless_it_was_asked_for() {
    let talk =
        "warning: this is in memory only, and lost if the keeper dies before the disk can be written\n";
    let keeper = Keeper::saying(vec![Reply::Done { generation: 45, durable: false }]);
    let said = "the guard is off: no change is watched\n";
    keeper.check("guard off --why night", 1, said, talk);
    keeper.check("guard off --why night --volatile", 0, said, talk);
    keeper.check("guard off --why night --dry-run", 0, &format!("dry run: {said}"), "");
}
