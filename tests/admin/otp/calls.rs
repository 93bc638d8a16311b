//! C: child administration; J: what is answered while a restart fails.

use crate::rig::{LIVES, Rig, deaf_until_told, told};
use crate::support::{gone, pidfd};

fn two() -> Rig {
    Rig::otp(3, &format!("[service.a]\n{}\n[service.b]\n{LIVES}\n", told("a")))
}

#[test]
fn c01_start_child_of_a_running_one_names_its_pid() {
    let rig = two();
    let said = rig.fails(1, &["start-child", "b", "--", "sleep", "1"]);
    assert!(said.contains(&format!("`b` runs already (pid {})", rig.pid("b"))), "{said}");
}

#[test]
fn c02_c03_c06_c07_terminate_keeps_the_child_and_restart_child_gives_a_new_pid() {
    let rig = two();
    let pid = rig.pid("b");
    rig.ok(&["terminate", "b"]);
    gone(pid);
    assert_eq!(rig.which(""), ["b undefined", "a pid"]);
    assert_eq!(rig.count(""), "2/1/0/2");
    // C03
    rig.ok(&["terminate", "b"]);
    // C06
    let said = rig.fails(1, &["start-child", "b", "--", "sleep", "1"]);
    assert!(said.contains("`b` is there already and is stopped"), "{said}");
    assert!(said.contains("mainstay restart-child b"), "{said}");
    // C07
    rig.ok(&["restart-child", "b"]);
    assert_ne!(rig.pid("b"), pid);
    // C08
    let said = rig.fails(1, &["restart-child", "b"]);
    assert!(said.contains("`b` runs"), "{said}");
}

#[test]
fn c04_c09_an_unknown_name_is_not_found() {
    let rig = two();
    for verb in ["terminate", "restart-child", "delete-child", "which"] {
        let said = rig.fails(4, &[verb, "nobody"]);
        assert!(said.contains("no service `nobody`"), "{verb}: {said}");
    }
    rig.fails(4, &["count", "@nobody"]);
}

#[test]
fn c05_a_pid_names_nobody_in_an_ordinary_group() {
    let rig = two();
    let pid = rig.pid("b");
    rig.fails(4, &["terminate", "--pid", &pid.to_string()]);
    rig.fails(4, &["terminate", "@t", "--pid", &pid.to_string()]);
    assert_eq!(rig.pid("b"), pid);
}

#[test]
fn c11_delete_child_only_when_it_is_down_and_then_it_is_unknown() {
    let rig = two();
    let said = rig.fails(1, &["delete-child", "b"]);
    assert!(said.contains("mainstay terminate b"), "{said}");
    rig.ok(&["terminate", "b"]);
    rig.ok(&["delete-child", "b"]);
    rig.fails(4, &["restart-child", "b"]);
    rig.fails(4, &["delete-child", "b"]);
    assert_eq!(rig.count(""), "1/1/0/1");
    assert_eq!(rig.which(""), ["a pid"]);
}

#[test]
fn c12_a_fresh_child_is_the_newest() {
    let rig = two();
    rig.ok(&["start-child", "c", "--", "sleep", "100000"]);
    assert_eq!(rig.which(""), ["c pid", "b pid", "a pid"]);
    assert_eq!(rig.count(""), "3/3/0/3");
    // It is restarted like any other.
    assert_ne!(rig.replaced("c"), 0);
}

#[test]
fn c13_without_a_supervisor_every_call_says_so() {
    let rig = Rig::prepared("name = \"t\"\n");
    for words in [["count", ""], ["which", "x"], ["terminate", "x"], ["start-child", "x"], ["reload", ""]] {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let said = rig.fails(69, &words);
        assert!(said.contains("no supervisor answers at"), "{words:?}: {said}");
    }
}

#[test]
fn c13_a_group_that_is_down_takes_no_children() {
    let rig = Rig::new(&format!(
        "name = \"t\"\n[group.g]\nsemantics = \"otp\"\n[service.a]\ngroup = \"g\"\n{LIVES}\n"
    ));
    rig.ok(&["terminate", "@g"]);
    let said = rig.fails(1, &["start-child", "x", "--group", "g", "--", "sleep", "100000"]);
    assert!(said.contains("its group is down"), "{said}");
    rig.ok(&["restart-child", "@g"]);
    rig.ok(&["start-child", "x", "--group", "g", "--", "sleep", "100000"]);
}

