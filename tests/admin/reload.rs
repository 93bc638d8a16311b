//! N: reload; and reload under fire.

use crate::rig::{LIVES, Rig};
use crate::support::{kill, pidfd};
use nix::sys::signal::Signal;
use std::collections::HashSet;

const THREE: &str = "name = \"t\"\n[service.a]\ncommand = [\"sleep\", \"100001\"]\n[service.b]\ncommand = [\"sleep\", \"100002\"]\n\
                     [service.c]\ncommand = [\"sleep\", \"100003\"]\n";

fn three() -> Rig {
    Rig::new(THREE)
}

#[test]
fn the_diff_is_told_and_only_what_differs_is_touched() {
    let rig = three();
    let (a, b) = (rig.pid("a"), rig.pid("b"));
    rig.project.write(
        "mainstay.toml",
        "name = \"t\"\n[service.a]\ncommand = [\"sleep\", \"100001\"]\nrestart = { max = 10, within = \"1m\" }\n\
         [service.b]\ncommand = [\"sleep\", \"100004\"]\n[service.d]\ncommand = [\"sleep\", \"100003\"]\n",
    );
    let would = rig.ok(&["reload", "--dry-run"]);
    let lines: Vec<&str> = would.lines().collect();
    assert_eq!(lines.len(), 4, "{would}");
    assert!(lines[0].starts_with("~ a") && lines[0].ends_with("in place, no restart"), "{would}");
    assert!(lines[1].starts_with("~ b  command changed") && lines[1].ends_with("restart"), "{would}");
    assert_eq!((lines[2], lines[3]), ("+ d  new", "- c  removed"));
    // Nothing was done.
    assert_eq!(rig.which(""), ["c pid", "b pid", "a pid"]);
    let said = rig.ok(&["reload"]);
    assert!(said.contains("1 in place, 1 restarted, 1 added, 1 removed"), "{said}");
    assert_eq!(rig.which(""), ["d pid", "b pid", "a pid"]);
    assert_eq!(rig.pid("a"), a);
    assert_ne!(rig.pid("b"), b);
    assert_eq!(rig.executes("b"), "sleep 100004");
    let restarts = rig.project.status();
    let a = restarts["services"].as_array().unwrap().iter().find(|s| s["name"] == "a").unwrap().clone();
    assert_eq!(a["restarts"]["max"].as_i64().or(a["restarts_max"].as_i64()).unwrap_or(10), 10, "{a}");
    // Again: nothing differs.
    assert!(rig.ok(&["reload"]).contains("nothing changed"));
    assert_eq!(rig.ok(&["reload", "--dry-run"]), "nothing would change\n");
}

#[test]
fn descriptors_that_are_too_many_are_refused_with_the_arithmetic() {
    let rig = Rig::prepared(THREE);
    let limited = "ulimit -n 400; exec \"$0\" \"$@\"";
    let program = env!("CARGO_BIN_EXE_mainstay");
    let mut command = std::process::Command::new("sh");
    let ours = rig.project.command(&[]);
    command.args(["-c", limited, program, "run", "-d", "--wait"]).current_dir(rig.project.folder());
    ours.get_envs().for_each(|(name, value)| match value {
        Some(value) => drop(command.env(name, value)),
        None => drop(command.env_remove(name)),
    });
    assert!(command.status().unwrap().success());
    rig.project.write("mainstay.toml", &format!("{THREE}[service.many]\n{LIVES}\ninstances = 40\n"));
    let said = rig.fails(1, &["reload"]);
    assert!(said.contains("descriptors are needed (320 +") && said.contains("400 are allowed"), "{said}");
    assert_eq!(rig.count(""), "3/3/0/3");
    // One by one it goes as far as it goes, and then says the same.
    let mut added = 0;
    let said = loop {
        let name = format!("x{added}");
        let outcome = rig.project.mainstay(&["start-child", &name, "--", "sleep", "100000"]);
        match outcome.code {
            0 => added += 1,
            _ => break outcome.stderr,
        }
    };
    assert!(said.contains("descriptors are needed") && added > 5, "{added}: {said}");
    assert_eq!(rig.count(""), format!("{0}/{0}/0/{0}", added + 3));
    // What goes gives its descriptors back.
    rig.ok(&["terminate", "x0"]);
    rig.ok(&["delete-child", "x0"]);
    rig.ok(&["start-child", "y", "--", "sleep", "100000"]);
    rig.fails(1, &["start-child", "z", "--", "sleep", "100000"]);
}

