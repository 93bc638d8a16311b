//! Torture of the board: two reader processes and a writer process, while the harness damages the files in
//! every way it knows, and kills and stops the writer. On a tmpfs and on the disk.
//!
//! The flags are of five kinds: a share of ids with a list, a number, a text, a share by instances, a stage with a name.
//!
//! What must hold: no reader crashes; no read is a value that was never set; none goes back in time; none
//! says "unknown"; after each fault the readers come back to proven values, and at the end to exactly the
//! truth. Every value carries a version that only rises, so each of these is seen exactly.
//!
//! `TORTURE_FAULTS` is the number of faults (default 300), `TORTURE_SEED` repeats their order. The same
//! binary is harness, reader and writer, by `TORTURE_ROLE`. What they share is one mapped file.

#[path = "support/damage.rs"]
mod damage;

use damage::{DAMAGE, Random};
use mainstay::board::{Board, Entry, Flag, Options, Reading, Setting, Source, Writer};
use mainstay::flags::{Packed, Truth, Value};
use mainstay::sys::mapping::WriteMapping;
use mainstay::sys::{clock, futex};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::atomic::Ordering;
use std::time::Duration;

const FLAGS: usize = 64;
const READERS: usize = 2;
/// Shares 1 to 99,999 carry a version modulo this.
const SHARES: u64 = 99_999;
/// Stages 0 to 99 carry a version modulo this.
const STAGES: u64 = 100;
/// Numbers and texts carry all of it.
const WHOLE: u64 = u64::MAX;
/// The instance that the readers are, and one that they are not.
const OWN: &str = "web#1";
const OTHER: &str = "web#2";
/// An id that is denied wherever there is a list.
const DENIED: &str = "user:denied";
/// How long readers may need to come back before the test fails; only a bug needs it.
const WATCHDOG: Duration = Duration::from_secs(60);

// Cells of the shared file.
const STOP: usize = 0;
const FAULT: usize = 1;
const WRITER_READY: usize = 2;
const CHANGES: usize = 3;
/// A u32 to wait on: readers and writer bump it at each step.
const NEWS: usize = 8;
const READER: usize = 16;
const READER_CELLS: usize = 16;
const ANNOUNCED: usize = 128;
const SHARED_WORDS: usize = ANNOUNCED + FLAGS;

// Within a reader's cells.
const RECOVERED: usize = 0;
const ROUNDS: usize = 1;
const READS: usize = 2;
const STALE: usize = 3;
const LONGEST: usize = 4;
const OUTAGES: usize = 5;
const SNAPSHOTS: usize = 6;

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--list") {
        println!("torture: test");
        return ExitCode::SUCCESS;
    }
    match env::var("TORTURE_ROLE").as_deref() {
        Ok("reader") => reader(),
        Ok("writer") => writer(),
        _ => {
            let faults = env::var("TORTURE_FAULTS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
            torture("tmpfs", tempfile::tempdir_in("/dev/shm").expect("a tmpfs"), faults / 2);
            torture("disk", tempfile::tempdir().expect("a folder"), faults - faults / 2);
            ExitCode::SUCCESS
        }
    }
}

/// The file that harness, readers and writer share; nobody damages it.
struct Shared(WriteMapping);

impl Shared {
    fn open(path: &Path) -> Shared {
        let file = OpenOptions::new().read(true).write(true).open(path).expect("the shared file");
        Shared(WriteMapping::new(file.as_fd(), SHARED_WORDS * 8).expect("mapped"))
    }

    fn from_environment() -> (PathBuf, Shared) {
        let path = |name: &str| PathBuf::from(env::var_os(name).expect("set by the harness"));
        (path("TORTURE_BOARD"), Shared::open(&path("TORTURE_SHARED")))
    }

    fn get(&self, cell: usize) -> u64 {
        let word = self.0.load(cell);
        std::sync::atomic::fence(Ordering::Acquire);
        word
    }

