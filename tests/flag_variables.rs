//! Flags in the environment of services: a snapshot for each life.

mod support;

use mainstay::sys::procfs::environment;
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
    told_to(project, "web")
}

fn told_to(project: &Project, instance: &str) -> Vec<String> {
    let environment = environment(project.pid(instance) as u32).unwrap();
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

const POOL: &str = r#"
name = "t"
[service.web]
command = ["sleep", "100000"]
instances = 4
backoff = "none"
[flag.canary]
percent = 25
unit = "instance"
services = ["web"]
env = true
[flag.batch-size]
default = 500
value = -3
env = true
[flag.log-level]
default = "info"
env = true
"#;

const WEB: [&str; 4] = ["web#1", "web#2", "web#3", "web#4"];

/// What each instance is told of the canary, and what a reader says who asks for that instance.
fn canaries(project: &Project) -> (Vec<String>, Vec<String>) {
    let of = |instance: &str| {
        let told = told_to(project, instance).into_iter().find(|one| one.contains("CANARY"));
        told.unwrap_or_else(|| panic!("{instance} is told nothing"))
    };
    let read = |instance: &str| match project.mainstay(&["flag", "on", "canary", "--id", instance]).code {
        0 => "MAINSTAY_FLAG_CANARY=on".to_owned(),
        1 => "MAINSTAY_FLAG_CANARY=off".to_owned(),
        other => panic!("{instance}: {other}"),
    };
    (WEB.iter().map(|one| of(one)).collect(), WEB.iter().map(|one| read(one)).collect())
}

#[test]
fn of_a_share_by_instances_each_life_is_told_what_it_means_for_it() {
    let project = Project::running(POOL);
    for (share, on) in [(None, 1), (Some("50%"), 2), (Some("on"), 4), (Some("off"), 0)] {
        if let Some(share) = share {
            project.mainstay(&["flag", "set", "canary", share]).ok();
            for one in WEB {
                project.kill_and_wait(one, "up");
            }
        }
        let (told, read) = canaries(&project);
        assert_eq!(told, read, "at {share:?}");
        assert_eq!(told.iter().filter(|one| one.ends_with("=on")).count(), on, "at {share:?}: {told:?}");
    }
    project.mainstay(&["flag", "disable", "canary"]).ok();
    project.kill_and_wait("web#1", "up");
    let told = told_to(&project, "web#1");
    assert_eq!(
        told,
        ["MAINSTAY_FLAG_BATCH_SIZE=-3", "MAINSTAY_FLAG_LOG_LEVEL=info"],
        "no opinion is no variable"
    );
}

#[test]
fn numbers_and_texts_are_told_as_they_are() {
    let project = Project::running(POOL);
    let other = |project: &Project| {
        let told = told_to(project, "web#1");
        told.into_iter().filter(|one| !one.contains("CANARY")).collect::<Vec<_>>()
    };
    assert_eq!(other(&project), ["MAINSTAY_FLAG_BATCH_SIZE=-3", "MAINSTAY_FLAG_LOG_LEVEL=info"]);
    for (number, text) in [("9223372036854775807", "on = off; \"é\" %"), ("0", "a\nb"), ("-1", "")] {
        project.mainstay(&["flag", "set", "batch-size", number]).ok();
        project.mainstay(&["flag", "set", &format!("log-level={text}")]).ok();
        project.kill_and_wait("web#1", "up");
        let told = [format!("MAINSTAY_FLAG_BATCH_SIZE={number}"), format!("MAINSTAY_FLAG_LOG_LEVEL={text}")];
        assert_eq!(other(&project), told);
    }
    project.mainstay(&["flag", "disable", "batch-size"]).ok();
    project.kill_and_wait("web#1", "up");
    assert_eq!(other(&project), ["MAINSTAY_FLAG_LOG_LEVEL="]);
}
