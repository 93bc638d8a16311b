#![allow(unsafe_code)] // A fork has no safe form.
//! Black boxes between processes: the writer's side in children of this test, the reader's side here; and whatever
//! bytes a service may leave in one.

use mainstay::blackbox::layout::{CELLS, EVENTS, FINISHED, LANES, SEEN, SPANS, proof};
use mainstay::blackbox::record::lane;
use mainstay::blackbox::text::Packed;
use mainstay::blackbox::{
    self, BlackBox, Context, Counters, Event, FinishedSpan, Ids, Image, Kind, Moment, Noter, OpenSpan, Seen,
};
use mainstay::flags::mix;
use mainstay::report;
use mainstay::sys::{clock, memory, own, shared};
use mainstay::time::Instant;
use mainstay::trace::{EventText, SpanText};
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

/// Everything that may be in a box: flags, contexts, spans and events, short and long.
fn prepared() -> Vec<u64> {
    let the_box = BlackBox::make().unwrap();
    let noter = Noter::new(shared::map(the_box.as_fd()).unwrap()).unwrap();
    for n in 1..=300 {
        noter.note(mix(n), BODY | n as u32, n, Instant::from_nanos(n));
    }
    let at = |n: u64| Instant::from_nanos(n);
    let pair = |text: &mut Packed<{ lane::OPERATION_TEXT }>, n: u64| text.add("id", &n);
    for n in 0..6 {
        let lane = noter.lane(own::thread(), b"worker\0\0\0\0\0\0\0\0\0\0").unwrap();
        let mut operation = Packed::new("checkout");
        pair(&mut operation, n);
        lane.set_operation(at(n), &operation);
        for key in 0..5 {
            let mut entry = Packed::new(["order", "tier", "attempt", "shop", "path"][key]);
            entry.append(&mix(n));
            lane.set_key(key, &entry);
        }
        (0..9).for_each(|crumb| lane.set_breadcrumb(crumb, at(n), &Packed::new("passed")));
        (0..2).for_each(|error| {
            lane.set_error(error, false, at(n + u64::from(error)), &Packed::new("no such order"))
        });
    }
    for n in 1..40 {
        let ids = Ids { span: n, parent: n - 1, trace: mix(n).into() };
        let slot = noter.slot(own::thread(), n as usize).unwrap();
        let mut text = SpanText::new("request");
        text.add("path", &"/pay".repeat(n as usize));
        slot.open(ids, at(n), &text);
        if n > 10 {
            noter.finish(slot, at(n + 1));
        }
        let moment = Moment { at: at(n), thread: n as u32, span: n, trace: mix(n).into(), kind: Kind::Event };
        let mut text = EventText::new("happened");
        text.add("what", &"it".repeat(4 * n as usize));
        noter.event(moment, &text);
    }
    the_box.image().unwrap().into_words()
}

/// What is read of one area of an image, or of all.
#[derive(Default, PartialEq)]
struct Said {
    seen: Vec<Seen>,
    contexts: Vec<Context>,
    open: Vec<OpenSpan>,
    events: Vec<Event>,
    finished: Vec<FinishedSpan>,
}

/// Cells of an area.
#[derive(Clone, Copy)]
struct Area {
    cells: (usize, usize),
    read: fn(&Image) -> Said,
}

const AREAS: [Area; 5] = [
    Area { cells: (SEEN, LANES), read: |image| Said { seen: image.all_seen().collect(), ..Said::default() } },
    Area { cells: (LANES, SPANS), read: |image| Said { contexts: image.contexts(), ..Said::default() } },
    Area { cells: (SPANS, EVENTS), read: |image| Said { open: image.open_spans(), ..Said::default() } },
    Area { cells: (EVENTS, FINISHED), read: |image| Said { events: image.events(), ..Said::default() } },
    Area {
        cells: (FINISHED, CELLS),
        read: |image| Said { finished: image.finished_spans(0), ..Said::default() },
    },
];

