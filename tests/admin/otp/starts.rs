//! A: starting.

use crate::rig::{LIVES, Rig, SPEAKS, told};

#[test]
fn a01_it_starts_empty_and_ends_when_asked() {
    let rig = Rig::otp(1, "");
    assert_eq!(rig.count(""), "0/0/0/0");
    rig.ends(|| rig.ok(&["shutdown"]));
}

#[test]
fn a03_a07_a08_what_is_wrong_with_the_file_stops_the_start_and_leaves_nothing() {
    for (text, message) in [
        ("name = \"t\"\nintensity = -1\n", "intensity"),
        ("name = \"t\"\nintensity = 1\nperiod = \"0s\"\n", "period"),
        ("name = \"t\"\nstrategy = \"one_for_none\"\n", "one_for_none"),
        ("name = \"t\"\nauto_shutdown = \"some\"\n", "some"),
        ("name = \"t\"\n[service.a]\n", "command"),
    ] {
        let rig = Rig::prepared(text);
        let said = rig.fails(78, &["run", "-d", "--wait"]);
        assert!(said.contains(message), "{said}");
        rig.fails(69, &["count"]);
    }
}

#[test]
fn a09_a10_a_child_that_cannot_start_takes_the_start_back_in_reverse_order() {
    let rig = Rig::prepared(&format!(
        "name = \"t\"\nsemantics = \"otp\"\nintensity = 1\n[service.c1]\n{SPEAKS}\n[service.c2]\ncommand = \"./missing\"\n[service.c3]\n{LIVES}\n"
    ));
    let outcome = rig.project.mainstay(&["run"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let said = outcome.stdout + &outcome.stderr;
    assert!(said.contains("c2") && said.contains("executing `./missing`: No such file"), "{said}");
    assert!(said.contains("stopped by SIGTERM"), "c1 was started and is stopped again: {said}");
    assert!(!said.contains("c3"), "c3 was never started: {said}");
    assert_eq!(rig.project.processes(), Vec::<i32>::new());
}

#[test]
fn a11_children_start_in_the_order_of_the_file() {
    let services: String =
        ["e", "b", "d", "a", "c"].iter().map(|name| format!("[service.{name}]\n{LIVES}\n")).collect();
    let rig = Rig::otp(1, &services);
    let events = rig.project.events("0");
    let started: Vec<&str> = events
        .iter()
        .filter(|event| event["kind"] == "starting")
        .map(|event| event["instance"].as_str().unwrap())
        .filter(|name| !name.starts_with("mainstay"))
        .collect();
    assert_eq!(started, ["e", "b", "d", "a", "c"]);
    assert_eq!(rig.which(""), ["c pid", "a pid", "d pid", "b pid", "e pid"]);
}

#[test]
fn a12_a13_a_child_with_nothing_to_run_is_kept_unless_it_is_temporary() {
    let rig = Rig::otp(
        1,
        &format!(
            "[service.a]\n{LIVES}\n[service.none]\n{LIVES}\ncondition = {{ exists = \"there\" }}\n\
             [service.gone]\n{LIVES}\nrestart = \"temporary\"\ncondition = {{ exists = \"there\" }}\n"
        ),
    );
    assert_eq!(rig.which(""), ["none undefined", "a pid"]);
    assert_eq!(rig.count(""), "2/1/0/2");
    // Nothing was started for it, and it is no failure.
    assert_eq!(rig.kinds("0", "none").iter().filter(|kind| *kind == "starting").count(), 0);
    assert!(rig.kinds("0", "none").contains(&"ignored".to_owned()));
    rig.project.write("there", "");
    rig.ok(&["restart-child", "none"]);
    assert_eq!(rig.which("none"), ["none pid"]);
}

#[test]
fn a12_an_exit_with_the_ignore_code_before_it_was_ready_says_the_same() {
    let rig = Rig::otp(
        1,
        &format!("[service.a]\n{}\nready = {{ output = \"never\" }}\nignore = 75\n", told("a"))
            .replace("[service.a]", "[service.\"a@\"]")
            .replace("a.ctl", "%i.ctl"),
    );
    rig.pipe("x");
    let cursor = rig.cursor();
    let starter = rig
        .project
        .command(&["start-child", "a@x", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    rig.happens(&cursor, "a@x", "starting");
    rig.say("x", 75);
    let said = starter.wait_with_output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["instances"][0]["outcome"], "ignored", "{said}");
    assert_eq!(rig.which(""), ["a@x undefined"]);
    assert_eq!(rig.count(""), "1/0/0/1");
}

#[test]
fn a14_a15_a16_a_temporary_child_or_one_of_a_pool_that_has_nothing_to_run_is_not_kept() {
    let condition = "condition = { exists = \"there\" }";
    let rig = Rig::otp(
        1,
        &format!(
            "[group.jobs]\nstrategy = \"pool\"\n[service.\"job@\"]\ngroup = \"jobs\"\n{LIVES}\n{condition}\n\
             [service.\"t@\"]\n{LIVES}\nrestart = \"temporary\"\n{condition}\n"
        ),
    );
    for words in [
        &["start-child", "t@1"][..],
        &["start-child", "@jobs"],
        &["start-child", "@jobs", "--restart", "temporary"],
    ] {
        let said = rig.ok(words);
        assert!(said.contains("had nothing to run"), "{said}");
    }
    assert_eq!(rig.which("@jobs"), Vec::<String>::new());
    assert_eq!(rig.which(""), ["@jobs running"]);
    rig.project.shutdown();
}

#[test]
fn a17_a18_two_of_one_name_or_a_pool_without_a_template_are_refused() {
    for (text, message) in [
        ("name = \"t\"\n[service.a]\ncommand = \"x\"\n[service.a]\ncommand = \"x\"\n", "duplicate"),
        ("name = \"t\"\n[group.p]\nstrategy = \"pool\"\n", "template"),
        (
            "name = \"t\"\n[group.p]\nstrategy = \"pool\"\n[service.\"a@\"]\ngroup = \"p\"\ncommand = \"x\"\n\
             [service.\"b@\"]\ngroup = \"p\"\ncommand = \"x\"\n",
            "template",
        ),
    ] {
        let said = Rig::prepared(text).fails(78, &["check"]);
        assert!(said.contains(message), "{said}");
    }
}
