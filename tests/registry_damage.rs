//! The table of names deleted, cut, scribbled on, and used in the same instant; pids that are used again; no growth.

mod support;

use mainstay::registry::{self, Entry, Error, Happened, Names, Why};
use mainstay::sys::clock;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Project, gone, kill};

const IDLE: &str = "name = \"names\"\n[service.idle]\ncommand = [\"sleep\", \"100000\"]\n";
const WITHIN: Duration = Duration::from_secs(60);

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        let mut command = Command::new("sleep");
        Sleeper(command.arg("100000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tree with three names, each of a process of its own; and a reader that has the table mapped.
struct Rig {
    project: Project,
    names: Names,
    sleepers: Vec<Sleeper>,
    entries: Vec<Entry>,
}

impl Rig {
    fn new() -> Rig {
        let project = Project::running(IDLE);
        let names = Names::open_with(&project.path("run"), &project.path("state"));
        let sleepers: Vec<Sleeper> = (0..3).map(|_| Sleeper::start()).collect();
        let mut rig = Rig { project, names, sleepers, entries: Vec::new() };
        for (at, sleeper) in rig.sleepers.iter().enumerate() {
            let meta = BTreeMap::from([("at".to_owned(), at.to_string())]);
            rig.entries.push(rig.give(&format!("n{at}"), sleeper, meta));
        }
        rig.right("at first");
        rig
    }

    fn give(&self, name: &str, to: &Sleeper, meta: BTreeMap<String, String>) -> Entry {
        let process = registry::describe(to.0.id()).unwrap();
        self.names.register_process(name, process, meta, WITHIN).unwrap()
    }

    fn table(&self) -> PathBuf {
        self.project.path("run/registry")
    }

    fn kept(&self) -> PathBuf {
        self.project.path("run/.kept/registry")
    }

    /// Whoever has the table mapped, and whoever comes new, gets the right answers, whatever has just happened.
    #[track_caller]
    fn right(&self, when: &str) {
        let new = Names::open_with(&self.project.path("run"), &self.project.path("state"));
        for names in [&self.names, &new] {
            for entry in &self.entries {
                assert_eq!(names.pid(&entry.name), Some(entry.process.pid), "{when}");
                assert_eq!(names.lookup(&entry.name).unwrap().as_ref(), Some(entry), "{when}");
            }
            assert_eq!(names.lookup("nobody").unwrap(), None, "{when}");
            assert_eq!(names.list("n").unwrap(), self.entries, "{when}");
        }
    }

    /// Asks the registry itself, which looks at its table before it answers.
    fn mended(&self) {
        // A socket whose name was deleted is back in a moment.
        while let Err(Error::Unreachable(_)) = self.names.unregister("nobody", 0, WITHIN) {}
        let mut watch = self.names.watch("mending");
        while watch.next(Some(clock::now() + WITHIN)).unwrap() != Some(Happened::Here) {}
        let sleeper = Sleeper::start();
        let entry = self.give("mending", &sleeper, BTreeMap::new());
        self.names.unregister("mending", entry.ticket, WITHIN).unwrap();
    }

    fn remove(&self, path: &std::path::Path) {
        // It may be put back between any two of ours.
        if let Err(error) = fs::remove_file(path) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
}

#[test]
fn a_deleted_table_is_put_back_as_the_same_file_and_nobody_notices() {
    let rig = Rig::new();
    for round in 0..20 {
        let inode = fs::metadata(rig.kept()).unwrap().ino();
        rig.remove(&rig.table());
        rig.right(&format!("round {round}"));
        rig.mended();
        let repaired = || fs::metadata(rig.table()).map(|found| found.ino()).ok();
        // It is put back when the kernel tells of it; nobody had to wait for that.
        while repaired().is_none() {
            rig.mended();
        }
        assert_eq!(repaired(), Some(inode), "round {round}");
    }
    rig.project.shutdown();
}

#[test]
fn with_both_names_deleted_the_next_question_is_answered_and_a_new_table_stands() {
    let rig = Rig::new();
    for round in 0..20 {
        rig.remove(&rig.table());
        rig.remove(&rig.kept());
        rig.right(&format!("round {round}"));
        rig.mended();
    }
    rig.project.shutdown();
}

#[test]
fn a_truncated_table_kills_nobody_and_answers_rightly() {
    let rig = Rig::new();
    for round in 0..20u64 {
        File::options().write(true).open(rig.table()).unwrap().set_len(round * 300).unwrap();
        rig.right(&format!("round {round}"));
        rig.mended();
    }
    rig.project.shutdown();
}

#[test]
fn a_scribbled_table_never_answers_wrongly() {
    let rig = Rig::new();
    let mut seed = 7u64;
    let mut dice = |sides: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % sides
    };
    for round in 0..60 {
        let file = File::options().write(true).open(rig.table()).unwrap();
        let bytes = file.metadata().unwrap().len();
        match round % 3 {
            // Here and there.
            0 => (0..200).for_each(|_| {
                let (at, byte) = (dice(bytes), dice(256) as u8);
                file.write_all_at(&[byte], at).unwrap();
            }),
            // The header, the index and the first records.
            1 => file.write_all_at(&vec![0xff; 16 << 10], 0).unwrap(),
            _ => file.write_all_at(&vec![0; bytes as usize], 0).unwrap(),
        }
        drop(file);
        rig.right(&format!("round {round}"));
        rig.mended();
    }
    rig.project.shutdown();
}

#[test]
fn with_the_registry_killed_and_its_table_deleted_in_the_same_instant_nothing_is_lost() {
    let rig = Rig::new();
    for round in 0..20 {
        let cursor = rig.project.cursor();
        kill(rig.project.pid("mainstay.registry"), Signal::SIGKILL);
        rig.remove(&rig.table());
        rig.remove(&rig.kept());
        rig.right(&format!("round {round}"));
        let sleeper = Sleeper::start();
        let entry = rig.give("at-once", &sleeper, BTreeMap::new());
        assert_eq!(rig.names.pid("at-once"), Some(sleeper.0.id()), "round {round}");
        rig.names.unregister("at-once", entry.ticket, WITHIN).unwrap();
        rig.project.wait("mainstay.registry", "up", &cursor);
    }
    rig.project.shutdown();
}

#[test]
fn a_log_that_is_deleted_is_written_anew_or_the_table_is_believed() {
    let rig = Rig::new();
    let log = rig.project.path("state/registry");
    for round in 0..5 {
        fs::remove_file(&log).unwrap();
        match round % 2 {
            // The next change finds out.
            0 => rig.mended(),
            _ => drop(rig.project.kill_and_wait("mainstay.registry", "up")),
        }
        rig.mended();
        rig.project.kill_and_wait("mainstay.registry", "up");
        rig.right(&format!("round {round}"));
        assert!(log.exists());
    }
    rig.project.shutdown();
}

#[test]
fn a_wiped_runtime_directory_costs_no_name_and_asks_nobody_to_try_again() {
    let rig = Rig::new();
    for round in 0..10 {
        for entry in fs::read_dir(rig.project.path("run")).unwrap().flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        rig.right(&format!("round {round}"));
        rig.mended();
    }
    rig.project.shutdown();
}

#[test]
fn without_a_supervisor_names_are_still_found_and_the_dead_are_not() {
    let mut rig = Rig::new();
    let supervisor = rig.project.supervisor();
    let registry = rig.project.pid("mainstay.registry");
    kill(supervisor, Signal::SIGKILL);
    gone(supervisor);
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(registry), Signal::SIGKILL);
    gone(registry);
    rig.right("without anybody");
    // Not even a table: what the log says of those who live.
    rig.remove(&rig.table());
    rig.remove(&rig.kept());
    rig.sleepers.remove(1);
    let new = Names::open_with(&rig.project.path("run"), &rig.project.path("state"));
    let pids: Vec<Option<u32>> = rig.entries.iter().map(|entry| new.pid(&entry.name)).collect();
    let expected: Vec<Option<u32>> =
        (0..3).map(|at| (at != 1).then_some(rig.entries[at].process.pid)).collect();
    assert_eq!(pids, expected);
    let output = rig.project.mainstay(&["registry", "lookup", "n1"]);
    assert_eq!(output.code, 4, "{output:?}");
}

#[test]
fn in_twenty_rounds_neither_memory_nor_mappings_nor_descriptors_nor_files_grow() {
    let rig = Rig::new();
    let registry = rig.project.pid("mainstay.registry");
    let files = || {
        let of = |folder: &str| fs::read_dir(rig.project.path(folder)).unwrap().count();
        (of("run"), of("run/.kept"), of("state"))
    };
    let used = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        let memory: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines().count();
        (memory, maps, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
    };
    let mut watch = rig.names.watch("round-");
    // It connects at its first question: what goes before that is told to nobody.
    assert_eq!(watch.next(Some(clock::now() + WITHIN)).unwrap(), Some(Happened::Here));
    let round = |watch: &mut registry::Watch| {
        let sleepers: Vec<Sleeper> = (0..10).map(|_| Sleeper::start()).collect();
        for name in 0..50 {
            let meta = BTreeMap::from([("k".to_owned(), "x".repeat(1000))]);
            rig.give(&format!("round-{name}"), &sleepers[name % 10], meta);
        }
        drop(sleepers);
        let mut expected: BTreeSet<String> = (0..50).map(|name| format!("round-{name}")).collect();
        while !expected.is_empty() {
            match watch.next(Some(clock::now() + WITHIN)).unwrap() {
                Some(Happened::Gone(entry, Why::Died)) => drop(expected.remove(&entry.name)),
                Some(_) => {}
                None => panic!("nobody tells of the end of {expected:?}"),
            }
        }
        rig.right("after a round");
    };
    (0..4).for_each(|_| round(&mut watch));
    let (before, own_before, files_before) = (used(registry), used(std::process::id() as i32), files());
    (0..20).for_each(|_| round(&mut watch));
    let (after, own_after) = (used(registry), used(std::process::id() as i32));
    assert_eq!((after.2, files()), (before.2, files_before), "descriptors, files");
    // The kernel joins neighbours or does not, so one more or less says nothing; what stays behind would be one a round.
    assert!(after.1 < before.1 + 10, "mappings: {before:?} {after:?}");
    assert!(after.0 <= before.0 + 1024, "{before:?} {after:?}");
    assert!(own_after.0 <= own_before.0 + 1024, "{own_before:?} {own_after:?}");
    rig.project.shutdown();
}

/// In a pid namespace of its own, in which numbers are soon used again.
#[test]
fn a_pid_that_is_used_again_never_has_the_name_of_the_dead() {
    const INSIDE: &str = "MAINSTAY_TEST_SMALL_PIDS";
    let own = "a_pid_that_is_used_again_never_has_the_name_of_the_dead";
    if std::env::var_os(INSIDE).is_none() {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(6), Some(14)) {
            // There the limit is the whole host's; what proves a process is tested in the library as well.
            eprintln!(
                "pids that are used again were not tried: Linux {release} has no limit for a namespace"
            );
            return;
        }
        let script = "mount -t proc proc /proc && echo 420 >/proc/sys/kernel/pid_max && exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount",
            "--kill-child",
            "sh",
            "-c",
            script,
        ]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", own, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !text.contains("running 1 test") {
            // A host that gives no such namespace.
            eprintln!("no small namespace of pids here: {}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let rig = Rig::new();
    for round in 0..3 {
        // The kernel gives the first three hundred numbers only once.
        let mut victim = Sleeper::start();
        while victim.0.id() <= 300 {
            victim = Sleeper::start();
        }
        rig.give("victim", &victim, BTreeMap::new());
        let pid = victim.0.id();
        let registry = rig.project.pid("mainstay.registry");
        kill(registry, Signal::SIGSTOP);
        victim.0.kill().unwrap();
        victim.0.wait().unwrap();
        // Others, until one of them has its number.
        let mut others = Vec::new();
        while others.iter().all(|other: &Sleeper| other.0.id() != pid) {
            if others.len() == 50 {
                others.clear();
            }
            others.push(Sleeper::start());
        }
        if round % 2 == 0 {
            // The next life finds the name in its log, and another process under the number.
            let cursor = rig.project.cursor();
            kill(registry, Signal::SIGKILL);
            rig.project.wait("mainstay.registry", "up", &cursor);
        } else {
            kill(registry, Signal::SIGCONT);
        }
        let mut watch = rig.names.watch("");
        while watch.next(Some(clock::now() + WITHIN)).unwrap() != Some(Happened::Here) {}
        assert_eq!(rig.names.lookup("victim").unwrap(), None, "round {round}");
        // The number's new owner can have the name, and has it as itself.
        let heir = others.iter().find(|other| other.0.id() == pid).unwrap();
        let entry = rig.give("victim", heir, BTreeMap::new());
        assert_eq!((entry.process.pid, rig.names.pid("victim")), (pid, Some(pid)));
        rig.right("after the number was used again");
    }
    rig.project.shutdown();
}
