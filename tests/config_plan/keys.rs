//! What every key of a service means, and its default.

use crate::read::{MILLIS, SECS, child, plan, service};
use mainstay::config::plan::{Log, Program, Ready};
use mainstay::supervisor::spec::{Backoff, Child, Grace, GroupId, Intensity, Restart};
use std::path::{Path, PathBuf};

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
