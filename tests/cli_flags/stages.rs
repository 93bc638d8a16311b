//! `stage list|status|enable|rollback` and `emergency`.

use crate::rig::{Keeper, changed, changed_one, done, refused, roll};
use mainstay::flags::guard::RollState::{Baking, Done};
use mainstay::ipc::flags::{Migration, Reply, Request, Roll, Stage, Watched, Way};
use mainstay::time::Wall;

fn migration(stage: u32, stage_name: &str) -> Migration {
    Migration {
        name: "otp_cleanup".into(),
        stage,
        stage_name: stage_name.into(),
        stages: 3,
        roll: 0,
        generation: 44,
        uid: 1000,
        actor: "ana".into(),
        reason: "SHOP-812".into(),
        time: Wall(0),
        guard: String::new(),
        owner: "ana".into(),
        description: "one registry for all".into(),
    }
}

fn stages(on: u32) -> Vec<Reply> {
    let stage = |number, name: &str, flags: &[&str], steps: &[&str], one_way| {
        let value = if number <= on { "on" } else { "off" };
        Reply::Stage(Stage {
            number,
            name: name.into(),
            on: number <= on,
            flags: flags.iter().map(|flag| ((*flag).to_owned(), value.to_owned())).collect(),
            steps: steps.iter().map(|step| (*step).to_owned()).collect(),
            one_way,
            banned: String::new(),
        })
    };
    vec![
        stage(1, "registry", &["use_shared_registry", "migration_monitoring"], &[], false),
        stage(2, "telemetry", &["use_span_service"], &["1%", "10%", "50%", "on"], false),
        stage(3, "enforce", &["enforce"], &[], true),
    ]
}

fn watched(name: &str, stage: u32) -> Reply {
    Reply::Watched(Watched {
        name: name.into(),
        stage,
        generation: 44,
        baked_ns: 41_000_000_000,
        bake_ns: 300_000_000_000,
        crashes: 1,
        held: String::new(),
        observe: false,
        actor: "ana".into(),
        time: Wall(0),
    })
}

