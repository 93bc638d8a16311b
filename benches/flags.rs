//! What a read of a flag costs, beside a bare atomic load. `cargo bench --bench flags`.

use divan::{Bencher, black_box};
use mainstay::board::{Board, Entry, Flag, Options, Setting, Writer};
use mainstay::flags::{Packed, Prefix, Value};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use tempfile::TempDir;

/// 25 bytes.
const ID: &str = "user:0123456789abcdef-123";
const NAME: &str = "new-checkout";
/// Reads of an iteration: divide by 1000 for one.
const READS: u32 = 1000;

struct Scene {
    writer: Writer,
    board: Board,
    // Last: the writer goes first.
    folder: TempDir,
}

fn scene(flags: usize) -> Scene {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let entry = |name: String, value: Value| Entry::new(&name, value);
    let mut entries = vec![entry(NAME.into(), Value::On), entry("rollout".into(), Value::Share(12_500))];
    entries.push(Entry::new("limit", Value::Int(4711)));
    entries.push(Entry::new(
        "level",
        Value::Text(Packed::new("a text of some 30 bytes, or so").expect("short")),
    ));
    let stages = (1..10).map(|n| format!("stage-{n}")).collect();
    entries.push(Entry { stages, ..Entry::new("cleanup", Value::Stage(4)) });
    let deny = (0..64).map(|n| format!("user:{n}")).collect();
    entries.push(Entry { deny, ..Entry::new("listed", Value::Share(12_500)) });
    let instances = Some((0..10).map(|n| format!("web#{n}")).collect());
    let by_instance = Setting { truth: Value::Share(10_000).into(), instances };
    entries.push(Entry::new("by-instance", by_instance));
    entries.extend((0..flags).map(|n| entry(format!("flag-number-{n}"), Value::Off)));
    let (writer, _) = Writer::create(folder.path(), &entries, 0).expect("a board");
    // As in a service, which the keeper tells which board is in place.
    let in_place: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(writer.incarnation())));
    let options =
        Options { instance: Some("web#7".to_owned()), in_place: Some(in_place), ..Options::default() };
    Scene { writer, board: Board::open_by(folder.path(), options), folder }
}

fn main() {
    divan::main();
}

#[divan::bench]
fn a_bare_atomic_load_x1000(bencher: Bencher) {
    let word = AtomicU64::new(1);
    let word = black_box(&word);
    let load = |_: &u32| {
        // As behind a flag's load: so each is made, and none is put off.
        let loaded = word.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        loaded == 1
    };
    bencher.bench(|| (0..READS).filter(load).count());
}

#[divan::bench]
fn by_handle_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag(NAME);
    assert!(flag.is_on());
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.is_on()).count());
}

#[divan::bench]
fn by_handle_outside_of_a_tree_x1000(bencher: Bencher) {
    let scene = scene(100);
    let board = Board::open_by(scene.folder.path(), Options::default());
    let flag = board.flag(NAME);
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.is_on()).count());
}

#[divan::bench]
fn by_handle_with_source_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag(NAME);
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.read().truth.is_some()).count());
}

#[divan::bench]
fn by_handle_over_10000_flags_x1000(bencher: Bencher) {
    let scene = scene(10_000);
    let flags: Vec<Flag> = (0..READS).map(|n| scene.board.flag(&format!("flag-number-{}", n * 9))).collect();
    bencher.bench(|| flags.iter().filter(|flag| flag.is_on()).count());
}

#[divan::bench]
fn percentage_of_a_25_byte_id_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag("rollout");
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.is_on_for(black_box(ID))).count());
}

#[divan::bench]
fn position_alone_x1000(bencher: Bencher) {
    let prefix = Prefix::new(NAME).expect("short");
    bencher.bench(|| (0..READS).filter(|_| black_box(prefix).position(black_box(ID)) > Some(9)).count());
}

#[divan::bench]
fn the_crate_murmur3_alone_x1000(bencher: Bencher) {
    let bytes = format!("x{NAME}xx{ID}");
    bencher.bench(|| {
        (0..READS).filter(|_| murmur3::murmur3_32(&mut black_box(bytes.as_bytes()), 0).ok() > Some(9)).count()
    });
}

#[divan::bench]
fn by_name_x1000(bencher: Bencher) {
    let scene = scene(100);
    assert!(scene.board.is_on(NAME, false));
    bencher.bench(|| (0..READS).filter(|_| scene.board.is_on(black_box(NAME), false)).count());
}

#[divan::bench]
fn by_name_over_10000_flags_x1000(bencher: Bencher) {
    let scene = scene(10_000);
    let names: Vec<String> = (0..READS).map(|n| format!("flag-number-{}", n * 9)).collect();
    bencher.bench(|| names.iter().filter(|name| scene.board.is_on(name, true)).count());
}

#[divan::bench]
fn a_number_by_handle_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag("limit");
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.int() == Some(4711)).count());
}

#[divan::bench]
fn a_number_by_name_x1000(bencher: Bencher) {
    let scene = scene(100);
    bencher.bench(|| (0..READS).filter(|_| scene.board.int(black_box("limit")) == Some(4711)).count());
}

#[divan::bench]
fn a_text_of_30_bytes_by_handle_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag("level");
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.text().is_some()).count());
}

#[divan::bench]
fn a_stage_by_handle_x1000(bencher: Bencher) {
    let scene = scene(100);
    let migration = scene.board.migration("cleanup");
    let migration = black_box(&migration);
    bencher.bench(|| (0..READS).filter(|_| migration.stage() == 4).count());
}

#[divan::bench]
fn a_share_by_instances_by_handle_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag("by-instance");
    assert!(flag.is_on());
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.is_on()).count());
}

#[divan::bench]
fn a_share_behind_64_listed_ids_x1000(bencher: Bencher) {
    let scene = scene(100);
    let flag = scene.board.flag("listed");
    let flag = black_box(&flag);
    bencher.bench(|| (0..READS).filter(|_| flag.is_on_for(black_box(ID))).count());
}

#[divan::bench(args = [100, 10_000])]
fn a_latch_while_nothing_changes(bencher: Bencher, flags: usize) {
    let scene = scene(flags);
    bencher.bench(|| scene.board.latch());
}

#[divan::bench(args = [100, 10_000])]
fn a_snapshot(bencher: Bencher, flags: usize) {
    let scene = scene(flags);
    bencher.bench(|| scene.board.snapshot());
}

#[divan::bench]
fn a_change_of_a_number_x1000(bencher: Bencher) {
    let mut scene = scene(100);
    let mut n = 0;
    bencher.bench_local(|| {
        for _ in 0..READS {
            n += 1;
            scene.writer.set("limit", Value::Int(n).into()).expect("a board");
        }
    });
}

#[divan::bench]
fn a_change_x1000(bencher: Bencher) {
    let mut scene = scene(100);
    let mut n = 0;
    bencher.bench_local(|| {
        for _ in 0..READS {
            n += 1;
            let value = Value::Share(n % 99_999 + 1);
            scene.writer.set("rollout", value.into()).expect("a board");
        }
    });
}

#[divan::bench(args = [100, 10_000])]
fn a_scrub(bencher: Bencher, flags: usize) {
    let mut scene = scene(flags);
    bencher.bench_local(|| scene.writer.scrub());
}

#[divan::bench(args = [100, 10_000])]
fn a_new_board(bencher: Bencher, flags: usize) {
    bencher.bench_local(|| drop(scene(flags)));
}
