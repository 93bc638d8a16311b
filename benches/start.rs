//! What a start costs the caller, beside the standard library's ways, in one run: `cargo bench --bench start`.
//!
//! The time is from the call until the program is executing and, for all alike, until it was reaped.

use divan::Bencher;
use mainstay::sys::launch::{Environment, Launch, Program, Request};
use mainstay::sys::pidfd;
use std::process::Command;
use std::sync::Arc;

fn main() {
    divan::main();
}

#[divan::bench]
fn launch_from_a_table(bencher: Bencher) {
    let mut request = Request::new(Program::Named("/bin/true".into()), vec!["true".into()]);
    request.environment = Arc::new(Environment::inherited(|_| false));
    let mut launch = Launch::new(request).expect("/bin/true can be prepared");
    bencher.bench_local(|| {
        let started = launch.start(&[], None).expect("/bin/true starts");
        pidfd::wait(&started.pidfd).expect("it is our child")
    });
}

#[divan::bench]
fn standard_library(bencher: Bencher) {
    bencher.bench_local(|| Command::new("/bin/true").status().expect("/bin/true starts"));
}

/// From a parent that has 256 MiB of memory in use: a fork copies its page tables, a table does not.
#[divan::bench]
fn launch_from_a_large_parent(bencher: Bencher) {
    let memory = vec![1u8; 256 << 20];
    launch_from_a_table(bencher);
    divan::black_box(&memory);
}
