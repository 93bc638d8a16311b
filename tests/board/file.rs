//! B5, B6, B8: what is done to the file and its names, and whose board is believed.

use super::*;

/// One way to damage a board, and what the writer says it did about it.
type Fault = (&'static str, fn(&Scene), fn(&[Repair]) -> bool);

const FAULTS: &[Fault] = &[
    ("deleted", |s| fs::remove_file(s.board()).unwrap(), |r| r == [Repair::LinkedBack(Found::Nothing)]),
    ("second link deleted", |s| fs::remove_file(s.kept()).unwrap(), |r| r == [Repair::KeptAgain]),
    (
        "both links deleted",
        |s| {
            fs::remove_file(s.board()).unwrap();
            fs::remove_file(s.kept()).unwrap();
        },
        |r| r == [Repair::Replaced(Damage::Deleted)],
    ),
    (
        "everything deleted",
        |s| {
            for entry in fs::read_dir(s.path()).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
        },
        |r| r == [Repair::Replaced(Damage::Deleted)],
    ),
    (
        "directory deleted",
        |s| fs::remove_dir_all(s.path()).unwrap(),
        |r| r == [Repair::Replaced(Damage::Deleted)],
    ),
    (
        "moved away",
        |s| fs::rename(s.board(), s.path().join("away")).unwrap(),
        |r| r == [Repair::LinkedBack(Found::Nothing)],
    ),
    (
        "moved away without second link",
        |s| {
            fs::remove_file(s.kept()).unwrap();
            fs::rename(s.board(), s.path().join("away")).unwrap();
        },
        |r| r == [Repair::KeptAgain, Repair::LinkedBack(Found::Nothing)],
    ),
    ("emptied", |s| drop(File::create(s.board()).unwrap()), |r| r == [Repair::Replaced(Damage::Length(0))]),
    (
        "cut",
        |s| OpenOptions::new().write(true).open(s.board()).unwrap().set_len(5000).unwrap(),
        |r| r == [Repair::Replaced(Damage::Length(5000))],
    ),
    (
        "cut and grown again",
        |s| {
            let file = OpenOptions::new().write(true).open(s.board()).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len(0).unwrap();
            file.set_len(length).unwrap();
        },
        |r| matches!(r, [Repair::Cells(_)]),
    ),
    (
        "punched",
        |s| {
            let file = OpenOptions::new().write(true).open(s.board()).unwrap();
            let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&file, flags, 0, file.metadata().unwrap().len()).unwrap();
        },
        |r| matches!(r, [Repair::Cells(_)]),
    ),
    (
        "written over",
        |s| {
            let file = OpenOptions::new().write(true).open(s.board()).unwrap();
            file.write_all_at(&[0x5a; 9000], 100).unwrap();
        },
        |r| matches!(r, [Repair::Cells(_)]),
    ),
    (
        "replaced by garbage",
        |s| {
            fs::write(s.path().join("garbage"), [0x11; 20_000]).unwrap();
            fs::rename(s.path().join("garbage"), s.board()).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::File))],
    ),
    (
        "replaced by a directory",
        |s| {
            fs::remove_file(s.board()).unwrap();
            fs::create_dir_all(s.board().join("full")).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::Directory))],
    ),
    (
        "replaced by a fifo",
        |s| {
            fs::remove_file(s.board()).unwrap();
            nix::unistd::mkfifo(&s.board(), nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::Other))],
    ),
    (
        "replaced by a link to itself",
        |s| {
            fs::remove_file(s.board()).unwrap();
            symlink("board", s.board()).unwrap();
        },
        |r| r == [Repair::LinkedBack(Found::Stranger(Kind::Other))],
    ),
    (
        "second link's folder replaced by a file",
        |s| {
            fs::remove_dir_all(s.path().join(".kept")).unwrap();
            fs::write(s.path().join(".kept"), "").unwrap();
        },
        |r| r == [Repair::KeptAgain],
    ),
    (
        "second link replaced by a directory",
        |s| {
            fs::remove_file(s.kept()).unwrap();
            fs::create_dir_all(s.kept().join("full")).unwrap();
        },
        |r| r == [Repair::KeptAgain],
    ),
    (
        "mode taken away",
        |s| fs::set_permissions(s.board(), fs::Permissions::from_mode(0o000)).unwrap(),
        |r| r == [Repair::Mode(0)],
    ),
];

