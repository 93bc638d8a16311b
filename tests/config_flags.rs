//! What every key of flags, migrations, guards and health checks means once it is read. What mistakes say is in `config.rs`.

use mainstay::config::plan::{Check, Health, Http};
use mainstay::config::{self, Origin, Part, Plan};
use mainstay::flags::guard::{Errors, Guarding, Mode, Probe};
use mainstay::flags::{Declaration, Kind, Migration, Packed, Requires, Stage, Unit, Value};
use mainstay::ipc::codec;
use std::path::Path;
use std::time::Duration;

fn plan(text: &str) -> Plan {
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    match config::parse(text.as_bytes(), &origin) {
        Ok(configuration) => configuration.plan,
        Err(found) => panic!("{text}\n{found}"),
    }
}

/// The flag `f` with these keys, beside a service `web`, a template `job@` and a flag `other`.
fn flag(keys: &str) -> Declaration {
    let text = "[flag.other]\n[service.web]\ncommand = 'w'\n[service.'job@']\ncommand = 'j'\n[flag.f]\n";
    plan(&format!("{text}{keys}\n")).flags.remove(1)
}

fn text(text: &str) -> Value {
    Value::Text(Packed::new(text).unwrap())
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_flag_without_a_key_has_every_default() {
    let expected = Declaration {
        name: "f".into(),
        kind: Kind::Percent,
        default: Value::Off,
        configured: None,
        safe: Value::Off,
        salt: "f".into(),
        owner: None,
        description: None,
        expires: None,
        requires: None,
        allow: vec![],
        deny: vec![],
        unit: Unit::Id,
        services: vec![],
        guard: None,
        env: false,
        why: false,
    };
    assert_eq!(flag(""), expected);
}

#[test]
fn every_key_of_a_flag_arrives() {
    let found = flag(
        "default = true\npercent = 12.5\nsafe = true\nsalt = 's'\nowner = 'ana'\ndescription = 'd'\nexpires = '2026-12-31'\n\
         requires = 'not other'\nallow = ['a', 'b', 'a']\ndeny = ['c']\nservices = ['web', 'job@', 'web']\nguard = true\n\
         env = true\nwhy = true",
    );
    let expected = Declaration {
        name: "f".into(),
        kind: Kind::Percent,
        default: Value::On,
        configured: Some(Value::Share(12_500)),
        safe: Value::On,
        salt: "s".into(),
        owner: Some("ana".into()),
        description: Some("d".into()),
        expires: Some("2026-12-31".into()),
        requires: Some(Requires { flag: "other".into(), on: false }),
        allow: vec!["a".into(), "b".into()],
        deny: vec!["c".into()],
        unit: Unit::Id,
        services: vec!["web".into(), "job@".into()],
        // Those that it may hurt are those that are watched.
        guard: Some(Guarding { services: vec!["web".into(), "job@".into()], ..Guarding::default() }),
        env: true,
        why: true,
    };
    assert_eq!(found, expected);
    assert_eq!(found.variable(), "MAINSTAY_FLAG_F");
    assert_eq!(flag("requires = ' other '").requires, Some(Requires { flag: "other".into(), on: true }));
    assert_eq!(flag("unit = 'host'\npercent = 1").unit, Unit::Host);
    assert_eq!(flag("unit = 'instance'").unit, Unit::Instance);
    assert_eq!(flag("expires = 2026-12-31").expires.as_deref(), Some("2026-12-31"));
}

#[test]
fn the_kind_follows_from_the_default_unless_it_is_said() {
    let found = |keys: &str| {
        let flag = flag(keys);
        (flag.kind, flag.default, flag.configured, flag.safe, flag.unset())
    };
    let off = Value::Off;
    assert_eq!(found("default = true"), (Kind::Percent, Value::On, None, off, Value::On));
    assert_eq!(found("default = true\nvalue = false"), (Kind::Percent, Value::On, Some(off), off, off));
    assert_eq!(found("value = true"), (Kind::Percent, off, Some(Value::On), off, Value::On));
    assert_eq!(found("percent = 0"), (Kind::Percent, off, Some(off), off, off));
    assert_eq!(found("percent = 100"), (Kind::Percent, off, Some(Value::On), off, Value::On));
    assert_eq!(found("kind = 'bool'\npercent = 100"), (Kind::Bool, off, Some(Value::On), off, Value::On));
    let int = |n| Value::Int(n);
    // Off is no number: what a number falls back to is its default.
    assert_eq!(found("default = -7"), (Kind::Int, int(-7), None, int(-7), int(-7)));
    assert_eq!(found("default = 1\nvalue = 2\nsafe = 3"), (Kind::Int, int(1), Some(int(2)), int(3), int(2)));
    assert_eq!(found("default = 0x10"), (Kind::Int, int(16), None, int(16), int(16)));
    assert_eq!(
        found("default = -9223372036854775808"),
        (Kind::Int, int(i64::MIN), None, int(i64::MIN), int(i64::MIN))
    );
    let info = text("info");
    assert_eq!(found("default = 'info'"), (Kind::Text, info, None, info, info));
    assert_eq!(
        found("kind = 'text'\ndefault = 'on'"),
        (Kind::Text, text("on"), None, text("on"), text("on"))
    );
    let long = "é".repeat(64);
    assert_eq!(found(&format!("default = '{long}'")).1, text(&long));
}

#[test]
fn a_guard_is_watched_with_the_defaults_unless_it_says_otherwise() {
    let guard = |keys: &str| flag(&format!("guard = {keys}")).guard;
    let usual = Guarding::default;
    assert_eq!(guard("true"), Some(usual()));
    assert_eq!(guard("{}"), Some(usual()));
    assert_eq!(guard("false"), None);
    assert_eq!(guard("'off'"), None);
    assert_eq!(guard("'observe'"), Some(Guarding { mode: Mode::Observe, ..usual() }));
    assert_eq!(guard("{ mode = 'off' }"), Some(Guarding { mode: Mode::Off, ..usual() }));
    let found = guard(
        "{ mode = 'observe', services = ['web', 'job@'], crashes = 5, within = '2m', bake = '4m', ready = false, health = 0,\n\
         errors = { delta = 1.5, samples = 500 }, command = './judge -x', every = '1m', timeout = '20s' }",
    );
    let expected = Guarding {
        mode: Mode::Observe,
        services: vec!["web".into(), "job@".into()],
        crashes: 5,
        within: seconds(120),
        bake: seconds(240),
        ready: false,
        health: 0,
        errors: Some(Errors { delta: 1_500, samples: 500 }),
        probe: Some(Probe {
            argv: vec!["./judge".into(), "-x".into()],
            directory: "/srv/shop".into(),
            every: seconds(60),
            timeout: seconds(20),
        }),
    };
    assert_eq!(found, Some(expected));
    assert_eq!(
        guard("{ errors = { delta = 0.001 } }").unwrap().errors,
        Some(Errors { delta: 1, samples: 200 })
    );
    assert_eq!(
        (guard("{ health = true }").unwrap().health, guard("{ health = false }").unwrap().health),
        (3, 0)
    );
    let probe = |keys: &str| guard(keys).unwrap().probe.unwrap();
    let times = |probe: Probe| (probe.every, probe.timeout);
    assert_eq!(times(probe("{ command = ['j'] }")), (seconds(30), seconds(10)));
    assert_eq!(times(probe("{ command = ['j'], every = '2s' }")), (seconds(2), seconds(2)));
}

#[test]
fn a_bake_that_is_not_said_is_twice_the_window_of_crashes_at_least() {
    let bake = |keys: &str| flag(&format!("guard = {{ {keys} }}")).guard.unwrap().bake;
    assert_eq!(bake("within = '150s'"), seconds(300));
    assert_eq!(bake("within = '151s'"), seconds(302));
    assert_eq!(bake("within = '10s', bake = '20s'"), seconds(20));
}

#[test]
fn services_of_the_guard_go_before_those_of_the_flag() {
    let found = flag("services = ['web']\nguard = { services = ['job@'] }");
    assert_eq!((found.services, found.guard.unwrap().services), (vec!["web".into()], vec!["job@".into()]));
}

#[test]
fn every_key_of_a_migration_arrives() {
    let found = plan(
        "[service.web]\ncommand = 'w'\n[flag.a]\n[flag.b]\n[flag.c]\n[migration.m]\nat = 'two'\nowner = 'ana'\ndescription = 'd'\n\
         guard = { services = ['web'], within = '10s', command = 'judge' }\n\
         [[migration.m.stage]]\nname = 'one'\non = ['a', 'b']\n\
         [[migration.m.stage]]\nname = 'two'\non = ['c']\nsteps = [1, 12.5]\nbake = '1m'\none_way = true\n",
    );
    let guard = Guarding {
        services: vec!["web".into()],
        within: seconds(10),
        probe: Some(Probe {
            argv: vec!["judge".into()],
            directory: "/srv/shop".into(),
            every: seconds(30),
            timeout: seconds(10),
        }),
        ..Guarding::default()
    };
    let stages = vec![
        Stage { name: "one".into(), on: vec!["a".into(), "b".into()], ..Stage::default() },
        Stage {
            name: "two".into(),
            on: vec!["c".into()],
            steps: vec![1_000, 12_500, 100_000],
            bake: Some(seconds(60)),
            one_way: true,
        },
    ];
    let expected = Migration {
        name: "m".into(),
        stages,
        configured: 2,
        guard,
        owner: Some("ana".into()),
        description: Some("d".into()),
    };
    assert_eq!(found.migrations, [expected]);
}

#[test]
fn every_stage_is_guarded_unless_that_is_denied_and_the_last_step_is_all() {
    let migration = |keys: &str, stage: &str| {
        let stage = format!("[[migration.m.stage]]\nname = 's'\non = ['a']\n{stage}\n");
        plan(&format!("[flag.a]\n[migration.m]\n{keys}\n{stage}")).migrations.remove(0)
    };
    assert_eq!(migration("", "").guard, Guarding::default());
    assert_eq!(migration("guard = false", "").guard.mode, Mode::Off);
    assert_eq!(migration("guard = 'observe'", "").guard.mode, Mode::Observe);
    let steps = |steps: &str| migration("", &format!("steps = {steps}")).stages.remove(0).steps;
    assert_eq!(steps("[100]"), [100_000]);
    assert_eq!(steps("[0.001]"), [1, 100_000]);
    assert_eq!(steps("[1, 10, 50, 100]"), [1_000, 10_000, 50_000, 100_000]);
    assert_eq!((migration("at = 0", "").configured, migration("at = 1", "").configured), (0, 1));
    assert_eq!(migration("at = '1'", "").configured, 1);
}

#[test]
fn the_guard_of_the_host_is_on_unless_the_file_says_otherwise() {
    let mode = |text: &str| plan(text).guard;
    assert_eq!((mode(""), mode("[guard]\n")), (Mode::On, Mode::On));
    assert_eq!(
        (mode("[guard]\nmode = 'observe'"), mode("[guard]\nmode = 'off'")),
        (Mode::Observe, Mode::Off)
    );
}

#[test]
fn files_of_conf_d_declare_flags_and_migrations_too() {
    let part = |name: &str, text: &str| Part {
        file: format!("/srv/shop/conf.d/{name}").into(),
        shown: name.to_owned(),
        text: Ok(text.as_bytes().to_vec()),
    };
    let parts = [
        part(
            "a.toml",
            "[flag.a]\nguard = { services = ['web'], command = './judge' }\n[flag.b]\nrequires = 'main'\n",
        ),
        part("b.toml", "[migration.m]\n[[migration.m.stage]]\nname = 's'\non = ['a']\n"),
    ];
    let main = "[service.web]\ncommand = 'w'\n[flag.main]\n";
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    let plan = config::parse(main.as_bytes(), &Origin { parts: &parts, ..origin }).unwrap().plan;
    assert_eq!(plan.flags.iter().map(|flag| flag.name.as_str()).collect::<Vec<_>>(), ["main", "a", "b"]);
    assert_eq!(plan.migrations[0].stages[0].on, ["a"]);
    // A command runs in the folder of the file that names it.
    let probe = plan.flags[1].guard.as_ref().unwrap().probe.as_ref().unwrap();
    assert_eq!(probe.directory, "/srv/shop/conf.d");
    let twice = [part("a.toml", "[guard]\nmode = 'off'\n[migration.m]\n"), part("b.toml", "[migration.m]\n")];
    let found = config::parse(main.as_bytes(), &Origin { parts: &twice, ..origin }).unwrap_err().to_string();
    assert!(found.contains("`guard` is not a key of a file in conf.d"), "{found}");
    assert!(found.contains("migration `m` is declared in a.toml and again in b.toml"), "{found}");
}

#[test]
fn health_and_watchdog_are_read_with_their_defaults() {
    let program = |keys: &str| plan(&format!("[service.a]\ncommand = 'a'\n{keys}\n")).programs.remove(0);
    assert_eq!((program("").health, program("").watchdog), (None, None));
    assert_eq!(program("watchdog = '10s'").watchdog, Some(seconds(10)));
    let health = |keys: &str| program(&format!("health = {{ {keys} }}")).health.unwrap();
    let usual =
        |how: Check| Health { how, every: seconds(10), timeout: seconds(5), failures: 3, restart: true };
    assert_eq!(health("tcp = 8080"), usual(Check::Tcp(8080)));
    assert_eq!(health("exec = './check -q'"), usual(Check::Exec(vec!["./check".into(), "-q".into()])));
    let http = Http::parse("http://127.0.0.1:81/x").unwrap();
    assert_eq!(health("http = 'http://127.0.0.1:81/x'"), usual(Check::Http(http)));
    let found = health("tcp = 1, every = '2s', timeout = '100ms', failures = 1, restart = false");
    let expected = Health {
        every: seconds(2),
        timeout: Duration::from_millis(100),
        failures: 1,
        restart: false,
        ..usual(Check::Tcp(1))
    };
    assert_eq!(found, expected);
    assert_eq!(health("tcp = 1, every = '2s'").timeout, seconds(2));
}

#[test]
fn the_argument_of_a_template_comes_into_its_health_check() {
    let how = |keys: &str, argument: &str| {
        let plan = plan(&format!("[service.'a@']\ncommand = 'a'\nhealth = {{ {keys} }}\nwatchdog = '1s'\n"));
        let made = plan.templates[0].instance(argument, &[], None);
        made.map(|(_, program)| {
            assert_eq!(program.watchdog, Some(seconds(1)));
            program.health.unwrap().how
        })
    };
    assert_eq!(how("tcp = '80%i'", "12"), Ok(Check::Tcp(8012)));
    assert_eq!(how("tcp = 80", "12"), Ok(Check::Tcp(80)));
    let http = |url: &str| Ok(Check::Http(Http::parse(url).unwrap()));
    assert_eq!(how("http = 'http://127.0.0.1:80%i/%%20'", "12"), http("http://127.0.0.1:8012/%20"));
    assert_eq!(how("http = 'http://127.0.0.1/'", "12"), http("http://127.0.0.1/"));
    assert_eq!(how("exec = ['c%i', '%%']", "x"), Ok(Check::Exec(vec!["cx".into(), "%".into()])));
    let error = how("tcp = '80%i'", "x").unwrap_err().to_string();
    assert_eq!(error, "`health` would ask `80x`: expected a port from 1 to 65535");
    let error = how("http = 'http://127.0.0.1:%i/'", "0").unwrap_err().to_string();
    assert!(error.starts_with("`health` would ask `http://127.0.0.1:0/`: expected a port"), "{error}");
}

/// The supervisor keeps the plan for the next comparison.
#[test]
fn a_plan_with_everything_is_the_same_after_it_was_kept() {
    let plan = plan(
        "[service.web]\ncommand = 'w'\nhealth = { http = 'http://[::1]:1/' }\nwatchdog = '1s'\n[flag.a]\ndefault = 'x'\n\
         [flag.b]\npercent = 3\nguard = { errors = { delta = 1 }, command = 'j' }\nallow = ['u']\nrequires = 'c'\n[flag.c]\n\
         [migration.m]\n[[migration.m.stage]]\nname = 's'\non = ['c']\nsteps = [1]\n[guard]\nmode = 'observe'\n",
    );
    let kept: Plan = codec::decode_plan(&codec::encode_plan(&plan).unwrap()).unwrap();
    assert_eq!(kept.flags, plan.flags);
    assert_eq!((kept.migrations, kept.guard), (plan.migrations, Mode::Observe));
    assert_eq!(kept.programs, plan.programs);
}
