//! The parts together: stages, flags, context, spans, names, while all of it is used at once.

use crate::recovery::use_everything;
use crate::rig::Rig;
use serde_json::Value;

pub fn stages_turn_on_the_right_flags() {
    let (rig, mut agents) = Rig::running(1);
    let agent = &mut agents[0];
    for (stage, name) in (1..).zip(["registry", "context", "spans", "batches"]) {
        rig.stage(stage);
        assert_eq!(agent.ask("stage otp"), stage);
        assert_eq!(agent.ask(&format!("flag use-{name}")), Value::Bool(true));
        let status = rig.project.mainstay(&["stage", "status", "otp", "--json"]).ok();
        assert!(status.contains(&format!("\"stage\":{stage}")), "{status}");
    }
    rig.project.mainstay(&["stage", "rollback", "otp", "0", "--why", "a test"]).ok();
    assert_eq!(agent.ask("stage otp"), 0);
    rig.project.shutdown();
}

pub fn every_process_decides_alike_about_a_percentage() {
    let (rig, mut agents) = Rig::running(3);
    let check = |agents: &mut Vec<crate::rig::Agent>| {
        let answers: Vec<Vec<Value>> = agents
            .iter_mut()
            .map(|agent| (0..200).map(|id| agent.ask(&format!("flag new-checkout user:{id}"))).collect())
            .collect();
        assert!(answers.iter().all(|one| *one == answers[0]));
        answers[0].iter().map(|on| on.as_bool().unwrap()).collect::<Vec<bool>>()
    };
    let quarter = check(&mut agents);
    rig.set("new-checkout=60%");
    let more = check(&mut agents);
    let count = |who: &[bool]| who.iter().filter(|on| **on).count();
    // By the contract's hash, the same in every run.
    assert!(
        (30..=70).contains(&count(&quarter)) && (95..=145).contains(&count(&more)),
        "{quarter:?} {more:?}"
    );
    assert!(quarter.iter().zip(&more).all(|(before, after)| *after || !before), "raising it loses nobody");
    rig.project.shutdown();
}

pub fn context_is_set_enriched_cleared_and_nobody_elses() {
    let (rig, mut agents) = Rig::running(2);
    let (first, second) = agents.split_at_mut(1);
    let (one, other) = (&mut first[0], &mut second[0]);
    one.ask("set tenant berlin");
    one.ask("with order A-1");
    one.ask("with order A-2");
    assert_eq!(one.ask("enrich broken"), "broken [tenant=berlin order=A-2]");
    // Unwound, what was around it is back.
    one.ask("unwind");
    assert_eq!(one.ask("context")["keys"]["order"], "A-1");
    one.ask("end");
    assert_eq!(one.ask("context")["keys"], serde_json::json!({ "tenant": "berlin" }));
    assert_eq!(other.ask("context")["keys"], serde_json::json!({}));
    one.ask("clear");
    let nothing = serde_json::json!({ "keys": {}, "operation": null, "crumbs": [], "error": null });
    assert_eq!(one.ask("context"), nothing);
    rig.project.shutdown();
}

pub fn one_of_many_gets_a_name() {
    let (rig, mut agents) = Rig::running(8);
    for round in 0..8 {
        agents.iter_mut().for_each(|agent| agent.say(&format!("try-register leader-{round}")));
        let got: Vec<bool> = agents.iter_mut().map(|agent| agent.answer().as_bool().unwrap()).collect();
        assert_eq!(got.iter().filter(|got| **got).count(), 1, "{got:?}");
        let leader = agents[got.iter().position(|got| *got).unwrap()].pid;
        for agent in &mut agents {
            assert_eq!(agent.ask(&format!("lookup leader-{round}")), leader);
        }
    }
    rig.project.shutdown();
}

pub fn nothing_is_worse_with_everything_on() {
    let (rig, mut agents) = Rig::running(4);
    (1..=4).for_each(|stage| rig.stage(stage));
    rig.set("new-checkout=on");
    agents.iter_mut().for_each(|agent| agent.say("work 64"));
    agents.iter_mut().for_each(|agent| assert_eq!(agent.answer(), 64));
    agents.iter_mut().for_each(use_everything);
    let status = rig.project.mainstay(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    rig.project.shutdown();
}

pub fn a_table_is_deleted_and_a_built_in_crashes_while_agents_work() {
    let (rig, mut agents) = Rig::running(4);
    rig.set("use-spans=on");
    agents.iter_mut().for_each(use_everything);
    for round in 0..10 {
        agents.iter_mut().for_each(|agent| agent.say("work 32"));
        if round % 2 == 0 {
            rig.delete_tables()
        } else {
            rig.kill_builtin("mainstay.registry")
        }
        agents.iter_mut().for_each(|agent| assert_eq!(agent.answer(), 32));
    }
    agents.iter_mut().for_each(use_everything);
    rig.project.shutdown();
}

pub fn flags_change_while_agents_work() {
    let (rig, mut agents) = Rig::running(4);
    for round in 0..10 {
        agents.iter_mut().for_each(|agent| agent.say("work 32"));
        let value = if round % 2 == 0 { "on" } else { "off" };
        rig.set(&format!("use-context={value}"));
        rig.set(&format!("use-batches={value}"));
        agents.iter_mut().for_each(|agent| assert_eq!(agent.answer(), 32));
        for agent in &mut agents {
            assert_eq!(agent.ask("flag use-context"), Value::Bool(round % 2 == 0));
            assert_eq!(agent.ask("flag use-batches"), Value::Bool(round % 2 == 0));
        }
    }
    rig.project.shutdown();
}
