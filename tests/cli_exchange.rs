//! `flag export` and `flag import`, to the letter: own TOML and flagd's JSON, out of one board and into another, with the errors
//! that stop an import before anything is changed. A real keeper answers.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::Stdio;
use support::Project;

const CONFIGURATION: &str = r#"
name = "shop"

[service.web]
command = ["sleep", "100000"]

[flag.new-checkout]
default = false

[flag.search]
percent = 12.5

[flag.limit]
default = 10

[flag.log-level]
default = "info"

[flag.use-registry]

[migration.registry]
guard = false

[[migration.registry.stage]]
name = "shared"
on   = ["use-registry"]
"#;

#[track_caller]
fn check(project: &Project, line: &str, code: i32, stdout: &str, stderr: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is = project.mainstay(&words);
    let clean = |text: String| text.replace(&project.folder().display().to_string(), "DIR");
    assert_eq!(
        (is.code, clean(is.stdout).as_str(), clean(is.stderr).as_str()),
        (code, stdout, stderr),
        "mainstay {line}"
    );
}

const DEFAULTS: &str = r#"# What flags and migrations were set to; `mainstay flag import` sets them so again.

[flag."limit"]
value = 10

[flag."log-level"]
value = "info"

[flag."new-checkout"]
value = false

[flag."search"]
percent = 12.5

[flag."use-registry"]
value = false

[migration."registry"]
at = 0
"#;

const CHANGED: &str = r#"# What flags and migrations were set to; `mainstay flag import` sets them so again.

[flag."limit"]
value = -3

[flag."log-level"]
value = 'a "b" c'

[flag."new-checkout"]
value = true
disabled = true

[flag."search"]
percent = 50

[flag."use-registry"]
value = true

[migration."registry"]
at = "shared"
"#;

const FLAGD: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "new-checkout": {
      "state": "DISABLED",
      "variants": {
        "on": true,
        "off": false
      },
      "defaultVariant": "on"
    },
    "search": {
      "state": "ENABLED",
      "variants": {
        "on": true,
        "off": false
      },
      "defaultVariant": "off",
      "targeting": {
        "fractional": [
          [
            "on",
            50000
          ],
          [
            "off",
            50000
          ]
        ]
      }
    },
    "use-registry": {
      "state": "ENABLED",
      "variants": {
        "on": true,
        "off": false
      },
      "defaultVariant": "on"
    }
  }
}
"#;

/// What flagd has no word for.
const LOST: [&str; 3] = [
    "`limit`: it is of kind \"int\"; only flags that are on or off are exchanged with flagd",
    "`log-level`: it is of kind \"text\"; only flags that are on or off are exchanged with flagd",
    "`registry`: flagd has no migrations",
];

#[test]
fn what_is_set_is_written_and_read_again_and_nothing_else_is_changed() {
    let project = Project::running(CONFIGURATION);
    check(&project, "flag export", 0, DEFAULTS, "");
    project
        .mainstay(&["flag", "set", "search=50%", "limit=-3", "log-level=a \"b\" c", "new-checkout=on"])
        .ok();
    project.mainstay(&["flag", "disable", "new-checkout"]).ok();
    project.mainstay(&["stage", "enable", "registry", "shared", "--why", "a test"]).ok();
    check(&project, "flag export", 0, CHANGED, "");
    let json = serde_json::json!({ "schema": 1, "format": "toml", "text": CHANGED, "lost": [] });
    let is: serde_json::Value =
        serde_json::from_str(&project.mainstay(&["flag", "export", "--json"]).ok()).unwrap();
    assert_eq!(is, json);
    let refused = format!("mainstay: {}\nhint: leave it out with --lenient\n", LOST.join("\n"));
    check(&project, "flag export --format flagd", 1, "", &refused);
    let warned: String = LOST.iter().map(|lost| format!("warning: left out: {lost}\n")).collect();
    check(&project, "flag export --format flagd --lenient", 0, FLAGD, &warned);
    // Into another board, and out of it again; what is there already is said to be.
    project.write("changed.toml", CHANGED);
    project.mainstay(&["flag", "reset", "--all", "--why", "a test"]).ok();
    check(&project, "flag export", 0, &DEFAULTS.replace("percent = 12.5", "value = false"), "");
    project.mainstay(&["flag", "import", "changed.toml", "--why", "a test"]).ok();
    check(&project, "flag export", 0, CHANGED, "");
}

