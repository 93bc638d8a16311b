//! OTP's rules about specs and flags, as far as they are about what stands in a file; the names carry the ids.
//!
//! "Refused" means that `check` says so in the words given here, and that nothing is started.

use mainstay::config::{self, Configuration, Diagnostics, Origin, Part, Plan};
use mainstay::supervisor::spec::{
    AutoShutdown, Backoff, Child, Grace, Group, GroupId, Intensity, OnLimit, Pool, Restart, Strategy,
};
use std::path::Path;
use std::time::Duration;

fn parse(text: &str) -> Result<Configuration, Diagnostics> {
    let origin = Origin::new(Path::new("/srv/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(text.as_bytes(), &origin)
}

fn plan(text: &str) -> Plan {
    match parse(text) {
        Ok(configuration) => configuration.plan,
        Err(found) => panic!("{text}\n{found}"),
    }
}

fn group<'a>(plan: &'a Plan, name: &str) -> &'a Group {
    plan.tree.groups.iter().find(|g| g.name == name).expect("the group is there")
}

/// What is said about the text; warnings count, since nothing here deserves one.
fn messages(text: &str) -> Vec<String> {
    let list = match parse(text) {
        Ok(found) => found.warnings.list,
        Err(found) => found.list,
    };
    list.into_iter().map(|d| d.message).collect()
}

/// The text has exactly one mistake, and its message begins so.
fn refused(text: &str, begins: &str) {
    let found = messages(text);
    assert!(
        found.len() == 1 && found[0].starts_with(begins),
        "{text}\nexpected: {begins}\nfound: {found:#?}"
    );
}

fn accepted(text: &str) {
    assert_eq!(messages(text), [""; 0], "{text}");
}

/// A service in an OTP group, with these keys.
fn member(keys: &str) -> String {
    format!("[group.g]\nsemantics = 'otp'\n[service.a]\ngroup = 'g'\n{keys}\n")
}

/// A group with OTP's semantics and one member, with these flags.
fn flags(keys: &str) -> String {
    format!("[group.g]\nsemantics = 'otp'\n{keys}\n[service.a]\ngroup = 'g'\ncommand = 'x'\n")
}

mod otp {
    use super::*;

    #[test]
    fn a05_a_minimal_spec_and_minimal_flags_have_otps_defaults() {
        let plan = plan(&member("command = 'x'"));
        // Written out, so that nobody adds a field without a thought for its default here.
        assert_eq!(
            plan.tree.children,
            [Child {
                name: "a".to_owned(),
                group: GroupId(1),
                restart: Restart::Permanent,
                limit: None,
                backoff: Backoff::NONE,
                ready_within: None,
                grace: Grace::After(Duration::from_millis(5_000)),
                stop_signal: 15,
                clean: vec![],
                needs: vec![],
                autostart: true,
                significant: false,
                ignore: None,
                added: false,
            }]
        );
        let group = group(&plan, "g");
        assert_eq!(
            (group.strategy, group.intensity, group.auto_shutdown),
            (
                Strategy::OneForOne,
                Some(Intensity { max: 1, within: Duration::from_secs(5) }),
                AutoShutdown::Never
            )
        );
        assert_eq!((group.otp, group.whole_seconds, group.pool), (true, false, None));
        assert_eq!(
            (group.on_limit, group.restart, group.significant),
            (OnLimit::Escalate, Restart::Permanent, false)
        );
        let kill = self::plan(&member("command = 'x'\nstop = { grace = 'kill' }"));
        assert_eq!(kill.tree.children[0].grace, Grace::Kill, "an explicit brutal kill is kept");
    }

    #[test]
    fn a05_a_group_inside_has_the_same_semantics_and_no_finite_grace() {
        for semantics in ["otp", "otp-seconds"] {
            let plan = plan(&format!("semantics = '{semantics}'\n[group.g]\n[group.h]\ngroup = 'g'\n"));
            // The outermost group is nobody's member, so its own limit and wait say nothing.
            for group in &plan.tree.groups[1..] {
                assert!(group.otp && group.whole_seconds == (semantics == "otp-seconds"), "{group:?}");
                assert_eq!(group.intensity, Some(Intensity { max: 1, within: Duration::from_secs(5) }));
                assert_eq!((group.limit, group.backoff), (None, Backoff::NONE));
            }
        }
    }

