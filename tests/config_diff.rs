//! What differs between two plans: each reason in words, and on random plans that every inequality is named and
//! nothing else is.

use mainstay::config::declared::Member;
use mainstay::config::diff::{Difference, What, diff};
use mainstay::config::plan::{Log, Program};
use mainstay::config::{self, Origin, Plan};
use mainstay::ipc::codec;
use mainstay::supervisor::spec::{Child, Group, GroupId, Node};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn plan(text: &str) -> Plan {
    let origin = Origin::new(Path::new("/srv/mainstay.toml"), "mainstay.toml", "shop");
    let origin = Origin { env_files: &|_| Ok("SECRET=1%%\n".to_owned()), ..origin };
    match config::parse(text.as_bytes(), &origin) {
        Ok(configuration) => configuration.plan,
        Err(found) => panic!("{text}\n{found}"),
    }
}

/// A line for each difference, as a person would note it.
fn lines(old: &str, new: &str) -> Vec<String> {
    let line = |difference: &Difference| match &difference.what {
        What::Added => format!("+ {}", difference.name),
        What::Removed => format!("- {}", difference.name),
        What::Restart { why } => format!("! {}: {}", difference.name, why.join("; ")),
        What::InPlace { why } => format!("~ {}: {}", difference.name, why.join("; ")),
    };
    diff(&plan(old), &plan(new)).iter().map(line).collect()
}

/// The reasons for the only service, which has these keys before and after.
fn check(old: &str, new: &str, expected: &str) {
    let service = |keys: &str| format!("[service.web]\ncommand = './web'\n{keys}\n");
    assert_eq!(lines(&service(old), &service(new)), [expected], "{old} → {new}");
}

#[test]
fn the_reload_of_the_first_five_minutes_reads_as_promised() {
    let old =
        "[service.worker]\ncommand = 'x'\n[service.web]\ncommand = './web'\n[service.old]\ncommand = 'x'\n";
    let new = "[service.worker]\ncommand = 'x'\nrestart = { max = 10, within = '1m' }\n\
        [service.web]\ncommand = './web -x'\n[service.mailer]\ncommand = 'x'\n";
    assert_eq!(
        lines(old, new),
        ["~ worker: restart policy 5/30s → 10/1m", "! web: command changed", "+ mailer", "- old"]
    );
}

#[test]
fn what_a_process_was_started_with_needs_a_restart() {
    check("", "env = { A = 1 }", "! web: environment A added");
    check("env = { A = 1, B = 1 }", "env = { A = 2 }", "! web: environment A changed; environment B removed");
    check("inherit_env = false", "", "! web: inherit_env false → true");
    check("", "directory = 'x'", "! web: directory /srv → /srv/x");
    check("user = 'www'", "", "! web: user www → none");
    check("", "umask = '027'", "! web: umask none → 027");
    check("", "ready = { tcp = 80 }", "! web: ready none → tcp 80");
    check(
        "ready = { output = 'up', within = '1s' }",
        "ready = { notify = true }",
        "! web: ready output \"up\" → notify; ready.within 1s → 30s",
    );
    check("log = 'none'", "log = 'inherit'", "! web: log none → inherit");
    check("", "log = 'none'\nautostart = false", "! web: log own file → none; autostart true → false");
}

#[test]
fn policy_is_in_place() {
    check("", "restart = 'transient'", "~ web: restart policy permanent → transient");
    check("restart = { max = 'unlimited' }", "", "~ web: restart policy unlimited → 5/30s");
    check("", "restart = { clean = [3, 4] }", "~ web: restart.clean [] → [3, 4]");
    check("backoff = 'none'", "", "~ web: backoff none → on");
    check(
        "",
        "backoff = { base = '1s', factor = 1.5 }",
        "~ web: backoff.base 100ms → 1s; backoff.factor 2 → 1.5",
    );
    check("ready = { tcp = 1 }", "ready = { tcp = 1, within = '1m' }", "~ web: ready.within 30s → 1m");
    check(
        "",
        "stop = { signal = 'RTMIN+3', grace = 'kill' }",
        "~ web: stop.grace 5s → kill; stop.signal TERM → RTMIN+3",
    );
    check("ready = { tcp = 1 }", "ready = { tcp = 1 }\nignore = 75", "~ web: ignore none → 75");
    check("", "condition = { exists = 'x' }", "~ web: condition none → exists /srv/x");
    check(
        "log = { files = 2 }",
        "log = { max_size = '1MiB' }",
        "~ web: log.max_size 10MiB → 1MiB; log.files 2 → 5",
    );
}