mod otp {
    use super::*;

    #[test]
    fn n02_n08_n09_n11_whatever_is_wrong_nothing_has_changed() {
        let rig = three();
        let before = (rig.which(""), rig.pid("a"), rig.pid("b"), rig.pid("c"));
        for (text, message) in [
            ("name = \"t\"\n[service.a]\ncommand = \"x\"\nrestrat = 1\n", "unknown field `restrat`"),
            ("name = \"t\"\n[service.a]\ncommand = \"x\"\nneeds = [\"wbe\"]\n", "needs `wbe`"),
            ("name = \"t\"\n[service.a]\ncommand = \"x\"\nuser = \"nobody-of-this-name\"\n", "no such user"),
            ("name = \"t\"\nintensity = 1\nperiod = \"0s\"\n", "period"),
            ("rubbish", "rubbish"),
            ("name = \"t\"\n[group.p]\nstrategy = \"pool\"\n", "a pool has exactly one member in the file"),
            (
                "name = \"t\"\n[group.p]\nstrategy = \"pool\"\n[service.\"a@\"]\ngroup = \"p\"\ncommand = \"x\"\n\
             [service.\"b@\"]\ngroup = \"p\"\ncommand = \"x\"\n",
                "a pool has exactly one member in the file",
            ),
        ] {
            rig.project.write("mainstay.toml", text);
            for words in [&["reload"][..], &["reload", "--dry-run"], &["reload", "--otp"]] {
                let said = rig.fails(78, words);
                assert!(said.contains(message), "{said}");
            }
        }
        std::fs::remove_file(rig.project.path("mainstay.toml")).unwrap();
        let config = rig.project.path("mainstay.toml").display().to_string();
        rig.fails(78, &["reload", "--config", &config]);
        assert_eq!((rig.which(""), rig.pid("a"), rig.pid("b"), rig.pid("c")), before);
    }

    #[test]
    fn n01_new_flags_are_in_force_at_once() {
        let rig = Rig::otp(5, &format!("[service.a]\n{LIVES}\n"));
        rig.replaced("a");
        rig.replaced("a");
        let text = rig.project.read("mainstay.toml").replace("intensity = 5", "intensity = 2");
        rig.project.write("mainstay.toml", &text);
        rig.ok(&["reload"]);
        rig.ends(|| rig.kill("a", Signal::SIGKILL));
    }

    #[test]
    fn n03_n04_n05_n06_otps_rule_starts_and_deletes_nothing() {
        let rig = three();
        let (b, c) = (rig.pid("b"), rig.pid("c"));
        rig.project.write(
            "mainstay.toml",
            "name = \"t\"\n[service.d]\ncommand = [\"sleep\", \"100005\"]\n[service.b]\ncommand = [\"sleep\", \"100004\"]\n\
             [service.a]\ncommand = [\"sleep\", \"100001\"]\n",
        );
        let said = rig.ok(&["reload", "--otp", "--dry-run"]);
        assert!(said.contains("not started") && said.contains("kept"), "{said}");
        rig.ok(&["reload", "--otp"]);
        // The new list's order, what was kept behind it; newest first here.
        assert_eq!(rig.which(""), ["c pid", "a pid", "b pid", "d undefined"]);
        assert_eq!((rig.pid("b"), rig.pid("c")), (b, c));
        rig.ok(&["restart-child", "d"]);
        // The new words from its next start.
        let cursor = rig.cursor();
        rig.replaced("b");
        let started = rig.happens(&cursor, "b", "starting");
        assert_eq!(started["command"], "sleep 100004");
        rig.happens(&cursor, "b", "up");
        assert_eq!(rig.executes("b"), "sleep 100004");
        // What was kept is like what was added by hand: no later reload removes it.
        assert_eq!(rig.ok(&["reload", "--dry-run"]), "nothing would change\n");
        let marks = |name: &str| {
            let member = &rig.members(name)[0];
            (member["added"].as_bool(), member["kept"].as_bool())
        };
        assert_eq!(marks("c"), (Some(false), Some(true)), "nobody added it");
        assert_eq!(marks("a"), (Some(false), Some(false)));
        rig.ok(&["start-child", "e", "--", "sleep", "100006"]);
        assert_eq!(marks("e"), (Some(true), Some(false)));
        rig.ok(&["reload", "--otp"]);
        rig.ok(&["reload"]);
        assert_eq!((marks("c"), marks("e")), ((Some(false), Some(true)), (Some(true), Some(false))));
        rig.ok(&["terminate", "e"]);
        rig.ok(&["delete-child", "e"]);
        rig.ok(&["terminate", "c"]);
        rig.ok(&["delete-child", "c"]);
        assert_eq!(rig.which(""), ["a pid", "b pid", "d pid"]);
    }

