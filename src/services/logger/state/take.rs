//! Bytes of one pipe → lines of its service's file, one transfer.

use super::super::file::End;
use super::super::line::{self, Kind, Start, Which};
use super::super::memory::{Intent, Place, Word};
use super::State;
use crate::ipc::seam::{self, Next};
use crate::sys::clock;
use std::io;
use std::os::fd::AsFd;

/// The most that the lines of one transfer may be, in bytes: very short lines grow in the file.
const ENOUGH: usize = 128 << 10;

/// What [`State::compose`] put into `text`.
#[derive(Clone, Copy, Debug)]
struct Composed {
    /// The file's end before.
    end: End,
    /// How many bytes of the pipe it is.
    taken: usize,
    /// How many bytes come before theirs.
    lead: usize,
    /// They go on with the line that the file ends with.
    joined: bool,
}

/// What taking from a pipe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Taken {
    /// The pipe was empty.
    Nothing,
    /// So many bytes; there may be more. They are the first of `Transfer::seen`.
    Bytes(usize),
    /// What follows in the pipe is of this life, and was not taken: see [`State::pass`].
    Seam(u64),
    /// Readiness is in them, and could not be told: nothing was taken.
    Held,
}

impl State {
    /// Looks at what a pipe holds; how many bytes.
    pub(in super::super) fn look(&mut self, child: u32, which: Which) -> io::Result<usize> {
        match self.children.get(child as usize).and_then(Option::as_ref) {
            Some(known) => self.transfer.look(&known.pipes[which as usize]),
            None => Ok(0),
        }
    }

    /// Takes what [`State::look`] saw last, or less: never words of two lives. `tell_ready` is asked to say that this life is ready,
    /// before the line that says so is taken: killed in between, the next life of the logger sees the line again.
    pub(in super::super) fn take(
        &mut self,
        child: u32,
        which: Which,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
    ) -> io::Result<Taken> {
        match self.seams.map(|seams| seams.next(&self.transfer.seen)) {
            Some(Next::Life(life)) => return Ok(Taken::Seam(life)),
            Some(Next::Words(length)) => self.transfer.seen.truncate(length),
            None => {}
        }
        let seen = self.transfer.seen.len();
        let Some(known) = self.child_mut(child).filter(|_| seen > 0) else { return Ok(Taken::Nothing) };
        if let Some(life) = known.awaited.as_ref().map(|awaited| awaited.life)
            && self.child(child).is_some_and(|known| known.tells_ready(which, &self.transfer.seen))
        {
            if !tell_ready(child, life) {
                return Ok(Taken::Held);
            }
            if let Some(known) = self.child_mut(child) {
                known.awaited = None;
            }
        }
        let stamp = line::stamp(clock::wall());
        let taken = match self.compose(child, which, &stamp) {
            Ok(composed) => self.put(child, which, composed)?,
            Err(error) => {
                self.drop_bytes(child, which, seen, &error)?;
                seen
            }
        };
        if let Some(known) = self.children.get_mut(child as usize).and_then(Option::as_mut) {
            known.remember(which, &self.transfer.seen[..taken]);
        }
        Ok(Taken::Bytes(taken))
    }

    /// Puts the lines of what was seen into `text`, after rotating when the file is full.
    fn compose(&mut self, child: u32, which: Which, stamp: &str) -> io::Result<Composed> {
        let Some(service) = self.child(child).map(|known| known.service) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut end = self.end_of(service)?;
        if self.full(service, end, Some((child, which))) {
            end = self.rotate(service, end)?;
        }
        let Some(known) = self.children.get(child as usize).and_then(Option::as_ref) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let file = &self.services[service].file;
        let start = match known.word.place[which as usize] {
            _ if self.services[service].open == Some((child, which)) && file.dropped.is_none() => {
                Start::Joined
            }
            Place::LineStart => Start::Line,
            Place::MidLine | Place::FileEnd => Start::Rest,
        };
        self.text.clear();
        if end.inside_line && start != Start::Joined {
            self.text.push(b'\n');
        }
        if let Some((bytes, why)) = &file.dropped {
            line::begin(&mut self.text, stamp, &known.instance, Kind::Mark);
            self.text.extend_from_slice(format!("{bytes} bytes dropped: {why}\n").as_bytes());
        }
        // What makes the file full is the last that goes into it.
        let enough = file.max_size.saturating_sub(end.offset).min(ENOUGH as u64) as usize;
        let origin = (stamp, &*known.instance, which);
        let lead = self.text.len();
        let taken = line::compose(&mut self.text, &self.transfer.seen, origin, start, enough);
        Ok(Composed { end, taken, lead, joined: start == Start::Joined })
    }

