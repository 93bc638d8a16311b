//! Names for real processes: who vanishes, who stays, and who is told, whoever dies.

mod support;

use mainstay::ipc::registry::Process;
use mainstay::registry::{self, Error, Happened, Names, Watch, Why};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Command, Stdio};
use support::{Project, gone, kill};

const IDLE: &str = "name = \"names\"\n[service.idle]\ncommand = [\"sleep\", \"100000\"]\n";

/// A process of this test, which ends with it.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        let mut command = Command::new("sleep");
        Sleeper(command.arg("100000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn process(&self) -> Process {
        registry::describe(self.0.id()).unwrap()
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.kill();
    }
}

fn names(project: &Project) -> Names {
    Names::open_with(&project.path("run"), &project.path("state"))
}

fn give(names: &Names, name: &str, to: &Sleeper) -> registry::Entry {
    let meta = BTreeMap::from([("of".to_owned(), name.to_owned())]);
    names.register_process(name, to.process(), meta, WITHIN).unwrap()
}

const WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

fn listed(names: &Names, prefix: &str) -> Vec<String> {
    names.list(prefix).unwrap().into_iter().map(|entry| entry.name).collect()
}

/// The next thing that happens; nothing is awaited for longer than a minute.
#[track_caller]
fn next(watch: &mut Watch) -> Happened {
    let deadline = mainstay::sys::clock::now() + WITHIN;
    watch.next(Some(deadline)).unwrap().expect("something happens within a minute")
}

/// What a new watch tells first.
#[track_caller]
fn until_here(watch: &mut Watch) -> Vec<String> {
    let mut there = Vec::new();
    loop {
        match next(watch) {
            Happened::Added(entry) => there.push(entry.name),
            Happened::Here => return there,
            gone => panic!("{gone:?}"),
        }
    }
}

/// Waits until exactly these are gone, each because its process ended.
#[track_caller]
fn until_dead(watch: &mut Watch, mut expected: BTreeSet<String>) {
    while !expected.is_empty() {
        match next(watch) {
            Happened::Gone(entry, Why::Died) => assert!(expected.remove(&entry.name), "{}", entry.name),
            other => panic!("{other:?}, while these should vanish: {expected:?}"),
        }
    }
}

fn state(project: &Project) -> String {
    let status = project.status();
    let all = status["services"].as_array().unwrap().iter();
    let found = all.clone().find(|one| one["instance"] == "mainstay.registry").cloned();
    found.unwrap()["state"].as_str().unwrap().to_owned()
}

#[test]
fn it_sleeps_until_somebody_asks_and_sleeps_again_when_it_is_stopped() {
    let project = Project::running(IDLE);
    assert_eq!(state(&project), "stopped");
    assert_eq!(project.mainstay(&["status"]).code, 0);
    let pid = project.mainstay(&["pid", "mainstay.registry"]);
    assert!(pid.code == 3 && pid.stderr.contains("it is stopped"), "{pid:?}");
    assert!(!project.path("run/registry").exists(), "nothing is made before it is needed");
    let names = names(&project);
    assert_eq!(names.lookup("nobody").unwrap(), None);
    assert_eq!(state(&project), "up");
    for _ in 0..3 {
        project.mainstay(&["stop", "mainstay.registry"]).ok();
        project.wait("mainstay.registry", "stopped", "0");
        let sleeper = Sleeper::start();
        let entry = give(&names, "woken", &sleeper);
        assert_eq!(names.pid("woken"), Some(entry.process.pid));
        assert_eq!(state(&project), "up");
        names.unregister("woken", entry.ticket, WITHIN).unwrap();
    }
    project.shutdown();
}

#[test]
fn of_twenty_registered_processes_exactly_the_ten_that_are_killed_vanish() {
    let project = Project::running(IDLE);
    let names = names(&project);
    let mut sleepers: Vec<Sleeper> = (0..20).map(|_| Sleeper::start()).collect();
    for (at, sleeper) in sleepers.iter().enumerate() {
        give(&names, &format!("n{at:02}"), sleeper);
    }
    let mut watch = names.watch("");
    assert_eq!(until_here(&mut watch).len(), 20);
    sleepers.iter_mut().step_by(2).for_each(Sleeper::kill);
    until_dead(&mut watch, (0..20).step_by(2).map(|at| format!("n{at:02}")).collect());
    let left: Vec<String> = (1..20).step_by(2).map(|at| format!("n{at:02}")).collect();
    assert_eq!(listed(&names, ""), left);
    for (at, sleeper) in sleepers.iter().enumerate() {
        let expected = (at % 2 == 1).then_some(sleeper.0.id());
        assert_eq!(names.pid(&format!("n{at:02}")), expected, "{at}");
    }
    project.shutdown();
}

