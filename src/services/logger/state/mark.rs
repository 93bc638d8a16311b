//! What mainstay itself says in a log: marks. And the beginning of a life, which is one.

use super::super::child::Awaited;
use super::super::line::{self, Kind, Which};
use super::super::memory::{Intent, Place, Word};
use super::super::words;
use super::State;
use crate::sys::clock;
use std::io;

impl State {
    /// Writes a mark into the log of an instance; `word`: what its word is afterwards.
    pub(in super::super) fn mark(&mut self, child: u32, text: &str, word: Option<Word>) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        let (service, word) = (known.service, word.unwrap_or(known.word));
        let instance = known.instance.clone();
        let end = match self.end_of(service) {
            Ok(end) if self.full(service, end, None) => self.rotate(service, end),
            other => other,
        };
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                self.trouble(service, 0, &error);
                return self.set_word(child, word);
            }
        };
        self.text.clear();
        if end.inside_line {
            self.text.push(b'\n');
        }
        line::begin(&mut self.text, &line::stamp(clock::wall()), &instance, Kind::Mark);
        let one_line = text.replace('\n', " ");
        self.text.extend_from_slice(one_line.as_bytes());
        self.text.push(b'\n');
        // Whose line is interrupted: also this instance's own.
        let mut intent = self.intent(service, child, Which::Out, word, end);
        intent.lead = u32::from(end.inside_line);
        if let Some((owner, which)) = self.services[service].open
            && owner == child
        {
            let mut word = word;
            if word.place[which as usize] == Place::FileEnd {
                word.place[which as usize] = Place::MidLine;
            }
            intent.words[0] = self.child(child).map(|known| (child, known.bits(word)));
        }
        let file = &mut self.services[service].file;
        match self.transfer.append(intent, file, &self.text)? {
            Ok(()) => self.finish(service, child, intent, None),
            Err(error) => {
                // The file is as it was, and so is whose line it ends with.
                let open = self.services[service].open;
                let bits = self.child(child).map(|known| (child, known.bits(word)));
                let intent = Intent { words: [bits, None], ..intent };
                self.finish(service, child, intent, open)?;
                self.trouble(service, 0, &error);
                Ok(())
            }
        }
    }

    pub(super) fn set_word(&mut self, child: u32, word: Word) -> io::Result<()> {
        if let Some(known) = self.children.get_mut(child as usize).and_then(Option::as_mut) {
            known.word = word;
            self.transfer.memory.set_word(child, known.bits(word))?;
        }
        Ok(())
    }

    /// Ends the unfinished line of an instance that will write no more, so that whoever follows the log sees it;
    /// `word`: what the instance's word is afterwards.
    pub(super) fn end_line(&mut self, child: u32, which: Which, word: Word) -> io::Result<()> {
        let Some(service) = self.child(child).map(|known| known.service) else { return Ok(()) };
        let end = match self.end_of(service) {
            Ok(end) if end.inside_line => end,
            // Somebody else ended or moved it, or it cannot be reached: then it is not ours any more.
            Ok(_) | Err(_) => return self.set_word(child, word),
        };
        self.text.clear();
        self.text.push(b'\n');
        let intent = Intent { lead: 1, ..self.intent(service, child, which, word, end) };
        let file = &mut self.services[service].file;
        if let Err(error) = self.transfer.append(intent, file, &self.text)? {
            self.trouble(service, 0, &error);
        }
        self.finish(service, child, intent, None)
    }

    /// A life begins, or is told again: its first line with the text is awaited. `seam`: it begins where the pipes say so.
    pub(in super::super) fn life(&mut self, child: u32, incarnation: u64, seam: bool) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        if known.word.life < incarnation {
            if seam {
                return Ok(());
            }
            self.begin_life(child, incarnation)?;
        }
        self.arm(child, incarnation, &Which::BOTH);
        Ok(())
    }

    /// Marks the beginning of a life.
    pub(super) fn begin_life(&mut self, child: u32, incarnation: u64) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        let word = Word { life: incarnation, ended: false, place: known.word.place };
        self.mark(child, &words::life_mark(incarnation), Some(word))?;
        Ok(())
    }

    /// Awaits the text that tells readiness in these streams; once for each life.
    pub(super) fn arm(&mut self, child: u32, incarnation: u64, streams: &[Which]) {
        let path = self.child(child).map(|known| self.services[known.service].file.path(&self.logs));
        let (Some(known), Some(path)) = (self.child_mut(child), path) else { return };
        if known.armed < incarnation {
            known.armed = incarnation;
            let awaited = || Box::new(Awaited { life: incarnation, tails: Default::default() });
            known.awaited = known.ready.is_some().then(awaited);
        }
        for &which in streams {
            let Some(awaited) = known.awaited.as_mut().filter(|awaited| awaited.life == incarnation) else {
                return;
            };
            if awaited.tails[which as usize].is_none() {
                awaited.tails[which as usize] = Some(Vec::new());
                // The beginning of the line may be in the file already, taken by a logger that is dead.
                if known.word.life == incarnation && known.word.place[which as usize] != Place::LineStart {
                    let text = words::unfinished(&path, &known.instance, which).unwrap_or_default();
                    known.remember(which, &text);
                }
            }
        }
    }
}
