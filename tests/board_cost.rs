//! What a read may not do: allocate, or call the kernel. How long it takes is measured in `benches/flags.rs`.

#![allow(unsafe_code)] // An allocator and a fork have no safe form.

#[path = "support/system_calls.rs"]
mod system_calls;

use mainstay::board::{Board, Entry, Flag, Migration, Options, Setting, Writer};
use mainstay::flags::{Packed, Value};
use mainstay::sys::clock;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use system_calls::{After, Before, Call, End, Stepper};

const READS: usize = 10_000;
/// 25 bytes.
const ID: &str = "user:0123456789abcdef-123";

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: hands everything to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(start, layout) }
    }
}

struct Scene {
    board: Board,
    _writer: Writer,
    // Last: the writer goes first.
    _folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let instances = Some(vec!["web#1".to_owned()]);
    let entries = [
        Entry::new("on", Value::On),
        Entry::new("rollout", Value::Share(50_000)),
        Entry::new("limit", Value::Int(5)),
        Entry::new("level", Value::Text(Packed::new("info").unwrap())),
        Entry { stages: vec!["one".into()], ..Entry::new("cleanup", Value::Stage(1)) },
        Entry {
            deny: vec![ID.into()],
            allow: vec!["me".into()],
            ..Entry::new("listed", Value::Share(50_000))
        },
        Entry::new("some", Setting { truth: Value::Share(50_000).into(), instances }),
    ];
    let (writer, _) = Writer::create(folder.path(), &entries, 0).unwrap();
    let options = Options { instance: Some("web#1".into()), ..Options::default() };
    Scene { board: Board::open_by(folder.path(), options), _writer: writer, _folder: folder }
}

/// Handles to all of them.
struct Handles {
    board: Board,
    on: Flag,
    rollout: Flag,
    limit: Flag,
    level: Flag,
    cleanup: Migration,
    listed: Flag,
    some: Flag,
}

impl Handles {
    fn new(board: &Board) -> Handles {
        let flag = |name| board.flag(name);
        Handles {
            board: board.clone(),
            on: flag("on"),
            rollout: flag("rollout"),
            limit: flag("limit"),
            level: flag("level"),
            cleanup: board.migration("cleanup"),
            listed: flag("listed"),
            some: flag("some"),
        }
    }

    /// Reads of all kinds, `READS` of each; how many said yes.
    fn read(&self) -> usize {
        let Handles { board, on, rollout, limit, level, cleanup, listed, some } = black_box(self);
        let text = Packed::new("info");
        (0..READS)
            .map(|_| {
                usize::from(on.is_on())
                    + usize::from(rollout.is_on_for(black_box(ID)))
                    + usize::from(limit.int() == Some(5))
                    + usize::from(level.text() == text)
                    + usize::from(cleanup.stage() == 1 && cleanup.stage_name().is_some())
                    + usize::from(listed.is_on_for("me") && !listed.is_on_for(black_box(ID)))
                    + usize::from(some.is_on() && some.is_on_for("web#1"))
                    + usize::from(board.is_on(black_box("on"), false))
                    + usize::from(board.is_on(black_box("unknown"), true))
                    + usize::from(board.is_on_for("listed", "me", false))
                    + usize::from(board.int("limit") == Some(5) && board.text("level") == text)
                    + usize::from(board.stage("cleanup").is_some())
            })
            .sum()
    }
}

#[test]
fn b7_no_read_allocates() {
    let Scene { board, _writer, _folder } = scene();
    let handles = Handles::new(&board);
    // The first look at the board's name may come to another board; nothing after it may allocate.
    handles.read();
    let before = ALLOCATIONS.get();
    let yes = handles.read();
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations");
    assert!(yes >= 11 * READS, "they were read: {yes}");
    drop(black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
}

#[test]
fn b7_a_read_of_a_changed_flag_does_not_allocate_either() {
    let Scene { board, mut _writer, _folder } = scene();
    let handles = Handles::new(&board);
    handles.read();
    for n in 0..100 {
        let text = Value::Text(Packed::new(&"x".repeat(n)).unwrap());
        _writer.set_all(&[("limit", Value::Int(n as i64).into()), ("level", text.into())]).unwrap();
        let before = ALLOCATIONS.get();
        assert_eq!(handles.limit.int(), Some(n as i64));
        assert_eq!(handles.level.text().map(|text| text.length()), Some(n as u8));
        assert_eq!(ALLOCATIONS.get() - before, 0, "allocations");
    }
}

/// The number of system calls that begins and ends what is counted: nothing else here makes it.
const GETPPID: u64 = 110;
/// `stat` of a name, as the C library and as the kernel's table have it, on x86-64.
const STATS: [u64; 3] = [4, 6, 262];

#[test]
#[cfg(target_arch = "x86_64")]
fn b7_no_read_calls_the_kernel_but_a_look_at_the_name_each_ten_milliseconds() {
    let Scene { board, _writer, _folder } = scene();
    let handles = Handles::new(&board);
    let (go_read, go_write) = nix::unistd::pipe().unwrap();
    let (time_read, time_write) = nix::unistd::pipe().unwrap();
    // SAFETY: the child reads flags, which neither allocates nor locks, makes plain system calls, and leaves by `_exit`.
    let child = match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Parent { child } => child,
        nix::unistd::ForkResult::Child => {
            let _ = nix::unistd::read(&go_read, &mut [0]);
            let start = clock::coarse();
            nix::unistd::getppid();
            let yes = handles.read();
            nix::unistd::getppid();
            let milliseconds = clock::coarse().since(start).as_millis() as u64;
            let _ = nix::unistd::write(&time_write, &milliseconds.to_le_bytes());
            // SAFETY: ends the child at once, without the test harness.
            unsafe { libc::_exit(i32::from(yes < 11 * READS)) }
        }
    };
    let stepper = Stepper::attach(child);
    nix::unistd::write(&go_write, &[1]).unwrap();
    let (mut marks, mut looks, mut others) = (0, 0, Vec::new());
    let before = |call: &Call| {
        match call.number {
            GETPPID => marks += 1,
            number if marks == 1 && STATS.contains(&number) => looks += 1,
            number if marks == 1 => others.push(number),
            _ => {}
        }
        Before::Go
    };
    assert_eq!(stepper.run(before, |_, _| After::Go, || false), End::Dead);
    let mut milliseconds = [0; 8];
    assert_eq!(nix::unistd::read(&time_read, &mut milliseconds).unwrap(), 8);
    let milliseconds = u64::from_le_bytes(milliseconds);
    assert_eq!((marks, others), (2, vec![]), "the counter counts, and nothing else was called");
    // The clock of the looks is coarse: a tick at each end.
    assert!(looks <= milliseconds / 10 + 2, "{looks} looks in {milliseconds} ms");
}
