//! What makes no sense is told with its node and its option, all at once, and nothing panics.

use mainstay::embed::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Node and option of every flaw.
fn flaws(tree: Tree) -> Vec<(String, String)> {
    let flaws = tree.folder("/srv/shop").build().expect_err("it makes no sense").0;
    flaws.into_iter().map(|flaw| (flaw.node, flaw.option)).collect()
}

#[track_caller]
fn one(tree: Tree, node: &str, option: &str) {
    assert_eq!(flaws(tree), [(node.to_owned(), option.to_owned())]);
}

#[track_caller]
fn service(change: impl Fn(Service) -> Service, option: &str) {
    one(Tree::new("t").add(change(Service::new("web", ["./web"]))), "service `web`", option);
}

#[test]
fn a_value_out_of_its_range_is_told_with_its_option() {
    service(|s| s.instances(0), "instances");
    service(|s| s.instances(10_001), "instances");
    service(|s| s.restart_within(Duration::ZERO), "restart.within");
    service(|s| s.restart_within(Duration::MAX), "restart.within");
    service(|s| s.backoff(Backoff::new().factor(0.5)), "backoff.factor");
    service(|s| s.backoff(Backoff::new().factor(f64::NAN)), "backoff.factor");
    service(|s| s.backoff(Backoff::new().jitter(f64::INFINITY)), "backoff.jitter");
    service(
        |s| s.backoff(Backoff::new().base(Duration::from_secs(9)).max(Duration::from_secs(1))),
        "backoff",
    );
    service(|s| s.ready(Ready::tcp(0)), "ready.tcp");
    service(|s| s.ready(Ready::output("")), "ready.output");
    service(|s| s.ready(Ready::notify().within(Duration::ZERO)), "ready.within");
    service(|s| s.stop_signal(Signal::KILL), "stop.signal");
    service(|s| s.stop_signal(Signal(0)), "stop.signal");
    service(|s| s.stop_signal(Signal::realtime(200)), "stop.signal");
    service(|s| s.env("A=B", "1"), "env.A=B");
    service(|s| s.env("MAINSTAY_X", "1"), "env.MAINSTAY_X");
    service(|s| s.env("A", "1\u{0}2"), "env.A");
    service(|s| s.umask(0o1000), "umask");
    service(|s| s.log(LogFile::new().max_size(4095)), "log.max_size");
    service(|s| s.log(LogFile::new().max_size(u64::MAX)), "log.max_size");
    service(|s| s.log(LogFile::new().files(0)), "log.files");
    service(|s| s.user(""), "user");
    service(|s| s.directory("~/web"), "directory");
    service(|s| s.directory("spool/%i"), "directory");
    service(|s| s.directory(Path::new(OsStr::from_bytes(b"\xff"))), "directory");
    service(|s| s.condition(Condition::Exists(OsStr::from_bytes(b"\xff").into())), "condition.exists");
    service(|s| s.env_file("/not/there.env"), "env_file");
    one(Tree::new("t").add(Service::new("web", Vec::<String>::new())), "service `web`", "command");
    one(Tree::new("t").add(Service::new("web", [""])), "service `web`", "command");
    one(Tree::new("t").flag(Flag::new("f").percent(101.0)), "flag `f`", "percent");
    one(Tree::new("t").flag(Flag::new("f").default("x".repeat(129))), "flag `f`", "default");
    one(Tree::new("t").flag(Flag::new("f").expires(2026, 2, 30)), "flag `f`", "expires");
    one(Tree::new("t").flag(Flag::new("f").allow("")), "flag `f`", "allow");
    let guarded = |guard: Guard| Tree::new("t").flag(Flag::new("f").guard(guard));
    let second = Duration::from_secs(1);
    one(guarded(Guard::new().crashes(0)), "flag `f`", "guard.crashes");
    one(guarded(Guard::new().within(second).bake(second)), "flag `f`", "guard.bake");
    one(guarded(Guard::new().errors(-1.0, 1)), "flag `f`", "guard.errors.delta");
    one(guarded(Guard::new().every(second)), "flag `f`", "guard.every");
    service(|s| s.health(Health::tcp(0)), "health.tcp");
    service(|s| s.health(Health::http("https://127.0.0.1/")), "health.http");
    service(|s| s.health(Health::exec([""; 0])), "health.exec");
    service(|s| s.health(Health::tcp(1).every(Duration::ZERO)), "health.every");
    service(|s| s.watchdog(Duration::ZERO), "watchdog");
    one(
        Tree::new("t").defaults(Defaults::new().restart_within(Duration::ZERO)),
        "defaults",
        "restart.within",
    );
    one(Tree::new("t").log(LogFile::new().files(1001)), "log", "files");
}

#[test]
fn a_name_that_cannot_be_one_is_told() {
    let web = |name: &str| Service::new(name, ["./web"]);
    for name in ["", "a b", "web#2", "mainstay.x", "\u{0}", "é", "]\n[service.x]"] {
        one(Tree::new("t").add(web(name)), &format!("service `{name}`"), "name");
        one(Tree::new("t").add(Group::new(name)), &format!("group `{name}`"), "name");
    }
    one(Tree::new(""), "tree ``", "name");
    one(Tree::new("mainstay"), "tree `mainstay`", "name");
    one(Tree::new("t").add(Template::new("a@b", ["x"])), "template `a@b@`", "name");
    one(Tree::new("t").flag(Flag::new("a b")), "flag `a b`", "name");
    one(Tree::new("app").add(Group::new("app")), "group `app`", "name");
}

