//! Holds `docs/otp.md` against the tests: every behaviour of OTP's supervisor stands there once and is shown by
//! tests that carry its id, or explained. Neither the table nor the tests can drift.
//!
//! The columns `shown by` and the counts follow from the tests: `OTP_TABLE=write cargo test --test otp_table`
//! writes them anew. The ids, the names and the remarks are written by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// How many behaviours each section has.
const SECTIONS: &[(char, usize)] = &[
    ('A', 19),
    ('B', 7),
    ('C', 24),
    ('D', 30),
    ('E', 12),
    ('F', 3),
    ('G', 5),
    ('H', 5),
    ('I', 9),
    ('J', 7),
    ('K', 13),
    ('L', 6),
    ('M', 18),
    ('N', 12),
    ('O', 3),
    ('P', 5),
    ('Q', 17),
];

/// Tests in these places make no process: they show a behaviour on the core, or on the configuration.
const PURE: &[&str] =
    &["tests/rules/", "tests/naive/", "tests/sim/", "tests/config", "src/supervisor/", "src/config/"];

/// At most so many behaviours may be explained and not shown.
const MAX_EXPLAINED: usize = 40;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The ids that a test's name begins with: `i05_i09_retries_count` shows I05 and I09.
fn ids(name: &str) -> Vec<String> {
    let is_id = |word: &&str| {
        let bytes = word.as_bytes();
        bytes.len() == 3 && (b'a'..=b'q').contains(&bytes[0]) && bytes[1..].iter().all(u8::is_ascii_digit)
    };
    name.split('_').take_while(is_id).map(str::to_uppercase).collect()
}

/// A test whose name begins with an id.
struct Test {
    /// `FILE::NAME`
    place: String,
    ids: Vec<String>,
    /// `cargo test otp` runs it.
    found_by_otp: bool,
}

/// All of them, by place.
fn tests() -> Vec<Test> {
    let mut files = Vec::new();
    rust_files(&root().join("tests"), &mut files);
    rust_files(&root().join("src"), &mut files);
    files.sort();
    let mut tests = Vec::new();
    for path in files {
        let file = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let mut attributes = Vec::new();
        let mut inside = file.split('/').any(|folder| folder == "otp");
        for line in text.lines() {
            let line_is_inner = line.starts_with(' ');
            let line = line.trim();
            if line == "mod otp {" {
                inside = true;
            } else if line.starts_with("#[") {
                attributes.push(line.to_owned());
                continue;
            } else if let Some(rest) = line.strip_prefix("fn ")
                && attributes.iter().any(|attribute| attribute == "#[test]")
            {
                let name = rest.split('(').next().unwrap();
                let ids = ids(name);
                if !ids.is_empty() {
                    let found_by_otp = inside && (line_is_inner || file.contains("/otp/"));
                    tests.push(Test { place: format!("{file}::{name}"), ids, found_by_otp });
                }
            }
            attributes.clear();
        }
    }
    tests
}

/// A row of the table: `| id | behaviour | shown by | remark |`.
struct Row {
    id: String,
    behaviour: String,
    remark: String,
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let [id, behaviour, _, remark] = cells[..] else { return None };
    let known = ids(&id.to_lowercase()) == [id];
    known.then(|| Row { id: id.to_owned(), behaviour: behaviour.to_owned(), remark: remark.to_owned() })
}

fn is_explained(row: &Row) -> bool {
    row.remark.starts_with("Explained: ")
}

/// The document as the tests say that it must be.
fn render(text: &str, shown: &BTreeMap<String, Vec<String>>) -> String {
    let (mut pure, mut process, mut both, mut explained) = (0, 0, 0, 0);
    let mut rendered = String::new();
    for line in text.lines() {
        let Some(row) = row(line) else {
            writeln!(rendered, "{line}").unwrap();
            continue;
        };
        let places = shown.get(&row.id).map_or(&[][..], Vec::as_slice);
        let is_pure = |place: &&String| PURE.iter().any(|pure| place.starts_with(pure));
        match (places.iter().filter(is_pure).count(), places.len()) {
            (_, 0) => explained += 1,
            (0, _) => process += 1,
            (pures, all) if pures == all => pure += 1,
            _ => both += 1,
        }
        let cells: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        let Row { id, behaviour, remark } = row;
        writeln!(rendered, "| {id} | {behaviour} | {} | {remark} |", cells.join("<br>")).unwrap();
    }
    let all = pure + process + both + explained;
    let counts = format!(
        "Of {all} behaviours, {pure} are shown on the core or the configuration alone, {process} with real \
         processes alone, {both} both ways, and {explained} are explained."
    );
    let lines: Vec<&str> = rendered
        .lines()
        .map(|line| if line.starts_with("Of ") && line.ends_with(" are explained.") { &counts } else { line })
        .collect();
    lines.join("\n") + "\n"
}