    #[test]
    fn n10_a_new_template_is_for_new_members() {
        let pool = |words: &str| {
            format!(
                "name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\n[service.\"job@\"]\ngroup = \"jobs\"\ncommand = {words}\n"
            )
        };
        let rig = Rig::new(&pool("[\"sleep\", \"100001\"]"));
        rig.ok(&["start-child", "@jobs"]);
        let first = rig.pid("job@1");
        rig.project.write("mainstay.toml", &pool("[\"sleep\", \"100002\"]"));
        rig.ok(&["reload"]);
        assert_eq!(rig.pid("job@1"), first);
        let cursor = rig.cursor();
        rig.ok(&["start-child", "@jobs"]);
        assert_eq!(rig.happens(&cursor, "job@2", "starting")["command"], "sleep 100002");
        // N11
        rig.project.write("mainstay.toml", "name = \"t\"\n[group.jobs]\nstrategy = \"pool\"\n");
        rig.fails(78, &["reload"]);
        assert_eq!(rig.count("@jobs"), "1/2/0/2");
    }

    #[test]
    fn n12_the_supervisor_says_which_file_it_was_built_from() {
        let rig = three();
        let config = rig.project.path("mainstay.toml").canonicalize().unwrap().display().to_string();
        assert_eq!(rig.project.status()["config"], config);
    }
}

#[test]
fn sighup_reloads_and_the_result_is_an_event() {
    let rig = three();
    let (supervisor, cursor) = (rig.project.supervisor(), rig.cursor());
    rig.project.write("mainstay.toml", &format!("{THREE}[service.d]\n{LIVES}\n"));
    kill(supervisor, Signal::SIGHUP);
    let event = rig.until(&cursor, "the reload", |event| event["kind"] == "reloaded");
    assert_eq!((event["added"].as_i64(), event["from"].as_str()), (Some(1), Some("file")));
    rig.happens(&cursor, "d", "up");
    let cursor = rig.cursor();
    rig.project.write("mainstay.toml", "rubbish");
    kill(supervisor, Signal::SIGHUP);
    let event = rig.until(&cursor, "the refusal", |event| event["kind"] == "reload_failed");
    assert!(event["message"].as_str().unwrap().contains("1 error"), "{event}");
    assert_eq!(rig.count(""), "4/4/0/4");
}

#[test]
fn a_tree_without_a_file_says_that_there_is_nothing_to_read() {
    let rig = Rig::prepared("name = \"t\"\n");
    rig.ok(&["run", "-d", "--wait", "--", "sleep", "100000"]);
    let said = rig.fails(1, &["reload"]);
    assert!(said.contains("there is no file to read again"), "{said}");
    rig.ok(&["scale", "sleep=2"]);
    assert_eq!(rig.which(""), ["sleep#2 pid", "sleep pid"]);
}

