//! Killed while writing, at any instant: what the box says afterwards is what was written, at most one record behind.

#[path = "support/boxed.rs"]
mod boxed;

use mainstay::blackbox::{BlackBox, Image, Kind};
use mainstay::flags::mix;
use mainstay::sys::shared::Words;
use mainstay::sys::{memory, own, shared};
use mainstay::trace::Span;
use mainstay::{context, event, span};
use std::env;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering::SeqCst;

const THREADS: usize = 3;
const PROGRESS: &str = "KILLED_PROGRESS";
const PROGRESS_HEAD: [u64; 1] = [0x6b69_6c6c];

/// Where a thread is: the number of the step that it has begun, of the last that it has done, and who it is.
const BEGUN: usize = 0;
const DONE: usize = 1;
const WHO: usize = 2;
const fn cell(thread: usize, what: usize) -> usize {
    8 + thread * 8 + what
}

/// What stands after so many steps: in which round each was last done; of spans, whether they are open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stands {
    key: Option<u64>,
    outer: Option<u64>,
    inner: Option<u64>,
    event: Option<u64>,
    error: Option<u64>,
}

const STEPS: u64 = 7;

/// After `done` steps.
fn stands(done: u64) -> Stands {
    let (round, step) = (done / STEPS, done % STEPS);
    let last = |after: u64| if step > after { Some(round) } else { round.checked_sub(1) };
    Stands {
        key: last(0),
        outer: (step > 1).then_some(round),
        inner: (step > 2 && step < 6).then_some(round),
        event: last(3),
        error: last(4),
    }
}