#[test]
fn what_does_not_fit_together_is_told_with_its_option() {
    let web = || Service::new("web", ["./web"]);
    one(
        Tree::new("t").add(web().significant(true).restart(Restart::Temporary)),
        "service `web`",
        "significant",
    );
    one(
        Tree::new("t").auto_shutdown(AutoShutdown::Any).add(web().significant(true)),
        "service `web`",
        "significant",
    );
    one(Tree::new("t").add(web().ignore(3)), "service `web`", "ignore");
    one(Tree::new("t").add(web().needs_service("db")), "service `web`", "needs");
    one(Tree::new("t").add(web().needs_group("app")), "service `web`", "needs");
    one(Tree::new("t").add(web().needs_instance("web", 1)), "service `web`", "needs");
    one(Tree::new("t").semantics(Semantics::Otp).add(web().restart_max(3)), "service `web`", "restart.max");
    one(
        Tree::new("t").semantics(Semantics::Otp).add(web().backoff(Backoff::new())),
        "service `web`",
        "backoff",
    );
    one(Tree::new("t").semantics(Semantics::Otp).on_limit(OnLimit::Park), "tree `t`", "on_limit");
    one(
        Tree::new("t").semantics(Semantics::OtpSeconds).period(Duration::from_millis(1500)),
        "tree `t`",
        "period",
    );
    let job = || Template::new("job", ["./job"]);
    one(Tree::new("t").add(Pool::new("jobs", job().significant(true))), "template `job@`", "significant");
    one(Tree::new("t").pool(job(), None).add(web()), "tree `t`", "strategy");
    one(Tree::new("t").add(job().env("A", "%x")), "template `job@`", "env.A");
    one(Tree::new("t").flag(Flag::new("f").value(true).percent(5.0)), "flag `f`", "percent");
    one(Tree::new("t").flag(Flag::new("f").requires("g")), "flag `f`", "requires");
    one(Tree::new("t").flag(Flag::new("f").requires("f")), "flag `f`", "requires");
    one(Tree::new("t").flag(Flag::new("f").allow("a").deny("a")), "flag `f`", "deny");
    one(Tree::new("t").flag(Flag::new("f").service("web")), "flag `f`", "services");
    one(Tree::new("t").flag(Flag::new("f").guard(Guard::new().service("web"))), "flag `f`", "guard.services");
    one(Tree::new("t").flag(Flag::new("f").default(1).safe(true)), "flag `f`", "safe");
    one(Tree::new("t").migration(Migration::new("m")), "migration `m`", "name");
    one(
        Tree::new("t").migration(Migration::new("m").stage(Stage::new("s").on("a"))),
        "migration `m`",
        "stage.on",
    );
    let one_stage = |name: &str| Migration::new(name).stage(Stage::new("s").on("a"));
    one(Tree::new("t").flag(Flag::new("a")).migration(one_stage("m").at(2)), "migration `m`", "at");
    one(Tree::new("t").flag(Flag::new("f").kind(FlagKind::Bool).percent(5.0)), "flag `f`", "percent");
}

#[test]
fn a_name_twice_is_told_and_the_rest_is_judged_all_the_same() {
    let web = |n: u32| Service::new("web", ["./web"]).instances(n);
    let tree = Tree::new("t")
        .add(web(1))
        .add(Group::new("g").add(web(1)))
        .add(Group::new("g").add(Service::new("db", ["./db"]).instances(0)))
        .flag(Flag::new("f"))
        .flag(Flag::new("f"));
    let expected = [
        ("service `web`", "name"),
        ("group `g`", "name"),
        ("flag `f`", "name"),
        ("service `db`", "instances"),
    ];
    let expected = expected.map(|(node, option)| (node.to_owned(), option.to_owned()));
    assert_eq!(flaws(tree), expected);
}

#[test]
fn all_flaws_are_told_at_once_and_say_what_to_do() {
    let tree = Tree::new("t")
        .add(Service::new("web", ["./web"]).instances(0).umask(0o7777))
        .add(Service::new("db", ["./db"]).needs_service("wbe"))
        .add(Group::new("jobs").intensity(1).period(Duration::ZERO));
    let error = tree.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "service `web`, `instances`: 0 is not a whole number from 1 to 10000\n\
         service `web`, `umask`: expected an octal mask from \"000\" to \"777\", such as \"022\"\n\
         group `jobs`, `period`: it must be longer than 0s\n\
         service `db`, `needs`: service `db` needs `wbe`, which does not exist (did you mean `web`?)"
    );
}

#[test]
fn what_this_machine_does_not_have_is_a_warning() {
    let tree = Tree::new("t").folder("/").add(Service::new("web", ["/no/such/program"]));
    let warnings = tree.warnings().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!((warnings[0].node.as_str(), warnings[0].option.as_str()), ("service `web`", "command"));
    assert!(warnings[0].message.contains("does not exist"), "{warnings:?}");
    assert!(tree.build().is_ok());
}
