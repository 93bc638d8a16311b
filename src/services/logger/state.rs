//! What the logger knows: which instances there are, and how each comes and goes. What it does with them is in the
//! modules below, one kind of step in each.
//!
//! Invariant: an instance's number may be another's after [`State::forget`], and nothing of the one before is left
//! then: no descriptor, no unfinished line that is believed to be its.

mod death;
mod logs;
mod mark;
mod room;
mod take;

pub(super) use take::Taken;

use super::child::Child;
use super::complaint::Complaint;
use super::line::Which;
use super::memory::{self, Place, Word};
use super::transfer::{MOST, Transfer};
use crate::crash::{Changes, Names, Record, Store};
use crate::ipc::seam::Seams;
use crate::sys::pipe;
use death::Pending;
use logs::Logs;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The logger's state.
#[derive(Debug)]
pub(super) struct State {
    logs: PathBuf,
    /// Where bytes are moved.
    pub(super) transfer: Transfer,
    services: Logs,
    /// By number.
    children: Vec<Option<Child>>,
    /// Their numbers, by name.
    numbers: HashMap<Rc<str>, u32>,
    /// Numbers of others with the same names: for a while one that is gone is known together with its successor.
    namesakes: Vec<u32>,
    crashes: Store,
    text: Vec<u8>,
    /// Log files that were opened since all were closed.
    opened: usize,
    /// What should be told the supervisor about files; each trouble once ([`Complaint`]).
    pub(super) troubles: Vec<String>,
    crash_complaint: Complaint,
    /// Deaths whose last words are still to be looked for.
    pending: Vec<Pending>,
    /// `Transfer::appended` when the first of them was told.
    pending_since: u64,
    /// Records that are not written yet.
    records: Vec<Record>,
    /// How the lives of an instance are told apart in its pipes.
    pub(super) seams: Option<Seams>,
    /// Where the board is.
    runtime: PathBuf,
    /// Its flags, while deaths are recorded that have read some.
    names: Option<Names>,
    /// What deaths may be the consequence of.
    pub(super) changes: Changes,
}

/// An instance, as it is announced.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its number.
    pub(super) child: u32,
    /// `web`
    pub(super) service: String,
    /// `web#2`
    pub(super) instance: String,
    /// Rotate when larger than this many bytes.
    pub(super) max_size: u64,
    /// How many files.
    pub(super) files: u32,
    /// The text that tells readiness.
    pub(super) ready: Option<String>,
    /// The read ends of stdout and stderr.
    pub(super) pipes: [OwnedFd; 2],
}

impl State {
    /// Nothing is known yet, nothing opened.
    pub(super) fn new(logs: &Path, state: &Path, runtime: &Path, transfer: Transfer) -> State {
        State {
            logs: logs.to_owned(),
            transfer,
            services: Logs::default(),
            children: Vec::new(),
            numbers: HashMap::new(),
            namesakes: Vec::new(),
            crashes: Store::new(state),
            text: Vec::new(),
            opened: 0,
            troubles: Vec::new(),
            crash_complaint: Complaint::default(),
            pending: Vec::new(),
            pending_since: 0,
            records: Vec::new(),
            seams: None,
            runtime: runtime.to_owned(),
            names: None,
            changes: Changes::default(),
        }
    }

    /// The instance with this number.
    pub(super) fn child(&self, child: u32) -> Option<&Child> {
        self.children.get(child as usize)?.as_ref()
    }

    /// The same, to change it.
    pub(super) fn child_mut(&mut self, child: u32) -> Option<&mut Child> {
        self.children.get_mut(child as usize)?.as_mut()
    }

    /// The instance with this name.
    pub(super) fn named(&mut self, instance: &str) -> Option<(u32, &mut Child)> {
        let number = *self.numbers.get(instance)?;
        Some((number, self.child_mut(number)?))
    }

