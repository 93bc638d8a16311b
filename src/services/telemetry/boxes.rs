//! Every life and its black box, and taking records out of them in turn.

use super::take::{Step, step};
use crate::blackbox::layout::{EVENT_COUNT, FINISHED_COUNT};
use crate::blackbox::{self, BlackBox, Drained, Image, Kind, Status};
use crate::ipc::builtin::Told;
use crate::telemetry::batch::Reached;
use crate::telemetry::record::Severity;
use crate::telemetry::{Batch, Event, Life, Record, Sampler, Span, Value};
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;

/// So many records of one box, then the next box has its turn.
const TURN: usize = 256;
/// So long whoever writes a record is waited for, before it is given up as torn.
const PATIENCE: Duration = Duration::from_millis(100);

/// Names a box.
pub(super) type Key = (u32, u64);

/// Every life that the supervisor named and that has a box.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    children: BTreeMap<u32, (String, String)>,
    boxes: BTreeMap<Key, Known>,
    numbers: HashMap<String, u32>,
    pids: HashMap<u32, Key>,
    lives: HashMap<(String, u64), Key>,
    /// Boxes that may have something, each once.
    waiting: VecDeque<Key>,
    /// Boxes of lives that are over and from which everything is written.
    finished: Vec<Key>,
    /// How far boxes were taken by a life before this one that could not say so in the box any more.
    before: BTreeMap<(String, u64), Reached>,
    /// Records that had been taken and not written when the life before this one ended. They are taken again.
    pub(super) in_flight: u64,
}

#[derive(Debug)]
struct Known {
    life: Life,
    memory: BlackBox,
    /// Everything before it was taken.
    taken: Reached,
    /// Everything before it is written.
    written: Reached,
    ended: bool,
    waiting: bool,
    /// Since when somebody is waited for who is writing a record.
    gap: Option<Instant>,
}

/// What came of a turn at one box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// There is more: at once, or after a short while.
    More { pressing: bool },
    /// Nothing is left; whoever writes next rings.
    Quiet,
}

/// What came of a turn at all boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Something is left in some box.
    pub(super) more: bool,
    /// Somebody writes so fast that it cannot wait.
    pub(super) pressing: bool,
}

/// What taking needs beside the boxes.
pub(super) struct Taking<'a> {
    pub(super) now: Instant,
    /// Nanoseconds since the Unix epoch at the monotonic clock's zero.
    pub(super) epoch: u64,
    pub(super) sampler: &'a mut Sampler,
    pub(super) batch: &'a mut Batch,
}

impl Boxes {
    /// After a life of telemetry that said in its last batch how far it was.
    pub(super) fn new(before: BTreeMap<(String, u64), Reached>) -> Boxes {
        Boxes { before, ..Boxes::default() }
    }

    /// What the supervisor says.
    pub(super) fn hear(&mut self, told: Told, descriptor: Option<OwnedFd>) {
        match told {
            Told::Instance { child, service, instance } => {
                // The number may have been another one's, whose boxes are drained under it all the same.
                self.numbers.insert(instance.clone(), child);
                self.children.insert(child, (service, instance));
            }
            Told::Life { child, incarnation, pid } => {
                if let Some(memory) = descriptor.and_then(|memory| BlackBox::open(memory).ok()) {
                    self.know((child, incarnation), pid, memory);
                }
            }
            Told::Ended { child, incarnation } => self.end((child, incarnation)),
            Told::Gone { child } => {
                let of: Vec<Key> =
                    self.boxes.range((child, 0)..=(child, u64::MAX)).map(|(key, _)| *key).collect();
                of.into_iter().for_each(|key| self.end(key));
                if let Some((_, instance)) = self.children.remove(&child)
                    && self.numbers.get(&instance) == Some(&child)
                {
                    self.numbers.remove(&instance);
                }
            }
            Told::Begin => self.before.clear(),
        }
    }

    fn know(&mut self, key: Key, pid: u32, memory: BlackBox) {
        let Some((service, instance)) = self.children.get(&key.0).cloned() else { return };
        if self.boxes.contains_key(&key) {
            // What is taken of it and not written yet must not be taken again.
            return;
        }
        let drained = memory.news().map(|news| news.drained()).unwrap_or_default();
        // Of this very box, and not of one that had the same number before the runtime directory was lost: its records were
        // taken before they were written.
        let is_its =
            |said: &Reached| said.spans <= drained.spans_taken && said.events <= drained.events_taken;
        let said = self.before.remove(&(instance.clone(), key.1)).filter(is_its).unwrap_or_default();
        let written = Reached {
            spans: drained.spans_written.max(said.spans),
            events: drained.events_written.max(said.events),
        };
        let flying = |taken: u64, written: u64| {
            Some(taken.saturating_sub(written)).filter(|n| *n <= EVENT_COUNT as u64).unwrap_or(0)
        };
        self.in_flight +=
            flying(drained.spans_taken, written.spans) + flying(drained.events_taken, written.events);
        // A supervisor that has much to say leaves ends out: there is one life at a time.
        let older: Vec<Key> = self.boxes.range((key.0, 0)..key).map(|(key, _)| *key).collect();
        older.into_iter().for_each(|key| self.end(key));
        let life = Life { service, instance, incarnation: key.1, pid };
        let known = Known { life, memory, taken: written, written, ended: false, waiting: false, gap: None };
        self.pids.insert(pid, key);
        self.lives.insert((known.life.instance.clone(), key.1), key);
        self.boxes.insert(key, known);
        self.look_at(key);
    }