#[test]
fn flags_of_the_file_reach_the_keeper_and_the_first_one_starts_it() {
    let rig = three();
    rig.project.write("mainstay.toml", &format!("{THREE}[flag.one]\ndefault = true\n"));
    rig.ok(&["reload"]);
    rig.project.wait("mainstay.keeper", "ready", "0");
    assert_eq!(rig.project.mainstay(&["flag", "on", "one"]).code, 0);
    let cursor = rig.cursor();
    rig.project
        .write("mainstay.toml", &format!("{THREE}[flag.one]\ndefault = true\n[flag.two]\ndefault = false\n"));
    rig.ok(&["reload"]);
    rig.project.wait("mainstay.keeper", "ready", &cursor);
    assert_eq!(rig.project.mainstay(&["flag", "on", "two"]).code, 1);
    rig.ok(&["flag", "set", "two", "on"]);
    assert_eq!(rig.project.mainstay(&["flag", "on", "two"]).code, 0);
    assert_eq!(rig.project.mainstay(&["flag", "on", "one"]).code, 0);
}

/// Fifty reloads between two files while services are killed: nothing doubled, nothing lost.
#[test]
fn reload_under_fire() {
    let file = |odd: bool| {
        let number = if odd { 100_001 } else { 100_002 };
        let mut text =
            "name = \"t\"\n[defaults]\nrestart = { max = \"unlimited\" }\nbackoff = \"none\"\n".to_owned();
        for name in 0..6 {
            // Half of them are changed by each reload, one comes and goes.
            if name == 5 && odd {
                continue;
            }
            let words = if name % 2 == 0 { 100_000 } else { number };
            text += &format!(
                "[service.s{name}]\ncommand = [\"sleep\", \"{words}\"]\ninstances = {}\n",
                2 + i32::from(odd)
            );
        }
        text
    };
    let rig = Rig::new(&file(false));
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut dice = |sides: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % sides as u64) as usize
    };
    for round in 0..50 {
        rig.project.write("mainstay.toml", &file(round % 2 == 0));
        let reload =
            rig.project.command(&["reload", "--at-once", "3"]).stdout(std::process::Stdio::null()).spawn();
        let mut reload = reload.unwrap();
        // Whoever is listed now, in the middle of it.
        let status = rig.project.status();
        let pids: Vec<i32> = status["services"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|service| !service["instance"].as_str().unwrap().starts_with("mainstay"))
            .filter_map(|service| i32::try_from(service["pid"].as_i64()?).ok())
            .filter(|pid| *pid > 0)
            .collect();
        for _ in 0..3 {
            let pid = pids[dice(pids.len())];
            // It may be gone already.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        }
        let code = reload.wait().unwrap().code();
        // A roll that one of ours killed says so with 1.
        assert!(matches!(code, Some(0 | 1)), "round {round}: {code:?}");
    }
    rig.project.write("mainstay.toml", &file(false));
    rig.ok(&["reload"]);
    rig.ok(&["restart", "--all"]);
    let status = rig.project.status();
    let mut services = status["services"].as_array().unwrap().clone();
    services.retain(|service| service["state"] != "stopped");
    let mut names: Vec<&str> = services.iter().map(|service| service["instance"].as_str().unwrap()).collect();
    names.retain(|name| !name.starts_with("mainstay."));
    let wanted: Vec<String> = (0..6).flat_map(|name| [1, 2].map(|n| format!("s{name}#{n}"))).collect();
    assert_eq!(names, wanted);
    let pids: HashSet<i32> =
        services.iter().map(|service| i32::try_from(service["pid"].as_i64().unwrap()).unwrap()).collect();
    assert_eq!(pids.len(), services.len(), "each has a process of its own: {status}");
    assert!(pids.iter().all(|pid| pidfd(*pid).is_some()), "each of them lives: {status}");
    let others: Vec<i32> = rig.project.processes().into_iter().filter(|pid| !pids.contains(pid)).collect();
    assert!(others.is_empty(), "nobody wants these: {others:?}");
    assert_eq!(rig.count(""), "12/12/0/12");
    rig.project.shutdown();
}
