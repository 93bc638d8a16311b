//! The example of the manual runs as it is printed.

use crate::rig::Room;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Built with the tests.
fn program(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_mainstay")).parent().unwrap();
    let program = built.join("examples").join(name);
    assert!(program.exists(), "{} is missing: `cargo build --examples` makes it", program.display());
    program
}

/// The blocks of this kind in a text.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let begin = format!("```{kind}\n");
    text.split(&begin).skip(1).filter_map(|rest| Some(rest.split("```").next()?.to_owned())).collect()
}

#[test]
fn the_example_of_the_manual_is_the_one_that_is_tested() {
    let manual = source("docs/embedding.md");
    let example = source("examples/embedded.rs");
    assert_eq!(blocks(&manual, "rust").first(), Some(&example));
    assert!(example.lines().filter(|line| !line.trim().is_empty()).count() <= 46, "about forty lines");
}

/// In a folder of its own, as the manual says it: a service dies and comes back, children are added, all stops.
#[test]
fn the_example_does_what_the_manual_says_and_leaves_nothing() {
    let room = Room::new();
    let output = Command::new(program("embedded")).current_dir(room.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let life = said.split_once("in life ").and_then(|(_, rest)| rest.split_once('\n'));
    let life = life.unwrap_or_else(|| panic!("{said}")).0;
    // Built-ins and services share the numbers of lives.
    let expected = &blocks(&source("docs/embedding.md"), "text")[0];
    assert_eq!(said.replace(&format!("in life {life}"), "in life 5"), *expected);
    room.nothing_is_left();
}