    /// Appends `text`, or drops the bytes when that fails. Says how many it took.
    fn put(&mut self, child: u32, which: Which, composed: Composed) -> io::Result<usize> {
        let Composed { end, taken, lead, joined } = composed;
        let Some(known) = self.children.get(child as usize).and_then(Option::as_ref) else { return Ok(0) };
        let (service, before, pipe) = (known.service, known.word, known.inodes[which as usize]);
        let finished = self.transfer.seen[taken - 1] == b'\n';
        let mut word = before;
        word.place[which as usize] = if finished { Place::LineStart } else { Place::FileEnd };
        let mut intent = self.intent(service, child, which, word, end);
        (intent.from, intent.pipe) = (Some((child, which)), pipe);
        (intent.bytes, intent.lead, intent.joined) = (taken as u32, lead as u32, joined);
        let file = &mut self.services[service].file;
        match self.transfer.append(intent, file, &self.text)? {
            Ok(()) => {
                file.dropped = None;
                self.finish(service, child, intent, (!finished).then_some((child, which)))?;
                Ok(taken)
            }
            Err(error) => {
                self.drop_bytes(child, which, taken, &error)?;
                Ok(taken)
            }
        }
    }

    /// The intent to append to this service's file; `word`: what the instance's will be.
    pub(super) fn intent(
        &self,
        service: usize,
        child: u32,
        which: Which,
        mut word: Word,
        end: End,
    ) -> Intent {
        let mut other = None;
        if let Some((owner, of)) = self.services[service].open
            && (owner, of) != (child, which)
        {
            if owner == child {
                word.place[of as usize] = Place::MidLine;
            } else if let Some(owning) = self.child(owner) {
                let mut changed = owning.word;
                changed.place[of as usize] = Place::MidLine;
                other = Some((owner, owning.bits(changed)));
            }
        }
        let bits = self.child(child).map(|known| (child, known.bits(word)));
        Intent { file: end.id, offset: end.offset, words: [bits, other], ..Intent::default() }
    }

    /// Ends a transfer and takes its words over.
    pub(super) fn finish(
        &mut self,
        service: usize,
        child: u32,
        intent: Intent,
        open: Option<(u32, Which)>,
    ) -> io::Result<()> {
        let from = intent.from.and_then(|(_, which)| {
            let known = self.children.get(child as usize)?.as_ref()?;
            Some(known.pipes[which as usize].as_fd())
        });
        self.transfer.finish(intent, from)?;
        for (child, bits) in intent.words.into_iter().flatten() {
            if let Some(known) = self.child_mut(child) {
                known.word = Word::from_bits(bits, known.tag);
            }
        }
        self.services[service].open = open;
        Ok(())
    }

    /// The words of a stream are those of this life from here on: takes the seam before them out of the pipe. What the
    /// lives before have written should have been taken from both streams.
    pub(in super::super) fn pass(&mut self, child: u32, which: Which, life: u64) -> io::Result<()> {
        if self.is_open_before(child, life) {
            // The log has no end of the life before yet, so it says where the next one begins.
            self.begin_life(child, life)?;
        }
        let Some(mut word) = self.child(child).map(|known| known.word) else { return Ok(()) };
        if word.life < life {
            (word.life, word.ended) = (life, false);
        }
        word.place[which as usize] = Place::LineStart;
        self.skip(child, which, seam::LENGTH, word)?;
        self.arm(child, life, &[which]);
        Ok(())
    }

    /// Whether a life before this one has begun whose end is not known yet.
    pub(in super::super) fn is_open_before(&self, child: u32, life: u64) -> bool {
        let word = self.child(child).map(|known| known.word).unwrap_or_default();
        word.life > 0 && word.life < life && !word.ended
    }

    /// Takes bytes out of their pipe without a file for them: a service never waits for our disk.
    fn drop_bytes(&mut self, child: u32, which: Which, bytes: usize, error: &io::Error) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        let (service, mut word) = (known.service, known.word);
        let finished = self.transfer.seen[bytes - 1] == b'\n';
        word.place[which as usize] = if finished { Place::LineStart } else { Place::MidLine };
        self.skip(child, which, bytes, word)?;
        self.trouble(service, bytes, error);
        Ok(())
    }

    /// Takes bytes out of their pipe, and nothing is written; `word`: what the instance's word is afterwards.
    fn skip(&mut self, child: u32, which: Which, bytes: usize, word: Word) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        let service = known.service;
        let bits = Some((child, known.bits(word)));
        let intent = Intent {
            from: Some((child, which)),
            pipe: known.inodes[which as usize],
            bytes: bytes as u32,
            words: [bits, None],
            ..Intent::default()
        };
        let open = self.services[service].open.filter(|&owner| owner != (child, which));
        self.finish(service, child, intent, open)
    }

    pub(super) fn trouble(&mut self, service: usize, bytes: usize, error: &io::Error) {
        let file = &mut self.services[service].file;
        let why = error.to_string();
        let news = file.complaint.is_news(clock::now());
        match &mut file.dropped {
            Some((dropped, _)) => *dropped += bytes as u64,
            None => {
                if news {
                    let path = file.path(&self.logs);
                    self.troubles.push(format!(
                        "cannot write `{}`: {why}; output is dropped until it can be written, services go on",
                        path.display()
                    ));
                }
                file.dropped = Some((bytes as u64, why));
            }
        }
        // A file that failed is opened again: it may be another one by now.
        file.close();
    }
}