#[test]
fn instances_that_stay_are_not_restarted_and_those_that_are_renamed_are() {
    check("instances = 2", "instances = 4", "~ web: instances 2 → 4");
    check("", "instances = 4", "! web: instance web is called web#1; instances 1 → 4");
    let two = plan("[service.web]\ncommand = 'x'\n").scaled("web", 2).unwrap();
    let found = diff(&two, &plan("[service.web]\ncommand = 'x'\n"));
    assert_eq!(
        found,
        [Difference {
            name: "web".into(),
            what: What::InPlace { why: vec!["instances 2 → 1".into()] },
            keys: vec!["instances".into()]
        }]
    );
    let none = two.scaled("web", 0).unwrap();
    assert!(matches!(&diff(&none, &plan("[service.web]\ncommand = 'y'\n"))[..], [d] if d.name == "web"));
}

#[test]
fn needs_are_told_as_they_were_written() {
    let text = |count: u32, needs: &str| {
        format!(
            "[service.db]\ncommand = 'x'\ninstances = {count}\n[group.g]\n[service.a]\ncommand = 'x'\nneeds = {needs}\n"
        )
    };
    assert_eq!(lines(&text(2, "['db']"), &text(3, "['db']")), ["~ db: instances 2 → 3"]);
    assert_eq!(lines(&text(2, "['db#1', '@g']"), &text(2, "['@g', 'db#1', 'db#1']")), [""; 0]);
    assert_eq!(lines(&text(2, "[]"), &text(2, "['db#2', '@g']")), ["~ a: needs none → @g, db#2"]);
}

#[test]
fn a_service_moves_between_groups_in_place() {
    let text = |group: &str| format!("[group.a]\n[group.b]\n[service.web]\ncommand = 'x'\n{group}\n");
    assert_eq!(lines(&text("group = 'a'"), &text("group = 'b'")), ["~ web: moved from group a to b"]);
    assert_eq!(lines(&text(""), &text("group = 'b'")), ["~ web: moved from group shop to b"]);
    let named = |name: &str| format!("name = '{name}'\n[service.web]\ncommand = 'x'\n");
    assert_eq!(lines(&named("shop"), &named("mall")), ["~ @mall: renamed from shop to mall"]);
}

#[test]
fn groups_flags_templates_and_the_own_log_are_in_place() {
    let group = |keys: &str| format!("[group.g]\n{keys}\n[service.'w@']\ncommand = 'x'\ngroup = 'g'\n");
    let check =
        |old: &str, new: &str, expected: &str| assert_eq!(lines(&group(old), &group(new)), [expected]);
    check("", "strategy = 'pool'", "~ @g: strategy one_for_one → pool");
    check("strategy = 'pool'", "strategy = 'pool'\nmax_children = 3", "~ @g: max_children none → 3");
    check("intensity = 3\nperiod = '10s'", "intensity = 5", "~ @g: intensity 3/10s → 5/5s");
    check("", "on_limit = 'park'\nbackoff = 'none'", "~ @g: on_limit escalate → park; backoff on → none");
    check("semantics = 'otp'", "semantics = 'otp-seconds'", "~ @g: semantics otp → otp-seconds");
    check(
        "",
        "restart = { policy = 'temporary', within = '1s' }",
        "~ @g: restart policy permanent → temporary; restart policy 5/30s → 5/1s",
    );
    assert_eq!(
        lines(
            "auto_shutdown = 'any'\n[group.g]\nrestart = 'transient'\nsignificant = true",
            "[group.g]\nrestart = 'transient'"
        ),
        ["~ @shop: auto_shutdown any → never", "~ @g: significant true → false"]
    );
    let flag = |keys: &str| format!("[flag.f]\n{keys}\n");
    assert_eq!(
        lines(&flag("owner = 'ana'"), &flag("percent = 12.5\nsafe = true\nsalt = 's'")),
        ["~ flag f: value none → 12.5%; safe off → on; salt \"f\" → \"s\"; owner \"ana\" → none"]
    );
    assert_eq!(lines(&flag(""), ""), ["- flag f"]);
    assert_eq!(lines("", "[log]\nfiles = 9\n"), ["~ mainstay.log: files 5 → 9"]);
    let template = |keys: &str| format!("[service.'w@']\n{keys}\n");
    assert_eq!(
        lines(&template("command = 'x %i'"), &template("command = 'x'\nready = { tcp = '80%i' }")),
        ["~ w@: command changed; ready none → tcp 80%i"]
    );
    // The same characters, but what an environment file says is not filled in.
    assert_eq!(
        lines(
            &template("command = 'x'\nenv_file = 'e'"),
            &template("command = 'x'\nenv = { SECRET = '1%%' }")
        ),
        ["~ w@: environment SECRET changed"]
    );
    assert_eq!(lines("", &template("command = 'x'")), ["+ w@"]);
}

