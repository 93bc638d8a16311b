//! What was changed before somebody died stands in the record of the death.

use crate::rig::{Rig, WEB};

pub fn named_in_the_record() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    let project = &rig.project;
    keeper.say("changed checkout off on");
    keeper.say("changed search 12% 40%");
    // A logger that begins again knows of what was changed before.
    project.kill_and_wait("mainstay.logger", "up");
    project.kill_and_wait("db", "up");
    let record = loop {
        // The logger writes it while the next life runs already.
        let list = project.mainstay(&["crash", "list", "--json"]).ok();
        if let Some(line) = list.lines().find(|line| line.contains(r#""instance":"db""#)) {
            break serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        std::thread::yield_now();
    };
    let changed = record["changed"].as_array().unwrap();
    let names: Vec<&str> = changed.iter().map(|change| change["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search", "checkout"], "the last first: {record}");
    assert_eq!((&changed[1]["old"], &changed[1]["new"]), (&"off".into(), &"on".into()));
    assert_eq!((&changed[1]["generation"], &changed[1]["actor"]), (&7.into(), &"ann".into()));
    assert!(changed[1]["before_ns"].as_u64() > changed[0]["before_ns"].as_u64(), "{record}");
    let text = project.mainstay(&["crash", "show", record["id"].as_str().unwrap()]).ok();
    assert!(text.contains("  changed   search 12%->40%  ") && text.contains(" checkout off->on  "), "{text}");
}
