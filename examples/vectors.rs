//! Builds the boards of `readers/vectors.json`, for who writes a reader in another language:
//! `cargo run --example vectors -- DIRECTORY` makes one runtime directory for each. Their first steps are done: what
//! is damaged before the first question is damaged.

#[path = "../tests/readers/boards.rs"]
mod boards;

use std::path::PathBuf;

fn main() {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: cargo run --example vectors -- DIRECTORY");
        std::process::exit(64);
    };
    for board in boards::vectors()["boards"].as_array().expect("boards") {
        let place = directory.join(board["name"].as_str().expect("a name"));
        let mut writer = boards::build(board, &place);
        boards::act(&board["steps"][0], &mut writer, &place);
        println!("{}", place.display());
    }
}