/// All that is read of an image, which must be clean and bounded.
fn read_all(image: &Image) -> Said {
    let said = Said {
        seen: image.all_seen().collect(),
        contexts: image.contexts(),
        open: image.open_spans(),
        events: image.events(),
        finished: image.finished_spans(0),
    };
    for seen in &said.seen {
        assert_eq!(image.seen(seen.hash), Some(*seen), "what is listed is found");
    }
    assert!(said.seen.len() + image.torn_notes() <= 1024);
    std::hint::black_box((
        image.counters(),
        image.overflows(),
        image.torn(),
        image.drained(),
        image.unplaced(),
    ));
    assert!(said.contexts.len() <= 64 && said.open.len() <= 64);
    assert!(said.events.len() <= 1024 && said.finished.len() <= 512);
    let texts = |text: &str| assert!(!text.chars().any(char::is_control) && text.len() < 1200, "{text:?}");
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().for_each(|(key, value)| [key, value].into_iter().for_each(|text| texts(text)))
    };
    for context in &said.contexts {
        assert!(context.keys.len() <= 16 && context.breadcrumbs.len() <= 8);
        texts(&context.thread_name);
        pairs(&context.keys);
        context.breadcrumbs.iter().for_each(|crumb| texts(&crumb.text));
        context
            .operation
            .iter()
            .for_each(|of| [&of.name, &of.id, &of.correlation].into_iter().for_each(|text| texts(text)));
        context
            .error
            .iter()
            .for_each(|error| [&error.text, &error.place].into_iter().for_each(|text| texts(text)));
    }
    said.open.iter().for_each(|span| (texts(&span.name), pairs(&span.attributes)).1);
    said.events.iter().for_each(|event| (texts(&event.name), pairs(&event.attributes)).1);
    said.finished.iter().for_each(|span| (texts(&span.name), pairs(&span.attributes)).1);
    said
}

/// Each of these is one of those, in their order.
fn are_among<T: PartialEq + std::fmt::Debug>(these: &[T], those: &[T], is: impl Fn(&T, &T) -> bool) {
    let mut those = those.iter();
    for this in these {
        assert!(those.any(|that| is(this, that)), "{this:?} was never said");
    }
}

fn among(said: &Said, whole: &Said) {
    are_among(&said.seen, &whole.seen, |a, b| a == b);
    are_among(&said.open, &whole.open, |a, b| a == b);
    are_among(&said.finished, &whole.finished, |a, b| a == b);
    // One whose later records are damaged has the pairs before.
    are_among(&said.events, &whole.events, |a, b| {
        let cut = a.cut && b.attributes.starts_with(&a.attributes);
        (a.ticket, &a.name, a.at, a.span) == (b.ticket, &b.name, b.at, b.span) && (a == b || cut)
    });
    // One whose owner is damaged is nobody's; the name of a thread is not proven.
    are_among(&said.contexts, &whole.contexts, |a, b| {
        a.keys.iter().all(|key| b.keys.contains(key))
            && a.breadcrumbs.iter().all(|crumb| b.breadcrumbs.contains(crumb))
            && (a.operation.is_none() || a.operation == b.operation)
            && a.error.iter().all(|error| error.text == "no such order")
    });
}

/// A record that proves itself, whatever is in it: check, what it belongs to, head, text, as docs/blackbox.md has them.
fn forge(words: &mut [u64], random: &mut Random) {
    const PRESENT: u64 = 1 << 31;
    let proven =
        |words: &mut [u64], place: usize, head: usize, text: usize, total: usize, random: &mut Random| {
            for at in head..total {
                words[place + at] = match random.below(3) {
                    0 => random.next(),
                    1 => random.next() & 0x1f1f_1f1f_1f1f_1f1f,
                    _ => 0,
                };
            }
            let length = random.below(600) as u64;
            words[place + head] = random.next() & !0xffff & !(3 << 25) | length | PRESENT;
            text + (length as usize).div_ceil(8).min(total - text)
        };
    match random.below(4) {
        0 => {
            let slot = random.below(1024);
            let place = EVENTS + 16 * slot;
            let used = proven(words, place, 2, 7, 16, random);
            words[place + 1] = (slot + 1024 * random.below(9) + 1) as u64;
            words[place] = proof(place, &words[place + 1..place + used]);
        }
        1 => {
            let slot = random.below(512);
            let place = FINISHED + 32 * slot;
            let used = proven(words, place, 2, 9, 32, random);
            words[place + 1] = (slot + 512 * random.below(9) + 1) as u64;
            words[place] = proof(place, &words[place + 1..place + used]);
        }
        2 => {
            let place = SPANS + 48 * random.below(64);
            words[place] = random.next() | 1;
            let used = proven(words, place, 2, 8, 48, random);
            words[place + 1] = 0;
            words[place + 1] = proof(place, &words[place..place + used]);
        }
        _ => {
            let start = LANES + 384 * random.below(64);
            words[start] = random.next() >> 1 | 1;
            (words[start + 1], words[start + 2]) = (random.next(), random.next());
            let (place, text, total) = match random.below(4) {
                0 => (start + 16, 3, 24),
                1 => (start + 40 + 32 * random.below(2), 3, 32),
                2 => (start + 104 + 11 * random.below(8), 3, 11),
                _ => (start + 192 + 12 * random.below(16), 2, 12),
            };
            let used = proven(words, place, 1, text, total, random);
            words[place] = words[start];
            words[place] = proof(place, &words[place..place + used]);
        }
    }
}