    fn set(&self, cell: usize, word: u64) {
        self.0.store(cell, word);
    }

    fn tell(&self) {
        self.0.half(NEWS).fetch_add(1, Ordering::AcqRel);
        futex::wake_all(self.0.half(NEWS)).expect("nobody damages this file");
    }

    /// Waits until `done`, or panics: what was awaited never came.
    fn until(&self, what: &str, mut done: impl FnMut(&Shared) -> bool) {
        let start = clock::now();
        loop {
            let news = self.0.half(NEWS).load(Ordering::Acquire);
            if done(self) {
                return;
            }
            assert!(clock::now().since(start) < WATCHDOG, "waited {WATCHDOG:?} for {what}");
            futex::wait(self.0.half(NEWS), news, Duration::from_millis(100));
        }
    }

    fn truth(&self, flag: usize) -> Truth {
        value_of(flag, self.get(ANNOUNCED + flag)).into()
    }
}

/// What a flag is set to in a version of it.
fn value_of(flag: usize, version: u64) -> Value {
    let share = Value::Share((version % SHARES) as u32 + 1);
    match flag % 5 {
        0 | 3 => share,
        1 => Value::Int(version as i64 - 1000),
        // Of different lengths.
        2 => Value::Text(
            Packed::new(&format!("{version}{}", "x".repeat(version as usize % 90))).expect("short"),
        ),
        _ => Value::Stage((version % STAGES) as u32),
    }
}

/// The remainder of a version that a value of a flag carries, and of which modulus.
fn carried(flag: usize, value: Value) -> Option<(u64, u64)> {
    Some(match (flag % 5, value) {
        (0 | 3, Value::Share(share)) => (u64::from(share) - 1, SHARES),
        (1, Value::Int(number)) => (u64::try_from(number + 1000).ok()?, WHOLE),
        (2, Value::Text(text)) => (text.text()?.trim_end_matches('x').parse().ok()?, WHOLE),
        (4, Value::Stage(stage)) => (stage.into(), STAGES),
        _ => return None,
    })
}

fn setting_of(flag: usize, version: u64) -> Setting {
    // By what the share carries, so that the two can be told to belong together.
    let on = if (version % SHARES).is_multiple_of(2) { OWN } else { OTHER };
    let instances = (flag % 5 == 3).then(|| vec![on.to_owned()]);
    Setting { truth: value_of(flag, version).into(), instances }
}

fn entry_of(flag: usize, version: u64) -> Entry {
    let deny = if flag.is_multiple_of(5) { vec![DENIED.to_owned()] } else { Vec::new() };
    let stages = if flag % 5 == 4 { (1..STAGES).map(|n| format!("stage-{n}")).collect() } else { Vec::new() };
    Entry { deny, stages, ..Entry::new(&name_of(flag), setting_of(flag, version)) }
}

fn name_of(flag: usize) -> String {
    format!("flag-{flag}")
}

// --- writer ---------------------------------------------------------------------------------------------

/// Changes flags and heals for ever. Its journal is the shared file: announced there, then published.
fn writer() -> ExitCode {
    let (directory, shared) = Shared::from_environment();
    let mut random = Random(std::process::id().into());
    let mut writer = loop {
        let entries: Vec<Entry> =
            (0..FLAGS).map(|flag| entry_of(flag, shared.get(ANNOUNCED + flag))).collect();
        match Writer::create(&directory, &entries, shared.get(CHANGES)) {
            Ok((writer, _)) => break writer,
            // A fault of this very moment; a real keeper would try again, too.
            Err(_) => futex::pause(Duration::from_micros(200)),
        }
    };
    shared.set(WRITER_READY, std::process::id().into());
    shared.tell();
    loop {
        if shared.get(STOP) == 0 {
            let changes: Vec<(String, Setting)> = (0..1 + random.below(4))
                .map(|_| {
                    let flag = random.below(FLAGS as u64) as usize;
                    shared.set(ANNOUNCED + flag, shared.get(ANNOUNCED + flag) + 1);
                    (name_of(flag), setting_of(flag, shared.get(ANNOUNCED + flag)))
                })
                .collect();
            let changes: Vec<(&str, Setting)> =
                changes.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
            // An error means that the board went away and no new one could be made yet: look() goes on.
            if let Ok(generation) = writer.set_all(&changes) {
                shared.set(CHANGES, generation);
            }
        }
        let _ = writer.look();
        let _ = writer.scrub();
        futex::pause(Duration::from_micros(100));
    }
}

