//! What single lines of the table of names are for, each by itself: no supervisor, no registry, only a table and who reads it.

use mainstay::ipc::registry::{Entry, Process};
use mainstay::registry::layout::{ARENA_MIN, ENTRIES_MIN, FUTEX, INDEX, KEPT_TABLE, TABLE};
use mainstay::registry::{Error, Names, Repair, Writer, describe, open};
use mainstay::sys::{pidfd, ready};
use mainstay::time::Wall;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

fn entry(name: &str, pid: u32) -> Entry {
    Entry {
        name: name.to_owned(),
        process: Process { pid, started: 10, inode: 1000 + u64::from(pid) },
        instance: "web#1".to_owned(),
        uid: 0,
        ticket: u64::from(pid),
        since: Wall(1),
        meta: BTreeMap::from([("port".to_owned(), "8080".to_owned())]),
    }
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
    home
}

fn table(home: &Path) -> File {
    File::options().read(true).write(true).open(home.join(TABLE)).unwrap()
}

fn word(of: &File, cell: usize) -> u64 {
    let mut bytes = [0; 8];
    of.read_exact_at(&mut bytes, cell as u64 * 8).unwrap();
    u64::from_le_bytes(bytes)
}

/// What a reader that opens the table now says: nobody is there who could be asked.
fn found(home: &Path, name: &str) -> Result<Option<Entry>, Error> {
    Names::open(home).lookup(name)
}

#[test]
fn a_process_is_opened_only_when_it_is_the_one_that_was_registered_and_lives() {
    let me = describe(std::process::id()).unwrap();
    assert!(open(me).unwrap().is_some());
    // A kernel that does not number processes: the moment at which it began.
    assert!(open(Process { inode: 0, ..me }).unwrap().is_some());
    assert!(open(Process { inode: 0, started: me.started + 1, ..me }).unwrap().is_none());
    if me.inode != 0 {
        assert!(open(Process { inode: me.inode + 1, ..me }).unwrap().is_none());
    }
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let (process, end) = (describe(child.id()).unwrap(), pidfd::open(child.id()).unwrap().unwrap());
    assert!(open(process).unwrap().is_some());
    drop(child.stdin.take());
    ready::wait(&[ready::Want { fd: end.as_fd(), read: true, write: false }], None).unwrap();
    assert!(open(process).unwrap().is_none() && describe(child.id()).is_none(), "nobody has reaped it yet");
    child.wait().unwrap();
}

#[test]
fn who_reads_is_at_the_table_of_the_moment_however_it_came_there() {
    let home = home();
    let mut writer = Writer::create(home.path(), [entry("a", 1)].iter()).unwrap();
    let names = Names::open(home.path());
    for round in 2..30 {
        assert_eq!(names.pid("a"), Some(round - 1));
        if round % 2 == 0 {
            // Lost with both its names while nobody kept it: nobody says of it that it is not the one.
            fs::remove_file(home.path().join(TABLE)).unwrap();
            fs::remove_file(home.path().join(KEPT_TABLE)).unwrap();
        }
        let new = format!("new-{round}");
        let number = File::open(home.path().join(TABLE)).map_or(0, |table| word(&table, FUTEX));
        writer = Writer::create(home.path(), [entry("a", round), entry(&new, 7)].iter()).unwrap();
        assert_eq!(names.pid(&new), Some(7), "round {round}");
        assert_eq!(names.lookup(&new).unwrap().unwrap().process.pid, 7);
        assert_eq!(names.pid("a"), Some(round));
        if round % 2 == 1 {
            assert!(word(&table(home.path()), FUTEX) > number, "who waits for another number sees one");
        }
    }
    for round in 30..40 {
        writer.replace([entry("a", round)].iter()).unwrap();
        assert_eq!(names.pid("a"), Some(round));
    }
}

