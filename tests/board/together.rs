//! B4: several flags at once, several threads, and waiting.

use super::*;

#[test]
fn b4_a_snapshot_has_all_of_a_change_or_nothing() {
    let scene = Scene::new();
    let names: Vec<String> = (0..16).map(|i| format!("flag-{i}")).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name, Value::Share(1))).collect();
    let mut writer = scene.writer(&entries);
    let board = Board::open(scene.path());
    let stop = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (stop, names) = (stop.clone(), names.clone());
        move || {
            let mut seen = std::collections::HashSet::new();
            let mut newest = 0;
            while !stop.load(Ordering::Relaxed) || seen.len() < 2 {
                let snapshot = board.snapshot();
                if !snapshot.consistent {
                    continue;
                }
                let values: std::collections::HashSet<_> =
                    names.iter().map(|name| snapshot.read(name).truth.unwrap().value).collect();
                assert_eq!(values.len(), 1, "half of a change in {snapshot:?}");
                let Some(Value::Share(share)) = values.into_iter().next() else { panic!("no share") };
                assert!(share >= newest, "back in time");
                newest = share;
                seen.insert(share);
            }
            seen.len()
        }
    });
    for share in 2..4000 {
        let changes: Vec<_> = names.iter().map(|name| (name.as_str(), Value::Share(share).into())).collect();
        writer.set_all(&changes).unwrap();
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 1);
}

#[test]
fn b4_a_change_that_a_killed_writer_left_open_is_no_consistent_snapshot_until_the_next_writer_closes_it() {
    let scene = Scene::new();
    drop(scene.writer(&flags(3)));
    let (words, header) = (scene.words(), scene.header());
    let commit = mainstay::board::layout::COMMIT;
    words.store(commit, header.seal(commit).close(7));
    let board = Board::open(scene.path());
    let snapshot = board.snapshot();
    assert!(!snapshot.consistent);
    assert_eq!(snapshot.flags().count(), 3, "each value is right by itself");
    scene.writer(&flags(3));
    assert!(board.snapshot().consistent);
    assert!(header.seal(commit).open(words.load(commit)).is_some_and(|c| c > 7 && c % 2 == 0));
}

#[test]
fn a_waiter_wakes_at_a_change_and_at_a_successor() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let board = Board::open(scene.path());
    let (ready, when) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let mut seen = board.generation().unwrap();
        for _ in 0..3 {
            ready.send(seen).unwrap();
            seen = board.wait(seen, GENEROUS).expect("woken before the watchdog");
        }
        seen
    });
    assert_eq!(when.recv().unwrap(), 0);
    writer.set("flag-0", Value::On.into()).unwrap();
    assert_eq!(when.recv().unwrap(), 1);
    writer.declare(&flags(500)).unwrap(); // A successor.
    assert_eq!(when.recv().unwrap(), 2);
    fs::remove_file(scene.board()).unwrap();
    fs::remove_file(scene.kept()).unwrap();
    writer.set("flag-0", Value::Off.into()).unwrap();
    assert_eq!(waiter.join().unwrap(), 3);
    assert_eq!(Board::open(&scene.path().join("nowhere")).wait(0, Duration::from_millis(5)), None);
    assert_eq!(Board::open(scene.path()).wait(3, Duration::ZERO), None);
}

#[test]
fn every_change_wakes_who_sleeps_on_the_futex_word() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let words = scene.words();
    let (ready, when) = mpsc::channel();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            for _ in 0..50 {
                let half = words.half(FUTEX);
                let (value, start) = (half.load(Ordering::Acquire), mainstay::sys::clock::now());
                ready.send(()).unwrap();
                while half.load(Ordering::Acquire) == value {
                    mainstay::sys::futex::wait(half, value, GENEROUS);
                    assert!(mainstay::sys::clock::now().since(start) < GENEROUS, "nobody woke it");
                }
            }
        });
        for share in 1..=50 {
            when.recv().unwrap();
            // Until it sleeps, or nearly: a change before that needs no wake, and shows nothing.
            (0..1000).for_each(|_| std::thread::yield_now());
            writer.set("flag-0", Value::Share(share).into()).unwrap();
        }
        sleeper.join().unwrap();
    });
}

#[test]
fn handles_are_shared_by_threads_and_stay_good_through_successors() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let board = Board::open(scene.path());
    let flag = Arc::new(board.flag("flag-1"));
    shared(&*flag);
    shared(&board);
    // Before the first fault: what was never read is not known.
    assert_eq!(flag.read().source, Source::Proven);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (flag, stop) = (flag.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let Some(Truth { value: Value::Share(share), .. }) = flag.read().truth else {
                        panic!("lost")
                    };
                    assert!(share >= newest, "{share} after {newest}");
                    newest = share;
                }
                newest
            })
        })
        .collect();
    for round in 0..200 {
        let mut all = flags(if round % 2 == 0 { 100 } else { 20 });
        all[1].setting = Value::Share(2000 + round).into();
        all[2].salt = format!("{round}"); // Each round a new board.
        writer.declare(&all).unwrap();
        if round % 10 == 0 {
            File::create(scene.board()).unwrap(); // Truncated under the readers.
            writer.look().unwrap();
        }
    }
    comes_to("the last value", || flag.read().truth == Some(Value::Share(2199).into()));
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() >= 1001);
    }
}