#[test]
fn b6_every_fault_is_survived_by_readers_and_healed_by_the_living_writer() {
    for (name, fault, expected) in FAULTS {
        let scene = Scene::new();
        let mut writer = scene.writer(&flags(20));
        let board = Board::open(scene.path());
        let handles: Vec<_> = (0..20).map(|i| board.flag(&format!("flag-{i}"))).collect();
        let check = |when: &str| {
            for (i, flag) in handles.iter().enumerate() {
                let reading = flag.read();
                assert_eq!(reading.truth, Some(Value::Share(1000 + i as u32).into()), "{name}, {when}");
                assert!(
                    matches!(reading.source, Source::Proven | Source::Stale),
                    "{name}, {when}: {reading:?}"
                );
            }
        };
        check("before");
        fault(&scene);
        check("damaged");
        let mut repairs = writer.look().unwrap();
        repairs.extend(writer.scrub().unwrap());
        assert!(expected(&repairs), "{name}: {repairs:?}");
        writer.set("flag-7", Value::On.into()).unwrap();
        comes_to("the new value", || handles[7].read().truth == Some(Value::On.into()));
        comes_to("proof", || handles.iter().all(|flag| flag.read().source == Source::Proven));
        assert_eq!(Board::open(scene.path()).read("flag-7").truth, Some(Value::On.into()), "{name}");
        assert_eq!((writer.look().unwrap(), writer.scrub().unwrap()), (vec![], vec![]), "{name}");
        assert_eq!(
            fs::metadata(scene.board()).unwrap().ino(),
            fs::metadata(scene.kept()).unwrap().ino(),
            "{name}"
        );
    }
}

#[test]
fn b6_every_fault_while_no_writer_lives_is_healed_by_the_next() {
    for (name, fault, _) in FAULTS {
        let scene = Scene::new();
        drop(scene.writer(&flags(20)));
        let board = Board::open(scene.path());
        let flag = board.flag("flag-7");
        assert_eq!(flag.read().source, Source::Proven);
        fault(&scene);
        assert_eq!(flag.read().truth, Some(Value::Share(1007).into()), "{name}");
        let (mut writer, _) = Writer::create(scene.path(), &flags(20), 1).unwrap();
        writer.set("flag-7", Value::On.into()).unwrap();
        comes_to("the new value", || flag.read().truth == Some(Value::On.into()));
        assert_eq!((writer.look().unwrap(), writer.scrub().unwrap()), (vec![], vec![]), "{name}");
    }
}

#[test]
fn b6_a_deleted_board_comes_back_as_the_same_file() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let inode = scene.inode();
    fs::remove_file(scene.board()).unwrap();
    let board = Board::open(scene.path());
    assert_eq!(board.read("flag-1").source, Source::Proven, "the second link serves meanwhile");
    writer.look().unwrap();
    assert_eq!(scene.inode(), inode);
    drop(writer);
    fs::remove_file(scene.board()).unwrap();
    scene.writer(&flags(3));
    assert_eq!(scene.inode(), inode, "a new writer takes it from the second link");
}

#[test]
fn b5_an_orphan_is_left_by_its_readers_though_nobody_could_retire_it() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    let flag = Board::open(scene.path()).flag("flag-1");
    assert!(!flag.is_on());
    fs::remove_file(scene.board()).unwrap();
    fs::remove_file(scene.kept()).unwrap();
    let mut writer = scene.writer(&flags(3));
    writer.set("flag-1", Value::On.into()).unwrap();
    comes_to("the successor", || flag.is_on());
}

#[test]
fn b5_an_orphan_is_left_also_by_who_only_asks_for_ids() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    let flag = Board::open(scene.path()).flag("flag-1");
    assert!(!flag.is_on_for("user:1"));
    fs::remove_file(scene.board()).unwrap();
    fs::remove_file(scene.kept()).unwrap();
    let mut writer = scene.writer(&flags(3));
    writer.set("flag-1", Value::On.into()).unwrap();
    comes_to("the successor", || flag.is_on_for("user:1"));
}

#[test]
fn b5_a_successor_that_was_never_named_is_retired_before_the_old_board_changes() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    // A writer killed between the two names of a successor: the second link is newer than the first.
    let newer = Scene::new();
    drop(newer.writer(&flags(3)));
    fs::remove_file(scene.kept()).unwrap();
    fs::hard_link(newer.board(), scene.kept()).unwrap();
    let reader = Board::open(newer.path()).flag("flag-1");
    assert_eq!(reader.read().source, Source::Proven);
    let inode = scene.inode();
    let (_, repairs) = Writer::create(scene.path(), &flags(3), 0).unwrap();
    assert_eq!(repairs, [Repair::RetiredStray, Repair::KeptAgain]);
    assert_eq!((scene.inode(), fs::metadata(scene.kept()).unwrap().ino()), (inode, inode));
    assert_eq!(reader.read().source, Source::Stale, "it is retired");
}