#[test]
fn c14_what_a_child_says_with_its_readiness_is_handed_back() {
    let notify = r#"command = ["sh", "-c", "printf 'READY=1\nSTATUS=room for 7\n' | socat -u - UNIX-SENDTO:$NOTIFY_SOCKET; exec sleep 100000"]"#;
    let rig =
        Rig::prepared(&format!("name = \"t\"\n[service.\"w@\"]\n{notify}\nready = {{ notify = true }}\n"));
    // Without socat the same by Python, which the README's example needs anyway.
    rig.project.write(
        "mainstay.toml",
        "name = \"t\"\n[service.\"w@\"]\ncommand = [\"python3\", \"say.py\", \"%i\"]\nready = { notify = true }\n",
    );
    rig.project.write(
        "say.py",
        "import os, socket, sys, time\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         s.sendto(('READY=1\\nSTATUS=room for ' + sys.argv[1]).encode(), os.environ['NOTIFY_SOCKET'])\n\
         os.execvp('sleep', ['sleep', '100000'])\n",
    );
    rig.project.start();
    let said: serde_json::Value = serde_json::from_str(&rig.ok(&["start-child", "w@7", "--json"])).unwrap();
    assert_eq!(said["instances"][0]["info"], "room for 7", "{said}");
    rig.ok(&["terminate", "w@7"]);
    let said = rig.ok(&["restart-child", "w@7"]);
    assert!(said.contains("room for 7"), "{said}");
    // An automatic restart works all the same.
    let cursor = rig.cursor();
    rig.kill("w@7", nix::sys::signal::Signal::SIGKILL);
    let ready = rig.happens(&cursor, "w@7", "ready");
    assert_eq!(ready["info"], "room for 7");
}

#[test]
fn c15_a_first_start_that_fails_says_why_and_is_not_kept() {
    let rig = two();
    let said = rig.fails(1, &["start-child", "x", "--", "./missing"]);
    assert!(said.contains("executing `./missing`: No such file or directory"), "{said}");
    rig.script("quits", "exit 7");
    rig.project.write(
        "mainstay.toml",
        &format!(
            "name = \"t\"\nsemantics = \"otp\"\n[service.a]\n{}\n[service.b]\n{LIVES}\n\
             [service.\"q@\"]\ncommand = \"./quits\"\nready = {{ output = \"never\" }}\n",
            told("a")
        ),
    );
    rig.ok(&["reload"]);
    let said = rig.fails(1, &["start-child", "q@1"]);
    assert!(said.contains("exited 7"), "{said}");
    assert_eq!(rig.which(""), ["b pid", "a pid"]);
    rig.fails(4, &["which", "x"]);
}

#[test]
fn c16_a_restart_child_that_fails_keeps_the_child() {
    let rig = Rig::prepared(
        "name = \"t\"\nsemantics = \"otp\"\n[service.a]\ncommand = \"./svc\"\n[service.b]\ncommand = [\"sleep\", \"100000\"]\n",
    );
    rig.script("svc", "exec sleep 100000");
    rig.project.start();
    rig.ok(&["terminate", "a"]);
    std::fs::remove_file(rig.project.path("svc")).unwrap();
    let said = rig.fails(1, &["restart-child", "a", "--timeout", "20s"]);
    assert!(said.contains("executing `./svc`: No such file"), "{said}");
    assert_eq!(rig.which(""), ["b pid", "a undefined"]);
    rig.script("svc", "exec sleep 100000");
    rig.ok(&["restart-child", "a"]);
}

#[test]
fn c18_which_and_its_single_form_agree_at_every_step() {
    let rig = Rig::otp(1, "");
    let agree = |expected: &[&str]| {
        assert_eq!(rig.which(""), expected);
        for line in expected {
            assert_eq!(rig.which(line.split(' ').next().unwrap()), [*line]);
        }
    };
    agree(&[]);
    rig.ok(&["start-child", "c1", "--", "sleep", "100000"]);
    agree(&["c1 pid"]);
    rig.ok(&["start-child", "c2", "--", "sleep", "100000"]);
    agree(&["c2 pid", "c1 pid"]);
    rig.ok(&["terminate", "c1"]);
    agree(&["c2 pid", "c1 undefined"]);
    rig.ok(&["delete-child", "c1"]);
    agree(&["c2 pid"]);
    let spec = &rig.members("c2")[0];
    assert_eq!((&spec["restart"], &spec["type"]), (&"permanent".into(), &"worker".into()));
    assert_eq!((&spec["shutdown"], &spec["significant"]), (&"5s".into(), &false.into()));
}

