//! The longest proven prefix is found, and never a record more.

use crate::written::{
    HEADER, audited, change, check, journal_path, journals, plain_header, same_length_and_content, write,
};
use mainstay::flags::Value;
use mainstay::store::{self, State, Store};
use proptest::prelude::*;
use tempfile::TempDir;

#[test]
fn a_journal_cut_at_every_byte_gives_its_longest_proven_prefix() {
    let mut count = 0;
    for journal in journals() {
        for length in 0..journal.bytes.len() {
            let k = journal.whole_before(length);
            let reading = check(&journal.bytes[..length], &journal.states[k], &format!("cut at {length}"));
            assert_eq!(reading.whole, length >= HEADER);
            assert_eq!(reading.records, k as u64);
            count += 1;
        }
    }
    assert!(count > 4_000, "{count}");
}

#[test]
fn a_journal_with_any_one_bit_flipped_never_says_a_wrong_word() {
    let mut count = 0;
    for journal in journals() {
        let mut bytes = journal.bytes.clone();
        for at in 0..bytes.len() {
            // A bit of record k costs it and what is behind it; a bit of the header costs everything.
            let k = if at < HEADER { 0 } else { journal.whole_before(at) };
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let reading = check(&bytes, &journal.states[k], &format!("bit {bit} of byte {at}"));
                assert_eq!(reading.whole, at >= HEADER);
                assert!(reading.unproven > 0, "the damage is seen: bit {bit} of byte {at}");
                bytes[at] ^= 1 << bit;
                count += 1;
            }
        }
    }
    assert!(count > 36_000, "{count}");
}

#[test]
fn a_damaged_snapshot_is_told_and_what_is_behind_it_is_not_believed() {
    let before: Vec<_> = (1..=3).map(|g| change(g, &[("a", Some(Value::On))], "")).collect();
    let changes: Vec<_> = (4..=6).map(|g| change(g, &[("b", Some(Value::On))], "")).collect();
    let journal = write(&before, &changes);
    assert_eq!(journal.ends.len(), 6, "flags, receipts, facts, three changes");
    let mut bytes = journal.bytes.clone();
    for at in 0..journal.ends[2] {
        bytes[at] ^= 0x10;
        let reading = store::read(&bytes).unwrap();
        assert!(!reading.whole, "byte {at}");
        assert!(reading.state.get("b").is_none(), "byte {at}");
        bytes[at] ^= 0x10;
    }
    assert!(store::read(&bytes).unwrap().whole);
}

#[test]
fn a_tail_of_zeros_ones_or_noise_is_not_taken() {
    for journal in journals() {
        let end = *journal.ends.last().unwrap();
        let last = journal.states.last().unwrap();
        for fill in [0x00, 0xff, 0x01, 0x55] {
            for length in [1, 7, 8, 9, 64, 4096, 70_000] {
                let mut bytes = journal.bytes[..end].to_vec();
                bytes.resize(end + length, fill);
                let reading = check(&bytes, last, &format!("{length} bytes of {fill}"));
                assert_eq!(reading.end, end);
                assert_eq!(reading.unproven > 0, fill != 0);
            }
        }
    }
}

#[test]
fn what_an_older_journal_left_in_the_same_blocks_is_not_taken() {
    // Two journals of the same length and content, record by record: only epoch and chain differ.
    let (old, new) = (same_length_and_content(), same_length_and_content());
    assert_eq!(old.ends, new.ends);
    for k in 0..new.ends.len() {
        let end = new.ends[k];
        let bytes = [&new.bytes[..end], &old.bytes[end..]].concat();
        check(&bytes, &new.states[k + 1], &format!("{k} new records, then old ones"));
    }
    let bytes = [&new.bytes[..HEADER], &old.bytes[HEADER..]].concat();
    check(&bytes, &State::default(), "a new header over old records");
}

#[test]
fn an_older_epoch_with_the_same_salt_is_not_taken_either() {
    let epochs = ["first", "second"].map(|_| same_length_and_content());
    // Give the second header the salt of the first: what is left to tell them apart is the epoch.
    let mut bytes = epochs[1].bytes.clone();
    bytes[16] = 9;
    bytes[24..32].copy_from_slice(&epochs[0].bytes[24..32]);
    let sum = {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..12]);
        hasher.update(&bytes[16..HEADER]);
        hasher.finalize()
    };
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes[HEADER..].copy_from_slice(&epochs[0].bytes[HEADER..]);
    let reading = check(&bytes, &State::default(), "records of epoch 1 in a journal of epoch 9");
    assert_eq!((reading.epoch, reading.records), (9, 0));
}

