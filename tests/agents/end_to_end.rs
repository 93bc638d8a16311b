//! One piece of work from its beginning to its end, while everything around it changes.

use crate::recovery::use_everything;
use crate::rig::{Agent, BUILTINS, Rig};
use serde_json::Value;

const STAGES: [&str; 4] = ["use-registry", "use-context", "use-spans", "use-batches"];

/// Steps `from` to `to` of a workflow of five that is open already.
#[track_caller]
fn steps(agent: &mut Agent, from: u32, to: u32) {
    for step in from..=to {
        agent.ask(&format!("span step-{step}"));
        agent.ask(&format!("event step-{step}.done"));
        agent.ask(&format!("crumb step {step}"));
        assert_eq!(agent.ask("context")["keys"]["order"], "A-1042");
        agent.ask("end");
    }
}

/// Begins a workflow: a context, an operation, a span.
#[track_caller]
fn begin(agent: &mut Agent) {
    agent.ask("with order A-1042");
    agent.ask("operation checkout");
    agent.ask("span workflow");
}

#[track_caller]
fn finish(agent: &mut Agent) {
    (0..3).for_each(|_| drop(agent.ask("end")));
    let left = agent.ask("context");
    assert!(left["keys"]["order"].is_null() && left["operation"].is_null(), "{left}");
}

pub fn register_work_enrich_clean_up() {
    let (rig, mut agents) = Rig::running(2);
    let (first, second) = agents.split_at_mut(1);
    let (worker, other) = (&mut first[0], &mut second[0]);
    worker.ask("register worker");
    assert_eq!(other.ask("lookup worker"), worker.pid);
    begin(worker);
    steps(worker, 1, 2);
    let error = worker.ask("enrich the bank did not answer");
    let error = error.as_str().unwrap();
    assert!(
        error.starts_with("the bank did not answer [checkout ") && error.ends_with("; order=A-1042]"),
        "{error}"
    );
    finish(worker);
    worker.ask("unregister worker");
    assert_eq!(other.ask("lookup worker"), Value::Null);
    worker.ask("clear");
    assert_eq!(worker.ask("context")["error"], Value::Null);
    rig.project.shutdown();
}

pub fn five_steps_of_which_one_fails() {
    let (rig, mut agents) = Rig::running(1);
    let worker = &mut agents[0];
    begin(worker);
    steps(worker, 1, 2);
    worker.ask("span step-3");
    worker.ask("fail card declined");
    let error = worker.ask("enrich card declined");
    assert!(error.as_str().unwrap().contains("order=A-1042"), "{error}");
    worker.ask("end");
    // What was done is undone, and the work goes on.
    worker.ask("span compensate");
    worker.ask("event step-2.undone");
    worker.ask("end");
    let context = worker.ask("context");
    assert_eq!((&context["operation"], &context["error"]), (&"checkout".into(), &"card declined".into()));
    steps(worker, 4, 5);
    finish(worker);
    assert_eq!(worker.ask("work 8"), 8);
    rig.project.shutdown();
}

