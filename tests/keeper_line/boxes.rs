//! Black boxes: memory of one life, which it, the supervisor and the keeper have.

use crate::rig::{Rig, WEB};
use crate::support::Project;
use mainstay::sys::procfs::environment;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The file behind a descriptor of a process.
fn behind(pid: i32, descriptor: &str) -> Option<(u64, u64)> {
    let found = fs::metadata(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    Some((found.ino(), found.len()))
}

fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = environment(pid as u32).unwrap();
    let prefix = format!("{name}=");
    let found = environment.split(|byte| *byte == 0).find(|one| one.starts_with(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(&found[prefix.len()..]).into_owned())
}

pub fn fresh_for_each_life() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    let told = |line: String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let mut of_db = || {
        keeper.until(|line| line.starts_with("life 5 "));
        told(keeper.next())
    };
    let first = of_db();
    let pid = rig.project.pid("db");
    let number = variable(pid, "MAINSTAY_BLACKBOX_FD").unwrap();
    assert_eq!(behind(pid, &number), Some((first, 512 << 10)), "the very box that the keeper has");
    let path = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
    assert!(path.to_string_lossy().contains("memfd:mainstay.blackbox"), "{path:?}");
    let memory = fs::File::options().read(true).write(true).open(format!("/proc/{pid}/fd/{number}")).unwrap();
    assert!(memory.set_len(0).is_err() && memory.set_len(1 << 20).is_err(), "sealed");

    let supervisor = rig.project.supervisor();
    let descriptors = || fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().count();
    let before = descriptors();
    let (_, pid) = rig.project.kill_and_wait("db", "up");
    let line = keeper.next();
    assert!(line.starts_with("life 6 "), "{line}");
    let second = told(line);
    assert_ne!(first, second);
    assert_eq!(behind(pid, &number), Some((second, 512 << 10)));
    for _ in 0..20 {
        rig.project.kill_and_wait("db", "up");
    }
    // One for each instance, however often it died: what is kept of the dead goes when telemetry has drained it.
    while descriptors() > before {
        std::thread::yield_now();
    }
    // A built-in has none, and no other descriptors have moved.
    assert_eq!(variable(rig.project.pid("mainstay.logger"), "MAINSTAY_BLACKBOX_FD"), None);
    let pid = rig.project.pid("db");
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut open: Vec<String> = open.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    open.sort();
    assert_eq!(open, ["0", "1", &number, "2"]);
}

pub fn also_without_flags() {
    let project = Project::running("name = \"t\"\n[service.db]\ncommand = [\"sleep\", \"100000\"]\n");
    let pid = project.pid("db");
    let number = variable(pid, "MAINSTAY_BLACKBOX_FD").unwrap();
    assert_eq!(behind(pid, &number).unwrap().1, 512 << 10);
    assert_eq!(fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), 4);
}
