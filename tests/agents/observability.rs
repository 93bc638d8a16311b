//! What is said of work stays true, whatever happens around it.

use crate::rig::{Agent, BUILTINS, Rig};

/// Trace and span of the innermost open span.
#[track_caller]
fn ids(agent: &mut Agent) -> (String, String) {
    let text = agent.ask("trace");
    let parts: Vec<&str> = text.as_str().unwrap_or_else(|| panic!("no trace: {text}")).split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

pub fn parents_and_children_stay_true() {
    let (rig, agents) = Rig::running(1);
    let mut agent = agents.into_iter().next().unwrap();
    agent.ask("span parent");
    let (trace, parent) = ids(&mut agent);
    for round in 1..=4 {
        agent.ask(&format!("span child-{round}"));
        let child = ids(&mut agent);
        assert_eq!(child.0, trace, "one trace");
        assert_ne!(child.1, parent);
        rig.stage(round);
        BUILTINS.iter().for_each(|name| rig.kill_builtin(name));
        rig.delete_tables();
        agent.ask("span grandchild");
        assert_eq!(ids(&mut agent).0, trace);
        agent.ask("end");
        assert_eq!(ids(&mut agent), child, "the child is the innermost one again");
        agent.ask("end");
        assert_eq!(ids(&mut agent), (trace.clone(), parent.clone()), "and then its parent");
    }
    agent.ask("span last");
    let last = ids(&mut agent);
    rig.kill(agent);
    let told = rig.crash_of("agent");
    let doing = told["doing"].as_array().unwrap();
    assert_eq!(doing.len(), 2, "{told}");
    assert_eq!((&doing[0]["name"], &doing[1]["name"]), (&"parent".into(), &"last".into()));
    assert!(doing.iter().all(|span| span["trace"] == trace.as_str()), "{told}");
    assert_eq!((&doing[0]["span"], &doing[1]["span"]), (&parent.as_str().into(), &last.1.as_str().into()));
    assert_eq!(doing[1]["parent"], parent.as_str());
}

pub fn context_is_kept_through_a_whole_migration() {
    let (rig, mut agents) = Rig::running(1);
    let agent = &mut agents[0];
    agent.ask("with order A-1042");
    agent.ask("operation migrate");
    for stage in 1..=4 {
        rig.stage(stage);
        agent.ask(&format!("with stage {stage}"));
        let error = agent.ask("enrich slow");
        let error = error.as_str().unwrap();
        assert!(error.contains("order=A-1042") && error.contains(&format!("stage={stage}")), "{error}");
        agent.ask("end");
    }
    rig.project.mainstay(&["emergency", "--why", "a test"]).ok();
    let context = agent.ask("context");
    assert_eq!((&context["keys"]["order"], &context["operation"]), (&"A-1042".into(), &"migrate".into()));
    assert!(context["keys"]["stage"].is_null());
}

pub fn processes_are_apart() {
    let (rig, mut agents) = Rig::running(4);
    let mut traces = std::collections::BTreeSet::new();
    for agent in &mut agents {
        let number = agent.number();
        agent.ask(&format!("with who agent-{number}"));
        agent.ask("span alone");
        traces.insert(ids(agent).0);
    }
    assert_eq!(traces.len(), 4, "each has a trace of its own");
    for agent in agents {
        let (number, instance) = (agent.number(), agent.instance.clone());
        rig.kill(agent);
        let told = rig.crash_of(&instance);
        let context = told["context"].to_string();
        for other in 1..=4 {
            assert_eq!(context.contains(&format!("agent-{other}")), other == number, "{instance}: {told}");
        }
        assert_eq!(told["doing"].as_array().unwrap().len(), 1);
    }
}
