//! What happened, as the logger tells it: on the screen, in the supervisor's own log, and as a mark in the log of
//! the instance. It decides nothing.

use super::super::file::LogFile;
use super::super::line::{self, Kind};
use super::Logger;
use crate::cli::narrate;
use crate::ipc::control::{Event, What};
use crate::sys::clock;
use std::io;

/// The supervisor's own log: when it is rotated, and how many files.
pub(super) fn own_log() -> LogFile {
    LogFile::new("mainstay", 10 << 20, 5)
}

impl Logger {
    pub(super) fn happened(&mut self, event: &Event) -> io::Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.event(event);
        }
        self.note_own(event);
        self.state.changes.remember(event);
        if matches!(event.what, What::AllUp { .. }) {
            self.to_trim |= !std::mem::replace(&mut self.all_up_before, true);
        }
        let Some((index, child)) = self.state.named(&event.instance) else { return Ok(()) };
        match &event.what {
            What::Starting { pid, .. } => child.pid = *pid,
            What::Ready { .. } | What::Up { .. } => {
                let state = if matches!(event.what, What::Up { .. }) { "up" } else { "ready" };
                let text = format!("{state}, pid {}", child.pid);
                self.state.mark(index, &text, None)?;
            }
            What::GaveUp { .. } | What::NeverReady { .. } => {
                let text = narrate::told(event).text;
                self.state.mark(index, &text, None)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Another line for the supervisor's own log.
    fn note_own(&mut self, event: &Event) {
        let told = narrate::told(event);
        let subject = if told.subject.is_empty() { "mainstay" } else { &told.subject };
        let text = &mut self.own_text;
        line::begin(text, &line::stamp(event.time), subject, Kind::Mark);
        text.extend_from_slice(told.text.as_bytes());
        if !told.detail.is_empty() {
            text.extend_from_slice(b"  ");
            text.extend_from_slice(told.detail.as_bytes());
        }
        text.push(b'\n');
    }

    /// Writes what was noted in this turn. What cannot be written is said once and left out.
    pub(super) fn write_own(&mut self) {
        if self.own_text.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.own_text);
        let written = self.append_own(text);
        if let Err(error) = &written
            && self.own_log.complaint.is_news(clock::now())
        {
            let path = self.own_log.path(&self.logs);
            self.state.troubles.push(format!("cannot write `{}`: {error}", path.display()));
        }
    }

    fn append_own(&mut self, mut text: Vec<u8>) -> io::Result<()> {
        let mut end = self.own_log.end(&self.logs)?;
        if end.offset >= self.own_log.max_size {
            self.own_log.rotate(&self.logs)?;
            end = self.own_log.end(&self.logs)?;
        }
        if end.inside_line {
            text.insert(0, b'\n');
        }
        self.own_log.append(&text)
    }
}
