//! A tree in code is the plan of the file that says the same, option by option.

use mainstay::config::{self, Origin, Plan};
use mainstay::embed::*;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The plan of a file in `folder`, as if it stood in none.
fn of_file(text: &str, folder: &Path) -> Plan {
    let file = folder.join("mainstay.toml");
    let read = |path: &Path| fs::read_to_string(path);
    let origin = Origin { env_files: &read, ..Origin::new(&file, "mainstay.toml", "folder") };
    let mut plan =
        config::parse(text.as_bytes(), &origin).unwrap_or_else(|e| panic!("{}", e.render(false))).plan;
    plan.file = None;
    plan.programs.iter_mut().for_each(|program| program.line = 0);
    plan.templates.iter_mut().for_each(|template| template.program.line = 0);
    plan
}

#[track_caller]
fn same_in(folder: &Path, tree: Tree, text: &str) {
    let built = tree.folder(folder).build().unwrap_or_else(|flaws| panic!("{flaws}"));
    assert_eq!(format!("{built:#?}"), format!("{:#?}", of_file(text, folder)));
}

#[track_caller]
fn same(tree: Tree, text: &str) {
    same_in(Path::new("/srv/shop"), tree, text);
}

/// A tree of one service, and the file that says the same.
#[track_caller]
fn service(change: impl Fn(Service) -> Service, text: &str) {
    let tree = Tree::new("t").add(change(Service::new("web", ["./web", "--port", "8080"])));
    let head = "name = \"t\"\n[service.web]\ncommand = [\"./web\", \"--port\", \"8080\"]\n";
    same(tree, &format!("{head}{text}"));
}

#[track_caller]
fn template(change: impl Fn(Template) -> Template, text: &str) {
    let tree = Tree::new("t").add(change(Template::new("worker", ["./worker", "%i"])));
    same(tree, &format!("name = \"t\"\n[service.\"worker@\"]\ncommand = [\"./worker\", \"%i\"]\n{text}"));
}

#[track_caller]
fn group(change: impl Fn(Group) -> Group, text: &str) {
    let last = Service::new("last", ["l"]).restart(Restart::Transient);
    let tree = Tree::new("t").add(change(Group::new("g")).add(last));
    let tail = "[service.last]\ngroup = \"g\"\ncommand = [\"l\"]\nrestart = \"transient\"\n";
    same(tree, &format!("name = \"t\"\n[group.g]\n{text}\n{tail}"));
}

#[track_caller]
fn flag(change: impl Fn(Flag) -> Flag, text: &str) {
    same(Tree::new("t").flag(change(Flag::new("new.x"))), &format!("name = \"t\"\n[flag.\"new.x\"]\n{text}"));
}

#[test]
fn a_service_says_what_its_table_says() {
    service(|s| s, "");
    service(|s| s.instances(4), "instances = 4");
    service(|s| s.restart(Restart::Transient), "restart = \"transient\"");
    service(|s| s.restart(Restart::Temporary), "restart = \"temporary\"");
    service(
        |s| s.restart(Restart::Permanent).restart_max(3).restart_within(60 * SECOND).clean([3, 42]),
        "restart = { policy = \"permanent\", max = 3, within = \"1m\", clean = [3, 42] }",
    );
    service(Service::restart_unlimited, "restart = { max = \"unlimited\" }");
    service(|s| s.backoff(Backoff::NONE), "backoff = \"none\"");
    service(
        |s| {
            let backoff = Backoff::new().first(SECOND).base(Duration::from_nanos(1_500_000_001)).factor(1.5);
            s.backoff(backoff.max(9 * SECOND).jitter(0.25).forget(3600 * SECOND))
        },
        "backoff = { first = \"1s\", base = \"1s 500ms 1ns\", factor = 1.5, max = \"9s\", jitter = 0.25, forget = \"1h\" }",
    );
    service(|s| s.ready(Ready::tcp(8080)), "ready = { tcp = 8080 }");
    service(
        |s| s.ready(Ready::output("up: \"\\\t€\"").within(SECOND)),
        r#"ready = { output = "up: \"\\\t€\"", within = "1s" }"#,
    );
    service(|s| s.ready(Ready::notify()).ignore(75), "ready = { notify = true }\nignore = 75");
    service(|s| s.stop_signal(Signal::INT), "stop = { signal = \"INT\" }");
    service(|s| s.stop_signal(Signal::realtime(3)), "stop = { signal = \"RTMIN+3\" }");
    service(|s| s.grace(Grace::After(SECOND)), "stop = { grace = \"1s\" }");
    service(|s| s.grace(Grace::Forever), "stop = { grace = \"forever\" }");
    service(|s| s.grace(Grace::Kill), "stop = { grace = \"kill\" }");
    service(
        |s| s.env("PORT", "2525").env("FROM", "a").env("FROM", "b\nc").inherit_env(false),
        "env = { PORT = 2525, FROM = \"b\\nc\" }\ninherit_env = false",
    );
    service(|s| s.blackbox(false), "blackbox = false");
    service(|s| s.directory("mail"), "directory = \"mail\"");
    service(|s| s.directory("/var/mail"), "directory = \"/var/mail\"");
    service(|s| s.user("mail"), "user = \"mail\"");
    service(|s| s.user(User::NameAndGroup("a".into(), "b".into())), "user = \"a:b\"");
    service(|s| s.user(User::Number(33)), "user = 33");
    service(|s| s.umask(0o027), "umask = \"027\"");
    service(|s| s.log(Log::Inherit), "log = \"inherit\"");
    service(|s| s.log(Log::Discard), "log = \"none\"");
    service(
        |s| s.log(LogFile::new().max_size(50 << 20).files(10)),
        "log = { max_size = \"50MiB\", files = 10 }",
    );
    service(|s| s.autostart(false), "autostart = false");
    service(|s| s.condition(Condition::Exists("a/key".into())), "condition = { exists = \"a/key\" }");
}