#[test]
fn b5_what_a_killed_writer_left_half_made_is_removed_and_never_read() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let kept = scene.path().join(".kept");
    fs::write(kept.join("new-board-abc"), "half").unwrap();
    fs::hard_link(scene.board(), kept.join("next")).unwrap();
    drop(writer);
    writer = scene.writer(&flags(3));
    fs::remove_file(scene.board()).unwrap();
    writer.look().unwrap();
    let names: Vec<_> = fs::read_dir(&kept).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["board"]);
}

#[test]
fn b8_a_directory_that_others_can_write_is_refused_by_writer_and_reader() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Writer::create(scene.path(), &flags(3), 0).unwrap_err().to_string();
    assert!(refused.contains("others can write it"), "{refused}");
    let board = Board::open(scene.path());
    assert_eq!(board.read("flag-1").source, Source::Lost);
    assert!(board.trouble().unwrap().to_string().contains("others can write it"));
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o711)).unwrap();
    assert_eq!(writer.look().unwrap(), []);
    comes_to("trust", || board.read("flag-1").source == Source::Proven);
}

#[test]
fn b5_a_board_that_was_replaced_says_so_in_its_state_and_in_every_word() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let (old, header) = (scene.words(), scene.header());
    writer.declare(&flags(100)).unwrap();
    assert_ne!(scene.header().incarnation, header.incarnation);
    let body = |cell: usize| header.seal(cell).open(old.load(cell));
    assert_eq!(body(STATE), Some(mainstay::board::layout::RETIRED));
    for slot in 0..header.layout.slots {
        assert_eq!(body(header.layout.word(slot)), Some(Body::Retired.to_bits()), "slot {slot}");
    }
}

/// Whoever can set a link can let it lead anywhere: also to a sound board of the same owner.
#[test]
fn b8_a_link_is_no_board_whatever_it_leads_to() {
    let (scene, other) = (Scene::new(), Scene::new());
    let _writer = other.writer(&flags(3));
    symlink(other.board(), scene.board()).unwrap();
    assert_eq!(Board::open(scene.path()).read("flag-1").source, Source::Lost);
    let (_, repairs) = Writer::create(scene.path(), &flags(3), 0).unwrap();
    assert_eq!(repairs, [Repair::Replaced(Damage::Missing)]);
    assert_ne!(scene.inode(), other.inode());
    assert_eq!(Board::open(other.path()).read("flag-1").source, Source::Proven, "it is as it was");
}

#[test]
fn b8_a_board_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root can give a file away; CI runs as root.
    }
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    std::os::unix::fs::chown(scene.board(), Some(65534), None).unwrap();
    assert_eq!(Board::open(scene.path()).read("flag-1").source, Source::Lost);
    let (_, repairs) = Writer::create(scene.path(), &flags(3), 0).unwrap();
    assert!(repairs.contains(&Repair::Replaced(Damage::Missing)), "{repairs:?}");
    writer.look().unwrap();
}

#[test]
fn a_full_file_system_refuses_a_board_and_leaves_nothing_behind() {
    let (Ok(limit), true) = (nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE), true)
    else {
        panic!("no limit to read");
    };
    // A limit of the file's size stands for a full disk; it is the process's, so only a child may have it.
    if std::env::var_os("BOARD_TEST_FULL").is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "file::a_full_file_system_refuses_a_board_and_leaves_nothing_behind";
        let status =
            std::process::Command::new(me).args([name, "--exact"]).env("BOARD_TEST_FULL", "1").status();
        assert!(status.unwrap().success());
        return;
    }
    let ignore = nix::sys::signal::SigHandler::SigIgn;
    signal_action(nix::sys::signal::Signal::SIGXFSZ, ignore);
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let inode = scene.inode();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, 4096, limit.1).unwrap();
    assert!(matches!(writer.declare(&flags(100)), Err(Error::System { .. })));
    let names: Vec<_> =
        fs::read_dir(scene.path().join(".kept")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!((names, scene.inode()), (vec!["board".into()], inode));
    assert_eq!(Board::open(scene.path()).read("flag-1").source, Source::Proven);
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, limit.0, limit.1).unwrap();
    writer.declare(&flags(100)).unwrap();
    assert_eq!(Board::open(scene.path()).read("flag-99").source, Source::Proven);
}

#[allow(unsafe_code)]
fn signal_action(signal: nix::sys::signal::Signal, handler: nix::sys::signal::SigHandler) {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, handler) }.unwrap();
}
