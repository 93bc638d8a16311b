//! What the supervisor and the keeper say to each other, with real processes and a keeper that a test plays.
//!
//! This program is three: the tests; `mainstay` (whatever its words are, so a supervisor that it becomes starts its
//! built-in services from it); and, as `@keeper`, one that hands everything it hears to the test and says what the
//! test wants said.

#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/mod.rs"]
mod support;

mod boxes;
mod changes;
mod feed;
mod fresh;
mod greeting;
mod played;
mod reload;
mod rig;

use std::process::ExitCode;

const TESTS: &[(&str, fn())] = &[
    (
        "greeting::each_life_of_the_keeper_hears_of_everything_from_the_beginning",
        greeting::from_the_beginning,
    ),
    ("greeting::children_that_come_and_go_are_told", greeting::come_and_go),
    ("greeting::a_supervisor_that_left_without_a_goodbye_is_told", greeting::abrupt),
    ("feed::what_is_kept_comes_first_then_what_happens_and_nothing_after_enough", feed::kept_then_live),
    ("feed::what_is_gone_from_the_ring_is_counted", feed::missed),
    ("feed::a_keeper_that_does_not_read_holds_up_nobody_and_holds_nothing", feed::held),
    ("feed::a_new_life_of_the_keeper_begins_without_a_feed", feed::none_for_a_new_life),
    ("fresh::what_gave_up_comes_back_and_what_was_stopped_does_not", fresh::gave_up_comes_back),
    ("fresh::a_parked_group_comes_back_and_the_others_keep_their_processes", fresh::parked_group),
    ("boxes::each_life_has_a_fresh_sealed_box_that_the_keeper_gets_too", boxes::fresh_for_each_life),
    ("boxes::there_is_one_also_without_flags", boxes::also_without_flags),
    (
        "reload::what_is_declared_otherwise_is_handed_to_the_keeper_and_boxes_come_with_the_next_life",
        reload::what_is_declared,
    ),
    ("changes::a_crash_record_names_the_flags_that_were_changed_before", changes::named_in_the_record),
];

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    match words.get(1).and_then(|word| word.to_str()) {
        Some("@keeper") if std::env::var_os(rig::SOCKET).is_some() => return played::keeper(),
        _ => {}
    }
    if let Some(code) = mainstay::embed::own(words.iter().skip(1).cloned()) {
        return code.into();
    }
    if std::env::var_os(rig::SOCKET).is_some() {
        let detached = words.get(1).is_some_and(|word| word == mainstay::run::DETACHED);
        let words = words.into_iter().enumerate().filter(|(at, _)| !detached || *at != 1);
        return mainstay::cli::main(words.map(|(_, word)| word), detached).into();
    }
    harness::main(TESTS)
}