#[test]
fn a_template_says_what_its_table_says() {
    template(|t| t, "");
    template(
        |t| t.directory("spool/%i").env("SHARE", "100%%").ready(Ready::tcp_of("80%i")).user("u%i"),
        "directory = \"spool/%i\"\nenv = { SHARE = \"100%%\" }\nready = { tcp = \"80%i\" }\nuser = \"u%i\"",
    );
    template(
        |t| t.condition(Condition::Exists("%i".into())).restart(Restart::Temporary).grace(Grace::Kill),
        "condition = { exists = \"%i\" }\nrestart = \"temporary\"\nstop = { grace = \"kill\" }",
    );
    let worker = Template::new("worker", ["w"]).restart(Restart::Transient).significant(true);
    same(
        Tree::new("t").auto_shutdown(AutoShutdown::All).add(worker),
        "name = \"t\"\nauto_shutdown = \"all\"\n[service.\"worker@\"]\ncommand = [\"w\"]\nrestart = \"transient\"\nsignificant = true",
    );
}

#[test]
fn a_group_says_what_its_table_says() {
    group(|g| g, "");
    group(|g| g.strategy(Strategy::OneForOne), "strategy = \"one_for_one\"");
    group(|g| g.strategy(Strategy::OneForAll), "strategy = \"one_for_all\"");
    group(|g| g.strategy(Strategy::RestForOne), "strategy = \"rest_for_one\"");
    group(|g| g.intensity(5).period(60 * SECOND), "intensity = 5\nperiod = \"1m\"");
    group(|g| g.intensity(1).on_limit(OnLimit::Park), "intensity = 1\non_limit = \"park\"");
    group(|g| g.on_limit(OnLimit::Escalate), "on_limit = \"escalate\"");
    group(|g| g.semantics(Semantics::Otp), "semantics = \"otp\"");
    group(|g| g.semantics(Semantics::OtpSeconds), "semantics = \"otp-seconds\"");
    group(|g| g.semantics(Semantics::Mainstay), "semantics = \"mainstay\"");
    group(|g| g.auto_shutdown(AutoShutdown::Never), "auto_shutdown = \"never\"");
    group(
        |g| {
            let one = Service::new("one", ["o"]).restart(Restart::Temporary).significant(true);
            g.auto_shutdown(AutoShutdown::Any).add(one)
        },
        "auto_shutdown = \"any\"\n[service.one]\ngroup = \"g\"\ncommand = [\"o\"]\nrestart = \"temporary\"\nsignificant = true",
    );
    group(
        |g| g.restart_max(2).restart_within(600 * SECOND).backoff(Backoff::new().base(SECOND)),
        "restart = { max = 2, within = \"10m\" }\nbackoff = { base = \"1s\" }",
    );
    group(|g| g.restart(Restart::Temporary), "restart = \"temporary\"");
    group(Group::restart_unlimited, "restart = { max = \"unlimited\" }");
    let inner =
        Group::new("inner").restart(Restart::Transient).significant(true).add(Service::new("a", ["a"]));
    same(
        Tree::new("t")
            .auto_shutdown(AutoShutdown::Any)
            .add(Group::new("outer").add(Service::new("b", ["b"])))
            .add(inner),
        "name = \"t\"\nauto_shutdown = \"any\"\n[group.outer]\n[service.b]\ngroup = \"outer\"\ncommand = \"b\"\n\
         [group.inner]\nrestart = \"transient\"\nsignificant = true\n[service.a]\ngroup = \"inner\"\ncommand = \"a\"",
    );
}

