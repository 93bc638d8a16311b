//! A reload that changes what the keeper keeps.

use crate::rig::Rig;
use std::fs;

const PLAIN: &str = r#"
name = "t"
[service.web]
command = ["sleep", "100000"]
restart = { policy = "permanent", max = 100000, within = "1s" }
backoff = "none"
"#;

/// How many black boxes a process has.
fn boxes(pid: i32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let behind = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    behind.filter(|path| path.to_string_lossy().contains("memfd:mainstay.blackbox")).count()
}

pub fn what_is_declared() {
    let rig = Rig::new(PLAIN);
    let project = &rig.project;
    let mut run = rig.own(&["run", "-d", "--wait", "--timeout", "60s"]);
    assert!(run.status().unwrap().success());
    let first = project.pid("web");
    assert_eq!(boxes(first), 1);

    // A migration alone has a keeper, too.
    let flag = "[flag.one]\ndefault = false\n";
    let migration = "[migration.move]\n[[migration.move.stage]]\nname = \"first\"\non = [\"one\"]\n";
    project.write("mainstay.toml", &format!("{PLAIN}{flag}{migration}"));
    project.mainstay(&["reload"]).ok();
    let mut keeper = rig.next_life();
    let said = keeper.greeting();
    assert_eq!(said[1], "instance 3 web web", "{said:?}");
    assert!(said[2].starts_with("life 3 ") && !said[2].ends_with(" none"), "{said:?}");
    assert_eq!((project.pid("web"), boxes(first)), (first, 1), "and keeps its process");
    let (_, second) = project.kill_and_wait("web", "up");
    assert_eq!(boxes(second), 1, "from its next life on");
    let line = keeper.next();
    assert!(line.starts_with("life 3 ") && !line.ends_with(" none"), "{line}");

    // Whatever is declared otherwise, a keeper that begins anew reads it.
    let two = "[[migration.move.stage]]\nname = \"second\"\non = [\"two\"]\n[flag.two]\ndefault = false\n";
    for text in [format!("{migration}{two}"), format!("{migration}{two}[guard]\nmode = \"observe\"\n")] {
        project.write("mainstay.toml", &format!("{PLAIN}{flag}{text}"));
        project.mainstay(&["reload"]).ok();
        keeper = rig.next_life();
        keeper.greeting();
    }
    // Nothing at all is declared any more: who begins now has a box all the same.
    project.write("mainstay.toml", PLAIN);
    project.mainstay(&["reload"]).ok();
    let (_, third) = project.kill_and_wait("web", "up");
    assert_eq!(boxes(third), 1);
    drop(keeper);
}
