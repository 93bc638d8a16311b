//! A hundred thousand requests of random and of almost right bytes, through the same frames and the same
//! deciding as the keeper's, without sockets.
//!
//! What must hold: no panic, no change of a flag that is not declared, every value one that its flag takes, and migrations
//! a function of their stage, unless somebody set a flag by hand since.

#![allow(clippy::unwrap_used)]

use mainstay::flags::guard::{Guard, Guarding, Mode, Moment};
use mainstay::flags::{Catalog, Declaration, Kind, Migration, Packed, Stage, Tree, Value};
use mainstay::ipc::flags::{Edit, How, Request, Steering, Way};
use mainstay::ipc::frame::{self, Form, Inbox};
use mainstay::services::keeper::{Actor, Batch, Ground, Outcome, Truths, handle};
use mainstay::store::State;
use mainstay::time::Wall;
use std::collections::BTreeMap;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

fn catalog() -> Catalog {
    let flag = |name: &str| Declaration { name: name.into(), salt: name.into(), ..Declaration::default() };
    let guard = Some(Guarding { services: vec!["web".into()], ..Guarding::default() });
    let text = |text: &str| Value::Text(Packed::new(text).unwrap());
    let flags = [
        flag("a"),
        Declaration { guard, ..flag("b") },
        Declaration { kind: Kind::Bool, default: Value::On, ..flag("c") },
        Declaration { kind: Kind::Int, default: Value::Int(43), safe: Value::Int(1), ..flag("n") },
        Declaration { kind: Kind::Text, default: text("info"), safe: text("warn"), ..flag("t") },
        flag("s1"),
        flag("s2"),
        flag("s3"),
    ];
    let stage = |name: &str, on: &str| Stage { name: name.into(), on: vec![on.into()], ..Stage::default() };
    let stages = vec![
        stage("first", "s1"),
        Stage { steps: vec![1000, 50_000, 100_000], ..stage("second", "s2") },
        Stage { one_way: true, ..stage("third", "s3") },
    ];
    Catalog::new(flags, [Migration { name: "m".into(), stages, ..Migration::default() }])
}

const NAMES: [&str; 12] = ["a", "b", "c", "n", "t", "s1", "s2", "m", "d", "", "\u{0}", "a\n"];

fn plausible(random: &mut Random) -> Request {
    let values = [
        "on",
        "off",
        "50%",
        "0.001%",
        "100%",
        "101%",
        "-1",
        "9223372036854775807",
        "debug",
        "\"",
        "disabled",
        "default",
        "",
        "\u{1b}[1m",
    ];
    let name = |random: &mut Random| random.one_of(&NAMES).to_owned();
    let names = |random: &mut Random| (0..random.below(3)).map(|_| name(random)).collect::<Vec<_>>();
    let how = How {
        id: if random.chance(10) { random.next() % 8 } else { 0 },
        reason: "x".repeat(if random.chance(3) { random.below(4000) } else { 1 }),
        volatile: random.chance(2),
        dry_run: random.chance(8),
        override_ban: random.chance(4),
    };
    match random.below(16) {
        0 => Request::List { flags: names(random) },
        1 => Request::Reset { how, flags: names(random) },
        2 => Request::Load { how },
        3..=5 => Request::Stage {
            how,
            migration: if random.chance(8) { name(random) } else { "m".to_owned() },
            to: random.one_of(&["0", "1", "2", "3", "4", "first", "second", "fisrt", "", "-1"]).to_owned(),
            way: random.one_of(&[Way::Enable, Way::Rollback]),
            force: random.chance(2),
            past_one_way: random.chance(2),
            at_once: random.chance(2),
        },
        6 => Request::Emergency { how, migration: random.one_of(&["", "m", "a"]).to_owned() },
        7 => Request::Roll {
            how,
            flag: name(random),
            steps: (0..random.below(4)).map(|n| format!("{}", n * random.below(60))).collect(),
            bake_ns: random.one_of(&[0, 1, u64::MAX, 600_000_000_000]),
            unit: random.one_of(&["", "id", "host", "instance", "none"]).to_owned(),
        },
        8 => Request::Steer {
            how,
            roll: random.next() % 5,
            to: random.one_of(&[Steering::End, Steering::Back, Steering::On]),
        },
        9 => Request::Guard {
            how,
            mode: random.one_of(&[None, Some(Mode::On), Some(Mode::Observe), Some(Mode::Off)]),
            thaw: names(random),
        },
        10 => {
            let (migrations, number) = (names(random), random.next() % 5);
            random.one_of(&[
                Request::Migrations { migrations },
                Request::Rolls { rolls: vec![number] },
                Request::Rolls { rolls: vec![] },
                Request::Guarding,
                Request::Seen { flags: vec![] },
                Request::Where,
            ])
        }
        _ => {
            let edit = |random: &mut Random| Edit {
                flag: name(random),
                to: random.one_of(&values).to_owned(),
                disabled: random.below(4) == 0,
            };
            Request::Set { how, edits: (0..random.below(4)).map(|_| edit(random)).collect() }
        }
    }
}