#[test]
fn a_pool_says_what_its_table_says() {
    let job = || Template::new("job", ["./job", "--slot", "%i"]).restart(Restart::Temporary);
    let text = "[service.\"job@\"]\ngroup = \"jobs\"\ncommand = [\"./job\", \"--slot\", \"%i\"]\nrestart = \"temporary\"";
    same(
        Tree::new("t").add(Pool::new("jobs", job()).max_children(10)),
        &format!("name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\nmax_children = 10\n{text}"),
    );
    let pool = Pool::new("jobs", job()).intensity(2).period(SECOND).semantics(Semantics::Otp);
    same(
        Tree::new("t").add(pool),
        &format!(
            "name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\nintensity = 2\nperiod = \"1s\"\nsemantics = \"otp\"\n{text}"
        ),
    );
    let pool = Pool::new("jobs", job()).on_limit(OnLimit::Park).restart_max(1).backoff(Backoff::NONE);
    same(
        Tree::new("t")
            .auto_shutdown(AutoShutdown::All)
            .add(pool.restart(Restart::Transient).significant(true)),
        &format!(
            "name = \"t\"\nauto_shutdown = \"all\"\n[group.jobs]\nstrategy = \"pool\"\non_limit = \"park\"\nsignificant = true\nbackoff = \"none\"\nrestart = {{ policy = \"transient\", max = 1 }}\n{text}"
        ),
    );
    same(
        Tree::new("jobs").pool(job(), Some(3)),
        "name = \"jobs\"\nstrategy = \"pool\"\nmax_children = 3\n[service.\"job@\"]\ncommand = [\"./job\", \"--slot\", \"%i\"]\nrestart = \"temporary\"",
    );
}

#[test]
fn a_tree_says_what_the_top_of_the_file_says() {
    same(Tree::new("t"), "name = \"t\"");
    let tree =
        Tree::new("t").strategy(Strategy::RestForOne).intensity(3).period(9 * SECOND).on_limit(OnLimit::Park);
    same(
        tree,
        "name = \"t\"\nstrategy = \"rest_for_one\"\nintensity = 3\nperiod = \"9s\"\non_limit = \"park\"",
    );
    same(
        Tree::new("t").semantics(Semantics::Otp).log(LogFile::new().max_size(4096).files(1)),
        "name = \"t\"\nsemantics = \"otp\"\n[log]\nmax_size = \"4096B\"\nfiles = 1",
    );
    let defaults = Defaults::new()
        .restart(Restart::Transient)
        .restart_max(10)
        .backoff(Backoff::new().max(60 * SECOND))
        .grace(Grace::After(20 * SECOND))
        .stop_signal(Signal::QUIT)
        .ready_within(60 * SECOND)
        .log(LogFile::new().files(3))
        .env("TZ", "UTC")
        .inherit_env(false);
    same(
        Tree::new("t").defaults(defaults).add(Service::new("web", ["./web"]).ready(Ready::tcp(1))),
        "name = \"t\"\n[defaults]\nrestart = { policy = \"transient\", max = 10 }\nbackoff = { max = \"1m\" }\n\
         stop = { grace = \"20s\", signal = \"QUIT\" }\nready = { within = \"1m\" }\nlog = { files = 3 }\nenv = { TZ = \"UTC\" }\n\
         inherit_env = false\n[service.web]\ncommand = \"./web\"\nready = { tcp = 1 }",
    );
}

