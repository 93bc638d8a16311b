//! What a read may not do: allocate, or call the kernel. How long it takes is measured in `benches/flags.rs`.

use mainstay::board::{Board, Entry, Writer};
use mainstay::flags::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

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

#[allow(unsafe_code)] // An allocator has no safe form.
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
    let entries = [Entry::new("on", Value::On), Entry::new("rollout", Value::Share(50_000))];
    let (writer, _) = Writer::create(folder.path(), &entries, 0).unwrap();
    Scene { board: Board::open(folder.path()), _writer: writer, _folder: folder }
}

/// Reads of all kinds, `READS` of each; how many said yes.
fn read(board: &Board, on: &mainstay::board::Flag, rollout: &mainstay::board::Flag) -> usize {
    (0..READS)
        .map(|_| {
            usize::from(black_box(on).is_on())
                + usize::from(black_box(rollout).is_on_for(black_box(ID)))
                + usize::from(board.is_on(black_box("on"), false))
                + usize::from(board.is_on(black_box("unknown"), true))
        })
        .sum()
}

#[test]
fn b7_no_read_allocates() {
    let Scene { board, _writer, _folder } = scene();
    let (on, rollout) = (board.flag("on"), board.flag("rollout"));
    // The first look at the board's name may come to another board; nothing after it may allocate.
    read(&board, &on, &rollout);
    let before = ALLOCATIONS.get();
    let yes = read(&board, &on, &rollout);
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations");
    assert!(yes >= 3 * READS, "they were read");
    drop(black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
}
