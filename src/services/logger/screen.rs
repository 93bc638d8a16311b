//! What a foreground run shows: services' lines on stdout, events on stderr.

use super::child::Child;
use super::line::Which;
use super::print::Printer;
use crate::cli::args::Color;
use crate::cli::narrate::{self, Glyph, Look};
use crate::cli::output;
use crate::ipc::control::Event;
use crate::time::{Duration, Wall};
use anstyle::{AnsiColor, Style};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// The longest line that is kept until its end comes; then it is broken.
const LINE: usize = 16 << 10;
/// How long the end waits for a terminal that does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// Both outputs, and how text has to look on each.
#[derive(Debug)]
pub(super) struct Screen {
    lines: Output,
    /// `None`: stderr is where stdout is, so one thread writes both and their order is kept.
    events: Option<Output>,
    events_look: (Look, bool),
    width: usize,
}

#[derive(Debug)]
struct Output {
    printer: Printer,
    look: Look,
    /// The journal reads it: a priority before each line, no clock.
    journal: bool,
}

impl Screen {
    /// Starts showing. `width`: the longest name.
    pub(super) fn new(width: usize) -> io::Result<Screen> {
        let (out, err) = (io::stdout(), io::stderr());
        let (out_fd, err_fd) = (out.as_fd().try_clone_to_owned()?, err.as_fd().try_clone_to_owned()?);
        let same = identity(&out_fd).is_some() && identity(&out_fd) == identity(&err_fd);
        let (out_journal, err_journal) = (is_journal(&out_fd), is_journal(&err_fd));
        let outputs = output::Output::standard(false, Color::Auto);
        let err_look = Look::new(outputs.talk_style);
        let events = match same {
            true => None,
            false => {
                Some(Output { printer: Printer::new(err_fd)?, look: err_look.clone(), journal: err_journal })
            }
        };
        let look = Look::new(outputs.style);
        let lines = Output { printer: Printer::new(out_fd)?, look, journal: out_journal };
        Ok(Screen { lines, events, events_look: (err_look, err_journal), width })
    }

    /// Names may be so long from now on.
    pub(super) fn set_width(&mut self, width: usize) {
        self.width = width;
    }

    /// The same, when it is longer than what was known.
    pub(super) fn widen(&mut self, width: usize) {
        self.width = self.width.max(width);
    }

    /// Shows bytes that were taken from a stream, line by line; an unfinished line waits for its end.
    pub(super) fn show(&mut self, child: &mut Child, which: Which, bytes: &[u8], now: Wall) {
        let unfinished = &mut child.shown[which as usize];
        let (mut text, mut lines) = (Vec::new(), 0);
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            unfinished.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            if part.ends_with(b"\n") || unfinished.len() >= LINE {
                self.lines.line(&mut text, &child.instance, which, unfinished, now, self.width);
                *unfinished = Vec::new();
                lines += 1;
            }
        }
        if lines > 0 {
            self.lines.printer.print(&text, lines);
        }
    }

    /// A life is over: what it left unfinished is shown.
    pub(super) fn end(&mut self, child: &mut Child, now: Wall) {
        for which in Which::BOTH {
            if !child.shown[which as usize].is_empty() {
                self.show(child, which, b"\n", now);
            }
        }
    }

    /// Shows an event.
    pub(super) fn event(&mut self, event: &Event) {
        let told = narrate::told(event);
        if told.minor {
            return;
        }
        let (look, journal) = &self.events_look;
        let mut line = narrate::line(event, look, self.width);
        if *journal {
            // The journal has a clock and a colour of its own.
            let after_clock = line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest);
            line = format!("<{}>{after_clock}", told.level);
        }
        line.push('\n');
        self.events.as_mut().unwrap_or(&mut self.lines).printer.print(line.as_bytes(), 1);
    }

    /// The end of a turn: what it gave to show goes out.
    pub(super) fn flush(&mut self) {
        self.lines.printer.flush();
        if let Some(events) = &mut self.events {
            events.printer.flush();
        }
    }

    /// Shows what waits, and ends.
    pub(super) fn finish(self) {
        self.lines.printer.finish(PATIENCE);
        if let Some(events) = self.events {
            events.printer.finish(PATIENCE);
        }
    }
}

impl Output {
    fn line(&self, to: &mut Vec<u8>, name: &str, which: Which, text: &[u8], now: Wall, width: usize) {
        let look = &self.look;
        let padded = format!("{name:<0$}", width.max(8));
        let name = look.paint(color_of(name), &padded);
        let bar = match which {
            Which::Out => look.paint(Glyph::Bar.style(), Glyph::Bar.text(look)),
            Which::Err => look.paint(AnsiColor::Red.on_default(), Glyph::Bar.text(look)),
        };
        if self.journal {
            to.extend_from_slice(format!("<6>{padded} | ").as_bytes());
        } else {
            let clock = look.paint(Style::new().dimmed(), &look.clock(now));
            to.extend_from_slice(format!("{clock} {name} {bar} ").as_bytes());
        }
        if look.terminal {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            to.extend_from_slice(narrate::harmless(text).as_bytes());
        } else {
            to.extend_from_slice(text);
        }
        to.push(b'\n');
    }
}

/// A colour that is always the same for a name.
fn color_of(name: &str) -> Style {
    const COLORS: [AnsiColor; 6] = [
        AnsiColor::Cyan,
        AnsiColor::Green,
        AnsiColor::Magenta,
        AnsiColor::Yellow,
        AnsiColor::Blue,
        AnsiColor::BrightCyan,
    ];
    COLORS[crc32fast::hash(name.as_bytes()) as usize % COLORS.len()].on_default()
}

fn identity(fd: &OwnedFd) -> Option<(u64, u64)> {
    let found = std::fs::File::from(fd.try_clone().ok()?).metadata().ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether the journal reads this: then `$JOURNAL_STREAM` has its device and inode.
fn is_journal(fd: &OwnedFd) -> bool {
    let Some((device, inode)) = identity(fd) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == format!("{device}:{inode}"))
}
