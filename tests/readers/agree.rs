//! Bucketing: every reader decides the same, and shares are what they say.

use super::programs::Reader;
use mainstay::flags::{Prefix, WHOLE, mix};
use std::collections::HashSet;
use std::process::Stdio;

/// `READERS_CASES` is how many (default 50,000; a million in CI).
#[test]
fn c_and_python_decide_as_rust_does_about_random_salts_ids_and_shares() {
    let cases: u64 = std::env::var("READERS_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
    let others: Vec<_> = [Reader::CByCopy, Reader::CSanitized, Reader::Python]
        .into_iter()
        .map(|reader| {
            let mut command = reader.command("agree", &[&cases.to_string()]);
            (reader, command.stdout(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    let (lower, upper) = ("abcdefghijklmnopqrstuvwxyz012345", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
    let mut digest = 0;
    for n in 0..cases {
        let r = mix((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let salt = format!("flag-{}{}", &lower[..(r >> 8 & 31) as usize], r & 255);
        let id = format!("{}{:x}", &upper[..(r >> 16 & 31) as usize], mix(r));
        let position = Prefix::new(&salt).unwrap().position(&id).unwrap();
        let on = u64::from(position) < (r >> 32) % 100_001;
        digest = mix(digest ^ (u64::from(position) << 1 | u64::from(on)));
    }
    for (reader, other) in others {
        let output = other.wait_with_output().unwrap();
        assert!(output.status.success(), "{reader:?}: {}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("{digest:016x}"), "{reader:?}");
    }
}

fn on(flag: &str, share: u32, ids: u32) -> HashSet<u32> {
    let prefix = Prefix::new(flag).unwrap();
    (0..ids).filter(|id| prefix.position(&format!("user:{id}")).unwrap() < share).collect()
}

#[test]
fn a_share_is_that_share_of_many_ids() {
    let admitted = on("new-checkout", 37_500, 100_000).len();
    assert!((37_000..=38_000).contains(&admitted), "{admitted} of 100,000 are on at 37.5 %");
}

#[test]
fn raising_a_share_loses_nobody_and_lowering_it_removes_the_last_admitted() {
    let mut before = HashSet::new();
    for share in [1, 10, 1_000, 10_000, 37_500, 50_000, 99_999, WHOLE] {
        let now = on("new-checkout", share, 20_000);
        assert!(before.is_subset(&now), "somebody was lost at {share}");
        before = now;
    }
    assert_eq!(before.len(), 20_000);
    assert!(on("new-checkout", 0, 20_000).is_empty());
}

#[test]
fn two_flags_at_a_tenth_share_about_a_hundredth() {
    let both = on("one", 10_000, 100_000).intersection(&on("another", 10_000, 100_000)).count();
    // Expected 1000, standard deviation 31.
    assert!((850..=1150).contains(&both), "{both} of 100,000 are on for both");
}