#[test]
fn members_and_needs_are_those_of_the_file() {
    let tree = Tree::new("t")
        .add(Service::new("db", ["db"]).instances(2))
        .add(
            Group::new("app")
                .add(Group::new("in").add(Service::new("a.b", ["x"])))
                .add(Service::new("c", ["c"])),
        )
        .add(Service::new("web", ["w"]).needs_service("db").needs_instance("db", 2).needs_group("app"));
    same(
        tree,
        "name = \"t\"\n[service.db]\ncommand = \"db\"\ninstances = 2\n[group.app]\n[group.in]\ngroup = \"app\"\n\
         [service.\"a.b\"]\ngroup = \"in\"\ncommand = \"x\"\n[service.c]\ngroup = \"app\"\ncommand = \"c\"\n\
         [service.web]\ncommand = \"w\"\nneeds = [\"db\", \"db#2\", \"@app\"]",
    );
}

#[test]
fn a_flag_says_what_its_table_says() {
    flag(|f| f, "");
    flag(|f| f.default(true).kind(FlagKind::Bool).safe(true), "default = true\nkind = \"bool\"\nsafe = true");
    flag(
        |f| f.percent(12.345).kind(FlagKind::Percent).salt("s").owner("ana").description("of\nSHOP-812"),
        "percent = 12.345\nkind = \"percent\"\nsalt = \"s\"\nowner = \"ana\"\ndescription = \"of\\nSHOP-812\"",
    );
    flag(|f| f.default(true).percent(5.0), "default = true\npercent = 5");
    flag(|f| f.default(43).value(44i64).safe(-1), "default = 43\nvalue = 44\nsafe = -1");
    flag(|f| f.kind(FlagKind::Int).default(i64::MIN), "kind = \"int\"\ndefault = -9223372036854775808");
    flag(|f| f.default("info").value("debug".to_owned()), "default = \"info\"\nvalue = \"debug\"");
    flag(
        |f| f.kind(FlagKind::Text).default("on").safe("off"),
        "kind = \"text\"\ndefault = \"on\"\nsafe = \"off\"",
    );
    flag(|f| f.value(true).why(true).env(true), "value = true\nwhy = true\nenv = true");
    flag(|f| f.unit(Unit::Host).percent(1.0), "unit = \"host\"\npercent = 1");
    flag(|f| f.unit(Unit::Instance), "unit = \"instance\"");
    flag(
        |f| f.unit(Unit::Id).allow("u:1").allow("u:2").deny("u:3"),
        "allow = [\"u:1\", \"u:2\"]\ndeny = [\"u:3\"]",
    );
    flag(|f| f.expires(2026, 1, 2), "expires = \"2026-01-02\"");
}

/// A tree with two services and two other flags, and what its file says of them.
fn shop() -> (Tree, &'static str) {
    let tree = Tree::new("t").add(Service::new("web", ["w"])).add(Service::new("worker", ["w"]));
    let text = "name = \"t\"\n[service.web]\ncommand = \"w\"\n[service.worker]\ncommand = \"w\"\n[flag.a]\n[flag.b]\n";
    (tree.flag(Flag::new("a")).flag(Flag::new("b")), text)
}

#[test]
fn a_flag_names_other_flags_and_services() {
    let check = |change: fn(Flag) -> Flag, text: &str| {
        let (tree, head) = shop();
        same(tree.flag(change(Flag::new("f"))), &format!("{head}[flag.f]\n{text}"));
    };
    check(|f| f.requires("a"), "requires = \"a\"");
    check(|f| f.requires_not("b"), "requires = \"not b\"");
    check(|f| f.service("web").service("worker"), "services = [\"web\", \"worker\"]");
    check(|f| f.guard(Guard::new()), "guard = true");
    check(|f| f.guard(Guard::new().mode(Mode::Observe)), "guard = \"observe\"");
    check(|f| f.guard(Guard::new().mode(Mode::Off)), "guard = { mode = \"off\" }");
    check(|f| f.guard(Guard::new().mode(Mode::On).service("web")), "guard = { services = [\"web\"] }");
    check(
        |f| {
            let guard = Guard::new().crashes(5).within(2 * SECOND).bake(9 * SECOND).ready(false).health(0);
            f.guard(guard.errors(1.5, 300).command(["./judge", "a b"]).every(8 * SECOND).timeout(SECOND))
        },
        "guard = { crashes = 5, within = \"2s\", bake = \"9s\", ready = false, health = 0, \
         errors = { delta = 1.5, samples = 300 }, command = [\"./judge\", \"a b\"], every = \"8s\", timeout = \"1s\" }",
    );
}