#[test]
fn flags_migrations_and_the_guard_are_told_in_words_and_ids_are_counted() {
    let flag = |keys: &str| format!("[service.web]\ncommand = 'x'\n[flag.other]\n[flag.f]\n{keys}\n");
    let check = |old: &str, new: &str, expected: &str| {
        assert_eq!(lines(&flag(old), &flag(new)), [format!("~ flag f: {expected}")], "{old} → {new}");
    };
    check("", "default = true", "default off → on");
    check("percent = 10", "percent = 12.5", "value 10% → 12.5%");
    check("value = true", "", "value on → none");
    check("default = 1", "default = 'a'", "kind int → text; default 1 → \"a\"; safe 1 → \"a\"");
    check("", "kind = 'bool'", "kind percent → bool");
    check("", "requires = 'other'", "requires none → other");
    check("requires = 'other'", "requires = 'not other'", "requires other → not other");
    check(
        "allow = ['a', 'b']",
        "allow = ['b', 'c', 'd']\ndeny = ['a']",
        "allow: 2 ids added, 1 id removed; deny: 1 id added",
    );
    check("allow = ['a', 'b']", "allow = ['b', 'a']", "order of allow changed");
    check("", "unit = 'host'", "unit id → host");
    check(
        "",
        "services = ['web']\nenv = true\nwhy = true",
        "services none → web; env false → true; why false → true",
    );
    check("", "expires = '2026-12-31'", "expires none → 2026-12-31");
    check("", "guard = true", "guard none → on");
    check("guard = true", "guard = 'observe'", "guard on → observe");
    check(
        "guard = true",
        "guard = { services = ['web'], crashes = 5, within = '1s', bake = '10s', ready = false, health = 0 }",
        "guard.services none → web; guard.crashes 3 → 5; guard.within 1m → 1s; guard.bake 5m → 10s; guard.ready true → false; \
         guard.health 3 → 0",
    );
    check(
        "guard = {}",
        "guard = { errors = { delta = 1.5 } }",
        "guard.errors none → 1.5% above, 200 samples",
    );
    check("guard = {}", "guard = { command = 'a b' }", "guard.command none → \"a b\"");
    check(
        "guard = { command = 'a b' }",
        "guard = { command = 'c', every = '1m', timeout = '1s' }",
        "guard.command changed; guard.every 30s → 1m; guard.timeout 10s → 1s",
    );
    let migration = |keys: &str| format!("[flag.a]\n[flag.b]\n[migration.m]\n{keys}\n");
    let check = |old: &str, new: &str, expected: &str| {
        assert_eq!(
            lines(&migration(old), &migration(new)),
            [format!("~ migration m: {expected}")],
            "{old} → {new}"
        );
    };
    let one = "stage = [{ name = 's', on = ['a'] }]\n";
    check(one, &format!("{one}at = 1"), "at 0 → 1 (s)");
    check(one, &format!("{one}guard = false"), "guard on → off");
    check(
        one,
        "stage = [{ name = 's', on = ['a', 'b'], steps = [1, 12.5], bake = '10m', one_way = true }]",
        "stage s: on a → a, b; stage s: steps none → 1%, 12.5%, 100%; stage s: bake none → 10m; stage s: one_way false → true",
    );
    check(one, "stage = [{ name = 't', on = ['b'] }, { name = 's', on = ['a'] }]", "stages s → t, s");
    assert_eq!(lines("[flag.a]", &migration(one)), ["+ flag b", "+ migration m"]);
    assert_eq!(lines(&migration(one), "[flag.a]\n[flag.b]"), ["- migration m"]);
    assert_eq!(lines("", "[guard]\nmode = 'observe'"), ["~ the guard: mode on → observe"]);
}