#[test]
fn a_table_that_was_cut_or_copied_or_is_another_users_is_none() {
    let fresh = || {
        let home = home();
        drop(Writer::create(home.path(), [entry("a", 1)].iter()).unwrap());
        assert_eq!(found(home.path(), "a").unwrap(), Some(entry("a", 1)));
        home
    };
    let cut = fresh();
    let length = table(cut.path()).metadata().unwrap().len();
    table(cut.path()).set_len(length - 8).unwrap();
    assert!(matches!(found(cut.path(), "a"), Err(Error::Unreachable(_))));

    let copied = fresh();
    let bytes = fs::read(copied.path().join(TABLE)).unwrap();
    for name in [TABLE, KEPT_TABLE] {
        // Beside it first: the number of a file that is gone may be given again.
        fs::write(copied.path().join("copy"), &bytes).unwrap();
        fs::rename(copied.path().join("copy"), copied.path().join(name)).unwrap();
    }
    assert!(matches!(found(copied.path(), "a"), Err(Error::Unreachable(_))));

    let anothers = fresh();
    // Only root can give a file away; whoever is not has no such file to fear.
    if chown(anothers.path().join(TABLE), Some(1234), None).is_ok() {
        assert!(matches!(found(anothers.path(), "a"), Err(Error::Unreachable(_))));
    }
}

#[test]
fn a_table_is_made_in_no_directory_that_others_can_write() {
    let home = home();
    fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(Writer::create(home.path(), [].iter()).is_err());
}

#[test]
fn no_cell_of_a_record_can_be_changed_unseen() {
    let home = home();
    let _writer = Writer::create(home.path(), [entry("orders", 7)].iter()).unwrap();
    let (names, file) = (Names::open(home.path()), table(home.path()));
    let arena = INDEX + ENTRIES_MIN;
    let used = (arena..arena + ARENA_MIN).filter(|cell| word(&file, *cell) != 0);
    for cell in used.collect::<Vec<_>>() {
        let (right, bit) = (word(&file, cell), 1 << (cell % 32));
        file.write_all_at(&(right ^ bit).to_le_bytes(), cell as u64 * 8).unwrap();
        match names.lookup("orders") {
            Ok(found) => panic!("cell {cell}: {found:?}"),
            Err(error) => assert!(matches!(error, Error::Unreachable(_)), "{error}"),
        }
        assert!(names.pid("orders").is_none_or(|pid| pid == 7), "cell {cell}");
        file.write_all_at(&right.to_le_bytes(), cell as u64 * 8).unwrap();
    }
    assert_eq!(names.lookup("orders").unwrap(), Some(entry("orders", 7)));
}

#[test]
fn whatever_was_done_to_a_table_is_put_right_and_said() {
    let home = home();
    let mut writer = Writer::create(home.path(), [entry("a", 1)].iter()).unwrap();
    let path = home.path().join(TABLE);
    assert_eq!(writer.look().unwrap(), Some(vec![]));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(writer.look().unwrap(), Some(vec![Repair::Mode(0o600)]));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    for name in [TABLE, KEPT_TABLE] {
        fs::remove_file(home.path().join(name)).unwrap();
        assert_eq!(writer.look().unwrap(), Some(vec![Repair::LinkedBack]));
        assert_eq!(found(home.path(), "a").unwrap(), Some(entry("a", 1)));
    }
    for cells in [&[FUTEX][..], &[INDEX, INDEX + ENTRIES_MIN]] {
        for cell in cells {
            let wrong = !word(&table(home.path()), *cell);
            table(home.path()).write_all_at(&wrong.to_le_bytes(), *cell as u64 * 8).unwrap();
        }
        assert_eq!(writer.look().unwrap(), Some(vec![Repair::Cells(cells.len())]));
        assert_eq!(
            (writer.look().unwrap(), found(home.path(), "a").unwrap()),
            (Some(vec![]), Some(entry("a", 1)))
        );
    }
    let length = table(home.path()).metadata().unwrap().len();
    table(home.path()).set_len(length - 4096).unwrap();
    assert_eq!(writer.look().unwrap(), None, "it has to be replaced");
    writer.replace([entry("a", 2)].iter()).unwrap();
    assert_eq!(
        (writer.look().unwrap(), found(home.path(), "a").unwrap()),
        (Some(vec![]), Some(entry("a", 2)))
    );
}
