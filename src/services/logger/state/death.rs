//! The end of a life, and of an instance: all its words first, then what is said about it.

use super::super::child::Child;
use super::super::file::LogFile;
use super::super::line::{self, Which};
use super::super::memory::Word;
use super::super::words;
use super::{State, Taken};
use crate::blackbox::BlackBox;
use crate::board::Board;
use crate::crash::{self, Evidence, Names, Record, Unwritten};
use crate::ipc::builtin::Death;
use crate::sys::{clock, pipe};
use crate::time::Instant;
use std::io;
use std::os::fd::OwnedFd;

impl State {
    /// A life has ended: drains its pipes, marks the end, keeps what is known for [`State::record`].
    ///
    /// `next`: the instance's next life, when it was announced before the pipes could be drained. Then nobody can
    /// tell which bytes are whose; readiness counts for the next life, since a life that is believed ready a
    /// moment early does less harm than one that is never believed.
    pub(in super::super) fn death(
        &mut self,
        death: &Death,
        blackbox: Option<OwnedFd>,
        next: Option<u64>,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
        shown: &mut dyn FnMut(&mut Child, Which, &[u8]),
    ) -> io::Result<()> {
        let mut end = None;
        // Else its number is another's by now, who does not die of this.
        if self.child(death.child).is_some_and(|known| *known.instance == death.instance) {
            if let Some(next) = next {
                self.arm(death.child, next);
            }
            self.drain(death.child, tell_ready, shown)?;
            end = self.mark_end(death)?;
        }
        if death.crash != 0 && !self.crashes.has(death.crash).unwrap_or(false) {
            let path = LogFile::new(&death.service, 0, 1).path(&self.logs);
            let words = words::last(&path, &death.instance, death.incarnation, end).unwrap_or_default();
            let changed = self.changes.before(&death.service, death.at_ns);
            let evidence = blackbox.and_then(|memory| self.evidence(death, memory));
            self.records.push(Record::new(death, line::stamp(death.time), evidence, changed, words));
        }
        Ok(())
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
        let written = self.crashes.append(&std::mem::take(&mut self.records));
        let Err(Unwritten { count, error }) = written else { return 0 };
        if self.crash_complaint.is_news(clock::now()) {
            let path = self.crashes.path().display();
            self.troubles.push(format!("cannot write a crash record to `{path}`: {error}"));
        }
        count
    }

    /// Takes what an instance's pipes hold now; not what is written meanwhile, which may never end.
    pub(in super::super) fn drain(
        &mut self,
        child: u32,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
        shown: &mut dyn FnMut(&mut Child, Which, &[u8]),
    ) -> io::Result<()> {
        for which in Which::BOTH {
            let Some(known) = self.child(child) else { return Ok(()) };
            let mut left = pipe::waiting(&known.pipes[which as usize])?;
            while left > 0 {
                self.look(child, which)?;
                let Taken::Bytes(taken) = self.take(child, which, tell_ready)? else { break };
                left = left.saturating_sub(taken as u64);
                self.show(child, which, taken, shown);
            }
        }
        Ok(())
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

    /// Marks the end of a life, once.
    fn mark_end(&mut self, death: &Death) -> io::Result<Option<u64>> {
        let Some(known) = self.children.get_mut(death.child as usize).and_then(Option::as_mut) else {
            return Ok(None);
        };
        if known.awaited.as_ref().is_some_and(|awaited| awaited.life <= death.incarnation) {
            known.awaited = None;
        }
        let word = known.word;
        if word.life > death.incarnation || word.life == death.incarnation && word.ended {
            return Ok(None);
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
