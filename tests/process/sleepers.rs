//! A project whose services only sleep, and what must be true of it.

use crate::support::Project;
use std::fs;

pub(crate) const SLEEPERS: &str = r#"
name = "sleepers"
[defaults]
restart = { policy = "permanent", max = 100000, within = "1s" }
backoff = "none"
[service.one]
command = ["sleep", "100000"]
[service.two]
command = ["sleep", "100000"]
instances = 3
[flag.checkout]
default = false
[flag.search]
default = true
"#;

/// The pids of all processes that `status` names, built-ins included.
pub(crate) fn pids(project: &Project) -> Vec<i32> {
    let status = project.status();
    let services = status["services"].as_array().unwrap().iter();
    services.filter_map(|s| s["pid"].as_i64()).filter(|p| *p > 0).map(|p| i32::try_from(p).unwrap()).collect()
}

/// Every wanted instance is up, once, and no child of the supervisor is dead or unknown.
#[track_caller]
pub(crate) fn all_there_once(project: &Project) {
    let status = project.status();
    let supervisor = status["supervisor_pid"].as_i64().unwrap();
    let mut known = Vec::new();
    // Who begins asleep and was not needed has no process.
    let sleeps = |service: &&serde_json::Value| {
        service["instance"].as_str().unwrap().starts_with("mainstay.") && service["state"] == "stopped"
    };
    for service in status["services"].as_array().unwrap().iter().filter(|service| !sleeps(service)) {
        assert!(matches!(service["state"].as_str(), Some("up" | "ready")), "{service}");
        known.push(service["pid"].as_i64().unwrap());
    }
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
    let mut children: Vec<i64> = children.split_whitespace().map(|p| p.parse().unwrap()).collect();
    children.sort_unstable();
    known.sort_unstable();
    assert_eq!(children, known, "children of the supervisor, and what status names");
}

#[track_caller]
pub(crate) fn wait_for_all(project: &Project, after: &str) {
    for name in ["mainstay.logger", "mainstay.keeper", "one", "two#1", "two#2", "two#3"] {
        project.wait(name, "up", after);
    }
}