/// `BLACKBOX_IMAGES` is how many (default 2,000).
#[test]
fn any_bytes_are_read_without_a_panic_and_no_damage_is_taken_for_what_was_said() {
    let count: u64 = env::var("BLACKBOX_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let mut random = Random(1);
    let mut words = prepared();
    let whole = words.clone();
    let everything = read_all(&Image::from_words(words.clone()));
    assert_eq!((everything.seen.len(), everything.contexts.len(), everything.open.len()), (300, 6, 10));
    assert_eq!((everything.events.len(), everything.finished.len()), (39, 29));
    let by_area = AREAS.map(|area| (area.read)(&Image::from_words(whole.clone())));
    let (mut damaged, mut forged) = (0u64, 0);
    for n in 0..count {
        match random.below(20_000) {
            // Bytes of any kind and any number: rarely, they cost most.
            0 => {
                let length = random.below(whole.len() * 8 + 4096);
                let bytes: Vec<u8> =
                    (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect();
                let said = read_all(&Image::from_bytes(&bytes));
                let lanes = said
                    .contexts
                    .iter()
                    .all(|of| of.keys.is_empty() && of.operation.is_none() && of.error.is_none());
                assert!(
                    lanes && Said { contexts: Vec::new(), ..said } == Said::default(),
                    "image {n}: noise was taken for a word"
                );
            }
            1 => drop(read_all(&Image::from_bytes(&vec![
                random.next() as u8;
                random.below(whole.len() * 8 + 4096)
            ]))),
            2 => {
                among(&read_all(&Image::from_words(whole[..random.below(whole.len())].to_vec())), &everything)
            }
            3..60 => {
                let mut words = whole.clone();
                (0..1 + random.below(200)).for_each(|_| forge(&mut words, &mut random));
                let said = read_all(&Image::from_words(words));
                forged += usize::from(said.events.iter().any(|event| event.name.contains('\u{fffd}')));
            }
            // A whole box with a few cells of one area changed, which are put right afterwards.
            _ => {
                let which = random.below(AREAS.len());
                let (from, to) = AREAS[which].cells;
                let mut places = [0; 8];
                let count = 1 + random.below(8);
                for place in &mut places[..count] {
                    // Mostly where something is: most of a box is empty.
                    *place = (0..4)
                        .map(|_| from + random.below(to - from))
                        .find(|at| whole[*at] != 0)
                        .unwrap_or(from);
                    match random.below(3) {
                        0 => words[*place] ^= 1 << random.below(64),
                        1 => words[*place] ^= random.next() >> 56 << (8 * random.below(8)),
                        // A cell of another place: it proves itself there only.
                        _ => words[*place] = whole[from + random.below(to - from)],
                    }
                }
                let image = Image::from_words(words);
                among(&(AREAS[which].read)(&image), &by_area[which]);
                words = image.into_words();
                places[..count].iter().for_each(|place| words[*place] = whole[*place]);
                damaged += 1;
            }
        }
    }
    assert!(words == whole && damaged > count * 9 / 10 && (count < 1000 || forged > 0));
}

/// What a sum of cells times factors would forget: see `layout::proof`.
#[test]
fn damage_of_the_upper_bits_of_two_cells_of_a_note_is_seen() {
    let whole = prepared();
    let entry = (0..1024).map(|entry| SEEN + 4 * entry).find(|start| whole[*start] != 0).unwrap();
    for one in [1, 7, 128] {
        for other in 1..=u8::MAX {
            let mut words = whole[..LANES].to_vec();
            words[entry] ^= one << 56;
            words[entry + 1] ^= u64::from(other) << 56;
            assert_eq!(Image::from_words(words).torn_notes(), 1, "{one} {other}");
        }
    }
}
