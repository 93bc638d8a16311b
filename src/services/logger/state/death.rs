//! The end of a life, and of an instance: all its words first, then what is said about it.

use super::super::child::Child;
use super::super::file::LogFile;
use super::super::line::{self, Which};
use super::super::memory::Word;
use super::super::words;
use super::{State, Taken};
use crate::blackbox::BlackBox;
use crate::board::Board;
use crate::crash::{self, Change, Evidence, Names, Record, Unwritten};
use crate::ipc::builtin::Death;
use crate::ipc::seam;
use crate::sys::{clock, pipe};
use crate::time::Instant;
use std::io;
use std::os::fd::OwnedFd;

/// So much may be written into logs before the last words of deaths are looked for: they are found from the end.
const MUCH: u64 = 256 << 10;

/// A death whose last words are to be looked for.
#[derive(Debug)]
pub(super) struct Pending {
    death: Death,
    evidence: Option<Evidence>,
    changed: Vec<Change>,
}

impl State {
    /// A life has ended: takes its words out of its pipes, marks the end, keeps what is known for [`State::record`].
    ///
    /// `next`: the instance's next life, when it was announced before the pipes could be drained and no seam is between the
    /// two. Then nobody can tell which bytes are whose; readiness counts for the next life, since a life that is believed
    /// ready a moment early does less harm than one that is never believed.
    pub(in super::super) fn death(
        &mut self,
        death: &Death,
        blackbox: Option<OwnedFd>,
        next: Option<u64>,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
        shown: &mut dyn FnMut(&mut Child, Which, &[u8]),
    ) -> io::Result<()> {
        // Else its number is another's by now, who does not die of this.
        if self.child(death.child).is_some_and(|known| *known.instance == death.instance) {
            if let Some(next) = next {
                self.arm(death.child, next, &Which::BOTH);
            }
            self.drain(death.child, death.incarnation, tell_ready, shown)?;
            self.mark_end(death)?;
        }
        if death.crash != 0 && !self.crashes.has(death.crash).unwrap_or(false) {
            let changed = self.changes.before(&death.service, death.at_ns);
            let evidence = blackbox.and_then(|memory| self.evidence(death, memory));
            if self.pending.is_empty() {
                self.pending_since = self.transfer.appended;
            }
            self.pending.push(Pending { death: death.clone(), evidence, changed });
        }
        if self.transfer.appended - self.pending_since > MUCH {
            self.find_words();
        }
        Ok(())
    }

    /// Finds the last words of those who died, all of one log in one search, and makes their records.
    fn find_words(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        let written = self.transfer.appended - self.pending_since;
        pending.sort_by(|a, b| a.death.service.cmp(&b.death.service));
        for of_one in pending.chunk_by_mut(|a, b| a.death.service == b.death.service) {
            let path = LogFile::new(&of_one[0].death.service, 0, 1).path(&self.logs);
            let lives = of_one.iter().map(|one| (&*one.death.instance, one.death.incarnation));
            // What cannot be read has no words.
            let words = words::last(&path, lives, written);
            for (Pending { death, evidence, changed }, words) in of_one.iter_mut().zip(words) {
                let (evidence, changed) = (evidence.take(), std::mem::take(changed));
                self.records.push(Record::new(death, line::stamp(death.time), evidence, changed, words));
            }
        }
        self.pending_since = self.transfer.appended;
    }

    /// What a black box says. One that cannot be read says nothing: the death is recorded all the same.
    fn evidence(&mut self, death: &Death, memory: OwnedFd) -> Option<Evidence> {
        let image = BlackBox::open(memory).and_then(|of_it| of_it.image()).ok()?;
        let State { names, runtime, .. } = self;
        let board = || {
            let names = names.get_or_insert_with(|| Names::of(&Board::open(runtime).snapshot()));
            Some(names.clone())
        };
        Some(Evidence::of(&image, Instant::from_nanos(death.at_ns), board))
    }

