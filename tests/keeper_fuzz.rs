//! A hundred thousand requests of random and of almost right bytes, through the same frames and the same
//! deciding as the keeper's, without sockets.
//!
//! What must hold: no panic, no change of a flag that is not declared, and every share within its bounds.

#![allow(clippy::unwrap_used)]

use mainstay::flags::{Declaration, Value};
use mainstay::ipc::flags::{Edit, Request, To};
use mainstay::ipc::frame::{self, Form, Inbox};
use mainstay::services::keeper::{Actor, Batch, Declared, Outcome, handle};
use mainstay::store::State;
use mainstay::time::Wall;

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
}

fn declared() -> Declared {
    Declared::new(["a", "b", "c"].map(|name| Declaration {
        name: name.into(),
        default: Value::Off,
        safe: Value::Off,
        salt: name.into(),
        owner: None,
        description: None,
    }))
}

fn plausible(random: &mut Random) -> Request {
    let names = ["a", "b", "c", "d", "", "\u{0}", "a\n"];
    let to = [To::Disabled, To::Default, To::Value(Value::On), To::Value(Value::Share(random.next() as u32))];
    let edits = (0..random.below(4))
        .map(|_| Edit { flag: names[random.below(names.len())].into(), to: to[random.below(to.len())] })
        .collect();
    let id = if random.below(10) == 0 { random.next() % 8 } else { 0 };
    let (volatile, dry_run) = (random.below(2) == 0, random.below(8) == 0);
    match random.below(4) {
        0 => Request::List { flags: vec![names[random.below(names.len())].into()] },
        1 => Request::Reset { id, flags: vec![], reason: String::new(), volatile, dry_run },
        _ => Request::Set { id, edits, reason: "x".repeat(random.below(4000)), volatile, dry_run },
    }
}

#[test]
fn no_frame_makes_the_keeper_panic_or_believe_nonsense() {
    let (declared, mut random, mut state) = (declared(), Random(0x1234_5678_9abc_def1), State::default());
    let who = Actor { uid: 0, name: "root".into() };
    let (mut understood, mut changed) = (0, 0);
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
        let outcome = handle(&declared, &state, &mut batch, Wall(round), &who, &request);
        assert!(batch.changes.is_empty() || matches!(outcome, Outcome::Answer(..)));
        for change in &batch.changes {
            changed += 1;
            assert_eq!(change.generation, state.generation() + 1);
            for set in &change.sets {
                assert!(["a", "b", "c"].contains(&set.flag.as_str()), "{:?}", set.flag);
                if let Some(Value::Share(share)) = set.truth.map(|truth| truth.value) {
                    assert!((1..100_000).contains(&share));
                }
            }
            state.apply(change);
        }
    }
    assert!(understood > 40_000 && changed > 1_000, "{understood} {changed}");
}
