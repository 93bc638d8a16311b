//! Whatever is killed or deleted, alone or all of it: what is used in the same instant works, and nothing that was set is lost.

use crate::rig::{Agent, BUILTINS, Rig};
use crate::support;
use mainstay::sys::clock;
use mainstay::time::Duration;
use serde_json::Value;

/// So many rounds of what must leave nothing behind.
const ROUNDS: usize = 20;

/// Everything once: what an agent can be asked for.
#[track_caller]
pub fn use_everything(agent: &mut Agent) {
    agent.ask("with order A-1042");
    agent.ask("span request");
    agent.ask("event asked");
    assert_eq!(agent.ask("context")["keys"]["order"], "A-1042");
    assert!(agent.ask("enrich lost").as_str().unwrap().contains("order=A-1042"));
    assert_eq!(agent.ask("flag use-spans"), Value::Bool(true), "it was set");
    let (name, pid) = (format!("used-by-{}", agent.number()), agent.pid);
    agent.ask(&format!("register {name}"));
    assert_eq!(agent.ask(&format!("lookup {name}")), pid);
    agent.ask(&format!("unregister {name}"));
    agent.ask("end");
    agent.ask("end");
    assert_eq!(agent.ask("context")["keys"]["order"], Value::Null);
}

/// A tree in which everything was used, so every built-in runs.
#[track_caller]
fn in_use(agents: usize) -> (Rig, Vec<Agent>) {
    let (rig, mut agents) = Rig::running(agents);
    rig.set("use-spans=on");
    agents.iter_mut().for_each(use_everything);
    (rig, agents)
}

pub fn board_deleted() {
    let (rig, mut agents) = in_use(2);
    for _ in 0..ROUNDS {
        for name in ["run/board", "run/.kept/board"] {
            let _ = std::fs::remove_file(rig.project.path(name));
        }
        assert_eq!(agents[0].ask("flag use-spans"), Value::Bool(true));
        rig.set("use-context=on");
        assert_eq!(agents[1].ask("flag use-context"), Value::Bool(true));
        rig.set("use-context=off");
        assert_eq!(agents[0].ask("flag use-context"), Value::Bool(false));
    }
}

pub fn all_tables_deleted() {
    let (rig, mut agents) = in_use(2);
    agents[0].ask("register stays");
    for _ in 0..ROUNDS {
        rig.delete_tables();
        agents.iter_mut().for_each(use_everything);
        let pid = agents[0].pid;
        assert_eq!(agents[1].ask("lookup stays"), pid, "what was registered is still there");
        rig.set("use-batches=on");
        assert_eq!(agents[0].ask("flag use-batches"), Value::Bool(true));
        rig.set("use-batches=off");
    }
}

/// A built-in is killed, and what it serves is used in the same instant; alone, and while every agent works.
fn killed(builtin: &str) {
    let (rig, mut agents) = in_use(4);
    for under_load in [false, true] {
        for _ in 0..ROUNDS / 2 {
            let (first, others) = agents.split_first_mut().unwrap();
            if under_load {
                others.iter_mut().for_each(|agent| agent.say("work 64"));
            }
            rig.kill_builtin(builtin);
            use_everything(first);
            // Not the flag that the others compare with itself while they work.
            rig.set("use-batches=on");
            assert_eq!(first.ask("flag use-batches"), Value::Bool(true));
            rig.set("use-batches=off");
            assert_eq!(first.ask("flag use-batches"), Value::Bool(false));
            if under_load {
                others.iter_mut().for_each(|agent| assert_eq!(agent.answer(), 64));
            }
        }
    }
}

pub fn keeper_killed() {
    killed("mainstay.keeper");
}

pub fn telemetry_killed() {
    killed("mainstay.telemetry");
}

pub fn registry_killed() {
    killed("mainstay.registry");
}

pub fn logger_killed() {
    killed("mainstay.logger");
}

pub fn no_trace_in_another() {
    let (rig, mut agents) = in_use(2);
    let mut second = agents.pop().unwrap();
    let mut first = agents.pop().unwrap();
    first.ask("with order A-1042");
    first.ask("operation pay");
    second.ask("with order B-7");
    let mut again = rig.kill(first);
    for agent in [&mut again, &mut second] {
        let context = agent.ask("context");
        assert!(!context.to_string().contains("A-1042") && !context.to_string().contains("pay"), "{context}");
    }
    let told = rig.crash_of("agent#1");
    assert!(told["context"].to_string().contains("A-1042"), "{told}");
    rig.kill(second);
    let told = rig.crash_of("agent#2");
    assert!(told["context"].to_string().contains("B-7"), "{told}");
    assert!(!told.to_string().contains("A-1042"), "{told}");
}

/// What a process holds: kB of memory of its own, descriptors, mappings.
#[track_caller]
fn held(pid: i32) -> (u64, usize, usize) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let status = read("status");
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let anonymous = anonymous.trim().trim_end_matches(" kB").trim().parse().unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    (anonymous, descriptors, read("maps").lines().count())
}

/// Files of the project, logs and what grows by design left out.
fn files(rig: &Rig) -> usize {
    let count = |folder: &str| std::fs::read_dir(rig.project.path(folder)).map_or(0, Iterator::count);
    ["run", "run/.kept", "run/control", "state"].into_iter().map(count).sum()
}

/// Until it holds; each look asks every built-in something.
#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let start = clock::now();
    while !holds() {
        assert!(clock::now().since(start) < Duration::from_secs(60), "it never was so");
    }
}