fn write(progress: Words<512>, thread: usize) {
    progress[cell(thread, WHO)].store(own::thread(), SeqCst);
    let (mut outer, mut inner): (Option<Span>, Option<Span>) = (None, None);
    for step in 0u64.. {
        // Nobody runs so far ahead that the ring forgets the others.
        while (0..THREADS).any(|other| progress[cell(other, DONE)].load(SeqCst) + 150 < step) {
            std::thread::yield_now();
        }
        let round = step / STEPS;
        progress[cell(thread, BEGUN)].store(step + 1, SeqCst);
        match step % STEPS {
            0 => assert!(context::set("round", round)),
            1 => outer = Some(span!("outer", round = round)),
            2 => inner = Some(span!("inner", round = round)),
            3 => event!("event", round = round),
            4 => context::failed(format_args!("{round}")),
            5 => drop(inner.take()),
            _ => drop(outer.take()),
        }
        progress[cell(thread, DONE)].store(step + 1, SeqCst);
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How it is with one thread, by the box.
fn found(image: &Image, thread: u64) -> (Stands, bool) {
    let (process, thread) = ((thread >> 32) as u32, thread as u32);
    let number = |pairs: &[(String, String)]| {
        pairs.iter().find(|(key, _)| key == "round").map(|(_, round)| round.parse().unwrap())
    };
    let mut found = Stands::default();
    let mut has_context = false;
    for context in image.contexts() {
        if (context.process, context.thread) == (process, thread) {
            assert!(!has_context, "two lanes");
            has_context = true;
            found.key = number(&context.keys);
            found.error = context.error.map(|error| error.text.parse().unwrap());
        }
    }
    let spans: Vec<_> = image
        .open_spans()
        .into_iter()
        .filter(|span| (span.process, span.thread) == (process, thread))
        .collect();
    for span in &spans {
        let open = if span.name == "outer" { &mut found.outer } else { &mut found.inner };
        assert!(open.is_none() && ["outer", "inner"].contains(&&*span.name), "{spans:?}");
        *open = number(&span.attributes);
        assert!(open.is_some() && span.trace != 0, "{span:?}");
    }
    if let [outer, inner] = &spans[..] {
        assert_eq!((inner.parent, inner.trace), (outer.span, outer.trace));
    }
    let events: Vec<_> = image.events().into_iter().filter(|event| event.thread == thread).collect();
    let newest = events.iter().rev().find(|event| event.kind == Kind::Event);
    found.event = newest.and_then(|event| number(&event.attributes));
    for event in &events {
        assert!(
            event.name == "event" && event.kind == Kind::Event
                || event.name == "error" && event.kind == Kind::Error
        );
    }
    for span in image.finished_spans(0) {
        assert!(
            ["outer", "inner"].contains(&&*span.name) && span.since <= span.until && !span.cut,
            "{span:?}"
        );
    }
    (found, has_context)
}

/// `BLACKBOX_KILLS` is how many (default 40).
#[test]
fn a_box_of_one_killed_while_writing_is_at_most_one_record_behind() {
    if boxed::is_child() {
        let number = env::var(PROGRESS).unwrap().parse().unwrap();
        let progress: Words<512> = shared::map_inherited(number, &PROGRESS_HEAD).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || write(progress, thread));
            }
        });
        return;
    }
    let kills: u64 = env::var("BLACKBOX_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let (mut torn, mut within) = (0, 0);
    for round in 0..kills {
        let the_box = BlackBox::make().unwrap();
        let shared_memory = memory::zeroed("progress", 4096).unwrap();
        memory::write_at(shared_memory.as_fd(), PROGRESS_HEAD.map(u64::to_le_bytes).as_flattened(), 0)
            .unwrap();
        let progress_number = rustix::io::fcntl_dupfd_cloexec(&shared_memory, 3).unwrap();
        rustix::io::fcntl_setfd(&progress_number, rustix::io::FdFlags::empty()).unwrap();
        let name = "a_box_of_one_killed_while_writing_is_at_most_one_record_behind";
        let (mut command, inherited) = boxed::child(name, the_box.as_fd());
        command.env(PROGRESS, progress_number.as_raw_fd().to_string()).stdout(Stdio::null());
        let mut child = Killed(command.spawn().unwrap());
        drop((inherited, progress_number));
        let done = |words: &[u8]| -> u64 {
            let word = |at: usize| u64::from_le_bytes(words[at * 8..at * 8 + 8].try_into().unwrap());
            (0..THREADS).map(|thread| word(cell(thread, DONE))).sum()
        };
        // After another number of steps each time, and then a little later.
        let target = 1 + mix(round) % 3000;
        let look = || memory::contents(&shared_memory, 4096).unwrap();
        while done(&look()) < target {
            assert!(child.0.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        (0..mix(!round) % 20_000).for_each(|_| std::hint::spin_loop());
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let words: Vec<u64> =
            look().as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let image = the_box.image().unwrap();
        assert!(image.torn() <= THREADS, "round {round}: {} torn", image.torn());
        torn += image.torn();
        for thread in 0..THREADS {
            let [begun, done, who] = [BEGUN, DONE, WHO].map(|what| words[cell(thread, what)]);
            assert!(begun == done || begun == done + 1);
            let (before, after) = (stands(done), stands(begun));
            let (found, has_context) = found(&image, who);
            within += u64::from(begun != done);
            let one_of = |found: Option<u64>, of: fn(&Stands) -> Option<u64>, what: &str| {
                assert!(
                    found == of(&before) || found == of(&after),
                    "round {round}, thread {thread}, step {done}: {what} is {found:?}, {before:?}, {after:?}"
                );
            };
            // Only the key that is being set at this moment may be torn: it is written over.
            if has_context && !(begun != done && begun % STEPS == 1) {
                one_of(found.key, |stands| stands.key, "the key");
            }
            assert!(has_context || done == 0, "no lane after {done} steps");
            one_of(found.outer, |stands| stands.outer, "the outer span");
            one_of(found.inner, |stands| stands.inner, "the inner span");
            one_of(found.event, |stands| stands.event, "the event");
            one_of(found.error, |stands| stands.error, "the error");
        }
    }
    println!("{kills} killed, {within} threads of them within a record's time, {torn} records torn");
}