#[test]
fn health_checks_change_in_place_and_a_watchdog_needs_a_new_process() {
    check("", "health = { tcp = 80 }", "~ web: health none → tcp 80");
    check(
        "health = { tcp = 80 }",
        "health = { http = 'http://127.0.0.1/x', every = '20s', timeout = '1s', failures = 1, restart = false }",
        "~ web: health tcp 80 → http \"http://127.0.0.1/x\"; health.every 10s → 20s; health.timeout 5s → 1s; \
         health.failures 3 → 1; health.restart true → false",
    );
    check("health = { exec = 'a b' }", "health = { exec = ['a b'] }", "~ web: health: what is asked changed");
    check("", "watchdog = '10s'", "! web: watchdog none → 10s");
    let template = |keys: &str| format!("[service.'w@']\ncommand = 'x'\n{keys}\n");
    assert_eq!(
        lines(&template("health = { tcp = '80%i' }"), &template("health = { tcp = '81%i' }")),
        ["~ w@: health tcp 80%i → tcp 81%i"]
    );
}

#[test]
fn the_order_of_members_is_a_difference_of_their_group_and_a_newcomer_is_none() {
    let text = |names: &[&str]| -> String {
        names.iter().map(|name| format!("[service.{name}]\ncommand = 'x'\n")).collect()
    };
    assert_eq!(
        lines(&text(&["a", "b", "c"]), &text(&["a", "c", "b"])),
        ["~ @shop: order of members changed"]
    );
    assert_eq!(lines(&text(&["a", "b", "c"]), &text(&["d", "a", "c"])), ["+ d", "- b"]);
}

#[test]
fn nothing_in_a_reason_reaches_the_terminal_as_a_control_character() {
    let found = lines(
        "[service.a]\ncommand = 'x'\n",
        "[service.a]\ncommand = 'x'\ndirectory = \"\\u001b[31m\"\nready = { output = \"\\u0007\" }\nenv = { \"\\u001b\" = 1 }\n",
    );
    assert!(found.iter().all(|line| !line.contains(char::is_control)), "{found:?}");
}

#[test]
fn many_variables_are_counted_instead_of_named() {
    let env: String = (0..20).map(|i| format!("V{i:02} = 1, ")).collect();
    let found =
        lines("[service.a]\ncommand = 'x'\n", &format!("[service.a]\ncommand = 'x'\nenv = {{ {env} }}\n"));
    assert!(found[0].ends_with("environment V09 added; environment: 10 more"), "{found:?}");
}

// Random plans.

/// Keys of a service, each with the values that it may have; nothing is also one.
const SERVICE_KEYS: &[(&str, &[&str])] = &[
    ("command", &["'./x'", "['./x', 'a']"]),
    ("group", &["'g'", "'h'"]),
    ("restart", &["'transient'", "{ max = 3 }", "{ clean = [3] }", "{ max = 'unlimited' }"]),
    ("backoff", &["'none'", "{ base = '1s' }", "{ jitter = 0 }"]),
    ("ready", &["{ tcp = 80 }", "{ output = 'up' }", "{ tcp = 80, within = '1s' }"]),
    ("stop", &["{ signal = 'INT' }", "{ grace = 'forever' }"]),
    ("env", &["{ A = 's3cret-1' }", "{ A = 's3cret-2' }", "{ B = 's3cret-1' }"]),
    ("inherit_env", &["false"]),
    ("directory", &["'d'"]),
    ("user", &["'www'"]),
    ("umask", &["'077'"]),
    ("log", &["'none'", "'inherit'", "{ files = 2 }"]),
    ("blackbox", &["false"]),
    ("condition", &["{ exists = 'k' }"]),
    (
        "health",
        &[
            "{ tcp = 80 }",
            "{ tcp = 81 }",
            "{ exec = 'x y' }",
            "{ exec = ['x y'] }",
            "{ tcp = 80, failures = 1 }",
        ],
    ),
    ("watchdog", &["'1s'", "'2s'"]),
];
const ONLY_SERVICES: &[(&str, &[&str])] = &[("instances", &["1", "2", "3"]), ("autostart", &["false"])];
const GROUP_KEYS: &[(&str, &[&str])] = &[
    ("strategy", &["'one_for_all'", "'rest_for_one'"]),
    ("intensity", &["0", "3"]),
    ("on_limit", &["'park'"]),
    ("restart", &["'temporary'", "{ max = 1 }"]),
    ("backoff", &["'none'", "{ first = '1s' }"]),
    ("auto_shutdown", &["'never'"]),
];
const FLAG_KEYS: &[(&str, &[&str])] = &[
    ("default", &["true"]),
    ("percent", &["1", "100"]),
    ("safe", &["true"]),
    ("salt", &["'s'"]),
    ("owner", &["'ana'"]),
    ("expires", &["'2026-12-31'"]),
    ("requires", &["'z'", "'not z'"]),
    ("allow", &["['s3cret-1']", "['s3cret-1', 's3cret-2']", "['s3cret-2', 's3cret-1']"]),
    ("guard", GUARDS),
    ("env", &["true"]),
    ("why", &["true"]),
];
const GUARDS: &[&str] = &[
    "true",
    "'observe'",
    "{ crashes = 4 }",
    "{ within = '1s', bake = '2s', ready = false, health = 1 }",
    "{ errors = { delta = 1 } }",
    "{ errors = { delta = 2 }, command = 'a b' }",
    "{ command = ['a b'] }",
    "{ command = 'a b', every = '1m', timeout = '1s' }",
];
const MIGRATION_KEYS: &[(&str, &[&str])] = &[
    (
        "stage",
        &[
            "[{ name = 's', on = ['z'] }]",
            "[{ name = 't', on = ['z'] }]",
            "[{ name = 's', on = ['z'], steps = [1], bake = '3m', one_way = true }]",
            "[{ name = 's', on = ['z'], steps = [2] }, { name = 't', on = ['w'] }]",
            "[{ name = 't', on = ['w'] }, { name = 's', on = ['z'] }]",
        ],
    ),
    ("at", &["0", "1"]),
    ("guard", GUARDS),
    ("description", &["'d'"]),
];

