//! The board against damage: whatever is done to the file, a read is right, stale or lost, and never wrong.

mod damage;
mod fallback;
mod file;
mod together;
mod values;

use mainstay::board::layout::{FUTEX, Header, Layout, STATE};
use mainstay::board::{Answer, Board, Damage, Entry, Error, Fallback, Found, Repair, Source, Writer};
use mainstay::flags::{Body, Prefix, Seal, Truth, Value, mix};
use mainstay::sys::mapping::WriteMapping;
use mainstay::sys::shared_file::{self, Kind};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::TempDir;

/// Long enough that only a hang runs into it.
const GENEROUS: Duration = Duration::from_secs(60);

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Scene { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn board(&self) -> PathBuf {
        self.path().join("board")
    }

    fn kept(&self) -> PathBuf {
        self.path().join(".kept/board")
    }

    fn writer(&self, entries: &[Entry]) -> Writer {
        Writer::create(self.path(), entries, 0).unwrap().0
    }

    fn inode(&self) -> u64 {
        fs::metadata(self.board()).unwrap().ino()
    }

    /// The board's words, for damage.
    fn words(&self) -> WriteMapping {
        let file = OpenOptions::new().read(true).write(true).open(self.board()).unwrap();
        WriteMapping::new(file.as_fd(), file.metadata().unwrap().len() as usize).unwrap()
    }

    fn header(&self) -> Header {
        let file = File::open(self.board()).unwrap();
        Header::from_cells(&shared_file::read_words(&file, 0).unwrap()).unwrap()
    }
}

fn entry(name: &str, value: Value) -> Entry {
    Entry::new(name, value)
}

/// `flag-0` to `flag-(n-1)`, each with a value of its own.
fn flags(n: u32) -> Vec<Entry> {
    (0..n).map(|i| entry(&format!("flag-{i}"), Value::Share(1000 + i))).collect()
}

/// Reads until the answer is this one; a stale or lost one may come first.
fn comes_to(what: &str, mut read: impl FnMut() -> bool) {
    let start = mainstay::sys::clock::now();
    while !read() {
        assert!(mainstay::sys::clock::now().since(start) < GENEROUS, "never came to {what}");
        std::thread::yield_now();
    }
}
