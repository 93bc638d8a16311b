//! A board with flags of every kind, and how one is written to it.

use mainstay::board::layout::Header;
use mainstay::board::{Board, Entry, Options, Setting, Writer};
use mainstay::flags::{Packed, Truth, Value};
use mainstay::sys::mapping::WriteMapping;
use mainstay::sys::shared_file;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

pub struct Scene(TempDir);

impl Scene {
    pub fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Scene(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn writer(&self, entries: &[Entry]) -> Writer {
        Writer::create(self.path(), entries, 0).unwrap().0
    }

    pub fn reads_as(&self, instance: &str) -> Board {
        let instance = (!instance.is_empty()).then(|| instance.to_owned());
        Board::open_by(self.path(), Options { instance, ..Options::default() })
    }

    pub fn words(&self) -> WriteMapping {
        let file = OpenOptions::new().read(true).write(true).open(self.path().join("board")).unwrap();
        WriteMapping::new(file.as_fd(), file.metadata().unwrap().len() as usize).unwrap()
    }

    pub fn header(&self) -> Header {
        let file = File::open(self.path().join("board")).unwrap();
        Header::from_cells(&shared_file::read_words(&file, 0).unwrap()).unwrap()
    }
}

pub fn text(text: &str) -> Value {
    Value::Text(Packed::new(text).unwrap())
}

pub fn instances(share: u32, named: &[&str]) -> Setting {
    let named = named.iter().map(|name| (*name).to_owned()).collect();
    Setting { truth: Value::Share(share).into(), instances: Some(named) }
}

pub fn disabled(value: Value) -> Setting {
    Truth { value, disabled: true }.into()
}

/// One of each kind.
pub fn all_kinds() -> Vec<Entry> {
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let (allow, deny) = (ids(&["user:allowed", "user:both"]), ids(&["user:denied", "user:both"]));
    vec![
        Entry::new("on", Value::On),
        Entry::new("off", Value::Off),
        Entry::new("share", Value::Share(12_500)),
        Entry { allow: allow.clone(), deny: deny.clone(), ..Entry::new("listed", Value::Share(1)) },
        Entry { allow, deny, ..Entry::new("listed-on", Value::On) },
        Entry {
            stages: ids(&["registry", "telemetry", "enforce"]),
            ..Entry::new("cleanup", Value::Stage(2))
        },
        Entry::new("limit", Value::Int(-4711)),
        Entry::new("level", text("info")),
        Entry::new("some", instances(50_000, &["web#1", "web#3"])),
        Entry::new("not-now", disabled(Value::Int(9))),
    ]
}