type Keys = Vec<(&'static str, &'static [&'static str])>;
/// A value for some keys, those of a table.
type Chosen = Vec<Option<(&'static str, &'static str)>>;

fn tables() -> Vec<(String, Keys)> {
    let nested: Keys = [GROUP_KEYS, &[("group", &["'g'"] as &[_])]].concat();
    let mut tables =
        vec![("[group.g]".to_owned(), GROUP_KEYS.to_vec()), ("[group.h]".to_owned(), nested.clone())];
    for name in ["a", "b", "c"] {
        tables.push((format!("[service.{name}]"), [SERVICE_KEYS, ONLY_SERVICES].concat()));
    }
    tables.push(("[service.'t@']".to_owned(), SERVICE_KEYS.to_vec()));
    tables.extend(["i", "j"].map(|name| (format!("[group.{name}]"), nested.clone())));
    tables.extend(["x", "y"].map(|name| (format!("[flag.{name}]"), FLAG_KEYS.to_vec())));
    tables.push(("[log]".to_owned(), vec![("files", &["2", "3"])]));
    tables.push(("[migration.m]".to_owned(), MIGRATION_KEYS.to_vec()));
    tables.push(("[guard]".to_owned(), vec![("mode", &["'on'", "'observe'", "'off'"])]));
    tables.extend(["z", "w"].map(|name| (format!("[flag.{name}]"), vec![("kind", &["'percent'"] as &[_])])));
    tables
}

fn values(keys: Keys) -> impl proptest::strategy::Strategy<Value = Chosen> {
    let one = |(key, values): (&'static str, &'static [&'static str])| {
        let value = proptest::sample::select(values).prop_map(move |value| Some((key, value)));
        prop_oneof![3 => Just(None), 1 => value]
    };
    keys.into_iter().map(one).collect::<Vec<_>>()
}

fn rendered(header: &str, chosen: &Chosen) -> String {
    let mut out = format!("{header}\n");
    if header.starts_with("[service") && !chosen.iter().flatten().any(|(key, _)| *key == "command") {
        out.push_str("command = './x'\n");
    }
    if header.starts_with("[migration") && !chosen.iter().flatten().any(|(key, _)| *key == "stage") {
        out.push_str("stage = [{ name = 's', on = ['z'] }]\n");
    }
    for (key, value) in chosen.iter().flatten() {
        out.push_str(&format!("{key} = {value}\n"));
    }
    out
}

/// Two texts that are the same but for a few keys, tables, and now and then the order of the tables.
fn near() -> impl proptest::strategy::Strategy<Value = (String, String)> {
    let one = |(header, keys): (String, Keys)| {
        let changes = proptest::collection::vec(proptest::bool::weighted(0.03), keys.len());
        let kept = (proptest::bool::weighted(0.8), proptest::bool::weighted(0.1));
        (values(keys.clone()), values(keys), changes, kept).prop_map(
            move |(old, other, changes, (kept, flip))| {
                let new = old
                    .iter()
                    .zip(other)
                    .zip(changes)
                    .map(|((old, other), other_is)| if other_is { other } else { *old });
                let new = rendered(&header, &new.collect());
                // Groups that others are in, and flags that others name, are always there.
                let always = matches!(header.as_str(), "[group.g]" | "[group.h]" | "[flag.z]" | "[flag.w]");
                ((kept || always).then(|| rendered(&header, &old)), ((kept ^ flip) || always).then_some(new))
            },
        )
    };
    let tables: Vec<_> = tables().into_iter().map(one).collect();
    let order: Vec<usize> = (0..tables.len()).collect();
    let orders =
        (Just(order.clone()).prop_shuffle(), Just(order).prop_shuffle(), proptest::bool::weighted(0.1));
    (tables, orders).prop_map(|(tables, (order, other, reorder))| {
        let old = order.iter().filter_map(|at| tables[*at].0.clone()).collect();
        let order = if reorder { other } else { order };
        (old, order.iter().filter_map(|at| tables[*at].1.clone()).collect())
    })
}

fn text() -> impl proptest::strategy::Strategy<Value = String> {
    near().prop_map(|(text, _)| text)
}

/// Everything that a plan says, under the name by which a difference in it must be called: what takes a restart, and
/// all of it. Written with `Debug`, so that nothing is left out.
fn view(plan: &Plan) -> BTreeMap<String, (String, String)> {
    let mut view = BTreeMap::new();
    let group = |group: GroupId| match group.0 {
        0 => "the root",
        at => plan.tree.groups[at as usize].name.as_str(),
    };
    let one = |child: &Child, program: &Program, needs: &dyn std::fmt::Debug, more: String| {
        let env: BTreeMap<_, _> = program.env.iter().cloned().collect();
        let program = Program { env: Vec::new(), line: 0, part: 0, ..program.clone() };
        let kind = match program.log {
            Log::Logger { .. } => Log::default(),
            ref other => other.clone(),
        };
        let started_with =
            Program { condition: None, health: None, log: kind, blackbox: true, ..program.clone() };
        let policy = Child { group: GroupId::ROOT, needs: Vec::new(), ..child.clone() };
        let all = format!("{program:?} {policy:?} {env:?} {} {needs:?} {more}", group(child.group));
        (format!("{started_with:?} {env:?}"), all)
    };
    for service in &plan.declared.services {
        let at = service.first as usize;
        let value =
            one(&plan.tree.children[at], &plan.programs[at], &service.needs, service.count.to_string());
        view.insert(service.name.clone(), value);
    }
    for template in &plan.templates {
        let (_, all) =
            one(&template.child, &template.program, &template.needs, format!("{:?}", template.blanks));
        view.insert(template.name.clone(), (String::new(), all));
    }
    for (at, part) in plan.tree.groups.iter().enumerate() {
        let policy = Group { members: Vec::new(), parent: None, name: String::new(), ..part.clone() };
        let all = format!("{policy:?} {:?}", part.parent.map(group));
        view.insert(format!("@{}", if at == 0 { &plan.project } else { &part.name }), (String::new(), all));
    }
    for flag in &plan.flags {
        view.insert(format!("flag {}", flag.name), (String::new(), format!("{flag:?}")));
    }
    for migration in &plan.migrations {
        view.insert(format!("migration {}", migration.name), (String::new(), format!("{migration:?}")));
    }
    view.insert("the guard".to_owned(), (String::new(), format!("{:?}", plan.guard)));
    view.insert("mainstay.log".to_owned(), (String::new(), format!("{:?}", plan.log)));
    view
}

/// Members of each group by name.
fn members(plan: &Plan) -> BTreeMap<String, Vec<String>> {
    let name = |member: &Member| match *member {
        Member::Service(at) => plan.declared.services[at as usize].name.clone(),
        Member::Group(at) => format!("@{}", plan.tree.groups[at.0 as usize].name),
    };
    let groups = plan.tree.groups.iter().zip(&plan.declared.members);
    groups.map(|(group, members)| (format!("@{}", group.name), members.iter().map(name).collect())).collect()
}

/// The names that `diff` must give, found without it.
fn expected(old: &Plan, new: &Plan) -> BTreeMap<String, &'static str> {
    let (before, after) = (view(old), view(new));
    let mut names = BTreeMap::new();
    for name in before.keys().chain(after.keys()) {
        let what = match (before.get(name), after.get(name)) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(before), Some(after)) if before.0 != after.0 => "restart",
            (Some(before), Some(after)) if before.1 != after.1 => "in place",
            _ => continue,
        };
        names.insert(name.clone(), what);
    }
    let after = members(new);
    for (group, was) in members(old) {
        let Some(is) = after.get(&group) else { continue };
        let (old_set, new_set): (BTreeSet<_>, BTreeSet<_>) = (was.iter().collect(), is.iter().collect());
        if !was.iter().filter(|m| new_set.contains(m)).eq(is.iter().filter(|m| old_set.contains(m))) {
            names.insert(group, "in place");
        }
    }
    names
}