#[test]
fn a_hundred_short_lived_registrants_leave_nothing_behind() {
    let project = Project::running(IDLE);
    let names = names(&project);
    let mut watch = names.watch("short-");
    assert_eq!(until_here(&mut watch), [""; 0]);
    let (mut came, mut went) = (BTreeSet::new(), BTreeSet::new());
    for at in 0..100 {
        let mut sleeper = Sleeper::start();
        give(&names, &format!("short-{at}"), &sleeper);
        sleeper.kill();
    }
    while went.len() < 100 {
        match next(&mut watch) {
            Happened::Added(entry) => assert!(came.insert(entry.name)),
            Happened::Gone(entry, Why::Died) => {
                assert!(came.contains(&entry.name) && went.insert(entry.name))
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((listed(&names, ""), came), (Vec::new(), went));
    project.shutdown();
}

#[test]
fn a_name_is_refused_while_its_holder_lives_and_free_when_it_is_dead_or_has_given_it_back() {
    let project = Project::running(IDLE);
    let names = names(&project);
    let (mut first, second) = (Sleeper::start(), Sleeper::start());
    give(&names, "orders", &first);
    let refused = names.register_process("orders", second.process(), BTreeMap::new(), WITHIN).unwrap_err();
    let Error::Refused(refusal) = refused else { panic!("{refused}") };
    assert!(refusal.message.contains(&format!("pid {}", first.0.id())), "{refusal:?}");
    let dead = first.process();
    first.kill();
    // At once: the death itself may not have been told yet.
    give(&names, "orders", &second);
    assert_eq!(names.pid("orders"), Some(second.0.id()));
    let of_the_dead = names.register_process("of-the-dead", dead, BTreeMap::new(), WITHIN).unwrap_err();
    assert!(matches!(of_the_dead, Error::Refused(refusal) if refusal.code == 4));
    // Our own, until the guard is dropped.
    let mine = names.register("mine", &[("port", "80")]).unwrap();
    assert_eq!(names.pid("mine"), Some(std::process::id()));
    assert_eq!(names.lookup("mine").unwrap().unwrap().meta["port"], "80");
    let again = names.register("mine", &[("port", "81")]).unwrap();
    drop(mine);
    assert_eq!(names.lookup("mine").unwrap().unwrap().meta["port"], "81", "the older guard is another's");
    drop(again);
    assert_eq!(names.lookup("mine").unwrap(), None);
    project.shutdown();
}

#[test]
fn the_registry_may_be_killed_any_number_of_times_and_no_name_is_lost_or_lives_on() {
    let project = Project::running(IDLE);
    let names = names(&project);
    let mut sleepers: Vec<Sleeper> = (0..5).map(|_| Sleeper::start()).collect();
    for (at, sleeper) in sleepers.iter().enumerate() {
        give(&names, &format!("n{at}"), sleeper);
    }
    let mut watch = names.watch("");
    until_here(&mut watch);
    for (at, sleeper) in sleepers.iter_mut().enumerate() {
        let registry = project.pid("mainstay.registry");
        kill(registry, Signal::SIGSTOP);
        // It dies while nobody can hear of it: the next life finds out.
        sleeper.kill();
        kill(registry, Signal::SIGKILL);
        gone(registry);
        // Used in the same instant.
        assert_eq!(names.pid(&format!("n{}", (at + 1) % 5)).is_some(), at < 4);
        until_dead(&mut watch, BTreeSet::from([format!("n{at}")]));
        let left: Vec<String> = (at + 1..5).map(|at| format!("n{at}")).collect();
        assert_eq!(listed(&names, ""), left);
    }
    project.shutdown();
}

#[test]
fn what_was_acknowledged_under_load_is_there_although_the_registry_is_killed_again_and_again() {
    const KILLS: usize = 20;
    const THREADS: usize = 4;
    let project = Project::running(IDLE);
    let names = names(&project);
    let sleepers: Vec<Sleeper> = (0..THREADS).map(|_| Sleeper::start()).collect();
    give(&names, "first", &sleepers[0]);
    let over = std::sync::atomic::AtomicBool::new(false);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (sleeper, over) = (&sleepers[worker], &over);
                // Its own reader, as another process has.
                let names = self::names(&project);
                scope.spawn(move || {
                    let mut round = 0;
                    while !over.load(std::sync::atomic::Ordering::Relaxed) || round < 10 {
                        let name = format!("w{worker}-{}", round % 7);
                        let entry = give(&names, &name, sleeper);
                        assert_eq!(names.lookup(&name).unwrap(), Some(entry.clone()), "round {round}");
                        if round % 2 == 0 {
                            match names.unregister(&name, entry.ticket, WITHIN) {
                                Ok(_) => {}
                                // Done by a life that died before it could say so.
                                Err(Error::Refused(refusal)) => assert_eq!(refusal.code, 4),
                                Err(error) => panic!("{error}"),
                            }
                            assert_eq!(names.lookup(&name).unwrap(), None, "round {round}");
                        }
                        round += 1;
                    }
                    round
                })
            })
            .collect();
        for _ in 0..KILLS {
            project.kill_and_wait("mainstay.registry", "up");
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    assert_eq!(names.pid("first"), Some(sleepers[0].0.id()));
    project.shutdown();
}

/// As any program does that knows nothing of Rust: a socket, a line of JSON.
const CALLED: &str = r#"
import json, os, socket
runtime = os.environ["MAINSTAY_RUNTIME_DIR"]
path = os.path.join(os.environ["FOLDER"], "called-%d" % os.getpid())
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
ask = socket.socket(socket.AF_UNIX)
ask.connect(os.path.join(runtime, "control/registry"))
ask.sendall(json.dumps({"request": "register", "name": "called", "meta": {"socket": path}}).encode() + b"\n")
assert json.loads(ask.makefile().readline())["reply"] == "entry"
while True:
    client, _ = server.accept()
    client.sendall(b"%d" % os.getpid())
    client.close()
"#;

#[test]
fn a_registered_service_is_looked_up_and_called_through_its_restarts() {
    use std::io::Read;
    let project = Project::new("");
    project.write("called.py", CALLED);
    let folder = project.folder().display().to_string();
    let file = format!(
        "name = \"names\"\n[service.called]\ncommand = [\"python3\", \"called.py\"]\nbackoff = \"none\"\n\
         restart = {{ policy = \"permanent\", max = 1000, within = \"1s\" }}\nenv = {{ FOLDER = \"{folder}\" }}\n"
    );
    project.write("mainstay.toml", &file);
    project.start();
    let names = names(&project);
    let mut watch = names.watch("called");
    let mut last = 0;
    for round in 0..10 {
        let entry = loop {
            match next(&mut watch) {
                Happened::Added(entry) => break entry,
                Happened::Gone(entry, Why::Died) => assert_eq!(entry.process.pid, last),
                Happened::Here => {}
                other => panic!("{other:?}"),
            }
        };
        assert_ne!(entry.process.pid, last);
        assert_eq!(entry.instance, "called");
        assert_eq!(names.lookup("called").unwrap(), Some(entry.clone()), "round {round}");
        let mut said = String::new();
        let mut call = std::os::unix::net::UnixStream::connect(&entry.meta["socket"]).unwrap();
        call.read_to_string(&mut said).unwrap();
        assert_eq!(said, entry.process.pid.to_string());
        last = entry.process.pid;
        kill(i32::try_from(last).unwrap(), Signal::SIGKILL);
    }
    project.shutdown();
}

#[test]
fn many_processes_register_and_look_up_at_the_same_time() {
    const EACH: usize = 40;
    let project = Project::running(IDLE);
    let script = format!(
        "for i in $(seq {EACH}); do \"$1\" registry register p$2-$i --pid $$ --meta i=$i || exit 1; \
         test \"$(\"$1\" registry lookup p$2-$i)\" = $$ || exit 2; done; echo done; exec sleep 100000"
    );
    let mut processes: Vec<Sleeper> = (0..8)
        .map(|process| {
            // The project's variables, for a shell.
            let mainstay = project.command(&[]);
            let mut command = Command::new("sh");
            command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_mainstay"), &process.to_string()]);
            command
                .current_dir(project.folder())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            for (key, value) in mainstay.get_envs() {
                match value {
                    Some(value) => command.env(key, value),
                    None => command.env_remove(key),
                };
            }
            Sleeper(command.spawn().unwrap())
        })
        .collect();
    for process in &mut processes {
        use std::io::{BufRead, BufReader};
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
    let names = names(&project);
    assert_eq!(listed(&names, "").len(), 8 * EACH);
    for (number, process) in processes.iter().enumerate() {
        let own = names.list(&format!("p{number}-")).unwrap();
        assert_eq!(own.len(), EACH);
        assert!(own.iter().all(|entry| entry.process.pid == process.0.id()));
    }
    let mut watch = names.watch("");
    assert_eq!(until_here(&mut watch).len(), 8 * EACH);
    processes[3].kill();
    until_dead(&mut watch, (1..=EACH).map(|at| format!("p3-{at}")).collect());
    project.shutdown();
}

#[test]
fn the_supervisor_is_not_woken_by_what_the_registry_does() {
    let project = Project::running(IDLE);
    let names = names(&project);
    let sleeper = Sleeper::start();
    give(&names, "first", &sleeper);
    let supervisor = project.supervisor();
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();

        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
    };
    // What the first use and our own questions led to is over when it answers.
    project.mainstay(&["cursor"]).ok();
    let before = switches();
    for at in 0..50 {
        let entry = give(&names, &format!("n{at}"), &sleeper);
        names.unregister(&entry.name, 0, WITHIN).unwrap();
    }
    assert_eq!(switches(), before);
    project.shutdown();
}
