//! The boards of `readers/vectors.json`, built and damaged. Also part of `examples/vectors.rs`.

use mainstay::board::{Entry, Setting, Writer};
use mainstay::flags::{Packed, Truth, Value};
use serde_json::Value as Json;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

/// All vectors.
pub fn vectors() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/vectors.json");
    serde_json::from_str(&fs::read_to_string(path).expect("the vectors")).expect("JSON")
}

/// Builds a board in `directory`, which is made. Dropping the writer leaves it as it is.
pub fn build(board: &Json, directory: &Path) -> Writer {
    fs::create_dir_all(directory).expect("a directory");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o711)).expect("it is ours");
    Writer::create(directory, &entries(&board["flags"]), 0).expect("a board").0
}

/// Does to a board what a step says before its questions.
pub fn act(step: &Json, writer: &mut Writer, directory: &Path) {
    if let Some(flags) = step.get("set") {
        let entries = entries(flags);
        let all: Vec<(&str, Setting)> =
            entries.iter().map(|entry| (entry.name.as_str(), entry.setting.clone())).collect();
        writer.set_all(&all).expect("set");
    }
    if let Some(flags) = step.get("declare") {
        writer.declare(&entries(flags)).expect("declared");
    }
    let open = || OpenOptions::new().write(true).open(directory.join("board")).expect("the board");
    if let Some(bytes) = step.get("truncate") {
        open().set_len(number(bytes)).expect("truncated");
    }
    if let Some(fill) = step.get("fill") {
        let file = open();
        let (from, to) = (number(&fill[0]), number(&fill[1]));
        let to = if to == 0 { file.metadata().expect("its length").len() } else { to };
        file.write_all_at(&vec![number(&fill[2]) as u8; (to - from) as usize], from).expect("written");
    }
    for add in step.get("add").and_then(Json::as_array).into_iter().flatten() {
        let file =
            OpenOptions::new().read(true).write(true).open(directory.join("board")).expect("the board");
        let mut byte = [0];
        file.read_exact_at(&mut byte, number(&add[0])).expect("a byte");
        file.write_all_at(&[byte[0].wrapping_add(number(&add[1]) as u8)], number(&add[0])).expect("written");
    }
    if step.get("copy").is_some() {
        fs::copy(directory.join("board"), directory.join("copy")).expect("copied");
        for name in [".kept/board", "board"] {
            fs::remove_file(directory.join(name)).expect("removed");
            fs::hard_link(directory.join("copy"), directory.join(name)).expect("linked");
        }
    }
    if let Some(mode) = step.get("mode") {
        fs::set_permissions(directory, fs::Permissions::from_mode(number(mode) as u32)).expect("ours");
    }
    for name in step.get("unlink").and_then(Json::as_array).into_iter().flatten() {
        fs::remove_file(directory.join(name.as_str().expect("a name"))).expect("removed");
    }
}

fn number(json: &Json) -> u64 {
    json.as_u64().expect("a number")
}

fn entries(flags: &Json) -> Vec<Entry> {
    flags.as_array().expect("flags").iter().map(entry).collect()
}

fn entry(flag: &Json) -> Entry {
    let strings = |key: &str| {
        let all = flag.get(key).and_then(Json::as_array);
        all.map(|all| all.iter().map(|one| one.as_str().expect("a string").to_owned()).collect::<Vec<_>>())
    };
    let value = if let Some(on) = flag.get("value") {
        if on.as_bool().expect("a boolean") { Value::On } else { Value::Off }
    } else if let Some(share) = flag.get("share") {
        Value::Share(number(share) as u32)
    } else if let Some(stage) = flag.get("stage") {
        Value::Stage(number(stage) as u32)
    } else if let Some(number) = flag.get("int") {
        Value::Int(number.as_i64().expect("a number"))
    } else {
        Value::Text(Packed::new(flag["text"].as_str().expect("a text")).expect("not too long"))
    };
    let truth = Truth { value, disabled: flag.get("disabled").is_some() };
    Entry {
        name: flag["name"].as_str().expect("a name").to_owned(),
        salt: flag.get("salt").map_or("", |salt| salt.as_str().expect("a salt")).to_owned(),
        setting: Setting { truth, instances: strings("instances") },
        allow: strings("allow").unwrap_or_default(),
        deny: strings("deny").unwrap_or_default(),
        stages: strings("stages").unwrap_or_default(),
    }
}
