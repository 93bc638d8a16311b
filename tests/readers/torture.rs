//! The readers in C and Python read on while the board's files are damaged in every way that `tests/torture.rs` knows, and
//! mended by a writer. Every value carries its flag and a version that only rises: a reader ends with an error as soon as one
//! was never set, goes back, is forgotten, or a flag is said to be unknown.
//!
//! `READERS_FAULTS` is the number of faults (default 60), `READERS_SEED` repeats their order.

use super::damage::{DAMAGE, Random};
use super::programs::{EVERY, Running};
use mainstay::board::{Entry, Setting, Writer};
use mainstay::flags::{Packed, Value};
use mainstay::sys::{clock, futex};
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const FLAGS: usize = 8;
/// How long readers may need to come back before the test fails; only a bug needs it.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The three settings of a flag at a version.
fn settings(flag: usize, version: u64) -> [(String, Setting); 3] {
    let text = Packed::new(&format!("{flag}:{version}")).unwrap();
    [
        (format!("number-{flag}"), Value::Int((version * 65_536) as i64 + flag as i64).into()),
        (format!("text-{flag}"), Value::Text(text).into()),
        (format!("share-{flag}"), Value::Share((version * 100 % 90_000) as u32 + flag as u32 + 1).into()),
    ]
}

/// Changes flags and heals until `stop`; from `quiet` on it only heals.
fn write(directory: &Path, versions: &[AtomicU64; FLAGS], quiet: &AtomicBool, stop: &AtomicBool, seed: u64) {
    let entries: Vec<Entry> = (0..FLAGS)
        .flat_map(|flag| settings(flag, 1))
        .map(|(name, setting)| Entry::new(&name, setting))
        .collect();
    let (mut writer, _) = Writer::create(directory, &entries, 0).unwrap();
    let mut random = Random(seed);
    versions.iter().for_each(|version| version.store(1, Ordering::Release));
    while !stop.load(Ordering::Acquire) {
        if !quiet.load(Ordering::Acquire) {
            let flag = random.below(FLAGS as u64) as usize;
            let version = versions[flag].fetch_add(1, Ordering::AcqRel) + 1;
            let settings = settings(flag, version);
            let changes: Vec<(&str, Setting)> =
                settings.iter().map(|(name, setting)| (name.as_str(), setting.clone())).collect();
            // An error means that the board went away and no new one could be made yet: look() goes on.
            let _ = writer.set_all(&changes);
        }
        let _ = writer.look();
        let _ = writer.scrub();
        futex::pause(Duration::from_micros(100));
    }
}

/// What a reader says of itself: how many are proven now, reads, stale ones, the newest version of each flag.
fn report(reader: &mut Running) -> Vec<u64> {
    reader.say("?\n");
    reader.hear().split(' ').map(|number| number.parse().unwrap()).collect()
}

/// Asks each reader until `good` holds for what it says.
fn until(readers: &mut [Running], what: &str, good: impl Fn(&[u64]) -> bool) -> Vec<Vec<u64>> {
    let start = clock::now();
    readers
        .iter_mut()
        .map(|reader| {
            loop {
                let said = report(reader);
                if good(&said) {
                    return said;
                }
                let waited = clock::now().since(start);
                assert!(waited < WATCHDOG, "waited {waited:?} for {what}: {said:?}");
            }
        })
        .collect()
}

fn torture(place: &str, folder: &tempfile::TempDir, faults: u64, seed: u64) {
    let directory = folder.path().join("runtime");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o711)).unwrap();
    let versions = [const { AtomicU64::new(0) }; FLAGS];
    let (quiet, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    println!("readers on {place}: {faults} faults, READERS_SEED={seed}");
    std::thread::scope(|scope| {
        scope.spawn(|| write(&directory, &versions, &quiet, &stop, seed));
        // Also when a reader fails: the scope waits for the writer.
        let _stop = StopAtTheEnd(&stop);
        let words = [directory.to_str().unwrap(), &FLAGS.to_string()];
        let mut readers: Vec<Running> =
            EVERY.iter().map(|reader| Running::start(&mut reader.command("torture", &words))).collect();
        let all_proven = |said: &[u64]| said[0] == 3 * FLAGS as u64;
        until(&mut readers, "the first values", all_proven);
        let mut random = Random(seed);
        for fault in 1..=faults {
            let (name, damage) = DAMAGE[random.below(DAMAGE.len() as u64) as usize];
            let _ = damage(&directory, &mut random);
            // Some faults meet the mending of the one before.
            if random.below(4) > 0 {
                until(&mut readers, &format!("recovery of fault {fault}, {name}"), all_proven);
            }
        }
        quiet.store(true, Ordering::Release);
        let truth = || versions.iter().map(|version| version.load(Ordering::Acquire)).collect::<Vec<_>>();
        let end = until(&mut readers, "the truth", |said| all_proven(said) && said[3..] == truth());
        for (said, reader) in end.iter().zip(EVERY) {
            println!("readers on {place}: {reader:?} read {} times, {} stale, all right", said[1], said[2]);
        }
        readers.into_iter().for_each(Running::end);
    });
}

struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn readers_never_say_what_was_never_set_whatever_is_done_to_the_files() {
    let number = |name: &str| env::var(name).ok().and_then(|n| n.parse().ok());
    let faults = number("READERS_FAULTS").unwrap_or(60);
    let seed = number("READERS_SEED").unwrap_or(std::process::id().into());
    torture("tmpfs", &tempfile::tempdir_in("/dev/shm").unwrap(), faults / 2, seed);
    torture("disk", &tempfile::tempdir().unwrap(), faults - faults / 2, seed);
}