    fn end(&mut self, key: Key) {
        if let Some(known) = self.boxes.get_mut(&key) {
            known.ended = true;
            let pid = known.life.pid;
            if self.pids.get(&pid) == Some(&key) {
                self.pids.remove(&pid);
            }
            self.look_at(key);
        }
    }

    /// This box may have something.
    pub(super) fn look_at(&mut self, key: Key) {
        if let Some(known) = self.boxes.get_mut(&key)
            && !std::mem::replace(&mut known.waiting, true)
        {
            self.waiting.push_back(key);
        }
    }

    /// Any box may have something.
    pub(super) fn look_at_all(&mut self) {
        let all: Vec<Key> = self.boxes.keys().copied().collect();
        all.into_iter().for_each(|key| self.look_at(key));
    }

    /// The newest life of an instance, by its name.
    pub(super) fn named(&self, instance: &str) -> Option<Key> {
        let child = *self.numbers.get(instance)?;
        self.boxes.range((child, 0)..=(child, u64::MAX)).next_back().map(|(key, _)| *key)
    }

    /// The life whose main process this is.
    pub(super) fn of_pid(&self, pid: u32) -> Option<Key> {
        self.pids.get(&pid).copied()
    }

    /// A life and its box.
    pub(super) fn get(&self, key: Key) -> Option<(&Life, &BlackBox)> {
        self.boxes.get(&key).map(|known| (&known.life, &known.memory))
    }

    /// True when nothing is to be looked for.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes what the boxes hold, some of each in turn, until the batch is full or each had its turn.
    pub(super) fn take(&mut self, with: &mut Taking<'_>) -> Turn {
        let mut turn = Turn::default();
        for _ in 0..self.waiting.len() {
            if with.batch.is_full() {
                return Turn { more: true, pressing: true };
            }
            let Some(key) = self.waiting.pop_front() else { break };
            let Some(known) = self.boxes.get_mut(&key) else { continue };
            known.waiting = false;
            match known.take(with) {
                // A box that cannot be read any more is none.
                Err(_) => self.forget(key),
                Ok(Look::More { pressing }) => {
                    turn = Turn { more: true, pressing: turn.pressing || pressing };
                    self.look_at(key);
                }
                Ok(Look::Quiet) => self.forget_if_over(key),
            }
        }
        turn
    }

    /// The batch is written, up to these places.
    pub(super) fn written(&mut self, places: &BTreeMap<(String, u64), Reached>) {
        for (life, place) in places {
            let Some(key) = self.lives.get(life).copied() else { continue };
            if let Some(known) = self.boxes.get_mut(&key) {
                known.written = *place;
                known.say_where();
                self.forget_if_over(key);
            }
        }
    }

    /// Boxes that are not needed any more, since the last call.
    pub(super) fn take_finished(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.finished)
    }

    fn forget_if_over(&mut self, key: Key) {
        let is_over = |known: &Known| known.ended && !known.waiting && known.taken == known.written;
        if self.boxes.get(&key).is_some_and(is_over) {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(known) = self.boxes.remove(&key) {
            self.lives.remove(&(known.life.instance, key.1));
            self.finished.push(key);
        }
    }
}

impl Known {
    fn take(&mut self, with: &mut Taking<'_>) -> io::Result<Look> {
        let heads = self.memory.heads()?;
        if heads.finished_next() == self.taken.spans && heads.events_next() == self.taken.events {
            // Asked first and looked at after it: what came in between is found, or it rings.
            self.memory.await_ring()?;
            let heads = self.memory.heads()?;
            if heads.finished_next() == self.taken.spans && heads.events_next() == self.taken.events {
                self.gap = None;
                return Ok(Look::Quiet);
            }
        }
        let news = self.memory.news()?;
        let before = self.taken;
        let mut most = TURN.min(with.batch.room());
        let waits = [self.take_spans(&news, &mut most, with), self.take_events(&news, &mut most, with)];
        if waits.contains(&true) {
            self.gap.get_or_insert(with.now);
        } else {
            self.gap = None;
        }
        if self.taken != before {
            with.batch.reached(&self.life, self.taken);
            self.say_where();
        }
        let behind = |next: u64, taken: u64, size: usize| next.wrapping_sub(taken) > size as u64 / 4;
        let pressing = self.ended
            || most == 0
            || behind(news.finished_next(), before.spans, FINISHED_COUNT)
            || behind(news.events_next(), before.events, EVENT_COUNT);
        Ok(Look::More { pressing })
    }

