//! Reads the sources and says so when one breaks a rule of the house that no compiler knows.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that decide, and what they may use: each other and `time`.
const PURE: &[(&str, &[&str])] = &[
    ("src/time.rs", &[]),
    ("src/supervisor", &["supervisor", "time"]),
    ("src/flags", &["flags", "time"]),
    ("src/mapped/proof.rs", &["flags"]),
    // Of `mapped` the proofs, which are the line above.
    ("src/blackbox/layout.rs", &["blackbox", "flags", "mapped", "time"]),
    ("src/blackbox/text.rs", &["blackbox", "flags", "mapped", "time"]),
    ("src/blackbox/record.rs", &["blackbox", "flags", "time"]),
    ("src/blackbox/said.rs", &["blackbox", "flags", "time"]),
    ("src/telemetry", &["flags", "telemetry", "time"]),
    ("src/config", &["config", "flags", "supervisor", "telemetry", "time"]),
    ("src/ipc/control", &["ipc", "time"]),
    ("src/ipc/builtin.rs", &["ipc", "time"]),
    ("src/ipc/registry.rs", &["ipc", "time"]),
    ("src/services/registry/book.rs", &["exit_code", "ipc", "time"]),
    ("src/ipc/codec.rs", &["ipc", "time"]),
    ("src/ipc/seam.rs", &["ipc"]),
    ("src/driver/ring.rs", &["ipc", "supervisor", "time"]),
    ("src/driver/roster.rs", &["config", "supervisor", "time"]),
];

/// What a pure module must not name: files, processes, clocks, threads, system calls.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::thread",
    "std::net",
    "std::os",
    "std::env",
    "nix::",
    "rustix::",
    "Instant::now",
    "SystemTime",
];

fn rust_files(under: &Path, found: &mut Vec<PathBuf>) {
    if under.is_file() {
        found.push(under.to_owned());
        return;
    }
    for entry in fs::read_dir(under).unwrap_or_else(|e| panic!("{}: {e}", under.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(&root().join(under), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no sources under {under}: has it moved?");
    found
}

/// The code lines of a file: without comments, and without the test module at its end.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect()
}

/// Fails with the rule and every place where `breaks` holds for a line of code.
fn no_line(rule: &str, places: impl IntoIterator<Item = PathBuf>, breaks: impl Fn(&str) -> bool) {
    let mut found = Vec::new();
    for path in places {
        for (number, line) in code(&path) {
            if breaks(&line) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn names_another_module(line: &str, allowed: &[&str]) -> bool {
    line.split("crate::").skip(1).any(|rest| {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        !name.is_empty() && !allowed.contains(&name.as_str())
    })
}

#[test]
fn pure_modules_use_only_each_other_and_time() {
    for (place, allowed) in PURE {
        no_line("a pure module reaches for something that is not pure", files(place), |line| {
            names_another_module(line, allowed) || IMPURE.iter().any(|word| line.contains(word))
        });
    }
}

#[test]
fn unsafe_code_lives_in_sys_only() {
    let outside =
        files("src").into_iter().chain(files("bin")).filter(|p| !p.starts_with(root().join("src/sys")));
    no_line("unsafe code outside of src/sys", outside, |line| {
        line.contains("unsafe ") || line.contains("allow(unsafe_code)")
    });
}

#[test]
fn sys_has_no_policy() {
    no_line("sys knows something above it", files("src/sys"), |line| {
        names_another_module(line, &["sys", "time", "supervisor"])
    });
}

#[test]
fn nothing_sleeps_and_no_test_is_ignored() {
    let words = ["thread::sleep", "#[ignore", "todo!(", "unimplemented!("];
    let all = ["src", "bin", "tests", "examples", "benches"].into_iter().flat_map(files);
    no_line("a sleep, an ignored test or unwritten code", all.filter(|p| !p.ends_with("tidy.rs")), |line| {
        words.iter().any(|w| line.contains(w))
    });
}

#[test]
fn every_module_says_what_it_is_for() {
    for path in files("src").into_iter().chain(files("bin")) {
        assert!(
            fs::read_to_string(&path).unwrap().starts_with("//!"),
            "{} does not open with its purpose",
            path.display()
        );
    }
}

#[test]
fn the_architecture_names_every_folder() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "lib.rs" || text.contains(&format!("`{name}")),
            "docs/architecture.md does not name src/{name}"
        );
    }
}

#[test]
fn every_dependency_earns_its_place_in_a_sentence() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let text = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let mut section = "";
    let mut named = std::collections::BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let (Some((name, _)), true) = (line.split_once(" = "), section.ends_with("dependencies]")) {
            named.insert(name);
            assert!(
                text.contains(&format!("| `{name}` |")),
                "docs/dependencies.md has no sentence for `{name}`"
            );
        }
    }
    assert_eq!(
        text.matches("\n| `").count(),
        named.len(),
        "docs/dependencies.md names a crate that is not used"
    );
}