// --- reader ---------------------------------------------------------------------------------------------

struct Reader {
    shared: Shared,
    cells: usize,
    /// The newest proven version of each flag, by any way of reading.
    newest: Vec<u64>,
    /// The newest that each handle gave.
    by_handle: Vec<u64>,
    reads: u64,
    stale: u64,
}

fn reader() -> ExitCode {
    let (directory, shared) = Shared::from_environment();
    let index: usize = env::var("TORTURE_INDEX").expect("set by the harness").parse().expect("a number");
    let options = Options { instance: Some(OWN.to_owned()), ..Options::default() };
    let board = Board::open_by(&directory, options);
    let handles: Vec<Flag> = (0..FLAGS).map(|flag| board.flag(&name_of(flag))).collect();
    let mut reader = Reader {
        shared,
        cells: READER + index * READER_CELLS,
        newest: vec![0; FLAGS],
        by_handle: vec![0; FLAGS],
        reads: 0,
        stale: 0,
    };
    let (mut rounds, mut snapshots, mut outages, mut longest) = (0, 0, 0, Duration::ZERO);
    let mut outage = None;
    loop {
        let stop = reader.shared.get(STOP) == 1;
        let fault = reader.shared.get(FAULT);
        let mut all_proven = true;
        for (flag, handle) in handles.iter().enumerate() {
            let (reading, own) = handle.read_for(None);
            opinion_is_of(flag, reading, own);
            if flag % 5 == 0 {
                assert!(!handle.is_on_for(DENIED), "a denied id is on by flag {flag}");
            }
            if let Some((stage, name)) = handle.stage_and_name() {
                let expected = if stage == 0 { String::new() } else { format!("stage-{stage}") };
                assert_eq!(name.text(), Some(expected), "flag {flag}");
            }
            let proven = reader.check(flag, reading.truth, reading.source, true, "handle");
            if proven != outage.is_none() && (proven || outage.is_none()) {
                outage = match outage.take() {
                    None => Some(clock::now()),
                    Some(since) => {
                        outages += 1;
                        longest = longest.max(clock::now().since(since));
                        None
                    }
                };
            }
            all_proven &= proven;
        }
        let flag = rounds as usize % FLAGS;
        let (reading, own) = board.read_for(&name_of(flag), None);
        opinion_is_of(flag, reading, own);
        all_proven &= reader.check(flag, reading.truth, reading.source, false, "name");
        if rounds % 16 == 0 {
            let snapshot = board.snapshot();
            if snapshot.consistent {
                assert_eq!(snapshot.flags().count(), FLAGS, "a consistent snapshot is whole");
                snapshots += 1;
            }
            for (name, truth) in snapshot.flags() {
                let flag: usize = name.strip_prefix("flag-").and_then(|n| n.parse().ok()).expect("ours");
                reader.check(flag, Some(truth), Source::Proven, false, "snapshot");
            }
        }
        rounds += 1;
        for (cell, word) in [
            (ROUNDS, rounds),
            (READS, reader.reads),
            (STALE, reader.stale),
            (LONGEST, longest.as_nanos() as u64),
            (OUTAGES, outages),
            (SNAPSHOTS, snapshots),
        ] {
            reader.shared.set(reader.cells + cell, word);
        }
        if all_proven {
            reader.shared.set(reader.cells + RECOVERED, fault);
        }
        reader.shared.tell();
        let exact = |flag: usize| handles[flag].read().truth == Some(reader.shared.truth(flag));
        if stop && all_proven && (0..FLAGS).all(exact) {
            return ExitCode::SUCCESS;
        }
    }
}

