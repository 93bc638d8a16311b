//! Text → plan: what every mistake says, word for word. What every key means is in `config_plan`.
//!
//! Each file of `tests/fixtures/config` is read as `mainstay.toml`; what is said about it stands beside it.

use mainstay::config::{self, Configuration, Diagnostics, Origin};
use std::io;
use std::path::Path;

/// Reads `text` as `/srv/shop/mainstay.toml`, beside which a `bad.env` stands.
fn parse(text: &[u8]) -> Result<Configuration, Diagnostics> {
    let env_files = |path: &Path| match path.to_str() {
        Some("/srv/shop/bad.env") => Ok("A=1\nno equals sign\nB='open\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(text, &Origin { env_files: &env_files, ..origin })
}

/// The errors and the last line, as `check` shows them.
fn mistakes(text: impl AsRef<[u8]>) -> String {
    parse(text.as_ref()).expect_err("the text has a mistake").to_string()
}

fn check_fixture(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(name);
    let text = std::fs::read(path.with_extension("toml")).expect("the fixture is there");
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("fixtures/config");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings
    };
    settings.bind(|| insta::assert_snapshot!(name, mistakes(text)));
}

#[test]
fn the_mistake_of_the_first_five_minutes_reads_as_promised() {
    check_fixture("first_five_minutes");
}

#[test]
fn every_unknown_field_is_found_and_the_right_one_suggested() {
    check_fixture("unknown_fields");
}

#[test]
fn what_is_planned_and_not_there_yet_is_said_plainly() {
    check_fixture("not_available");
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    check_fixture("wrong_types");
    check_fixture("not_a_table");
}

#[test]
fn a_value_that_makes_no_sense_says_why() {
    check_fixture("values");
    check_fixture("flag_values");
}

#[test]
fn health_checks_and_watchdogs_that_make_no_sense_say_why() {
    check_fixture("health");
}

#[test]
fn an_id_stands_in_one_list_once_and_the_lists_are_short() {
    check_fixture("flag_lists");
    let ids = |n: usize| (0..n).map(|i| format!("\"u{i}\"")).collect::<Vec<_>>().join(", ");
    assert!(parse(format!("[flag.a]\nallow = [{}]\n", ids(64)).as_bytes()).is_ok());
    let found = mistakes(format!("[flag.a]\nallow = [{}]\ndeny = ['x']\n", ids(64)));
    assert!(found.contains("`allow` and `deny` hold 65 ids, 64 are allowed in both"), "{found}");
    let found = mistakes(format!("[flag.a]\nallow = ['x']\ndeny = [{}]\n", ids(65)));
    assert!(found.contains("hold 66 ids") && found.contains("mainstay.toml:3:8"), "{found}");
    assert!(parse(format!("[flag.a]\nallow = ['{}']\n", "é".repeat(512)).as_bytes()).is_ok());
    let found = mistakes(format!("[flag.a]\nallow = ['{}']\n", "x".repeat(1025)));
    assert!(found.contains("an id has 1 to 1024 bytes, this one has 1025"), "{found}");
}

#[test]
fn what_flags_and_stages_say_about_each_other_is_looked_up() {
    check_fixture("flag_relations");
}

#[test]
fn a_guard_that_makes_no_sense_says_why() {
    check_fixture("guards");
}

#[test]
fn every_mistake_about_telemetry_is_said_where_it_stands() {
    check_fixture("telemetry");
    check_fixture("telemetry_elsewhere");
}

#[test]
fn a_migration_that_makes_no_sense_says_why() {
    check_fixture("migrations");
    let stages = |n: usize| {
        let stages: String = (1..=n)
            .map(|i| format!("[flag.f{i}]\n[[migration.m.stage]]\nname = 's{i}'\non = ['f{i}']\n"))
            .collect();
        parse(stages.as_bytes())
    };
    assert!(stages(1000).is_ok());
    assert!(stages(1001).unwrap_err().to_string().contains("1001 stages, 1000 are allowed"));
}

#[test]
fn a_long_circle_of_flags_is_told_once_and_cut() {
    let text: String = (0..100).map(|i| format!("[flag.f{i}]\nrequires = 'f{}'\n", (i + 1) % 100)).collect();
    let found = parse(text.as_bytes()).unwrap_err();
    assert_eq!(found.errors(), 1, "{found}");
    let said = &found.list[0].message;
    assert!(said.contains("in a circle: `f0` → `f1`") && said.contains("(89 more)"), "{said}");
    assert!(said.ends_with("→ `f0`"), "{said}");
    // A line that ends in a circle is none of it.
    let found = mistakes("[flag.a]\nrequires = 'b'\n[flag.b]\nrequires = 'c'\n[flag.c]\nrequires = 'b'\n");
    assert!(found.contains("in a circle: `b` → `c` → `b`") && found.contains("1 error,"), "{found}");
}

#[test]
fn an_expired_flag_is_a_warning_from_the_day_after() {
    let text = b"[flag.a]\nexpires = '2026-12-31'\n[flag.b]\nexpires = 2026-12-30\n";
    let on = |year: i16, month: i8, day: i8| {
        let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
        let today = Some(config::Date::constant(year, month, day));
        let configuration = config::parse(text, &Origin { today, ..origin }).expect("it is a warning only");
        assert_eq!(configuration.plan.flags[1].expires.as_deref(), Some("2026-12-30"));
        configuration.warnings.render(false)
    };
    assert_eq!(on(2026, 12, 30), "");
    let found = on(2026, 12, 31);
    assert!(
        found.contains("flag `b` expired on 2026-12-30") && found.contains("mainstay.toml:4:11"),
        "{found}"
    );
    assert!(!found.contains("flag `a`"), "{found}");
    assert!(on(2027, 1, 1).contains("flag `a` expired on 2026-12-31"));
    assert!(parse(text).expect("no day, no warning").warnings.list.is_empty());
}

#[test]
fn a_name_that_breaks_the_rule_says_which() {
    check_fixture("names");
}

#[test]
fn an_unknown_name_in_needs_or_group_is_found() {
    check_fixture("needs");
}

#[test]
fn services_that_would_wait_for_each_other_are_shown_as_a_circle() {
    check_fixture("circles");
}

#[test]
fn s9_conveniences_inside_an_otp_group_are_refused() {
    check_fixture("otp");
}

#[test]
fn errors_of_the_toml_itself_are_shown_the_same_way_and_do_not_hide_others() {
    check_fixture("syntax");
    check_fixture("unclosed");
}

#[test]
fn environment_files_that_are_missing_or_bad_are_errors_of_the_key_that_names_them() {
    check_fixture("env_files");
}

#[test]
fn warnings_come_after_errors() {
    check_fixture("warnings");
}

#[test]
fn a_template_without_quotes_in_its_header_is_told_how() {
    let found = mistakes("[service.worker@]\ncommand = 'x'\n");
    assert!(found.contains("= help: a name with `@` needs quotes: [service.\"worker@\"]"), "{found}");
    let found = mistakes("[service.web]\ncommand = 'a@b\n");
    assert!(!found.contains("needs quotes"), "{found}");
}

#[test]
fn significant_members_and_pools_have_rules_each_with_its_own_message() {
    check_fixture("significant");
    check_fixture("pools");
    check_fixture("templates");
}