    /// Writes the records of all deaths since the last call, in one append. How many could not be written.
    pub(in super::super) fn record(&mut self) -> u32 {
        self.names = None;
        self.find_words();
        self.records.sort_unstable_by_key(|record| record.number);
        let written = self.crashes.append(&std::mem::take(&mut self.records));
        let Err(Unwritten { count, error }) = written else { return 0 };
        if self.crash_complaint.is_news(clock::now()) {
            let path = self.crashes.path().display();
            self.troubles.push(format!("cannot write a crash record to `{path}`: {error}"));
        }
        count
    }

    /// Takes what an instance's lives up to this one have left in its pipes by now; not what is written meanwhile, which may
    /// never end. Life by life, so that both streams of one come before both of the next.
    pub(in super::super) fn drain(
        &mut self,
        child: u32,
        until: u64,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
        shown: &mut dyn FnMut(&mut Child, Which, &[u8]),
    ) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        let mut left = [pipe::waiting(&known.pipes[0])?, pipe::waiting(&known.pipes[1])?];
        loop {
            let mut seams = [None; 2];
            for (which, left) in Which::BOTH.into_iter().zip(&mut left) {
                while *left > 0 {
                    self.look(child, which)?;
                    match self.take(child, which, tell_ready)? {
                        Taken::Bytes(taken) => {
                            *left = left.saturating_sub(taken as u64);
                            self.show(child, which, taken, shown);
                        }
                        Taken::Seam(life) => {
                            seams[which as usize] = Some(life);
                            break;
                        }
                        Taken::Nothing | Taken::Held => break,
                    }
                }
            }
            let next = seams.iter().flatten().copied().min();
            let Some(life) = next.filter(|life| *life <= until) else { return Ok(()) };
            for which in Which::BOTH.into_iter().filter(|which| seams[*which as usize] == Some(life)) {
                self.pass(child, which, life)?;
                left[which as usize] = left[which as usize].saturating_sub(seam::LENGTH as u64);
            }
        }
    }

    /// Hands the first `taken` of the bytes that were seen to `shown`.
    pub(in super::super) fn show(
        &mut self,
        child: u32,
        which: Which,
        taken: usize,
        shown: &mut dyn FnMut(&mut Child, Which, &[u8]),
    ) {
        if let Some(known) = self.children.get_mut(child as usize).and_then(Option::as_mut) {
            shown(known, which, &self.transfer.seen[..taken]);
        }
    }

    /// Marks the end of a life, once; not when the next one has begun in the log already.
    fn mark_end(&mut self, death: &Death) -> io::Result<()> {
        let Some(known) = self.child_mut(death.child) else { return Ok(()) };
        if known.awaited.as_ref().is_some_and(|awaited| awaited.life <= death.incarnation) {
            known.awaited = None;
        }
        let word = known.word;
        if word.life > death.incarnation || word.life == death.incarnation && word.ended {
            return Ok(());
        }
        // The next life begins with a line of its own, whatever this one left unfinished.
        let word = Word { life: death.incarnation, ended: true, place: Default::default() };
        let number = if death.crash == 0 { String::new() } else { format!(" (c-{})", death.crash) };
        let lived = crash::duration(std::time::Duration::from_nanos(death.lived_ns));
        let after = if death.pid == 0 { String::new() } else { format!(" after {lived}") };
        let text = format!("{}{}{after}{number}", words::end_mark(death.incarnation), crash::cause(death));
        self.mark(death.child, &text, Some(word))
    }

    /// An instance is removed, and its pipes were drained: nothing in its log is left open, then it is forgotten.
    ///
    /// Its word stays, and says that all is ended: killed before this is acknowledged, the next life of the logger
    /// is told of the instance once more, perhaps of its last death too, and must not mark the same end again.
    pub(in super::super) fn leave(&mut self, child: u32) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        let (service, word) = (known.service, known.word);
        let settled = Word { life: word.life, ended: word.life > 0, place: Default::default() };
        if word.life > 0 && !word.ended {
            // How it died was not told, or will be told too late for the log.
            self.mark(child, &format!("{}removed", words::end_mark(word.life)), Some(settled))?;
        } else if let Some((_, which)) = self.services[service].open.filter(|(owner, _)| *owner == child) {
            self.end_line(child, which, settled)?;
        } else if word != settled {
            self.set_word(child, settled)?;
        }
        self.forget(child);
        Ok(())
    }
}
