//! Flags in the environment of services: a snapshot for each life.

mod support;

use std::fs;
use support::Project;

const TREE: &str = r#"
name = "t"
[service.web]
command = ["sleep", "100000"]
backoff = "none"
env = { MAINSTAY_FLAG_OWN = "mine" }
[flag.new-checkout]
default = false
env = true
[flag."batch.size"]
default = 500
env = true
[flag.greeting]
default = "hello = you"
env = true
[flag.quiet]
default = true
"#;

fn told(project: &Project) -> Vec<String> {
    let environment = fs::read(format!("/proc/{}/environ", project.pid("web"))).unwrap();
    let words = environment.split(|byte| *byte == 0).map(|one| String::from_utf8_lossy(one).into_owned());
    let mut told: Vec<String> = words.filter(|one| one.starts_with("MAINSTAY_FLAG_")).collect();
    told.sort();
    told
}

#[test]
fn a_life_has_the_values_that_held_when_it_began() {
    let project = Project::running(TREE);
    let own = "MAINSTAY_FLAG_OWN=mine";
    let batch = |size: &str| format!("MAINSTAY_FLAG_BATCH_SIZE={size}");
    let greeting = "MAINSTAY_FLAG_GREETING=hello = you";
    let first = [&batch("500"), greeting, "MAINSTAY_FLAG_NEW_CHECKOUT=off", own];
    assert_eq!(told(&project), first);
    project.mainstay(&["flag", "set", "new-checkout", "12.5%"]).ok();
    project.mainstay(&["flag", "set", "batch.size", "-7"]).ok();
    assert_eq!(told(&project), first, "a life keeps what it began with");
    project.kill_and_wait("web", "up");
    assert_eq!(told(&project), [&batch("-7"), greeting, "MAINSTAY_FLAG_NEW_CHECKOUT=12.5%", own]);
    project.mainstay(&["flag", "disable", "new-checkout"]).ok();
    project.kill_and_wait("web", "up");
    assert_eq!(told(&project), [&batch("-7"), greeting, own], "no opinion is no variable");

    let less = TREE.replace("default = 500\nenv = true", "default = 500");
    project.write("mainstay.toml", &less);
    project.mainstay(&["reload"]).ok();
    project.kill_and_wait("web", "up");
    assert_eq!(told(&project), [greeting, own], "from the next life on");
}
