//! Tests: boxes of any content, and what is told of them.

use super::*;
use crate::blackbox::layout::{CELLS, HEADER};
use crate::blackbox::text::Packed;
use crate::blackbox::{Ids, Moment, Noter};
use crate::sys::own;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A box into which a life has written this.
fn written(write: impl FnOnce(&Noter<'_>)) -> Image {
    let cells: Vec<AtomicU64> = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
    HEADER.iter().zip(&cells).for_each(|(word, cell)| cell.store(*word, Ordering::Relaxed));
    let cells: Box<[AtomicU64; CELLS]> = cells.into_boxed_slice().try_into().unwrap();
    write(&Noter::new(&cells).unwrap());
    Image::from_words(cells.iter().map(|cell| cell.load(Ordering::Relaxed)).collect())
}

fn told(image: &Image) -> Evidence {
    Evidence::of(image, died(), || None)
}

fn finish(noter: &Noter<'_>, span: u64, parent: u64, until: u64, status: Status) {
    let slot = noter.slot(own::thread(), 0).unwrap();
    slot.open(Ids { span, parent, trace: 1 }, Instant::from_nanos(50 * S), &Packed::new(&span.to_string()));
    slot.change(|_, is| *is = status);
    noter.finish(slot, Instant::from_nanos(until));
}

fn panicked(noter: &Noter<'_>, span: u64, at: u64) {
    let moment =
        Moment { at: Instant::from_nanos(at), thread: 7, kind: blackbox::Kind::Panic, span, trace: 1 };
    noter.event(moment, &Packed::new("panic"));
}

#[test]
fn as_much_is_told_as_there_is_room_for_and_the_rest_is_counted() {
    let image = written(|noter| {
        for n in 0..40u64 {
            let ids = Ids { span: n + 1, ..Ids::default() };
            noter.slot(own::thread(), 0).unwrap().open(ids, Instant::from_nanos(n), &Packed::new("s"));
            noter.event(Moment::default(), &Packed::new(&n.to_string()));
            assert!(noter.lane(own::thread(), &[0; 16]).is_some());
        }
        (1..=70).for_each(|n| assert!(noter.note(crate::flags::mix(n), 1, 1, Instant::from_nanos(n))));
    });
    let evidence = told(&image);
    assert_eq!((evidence.doing.len(), evidence.context.len()), (SPANS, CONTEXTS));
    assert_eq!((evidence.events.len(), evidence.flags.len()), (EVENTS, FLAGS));
    let (oldest, newest) = (&evidence.events[0].name, &evidence.events[EVENTS - 1].name);
    assert_eq!((oldest.as_str(), newest.as_str()), ("20", "39"));
    assert_eq!(evidence.unsaid, Unsaid { left_out: (40 - 32) + (40 - 16) + (70 - 64), ..Unsaid::default() });
}

#[test]
fn a_panic_has_unwound_what_failed_with_it_just_before_the_death_and_nothing_else() {
    const MS: u64 = 1_000_000;
    for (panic, until, status, unwound) in [
        (99 * S, 99 * S + MS, Status::Error, true),
        // Events are coarse.
        (99 * S, 99 * S - 10 * MS, Status::Error, true),
        (99 * S, 99 * S - 100 * MS, Status::Error, false),
        (99 * S, 99 * S + MS, Status::Ok, false),
        (94 * S, 94 * S + MS, Status::Error, false),
    ] {
        let image = written(|noter| {
            finish(noter, 5, 0, until, status);
            panicked(noter, 5, panic);
        });
        let doing = told(&image).doing;
        assert_eq!(doing.len(), usize::from(unwound), "{panic} {until} {status:?}");
        assert!(doing.iter().all(|span| span.unwound));
    }
}

#[test]
fn ended_spans_that_are_parts_of_each_other_are_told_once() {
    let image = written(|noter| {
        finish(noter, 5, 6, 99 * S, Status::Error);
        finish(noter, 6, 5, 99 * S, Status::Error);
        panicked(noter, 5, 99 * S);
    });
    assert_eq!(told(&image).doing.len(), 2);
}

#[test]
fn a_span_that_ended_after_the_death_was_open_then_and_is_told_once() {
    let image = written(|noter| finish(noter, 5, 0, 101 * S, Status::Ok));
    let [span] = &told(&image).doing[..] else { panic!("it is told") };
    assert_eq!((span.open_ns, span.unwound), (50 * S, false));
    let ended_before = written(|noter| finish(noter, 5, 0, 99 * S, Status::Ok));
    assert_eq!(told(&ended_before).doing, []);
    // Whoever is killed between the two leaves it open and finished.
    let both = written(|noter| {
        finish(noter, 5, 0, 101 * S, Status::Ok);
        let ids = Ids { span: 5, ..Ids::default() };
        noter.slot(own::thread(), 0).unwrap().open(ids, Instant::from_nanos(50 * S), &Packed::new("5"));
    });
    assert_eq!(told(&both).doing.len(), 1);
}