pub fn killed_in_the_middle() {
    let (rig, agents) = Rig::running(1);
    let mut worker = agents.into_iter().next().unwrap();
    begin(&mut worker);
    steps(&mut worker, 1, 2);
    worker.ask("span step-3");
    worker.ask("attribute item 7");
    worker.ask("enrich the third step hangs");
    let mut worker = rig.kill(worker);
    let told = rig.crash_of("agent");
    let doing: Vec<&str> =
        told["doing"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(doing, ["workflow", "step-3"], "{told}");
    let context = told["context"][0].to_string();
    for said in ["A-1042", "checkout", "step 2", "the third step hangs"] {
        assert!(context.contains(said), "{said}: {context}");
    }
    let events = told["events"].to_string();
    assert!(events.contains("step-2.done") && !events.contains("step-3.done"), "{events}");
    // Its next life begins empty, and takes the work up.
    assert!(worker.ask("context")["keys"].as_object().unwrap().is_empty());
    begin(&mut worker);
    steps(&mut worker, 3, 5);
    finish(&mut worker);
    rig.project.shutdown();
}

pub fn a_migration_goes_through_all_stages_while_the_work_runs() {
    let (rig, mut agents) = Rig::running(2);
    let (first, second) = agents.split_at_mut(1);
    let (worker, loaded) = (&mut first[0], &mut second[0]);
    begin(worker);
    for (stage, flag) in (1..).zip(STAGES) {
        loaded.say("work 32");
        assert_eq!(worker.ask(&format!("flag {flag}")), Value::Bool(false));
        rig.stage(stage);
        assert_eq!(worker.ask("stage otp"), stage);
        for (other, flag) in (1..).zip(STAGES) {
            assert_eq!(
                worker.ask(&format!("flag {flag}")),
                Value::Bool(other <= stage),
                "{flag} at stage {stage}"
            );
        }
        steps(worker, stage, stage);
        assert_eq!(loaded.answer(), 32);
    }
    steps(worker, 5, 5);
    finish(worker);
    rig.project.shutdown();
}

pub fn rolled_back_to_a_stage_then_emergency() {
    let (rig, mut agents) = Rig::running(3);
    (1..=4).for_each(|stage| rig.stage(stage));
    rig.set("new-checkout=on");
    begin(&mut agents[0]);
    let check = |agents: &mut [Agent], on: [bool; 4]| {
        for agent in agents.iter_mut() {
            for (flag, on) in STAGES.iter().zip(on) {
                assert_eq!(agent.ask(&format!("flag {flag}")), Value::Bool(on), "{flag}");
            }
        }
        steps(&mut agents[0], 1, 1);
        agents[1..].iter_mut().for_each(|agent| agent.say("work 16"));
        agents[1..].iter_mut().for_each(|agent| assert_eq!(agent.answer(), 16));
    };
    check(&mut agents, [true; 4]);
    rig.project.mainstay(&["stage", "rollback", "otp", "2", "--why", "a test"]).ok();
    check(&mut agents, [true, true, false, false]);
    rig.project.mainstay(&["emergency", "--why", "a test"]).ok();
    check(&mut agents, [false; 4]);
    assert_eq!(agents[0].ask("flag new-checkout"), Value::Bool(false), "its safe value");
    finish(&mut agents[0]);
    rig.project.shutdown();
}

pub fn fifty_agents_under_load() {
    let (rig, mut agents) = Rig::running(50);
    rig.set("use-spans=on");
    agents.iter_mut().for_each(|agent| agent.say("work 48"));
    for builtin in BUILTINS {
        rig.kill_builtin(builtin);
    }
    agents.iter_mut().for_each(|agent| assert_eq!(agent.answer(), 48));
    let last = agents.last_mut().unwrap();
    use_everything(last);
    rig.project.shutdown();
}

pub fn ten_rounds_of_twenty_agents() {
    let (rig, mut agents) = Rig::running(20);
    rig.set("use-spans=on");
    let mut held = Vec::new();
    for _ in 0..10 {
        agents.iter_mut().for_each(|agent| agent.say("work 17"));
        agents.iter_mut().for_each(|agent| assert_eq!(agent.answer(), 17));
        let usage: Vec<Value> = agents.iter_mut().map(|agent| agent.ask("usage")).collect();
        let most = |what: &str| usage.iter().map(|one| one[what].as_u64().unwrap()).max().unwrap();
        rig.settle();
        held.push((
            rig.project.processes().len(),
            most("descriptors"),
            most("threads"),
            most("maps"),
            most("pages"),
        ));
        agents = agents.into_iter().map(|agent| rig.kill(agent)).collect();
    }
    let (first, rest) = held[1..].split_first().unwrap();
    for (round, one) in rest.iter().enumerate() {
        assert_eq!((one.0, one.1, one.2), (first.0, first.1, first.2), "round {round}: {held:?}");
        // How a heap is laid out differs by a mapping and some pages from life to life; what grew with rounds would not stop.
        assert!(one.3 <= first.3 + 2 && one.4 <= first.4 + 64, "round {round}: {held:?}");
    }
    rig.project.shutdown();
}