#[test]
fn c22_rubbish_on_the_control_socket_changes_nothing() {
    use std::io::Write;
    let rig = two();
    let pid = rig.pid("a");
    let mut socket =
        std::os::unix::net::UnixStream::connect(rig.project.path("run/control/supervisor")).unwrap();
    socket.write_all(b"\0\0rubbish\xff\xff\xff\xff").unwrap();
    drop(socket);
    assert_eq!(rig.pid("a"), pid);
    rig.ok(&["terminate", "b"]);
}

#[test]
fn c23_a_slow_stop_holds_up_its_caller_only() {
    let rig = Rig::new(&format!(
        "name = \"t\"\n[service.slow]\n{}\n[service.b]\n{LIVES}\n",
        deaf_until_told("slow")
    ));
    let cursor = rig.cursor();
    let mut caller =
        rig.project.command(&["terminate", "slow"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    rig.happens(&cursor, "slow", "stopping");
    // Others are answered meanwhile.
    rig.ok(&["terminate", "b"]);
    assert!(caller.try_wait().unwrap().is_none(), "it returned before the child was down");
    rig.say("slow", 0);
    assert!(caller.wait().unwrap().success());
    assert_eq!(rig.which(""), ["b undefined", "slow undefined"]);
}

/// A child whose restart fails for ever: `svc` is gone while it runs.
fn in_a_loop(strategy: &str) -> Rig {
    let rig = Rig::prepared(&format!(
        "name = \"t\"\nstrategy = \"{strategy}\"\n[service.a]\n{LIVES}\n[service.b]\ncommand = \"./svc\"\n\
         restart = {{ max = \"unlimited\" }}\nbackoff = {{ first = \"1h\", base = \"1h\" }}\n"
    ));
    rig.script("svc", "exec sleep 100000");
    rig.project.start();
    let cursor = rig.cursor();
    rig.kill("b", nix::sys::signal::Signal::SIGKILL);
    rig.happens(&cursor, "b", "backing_off");
    rig
}

#[test]
fn j01_c10_while_it_waits_for_its_next_try_calls_are_answered() {
    let rig = in_a_loop("one_for_one");
    assert_eq!(rig.which(""), ["b restarting", "a pid"]);
    assert_eq!(rig.count(""), "2/1/0/2");
    let said = rig.fails(1, &["start-child", "b", "--", "sleep", "1"]);
    assert!(said.contains("`b` is there already"), "{said}");
    for verb in ["restart-child", "delete-child"] {
        let said = rig.fails(1, &[verb, "b"]);
        assert!(said.contains("waits for its next try") && said.contains("mainstay terminate b"), "{said}");
    }
}

#[test]
fn j02_terminate_breaks_the_loop() {
    let rig = in_a_loop("one_for_one");
    rig.ok(&["terminate", "b"]);
    assert_eq!(rig.which("b"), ["b undefined"]);
    rig.ok(&["restart-child", "b"]);
    assert_eq!(rig.which("b"), ["b pid"]);
}

#[test]
fn j03_the_supervisor_stops_at_once_during_the_loop() {
    let rig = in_a_loop("one_for_one");
    rig.project.shutdown();
}

#[test]
fn j04_the_same_under_rest_for_one() {
    let rig = in_a_loop("rest_for_one");
    assert_eq!(rig.which("b"), ["b restarting"]);
    rig.ok(&["terminate", "b"]);
    assert_eq!(rig.which(""), ["b undefined", "a pid"]);
    rig.ok(&["restart-child", "b"]);
}

#[test]
fn k08_a_child_that_left_its_session_is_terminated_all_the_same() {
    let rig = Rig::new(
        "name = \"t\"\n[service.a]\ncommand = [\"sh\", \"-c\", \"setsid sleep 100000 & echo $! > helper; echo on; wait\"]\n\
         ready = { output = \"on\" }\nstop = { grace = \"100ms\" }\n",
    );
    let helper: i32 = rig.project.read("helper").trim().parse().unwrap();
    assert!(pidfd(helper).is_some());
    rig.ok(&["terminate", "a"]);
    gone(helper);
    assert_eq!(rig.count(""), "1/0/0/1");
}
