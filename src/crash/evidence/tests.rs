//! Tests: boxes of any content, and what is told of them.

use super::*;
use crate::blackbox::layout::{CELLS, HEADER};
use proptest::prelude::*;

const S: u64 = 1_000_000_000;

fn died() -> Instant {
    Instant::from_nanos(100 * S)
}

fn open(span: u64, parent: u64, name: &str) -> blackbox::OpenSpan {
    let since = Instant::from_nanos((90 + span) * S);
    blackbox::OpenSpan { span, parent, name: name.into(), since, ..blackbox::OpenSpan::default() }
}

fn order(spans: &[(u64, u64)]) -> Vec<(String, u32)> {
    let spans = spans.iter().map(|(span, parent)| open(*span, *parent, &span.to_string())).collect();
    in_tree_order(spans, &HashMap::new(), died()).into_iter().map(|span| (span.name, span.depth)).collect()
}

#[track_caller]
fn check(spans: &[(u64, u64)], expected: &[(&str, u32)]) {
    let expected: Vec<(String, u32)> =
        expected.iter().map(|(name, depth)| ((*name).into(), *depth)).collect();
    assert_eq!(order(spans), expected);
}

#[test]
fn each_span_is_behind_the_one_that_it_is_a_part_of() {
    check(&[(1, 0), (2, 1), (3, 2)], &[("1", 0), ("2", 1), ("3", 2)]);
    check(&[(1, 0), (2, 0), (3, 1), (4, 2), (5, 1)], &[("1", 0), ("3", 1), ("5", 1), ("2", 0), ("4", 1)]);
    check(&[(2, 99), (3, 2)], &[("2", 0), ("3", 1)]);
}

#[test]
fn a_circle_of_spans_is_shown_once_and_ends() {
    check(&[(1, 1)], &[("1", 0)]);
    check(&[(1, 2), (2, 1)], &[("1", 0), ("2", 1)]);
    check(&[(3, 5), (4, 3), (5, 4), (6, 0)], &[("6", 0), ("3", 0), ("4", 1), ("5", 2)]);
}

#[test]
fn a_clock_that_is_ahead_is_at_the_death() {
    let late = blackbox::OpenSpan { since: Instant::from_nanos(u64::MAX), ..open(1, 0, "late") };
    assert_eq!(in_tree_order(vec![late, open(2, 0, "fine")], &HashMap::new(), died())[1].open_ns, 8 * S);
    assert_eq!(before(Instant::from_nanos(u64::MAX), died()), 0);
}

#[test]
fn a_flag_is_told_by_its_name_and_as_what_it_was_seen() {
    let share = Body::Flag { held: Held::Share { share: 25_000, lists: false }, disabled: false };
    let on = Body::Flag { held: Held::On { lists: false }, disabled: false };
    let text = Body::Flag { held: Held::Text(7), disabled: false };
    let hash = name_hash("checkout").unwrap();
    let truth = Truth { value: Value::On, disabled: false };
    let names = Names([(hash, ("checkout".to_owned(), on.to_bits(), truth))].into());
    let flag = |hash: u64, body: Body| {
        let seen =
            blackbox::Seen { hash, body: body.to_bits(), generation: 4, at: Instant::from_nanos(98 * S) };
        names.flag(&seen, died())
    };
    let seen = flag(hash, on);
    assert_eq!((&*seen.name, &*seen.value, seen.before_ns, seen.generation), ("checkout", "true", 2 * S, 4));
    assert!(!seen.changed_since);
    let older = flag(hash, share);
    assert_eq!((&*older.value, older.changed_since), ("25%", true));
    assert_eq!(flag(hash, text).value, "another value");
    assert_eq!(flag(hash, Body::Removed).value, "not declared");
    assert_eq!(flag(7, on).name, "0000000000000007");
}

#[test]
fn an_empty_box_says_nothing_and_asks_no_board() {
    let image = Image::from_words(HEADER.to_vec());
    let evidence = Evidence::of(&image, died(), || panic!("nobody was read"));
    assert_eq!(evidence, Evidence::default());
    assert!(evidence.unsaid.is_nothing());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_box_of_any_content_is_told_within_bounds(seed in any::<u64>(), density in 0u32..8, small in any::<bool>()) {
        let mut state = seed;
        let words = (0..CELLS).map(|_| {
            state = crate::flags::mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            let word = if small { state >> 56 } else { state };
            if state as u32 % 8 < density { word } else { 0 }
        });
        let evidence = Evidence::of(&Image::from_words(words.collect()), died(), || None);
        prop_assert!(evidence.doing.len() <= SPANS && evidence.context.len() <= CONTEXTS);
        prop_assert!(evidence.events.len() <= EVENTS && evidence.flags.len() <= FLAGS);
        let record = crate::crash::Record { doing: evidence.doing, context: evidence.context, events: evidence.events, ..Default::default() };
        prop_assert!(serde_json::to_string(&record).unwrap().len() < 512 << 10);
    }
}
