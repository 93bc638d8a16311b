//! Text → plan: what every key means, its default, and what happens at the edges.

use mainstay::config::plan::{Log, Program, Ready};
use mainstay::config::{self, Configuration, Diagnostics, Origin, Plan, units};
use mainstay::flags::Value;
use mainstay::supervisor::spec::Strategy as GroupStrategy;
use mainstay::supervisor::spec::{
    Backoff, Child, ChildId, DEFAULT_LIMIT, Grace, Group, GroupId, Intensity, Node, OTP_INTENSITY, OnLimit,
    Restart,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;
const SECS: fn(u64) -> Duration = Duration::from_secs;

fn parse_bytes(text: &[u8]) -> Result<Configuration, Diagnostics> {
    let files = BTreeMap::from([
        ("/srv/shop/.env", "# a comment\nexport A='1'\r\nB = \"two words\"\n\nC=$A `x` \\n\nPORT=1"),
        ("/etc/extra.env", "B=3"),
    ]);
    let env_files = |path: &Path| {
        let text = path.to_str().and_then(|path| files.get(path));
        text.map(|text| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(text, &Origin { env_files: &env_files, ..origin })
}

fn plan(text: &str) -> Plan {
    match parse_bytes(text.as_bytes()) {
        Ok(configuration) => configuration.plan,
        Err(found) => panic!("{found}"),
    }
}

/// The only service's policy and program, from the keys of its table.
fn service(keys: &str) -> (Child, Program) {
    let plan = plan(&format!("[service.web]\ncommand = \"./web\"\n{keys}\n"));
    assert_eq!(plan.tree.children.len(), 1);
    (plan.tree.children[0].clone(), plan.programs[0].clone())
}

fn group<'a>(plan: &'a Plan, name: &str) -> &'a Group {
    plan.tree.groups.iter().find(|g| g.name == name).expect("the group is there")
}

fn child<'a>(plan: &'a Plan, name: &str) -> &'a Child {
    plan.tree.children.iter().find(|c| c.name == name).expect("the instance is there")
}

fn node(plan: &Plan, name: &str) -> Node {
    let place = plan.tree.children.iter().position(|c| c.name == name).expect("the instance is there");
    Node::Child(ChildId(u32::try_from(place).unwrap()))
}

#[test]
fn a_service_that_says_nothing_but_its_command_has_every_default() {
    let (child, program) = service("");
    assert_eq!(
        child,
        Child {
            name: "web".to_owned(),
            group: GroupId::ROOT,
            restart: Restart::Permanent,
            limit: Some(Intensity { max: 5, within: SECS(30) }),
            backoff: Backoff::default(),
            ready_within: None,
            grace: Grace::After(SECS(5)),
            stop_signal: 15,
            clean: vec![],
            needs: vec![],
            autostart: true,
            significant: false,
            ignore: None,
            added: false,
        }
    );
    assert_eq!(
        program,
        Program {
            service: "web".to_owned(),
            instance: "web".to_owned(),
            argv: vec!["./web".to_owned()],
            env: vec![],
            inherit_env: true,
            directory: PathBuf::from("/srv/shop"),
            user: None,
            umask: None,
            ready: Ready::Nothing,
            health: None,
            watchdog: None,
            condition: None,
            blackbox: true,
            fate_shared: false,
            part: 0,
            log: Log::Logger { max_size: 10 << 20, files: 5 },
            line: 1,
        }
    );
}

