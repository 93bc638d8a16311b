//! Whole trees: services that write, a supervisor, and telemetry that wakes.

use crate::rig::{Arrived, Files};
use crate::support::{Project, kill};
use mainstay::services::telemetry::spool;
use mainstay::{event, span};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};

/// What this program is told when it is to be a service.
const ORDERS: &str = "TELEMETRY_TEST_ORDERS";

/// Not a test of its own: a service, when it is started as one. It writes so many events and spans as each line says.
#[test]
fn be_a_service() {
    let Some(orders) = std::env::var_os(ORDERS) else { return };
    if orders == "die" {
        for n in 0..3 {
            event!("last", n = n);
        }
        std::process::abort();
    }
    let mut sent = 0;
    // Opened for writing, too, so that it never ends.
    let file = std::fs::File::options().read(true).write(true).open(orders).unwrap();
    for line in BufReader::new(file).lines() {
        for _ in 0..line.unwrap().parse::<u64>().unwrap() {
            let _span = span!("job", n = sent);
            event!("step", n = sent);
            sent += 1;
        }
    }
}

/// A tree with a service `web` that does what its orders say.
fn configuration(orders: &str, more: &str) -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "[service.web]\ncommand = [{program:?}, \"tree::be_a_service\", \"--exact\"]\nenv = {{ {ORDERS} = {orders:?} }}\nlog = \"none\"\n{more}\n\
         [flag.boxes]\ndefault = false\n"
    )
}

const QUICK: &str = "[telemetry]\nper_second = 1000000\nbatch = { size = 512, every = \"5ms\" }";

struct Tree {
    project: Project,
    files: Files,
}

impl Tree {
    fn running(telemetry: &str) -> Tree {
        let project = Project::new("");
        let orders = project.path("orders");
        nix::unistd::mkfifo(&orders, nix::sys::stat::Mode::S_IRWXU).unwrap();
        project.write("mainstay.toml", &configuration(orders.to_str().unwrap(), telemetry));
        let files = Files::of(&project.path("log"), &project.path("state"));
        project.start();
        Tree { project, files }
    }

    /// The service writes so many spans and events.
    fn order(&self, count: u64) {
        std::fs::write(self.project.path("orders"), format!("{count}\n")).unwrap();
    }

    fn await_arrived(&self, is_it: impl Fn(&Arrived) -> bool) -> Arrived {
        self.files.await_arrived("they arrive", is_it)
    }
}

#[test]
fn the_first_event_wakes_telemetry_and_everything_arrives() {
    let tree = Tree::running(QUICK);
    let status = tree.project.status();
    let services = status["services"].as_array().unwrap();
    let of = |services: &[serde_json::Value]| {
        let telemetry = services.iter().find(|service| service["name"] == "mainstay.telemetry").unwrap();
        telemetry["pid"].as_u64().unwrap_or(0)
    };
    assert_eq!(of(services), 0, "nobody has written anything yet");
    tree.order(20);
    let arrived = tree.await_arrived(|arrived| arrived.total() == 40);
    assert_ne!(of(tree.project.status()["services"].as_array().unwrap()), 0);
    assert_eq!((arrived.spans.len(), arrived.events.len()), (20, 20));
    // The event stands in its span.
    assert_eq!(arrived.events[0]["spanId"], arrived.spans[0]["spanId"]);
    let said = tree.project.mainstay(&["telemetry", "status", "--json"]).ok();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (said["taken"].as_u64(), said["written"].as_u64(), said["lost"].as_u64()),
        (Some(40), Some(40), Some(0))
    );
    tree.project.shutdown();
}

#[test]
fn in_a_tree_telemetry_is_killed_and_used_in_the_same_instant_and_nothing_is_lost_or_doubled() {
    let tree = Tree::running(QUICK);
    tree.order(1);
    tree.await_arrived(|arrived| arrived.total() == 2);
    for life in 1..=8u64 {
        let pid = tree.project.pid("mainstay.telemetry");
        tree.order(100);
        kill(pid, Signal::SIGKILL);
        // Fewer than a ring has places, so none is overwritten before the next life is there.
        let all = 2 + life * 200;
        let arrived = tree.await_arrived(|arrived| arrived.total() + arrived.gone() >= all);
        assert_eq!((arrived.total(), arrived.gone(), arrived.twice()), (all, 0, 0), "{:?}", arrived.last);
    }
    tree.project.shutdown();
}

#[test]
fn what_the_lives_of_a_crash_loop_left_arrives_life_by_life() {
    let project = Project::new(&configuration(
        "die",
        &format!("restart = {{ max = 5, within = \"10m\" }}\nbackoff = \"none\"\n{QUICK}"),
    ));
    let files = Files::of(&project.path("log"), &project.path("state"));
    project.mainstay(&["run", "-d"]).ok();
    project.wait("web", "gave_up", "0");
    let arrived = files.await_arrived("six lives", |arrived| arrived.total() + arrived.gone() >= 18);
    assert_eq!((arrived.total(), arrived.last.unseen), (18, 0), "{:?}", arrived.last);
    project.shutdown();
}

#[test]
fn where_telemetry_is_not_wanted_nothing_is_started_and_nothing_written_until_it_is() {
    let tree = Tree::running("[telemetry]\nenabled = false");
    tree.order(10);
    // Whoever sees the box of the service sees its records; nobody was rung for.
    let read = tree.project.read("mainstay.toml");
    assert!(!spool::path(&tree.project.path("log")).exists());
    tree.project.write("mainstay.toml", &read.replace("[telemetry]\nenabled = false", QUICK));
    tree.project.mainstay(&["reload"]).ok();
    tree.await_arrived(|arrived| arrived.total() == 20);
    tree.order(10);
    // A box that was silent is drained from now on, and its bell is asked for.
    tree.await_arrived(|arrived| arrived.total() == 40);
    tree.project.shutdown();
}
