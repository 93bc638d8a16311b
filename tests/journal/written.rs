//! Journals to be damaged: what was written, and what each prefix of it says.

use mainstay::audit;
use mainstay::flags::guard::{Ban, Fact, Guarding, Mode, Moment, Past, Restore, Subject, Watch};
use mainstay::flags::{Packed, Truth, Value};
use mainstay::store::{self, Change, Reading, Set, State, Store};
use mainstay::time::Wall;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The format, told a second time: a test that asked the code where records end would believe it.
pub const HEADER: usize = 48;
pub const RECORD_HEAD: usize = 8;

/// A journal and what it must say after each of its records.
pub struct Written {
    pub bytes: Vec<u8>,
    /// `ends[k]`: where record k ends.
    pub ends: Vec<usize>,
    /// `states[k]`: what the first k records of the journal add up to.
    pub states: Vec<State>,
}

impl Written {
    /// How many records stand whole before this byte.
    pub fn whole_before(&self, byte: usize) -> usize {
        self.ends.iter().take_while(|&&end| end <= byte).count()
    }
}

pub fn change(generation: u64, sets: &[(&str, Option<Value>)], reason: &str) -> Change {
    Change {
        generation,
        request: generation * 7919,
        uid: 1000,
        actor: "ana".into(),
        verb: format!("flag set {}", sets.len()),
        reason: reason.into(),
        time: Wall(1_700_000_000_000_000 + generation as i64),
        sets: sets
            .iter()
            .map(|(flag, value)| Set {
                flag: (*flag).into(),
                truth: value.map(Truth::from),
                old: None,
                salt: String::new(),
            })
            .collect(),
        facts: facts(generation),
    }
}

/// Some changes have none.
pub fn facts(generation: u64) -> Vec<Fact> {
    let (subject, wall) = (Subject::Stage("m".into(), generation as u32 % 7), Wall(generation as i64));
    let moment = Moment { mono_ns: generation, boot: 3, wall };
    let watch = Watch {
        generation,
        digest: 9,
        back: vec![Restore { flag: "a".into(), old: None, new: Some(Value::On.into()) }],
        stage: Some(1),
        guard: Guarding::default(),
        roll: Some(2),
        at: moment,
        since_ns: 4,
        settled_ns: 5,
        starts: 1,
        readers: vec!["web".into()],
        before: vec![("web".into(), 2)],
        errors: vec![],
        held: "held".into(),
        uid: 1,
        actor: "ana".into(),
        reason: "because".into(),
    };
    let ban = Ban { digest: 1, why: "it crashed".into(), crashes: vec![1, 2], time: wall };
    let past = Past { rollbacks: vec![moment], frozen: true };
    let text = |text: &str| Truth { value: Value::Text(Packed::new(text).unwrap()), disabled: true };
    match generation % 5 {
        0 => vec![Fact::Run(generation), Fact::Switch(Mode::Observe)],
        1 => vec![],
        2 => vec![
            Fact::Good("level".into(), Some(text("debug"))),
            Fact::Good("n".into(), Some(Value::Int(-1).into())),
        ],
        3 => vec![
            Fact::Watch(subject.clone(), Some(watch)),
            Fact::Ban(subject.clone(), Some(ban)),
            Fact::Past(subject, Some(past)),
            Fact::Fresh(generation, Some(vec!["web".into(), "worker".into()])),
        ],
        _ => vec![Fact::Fresh(generation - 1, None), Fact::Good("level".into(), None)],
    }
}

/// The numbers of the changes in the audit log, which is whole.
pub fn audited(dir: &Path) -> Vec<u64> {
    let path = audit::file(dir);
    let found = audit::newest(&path, "", usize::MAX).unwrap();
    assert_eq!(audit::verify(&path).unwrap().lines, found.lines.len() as u64);
    assert!(found.all && found.passed_over == 0, "{} lines", found.lines.len());
    found.lines.iter().rev().map(|line| line.generation).collect()
}

pub fn journal_path(dir: &Path) -> PathBuf {
    store::directory(dir).join("journal")
}

/// Where the records of a journal end, by the format alone.
pub fn ends(bytes: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), HEADER);
    while let Some(head) = bytes.get(at..at + 4) {
        let length = u32::from_le_bytes(head.try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        at += RECORD_HEAD + length;
        ends.push(at);
    }
    ends
}

/// A journal with a snapshot of what `before` made, and one record for each of `changes`.
pub fn write(before: &[Change], changes: &[Change]) -> Written {
    let dir = TempDir::new().unwrap();
    let mut base = State::default();
    if !before.is_empty() {
        Store::open(dir.path()).commit(before).unwrap();
        before.iter().for_each(|c| base.apply(c));
    }
    let mut store = Store::open(dir.path());
    assert_eq!(*store.state(), base);
    let mut states = vec![base];
    for change in changes {
        store.commit(std::slice::from_ref(change)).unwrap();
        let mut state = states.last().unwrap().clone();
        state.apply(change);
        assert_eq!(*store.state(), state);
        states.push(state);
    }
    let mut bytes = std::fs::read(journal_path(dir.path())).unwrap();
    let ends = ends(&bytes);
    let snapshot = ends.len() - changes.len();
    bytes.truncate(ends.last().copied().unwrap_or(HEADER) + 64);
    // What a part of the snapshot says: nothing, or all of it, when it is one record of each kind.
    for _ in 0..snapshot {
        states.insert(0, State::default());
    }
    Written { bytes, ends, states }
}

pub fn plain() -> Written {
    let changes: Vec<_> = (1..=12)
        .map(|g| change(g, &[("new-checkout", Some(Value::of_share(g as u32 * 7000)))], "because"))
        .collect();
    write(&[], &changes)
}

pub fn several_flags_at_once() -> Written {
    let all = [("a", Some(Value::On)), ("b", Some(Value::Off)), ("c", None)];
    let changes: Vec<_> = (1..=9).map(|g| change(g, &all[..(g as usize % 3) + 1], "")).collect();
    write(&[], &changes)
}

pub fn same_length_and_content() -> Written {
    let changes: Vec<_> = (1..=10)
        .map(|g| Change {
            generation: 1,
            request: 0,
            verb: String::new(),
            ..change(g, &[("x", Some(Value::On))], "")
        })
        .map(|c| Change { time: Wall(0), facts: vec![Fact::Run(1)], ..c })
        .collect();
    write(&[], &changes)
}

pub fn long_reasons() -> Written {
    let changes: Vec<_> =
        (1..=8).map(|g| change(g, &[("flag", Some(Value::On))], &"x".repeat(g as usize * 40))).collect();
    write(&[], &changes)
}

/// Every journal whose every byte and bit is damaged.
pub fn journals() -> Vec<Written> {
    vec![plain(), several_flags_at_once(), same_length_and_content(), long_reasons()]
}

pub fn check(damaged: &[u8], expected: &State, what: &str) -> Reading {
    let reading = store::read(damaged).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    assert_eq!(reading.state, *expected, "{what}");
    reading
}

pub fn plain_header() -> &'static [u8] {
    static HEAD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    HEAD.get_or_init(|| plain().bytes[..HEADER].to_vec())
}