    #[test]
    fn a06_the_template_of_a_pool_has_every_default() {
        let text = "[group.g]\nsemantics = 'otp'\nstrategy = 'pool'\n[service.'w@']\ncommand = 'x'\ngroup = 'g'\nrestart = 'temporary'\n";
        let plan = plan(text);
        let expected = Child {
            name: "w@".to_owned(),
            restart: Restart::Temporary,
            ..self::plan(&member("command = 'x'")).tree.children[0].clone()
        };
        assert_eq!(plan.templates[0].child, expected);
        let (made, _) = plan.templates[0].instance("3", &[], None).unwrap();
        assert_eq!(made, Child { name: "w@3".to_owned(), added: true, ..expected });
        assert_eq!(group(&plan, "g").pool, Some(Pool { max_children: None }));
    }

    #[test]
    fn a07_faulty_specs_are_refused_each_with_its_own_reason() {
        refused("[service.\"\"]\ncommand = 'x'", "`` cannot name a service: it is empty");
        refused(&member(""), "service `a` has no `command`");
        refused("[service]\na = 3", "`service.a` is not a table, expected [service.a]");
        // OTP takes unknown keys in silence; here a typing mistake is never taken in silence, under no semantics.
        refused(&member("command = 'x'\nmodules = []"), "unknown field `modules`");
    }

    #[test]
    fn a08_flags_that_are_wrong_are_refused_each_with_its_own_reason() {
        refused(&flags("strategy = 'one_for_none'"), "invalid `strategy`: \"one_for_none\" is not known");
        refused(
            &flags("strategy = 'simple_one_for_one'"),
            "invalid `strategy`: \"simple_one_for_one\" is not known, did you mean \"pool\"?",
        );
        for intensity in ["-1", "4294967296", "99999999999999999999"] {
            refused(
                &flags(&format!("intensity = {intensity}")),
                &format!("invalid `intensity`: {intensity} is not a whole number from 0"),
            );
        }
        refused(&flags("intensity = 'infinity'"), "`intensity` is a string, expected a whole number");
        refused(
            &flags("intensity = inf"),
            "`intensity` is a number with a fraction, expected a whole number",
        );
        refused(
            &flags("intensity = 1.0"),
            "`intensity` is a number with a fraction, expected a whole number",
        );
        refused(&flags("period = '0s'"), "invalid `period`: it must be longer than 0s");
        refused(&flags("period = '-1s'"), "invalid `period`: \"-1s\" is not understood, expected a duration");
        refused(
            &flags("period = 'infinity'"),
            "invalid `period`: \"infinity\" is not understood, expected a duration",
        );
        refused(&flags("period = inf"), "invalid `period`: inf is not understood, expected a duration");
        refused(&flags("period = 5"), "invalid `period`: a duration has a unit: \"5s\"");
        refused(
            &flags("auto_shutdown = 'maybe'"),
            "invalid `auto_shutdown`: \"maybe\" is not known, expected one of",
        );
        refused(&flags("auto_shutdown = true"), "`auto_shutdown` is true or false, expected one of");
        refused(
            "[group.g]\nsemantics = 'ottp'\n",
            "invalid `semantics`: \"ottp\" is not known, did you mean \"otp\"?",
        );
        refused("[group]\ng = 'one_for_all'", "`group.g` is not a table, expected [group.g]");
        // OTP ignores an unknown flag and starts; here it may be a typing mistake.
        refused(&flags("intensty = 3"), "unknown field `intensty`, did you mean `intensity`?");
    }

    #[test]
    fn a08_flags_at_their_edges_are_accepted() {
        for keys in ["intensity = 0", "intensity = 4294967295", "period = '1ns'", "auto_shutdown = 'never'"] {
            accepted(&flags(keys));
        }
    }

