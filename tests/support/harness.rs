//! The tests of a program that is also something else, depending on how it is started: named, listed and run as libtest does.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// Lists the tests, or runs those that the words of the command line name.
pub fn main(tests: &[(&str, fn())]) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let is_exact = words.iter().any(|word| word == "--exact");
    let fits =
        |name: &str, filter: &String| if is_exact { name == filter } else { name.contains(filter.as_str()) };
    let is_meant = |name: &str| filters.is_empty() || filters.iter().any(|filter| fits(name, filter));
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| is_meant(name)) {
        let went_well = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if went_well { "ok" } else { "FAILED" });
        if went_well { passed += 1 } else { failed.push(name) }
    }
    let (result, filtered) =
        (if failed.is_empty() { "ok" } else { "FAILED" }, tests.len() - passed - failed.len());
    println!(
        "\ntest result: {result}. {passed} passed; {} failed; 0 ignored; 0 measured; {filtered} filtered out",
        failed.len()
    );
    failed.iter().for_each(|name| println!("failed: {name}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
