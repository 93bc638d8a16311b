//! Text → plan: what every mistake says, word for word. What every key means is in `config_plan.rs`.
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