#[test]
fn what_cannot_be_taken_is_told_with_its_place_and_nothing_is_changed() {
    let project = Project::running(CONFIGURATION);
    project.write("wrong.toml", "[flag.limit]\nvalue = \"many\"\n\n[flag.search]\npercent = 50\n");
    check(
        &project,
        "flag import wrong.toml",
        78,
        "",
        "error: flag `limit` is of kind \"int\" here and cannot be \"many\"\n --> wrong.toml:2:9\n  |\n2 | value = \"many\"\n  |         ^^^^^^\nnothing was changed\n",
    );
    project.write("unknown.toml", "[flag.limti]\nvalue = 3\n\n[flag.search]\npercent = 50\n");
    check(
        &project,
        "flag import unknown.toml",
        78,
        "",
        "error: there is no flag `limti` here, so it cannot be set\n --> unknown.toml:1:7\n  |\n1 | [flag.limti]\n  |       ^^^^^\n  |\n  = help: did you mean `limit`?\nnothing was changed\n",
    );
    check(
        &project,
        "flag import unknown.toml --lenient",
        0,
        "search 12.5% -> 50%  generation 2\n",
        "warning: there is no flag `limti` here, so it cannot be set\n --> unknown.toml:1:7\n  |\n1 | [flag.limti]\n  |       ^^^^^\n  |\n  = help: did you mean `limit`?\n",
    );
    check(&project, "flag set search 12.5%", 0, "search 50% -> 12.5%  generation 3\n", "");
    project.write("stage.toml", "[migration.registry]\nat = \"shred\"\n\n[flag.search]\npercent = 50\n");
    check(
        &project,
        "flag import stage.toml",
        2,
        "",
        "mainstay: migration `registry` has no stage `shred`; nothing was changed\nhint: mainstay stage status\n",
    );
    project.write("broken.toml", "[flag\n");
    check(
        &project,
        "flag import broken.toml",
        78,
        "",
        "error: unclosed table, expected `]`\n --> broken.toml:1:6\n  |\n1 | [flag\n  |      ^\nnothing was changed\n",
    );
    check(
        &project,
        "flag import nowhere.toml",
        1,
        "",
        "mainstay: cannot read `nowhere.toml`: No such file or directory (os error 2)\n",
    );
    project.write("flagd.json", "{\"flags\": {\"limit\": 3}}");
    check(
        &project,
        "flag import flagd.json",
        78,
        "",
        "error: flag `limit` is not an object\n --> flagd.json:1:21\n  |\n1 | {\"flags\": {\"limit\": 3}}\n  |                     ^\nnothing was changed\n",
    );
    check(&project, "flag get limit", 0, "10\n", "");
    check(&project, "flag get search", 0, "12.5%\n", "");
    check(&project, "flag get registry", 0, "0\n", "");
}

#[test]
fn a_stage_that_does_not_exist_stops_an_import_before_any_other_migration_is_moved() {
    let more = "\n[flag.use-spans]\n[migration.another]\nguard = false\n[[migration.another.stage]]\nname = \"spans\"\non = [\"use-spans\"]\n";
    let project = Project::running(&format!("{CONFIGURATION}{more}"));
    project
        .write("stages.toml", "[migration.another]\nat = \"spans\"\n[migration.registry]\nat = \"shred\"\n");
    let wrong = "mainstay: migration `registry` has no stage `shred`; nothing was changed\nhint: mainstay stage status\n";
    check(&project, "flag import stages.toml --why test", 2, "", wrong);
    check(&project, "flag get another", 0, "0\n", "");
}

#[test]
fn what_flagd_says_is_taken_from_its_json_and_from_the_standard_input() {
    let project = Project::running(CONFIGURATION);
    let text = r#"{"flags": {
        "search": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
                   "targeting": {"fractional": [["on", 25], ["off", 75]]}},
        "new-checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}}}"#;
    project.write("flagd.json", text);
    check(
        &project,
        "flag import flagd.json",
        0,
        "search 12.5% -> 25%  generation 2\nnew-checkout off -> on  generation 2\n",
        "",
    );
    check(
        &project,
        "flag import flagd.json",
        0,
        "search is 25% already  generation 2\nnew-checkout is on already  generation 2\n",
        "",
    );
    let mut child =
        project.command(&["flag", "import", "-", "--format", "toml"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[flag.limit]\nvalue = 7\n").unwrap();
    assert!(child.wait().unwrap().success());
    check(&project, "flag get limit", 0, "7\n", "");
    project.shutdown();
    check(
        &project,
        "flag import flagd.json",
        69,
        "",
        "mainstay: no supervisor answers at DIR/run/control/keeper: No such file or directory (os error 2)\nhint: start it with `mainstay run`, or name another project with --config or --project\n",
    );
}
