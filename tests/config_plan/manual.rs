//! The manual says what the program does.

use crate::read::parse_bytes;
use mainstay::config::{self, Origin};
use std::path::Path;

/// The blocks of `docs/configuration.md` in this language, each with its line.
fn blocks(language: &str) -> Vec<(usize, String)> {
    let manual = include_str!("../../docs/configuration.md");
    let mut blocks = Vec::new();
    let mut lines = manual.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line == format!("```{language}") {
            let block: Vec<_> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push((at + 1, block.join("\n")));
        }
    }
    blocks
}

#[test]
fn every_example_of_the_manual_is_a_configuration() {
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    let origin = Origin { env_files: &|_| Ok("A=1\n".to_owned()), ..origin };
    let blocks = blocks("toml");
    assert!(blocks.len() >= 10, "the examples are found");
    for (line, block) in blocks {
        match config::parse(block.as_bytes(), &origin) {
            Ok(configuration) => assert_eq!(configuration.warnings.list, [], "line {line}"),
            Err(found) => panic!("the example at line {line} of docs/configuration.md: {found}"),
        }
    }
}

#[test]
fn every_key_that_is_read_stands_in_the_manual() {
    let manual = include_str!("../../docs/configuration.md");
    let text = "zzzzzzzz = 1\n[service.a]\ncommand = 'a'\nzzzzzzzz = 1\nrestart = { zzzzzzzz = 1 }\nbackoff = { zzzzzzzz = 1 }\n\
        ready = { zzzzzzzz = 1 }\nhealth = { zzzzzzzz = 1 }\nstop = { zzzzzzzz = 1 }\nlog = { zzzzzzzz = 1 }\ncondition = { zzzzzzzz = 1 }\n[group.b]\nzzzzzzzz = 1\n\
        restart = { zzzzzzzz = 1 }\n[flag.c]\nzzzzzzzz = 1\nguard = { zzzzzzzz = 1, errors = { zzzzzzzz = 1 } }\n\
        [guard]\nzzzzzzzz = 1\n[migration.d]\nzzzzzzzz = 1\nstage = [{ zzzzzzzz = 1 }]\n[defaults]\nzzzzzzzz = 1\nready = { zzzzzzzz = 1 }\n[log]\nzzzzzzzz = 1\n\
        [telemetry]\nzzzzzzzz = 1\nbatch = { zzzzzzzz = 1 }\nfile = { zzzzzzzz = 1 }\n";
    let found = parse_bytes(text.as_bytes()).unwrap_err();
    let lists: Vec<_> =
        found.list.iter().filter_map(|d| d.help.as_deref()?.strip_prefix("known here: ")).collect();
    assert_eq!(lists.len(), 23, "each table says what it knows");
    for key in lists.iter().flat_map(|list| list.split(", ")) {
        let written = manual.contains(&format!("`{key}`")) || manual.contains(&format!("`[{key}"));
        assert!(written, "`{key}` is not in docs/configuration.md");
    }
}

#[test]
fn the_mistake_in_the_manual_is_the_one_under_test() {
    let shown = include_str!("../fixtures/config/first_five_minutes.snap");
    assert!(blocks("text").iter().any(|(_, block)| shown.contains(block)));
}
