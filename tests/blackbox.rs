#![allow(unsafe_code)] // A fork has no safe form.
//! Black boxes between processes: the writer's side in children of this test, the reader's side here; and whatever
//! bytes a service may leave in one.

use mainstay::blackbox::{self, BlackBox, Counters, Image, Noter, Seen};
use mainstay::flags::mix;
use mainstay::report;
use mainstay::sys::{clock, memory, shared};
use mainstay::time::Instant;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::env;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};

const BODY: u32 = 1 << 28;

/// Runs the test `name` of this program alone, in a child that has `memory` as its black box.
fn in_child(name: &str, memory: BorrowedFd<'_>) -> ExitStatus {
    let inherited = rustix::io::fcntl_dupfd_cloexec(memory, 3).unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    Command::new(env::current_exe().unwrap())
        .args([name, "--exact"])
        .env("BLACKBOX_CHILD", "1")
        .env(blackbox::VARIABLE, inherited.as_raw_fd().to_string())
        .status()
        .unwrap()
}

fn is_child() -> bool {
    env::var_os("BLACKBOX_CHILD").is_some()
}

#[test]
fn a_child_and_what_it_forks_note_in_the_box_that_they_inherited() {
    if is_child() {
        let noter = blackbox::seen().expect("the box that the parent made");
        assert!(noter.note(1, BODY, 5, clock::now()));
        report::ok();
        assert!(report::outcome::<(), ()>(Err(())).is_err());
        // SAFETY: the child notes, counts and leaves by `_exit`.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                noter.note(2, BODY, 6, clock::now());
                report::error();
                // SAFETY: ends the child at once, without the test harness.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
        return;
    }
    assert!(blackbox::seen().is_none(), "nobody gave this process a box");
    report::ok();
    let the_box = BlackBox::make().unwrap();
    let before = clock::now();
    let status = in_child("a_child_and_what_it_forks_note_in_the_box_that_they_inherited", the_box.as_fd());
    assert!(status.success(), "{status}");
    for (hash, generation) in [(1, 5), (2, 6)] {
        let seen = the_box.seen(hash).unwrap().unwrap();
        assert_eq!((seen.body, seen.generation), (BODY, generation));
        assert!(seen.at >= before && seen.at <= clock::now());
    }
    assert_eq!(the_box.seen(3).unwrap(), None);
    assert_eq!(the_box.counters().unwrap(), Counters { successes: 1, errors: 2 });
    let image = the_box.image().unwrap();
    assert_eq!((image.all_seen().count(), image.torn(), image.overflows()), (2, 0, 0));
}

#[test]
fn a_number_that_is_no_box_is_never_written_to() {
    if is_child() {
        assert!(blackbox::seen().is_none());
        report::ok();
        return;
    }
    // As it would be after the service closed it and opened something else under its number.
    let other = memory::zeroed("other", 512 << 10).unwrap();
    let status = in_child("a_number_that_is_no_box_is_never_written_to", other.as_fd());
    assert!(status.success(), "{status}");
    assert_eq!(memory::contents(&other, 512 << 10).unwrap(), vec![0; 512 << 10]);
}

#[test]
fn a_reader_refuses_what_could_be_resized_or_has_another_size() {
    for other in [
        memory::zeroed("short", 4096).unwrap(),
        memory::empty("growing").unwrap(),
        tempfile::tempfile().unwrap().into(),
    ] {
        assert_eq!(BlackBox::open(other).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
    let made = BlackBox::make().unwrap();
    assert!(BlackBox::open(made.into()).is_ok());
}

#[test]
fn threads_that_note_the_same_flags_at_once_leave_every_entry_whole_and_newest() {
    const THREADS: u64 = 4;
    const FLAGS: u64 = 3;
    const CHANGES: u64 = 20_000;
    // What a flag is at a generation, so that a mixture is seen.
    let body = |hash: u64, generation: u64| mix(hash ^ generation << 8) as u32 | 1;
    let the_box = BlackBox::make().unwrap();
    let noter = Noter::new(shared::map(the_box.as_fd()).unwrap()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut looks, mut found) = (0, 0u64);
            let mut newest = [0; FLAGS as usize + 1];
            while !stop.load(Ordering::Relaxed) {
                looks += 1;
                for seen in the_box.image().unwrap().all_seen() {
                    assert_eq!(seen.body, body(seen.hash, seen.generation), "{seen:?} was never noted");
                    let newest: &mut u64 = &mut newest[seen.hash as usize];
                    assert!(seen.generation >= *newest, "{seen:?} after {newest}");
                    *newest = seen.generation;
                    found += 1;
                }
            }
            assert!(looks == 0 || found > 0);
        });
        let noters: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for generation in 1..=CHANGES {
                        for hash in 1..=FLAGS {
                            // Threads lag behind one another, so that old notes meet new ones.
                            let generation = generation.saturating_sub(thread * (generation % 3)).max(1);
                            let at = Instant::from_nanos(generation * 10);
                            assert!(noter.note(hash, body(hash, generation), generation, at));
                        }
                    }
                })
            })
            .collect();
        noters.into_iter().for_each(|noter| noter.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    let image = the_box.image().unwrap();
    assert_eq!(image.torn(), 0);
    for hash in 1..=FLAGS {
        assert_eq!(image.seen(hash).map(|seen| seen.generation), Some(CHANGES));
    }
}