    /// True: somebody is writing, and is waited for. Tickets are the service's to write, up to the greatest number and on
    /// from 0: they wrap.
    fn take_spans(&mut self, news: &Image, most: &mut usize, with: &mut Taking<'_>) -> bool {
        let next = news.finished_next();
        let mut spans = news.finished_spans(self.taken.spans).into_iter().peekable();
        while *most > 0 {
            let there = spans.peek().map(|span| span.ticket);
            match step(self.taken.spans, next, FINISHED_COUNT as u64, there, self.is_patient(with.now)) {
                Step::Done => break,
                Step::Wait => return true,
                Step::Lie => {
                    self.taken.spans = next;
                    with.batch.missed(with.now, &self.life, 0, 1);
                }
                Step::Lost(count) => {
                    self.taken.spans = self.taken.spans.wrapping_add(count);
                    with.batch.missed(with.now, &self.life, count, 0);
                    while spans.next_if(|span| span.ticket < self.taken.spans).is_some() {}
                }
                Step::Torn(count) => {
                    self.taken.spans = self.taken.spans.wrapping_add(count);
                    with.batch.missed(with.now, &self.life, 0, count);
                }
                Step::Take => {
                    let Some(span) = spans.next() else { break };
                    self.taken.spans = span.ticket + 1;
                    *most -= 1;
                    let place = span.ticket << 1;
                    with.judge(&self.life, place, Record::Span(span_of(span, with.epoch)));
                }
            }
        }
        false
    }

    /// As [`Known::take_spans`].
    fn take_events(&mut self, news: &Image, most: &mut usize, with: &mut Taking<'_>) -> bool {
        let next = news.events_next();
        let mut events = news.events_after(self.taken.events).into_iter().peekable();
        let mut lost = false;
        while *most > 0 {
            let there = events.peek().map(|event| event.ticket);
            match step(self.taken.events, next, EVENT_COUNT as u64, there, !lost && self.is_patient(with.now))
            {
                Step::Done => break,
                Step::Wait => return true,
                Step::Lie => {
                    self.taken.events = next;
                    with.batch.missed(with.now, &self.life, 0, 1);
                }
                Step::Lost(count) => {
                    lost = true;
                    self.taken.events = self.taken.events.wrapping_add(count);
                    with.batch.missed(with.now, &self.life, count, 0);
                    while events.next_if(|event| event.ticket < self.taken.events).is_some() {}
                }
                Step::Torn(count) => {
                    self.taken.events = self.taken.events.wrapping_add(count);
                    // What is left of a long event whose beginning was overwritten was lost with it.
                    let (lost, torn) = if lost { (count, 0) } else { (0, count) };
                    with.batch.missed(with.now, &self.life, lost, torn);
                }
                Step::Take => {
                    let Some(event) = events.next() else { break };
                    lost = false;
                    self.taken.events = event.next.clamp(event.ticket + 1, next.max(event.ticket + 1));
                    *most -= 1;
                    let place = event.ticket << 1 | 1;
                    with.judge(&self.life, place, Record::Event(event_of(event, with.epoch)));
                }
            }
        }
        false
    }

    fn is_patient(&self, now: Instant) -> bool {
        !self.ended && self.gap.is_none_or(|since| now.since(since) < PATIENCE)
    }

    /// In the box, for a successor. A box that cannot be written can only not tell it.
    fn say_where(&self) {
        let _ = self.memory.set_drained(Drained {
            events_taken: self.taken.events,
            events_written: self.written.events,
            spans_taken: self.taken.spans,
            spans_written: self.written.spans,
        });
    }
}

impl Taking<'_> {
    fn judge(&mut self, life: &Life, place: u64, record: Record) {
        let verdict = self.sampler.judge(self.now, life, place, &record);
        self.batch.took(self.now, life, record, verdict);
    }
}

fn span_of(span: blackbox::FinishedSpan, epoch: u64) -> Span {
    let wall = |at: Instant| epoch.saturating_add(at.as_nanos());
    let why = || span.attributes.iter().find(|(key, _)| key == "error").map(|(_, why)| why.clone());
    Span {
        trace: span.trace,
        id: span.span,
        parent: span.parent,
        start: wall(span.since),
        end: wall(span.until),
        failed: (span.status == Status::Error).then(|| why().unwrap_or_default()),
        attributes: attributes(span.attributes, span.thread),
        name: span.name,
    }
}

fn event_of(event: blackbox::Event, epoch: u64) -> Event {
    Event {
        name: event.name,
        at: epoch.saturating_add(event.at.as_nanos()),
        severity: match event.kind {
            Kind::Event => Severity::Info,
            Kind::Error => Severity::Error,
            Kind::Panic => Severity::Fatal,
        },
        trace: event.trace,
        span: event.span,
        attributes: attributes(event.attributes, event.thread),
    }
}

fn attributes(of: Vec<(String, String)>, thread: u32) -> Vec<(String, Value)> {
    let mut all: Vec<_> = of.into_iter().map(|(key, value)| (key, Value::Text(value))).collect();
    if thread > 0 {
        all.push(("thread.id".to_owned(), Value::Integer(thread.into())));
    }
    all
}

#[cfg(test)]
mod tests;
