//! Flags in the environment of services: a snapshot for each life.

mod support;

use std::fs;
use support::Project;

const TREE: &str = r#"
name = "t"
[service.web]
command = ["sleep", "100000"]
backoff = "none"
[flag.new-checkout]
default = false
env = true
[flag."search.v2"]
default = true
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
    let search = |value: &str| format!("MAINSTAY_FLAG_SEARCH_V2={value}");
    let first = ["MAINSTAY_FLAG_NEW_CHECKOUT=off", &search("on")];
    assert_eq!(told(&project), first);
    project.mainstay(&["flag", "set", "new-checkout", "12.5%"]).ok();
    project.mainstay(&["flag", "set", "search.v2", "off"]).ok();
    assert_eq!(told(&project), first, "a life keeps what it began with");
    project.kill_and_wait("web", "up");
    assert_eq!(told(&project), ["MAINSTAY_FLAG_NEW_CHECKOUT=12.5%", &search("off")]);
    project.mainstay(&["flag", "disable", "new-checkout"]).ok();
    project.kill_and_wait("web", "up");
    assert_eq!(told(&project), [search("off")], "no opinion is no variable");

    let less = TREE.replace("default = true\nenv = true", "default = true");
    project.write("mainstay.toml", &less);
    project.mainstay(&["reload"]).ok();
    project.kill_and_wait("web", "up");
    assert_eq!(told(&project), [""; 0], "from the next life on");
}