#[test]
fn a_noter_that_is_killed_anywhere_spoils_nothing_for_others() {
    for round in 1..=100u64 {
        let the_box = BlackBox::make().unwrap();
        let noter = Noter::new(shared::map(the_box.as_fd()).unwrap()).unwrap();
        // SAFETY: the child only notes, which neither allocates nor locks, until it is killed.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                for generation in 1.. {
                    noter.note(1, generation as u32 | 1, generation, Instant::from_nanos(generation));
                }
                // SAFETY: ends the child at once; it is never reached.
                unsafe { libc::_exit(1) }
            }
            ForkResult::Parent { child } => {
                // Another one is killed each round, after another number of notes.
                while the_box.seen(1).unwrap().is_none_or(|seen| seen.generation < round * 10) {
                    std::hint::spin_loop();
                }
                nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
                waitpid(child, None).unwrap();
                if let Some(seen) = the_box.seen(1).unwrap() {
                    assert_eq!(seen.body, seen.generation as u32 | 1, "round {round}");
                }
                assert!(noter.note(1, BODY, 1 << 30, clock::now()));
                assert_eq!(the_box.image().unwrap().torn(), 0, "round {round}");
                assert_eq!(the_box.seen(1).unwrap().map(|seen| seen.body), Some(BODY), "round {round}");
            }
        }
    }
}

// --- whatever bytes ---------------------------------------------------------------------------------------

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Everything that is read of an image.
fn read_all(bytes: &[u8], asked: u64) -> Vec<Seen> {
    let image = Image::from_bytes(bytes);
    let all: Vec<Seen> = image.all_seen().collect();
    for seen in &all {
        assert_eq!(image.seen(seen.hash), Some(*seen), "what is listed is found");
    }
    assert!(all.len() + image.torn() <= 1024);
    if let Some(seen) = image.seen(asked) {
        assert!(seen.hash == asked.max(1) && all.contains(&seen), "what is found is listed");
    }
    std::hint::black_box((image.counters(), image.overflows()));
    all
}

/// `BLACKBOX_IMAGES` is how many (default 1,000).
#[test]
fn any_bytes_are_read_without_a_panic_and_no_damage_is_taken_for_a_note() {
    let count: u64 = env::var("BLACKBOX_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    let mut random = Random(1);
    let the_box = BlackBox::make().unwrap();
    let noter = Noter::new(shared::map(the_box.as_fd()).unwrap()).unwrap();
    for n in 1..=300 {
        noter.note(mix(n), BODY | n as u32, n, Instant::from_nanos(n));
    }
    let whole = memory::contents(&the_box.into(), 512 << 10).unwrap();
    let noted = read_all(&whole, mix(1));
    assert_eq!(noted.len(), 300);
    let mut bytes = whole.clone();
    for n in 0..count {
        match random.below(1000) {
            // Bytes of any kind and any number: rarely, they cost most.
            0 => {
                let length = random.below(whole.len() + 4096);
                let bytes: Vec<u8> =
                    (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect();
                assert!(read_all(&bytes, random.next()).is_empty(), "image {n}: noise was taken for a note");
            }
            1 => drop(read_all(&vec![random.next() as u8; random.below(whole.len() + 4096)], 0)),
            2 => {
                let kept = random.below(whole.len());
                assert!(read_all(&whole[..kept], mix(1)).iter().all(|seen| noted.contains(seen)));
            }
            // A whole box with a few places changed, which are put right afterwards.
            _ => {
                let places: Vec<usize> = (0..1 + random.below(8))
                    .map(|_| 4096 + random.below(4096 + 28_672 * (n as usize % 2)))
                    .collect();
                for place in &places {
                    match random.below(3) {
                        0 => bytes[*place] ^= 1 << random.below(8),
                        1 => bytes[*place] = random.next() as u8,
                        // A cell of another place: it proves itself there only.
                        _ => {
                            let (to, from) = (place & !7, (4096 + random.below(8192)) & !7);
                            bytes[to..to + 8].copy_from_slice(&whole[from..from + 8]);
                        }
                    }
                }
                for seen in read_all(&bytes, noted[random.below(300)].hash) {
                    assert!(noted.contains(&seen), "image {n}: {seen:?} was never noted");
                }
                for place in places {
                    bytes[place & !7..(place & !7) + 8].copy_from_slice(&whole[place & !7..(place & !7) + 8]);
                }
            }
        }
    }
}
