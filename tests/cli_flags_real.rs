//! The verbs of flags from one end to the other: the real program, supervisor, keeper, board and guard.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use support::Project;

const CONFIGURATION: &str = r#"
name = "shop"

[service.web]
command   = ["sleep", "100000"]
instances = 2

[flag.new-checkout]
default = false
guard   = { services = ["web"], crashes = 3, within = "1s", bake = "2s" }

[flag.log-level]
default = "info"

[flag.limit]
default = 10

[flag.use-registry]
default = false

[flag.use-spans]
default = false

[migration.registry]
guard = { services = ["web"], crashes = 3, within = "1s", bake = "2s" }

[[migration.registry.stage]]
name = "shared"
on   = ["use-registry"]

[[migration.registry.stage]]
name = "telemetry"
on   = ["use-spans"]
"#;

fn say(project: &Project, line: &str) -> (i32, String, String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let outcome = project.mainstay(&words);
    (outcome.code, outcome.stdout, outcome.stderr)
}

#[track_caller]
fn check(project: &Project, line: &str, code: i32, stdout: &str) {
    let (is, out, err) = say(project, line);
    assert_eq!((is, out.as_str()), (code, stdout), "mainstay {line}: {err}");
}

#[test]
fn flags_of_every_kind_are_set_read_awaited_and_carried_to_another_board() {
    let project = Project::running(CONFIGURATION);
    check(
        &project,
        "flag set log-level=debug limit=-3",
        0,
        "log-level \"info\" -> \"debug\"  generation 2\nlimit 10 -> -3  generation 2\n",
    );
    check(&project, "flag get log-level", 0, "debug\n");
    check(&project, "flag get limit", 0, "-3\n");
    check(&project, "flag set limit -3", 0, "limit is -3 already  generation 2\n");
    check(&project, "flag wait limit --until -3 --timeout 60s", 0, "");
    check(&project, "flag wait registry --until 0 --timeout 60s", 0, "");
    assert_eq!(say(&project, "flag wait limit --until on").0, 2, "a number is never on");
    assert_eq!(say(&project, "flag set limit=many").0, 2);
    assert_eq!(say(&project, "flag set limti=1").0, 4);

    let exported = project.mainstay(&["flag", "export"]).ok();
    project.write("flags.toml", &exported);
    project.mainstay(&["flag", "reset", "--all", "--why", "a test"]).ok();
    check(&project, "flag get log-level", 0, "info\n");
    project.mainstay(&["flag", "import", "flags.toml", "--why", "a test"]).ok();
    check(&project, "flag get log-level", 0, "debug\n");
    check(&project, "flag get limit", 0, "-3\n");
    project.shutdown();
    // Nobody runs any more, and everything can still be read.
    check(&project, "flag get limit", 0, "-3\n");
    let (code, why, _) = say(&project, "flag why limit");
    assert_eq!((code, why.lines().nth(1)), (0, Some("  1. it is set to -3")), "{why}");
    let (_, log, _) = say(&project, "flag log limit --json");
    let newest: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let changes = newest["changes"].as_array().unwrap();
    assert!(changes.iter().any(|one| one["flag"] == "limit" && one["to"] == "-3"), "{newest}");
    assert_eq!(say(&project, "flag list").0, 0);
    assert_eq!(say(&project, "audit verify").0, 0);
}

#[test]
fn a_rollout_is_followed_to_its_end_by_a_guard_that_watches_real_processes() {
    let project = Project::running(CONFIGURATION);
    let begin = "flag roll new-checkout --steps 50,100 --bake 2s";
    let (code, _, err) = say(&project, begin);
    assert_eq!(
        (code, err.as_str()),
        (
            2,
            "mainstay: a reason is required for a rollout of flag `new-checkout`\nhint: say it with `--why TEXT`\n"
        )
    );
    check(&project, &format!("{begin} --why SHOP-812 --no-wait"), 0, "r-1\n");
    // Killing the keeper meanwhile loses nothing.
    project.kill_and_wait("mainstay.keeper", "up");
    let (code, out, err) = say(&project, "flag roll --follow r-1 --timeout 60s");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("\nok new-checkout is on, every step is proven, generation "), "{out}");
    let (_, status, _) = say(&project, "flag roll --status r-1 --json");
    let object: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((object["name"].as_str(), object["state"].as_str()), (Some("new-checkout"), Some("done")));
    check(&project, "flag get new-checkout", 0, "on\n");
    assert_eq!(say(&project, "flag roll --back r-1 --why late").0, 1, "it is over");
    assert_eq!(say(&project, "flag roll --status r-9").0, 4);
    project.shutdown();
}

#[test]
fn stages_are_enabled_one_by_one_and_everything_goes_back_at_once() {
    let project = Project::running(CONFIGURATION);
    assert_eq!(say(&project, "stage enable registry 2 --why x").0, 1, "one at a time");
    assert_eq!(say(&project, "stage enable registry shared").0, 2, "a reason is needed");
    let (code, out, err) = say(&project, "stage enable registry shared --why SHOP-813");
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("registry stage 0 -> 1 shared  generation "), "{out}");
    assert!(out.contains("\n  use-registry off -> on\n"), "{out}");
    check(&project, "flag on use-registry", 0, "");
    check(&project, "flag get registry", 0, "1\n");
    check(&project, "flag wait registry --until shared --timeout 60s", 0, "");
    assert_eq!(say(&project, "stage rollback registry 1 --why x").0, 1, "not earlier");
    assert_eq!(say(&project, "stage enable rgistry 1 --why x").0, 4);
    let (code, out, err) = say(&project, "emergency --why fire");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("everything is on its safe value: "), "{out}");
    check(&project, "flag on use-registry", 1, "");
    check(&project, "flag get registry", 0, "0\n");
    let (_, log, _) = say(&project, "flag log registry --json");
    let newest: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((newest["verb"].as_str(), newest["reason"].as_str()), (Some("emergency"), Some("fire")));
    assert_eq!(say(&project, "guard observe --why try").0, 0);
    assert!(say(&project, "guard status").1.starts_with("guard observing"), "the switch is kept");
    project.shutdown();
}

/// It goes into a session of its own, where neither the keeper's death nor the end of the command reaches it.
#[test]
fn what_a_command_of_the_guard_left_behind_ends_with_a_keeper_that_is_killed() {
    let project = Project::new(
        r#"
[service.web]
command = ["sleep", "100000"]
[flag.risky]
guard = { services = ["web"], command = ["./judge"], every = "100ms", timeout = "100ms" }
"#,
    );
    let pipe = project.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
    project.write(
        "judge",
        "#!/bin/sh\nsetsid -f sh -c 'mkdir once && echo started && exec sleep 100000' >pipe\n",
    );
    std::fs::set_permissions(project.path("judge"), std::fs::Permissions::from_mode(0o755)).unwrap();
    project.start();
    project.mainstay(&["flag", "set", "risky", "on", "--why", "a test"]).ok();
    let (mut reader, mut line) = loop {
        let mut reader = BufReader::new(std::fs::File::open(&pipe).unwrap());
        let mut line = String::new();
        // A command whose time is over before it had a session of its own is tried again.
        if reader.read_line(&mut line).unwrap() > 0 {
            break (reader, line);
        }
    };
    assert_eq!(line, "started\n");
    project.kill_and_wait("mainstay.keeper", "up");
    // The end of the pipe comes when nobody holds it any more.
    assert_eq!(reader.read_to_string(&mut line).unwrap(), 0);
    project.shutdown();
}