/// What a share by instances means for the reader's own goes with its share.
fn opinion_is_of(flag: usize, reading: Reading, own: Option<bool>) {
    if let (3, Some(Truth { value: Value::Share(share), .. })) = (flag % 5, reading.truth) {
        let even = (share - 1).is_multiple_of(2);
        assert!(own.is_none_or(|on| on == even), "flag {flag}: {share} is {own:?}");
    }
}

impl Reader {
    /// Judges one answer; true when it is proven.
    fn check(&mut self, flag: usize, truth: Option<Truth>, source: Source, handle: bool, way: &str) -> bool {
        // Before it is judged: what was announced by now is what it may be at most.
        let most = self.shared.get(ANNOUNCED + flag);
        self.reads += 1;
        let value = match (truth, source) {
            (Some(Truth { value, disabled: false }), Source::Proven | Source::Stale) => value,
            // What was never read cannot be known: by a handle at first, by name at any time.
            (None, Source::Lost) if !handle || self.by_handle[flag] == 0 => return false,
            other => panic!("{way}: flag {flag} is {other:?}; newest {}", self.newest[flag]),
        };
        let Some((remainder, modulus)) = carried(flag, value) else {
            panic!("{way}: flag {flag} was never {value:?}")
        };
        // The newest version up to `most` that has this value.
        let back = match modulus {
            WHOLE => most.wrapping_sub(remainder),
            _ => (most % modulus + modulus - remainder) % modulus,
        };
        let version = most.checked_sub(back);
        let version = version.unwrap_or_else(|| panic!("{way}: flag {flag} was never {value:?} of {most}"));
        let proven = source == Source::Proven;
        let least = if proven { self.newest[flag] } else { self.by_handle[flag] };
        assert!(version >= least, "{way}, {source:?}: flag {flag} went from {least} to {version} of {most}");
        if proven {
            self.newest[flag] = version;
        } else {
            self.stale += 1;
        }
        if handle {
            self.by_handle[flag] = version;
        }
        proven
    }
}

// --- harness --------------------------------------------------------------------------------------------

/// A child that does not outlive the harness.
struct Guarded(Child);