#[test]
fn a_command_as_text_is_split_as_a_shell_would_and_an_array_is_left_alone() {
    let argv = |command: &str| plan(&format!("[service.a]\ncommand = {command}")).programs[0].argv.clone();
    assert_eq!(argv(r#""./web --port 8080""#), ["./web", "--port", "8080"]);
    assert_eq!(argv(r#"'''sh -c "a b" 'c d' e\ f '''''"#), ["sh", "-c", "a b", "c d", "e f", ""]);
    assert_eq!(argv(r#"["a b", "", "$X | y"]"#), ["a b", "", "$X | y"]);
}

#[test]
fn restart_is_a_word_or_a_table_whose_missing_keys_have_defaults() {
    let check = |text: &str, policy, limit, clean: &[u8]| {
        let (child, _) = service(&format!("restart = {text}"));
        assert_eq!((child.restart, child.limit, child.clean.as_slice()), (policy, limit, clean), "{text}");
    };
    let limit = |max, within| Some(Intensity { max, within });
    check(r#""permanent""#, Restart::Permanent, limit(5, SECS(30)), &[]);
    check(r#""transient""#, Restart::Transient, limit(5, SECS(30)), &[]);
    check(r#""temporary""#, Restart::Temporary, limit(5, SECS(30)), &[]);
    check("{}", Restart::Permanent, limit(5, SECS(30)), &[]);
    check("{ max = 0 }", Restart::Permanent, limit(0, SECS(30)), &[]);
    check(r#"{ within = "1m 30s" }"#, Restart::Permanent, limit(5, SECS(90)), &[]);
    check(r#"{ policy = "transient", clean = [3, 255] }"#, Restart::Transient, limit(5, SECS(30)), &[3, 255]);
    check(r#"{ max = "unlimited" }"#, Restart::Permanent, None, &[]);
}

#[test]
fn backoff_keys_that_are_missing_have_defaults_and_none_means_no_wait() {
    let backoff = |text: &str| service(&format!("backoff = {text}")).0.backoff;
    assert_eq!(backoff("{}"), Backoff::default());
    assert_eq!(backoff(r#""none""#), Backoff::NONE);
    assert_eq!(backoff(r#"{ base = "1s", factor = 3, jitter = 0 }"#).factor, 3.0);
    let all = r#"{ first = "1ms", base = "200ms", factor = 1.5, max = "1m", jitter = 0.5, forget = "2m" }"#;
    let expected = Backoff {
        first: MILLIS(1),
        base: MILLIS(200),
        factor: 1.5,
        max: SECS(60),
        jitter: 0.5,
        forget: SECS(120),
    };
    assert_eq!(backoff(all), expected);
    assert_eq!(backoff(r#"{ base = "1m" }"#).max, SECS(60), "a base above the default maximum raises it");
}

#[test]
fn ready_says_how_and_has_thirty_seconds_unless_it_says_more() {
    let ready = |text: &str| {
        let (child, program) = service(&format!("ready = {text}"));
        (program.ready, child.ready_within)
    };
    assert_eq!(ready("{ tcp = 8080 }"), (Ready::Tcp(8080), Some(SECS(30))));
    assert_eq!(ready(r#"{ output = "up" }"#), (Ready::Output("up".to_owned()), Some(SECS(30))));
    assert_eq!(ready(r#"{ notify = true, within = "10s" }"#), (Ready::Notify, Some(SECS(10))));
}

#[test]
fn stop_takes_signals_by_name_and_number_and_three_kinds_of_grace() {
    let stop = |text: &str| {
        let (child, _) = service(&format!("stop = {text}"));
        (child.stop_signal, child.grace)
    };
    assert_eq!(stop("{}"), (15, Grace::After(SECS(5))));
    for int in [r#""INT""#, r#""SIGINT""#, r#""sigint""#, "2", r#""2""#] {
        assert_eq!(stop(&format!("{{ signal = {int} }}")), (2, Grace::After(SECS(5))), "{int}");
    }
    assert_eq!(stop(r#"{ signal = "RTMIN+3", grace = "0s" }"#), (37, Grace::After(SECS(0))));
    assert_eq!(stop(r#"{ grace = "forever" }"#), (15, Grace::Forever));
    assert_eq!(stop(r#"{ grace = "kill" }"#), (15, Grace::Kill));
}

#[test]
fn instances_are_numbered_from_one_when_there_are_several() {
    let plan =
        plan("[service.web]\ncommand = \"w\"\ninstances = 3\n[service.db]\ncommand = \"d\"\ninstances = 1\n");
    let names: Vec<_> = plan.programs.iter().map(|p| (p.service.as_str(), p.instance.as_str())).collect();
    assert_eq!(names, [("web", "web#1"), ("web", "web#2"), ("web", "web#3"), ("db", "db")]);
    let children: Vec<_> = plan.tree.children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(children, ["web#1", "web#2", "web#3", "db"]);
}

#[test]
fn needs_name_services_instances_and_groups() {
    let plan = plan(
        "[service.web]\ncommand = 'w'\nneeds = ['db', 'queue#2', '@app', 'db']\n\
         [service.db]\ncommand = 'd'\ninstances = 2\n[service.queue]\ncommand = 'q'\ninstances = 2\n\
         [group.app]\n",
    );
    let app = Node::Group(GroupId(1));
    assert_eq!(
        child(&plan, "web").needs,
        [node(&plan, "db#1"), node(&plan, "db#2"), node(&plan, "queue#2"), app]
    );
}

#[test]
fn members_stand_in_the_order_of_the_file_whatever_their_names() {
    let plan = plan(
        "[service.z]\ncommand = 'z'\n[group.m]\n[service.a]\ncommand = 'a'\ngroup = 'm'\n[service.b]\ncommand = 'b'\n\
         [group.inner]\ngroup = '@m'\n[service.c]\ncommand = 'c'\ngroup = 'm'\n",
    );
    let (m, inner) = (Node::Group(GroupId(1)), Node::Group(GroupId(2)));
    assert_eq!(plan.tree.groups[0].members, [node(&plan, "z"), m, node(&plan, "b")]);
    assert_eq!(group(&plan, "m").members, [node(&plan, "a"), inner, node(&plan, "c")]);
    assert_eq!(group(&plan, "inner").parent, Some(GroupId(1)));
    assert_eq!(plan.tree.groups[0].parent, None);
}

#[test]
fn s7_a_group_has_a_window_only_when_it_declares_intensity() {
    let plan = plan(
        "strategy = 'one_for_all'\nintensity = 9\nperiod = '1m'\n[group.none]\n[group.some]\nintensity = 3\n\
         strategy = 'rest_for_one'\non_limit = 'park'\nrestart = { max = 2 }\nbackoff = 'none'\n",
    );
    let none = group(&plan, "none");
    assert_eq!((none.intensity, none.otp, none.on_limit), (None, false, OnLimit::Escalate));
    assert_eq!((none.limit, none.backoff), (Some(DEFAULT_LIMIT), Backoff::default()));
    let some = group(&plan, "some");
    assert_eq!(some.intensity, Some(Intensity { max: 3, within: SECS(5) }));
    assert_eq!((some.strategy, some.on_limit), (GroupStrategy::RestForOne, OnLimit::Park));
    assert_eq!((some.limit, some.backoff), (Some(Intensity { max: 2, within: SECS(30) }), Backoff::NONE));
    let root = &plan.tree.groups[0];
    assert_eq!(root.intensity, Some(Intensity { max: 9, within: SECS(60) }));
    assert_eq!((root.strategy, root.limit), (GroupStrategy::OneForAll, None));
}

#[test]
fn s9_otp_semantics_turn_every_convenience_off_for_all_inside() {
    let plan = plan(
        "[defaults]\nrestart = { policy = 'transient', max = 7 }\nbackoff = { base = '1s' }\n\
         [group.otp]\nsemantics = 'otp'\n[group.inner]\ngroup = 'otp'\n[group.free]\ngroup = 'otp'\nsemantics = 'mainstay'\n\
         [service.a]\ncommand = 'a'\ngroup = 'otp'\n[service.b]\ncommand = 'b'\ngroup = 'inner'\n\
         [service.c]\ncommand = 'c'\ngroup = 'free'\n[service.d]\ncommand = 'd'\n",
    );
    let (otp, inner, free) = (group(&plan, "otp"), group(&plan, "inner"), group(&plan, "free"));
    assert_eq!((otp.otp, inner.otp, free.otp), (true, true, false));
    assert_eq!(
        (otp.intensity, inner.intensity, free.intensity),
        (Some(OTP_INTENSITY), Some(OTP_INTENSITY), None)
    );
    assert_eq!(OTP_INTENSITY, Intensity { max: 1, within: SECS(5) }, "A05");
    // The group itself is a member of the root, which is not OTP's; the inner ones are members of an OTP group.
    assert_eq!((otp.limit.map(|l| l.max), inner.limit, free.limit), (Some(7), None, None));
    assert_eq!((inner.backoff, free.backoff), (Backoff::NONE, Backoff::NONE));
    for name in ["a", "b"] {
        let child = child(&plan, name);
        assert_eq!(
            (child.limit, child.backoff, child.restart),
            (None, Backoff::NONE, Restart::Transient),
            "{name}"
        );
        assert_eq!(child.grace, Grace::After(SECS(5)), "A05");
    }
    for name in ["c", "d"] {
        let child = child(&plan, name);
        assert_eq!((child.limit.map(|l| l.max), child.backoff.base), (Some(7), SECS(1)), "{name}");
    }
}

#[test]
fn an_otp_group_keeps_the_period_or_the_intensity_that_it_says() {
    let plan =
        plan("[group.a]\nsemantics = 'otp'\nperiod = '9s'\n[group.b]\nsemantics = 'otp'\nintensity = 0\n");
    assert_eq!(group(&plan, "a").intensity, Some(Intensity { max: 1, within: SECS(9) }));
    assert_eq!(group(&plan, "b").intensity, Some(Intensity { max: 0, within: SECS(5) }));
}

#[test]
fn defaults_fill_what_a_service_leaves_out_key_by_key() {
    let plan = plan(
        "[log]\nmax_size = '1MiB'\n[defaults]\nrestart = { policy = 'transient', max = 9, clean = [7] }\n\
         backoff = 'none'\nstop = { signal = 'INT', grace = '9s' }\nlog = { files = 2 }\nready = { within = '9s' }\n\
         env = { A = 1, B = 2 }\ninherit_env = false\n\
         [service.plain]\ncommand = 'a'\nready = { tcp = 80 }\n\
         [service.own]\ncommand = 'a'\nrestart = { within = '1m', clean = [] }\nbackoff = { base = '2s' }\n\
         stop = { grace = 'kill' }\nlog = { files = 3 }\nready = { tcp = 80, within = '1s' }\nenv = { B = 3 }\n\
         inherit_env = true\n[service.quiet]\ncommand = 'a'\nlog = 'none'\n[service.loud]\ncommand = 'a'\nlog = 'inherit'\n",
    );
    let (plain, own) = (child(&plan, "plain"), child(&plan, "own"));
    assert_eq!(
        (plain.restart, plain.limit, &plain.clean),
        (Restart::Transient, Some(Intensity { max: 9, within: SECS(30) }), &vec![7])
    );
    assert_eq!(
        (own.restart, own.limit, &own.clean),
        (Restart::Transient, Some(Intensity { max: 9, within: SECS(60) }), &vec![])
    );
    assert_eq!(
        (plain.backoff, own.backoff),
        (Backoff::NONE, Backoff { base: SECS(2), ..Backoff::default() })
    );
    assert_eq!((plain.stop_signal, plain.grace), (2, Grace::After(SECS(9))));
    assert_eq!((own.stop_signal, own.grace), (2, Grace::Kill));
    assert_eq!((plain.ready_within, own.ready_within), (Some(SECS(9)), Some(SECS(1))));
    let logs: Vec<_> = plan.programs.iter().map(|p| p.log.clone()).collect();
    let logger = |files| Log::Logger { max_size: 1 << 20, files };
    assert_eq!(logs, [logger(2), logger(3), Log::Discard, Log::Inherit]);
    assert_eq!(plan.log, logger(5), "the supervisor's own log has no service's defaults");
    assert_eq!((plan.programs[0].inherit_env, plan.programs[1].inherit_env), (false, true));
    let env = |i: usize| plan.programs[i].env.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    assert_eq!(env(0), ["A=1", "B=2"]);
    assert_eq!(env(1), ["A=1", "B=2", "B=3"], "later ones win");
}

#[test]
fn the_environment_is_the_files_in_order_and_then_the_table_with_nothing_expanded() {
    let (_, program) =
        service("env = { PORT = 0x10, ON = true, D = '$A' }\nenv_file = ['.env', '/etc/extra.env', '?none']");
    let env: Vec<_> = program.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let file = [("A", "1"), ("B", "two words"), ("C", "$A `x` \\n"), ("PORT", "1"), ("B", "3")];
    assert_eq!(env, [&file[..], &[("PORT", "16"), ("ON", "true"), ("D", "$A")]].concat());
}

#[test]
fn directories_are_relative_to_the_folder_of_the_file() {
    assert_eq!(service("directory = 'web'").1.directory, Path::new("/srv/shop/web"));
    assert_eq!(service("directory = '/opt'").1.directory, Path::new("/opt"));
}

#[test]
fn the_rest_of_a_service_arrives_as_it_was_written() {
    let (child, program) =
        service("autostart = false\nuser = 'www:adm'\numask = '027'\ninherit_env = false\nblackbox = false");
    assert!(!child.autostart && !program.inherit_env && !program.blackbox);
    assert_eq!((program.user.as_deref(), program.umask), (Some("www:adm"), Some(0o027)));
    let (_, program) = service("user = 33\numask = 0o22");
    assert_eq!((program.user.as_deref(), program.umask), (Some("33"), Some(0o022)));
}

#[test]
fn flags_have_a_default_a_safe_value_and_a_salt() {
    let plan = plan(
        "[flag.a]\n[flag.'b.c']\ndefault = true\nsafe = true\nsalt = 's'\nowner = 'ana'\ndescription = 'd'\n\
         [flag.share]\npercent = 12.5\n[flag.none]\npercent = 0\n[flag.all]\npercent = 100.0\n[flag.least]\npercent = 0.001\n",
    );
    let values: Vec<_> =
        plan.flags.iter().map(|f| (f.name.as_str(), f.default, f.configured, f.safe)).collect();
    assert_eq!(
        values,
        [
            ("a", Value::Off, None, Value::Off),
            ("b.c", Value::On, None, Value::On),
            ("share", Value::Off, Some(Value::Share(12_500)), Value::Off),
            ("none", Value::Off, Some(Value::Off), Value::Off),
            ("all", Value::Off, Some(Value::On), Value::Off),
            ("least", Value::Off, Some(Value::Share(1)), Value::Off),
        ]
    );
    assert_eq!((plan.flags[0].salt.as_str(), plan.flags[1].salt.as_str()), ("a", "s"));
    assert_eq!(
        (plan.flags[1].owner.as_deref(), plan.flags[1].description.as_deref()),
        (Some("ana"), Some("d"))
    );
}

#[test]
fn the_project_is_named_by_the_file_or_by_its_folder() {
    assert_eq!(plan("").project, "shop");
    let plan = plan("name = 'other'");
    assert_eq!((plan.project.as_str(), plan.tree.groups[0].name.as_str()), ("other", "other"));
    let name = |text: &str| config::name_of(text.as_bytes());
    assert_eq!(name("name = 'x'").as_deref(), Some("x"));
    assert_eq!(name("name = 'x'\n[service").as_deref(), Some("x"), "a broken file still has a name");
    assert_eq!(
        (name(""), name("name = 3"), name("name = 'a b'"), name("name = 'mainstay'")),
        (None, None, None, None)
    );
}

#[test]
fn a_command_without_a_file_is_a_service_named_after_its_program() {
    let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let plan = Plan::for_command("shop-1", &argv(&["./bin/my web", "--port", "80"]), Path::new("/srv"));
    assert_eq!((plan.project.as_str(), plan.programs[0].instance.as_str()), ("shop-1", "my-web"));
    assert_eq!(plan.programs[0].argv, ["./bin/my web", "--port", "80"]);
    // It is the same tree as that of a file with only a command.
    let (child, program) = service("");
    let same = Plan::for_command("shop", &argv(&["./web"]), Path::new("/srv/shop"));
    assert_eq!(same.tree.children, [child]);
    assert_eq!(same.programs, [Program { line: 0, ..program }]);
    assert_eq!(same.tree.groups, self::plan("[service.web]\ncommand = './web'").tree.groups);
    for (program, name) in
        [("/", "main"), ("", "main"), ("mainstay", "main"), ("...", "main"), ("-x", "x"), ("a/é", "main")]
    {
        assert_eq!(
            Plan::for_command("p", &argv(&[program]), Path::new("/")).programs[0].service,
            name,
            "{program}"
        );
    }
}

// Edges.

#[test]
fn an_empty_file_is_a_project_without_services() {
    for text in ["", "\u{feff}", "\r\n\r\n", "# nothing\n"] {
        let plan = plan(text);
        assert_eq!((plan.tree.children.len(), plan.tree.groups.len()), (0, 1), "{text:?}");
    }
}

#[test]
fn byte_order_marks_and_crlf_change_neither_the_meaning_nor_the_place_of_an_error() {
    let text = "[service.web]\r\ncommand = './web'\r\nrestrat = 1\r\n";
    let plain = parse_bytes(text.as_bytes()).unwrap_err();
    let marked = parse_bytes(format!("\u{feff}{text}").as_bytes()).unwrap_err();
    assert!(plain.to_string().contains("mainstay.toml:3:1"), "{plain}");
    assert_eq!(plain.to_string(), marked.to_string());
    let good = parse_bytes("\u{feff}[service.web]\r\ncommand = './web'\r\n".as_bytes()).unwrap();
    assert_eq!(good.plan.programs[0].argv, ["./web"]);
}

#[test]
fn text_that_is_not_utf8_is_shown_with_the_byte() {
    let found = parse_bytes(b"name = 'a'\n[service.\xff]\n").unwrap_err().to_string();
    insta::assert_snapshot!(found, @r"
    error: the file is not UTF-8: byte 20 is 0xff
     --> mainstay.toml:2:10
      |
    2 | [service.�]
      |          ^ not a character
      |
      = help: save the file as UTF-8
    1 error, nothing was changed
    ");
}

#[test]
fn a_path_that_no_plan_can_keep_is_an_error_of_the_file() {
    use std::os::unix::ffi::OsStrExt;
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    let (folder, name) = (path(b"/srv/\xff/mainstay.toml"), path(b"/srv/conf.d/\xff.toml"));
    let found =
        config::parse(b"[service.a]\ncommand = 'x'\n", &Origin::new(&folder, "mainstay.toml", "shop"));
    let found = found.unwrap_err().to_string();
    assert!(found.contains("error: `/srv/\u{fffd}/mainstay.toml` is not UTF-8"), "{found}");
    let parts = [config::Part { file: name, shown: "conf.d/\u{fffd}.toml".to_owned(), text: Ok(Vec::new()) }];
    let origin = Origin::new(Path::new("/srv/mainstay.toml"), "mainstay.toml", "shop");
    let found = config::parse(b"", &Origin { parts: &parts, ..origin }).unwrap_err().to_string();
    assert!(found.contains("the name of this file is not UTF-8") && found.contains("--> conf.d/"), "{found}");
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_a_control_character() {
    for text in [
        "x = '\u{1b}[31m'",
        "\u{1b}]0;t\u{7} = 1",
        "a\0b = 1",
        "[service.\"\\u001b[31m\"]\n\"\\u001b\" = 1\n\"\\u009b\" = 2",
    ] {
        let found = parse_bytes(text.as_bytes()).unwrap_err().to_string();
        assert!(!found.chars().any(|c| c.is_control() && c != '\n'), "{found:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_full_stack() {
    let arrays = format!("a = {}{}", "[".repeat(50_000), "]".repeat(50_000));
    let tables = format!("a = {}1{}", "{ a = ".repeat(50_000), "}".repeat(50_000));
    let dots = format!("{}a = 1", "a.".repeat(50_000));
    let header = format!("[{}a]", "a.".repeat(50_000));
    for text in [arrays, tables, dots, header] {
        assert!(parse_bytes(text.as_bytes()).unwrap_err().errors() > 0);
    }
    let mut groups = String::from("[group.g0]\n");
    for i in 1..5_000 {
        groups.push_str(&format!("[group.g{i}]\ngroup = 'g{}'\n", i - 1));
    }
    let found = parse_bytes(groups.as_bytes()).unwrap_err();
    assert!(found.to_string().contains("nested more than 64 deep"), "{found}");
    assert_eq!(found.errors(), 1);
}

#[test]
fn ten_thousand_services_in_a_chain_are_one_walk() {
    let mut text = String::from("[service.s0]\ncommand = 'x'\n");
    for i in 1..10_000 {
        text.push_str(&format!("[service.s{i}]\ncommand = 'x'\nneeds = ['s{}']\n", i - 1));
    }
    assert_eq!(plan(&text).tree.children.len(), 10_000);
    // The same chain closed to a ring is one circle, shown without drowning the reader.
    let ring = text.replacen("command = 'x'", "command = 'x'\nneeds = ['s9999']", 1);
    let found = parse_bytes(ring.as_bytes()).unwrap_err();
    assert_eq!(found.errors(), 1);
    assert!(found.list[0].message.contains("→ (9989 more) →"), "{found}");
}

#[test]
fn ten_thousand_mistakes_are_counted_and_the_first_are_shown() {
    let mut text = String::new();
    for i in 0..10_000 {
        text.push_str(&format!("[service.s{i}]\ncommand = 'x'\nneeds = ['t{i}']\ncomand = 1\n"));
    }
    let found = parse_bytes(text.as_bytes()).unwrap_err();
    assert_eq!(found.errors(), 20_000);
    let shown = found.to_string();
    assert!(
        shown.contains("… and 19950 more\n20000 errors, nothing was changed"),
        "{}",
        &shown[shown.len() - 200..]
    );
}

#[test]
fn ten_megabytes_are_read_and_more_than_sixteen_are_refused() {
    let text = format!("# {}\n[service.web]\ncommand = 'x'\nfoo = 1\n", "x".repeat(10 << 20));
    assert!(parse_bytes(text.as_bytes()).unwrap_err().to_string().contains("mainstay.toml:4:1"));
    let line = format!("[service.web]\ncommand = 'x'\nfoo = '{}'\n", "é".repeat(5 << 20));
    let shown = parse_bytes(line.as_bytes()).unwrap_err().to_string();
    assert!(shown.len() < 4_000, "an endless line is cut: {} bytes", shown.len());
    let found = parse_bytes(&vec![b'\n'; config::FILE_MAX + 1]).unwrap_err().to_string();
    assert!(found.contains("larger than 16MiB"), "{found}");
    let half = format!("# {}\n", "x".repeat(9 << 20)).into_bytes();
    let found = several(&[half.clone(), half.clone()]).unwrap_err().to_string();
    assert!(found.contains("with this file all together are larger than 16MiB"), "{found}");
    assert!(found.contains("--> conf.d/1.toml"), "{found}");
    assert!(several(&[half, Vec::new()]).is_ok());
    let garbage = parse_bytes("= \n".repeat(1 << 20).as_bytes()).unwrap_err();
    assert_eq!(garbage.errors(), 1, "the first is enough");
}

#[test]
fn more_instances_or_needs_than_can_be_counted_out_are_refused() {
    let service = |i: usize| format!("[service.s{i}]\ncommand = 'x'\ninstances = 10000\n");
    let many: String = (0..11).map(service).collect();
    assert!(parse_bytes(many.as_bytes()).unwrap_err().to_string().contains("more than 100000 instances"));
    let crossed = format!("{}{}needs = ['s0']\n", service(0), service(1));
    assert!(parse_bytes(crossed.as_bytes()).unwrap_err().to_string().contains("more than 1000000 needs"));
    assert_eq!(plan(&service(0)).programs.len(), 10_000);
    // Of a template one instance is counted, so that what one start costs is bounded too.
    let all: String = (0..10).map(service).collect();
    let names: Vec<String> = (0..10).map(|i| format!("'s{i}'")).collect();
    let template = |i: usize| format!("[service.'t{i}@']\ncommand = 'x'\nneeds = [{}]\n", names.join(", "));
    let templates = |count: usize| format!("{all}{}", (0..count).map(template).collect::<String>());
    assert!(
        parse_bytes(templates(11).as_bytes()).unwrap_err().to_string().contains("more than 1000000 needs")
    );
    assert_eq!(plan(&templates(10)).templates[9].child.needs.len(), 100_000);
}

// Units.

#[test]
fn durations_are_read_as_people_write_them() {
    for (text, expected) in [
        ("100ms", MILLIS(100)),
        ("10s", SECS(10)),
        ("5m", SECS(300)),
        ("1h30m", SECS(5_400)),
        ("1h 30m", SECS(5_400)),
        ("1.5s", MILLIS(1_500)),
        ("0s", SECS(0)),
        ("500us", Duration::from_micros(500)),
        ("2 minutes", SECS(120)),
    ] {
        assert_eq!(units::duration(text), Ok(expected), "{text}");
    }
    for text in ["", "10", "s", "-1s", "1 fortnight", "1s ago", "99999999999h", "1e3s", "∞"] {
        assert!(units::duration(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_know_powers_of_two_and_of_ten() {
    for (text, expected) in [
        ("10MiB", 10 << 20),
        ("500kB", 500_000),
        ("500 kB", 500_000),
        ("4096B", 4096),
        ("1GiB", 1 << 30),
        ("2M", 2_000_000),
    ] {
        assert_eq!(units::size(text), Ok(expected), "{text}");
    }
    for text in ["", "10", "MiB", "1.5MiB", "-1B", "10 apples", "99999999999999999999B", "9999999999TiB"] {
        assert!(units::size(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_duration_survives_being_written_and_read(nanos in 0..units::DURATION_MAX.as_nanos() as u64) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!(units::duration(&units::write_duration(duration)), Ok(duration));
    }

    #[test]
    fn a_size_survives_being_written_and_read(bytes in 0..=i64::MAX as u64, shift in 0u32..64) {
        let bytes = bytes >> shift << (shift / 2);
        prop_assume!(i64::try_from(bytes).is_ok());
        prop_assert_eq!(units::size(&units::write_size(bytes)), Ok(bytes));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        judge(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        judge(text.as_bytes());
    }

    #[test]
    fn no_toml_makes_it_panic(lines in proptest::collection::vec(line(), 0..20)) {
        judge(lines.join("\n").as_bytes());
    }

    #[test]
    fn no_files_together_make_it_panic(
        files in proptest::collection::vec(proptest::collection::vec(line(), 0..8), 1..4),
        odd in proptest::option::weighted(0.2, proptest::collection::vec(any::<u8>(), 0..20)),
    ) {
        let mut files: Vec<Vec<u8>> = files.iter().map(|lines| lines.join("\n").into_bytes()).collect();
        files.extend(odd);
        judge_all(&files);
    }

    #[test]
    fn services_are_the_same_in_one_file_and_in_several(
        tables in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")], 1..4),
        cut in 0usize..4,
    ) {
        let mut names: Vec<&str> = Vec::new();
        tables.into_iter().for_each(|name| if !names.contains(&name) { names.push(name) });
        let table = |name: &&str| format!("[service.{name}]\ncommand = '/bin/{name} é'\ndirectory = '/'\n[flag.{name}]\n");
        let cut = cut.min(names.len());
        let (first, second): (String, String) =
            (names[..cut].iter().map(table).collect(), names[cut..].iter().map(table).collect());
        let whole = plan(&format!("{first}{second}"));
        let parts = several(&[first.into_bytes(), second.into_bytes()]).unwrap().plan;
        prop_assert_eq!(&parts.tree, &whole.tree);
        prop_assert_eq!(config::diff::diff(&parts, &whole), []);
        let of_second = parts.programs.iter().filter(|program| program.part == 1).map(|program| program.line);
        prop_assert_eq!(of_second.collect::<Vec<_>>(), (0..names.len() - cut).map(|at| 4 * at as u32 + 1).collect::<Vec<_>>());
    }
}

/// Reads the first as `mainstay.toml` and the others as files of `conf.d`.
fn several(files: &[Vec<u8>]) -> Result<Configuration, Diagnostics> {
    let part = |(at, text): (usize, &Vec<u8>)| config::Part {
        file: PathBuf::from(format!("/srv/shop/conf.d/{at}.toml")),
        shown: format!("conf.d/{at}.toml"),
        text: if text == b"?" { Err("it is gone".to_owned()) } else { Ok(text.clone()) },
    };
    let parts: Vec<_> = files.iter().enumerate().skip(1).map(part).collect();
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(&files[0], &Origin { parts: &parts, ..origin })
}

fn judge_all(files: &[Vec<u8>]) {
    match several(files) {
        Ok(configuration) => {
            let plan = &configuration.plan;
            for template in &plan.templates {
                // Whatever stands in a template that is read, an instance is made or refused in words.
                match template.instance("a.1", &["%i".to_owned()], None) {
                    Ok((child, program)) => assert_eq!(child.name, program.instance),
                    Err(reason) => assert!(!reason.to_string().is_empty()),
                }
            }
            for service in &plan.declared.services {
                assert_eq!(plan.scaled(&service.name, service.count).unwrap().tree, plan.tree);
            }
            assert_eq!(config::diff::diff(plan, plan), []);
            configuration.warnings.render(false);
        }
        Err(found) => {
            assert!(found.errors() > 0);
            assert!(!found.render(false).is_empty() && !found.render(true).is_empty());
            assert_eq!(found.sources.len(), files.len());
            let locator = found.locator();
            for diagnostic in &found.list {
                let spans = diagnostic.span.iter().chain(diagnostic.related.iter().map(|(span, _)| span));
                for span in spans {
                    let source = locator.source(span.start);
                    assert!(span.start - source.start <= source.text.len(), "{diagnostic:?}");
                    assert!(locator.position(span.start) >= (1, 1));
                }
            }
        }
    }
}

/// Whatever the text is: an answer, and every error has a place in it and can be shown.
fn judge(bytes: &[u8]) {
    let _ = config::name_of(bytes);
    judge_all(&[bytes.to_owned()]);
    match parse_bytes(bytes) {
        Ok(configuration) => {
            let plan = configuration.plan;
            assert_eq!(plan.programs.len(), plan.tree.children.len());
            assert!(plan.programs.iter().all(|p| !p.argv.is_empty() && p.directory.is_absolute()));
            let members: usize = plan.tree.groups.iter().map(|g| g.members.len()).sum();
            assert_eq!(
                members,
                plan.tree.children.len() + plan.tree.groups.len() - 1,
                "each is a member once"
            );
        }
        Err(found) => {
            assert!(found.errors() > 0);
            assert!(!found.render(false).is_empty() && !found.render(true).is_empty());
            let last = found.sources.last().expect("there is a file");
            let length = last.start + last.text.len();
            assert!(found.list.iter().filter_map(|d| d.span.as_ref()).all(|span| span.start <= length));
        }
    }
}

/// Lines that are often valid, so that the walk gets far.
fn line() -> impl proptest::strategy::Strategy<Value = String> {
    let name = prop_oneof![
        Just("web"),
        Just("db"),
        Just("app"),
        Just("\"a.b\""),
        Just("mainstay"),
        Just("é"),
        Just("\"worker@\""),
        Just("worker@")
    ];
    let key = prop_oneof![
        Just("name"),
        Just("command"),
        Just("group"),
        Just("needs"),
        Just("instances"),
        Just("restart"),
        Just("backoff"),
        Just("ready"),
        Just("stop"),
        Just("env"),
        Just("env_file"),
        Just("log"),
        Just("user"),
        Just("umask"),
        Just("strategy"),
        Just("intensity"),
        Just("period"),
        Just("semantics"),
        Just("default"),
        Just("percent"),
        Just("restart.max"),
        Just("stop.grace"),
        Just("log.max_size"),
        Just("defaults.backoff.base"),
        Just("directory"),
        Just("significant"),
        Just("auto_shutdown"),
        Just("max_children"),
        Just("ignore"),
        Just("condition"),
        Just("restart.policy"),
        Just("ready.tcp"),
        Just("ready.output"),
    ];
    let value = prop_oneof![
        Just("1"),
        Just("-1"),
        Just("0.5"),
        Just("nan"),
        Just("true"),
        Just("'web'"),
        Just("'@app'"),
        Just("['web', 'db#1']"),
        Just("['@app']"),
        Just("'10s'"),
        Just("'10MiB'"),
        Just("'otp'"),
        Just("'rest_for_one'"),
        Just("'none'"),
        Just("{}"),
        Just("{ max = 3, within = '1s' }"),
        Just("{ tcp = 80 }"),
        Just("{ signal = 'INT' }"),
        Just("[]"),
        Just("[[1]]"),
        Just("1979-05-27"),
        Just("\"\\u0000\""),
        Just("99999999999999999999"),
        Just("'pool'"),
        Just("'any'"),
        Just("'transient'"),
        Just("'otp-seconds'"),
        Just("'%i'"),
        Just("'80%i %%'"),
        Just("'%'"),
        Just("{ exists = '%i/x' }"),
        Just("['x', '%i%%']"),
        Just("'worker@'"),
        Just("['worker@a', 'web']"),
        Just("'''"),
        Just("{"),
    ];
    let header = (prop_oneof![Just("service"), Just("group"), Just("flag"), Just("log"), Just("x")], name)
        .prop_map(|(kind, name)| format!("[{kind}.{name}]"));
    prop_oneof![1 => header, 3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}"))]
}

// The manual.

/// The blocks of `docs/configuration.md` in this language, each with its line.
fn blocks(language: &str) -> Vec<(usize, String)> {
    let manual = include_str!("../docs/configuration.md");
    let mut blocks = Vec::new();
    let mut lines = manual.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line == format!("```{language}") {
            let block: Vec<_> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push((at + 1, block.join("\n")));
        }
    }
    blocks
}

#[test]
fn every_example_of_the_manual_is_a_configuration() {
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    let origin = Origin { env_files: &|_| Ok("A=1\n".to_owned()), ..origin };
    let blocks = blocks("toml");
    assert!(blocks.len() >= 10, "the examples are found");
    for (line, block) in blocks {
        match config::parse(block.as_bytes(), &origin) {
            Ok(configuration) => assert_eq!(configuration.warnings.list, [], "line {line}"),
            Err(found) => panic!("the example at line {line} of docs/configuration.md: {found}"),
        }
    }
}

#[test]
fn every_key_that_is_read_stands_in_the_manual() {
    let manual = include_str!("../docs/configuration.md");
    let text = "zzzzzzzz = 1\n[service.a]\ncommand = 'a'\nzzzzzzzz = 1\nrestart = { zzzzzzzz = 1 }\nbackoff = { zzzzzzzz = 1 }\n\
        ready = { zzzzzzzz = 1 }\nhealth = { zzzzzzzz = 1 }\nstop = { zzzzzzzz = 1 }\nlog = { zzzzzzzz = 1 }\ncondition = { zzzzzzzz = 1 }\n[group.b]\nzzzzzzzz = 1\n\
        restart = { zzzzzzzz = 1 }\n[flag.c]\nzzzzzzzz = 1\nguard = { zzzzzzzz = 1, errors = { zzzzzzzz = 1 } }\n\
        [guard]\nzzzzzzzz = 1\n[migration.d]\nzzzzzzzz = 1\nstage = [{ zzzzzzzz = 1 }]\n[defaults]\nzzzzzzzz = 1\nready = { zzzzzzzz = 1 }\n[log]\nzzzzzzzz = 1\n\
        [telemetry]\nzzzzzzzz = 1\nbatch = { zzzzzzzz = 1 }\nfile = { zzzzzzzz = 1 }\n";
    let found = parse_bytes(text.as_bytes()).unwrap_err();
    let lists: Vec<_> =
        found.list.iter().filter_map(|d| d.help.as_deref()?.strip_prefix("known here: ")).collect();
    assert_eq!(lists.len(), 23, "each table says what it knows");
    for key in lists.iter().flat_map(|list| list.split(", ")) {
        let written = manual.contains(&format!("`{key}`")) || manual.contains(&format!("`[{key}"));
        assert!(written, "`{key}` is not in docs/configuration.md");
    }
}

#[test]
fn the_mistake_in_the_manual_is_the_one_under_test() {
    let shown = include_str!("fixtures/config/first_five_minutes.snap");
    assert!(blocks("text").iter().any(|(_, block)| shown.contains(block)));
}
