//! The guard took something back: what failed of it is tried again.

use crate::rig::Rig;

const TREE: &str = r#"
name = "t"
[defaults]
backoff = "none"
restart = { policy = "permanent", max = 1, within = "1h" }
[service.web]
command = ["sh", "-c", "test -e good || exit 3; exec sleep 100000"]
instances = 2
[service.db]
command = ["sh", "-c", "test -e good || exit 4; exec sleep 100000"]
[service.calm]
command = ["sleep", "100000"]
[flag.checkout]
default = false
"#;

pub fn gave_up_comes_back() {
    let rig = Rig::new(TREE);
    let mut keeper = rig.start();
    keeper.greeting();
    let project = &rig.project;
    for name in ["web#1", "web#2", "db"] {
        project.wait(name, "gave_up", "0");
    }
    project.mainstay(&["stop", "web#2"]).ok();
    let calm = project.pid("calm");
    project.write("good", "");
    let cursor = project.cursor();
    keeper.say("fresh web nobody calm");
    project.wait("web#1", "up", &cursor);
    let state = |name: &str| {
        let status = project.status();
        let all = status["services"].as_array().unwrap();
        all.iter().find(|one| one["instance"] == name).unwrap().clone()
    };
    assert_eq!(state("web#2")["state"], "stopped", "somebody stopped it");
    assert_eq!(state("db")["state"], "gave_up", "it was not named");
    assert_eq!(state("web#1")["restarts"], 0, "it was no restart: {}", state("web#1"));
    assert_eq!(project.pid("calm"), calm);
    let cursor = project.cursor();
    keeper.say("fresh");
    project.wait("db", "up", &cursor);
    // One restart is allowed, and it is a whole one again.
    project.kill_and_wait("web#1", "up");
}

pub fn parked_group() {
    let rig = Rig::new(
        r#"
name = "t"
[defaults]
backoff = "none"
restart = { policy = "permanent", max = 100, within = "1h" }
[group.app]
intensity = 2
period = "1h"
on_limit = "park"
[service.web]
group = "app"
command = ["sh", "-c", "test -e good || exit 3; exec sleep 100000"]
[service.helper]
group = "app"
command = ["sleep", "100000"]
[service.calm]
command = ["sleep", "100000"]
[flag.checkout]
default = false
"#,
    );
    let mut keeper = rig.start();
    keeper.greeting();
    let project = &rig.project;
    keeper.say("feed 0");
    keeper.events(|event| event["kind"] == "group_gave_up");
    let calm = project.pid("calm");
    project.write("good", "");
    let cursor = project.cursor();
    keeper.say("fresh web");
    project.wait("web", "up", &cursor);
    project.wait("helper", "up", &cursor);
    assert_eq!(project.pid("calm"), calm);
}