fn found(old: &Plan, new: &Plan) -> BTreeMap<String, &'static str> {
    let mut names = BTreeMap::new();
    for Difference { name, what, .. } in diff(old, new) {
        let (word, why) = match what {
            What::Added => ("added", vec!["new".to_owned()]),
            What::Removed => ("removed", vec!["gone".to_owned()]),
            What::Restart { why } => ("restart", why),
            What::InPlace { why } => ("in place", why),
        };
        assert!(!why.is_empty() && why.iter().all(|reason| !reason.is_empty()), "{name} has a reason");
        assert!(why.iter().all(|reason| !reason.contains("s3cret")), "a value is told: {why:?}");
        assert_eq!(names.insert(name.clone(), word), None, "{name} is named once");
    }
    names
}

proptest! {
    #[test]
    fn every_inequality_of_two_plans_is_named_and_nothing_else((old, new) in near()) {
        let (old, new) = (plan(&old), plan(&new));
        prop_assert_eq!(found(&old, &new), expected(&old, &new));
    }

    #[test]
    fn two_plans_that_have_little_in_common_are_no_exception(old in text(), new in text()) {
        let (old, new) = (plan(&old), plan(&new));
        prop_assert_eq!(found(&old, &new), expected(&old, &new));
    }

    #[test]
    fn a_plan_does_not_differ_from_itself(text in text()) {
        let plan = plan(&text);
        prop_assert_eq!(diff(&plan, &plan), []);
        let service = plan.declared.services.first().map(|s| (s.name.clone(), s.count));
        if let Some((name, count)) = service {
            let there_and_back = plan.scaled(&name, 7).unwrap().scaled(&name, count).unwrap();
            prop_assert_eq!(diff(&plan, &there_and_back), []);
            prop_assert_eq!(&plan.tree, &there_and_back.tree);
        }
    }

    /// The supervisor keeps the plan in force as bytes, and compares the next one with what it reads back.
    #[test]
    fn a_plan_survives_being_written_and_read(text in text()) {
        let plan = plan(&text);
        let bytes = codec::encode_plan(&plan).unwrap();
        let back: Plan = codec::decode_plan(&bytes).unwrap();
        prop_assert_eq!(diff(&plan, &back), []);
        prop_assert_eq!(format!("{back:?}"), format!("{plan:?}"));
    }

    #[test]
    fn a_tree_names_each_node_once_and_only_what_is_there(text in text()) {
        let plan = plan(&text);
        let mut seen = BTreeSet::new();
        for (at, group) in plan.tree.groups.iter().enumerate() {
            for member in &group.members {
                prop_assert!(seen.insert(*member));
                let home = match *member {
                    Node::Child(child) => Some(plan.tree.children[child.0 as usize].group),
                    Node::Group(group) => plan.tree.groups[group.0 as usize].parent,
                };
                prop_assert_eq!(home, Some(GroupId(at as u32)));
            }
        }
        prop_assert_eq!(seen.len(), plan.tree.children.len() + plan.tree.groups.len() - 1);
    }
}

#[test]
fn who_shares_its_supervisors_fate_is_started_anew_and_others_are_not() {
    let service = "[service.web]\ncommand = './web'\n";
    let die = format!("on_supervisor_death = 'die'\n{service}");
    assert_eq!(lines(service, &die), ["! web: on_supervisor_death stay → die"]);
    assert_eq!(lines(&die, service), ["! web: on_supervisor_death die → stay"]);
    let stay = format!("on_supervisor_death = 'stay'\n{service}");
    assert_eq!(lines(service, &stay), Vec::<String>::new());
}