    /// All numbers in use.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.children).filter_map(|(n, child)| child.as_ref().map(|_| n))
    }

    /// Whether this is the very instance that is known by its number, if one is.
    pub(super) fn is_known(&self, stream: &Stream) -> bool {
        self.child(stream.child).is_some_and(|known| {
            *known.instance == *stream.instance
                && self.services[known.service].file.name() == stream.service
                && inodes(&stream.pipes).is_ok_and(|inodes| inodes == known.inodes)
        })
    }

    /// An instance is announced, for the first time or again. True when it is new; then its number is nobody's.
    pub(super) fn stream(&mut self, stream: Stream) -> io::Result<bool> {
        let known = self.is_known(&stream);
        let Stream { child, service, instance, max_size, files, ready, pipes } = stream;
        let ready = ready.filter(|text| !text.is_empty() && !text.contains('\n'));
        let ready = ready.map(|text| text.into_bytes().into_boxed_slice());
        if known && let Some(known) = self.children[child as usize].as_mut() {
            known.ready = ready;
            self.services.set(&service, max_size, files);
            return Ok(false);
        }
        self.forget(child);
        let own = [pipe::reopen_for_reading(&pipes[0])?, pipe::reopen_for_reading(&pipes[1])?];
        let inodes = inodes(&own)?;
        let instance: Rc<str> = instance.into();
        let tag = memory::tag(&instance, inodes[0]);
        if self.children.len() <= child as usize {
            self.children.resize_with(child as usize + 1, || None);
        }
        self.namesakes.extend(self.numbers.insert(Rc::clone(&instance), child));
        self.children[child as usize] = Some(Child {
            service: self.services.join(&service, max_size, files),
            instance,
            pipes: own,
            inodes,
            tag,
            word: Word::from_bits(self.transfer.memory.word(child), tag),
            ready,
            armed: 0,
            awaited: None,
            pid: 0,
            shown: Default::default(),
        });
        Ok(true)
    }

    /// Closes what is open for an instance and knows it no longer. What its pipes hold must have been taken before.
    pub(super) fn forget(&mut self, child: u32) {
        let Some(known) = self.children.get_mut(child as usize).and_then(Option::take) else { return };
        if let Some(at) = self.namesakes.iter().position(|&other| other == child) {
            self.namesakes.swap_remove(at);
        } else if self.numbers.remove(&known.instance).is_some() {
            let same = |&other: &u32| self.child(other).is_some_and(|other| other.instance == known.instance);
            if let Some(at) = self.namesakes.iter().position(same) {
                self.numbers.insert(Rc::clone(&known.instance), self.namesakes.swap_remove(at));
            }
        }
        let service = &mut self.services[known.service];
        service.open.take_if(|(owner, _)| *owner == child);
        self.services.part(known.service);
        while self.children.pop_if(|last| last.is_none()).is_some() {}
    }

    /// Ends what the life before was doing. Every stream is known by now.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        let children = &self.children;
        self.transfer.recover(&self.logs, |intent| {
            let (child, which) = intent.from?;
            let child = children.get(child as usize)?.as_ref()?;
            // Else the number is another's by now, who keeps its bytes.
            (child.inodes[which as usize] == intent.pipe).then(|| child.pipes[which as usize].as_fd())
        })?;
        // The words may have changed just now.
        for child in self.indices().collect::<Vec<_>>() {
            let bits = self.transfer.memory.word(child);
            if let Some(known) = self.child_mut(child) {
                known.word = Word::from_bits(bits, known.tag);
                let (service, place) = (known.service, known.word.place);
                for which in Which::BOTH {
                    if place[which as usize] == Place::FileEnd {
                        self.services[service].open = Some((child, which));
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives memory back that only a flood needed; before waiting.
    pub(super) fn rest(&mut self) {
        if self.text.capacity() + self.transfer.seen.capacity() > MOST / 2 {
            self.text = Vec::new();
            self.transfer.seen = Vec::new();
        }
    }
}

/// What tells these pipes from all others that there are.
fn inodes(pipes: &[OwnedFd; 2]) -> io::Result<[u64; 2]> {
    let inode = |pipe: &OwnedFd| Ok::<_, io::Error>(rustix::fs::fstat(pipe)?.st_ino);
    Ok([inode(&pipes[0])?, inode(&pipes[1])?])
}
