//! What is left of a life that died: real services, real deaths, and what `crash` and `why` make of them.

mod support;

use mainstay::sys::procfs::environment;
use mainstay::{context, event, span};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use support::{Project, Small, gone, kill, outcome};

/// The variable that makes a test of this program a service.
const SERVICE: &str = "CRASH_TEST_SERVICE";

/// A service that runs the test `name` of this program.
fn service(name: &str, more: &str) -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "name = \"left\"\n[service.web]\ncommand = [{program:?}, {name:?}, \"--exact\", \"--nocapture\"]\n\
         env = {{ {SERVICE} = 1 }}\nready = {{ output = \"at work\" }}\n{more}\n"
    )
}

fn is_service() -> bool {
    std::env::var_os(SERVICE).is_some()
}

/// Says that it is ready, and waits to be killed.
fn wait_for_death() -> ! {
    println!("\nat work");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// The records, newest first.
fn records(project: &Project) -> Vec<Value> {
    let text = project.mainstay(&["crash", "list", "--json"]).ok();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The newest record, when there are so many: they are written while everybody goes on.
fn newest(project: &Project, count: usize) -> Value {
    for _ in 0..10_000 {
        let all = records(project);
        if all.len() >= count {
            return all[0].clone();
        }
    }
    panic!("there are no {count} crash records");
}

#[test]
fn a_process_that_is_killed_with_open_spans_leaves_them_and_what_it_was_about() {
    if is_service() {
        context::set("order", "A-1042");
        context::breadcrumb("cart loaded");
        let _operation = context::operation("POST /checkout");
        let outer = span!("charge card", amount = 4990);
        let _inner = span!("POST payments");
        outer.attribute("attempt", 2);
        event!("payment retried", attempt = 2);
        wait_for_death();
    }
    let name = "a_process_that_is_killed_with_open_spans_leaves_them_and_what_it_was_about";
    let project = Project::running(&service(name, ""));
    project.kill_and_wait("web", "ready");
    let record = newest(&project, 1);
    assert_eq!(record["blackbox"], "here", "{record}");
    let spans = record["doing"].as_array().unwrap();
    let named: Vec<_> =
        spans.iter().map(|span| (span["name"].as_str().unwrap(), span["depth"].as_u64().unwrap())).collect();
    assert_eq!(named, [("charge card", 0), ("POST payments", 1)], "{record}");
    assert_eq!(spans[0]["attributes"]["attempt"], "2");
    assert_eq!(spans[1]["parent"], spans[0]["span"]);
    let at =
        record["context"].as_array().unwrap().iter().find(|one| one["keys"]["order"] == "A-1042").unwrap();
    assert_eq!(at["operation"]["name"], "POST /checkout");
    assert_eq!(at["breadcrumbs"][0]["text"], "cart loaded");
    assert_eq!(record["events"][0]["name"], "payment retried");
    let shown = project.mainstay(&["crash", "show", "web"]).ok();
    for part in
        ["POST /checkout", "charge card", "POST payments", "<- here", "order=A-1042", "payment retried"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    project.shutdown();
}

#[test]
fn a_panic_is_told_with_its_place_and_equal_panics_have_one_fingerprint() {
    if is_service() {
        mainstay::panic::install();
        println!("\nat work");
        let cart: Vec<u32> = Vec::new();
        let index = std::env::args().count() + 9;
        context::with([("order", "A-7")], || {
            let _span = span!("price");
            std::process::exit(cart[index] as i32);
        });
    }
    let name = "a_panic_is_told_with_its_place_and_equal_panics_have_one_fingerprint";
    let policy = "restart = { policy = \"permanent\", max = 2, within = \"1m\" }\nbackoff = \"none\"";
    let project = Project::new(&service(name, policy));
    project.mainstay(&["run", "-d"]).ok();
    project.wait("web", "gave_up", "0");
    let record = newest(&project, 3);
    let error = &record["context"][0]["error"];
    assert_eq!(error["panic"], true, "{record}");
    assert!(error["text"].as_str().unwrap().contains("the len is 0 but the index is"), "{error}");
    assert!(error["place"].as_str().unwrap().starts_with("tests/crash.rs:"), "{error}");
    assert_eq!(
        record["context"][0]["keys"]["order"], "A-7",
        "what unwinding put back is seen as it was: {record}"
    );
    assert_eq!(
        (&record["doing"][0]["name"], &record["doing"][0]["unwound"]),
        (&"price".into(), &true.into()),
        "{record}"
    );
    let all = records(&project);
    let digits = all[0]["fingerprint"].as_str().unwrap();
    assert!(all.iter().all(|one| one["fingerprint"] == digits), "{all:?}");
    let shown = project.mainstay(&["crash", "show", "web"]).ok();
    assert!(shown.contains(&format!("like it   c-1, c-2  (fingerprint {digits}, 3 in")), "{shown}");
    let why = project.mainstay(&["why", "web"]).ok();
    assert!(why.contains(&format!("Same cause each time (fingerprint {digits}).")), "{why}");
    project.shutdown();
}

#[test]
fn flags_that_it_has_read_are_told_with_what_it_saw() {
    if is_service() {
        let runtime = PathBuf::from(std::env::var_os("MAINSTAY_RUNTIME_DIR").unwrap());
        let board = mainstay::board::Board::open(&runtime);
        let flag = board.flag("new-checkout");
        println!("{}", flag.is_on());
        wait_for_death();
    }
    let name = "flags_that_it_has_read_are_told_with_what_it_saw";
    let project =
        Project::running(&service(name, "[flag.new-checkout]\ndefault = true\n[flag.other]\ndefault = true"));
    project.kill_and_wait("web", "ready");
    let record = newest(&project, 1);
    let flags = record["flags"].as_array().unwrap();
    assert_eq!(flags.len(), 1, "it has read one: {record}");
    assert_eq!((flags[0]["name"].as_str(), flags[0]["value"].as_str()), (Some("new-checkout"), Some("true")));
    project.shutdown();
}

#[test]
fn a_reload_shortly_before_is_told_with_the_keys_of_the_service_that_died() {
    let file = |host: &str| {
        format!(
            "name = \"moved\"\n[service.worker]\ncommand = \"sh -c 'test $DB_HOST = good && exec sleep 100000; echo database \
             unreachable >&2; exit 3'\"\nenv = {{ DB_HOST = \"{host}\" }}\nrestart = {{ max = 2, within = \"30s\" }}\n\
             backoff = \"none\"\n[service.web]\ncommand = \"sleep 100000\"\n"
        )
    };
    let project = Project::running(&file("good"));
    let cursor = project.cursor();
    project.write("mainstay.toml", &file("bad"));
    project.mainstay(&["reload", "--no-wait"]).ok();
    project.wait("worker", "gave_up", &cursor);
    let record = newest(&project, 3);
    let changed = &record["changed"][0];
    assert_eq!(
        (changed["kind"].as_str(), changed["keys"][0].as_str()),
        (Some("reload"), Some("worker.env.DB_HOST"))
    );
    let shown = project.mainstay(&["crash", "show", "worker"]).ok();
    assert!(
        shown.contains("changed   config reload  ") && shown.contains("before  worker.env.DB_HOST"),
        "{shown}"
    );
    let why = project.mainstay(&["why", "worker"]).ok();
    assert!(
        why.contains("Last words: \"database unreachable\". Same cause each time (fingerprint "),
        "{why}"
    );
    assert!(
        why.contains("Changed shortly before: config reload at ") && why.contains("(worker.env.DB_HOST)."),
        "{why}"
    );
    // The next logger knows of it, too.
    project.kill_and_wait("mainstay.logger", "up");
    let cursor = project.cursor();
    project.mainstay(&["start", "worker"]);
    project.wait("worker", "gave_up", &cursor);
    assert_eq!(newest(&project, 4)["changed"][0]["keys"][0], "worker.env.DB_HOST");
    project.shutdown();
}

#[test]
fn a_death_while_the_disk_is_full_is_counted_and_told() {
    let project = Project::new("name = \"full\"\n[service.one]\ncommand = [\"sleep\", \"100000\"]\n");
    let small = Small::new(project.path("state"), "1m");
    project.start();
    small.fill();
    let mut follower = project.command(&["events", "-f", "--json"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut news = BufReader::new(follower.stdout.take().unwrap()).lines();
    project.kill_and_wait("one", "up");
    let told = news.find(|line| line.as_ref().unwrap().contains("cannot write a crash record"));
    assert!(told.is_some(), "a warning tells of it");
    follower.kill().unwrap();
    follower.wait().unwrap();
    let counted = || project.status()["crashes_unwritten"].as_u64().unwrap();
    while counted() == 0 {}
    assert_eq!(counted(), 1);
    let status = project.mainstay(&["status"]);
    assert!(status.stdout.contains("1 crash record could not be written"), "{status:?}");
    let list = project.mainstay(&["crash", "list"]);
    assert!(list.stderr.contains("1 crash record could not be written: see"), "while it is full: {list:?}");
    small.empty();
    project.kill_and_wait("one", "up");
    assert_eq!(newest(&project, 1)["id"], "c-2");
    let list = project.mainstay(&["crash", "list"]);
    assert_eq!(list.stdout.lines().count(), 1, "{list:?}");
    assert!(list.stderr.contains("1 crash record could not be written, c-1 among them"), "{list:?}");
    assert_eq!(project.mainstay(&["crash", "show", "c-1"]).code, 4);
    project.shutdown();
}

#[test]
fn a_life_that_said_nothing_is_not_told_with_what_the_one_before_said() {
    let project = Project::new("");
    let (program, once) = (env!("CARGO_BIN_EXE_mainstay"), project.path("once"));
    let once = once.display();
    let script = format!("test -e {once} || {{ : >{once}; {program} note order=A-1042; exit 3; }}; exit 4");
    // Nobody but the logger keeps the box of the first, and it lets go of it: the second life gets its place.
    project.write(
        "mainstay.toml",
        &format!(
            "name = \"said\"\n[telemetry]\nenabled = false\n[service.web]\nautostart = false\n\
             restart = {{ policy = \"temporary\" }}\ncommand = [\"sh\", \"-c\", {script:?}]\n"
        ),
    );
    project.start();
    project.mainstay(&["start", "web"]);
    let first = newest(&project, 1);
    project.mainstay(&["start", "web"]);
    let second = newest(&project, 2);
    assert_eq!((&first["code"], &second["code"]), (&3.into(), &4.into()));
    assert!(first["blackbox"] == "here" && first.to_string().contains("A-1042"), "{first}");
    assert!(second["blackbox"] == "untouched" && !second.to_string().contains("A-1042"), "{second}");
    project.shutdown();
}

#[test]
fn a_supervisor_that_is_killed_has_its_numbers_of_crashes_continued() {
    let project = Project::running("name = \"on\"\n[service.one]\ncommand = [\"sleep\", \"100000\"]\n");
    // The first was told to everybody, and nobody has recorded it.
    let (supervisor, logger) = (project.supervisor(), project.pid("mainstay.logger"));
    kill(logger, Signal::SIGSTOP);
    project.kill_and_wait("one", "up");
    kill(supervisor, Signal::SIGKILL);
    kill(logger, Signal::SIGKILL);
    gone(supervisor);
    project.start();
    project.kill_and_wait("one", "up");
    assert_eq!(newest(&project, 1)["id"], "c-2");
    project.shutdown();
}

#[test]
fn a_death_that_a_logger_had_not_heard_of_when_it_was_killed_is_recorded_by_the_next() {
    let project = Project::running("name = \"on\"\n[service.one]\ncommand = [\"sleep\", \"100000\"]\n");
    let logger = project.pid("mainstay.logger");
    kill(logger, Signal::SIGSTOP);
    project.kill_and_wait("one", "up");
    kill(logger, Signal::SIGKILL);
    // The logger's own is one, too.
    newest(&project, 2);
    let all = records(&project);
    let mut instances: Vec<_> = all.iter().map(|record| record["instance"].as_str().unwrap()).collect();
    instances.sort_unstable();
    assert_eq!(instances, ["mainstay.logger", "one"]);
    project.shutdown();
}

#[test]
fn a_start_that_failed_says_nothing_of_the_life_before() {
    let project = Project::new("");
    let shell = project.path("shell");
    std::os::unix::fs::symlink("/bin/sh", &shell).unwrap();
    let command = format!("command = [{shell:?}, \"-c\", \"echo words; rm {}; exit 3\"]", shell.display());
    let policy = "restart = { policy = \"permanent\", max = 1, within = \"1h\" }\nbackoff = \"none\"";
    project.write(
        "mainstay.toml",
        &format!("name = \"once\"\n[service.once]\nautostart = false\n{policy}\n{command}\n"),
    );
    project.start();
    let cursor = project.cursor();
    // It says that the first life has failed, as it has to.
    project.mainstay(&["start", "once"]);
    project.wait("once", "gave_up", &cursor);
    newest(&project, 2);
    let [failed, died] = &records(&project)[..] else { panic!() };
    assert_eq!((&died["code"], &failed["code"], &failed["pid"]), (&3.into(), &Value::Null, &0.into()));
    assert!(died["used"]["memory_max"].as_u64().unwrap() > 0, "{died}");
    let used = failed["used"].as_object().unwrap();
    assert!(used.values().all(|value| value == 0), "{failed}");
    assert_eq!((&failed["lived_ns"], failed["words"].as_array().unwrap().len()), (&0.into(), 0), "{failed}");
    project.shutdown();
}

/// So many boxes of the dead are kept until telemetry is there.
const FOR_TELEMETRY: usize = 64;

/// Instances that write something into their boxes, whatever it is, and go on.
fn scribblers(count: u32) -> String {
    format!(
        "name = \"many\"\n[defaults]\nrestart = {{ policy = \"permanent\", max = 100000, within = \"1s\" }}\nbackoff = \"none\"\n\
         [service.many]\ninstances = {count}\nready = {{ output = \"scribbled\", within = \"5m\" }}\n\
         command = [\"sh\", \"-c\", \"test -n \\\"$MAINSTAY_BLACKBOX_FD\\\" && printf x | dd of=/proc/self/fd/15 bs=1 seek=65536 \
         conv=notrunc 2>/dev/null; echo scribbled; exec sleep 100000\"]\n"
    )
}

#[test]
fn boxes_of_the_dead_are_kept_until_they_are_recorded_and_not_more_than_256() {
    const COUNT: u32 = 330;
    let project = Project::running(&scribblers(COUNT));
    let logger = project.pid("mainstay.logger");
    let cursor = project.cursor();
    kill(logger, Signal::SIGSTOP);
    project.mainstay(&["kill", "--signal", "KILL", "many"]).ok();
    project.wait("many", "starting", &cursor);
    let supervisor = project.supervisor();
    let boxes = || {
        let open = fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().flatten();
        let target = |entry: fs::DirEntry| fs::read_link(entry.path()).unwrap_or_default();
        open.map(target).filter(|target| target.to_string_lossy().contains("mainstay.blackbox")).count()
    };
    assert_eq!(
        boxes(),
        COUNT as usize + 1 + 256 + FOR_TELEMETRY,
        "those of the living, a spare one, those of the first of the dead, and of the last for telemetry"
    );
    kill(logger, Signal::SIGCONT);
    project.wait("many", "ready", &cursor);
    newest(&project, COUNT as usize);
    let all = records(&project);
    let with = |fate: &str| all.iter().filter(|record| record["blackbox"] == fate).count();
    assert_eq!((with("here"), with("let_go")), (256, COUNT as usize - 256));
    let newest = project.mainstay(&["crash", "show", &format!("c-{COUNT}")]).ok();
    assert!(newest.contains("let go: too many died at once"), "{newest}");
    while boxes() > COUNT as usize + 1 + FOR_TELEMETRY {}
    project.shutdown();
}

#[test]
fn lives_that_nobody_had_read_when_the_next_one_wrote_are_told_apart() {
    const LIVES: usize = 20;
    let project = Project::running(&format!(
        "name = \"loop\"\n[service.web]\nautostart = false\nbackoff = \"none\"\nready = {{ output = \"never\", within = \"5m\" }}\n\
         restart = {{ policy = \"permanent\", max = {}, within = \"1h\" }}\n\
         command = [\"sh\", \"-c\", \"echo I am $MAINSTAY_INCARNATION; echo and say so >&2; printf half; exit 3\"]\n",
        LIVES - 1
    ));
    let logger = project.pid("mainstay.logger");
    let cursor = project.cursor();
    kill(logger, Signal::SIGSTOP);
    // It says that the first life has failed, as it has to.
    project.mainstay(&["start", "web"]);
    project.wait("web", "gave_up", &cursor);
    kill(logger, Signal::SIGCONT);
    newest(&project, LIVES);
    for record in records(&project) {
        let mut words: Vec<&str> =
            record["words"].as_array().unwrap().iter().map(|word| word["text"].as_str().unwrap()).collect();
        words.sort_unstable();
        assert_eq!(
            words,
            [&*format!("I am {}", record["incarnation"]), "and say so", "half"],
            "{}",
            project.read("log/web.log")
        );
    }
    project.shutdown();
}

#[test]
fn hundreds_of_deaths_at_once_with_boxes_exhaust_no_descriptors() {
    const COUNT: usize = 400;
    // What they need, wherever control groups are, and boxes for a part of them.
    const LIMIT: usize = 320 + 4 * COUNT + 320 + 100;
    let project = Project::new(&scribblers(COUNT as u32));
    let script =
        format!("ulimit -n {LIMIT}; exec {} run -d --wait --timeout 5m", env!("CARGO_BIN_EXE_mainstay"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(project.folder()).stdin(Stdio::null());
    for (name, directory) in
        [("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log")]
    {
        shell.env(name, project.path(directory));
    }
    outcome(&mut shell).ok();
    let supervisor = project.supervisor();
    let open = |what: &str| {
        let all = fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().flatten();
        let target = |entry: fs::DirEntry| fs::read_link(entry.path()).unwrap_or_default();
        all.map(target).filter(|target| target.to_string_lossy().contains(what)).count()
    };
    let check = || {
        let (all, boxes) = (open(""), open("mainstay.blackbox"));
        assert!(all < LIMIT, "{all} of {LIMIT}");
        assert!(boxes > 0 && (!grouped(&open) || boxes <= 100 + 1 + 256 + FOR_TELEMETRY), "{boxes} boxes");
    };
    fn grouped(open: &dyn Fn(&str) -> usize) -> bool {
        open("/mainstay.many.") >= COUNT
    }
    check();
    let cursor = project.cursor();
    project.mainstay(&["kill", "--signal", "KILL", "many"]).ok();
    let after = ["--after", &cursor, "--timeout", "5m"];
    project.mainstay(&[&["wait", "many", "--state", "ready"], &after[..]].concat()).ok();
    check();
    let log = project.read("log/mainstay.log");
    assert_eq!(log.matches("descriptors are short").count(), usize::from(grouped(&open)), "said once");
    assert!(!log.contains("Too many open files"), "{log}");
    project.shutdown();
}

#[test]
fn a_service_that_wants_no_box_has_none_from_its_next_life_on() {
    let file = |wants: bool| {
        format!("name = \"plain\"\n[service.one]\ncommand = [\"sleep\", \"100000\"]\nblackbox = {wants}\n")
    };
    let project = Project::running(&file(true));
    let has_one = || {
        let pid = project.pid("one");
        let environment = environment(pid as u32).unwrap();
        let told = String::from_utf8_lossy(&environment).contains("MAINSTAY_BLACKBOX_FD=");
        let there = fs::read_link(format!("/proc/{pid}/fd/15")).is_ok();
        assert_eq!(told, there);
        there
    };
    assert!(has_one());
    project.write("mainstay.toml", &file(false));
    assert!(project.mainstay(&["reload"]).ok().contains("1 in place"));
    assert!(has_one(), "until it dies");
    project.kill_and_wait("one", "up");
    assert!(!has_one());
    assert_eq!(newest(&project, 1)["blackbox"], "untouched", "that life had one");
    project.kill_and_wait("one", "up");
    assert_eq!(newest(&project, 2)["blackbox"], "none");
    assert!(project.mainstay(&["crash", "show", "one"]).ok().contains("blackbox  none"));
    project.shutdown();
}

#[test]
fn what_is_pruned_under_a_running_tree_stays_away_and_numbers_go_on() {
    let project = Project::running("name = \"pruned\"\n[service.one]\ncommand = [\"sleep\", \"100000\"]\n");
    project.kill_and_wait("one", "up");
    newest(&project, 1);
    assert_eq!(project.mainstay(&["crash", "prune", "c-1"]).ok(), "threw away 1 crash, 0 left\n");
    assert_eq!(project.mainstay(&["crash", "show", "c-1"]).code, 4);
    project.kill_and_wait("one", "up");
    let left = newest(&project, 1);
    assert_eq!(left["id"], "c-2");
    assert!(
        !project.read("state/crashes.jsonl").contains("\"id\":\"c-1\""),
        "nothing is left of it in the file"
    );
    project.shutdown();
    let project_again = project;
    assert_eq!(project_again.mainstay(&["crash", "prune", "--all", "--json"]).code, 0);
    let number = left["number"].as_u64().unwrap();
    project_again.start();
    project_again.kill_and_wait("one", "up");
    assert!(newest(&project_again, 1)["number"].as_u64().unwrap() > number, "a number is never used twice");
    project_again.shutdown();
}

/// A service that is a shell script, which links nothing.
fn script(script: &str) -> String {
    let script = script.replace("mainstay", env!("CARGO_BIN_EXE_mainstay"));
    format!(
        "name = \"script\"\n[service.job]\ncommand = [\"sh\", \"-c\", {script:?}]\nready = {{ output = \"inside\" }}\n"
    )
}

#[test]
fn a_script_that_links_nothing_notes_what_it_does_and_runs_commands_as_spans() {
    let project = Project::running(&script(
        "mainstay note order=A-1042 step=1; mainstay note step=2; mainstay span import --attr file=a.csv -- \
         mainstay span parse -- sh -c 'echo inside $TRACEPARENT; exec sleep 100000'",
    ));
    project.kill_and_wait("job", "ready");
    let record = newest(&project, 1);
    let keys = &record["context"].as_array().unwrap().iter().find(|one| one["process"] == 0).unwrap()["keys"];
    assert_eq!((keys["order"].as_str(), keys["step"].as_str()), (Some("A-1042"), Some("2")), "{record}");
    let spans = record["doing"].as_array().unwrap();
    let named: Vec<_> =
        spans.iter().map(|span| (span["name"].as_str().unwrap(), span["depth"].as_u64().unwrap())).collect();
    assert_eq!(named, [("import", 0), ("parse", 1)], "the inner one continues the trace: {record}");
    assert_eq!(spans[0]["attributes"]["file"], "a.csv");
    let (trace, span) = (spans[1]["trace"].as_str().unwrap(), spans[1]["span"].as_str().unwrap());
    let words = record["words"].to_string();
    assert!(words.contains(&format!("inside 00-{trace}-{span}-01")), "the command knows its span: {words}");
    project.shutdown();
}

/// A command of `mainstay` that no tree is around, with these variables.
fn alone(words: &[&str], variables: &[(&str, &str)]) -> support::Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    for name in [
        "MAINSTAY_RUNTIME_DIR",
        "MAINSTAY_BLACKBOX_FD",
        "MAINSTAY_INSTANCE",
        "MAINSTAY_INCARNATION",
        "TRACEPARENT",
    ] {
        command.env_remove(name);
    }
    outcome(command.args(words).envs(variables.iter().copied()).stdin(Stdio::null()))
}

#[test]
fn outside_of_a_tree_note_and_span_say_so_and_fail_nothing() {
    let note = alone(&["note", "order=A-1042"], &[]);
    assert_eq!((note.code, note.stdout.as_str()), (0, ""));
    assert_eq!(note.stderr, "mainstay: nothing was noted: this is no life of a service of mainstay\n");
    assert_eq!(alone(&["note", "order"], &[]).code, 2);
    let span = |command: &[&str]| alone(&[&["span", "import", "--"], command].concat(), &[]);
    let ended = span(&["sh", "-c", "echo out; exit 7"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (7, "out\n"));
    assert_eq!(
        ended.stderr,
        "mainstay: the span is seen by nobody: this is no life of a service of mainstay\n"
    );
    assert_eq!(span(&["sh", "-c", "kill -TERM $$"]).code, 143);
    assert_eq!(span(&["/no/such/program"]).code, 127);
    assert_eq!(span(&["/etc/passwd"]).code, 126);
    assert_eq!(span(&["true"]).code, 0);
}

#[test]
fn without_a_box_telemetry_is_told_and_waited_for_until_it_knows_whose_it_is() {
    use mainstay::sys::socket::{self, Kind};
    let folder = tempfile::tempdir().unwrap();
    let inbox = socket::bind(Kind::Datagram, &folder.path().join("telemetry"), 0o600).unwrap();
    let runtime = folder.path().to_str().unwrap().to_owned();
    let telemetry = std::thread::spawn(move || {
        let mut told = Vec::new();
        while told.len() < 3 {
            support::readable(&inbox);
            let mut buffer = [0; 8192];
            let received = socket::receive(&inbox, &mut buffer).unwrap().unwrap();
            assert_eq!(received.descriptors.len(), 1, "the barrier");
            told.push(String::from_utf8(buffer[..received.length].to_vec()).unwrap());
            // Only now it goes on.
            drop(received);
        }
        told
    });
    let life =
        [("MAINSTAY_RUNTIME_DIR", &*runtime), ("MAINSTAY_INSTANCE", "job#2"), ("MAINSTAY_INCARNATION", "7")];
    let note = alone(&["note", "order=A-1042", "text=a\nb\\c"], &life);
    assert_eq!((note.code, note.stderr.as_str()), (0, ""));
    let parent = ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let words = ["span", "import", "--attr", "file=a.csv", "--", "sh", "-c", "echo $TRACEPARENT; exit 3"];
    let span = alone(&words, &[&life[..], &[parent]].concat());
    assert_eq!((span.code, span.stderr.as_str()), (3, ""));
    let told = telemetry.join().unwrap();
    let life = "MAINSTAY_INSTANCE=job#2\nMAINSTAY_INCARNATION=7\n";
    assert_eq!(told[0], format!("{life}X_MAINSTAY_NOTE=order=A-1042\nX_MAINSTAY_NOTE=text=a\\nb\\\\c\n"));
    let id = span.stdout.trim().split('-').nth(2).unwrap();
    assert!(span.stdout.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{}", span.stdout);
    assert!(told[1].starts_with(&format!(
        "{life}X_MAINSTAY_SPAN=import\nX_MAINSTAY_SPAN_STATE=begin\nX_MAINSTAY_SPAN_ID={id}\n"
    )));
    assert!(
        told[1].contains(&format!("TRACEPARENT={}\nX_MAINSTAY_SPAN_ATTRIBUTE=file=a.csv\n", parent.1)),
        "{}",
        told[1]
    );
    assert!(
        told[2].contains("STATE=end\n") && told[2].ends_with("X_MAINSTAY_SPAN_FAILED=exited 3\n"),
        "{}",
        told[2]
    );
    let nobody = alone(
        &["note", "a=b"],
        &[("MAINSTAY_RUNTIME_DIR", "/nowhere"), ("MAINSTAY_INSTANCE", "a"), ("MAINSTAY_INCARNATION", "1")],
    );
    assert_eq!(
        (nobody.code, nobody.stderr.as_str()),
        (0, "mainstay: nothing was noted: telemetry does not run\n")
    );
}

#[test]
fn a_command_within_a_span_gets_the_signals_that_were_meant_for_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args([
        "span",
        "x",
        "--",
        "sh",
        "-c",
        "trap 'echo got it; exit 5' TERM; echo at work; while :; do sleep 0.01; done",
    ]);
    command.env_remove("MAINSTAY_RUNTIME_DIR").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut span = command.spawn().unwrap();
    let mut lines = BufReader::new(span.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "at work");
    kill(span.id() as i32, Signal::SIGTERM);
    assert_eq!(lines.next().unwrap().unwrap(), "got it");
    assert_eq!(span.wait().unwrap().code(), Some(5));
}