    #[test]
    fn a17_one_name_twice_is_refused_within_a_file_and_across_files() {
        for kind in ["service", "group", "flag"] {
            let twice = format!("[{kind}.a]\n").repeat(2);
            let found = parse(&twice).unwrap_err();
            assert!(found.list[0].message.contains("duplicate key"), "{found}");
        }
        let text = "[service.a]\ncommand = 'x'\n";
        let part = |name: &str| Part {
            file: Path::new("/srv/conf.d").join(name),
            shown: format!("conf.d/{name}"),
            text: Ok(text.into()),
        };
        let parts = [part("1.toml"), part("2.toml")];
        let origin = Origin::new(Path::new("/srv/mainstay.toml"), "mainstay.toml", "shop");
        let found = config::parse(b"", &Origin { parts: &parts, ..origin }).unwrap_err();
        let messages: Vec<_> = found.list.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["service `a` is declared in conf.d/1.toml and again in conf.d/2.toml"]);
    }

    #[test]
    fn a18_a_pool_has_exactly_one_template_and_the_list_is_shown() {
        let pool = "[group.g]\nstrategy = 'pool'\n";
        let template = |name: &str| format!("[service.'{name}@']\ncommand = 'x'\ngroup = 'g'\n");
        let begins =
            "a pool has exactly one member in the file, the template of all the others; group `g` has ";
        refused(pool, &format!("{begins}nothing"));
        refused(&format!("{pool}{}{}", template("a"), template("b")), &format!("{begins}`a@`, `b@`"));
        refused(&format!("{pool}[service.a]\ncommand = 'x'\ngroup = 'g'\n"), &format!("{begins}`a`"));
        refused(&format!("{pool}{}[group.h]\ngroup = 'g'\n", template("a")), &format!("{begins}`a@`, `@h`"));
        let many: String = (0..30).map(|i| template(&format!("t{i}"))).collect();
        assert!(messages(&format!("{pool}{many}"))[0].ends_with("`t9@`, 20 more"));
        accepted(&format!("{pool}{}", template("a")));
        accepted("strategy = 'pool'\n[service.'a@']\ncommand = 'x'\n");
        // A template in another group is not of the pool.
        refused(&format!("{pool}[service.'a@']\ncommand = 'x'\n"), &format!("{begins}nothing"));
    }

    #[test]
    fn b01_each_bad_value_has_its_own_reason_that_names_it() {
        refused(&member("command = 3"), "`command` is a whole number, expected an array");
        refused(&member("command = []"), "invalid `command`: it is empty");
        refused(&member("command = ['x', 3]"), "`command` is a whole number, expected a string");
        refused(
            &member("command = 'x'\nrestart = 'sometimes'"),
            "invalid `restart`: \"sometimes\" is not known",
        );
        refused(
            &member("command = 'x'\nrestart = { policy = 'sometimes' }"),
            "invalid `policy`: \"sometimes\" is not known",
        );
        refused(&member("command = 'x'\nrestart = 3"), "`restart` is a whole number, expected \"permanent\"");
        refused(
            &member("command = 'x'\nstop = { grace = '-1s' }"),
            "invalid `grace`: \"-1s\" is not understood, expected a duration",
        );
        refused(
            &member("command = 'x'\nstop = { grace = -1 }"),
            "invalid `grace`: -1 is not understood, expected a duration",
        );
        refused(
            &member("command = 'x'\nstop = { grace = 'brutal' }"),
            "invalid `grace`: \"brutal\" is not understood, expected a duration",
        );
        refused(&member("command = 'x'\nstop = 5"), "`stop` is a whole number, expected a table");
    }

    #[test]
    fn b02_significant_is_true_or_false() {
        for value in ["'yes'", "1", "'true'", "[]"] {
            let found = messages(&member(&format!("command = 'x'\nsignificant = {value}")));
            assert!(found.len() == 1 && found[0].ends_with("expected true or false"), "{found:?}");
        }
    }

    #[test]
    fn b03_one_spec_where_a_table_of_them_is_expected_is_refused() {
        refused("[service]\ncommand = 'x'", "`service.command` is not a table, expected [service.command]");
        refused(
            "[[service]]\ncommand = 'x'",
            "`service` is an array, expected tables such as [service.NAME]",
        );
        refused("service = 'x'", "`service` is a string, expected tables such as [service.NAME]");
        refused("[[group]]\n", "`group` is an array, expected tables such as [group.NAME]");
    }

    #[test]
    fn b04_every_combination_of_restart_and_shutdown_is_accepted() {
        let graces = [
            ("'0s'", Grace::After(Duration::ZERO)),
            ("'1s'", Grace::After(Duration::from_secs(1))),
            ("'infinity'", Grace::Forever),
            ("'forever'", Grace::Forever),
            ("'kill'", Grace::Kill),
        ];
        let policies = [
            ("permanent", Restart::Permanent),
            ("transient", Restart::Transient),
            ("temporary", Restart::Temporary),
        ];
        for (grace, expected_grace) in graces {
            for (policy, expected_policy) in policies {
                for strategy in ["one_for_one", "one_for_all", "rest_for_one"] {
                    let text = format!(
                        "[group.g]\nsemantics = 'otp'\nstrategy = '{strategy}'\n[service.a]\ngroup = 'g'\ncommand = 'x'\n\
                         restart = '{policy}'\nstop = {{ grace = {grace} }}\n[group.h]\ngroup = 'g'\nrestart = '{policy}'\n"
                    );
                    accepted(&text);
                    let plan = plan(&text);
                    let child = &plan.tree.children[0];
                    assert_eq!((child.restart, child.grace), (expected_policy, expected_grace));
                    assert_eq!(group(&plan, "h").restart, expected_policy);
                }
            }
        }
    }

    /// Every combination of who is significant, how it is restarted and when its group ends.
    #[test]
    fn b05_a_significant_child_needs_an_auto_shutdown_and_is_not_permanent() {
        let policies = [None, Some("permanent"), Some("transient"), Some("temporary")];
        let ends = [None, Some("never"), Some("any"), Some("all")];
        for kind in ["service.a", "service.'a@'", "group.a"] {
            for (policy, end) in policies.into_iter().flat_map(|p| ends.map(|e| (p, e))) {
                for significant in [true, false] {
                    let command = if kind == "group.a" { "" } else { "command = 'x'\n" };
                    let key = |key: &str, value: Option<&str>| {
                        value.map_or(String::new(), |v| format!("{key} = '{v}'\n"))
                    };
                    // A member that may always be significant keeps the warning about its absence away.
                    let text = format!(
                        "[group.g]\nsemantics = 'otp'\n{}[{kind}]\ngroup = 'g'\n{command}{}significant = {significant}\n{}",
                        key("auto_shutdown", end),
                        key("restart", policy),
                        if matches!(end, Some("any" | "all")) {
                            "[service.z]\ncommand = 'x'\ngroup = 'g'\nrestart = 'transient'\nsignificant = true\n"
                        } else {
                            ""
                        },
                    );
                    let mut expected = Vec::new();
                    if significant && matches!(policy, None | Some("permanent")) {
                        expected.push("a permanent member is always started again");
                    }
                    if significant && matches!(end, None | Some("never")) {
                        expected.push("the end of a significant member ends nothing");
                    }
                    let found = messages(&text);
                    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(found.starts_with(expected), "{text}\n{found}");
                    }
                }
            }
        }
    }

    #[test]
    fn b05_when_the_auto_shutdown_is_unknown_only_the_rule_about_restart_applies() {
        let text = |end: &str, restart: &str| {
            flags(&format!("auto_shutdown = '{end}'"))
                + &format!("restart = '{restart}'\nsignificant = true\n")
        };
        refused(&text("sometimes", "transient"), "invalid `auto_shutdown`");
        refused(&text("any", "sometimes"), "invalid `restart`");
        let found = messages(&text("sometimes", "permanent"));
        assert!(found.len() == 2 && found[1].starts_with("a permanent member"), "{found:?}");
        let group = "auto_shutdown = 'any'\n[group.g]\nsignificant = true\nrestart = ";
        refused(&format!("{group}'sometimes'"), "invalid `restart`");
        refused(&format!("{group}{{ policy = 'sometimes' }}"), "invalid `policy`");
        accepted(&format!("{group}'transient'"));
        let defaults = "[defaults]\nrestart = 'transient'\n";
        accepted(&format!("{defaults}{}significant = true\n", flags("auto_shutdown = 'any'")));
        let defaults = "[defaults]\nrestart = { policy = 'always' }\n";
        refused(
            &format!("{defaults}{}significant = true\n", flags("auto_shutdown = 'any'")),
            "invalid `policy`",
        );
    }

    #[test]
    fn b06_a_faulty_spec_stops_the_supervisor_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let ran = folder.path().join("ran");
        let write = |more: &str| {
            let text = format!(
                "name = 'b06'\n[service.first]\ncommand = ['touch', '{}']\nrestart = 'temporary'\n{more}",
                ran.display()
            );
            std::fs::write(folder.path().join("mainstay.toml"), text).unwrap();
        };
        write("[service.a]\ncommand = 'x'\nsignificant = true\n");
        let state = folder.path().join("state");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mainstay"))
            .arg("run")
            .current_dir(folder.path())
            .env_clear()
            .env("RUNTIME_DIRECTORY", folder.path().join("run"))
            .env("STATE_DIRECTORY", &state)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(
            said.contains("a permanent member is always started again") && said.contains("2 errors"),
            "{said}"
        );
        assert!(!ran.exists() && !state.exists(), "nothing was started, nothing was made");
    }

    #[test]
    fn b07_a_spec_that_is_read_back_has_all_keys_filled_in() {
        let text = "[defaults]\nstop = { signal = 'INT' }\nrestart = { clean = [7] }\nready = { within = '9s' }\n\
            [group.g]\nsemantics = 'otp'\nauto_shutdown = 'any'\n[service.a]\ngroup = 'g'\ncommand = 'x'\n\
            restart = { policy = 'transient' }\nready = { notify = true }\nsignificant = true\nignore = 3\n";
        let plan = plan(text);
        let expected = Child {
            name: "a".to_owned(),
            group: GroupId(1),
            restart: Restart::Transient,
            limit: None,
            backoff: Backoff::NONE,
            ready_within: Some(Duration::from_secs(9)),
            grace: Grace::After(Duration::from_secs(5)),
            stop_signal: 2,
            clean: vec![7],
            needs: vec![],
            autostart: true,
            significant: true,
            ignore: Some(3),
            added: false,
        };
        assert_eq!(plan.tree.children, [expected]);
    }

    #[test]
    fn d20_a_pool_may_be_bounded_even_to_nothing() {
        let pool = |keys: &str| {
            format!("[group.g]\nstrategy = 'pool'\n{keys}\n[service.'w@']\ncommand = 'x'\ngroup = 'g'\n")
        };
        for (keys, max_children) in
            [("", None), ("max_children = 0", Some(0)), ("max_children = 10", Some(10))]
        {
            assert_eq!(group(&plan(&pool(keys)), "g").pool, Some(Pool { max_children }));
        }
    }

    #[test]
    fn d30_flags_that_make_no_sense_for_a_pool_are_refused() {
        let pool = |keys: &str, member: &str| {
            format!(
                "[group.g]\nstrategy = 'pool'\n{keys}\n[service.'w@']\ncommand = 'x'\ngroup = 'g'\n{member}"
            )
        };
        for bad in ["-1", "1.5", "'many'", "4294967296"] {
            let found = messages(&pool(&format!("max_children = {bad}"), ""));
            assert!(found.len() == 1 && found[0].contains("`max_children`"), "{bad}: {found:?}");
        }
        refused(
            &pool("", "restart = 'transient'\nsignificant = true"),
            "a member of a pool cannot be significant",
        );
        refused(&pool("", "significant = true"), "a member of a pool cannot be significant");
        refused("[group.g]\nmax_children = 3\n", "`max_children` limits the members of a pool");
        // There is one key for the strategy, so a pool is always one_for_one.
        assert_eq!(group(&plan(&pool("", "")), "g").strategy, Strategy::OneForOne);
        let both = messages("[group.g]\nstrategy = 'pool'\nstrategy = 'one_for_all'\n");
        assert!(both.iter().any(|m| m.contains("duplicate key")), "{both:?}");
    }

    #[test]
    fn i02_an_intensity_of_zero_is_legal() {
        let intensity = Some(Intensity { max: 0, within: Duration::from_secs(5) });
        assert_eq!(group(&plan(&flags("intensity = 0")), "g").intensity, intensity);
    }

    #[test]
    fn k12_a_group_has_no_grace_of_its_own_that_could_orphan_its_members() {
        // OTP allows a supervisor child a finite shutdown and only warns; here the key does not exist.
        refused(&flags("stop = { grace = '5s' }"), "`stop` is not a key of a group");
    }

    #[test]
    fn m07_a_pool_never_ends_by_itself() {
        let pool = |keys: &str| {
            format!("[group.g]\nstrategy = 'pool'\n{keys}\n[service.'w@']\ncommand = 'x'\ngroup = 'g'\n")
        };
        for end in ["any", "all"] {
            refused(&pool(&format!("auto_shutdown = '{end}'")), "members of a pool are never significant");
        }
        accepted(&pool("auto_shutdown = 'never'"));
        accepted(&pool(""));
    }

    #[test]
    fn n12_a_plan_says_which_files_it_was_made_from() {
        let parts = [Part { file: "/srv/conf.d/a.toml".into(), shown: "a".into(), text: Ok(Vec::new()) }];
        let origin = Origin::new(Path::new("/srv/mainstay.toml"), "mainstay.toml", "shop");
        let plan = config::parse(b"", &Origin { parts: &parts, ..origin }).unwrap().plan;
        assert_eq!(plan.file.as_deref(), Some(Path::new("/srv/mainstay.toml")));
        assert_eq!(plan.parts, [Path::new("/srv/conf.d/a.toml")]);
    }

    #[test]
    fn q16_the_window_counts_nanoseconds_or_whole_seconds() {
        let window = |text: &str| {
            let plan = plan(text);
            let group = group(&plan, "g");
            (group.otp, group.whole_seconds, group.intensity.map(|i| i.within))
        };
        let text = |semantics: &str, period: &str| {
            format!("[group.g]\nsemantics = '{semantics}'\nperiod = '{period}'\n")
        };
        assert_eq!(window(&text("otp", "1500ms")), (true, false, Some(Duration::from_millis(1500))));
        assert_eq!(window(&text("otp-seconds", "2s")), (true, true, Some(Duration::from_secs(2))));
        refused(&text("otp-seconds", "1500ms"), "a window that counts whole seconds cannot be so long");
        refused(&text("otp-seconds", "1ns"), "a window that counts whole seconds cannot be so long");
        // A group inside may go back to nanoseconds.
        let inner = plan("semantics = 'otp-seconds'\n[group.g]\nsemantics = 'otp'\nperiod = '1ms'\n");
        assert!(!group(&inner, "g").whole_seconds && inner.tree.groups[0].whole_seconds);
    }

    #[test]
    fn s8_what_otp_does_not_have_is_refused_under_its_semantics() {
        refused(&flags("on_limit = 'park'"), "under OTP's semantics a group always ends at its limit");
        accepted(&flags("on_limit = 'escalate'"));
        refused(
            &member("command = 'x'\nrestart = { max = 3 }"),
            "under OTP's semantics a member has no limit of its own",
        );
        refused(&member("command = 'x'\nbackoff = {}"), "under OTP's semantics a restart never waits");
    }
}