/// A keeper whose migration stands at this stage, and that says this to a move.
fn at(stage: u32, name: &'static str, moved: Vec<Reply>) -> Keeper {
    Keeper::new(move |request| {
        Some(match request {
            Request::Migrations { .. } => {
                let mut replies = vec![Reply::Migration(migration(stage, name))];
                replies.extend(stages(stage));
                replies.push(done(44));
                replies
            }
            Request::Guarding => vec![watched("otp_cleanup", stage), watched("other", 0), done(44)],
            Request::Stage { .. } => moved.clone(),
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn a_stage_that_comes_in_at_once_says_what_changed_and_that_it_is_watched() {
    let moved = vec![
        changed("use_shared_registry", "off", "on", 44),
        changed("migration_monitoring", "off", "on", 44),
        done(44),
    ];
    let mut looks = 0;
    let keeper = Keeper::new(move |request| {
        Some(match request {
            Request::Migrations { .. } => {
                looks += 1;
                let (stage, name) = if looks == 1 { (0, "-") } else { (1, "registry") };
                vec![Reply::Migration(migration(stage, name)), done(44)]
            }
            Request::Guarding => vec![watched("otp_cleanup", 1), done(44)],
            _ => moved.clone(),
        })
    });
    keeper.check(
        "stage enable otp_cleanup registry --why SHOP-812",
        0,
        "\
otp_cleanup stage 0 -> 1 registry  generation 44
  use_shared_registry off -> on
  migration_monitoring off -> on
  the guard watches it for 5m, and takes it back if it kills
",
        "",
    );
    let asked = keeper.asked();
    let sent = asked.iter().find(|request| request.changes()).unwrap();
    let Request::Stage { how, migration, to, way, force, past_one_way, at_once } = sent else {
        panic!("{sent:?}")
    };
    assert_eq!(
        (migration.as_str(), to.as_str(), how.reason.as_str()),
        ("otp_cleanup", "registry", "SHOP-812")
    );
    assert_eq!((*way, *force, *past_one_way, *at_once), (Way::Enable, false, false, false));
}

#[test]
fn a_dry_run_of_a_move_says_from_where_to_where() {
    let keeper = at(1, "registry", vec![changed("use_span_service", "off", "on", 44), done(44)]);
    keeper.check(
        "stage enable otp_cleanup 2 -n",
        0,
        "otp_cleanup stage 1 registry -> 2 telemetry  dry run\n  use_span_service off -> on\n",
        "",
    );
}

#[test]
fn what_is_typed_with_a_move_reaches_the_keeper() {
    let keeper = at(1, "registry", vec![changed("otp_cleanup", "3", "1", 44), done(44)]);
    keeper.run("stage enable otp_cleanup 3 --force --at-once --override-ban -n");
    keeper.run("stage rollback otp_cleanup 0 --past-one-way --volatile");
    let asked: Vec<Request> = keeper.asked().into_iter().filter(Request::changes).collect();
    let [
        Request::Stage { how, force: true, at_once: true, past_one_way: false, way: Way::Enable, .. },
        Request::Stage { how: back, past_one_way: true, way: Way::Rollback, to, .. },
    ] = &asked[..]
    else {
        panic!("{asked:?}")
    };
    assert!(how.dry_run && how.override_ban && back.volatile && to == "0");
    // And nothing that was not typed.
    keeper.run("stage rollback otp_cleanup 0");
    let asked: Vec<Request> = keeper.asked().into_iter().filter(Request::changes).collect();
    let [Request::Stage { how, force: false, at_once: false, past_one_way: false, .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert!(!(how.dry_run || how.override_ban || how.volatile));
}

#[test]
fn a_dry_run_of_a_stage_with_steps_shows_them_and_follows_nothing() {
    let coming = Reply::Roll(Roll { name: "otp_cleanup".into(), stage: 2, ..roll(0, Baking) });
    // Whoever asked how it goes on would be heard.
    let keeper = at(1, "registry", vec![coming, done(44)]);
    let shown = keeper.run("stage enable otp_cleanup 2 --dry-run").ok();
    assert!(["10%", "25%", "50%", "100%"].iter().all(|step| shown.contains(step)), "{shown}");
}

#[test]
fn a_stage_with_steps_is_followed_like_a_rollout() {
    let coming = |step, state| {
        Reply::Roll(Roll { name: "otp_cleanup".into(), stage: 2, instances: 0, ..roll(step, state) })
    };
    let mut looks = vec![coming(3, Done), coming(3, Baking), coming(1, Baking)];
    let keeper = Keeper::new(move |request| {
        Some(match request {
            Request::Migrations { .. } => {
                let mut replies = vec![Reply::Migration(migration(1, "registry"))];
                replies.extend(stages(1));
                replies.push(done(44));
                replies
            }
            Request::Stage { .. } => vec![coming(0, Baking), done(44)],
            Request::Rolls { .. } => vec![looks.pop().unwrap(), done(44)],
            other => panic!("{other:?}"),
        })
    });
    keeper.check(
        "stage enable otp_cleanup 2 --why SHOP-812",
        0,
        "\
r-3  otp_cleanup 1 registry -> stage 2 telemetry   guard: 3 crashes in 60s, ready, health
   10%  [##..................]  baked 2m00s    ok
   25%  [#####...............]  baked 2m00s    ok
   50%  [##########..........]  baked 2m00s    ok
  100%  [####################]  baked 2m00s    ok
ok otp_cleanup is at stage 2 telemetry, every step is proven, generation 47
",
        "",
    );
    keeper.check("stage enable otp_cleanup 2 --why SHOP-812 --no-wait", 0, "r-3\n", "");
}

#[test]
fn a_rollback_that_is_refused_says_what_stands_in_its_way() {
    let keeper =
        at(3, "enforce", refused(1, "stage 3 enforce is one way", "go back all the same: --past-one-way"));
    keeper.check(
        "stage rollback otp_cleanup 1 --why worse",
        1,
        "",
        "mainstay: stage 3 enforce is one way\nhint: go back all the same: --past-one-way\n",
    );
}

#[test]
fn a_migration_in_full_shows_its_stages_their_flags_and_the_guard() {
    let outcome = at(1, "registry", vec![]).run("stage status otp_cleanup");
    let (head, rest) = outcome.stdout.split_once('\n').unwrap();
    assert!(head.starts_with("otp_cleanup  stage 1 registry of 3   by ana, "), "{head}");
    assert!(head.ends_with(" ago: SHOP-812"), "{head}");
    assert_eq!(
        rest,
        "  one registry for all; owner: ana
  guard: baking 0m41s of 5m, 1 new crash
  * 1 registry   use_shared_registry   on
                 migration_monitoring  on
  - 2 telemetry  use_span_service      off       by 1%, 10%, 50%, 100%
  - 3 enforce    enforce               off       one way
"
    );
}

#[test]
fn migrations_are_listed_with_a_bar_each() {
    let outcome = at(2, "telemetry", vec![]).run("stage list");
    let mut lines = outcome.stdout.lines();
    assert_eq!(lines.next().map(|line| line.starts_with("MIGRATION    STAGE ")), Some(true), "{outcome:?}");
    let line = lines.next().unwrap();
    assert!(line.starts_with("otp_cleanup  [#############.......] 2/3 telemetry  ana, "), "{line}");
    let none = Keeper::saying(vec![done(1)]);
    let talk = "no migrations are declared; add `[migration.NAME]` to the configuration\n";
    none.check("stage list", 0, "", talk);
    none.check("stage status", 0, "", talk);
}

#[test]
fn migrations_in_json_keep_their_keys() {
    let keeper = at(1, "registry", vec![]);
    let list = "{\"schema\":1,\"name\":\"otp_cleanup\",\"stage\":1,\"stage_name\":\"registry\",\"stages\":3,\"roll\":null,\"generation\":44,\"actor\":\"ana\",\"uid\":1000,\"reason\":\"SHOP-812\",\"time\":\"1970-01-01T00:00:00.000Z\",\"guard\":\"\",\"owner\":\"ana\",\"description\":\"one registry for all\"";
    keeper.check("stage list --json", 0, &format!("{list}}}\n"), "");
    let whole = keeper.run("stage status --json").ok();
    assert!(whole.starts_with(list), "{whole}");
    let object: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(object["parts"][1]["steps"], serde_json::json!(["1%", "10%", "50%", "on"]));
    assert_eq!(
        object["parts"][0]["flags"][0],
        serde_json::json!({"flag": "use_shared_registry", "text": "on"})
    );
    assert_eq!(object["watched"].as_array().unwrap().len(), 1);
}

#[test]
fn an_emergency_says_everything_that_it_changed() {
    let keeper = Keeper::saying(vec![
        changed("otp_cleanup", "2", "0", 51),
        changed("use_span_service", "on", "off", 51),
        Reply::Changed(changed_one("enforce", "off", "off", 3)),
        done(51),
    ]);
    keeper.check(
        "emergency --why checkout-burns",
        0,
        "otp_cleanup 2 -> 0\nuse_span_service on -> off\neverything is on its safe value: 2 changes at once, generation 51\n",
        "",
    );
    keeper.run("emergency otp_cleanup --why checkout-burns --volatile");
    let asked = keeper.asked();
    let names: Vec<_> = asked
        .iter()
        .map(|request| match request {
            Request::Emergency { how, migration } => (migration.as_str(), how.reason.as_str(), how.volatile),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [("", "checkout-burns", false), ("otp_cleanup", "checkout-burns", true)]);
    keeper.check(
        "emergency --dry-run --why checkout-burns",
        0,
        "otp_cleanup 2 -> 0\nuse_span_service on -> off\ndry run: 2 changes would put everything on its safe value\n",
        "",
    );
    let nothing = Keeper::saying(vec![done(51)]);
    nothing.check("emergency --why again", 0, "everything is on its safe value already, generation 51\n", "");
}

#[test]
fn an_import_that_moves_a_migration_in_memory_only_is_no_success_unless_it_was_asked_for() {
    let talk =
        "warning: this is in memory only, and lost if the keeper dies before the disk can be written\n";
    let keeper = Keeper::new(|request| {
        Some(match request {
            Request::Migrations { .. } => vec![Reply::Migration(migration(0, "-")), done(44)],
            Request::Stage { .. } => vec![Reply::Done { generation: 45, durable: false }],
            _ => vec![done(44)],
        })
    });
    keeper.write("stages.toml", "[migration.otp_cleanup]\nat = 1\n");
    for (line, code) in [("flag import stages.toml", 1), ("flag import stages.toml --volatile", 0)] {
        let is = keeper.run(line);
        assert_eq!(is.code, code, "{line}: {}", is.stderr);
        assert!(is.stderr.ends_with(talk), "{line}: {}", is.stderr);
    }
}
