//! What the logger knows, and one step of each kind: a stream is announced, bytes are taken, a mark is
//! written, a life begins, deaths are recorded.

use super::child::{Awaited, Child};
use super::complaint::Complaint;
use super::file::{End, LogFile};
use super::line::{self, Kind, Start, Which};
use super::memory::{Intent, Place, Word};
use super::transfer::{MOST, Transfer};
use super::words;
use crate::crash::{self, Record, Store};
use crate::ipc::builtin::Death;
use crate::sys::{clock, pipe};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The most that the lines of one transfer may be, in bytes: very short lines grow in the file.
const ENOUGH: usize = 128 << 10;
/// How much larger than its limit a file may become before a line that does not end is broken.
const PATIENCE: u64 = 1 << 20;
/// The most log files that are held open at once.
const OPEN_MAX: usize = 256;

/// The log of one service.
#[derive(Debug)]
struct Service {
    file: LogFile,
    /// Whose unfinished line the file ends with.
    open: Option<(u32, Which)>,
}

/// The logger's state.
#[derive(Debug)]
pub(super) struct State {
    logs: PathBuf,
    /// Where bytes are moved.
    pub(super) transfer: Transfer,
    services: Vec<Service>,
    children: Vec<Option<Child>>,
    crashes: Store,
    text: Vec<u8>,
    opened: usize,
    /// What should be told the supervisor about files; each trouble once ([`Complaint`]).
    pub(super) troubles: Vec<String>,
    crash_complaint: Complaint,
    /// Records that are not written yet.
    records: Vec<Record>,
}

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
pub(super) enum Taken {
    /// The pipe was empty.
    Nothing,
    /// So many bytes; there may be more. They are the first of [`Transfer::seen`].
    Bytes(usize),
    /// Readiness is in them, and could not be told: nothing was taken.
    Held,
}

/// What [`State::stream`] is told.
#[derive(Debug)]
pub(super) struct Stream {
    /// The instance's index.
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
}

impl State {
    /// Nothing is known yet, nothing opened.
    pub(super) fn new(logs: &Path, state: &Path, transfer: Transfer) -> State {
        State {
            logs: logs.to_owned(),
            transfer,
            services: Vec::new(),
            children: Vec::new(),
            crashes: Store::new(state),
            text: Vec::new(),
            opened: 0,
            troubles: Vec::new(),
            crash_complaint: Complaint::default(),
            records: Vec::new(),
        }
    }

    /// The instance with this index.
    pub(super) fn child(&self, child: u32) -> Option<&Child> {
        self.children.get(child as usize)?.as_ref()
    }

    /// The same, to change it.
    pub(super) fn child_mut(&mut self, child: u32) -> Option<&mut Child> {
        self.children.get_mut(child as usize)?.as_mut()
    }

    /// The instance with this name.
    pub(super) fn named(&mut self, instance: &str) -> Option<(u32, &mut Child)> {
        let mut numbered = (0..).zip(&mut self.children);
        numbered
            .find_map(|(n, child)| Some((n, child.as_mut().filter(|child| *child.instance == *instance)?)))
    }

