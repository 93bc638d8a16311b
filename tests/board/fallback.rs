//! B7: who is asked when there is no board.

use super::*;

struct Told {
    asked: Arc<AtomicU32>,
    keeper: Option<Answer>,
    journal: Option<Answer>,
}

impl Fallback for Told {
    fn ask(&self, _: &str, limit: Duration) -> Option<Answer> {
        assert_eq!(limit, Duration::from_millis(100));
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.keeper.clone()
    }

    fn recall(&self, _: &str) -> Option<Answer> {
        self.asked.fetch_add(1000, Ordering::Relaxed);
        self.journal.clone()
    }
}

#[test]
fn b7_without_a_board_the_keeper_is_asked_then_the_journal_and_then_the_default_holds() {
    let known = |value: Value| Some(Answer::known(value.into(), String::new()));
    let on = Some(Value::On.into());
    let table = [
        (known(Value::On), known(Value::Off), 1, on, Source::Asked, Source::Stale),
        (None, known(Value::On), 1001, on, Source::Asked, Source::Stale),
        (Some(Answer::Unknown), known(Value::On), 1, None, Source::Unknown, Source::Unknown),
        (None, None, 1001, None, Source::Lost, Source::Lost),
    ];
    for (keeper, journal, calls, truth, first, second) in table {
        let scene = Scene::new();
        let asked = Arc::new(AtomicU32::new(0));
        let told = Told { asked: asked.clone(), keeper, journal };
        let board = Board::open_with(scene.path(), Box::new(told));
        let flag = board.flag("flag-1");
        let reading = flag.read();
        assert_eq!((reading.truth, reading.source, asked.load(Ordering::Relaxed)), (truth, first, calls));
        let reading = flag.read();
        assert_eq!((reading.truth, reading.source), (truth, second));
        let _writer = scene.writer(&flags(3));
        comes_to("the board", || flag.read().source == Source::Proven);
        assert_eq!(flag.read().truth, Some(Value::Share(1001).into()), "the board is better");
    }
}

#[test]
fn b7_nobody_is_asked_while_a_value_was_proven() {
    let scene = Scene::new();
    let mut writer = scene.writer(&flags(3));
    let asked = Arc::new(AtomicU32::new(0));
    let told = Told { asked: asked.clone(), keeper: Some(Answer::Unknown), journal: None };
    let board = Board::open_with(scene.path(), Box::new(told));
    let flag = board.flag("flag-1");
    flag.read();
    let words = scene.words();
    words.store(STATE, 0);
    assert_eq!(flag.read().source, Source::Proven, "a word that is as it was needs no state");
    words.store(Layout::of(64).word(1), 0);
    assert_eq!(flag.read().source, Source::Stale);
    writer.scrub().unwrap();
    assert_eq!((flag.read().source, asked.load(Ordering::Relaxed)), (Source::Proven, 0));
}