#[test]
fn no_frame_makes_the_keeper_panic_or_believe_nonsense() {
    let (catalog, mut random, mut state) = (catalog(), Random(0x1234_5678_9abc_def1), State::default());
    let who = Actor { uid: 0, name: "root".into() };
    let (tree, took, mut guard) = (Tree::default(), BTreeMap::new(), Guard::new());
    let (mut understood, mut changed, mut stages) = (0, 0, 0);
    for round in 0..120_000 {
        let form = if round % 2 == 0 { Form::Binary } else { Form::Json };
        let mut bytes = frame::encode(form, &plausible(&mut random)).unwrap();
        match round % 5 {
            0 => bytes = random.bytes(200),
            1 => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            2 => bytes.truncate(random.below(bytes.len())),
            _ => {}
        }
        let mut inbox = Inbox::default();
        inbox.push(&bytes);
        let Ok(Some(request)) = inbox.take::<Request>() else { continue };
        understood += 1;
        let mut batch = Batch::above(0);
        let truths = Truths { catalog: &catalog, state: &state, tree: &tree };
        let now = Moment { mono_ns: round * 1_000_000_000, boot: 1, wall: Wall(round as i64 * 1_000_000) };
        let ground = Ground { truths, guard: &guard, took: &took, now };
        let outcome = handle(&ground, &mut batch, &who, &request);
        assert!(batch.changes.is_empty() || matches!(outcome, Outcome::Answer(..)));
        assert!(batch.changes.is_empty() || request.how().is_some_and(|how| !how.dry_run));
        for change in &batch.changes {
            changed += 1;
            assert_eq!(change.generation, state.generation() + 1);
            for set in &change.sets {
                let kind = match catalog.flag(&set.flag) {
                    Some(flag) => flag.kind,
                    None => catalog.migration(&set.flag).map(|_| Kind::Stage).unwrap(),
                };
                assert!(set.truth.is_none_or(|truth| truth.value.fits(kind)), "{set:?}");
                if let Some(Value::Share(share)) = set.truth.map(|truth| truth.value) {
                    assert!((1..100_000).contains(&share));
                }
            }
            state.apply(change);
            change.facts.iter().for_each(|fact| guard.learn(fact));
            if let Request::Stage { .. } = request {
                stages += 1;
                let truths = Truths { catalog: &catalog, state: &state, tree: &tree };
                truths.see(|view| {
                    let (stage, coming) = (view.stage("m"), view.coming_in("m").map(|(stage, _)| stage));
                    for (number, flag) in [(1, "s1"), (2, "s2"), (3, "s3")] {
                        let expected = if number <= stage { Value::On } else { Value::Off };
                        assert!(
                            view.truth(flag).value == expected || coming == Some(number),
                            "{flag} at {stage}"
                        );
                    }
                });
            }
        }
    }
    assert!(understood > 40_000 && changed > 3_000 && stages > 300, "{understood} {changed} {stages}");
}