#[test]
fn every_behaviour_stands_in_the_table_once_and_in_order() {
    let text = fs::read_to_string(root().join("docs/otp.md")).unwrap();
    let present: Vec<String> = text.lines().filter_map(row).map(|row| row.id).collect();
    let section = |(letter, count): &(char, usize)| {
        let letter = *letter;
        (1..=*count).map(move |at| format!("{letter}{at:02}"))
    };
    let expected: Vec<String> = SECTIONS.iter().flat_map(section).collect();
    assert_eq!(present, expected);
}

#[test]
fn every_behaviour_is_shown_by_tests_or_explained() {
    let text = fs::read_to_string(root().join("docs/otp.md")).unwrap();
    let tests = tests();
    let mut explained = 0;
    for row in text.lines().filter_map(row) {
        let shown = tests.iter().any(|test| test.ids.contains(&row.id));
        assert_ne!(shown, is_explained(&row), "{}: shown by a test, or explained, and not both", row.id);
        explained += usize::from(!shown);
        if !shown {
            assert!(row.remark.len() > 80, "{}: is this a reason that convinces? {}", row.id, row.remark);
        }
    }
    assert!(explained <= MAX_EXPLAINED, "{explained} behaviours are only explained");
}

#[test]
fn the_table_names_exactly_the_tests_that_there_are() {
    let path = root().join("docs/otp.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for test in tests() {
        for id in test.ids {
            shown.entry(id).or_default().push(test.place.clone());
        }
    }
    let expected = render(&text, &shown);
    if std::env::var_os("OTP_TABLE").is_some_and(|word| word == "write") {
        fs::write(&path, &expected).unwrap();
        return;
    }
    let differs = text.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        text == expected,
        "docs/otp.md is not what the tests say; `OTP_TABLE=write cargo test --test otp_table` writes it anew. \
         First difference (is, should be): {differs:#?}"
    );
    let behaviours: Vec<String> = text.lines().filter_map(row).map(|row| row.id).collect();
    for id in shown.keys() {
        assert!(behaviours.contains(id), "a test names {id}, which is no behaviour of the table");
    }
}

#[test]
fn each_rule_of_e_to_m_was_broken_on_purpose_and_a_test_of_it_noticed() {
    let text = fs::read_to_string(root().join("docs/otp.md")).unwrap();
    let tests = tests();
    let mut broken = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [id, what, noticed_by] = cells[..] else { continue };
        if ids(&id.to_lowercase()) != [id] {
            continue;
        }
        let name = format!("::{}", noticed_by.trim_matches('`'));
        let noticed = tests.iter().find(|test| test.place.ends_with(&name));
        assert!(noticed.is_some_and(|test| test.ids.contains(&id.to_owned())), "{id}, {what}: {noticed_by}?");
        broken.push(id);
    }
    let rules =
        text.lines().filter_map(row).filter(|row| ('E'..='M').contains(&row.id.chars().next().unwrap()));
    // These two have no place in the core.
    for row in rules.filter(|row| !is_explained(row) && !matches!(&*row.id, "K12" | "L03")) {
        assert!(broken.contains(&&*row.id), "{}: what if this line of the core were wrong?", row.id);
    }
}

#[test]
fn every_test_of_a_behaviour_is_run_by_cargo_test_otp() {
    let tests = tests();
    assert!(tests.len() > 200, "only {} tests: has the way they are written changed?", tests.len());
    let hidden: Vec<&str> = tests.iter().filter(|test| !test.found_by_otp).map(|test| &*test.place).collect();
    assert!(hidden.is_empty(), "not in a module named otp:\n  {}", hidden.join("\n  "));
}