#[test]
fn a_migration_says_what_its_tables_say() {
    let (tree, head) = shop();
    let migration = Migration::new("clean.up")
        .at(1)
        .guard(Guard::new().service("worker"))
        .owner("ana")
        .description("d")
        .stage(Stage::new("one").on("a"))
        .stage(Stage::new("two").on("b").steps([1.0, 12.5]).bake(600 * SECOND).one_way(true));
    same(
        tree.migration(migration),
        &format!(
            "{head}[migration.\"clean.up\"]\nat = \"one\"\nguard = {{ services = [\"worker\"] }}\nowner = \"ana\"\n\
             description = \"d\"\n[[migration.\"clean.up\".stage]]\nname = \"one\"\non = [\"a\"]\n\
             [[migration.\"clean.up\".stage]]\nname = \"two\"\non = [\"b\"]\nsteps = [1, 12.5, 100]\nbake = \"10m\"\none_way = true"
        ),
    );
    let (tree, head) = shop();
    let migration = Migration::new("m").unguarded().stage(Stage::new("all").on("a").on("b"));
    same(
        tree.migration(migration).guard(Mode::Observe),
        &format!(
            "{head}[migration.m]\nguard = false\n[[migration.m.stage]]\nname = \"all\"\non = [\"a\", \"b\"]\n\
             [guard]\nmode = \"observe\""
        ),
    );
    same(Tree::new("t").guard(Mode::Off), "name = \"t\"\n[guard]\nmode = \"off\"");
    same(Tree::new("t").guard(Mode::On), "name = \"t\"");
    same(Tree::new("t").die_with_supervisor(), "name = \"t\"\non_supervisor_death = \"die\"");
}

#[test]
fn health_and_watchdog_say_what_their_keys_say() {
    service(|s| s.health(Health::tcp(80)).watchdog(3 * SECOND), "health = { tcp = 80 }\nwatchdog = \"3s\"");
    service(
        |s| s.health(Health::http("http://127.0.0.1:8080/x").every(2 * SECOND).timeout(SECOND)),
        "health = { http = \"http://127.0.0.1:8080/x\", every = \"2s\", timeout = \"1s\" }",
    );
    service(
        |s| s.health(Health::exec(["./check", "a b"]).failures(5).restart(false)),
        "health = { exec = [\"./check\", \"a b\"], failures = 5, restart = false }",
    );
    template(|t| t.health(Health::tcp_of("80%i")), "health = { tcp = \"80%i\" }");
}

#[test]
fn telemetry_is_what_the_file_says() {
    let telemetry = Telemetry::new()
        .enabled(true)
        .endpoint("http://localhost:4318")
        .sample(25.0)
        .name("health.*", 0.0)
        .keep_failed(false)
        .per_second(7)
        .batch(3, Duration::from_millis(5))
        .file(8192, 2);
    same(
        Tree::new("t").telemetry(telemetry),
        "name = \"t\"\n[telemetry]\nendpoint = \"http://localhost:4318\"\nsample = 25\nnames = { \"health.*\" = 0 }\n\
         keep_failed = false\nper_second = 7\nbatch = { size = 3, every = \"5ms\" }\nfile = { max_size = \"8KiB\", files = 2 }",
    );
}

#[test]
fn environment_files_are_read_from_the_folder_of_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mail.env"), "A=1\nB=2\n").unwrap();
    let mail =
        Service::new("mail", ["./mail"]).env_file("mail.env").env_file_if_there("no.env").env("B", "3");
    same_in(
        folder.path(),
        Tree::new("t").add(mail),
        "name = \"t\"\n[service.mail]\ncommand = \"./mail\"\nenv_file = [\"mail.env\", \"?no.env\"]\nenv = { B = \"3\" }",
    );
}

/// The manual is the list of what can be said; a key that a later version adds is missed here.
#[test]
fn every_key_of_the_manual_has_a_method() {
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let rows = manual.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    let keys: Vec<&str> =
        cells.flat_map(|cell| cell.split(',')).map(|key| key.trim().trim_matches('`')).collect();
    assert!(keys.len() > 50, "the tables are found: {keys:?}");
    let builders: String =
        ["service", "group", "tree", "flag", "guard", "health", "migration", "telemetry", "words", "text"]
            .iter()
            .map(|file| {
                fs::read_to_string(format!("{}/src/embed/{file}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap()
            })
            .collect();
    let missing: Vec<&&str> = keys.iter().filter(|key| !builders.contains(&format!("\"{key}\""))).collect();
    assert!(missing.is_empty(), "no method of `embed` says {missing:?}");
}
