//! The end of a log file, and room for more behind it.

use super::super::file::End;
use super::super::line::Which;
use super::super::memory::Place;
use super::State;
use super::logs::Service;
use std::io;

/// How much larger than its limit a file may become before a line that does not end is broken.
const PATIENCE: u64 = 1 << 20;
/// The most log files that are held open at once.
const OPEN_MAX: usize = 256;

impl State {
    /// Whether it must be rotated before more goes into it. A line of `writer` that the file ends with is
    /// finished first, unless it goes on and on.
    pub(super) fn full(&self, service: usize, end: End, writer: Option<(u32, Which)>) -> bool {
        let Service { file, open, .. } = &self.services[service];
        let patience = match open {
            Some(owner) if end.inside_line && Some(*owner) == writer => PATIENCE.min(file.max_size),
            _ => 0,
        };
        end.offset > 0 && end.offset >= file.max_size.saturating_add(patience)
    }

    /// Where the file ends, and whose line it ends with, as far as that can still be true.
    pub(super) fn end_of(&mut self, service: usize) -> io::Result<End> {
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
    pub(in super::super) fn close_files(&mut self) {
        for service in self.services.iter_mut() {
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
            self.transfer.memory.set_word(owner, known.bits(known.word))?;
        }
        Ok(())
    }

    /// Makes room. A file that cannot be moved away grows, and that is said.
    pub(super) fn rotate(&mut self, service: usize, end: End) -> io::Result<End> {
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
}
