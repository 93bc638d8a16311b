//! The whole supervisor allocates nothing from the wake-up that tells of a death to the making of the next life. Core and
//! launch are held to that by tests/no_allocation.rs; what the driver says to the logger in between is written into memory
//! that was used before.
#![allow(clippy::unwrap_used)]
#![cfg(all(target_arch = "x86_64", target_env = "gnu"))]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::Project;

const KILLS: usize = 100;
const WARM_UP: usize = 20;

// What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod otp {
    use super::*;

    #[test]
    fn o01_nothing_is_allocated_from_exit_to_exec_in_the_whole_supervisor() {
        check("");
    }

    /// A black box for each life, and a keeper that is told of it, cost no memory on the way.
    #[test]
    fn o01_a_black_box_allocates_nothing_more() {
        check("[flag.checkout]\ndefault = false\n");
    }

    #[track_caller]
    fn check(more: &str) {
        let project = Project::new(&format!(
            "name = \"count\"\n[service.one]\ncommand = [\"sleep\", \"100000\"]\n\
         restart = {{ policy = \"permanent\", max = 100000, within = \"1s\" }}\nbackoff = \"none\"\n{more}"
        ));
        let counter = project.path("allocations.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/allocations.c");
        let built =
            Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&counter).arg(source).status();
        assert!(built.expect("a C compiler").success());
        let counts = project.path("counts");
        fs::write(&counts, "").unwrap();
        let mut run = project.command(&["run", "-d", "--wait", "--timeout", "60s"]);
        support::outcome(run.env("LD_PRELOAD", &counter).env("ALLOCATIONS", &counts)).ok();

        for _ in 0..WARM_UP {
            project.kill_and_wait("one", "up");
        }
        let before = fs::read_to_string(&counts).unwrap().lines().count();
        for _ in 0..KILLS {
            project.kill_and_wait("one", "up");
        }
        let counts = fs::read_to_string(&counts).unwrap();
        let mut counts: Vec<u32> = counts.lines().skip(before).map(|line| line.parse().unwrap()).collect();
        assert_eq!(counts.len(), KILLS, "{counts:?}");
        // Some wake-ups tell of a client as well, who is answered first.
        counts.sort_unstable();
        assert_eq!(counts[KILLS / 2], 0, "{counts:?}");
    }
}