/// One round of start, use, kill: every agent and every built-in but none of the tree's doing.
fn round(rig: &Rig, agents: Vec<Agent>) -> Vec<Agent> {
    let agents: Vec<Agent> = agents.into_iter().map(|agent| rig.kill(agent)).collect();
    BUILTINS.iter().for_each(|name| rig.kill_builtin(name));
    let mut agents = agents;
    agents.iter_mut().for_each(use_everything);
    agents
}

pub fn memory_stays_flat() {
    let (rig, mut agents) = in_use(4);
    let supervisor = rig.project.supervisor();
    // The ring of events and every buffer that is kept have their size by then.
    for _ in 0..ROUNDS {
        agents = round(&rig, agents);
    }
    let before = held(supervisor).0;
    for _ in 0..ROUNDS {
        agents = round(&rig, agents);
    }
    let after = held(supervisor).0;
    // 80 lives of agents and 80 of built-ins: what one of them left behind would be seen as 160 pages.
    assert!(after <= before + 400, "{before} kB, and after {ROUNDS} more rounds {after} kB");
}

pub fn nothing_is_leaked() {
    let (rig, mut agents) = in_use(4);
    let supervisor = rig.project.supervisor();
    for _ in 0..ROUNDS / 2 {
        agents = round(&rig, agents);
    }
    let count = |rig: &Rig| {
        rig.settle();
        let (_, descriptors, mappings) = held(supervisor);
        (descriptors, mappings, files(rig), rig.project.processes().len())
    };
    let mut before = count(&rig);
    // What is kept of the dead for telemetry goes when that has drained it.
    until(|| std::mem::replace(&mut before, count(&rig)) == before);
    for _ in 0..ROUNDS / 2 {
        agents = round(&rig, agents);
    }
    let mut after = before;
    until(|| {
        after = count(&rig);
        after.0 <= before.0
    });
    assert_eq!((after.1, after.2, after.3), (before.1, before.2, before.3), "mappings, files, processes");
    drop(agents);
}

pub fn twenty_workers_fail_while_services_die() {
    const WORKERS: usize = 20;
    let (rig, agents) = in_use(WORKERS);
    let mut agents: Vec<Option<Agent>> = agents.into_iter().map(Some).collect();
    // Which worker, what becomes of it, what dies meanwhile: by numbers that are the same in every run.
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = mainstay::flags::mix(state);
        state % below
    };
    for _ in 0..5 {
        let jobs: Vec<u64> = (0..WORKERS).map(|_| 1 + random(40)).collect();
        for (agent, jobs) in agents.iter_mut().zip(&jobs) {
            agent.as_mut().unwrap().say(&format!("work {jobs}"));
        }
        for _ in 0..4 {
            rig.kill_builtin(BUILTINS[random(BUILTINS.len() as u64) as usize]);
            if random(2) == 0 {
                rig.delete_tables();
            }
        }
        for (agent, jobs) in agents.iter_mut().zip(jobs) {
            assert_eq!(agent.as_mut().unwrap().answer(), jobs);
        }
        for agent in &mut agents {
            let one = agent.take().unwrap();
            let instance = one.instance.clone();
            *agent = Some(match random(5) {
                0 => {
                    one.dies_of("exit 3");
                    rig.next_life(&instance)
                }
                1 => {
                    one.dies_of("panic a failing worker");
                    rig.next_life(&instance)
                }
                2 => rig.kill(one),
                _ => one,
            });
        }
    }
    agents.into_iter().flatten().for_each(|mut agent| use_everything(&mut agent));
}

/// Everything below the supervisor is killed, all tables are deleted, and in the same instant somebody outside uses all there
/// is: no failure is excused. Then the services are back, and all that was set and said is there.
pub fn graceful_degradation_under_extreme_failure() {
    let rounds = std::env::var("EXTREME_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let (rig, mut agents) = in_use(3);
    let outside = rig.outsider();
    let own = std::process::id();
    outside.register("outside");
    for round in 0..rounds {
        let lives: Vec<_> = agents.iter().filter_map(|agent| support::pidfd(agent.pid)).collect();
        BUILTINS.iter().for_each(|name| rig.kill_at_once(name));
        agents.iter().for_each(|agent| support::kill(agent.pid, nix::sys::signal::Signal::SIGKILL));
        rig.delete_tables();
        // In the same instant, by somebody who was there before and by one who comes new.
        let value = if round % 2 == 0 { "on" } else { "off" };
        assert!(outside.flag.is_on(), "it was set, and was read before");
        mainstay::context::with([("round", round)], || {
            let span = mainstay::span!("extreme");
            mainstay::event!("used", round = round);
            let error = mainstay::context::enrich("nothing is there").to_string();
            assert_eq!(error, format!("nothing is there [round={round}]"));
            span.fail("all are dead");
        });
        assert_eq!(outside.lookup("outside"), Some(own), "round {round}");
        let name = format!("new-{round}");
        outside.register(&name);
        assert_eq!(outside.lookup(&name), Some(own), "round {round}");
        assert_eq!(rig.project.mainstay(&["flag", "get", "use-spans"]).ok(), "on\n", "round {round}");
        rig.set(&format!("use-registry={value}"));
        assert_eq!(
            rig.project.mainstay(&["flag", "get", "use-registry"]).ok(),
            format!("{value}\n"),
            "round {round}"
        );
        rig.project.mainstay(&["note", "round=1"]).ok();
        // And everybody is back.
        lives.iter().for_each(support::readable);
        agents = agents.into_iter().map(|agent| rig.next_life(&agent.instance)).collect();
        agents.iter_mut().for_each(use_everything);
        assert_eq!(agents[0].ask("flag use-registry"), Value::Bool(value == "on"));
        assert_eq!(agents[0].ask("lookup outside"), own);
        assert_eq!(agents[0].ask(&format!("lookup {name}")), own);
    }
}