impl Guarded {
    fn start(role: &str, index: usize, board: &Path, shared: &Path) -> Guarded {
        let child = Command::new(env::current_exe().expect("this program"))
            .env("TORTURE_ROLE", role)
            .env("TORTURE_INDEX", index.to_string())
            .env("TORTURE_BOARD", board)
            .env("TORTURE_SHARED", shared)
            .spawn()
            .expect("started");
        Guarded(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it is ours and not reaped");
    }

    fn end(&mut self) -> ExitStatus {
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it is ours")
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn torture(place: &str, folder: tempfile::TempDir, faults: u64) {
    let seed =
        env::var("TORTURE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(std::process::id().into());
    println!("torture on {place}: {faults} faults, TORTURE_SEED={seed}");
    let directory = folder.path().join("runtime");
    fs::create_dir(&directory).expect("new");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o711)).expect("ours");
    let shared_path = folder.path().join("shared");
    let file = File::create_new(&shared_path).expect("new");
    file.set_len(SHARED_WORDS as u64 * 8).expect("space");
    let shared = Shared::open(&shared_path);
    (0..FLAGS).for_each(|flag| shared.set(ANNOUNCED + flag, 1));
    let start_writer = || Guarded::start("writer", 0, &directory, &shared_path);
    let mut writer = start_writer();
    shared.until("the writer", |shared| shared.get(WRITER_READY) == u64::from(writer.0.id()));
    let mut readers: Vec<Guarded> =
        (0..READERS).map(|index| Guarded::start("reader", index, &directory, &shared_path)).collect();
    let mut random = Random(seed);
    let start = clock::now();
    let of = |reader: usize, cell: usize| READER + reader * READER_CELLS + cell;
    let check_alive = |readers: &mut [Guarded]| {
        for reader in readers {
            if let Some(status) = reader.0.try_wait().expect("it is ours") {
                panic!("a reader ended: {status} (signal {:?})", status.signal());
            }
        }
    };
    let recovered = |shared: &Shared, readers: &mut [Guarded], fault: u64, what: &str| {
        shared.until(what, |shared| {
            check_alive(readers);
            (0..READERS).all(|reader| shared.get(of(reader, RECOVERED)) >= fault)
        });
    };
    let a_round = |shared: &Shared, readers: &mut [Guarded]| {
        let before: Vec<u64> = (0..READERS).map(|reader| shared.get(of(reader, ROUNDS))).collect();
        shared.until("a round of reads", |shared| {
            check_alive(readers);
            (0..READERS).all(|reader| shared.get(of(reader, ROUNDS)) > before[reader] + 1)
        });
    };
    recovered(&shared, &mut readers, 0, "the first values");
    let (mut kills, mut stops) = (0, 0);
    for fault in 1..=faults {
        let (name, damage) = DAMAGE[random.below(DAMAGE.len() as u64) as usize];
        let changes = shared.get(CHANGES);
        match random.below(4) {
            // Killed, before or after the damage, and started again.
            0 => {
                kills += 1;
                if random.below(2) == 0 {
                    let _ = damage(&directory, &mut random);
                    writer.end();
                } else {
                    writer.end();
                    let _ = damage(&directory, &mut random);
                }
                shared.set(FAULT, fault);
                a_round(&shared, &mut readers);
                writer = start_writer();
            }
            // Stopped while it happens, then let go.
            1 => {
                stops += 1;
                writer.signal(Signal::SIGSTOP);
                let _ = damage(&directory, &mut random);
                shared.set(FAULT, fault);
                a_round(&shared, &mut readers);
                writer.signal(Signal::SIGCONT);
            }
            _ => {
                let _ = damage(&directory, &mut random);
                shared.set(FAULT, fault);
            }
        }
        // Some faults meet the mending of the one before.
        if random.below(4) > 0 {
            // A word that is as it was tells nobody of the damage around it: only a change shows that all is mended.
            shared.until(&format!("a change after fault {fault}, {name}"), |shared| {
                check_alive(&mut readers);
                shared.get(CHANGES) > changes
            });
            a_round(&shared, &mut readers);
            recovered(&shared, &mut readers, fault, &format!("recovery of fault {fault}, {name}"));
        }
    }
    recovered(&shared, &mut readers, faults, "the last recovery");
    let seconds = clock::now().since(start).as_secs_f64();
    shared.set(STOP, 1);
    for reader in &mut readers {
        let status = reader.0.wait().expect("it is ours");
        assert!(status.success(), "a reader ended: {status} (signal {:?})", status.signal());
    }
    assert_eq!(writer.0.try_wait().expect("it is ours"), None, "the writer lived to the end");
    writer.end();
    let sum = |cell| (0..READERS).map(|reader| shared.get(of(reader, cell))).sum::<u64>();
    let longest = (0..READERS).map(|reader| shared.get(of(reader, LONGEST))).max().unwrap_or(0);
    println!(
        "torture on {place}: {faults} faults in {seconds:.1} s ({:.0}/s), {kills} kills, {stops} stops, \
         {} changes; {} reads checked, {} stale, {} consistent snapshots; {} outages, longest {:.1} ms; \
         0 crashes, 0 wrong, 0 backwards, end state exact",
        faults as f64 / seconds,
        shared.get(CHANGES),
        sum(READS),
        sum(STALE),
        sum(SNAPSHOTS),
        sum(OUTAGES),
        longest as f64 / 1e6,
    );
}