    /// All indices in use.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.children).filter_map(|(n, child)| child.as_ref().map(|_| n))
    }

    /// An instance is announced, for the first time or again. True when its pipes are new to us.
    pub(super) fn stream(&mut self, stream: Stream, pipes: [OwnedFd; 2]) -> io::Result<bool> {
        let Stream { child, service, instance, max_size, files, ready } = stream;
        let ready = ready.filter(|text| !text.is_empty() && !text.contains('\n'));
        let ready = ready.map(|text| text.into_bytes().into_boxed_slice());
        let known = self.services.iter().position(|known| known.file.name() == service);
        let place = known.unwrap_or_else(|| {
            self.services.push(Service { file: LogFile::new(&service, max_size, files), open: None });
            self.services.len() - 1
        });
        self.services[place].file.max_size = max_size;
        self.services[place].file.files = files;
        if let Some(known) = self.child_mut(child)
            && *known.instance == *instance
            && same_pipes(&known.pipes, &pipes)
        {
            known.ready = ready;
            return Ok(false);
        }
        let own = [pipe::reopen_for_reading(&pipes[0])?, pipe::reopen_for_reading(&pipes[1])?];
        let word = Word::from_bits(self.transfer.memory.word(child), &instance);
        if self.children.len() <= child as usize {
            self.children.resize_with(child as usize + 1, || None);
        }
        self.children[child as usize] = Some(Child {
            service: place,
            instance: instance.into(),
            pipes: own,
            word,
            ready,
            armed: 0,
            awaited: None,
            pid: 0,
            shown: Default::default(),
        });
        Ok(true)
    }

    /// Ends what the life before was doing. Every stream is known by now.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        let children = &self.children;
        self.transfer.recover(&self.logs, |child, which| {
            let child = children.get(child as usize)?.as_ref()?;
            Some(child.pipes[which as usize].as_fd())
        })?;
        // The words may have changed just now.
        for child in self.indices().collect::<Vec<_>>() {
            let bits = self.transfer.memory.word(child);
            if let Some(known) = self.child_mut(child) {
                known.word = Word::from_bits(bits, &known.instance);
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

    /// Looks at what a pipe holds; how many bytes.
    pub(super) fn look(&mut self, child: u32, which: Which) -> io::Result<usize> {
        match self.children.get(child as usize).and_then(Option::as_ref) {
            Some(known) => self.transfer.look(&known.pipes[which as usize]),
            None => Ok(0),
        }
    }

    /// Takes what [`State::look`] saw last, or less. `tell_ready` is asked to say that this life is ready,
    /// before the line that says so is taken: killed in between, the next life of the logger sees the line again.
    pub(super) fn take(
        &mut self,
        child: u32,
        which: Which,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
    ) -> io::Result<Taken> {
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
        let service = self.child(child).map_or(0, |child| child.service);
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

    /// Whether it must be rotated before more goes into it. A line of `writer` that the file ends with is
    /// finished first, unless it goes on and on.
    fn full(&self, service: usize, end: End, writer: Option<(u32, Which)>) -> bool {
        let Service { file, open } = &self.services[service];
        let patience = match open {
            Some(owner) if end.inside_line && Some(*owner) == writer => PATIENCE.min(file.max_size),
            _ => 0,
        };
        end.offset > 0 && end.offset >= file.max_size.saturating_add(patience)
    }

    /// Where the file ends, and whose line it ends with, as far as that can still be true.
    fn end_of(&mut self, service: usize) -> io::Result<End> {
        let was_open = self.services[service].file.is_open();
        if !was_open {
            self.opened += 1;
            if self.opened > OPEN_MAX {
                self.close_files();
                self.opened = 1;
            }
        }
        let end = self.services[service].file.end(&self.logs)?;
        if !end.inside_line {
            self.disown(service)?;
        }
        Ok(end)
    }

    /// Gives the descriptors of all log files up; each is opened again by its name when it is needed.
    pub(super) fn close_files(&mut self) {
        for service in &mut self.services {
            service.file.close();
        }
    }

    /// Nobody's unfinished line is the end of the file any more.
    fn disown(&mut self, service: usize) -> io::Result<()> {
        if let Some((owner, which)) = self.services[service].open.take()
            && let Some(known) = self.children.get_mut(owner as usize).and_then(Option::as_mut)
            && known.word.place[which as usize] == Place::FileEnd
        {
            known.word.place[which as usize] = Place::MidLine;
            self.transfer.memory.set_word(owner, known.word.to_bits(&known.instance))?;
        }
        Ok(())
    }

    /// Makes room. A file that cannot be moved away grows, and that is said.
    fn rotate(&mut self, service: usize, end: End) -> io::Result<End> {
        if end.inside_line {
            self.services[service].file.append(b"\n")?;
        }
        self.disown(service)?;
        let file = &mut self.services[service].file;
        let rotated = file.rotate(&self.logs);
        if let Err(error) = &rotated
            && !file.stuck
        {
            let path = file.path(&self.logs);
            self.troubles.push(format!("cannot rotate `{}`: {error}; it grows", path.display()));
        }
        file.stuck = rotated.is_err();
        self.end_of(service)
    }

    /// Appends `text`, or drops the bytes when that fails. Says how many it took.
    fn put(&mut self, child: u32, which: Which, composed: Composed) -> io::Result<usize> {
        let Composed { end, taken, lead, joined } = composed;
        let Some(known) = self.children.get(child as usize).and_then(Option::as_ref) else { return Ok(0) };
        let (service, before) = (known.service, known.word);
        let finished = self.transfer.seen[taken - 1] == b'\n';
        let mut word = before;
        word.place[which as usize] = if finished { Place::LineStart } else { Place::FileEnd };
        let mut intent = self.intent(service, child, which, word, end);
        intent.from = Some((child, which));
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
    fn intent(&self, service: usize, child: u32, which: Which, mut word: Word, end: End) -> Intent {
        let mut other = None;
        if let Some((owner, of)) = self.services[service].open
            && (owner, of) != (child, which)
        {
            if owner == child {
                word.place[of as usize] = Place::MidLine;
            } else if let Some(owning) = self.child(owner) {
                let mut changed = owning.word;
                changed.place[of as usize] = Place::MidLine;
                other = Some((owner, changed.to_bits(&owning.instance)));
            }
        }
        let bits = self.child(child).map(|known| (child, word.to_bits(&known.instance)));
        Intent { file: end.id, offset: end.offset, words: [bits, other], ..Intent::default() }
    }

    /// Ends a transfer and takes its words over.
    fn finish(
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
                known.word = Word::from_bits(bits, &known.instance);
            }
        }
        self.services[service].open = open;
        Ok(())
    }

    /// Takes bytes out of their pipe without a file for them: a service never waits for our disk.
    fn drop_bytes(&mut self, child: u32, which: Which, bytes: usize, error: &io::Error) -> io::Result<()> {
        let Some(known) = self.children.get(child as usize).and_then(Option::as_ref) else { return Ok(()) };
        let service = known.service;
        let mut word = known.word;
        let finished = self.transfer.seen[bytes - 1] == b'\n';
        word.place[which as usize] = if finished { Place::LineStart } else { Place::MidLine };
        let bits = Some((child, word.to_bits(&known.instance)));
        let intent = Intent {
            from: Some((child, which)),
            bytes: bytes as u32,
            words: [bits, None],
            ..Intent::default()
        };
        let open = self.services[service].open.filter(|&owner| owner != (child, which));
        self.finish(service, child, intent, open)?;
        self.trouble(service, bytes, error);
        Ok(())
    }

    fn trouble(&mut self, service: usize, bytes: usize, error: &io::Error) {
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

    /// Writes a mark into the log of an instance; `word`: what its word is afterwards. The end of the file
    /// after it, when it could be written.
    pub(super) fn mark(&mut self, child: u32, text: &str, word: Option<Word>) -> io::Result<Option<u64>> {
        let Some(known) = self.children.get(child as usize).and_then(Option::as_ref) else {
            return Ok(None);
        };
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
                self.set_word(child, word)?;
                return Ok(None);
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
            intent.words[0] = Some((child, word.to_bits(&instance)));
        }
        let file = &mut self.services[service].file;
        match self.transfer.append(intent, file, &self.text)? {
            Ok(()) => {
                let length = end.offset + self.text.len() as u64;
                self.finish(service, child, intent, None)?;
                Ok(Some(length))
            }
            Err(error) => {
                // The file is as it was, and so is whose line it ends with.
                let open = self.services[service].open;
                let intent = Intent { words: [Some((child, word.to_bits(&instance))), None], ..intent };
                self.finish(service, child, intent, open)?;
                self.trouble(service, 0, &error);
                Ok(None)
            }
        }
    }

    fn set_word(&mut self, child: u32, word: Word) -> io::Result<()> {
        if let Some(known) = self.children.get_mut(child as usize).and_then(Option::as_mut) {
            known.word = word;
            self.transfer.memory.set_word(child, word.to_bits(&known.instance))?;
        }
        Ok(())
    }

    /// A life begins, or is told again: its first line with the text is awaited.
    pub(super) fn life(&mut self, child: u32, incarnation: u64) -> io::Result<()> {
        let Some(known) = self.child(child) else { return Ok(()) };
        if known.word.life < incarnation {
            let word = Word { life: incarnation, ended: false, place: known.word.place };
            self.mark(child, &words::life_mark(incarnation), Some(word))?;
        }
        self.arm(child, incarnation);
        Ok(())
    }

    /// Awaits the text that tells readiness; once for each life.
    fn arm(&mut self, child: u32, incarnation: u64) {
        let path = self.child(child).map(|known| self.services[known.service].file.path(&self.logs));
        let (Some(known), Some(path)) = (self.child_mut(child), path) else { return };
        if known.armed >= incarnation {
            return;
        }
        known.armed = incarnation;
        if known.ready.is_none() {
            return;
        }
        known.awaited = Some(Box::new(Awaited { life: incarnation, tails: Default::default() }));
        // The beginning of the line may be in the file already, taken by a logger that is dead.
        for which in Which::BOTH {
            if known.word.life == incarnation && known.word.place[which as usize] != Place::LineStart {
                let text = words::unfinished(&path, &known.instance, which).unwrap_or_default();
                known.remember(which, &text);
            }
        }
    }

    /// A life has ended: drains its pipes, marks the end, keeps what is known for [`State::record`].
    ///
    /// `next`: the instance's next life, when it was announced before the pipes could be drained. Then nobody can
    /// tell which bytes are whose; readiness counts for the next life, since a life that is believed ready a
    /// moment early does less harm than one that is never believed.
    pub(super) fn death(
        &mut self,
        death: &Death,
        next: Option<u64>,
        tell_ready: &mut dyn FnMut(u32, u64) -> bool,
        shown: &mut dyn FnMut(&mut Child, Which, &[u8]),
    ) -> io::Result<()> {
        if let Some(next) = next {
            self.arm(death.child, next);
        }
        self.drain(death.child, tell_ready, shown)?;
        let end = self.mark_end(death)?;
        if death.crash != 0 && !self.crashes.has(death.crash).unwrap_or(false) {
            let path = LogFile::new(&death.service, 0, 1).path(&self.logs);
            let words = words::last(&path, &death.instance, death.incarnation, end).unwrap_or_default();
            self.records.push(Record::new(death, line::stamp(death.time), words));
        }
        Ok(())
    }

    /// Writes the records of all deaths since the last call, in one append.
    pub(super) fn record(&mut self) {
        let written = self.crashes.append(&std::mem::take(&mut self.records));
        if let Err(error) = &written
            && self.crash_complaint.is_news(clock::now())
        {
            let path = self.crashes.path().display();
            self.troubles.push(format!("cannot write a crash record to `{path}`: {error}"));
        }
    }

    /// Takes what an instance's pipes hold now; not what is written meanwhile, which may never end.
    fn drain(
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
    pub(super) fn show(
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

    /// Gives memory back that only a flood needed; before waiting.
    pub(super) fn rest(&mut self) {
        if self.text.capacity() + self.transfer.seen.capacity() > MOST / 2 {
            self.text = Vec::new();
            self.transfer.seen = Vec::new();
        }
    }
}

/// Whether these are descriptors of the same pipes.
fn same_pipes(one: &[OwnedFd; 2], other: &[OwnedFd; 2]) -> bool {
    let id = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|found| (found.st_dev, found.st_ino)).ok();
    one.iter().zip(other).all(|(one, other)| id(one).is_some() && id(one) == id(other))
}
