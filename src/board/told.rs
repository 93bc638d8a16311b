//! What a handle does that has no board and never had one: it asks, and remembers what it was told (B7).

use super::fallback::Answer;
use super::flag::{Flag, Settled, TOLD};
use super::kept;
use super::reader::Source;
use crate::flags::{Body, Held, NAME_MAX, Packed, Value};
use crate::sys::clock;
use std::sync::atomic::Ordering;

impl Flag {
    /// What somebody else knows of it; kept for as long as nothing is proven.
    #[cold]
    pub(super) fn ask(&self) -> Settled {
        let Some(name) = &self.name else { return Settled::Unknown };
        let known = match self.asked() {
            None => return Settled::Lost,
            Some(Answer::Unknown) => return Settled::Unknown,
            Some(Answer::Known(known)) => known,
        };
        let (held, disabled) = (known.held(), known.truth.disabled);
        let value = match known.truth.value {
            Value::Int(number) => kept::Value::Int(number),
            Value::Text(text) => kept::Value::Text(text),
            Value::Share(share) if matches!(held, Held::Instances(_)) => {
                kept::Value::Share(share, known.decide(name.packed(), None, self.attachment.instance()))
            }
            Value::Stage(stage) if stage > 0 => {
                let stage = known.stages.get(stage as usize - 1).and_then(|stage| Packed::new(stage));
                stage.map_or(kept::Value::Nothing, kept::Value::Text)
            }
            _ => kept::Value::Nothing,
        };
        self.prefix.store(known.prefix(name.packed()).to_bits(), Ordering::Relaxed);
        let told = TOLD | u64::from(Body::Flag { held, disabled }.to_bits());
        // Only while nothing is proven: another thread may have read the board meanwhile.
        match self.kept.replace(&self.last, 0, told, value) {
            true => Settled::Word(told, Source::Asked),
            false => Settled::Word(self.last.load(Ordering::Acquire), Source::Stale),
        }
    }

    /// What somebody else says of an id, when only he knows the lists or instances.
    #[cold]
    pub(super) fn ask_for(&self, id: Option<&str>) -> Option<bool> {
        match self.asked()? {
            Answer::Known(known) => {
                known.decide(self.name.as_ref()?.packed(), id, self.attachment.instance())
            }
            Answer::Unknown => None,
        }
    }

    fn asked(&self) -> Option<Answer> {
        let mut buffer = [0; NAME_MAX];
        let name = self.name.as_ref()?.packed().text_in(&mut buffer)?;
        self.attachment.ask(name, clock::coarse())
    }
}