#[test]
fn records_that_are_swapped_doubled_or_missing_end_the_proof() {
    let journal = same_length_and_content();
    let record = |k: usize| {
        let from = if k == 0 { HEADER } else { journal.ends[k - 1] };
        journal.bytes[from..journal.ends[k]].to_vec()
    };
    let build = |order: &[usize]| {
        let mut bytes = journal.bytes[..HEADER].to_vec();
        order.iter().for_each(|&k| bytes.extend(record(k)));
        bytes
    };
    check(&build(&[0, 1, 2]), &journal.states[3], "as written");
    check(&build(&[0, 2, 1, 3]), &journal.states[1], "swapped");
    check(&build(&[0, 1, 1, 2]), &journal.states[2], "doubled");
    check(&build(&[0, 2, 3]), &journal.states[1], "one missing");
    check(&build(&[1]), &journal.states[0], "the first missing");
    for (k, end) in journal.ends.iter().enumerate().skip(1) {
        let mut bytes = journal.bytes.clone();
        bytes[journal.ends[k - 1]..*end].fill(0);
        let reading = check(&bytes, &journal.states[k], "a lost record");
        assert_eq!(reading.unproven > 0, k + 1 < journal.ends.len());
    }
}

/// What a random history does.
#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Vec<(u8, u32)>>),
    Reopen,
    TearTail(u8),
    Garbage(Vec<u8>),
    Tend,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let sets = prop::collection::vec((0..20u8, 0..=100_000u32), 1..5);
    let act = prop_oneof![
        6 => prop::collection::vec(sets, 1..4).prop_map(Act::Commit),
        2 => Just(Act::Reopen),
        1 => any::<u8>().prop_map(Act::TearTail),
        1 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Act::Garbage),
        1 => Just(Act::Tend),
    ];
    prop::collection::vec(act, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens between lives behind the last proven record, every committed change is found.
    #[test]
    fn no_history_of_lives_and_torn_tails_loses_or_invents_a_change(acts in acts()) {
        let dir = TempDir::new().unwrap();
        let mut store = Store::open(dir.path());
        let (mut model, mut epoch) = (State::default(), store.epoch());
        for act in acts {
            match act {
                Act::Commit(sets) => {
                    let changes: Vec<_> = sets.iter().zip(model.generation() + 1..).map(|(sets, generation)| {
                        let mut sets: Vec<_> = sets.clone();
                        sets.sort_by_key(|s| s.0);
                        sets.dedup_by_key(|s| s.0);
                        let names: Vec<_> = sets.iter().map(|s| format!("f{}", s.0)).collect();
                        let pairs: Vec<_> = names.iter().zip(&sets)
                            .map(|(name, set)| (name.as_str(), Some(Value::of_share(set.1)))).collect();
                        change(generation, &pairs, "")
                    }).collect();
                    store.commit(&changes).unwrap();
                    changes.iter().for_each(|c| model.apply(c));
                }
                Act::Reopen => store = Store::open(dir.path()),
                // A change that was being written when the power went: behind what was acknowledged.
                Act::TearTail(_) | Act::Garbage(_) => {
                    let path = journal_path(dir.path());
                    let mut bytes = std::fs::read(&path).unwrap();
                    let end = store::read(&bytes).unwrap().end;
                    let tail = match act {
                        Act::TearTail(length) => bytes[..(length as usize).min(end)].to_vec(),
                        Act::Garbage(ref noise) => noise.clone(),
                        _ => unreachable!(),
                    };
                    bytes.splice(end..(end + tail.len()).min(bytes.len()), tail);
                    std::fs::write(&path, bytes).unwrap();
                    store = Store::open(dir.path());
                }
                Act::Tend => { store.tend(); }
            }
            prop_assert_eq!(store.state(), &model);
            prop_assert_eq!(&store::read_only(dir.path()).unwrap(), &model);
            prop_assert_eq!(audited(dir.path()), (1..=model.generation()).collect::<Vec<_>>());
            prop_assert!(store.epoch() >= epoch, "epochs only rise");
            epoch = store.epoch();
        }
    }

    /// No bytes at all make recovery panic, take long, or believe something.
    #[test]
    fn no_bytes_make_recovery_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), start in any::<bool>()) {
        let bytes = if start { [plain_header(), &bytes].concat() } else { bytes };
        if let Ok(reading) = store::read(&bytes) {
            prop_assert_eq!(reading.state, State::default());
        }
    }
}
