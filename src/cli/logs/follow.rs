//! `logs -f`: waits for the files to change, and shows what is new.

use super::source::{Source, sources};
use super::{Line, Page, reading};
use crate::cli::error::Error;
use crate::cli::output::Output;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// A watch over the directory of logs, begun before anything was read.
pub(super) struct Watch(Inotify);

impl Watch {
    pub(super) fn new(logs: &Path) -> Result<Watch, Error> {
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            let changes = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            inotify.add_watch(logs, changes | AddWatchFlags::IN_ONLYDIR)?;
            Ok(Watch(inotify))
        };
        watch().map_err(|errno: nix::Error| Error::System {
            doing: "watching the directory of logs",
            source: errno.into(),
        })
    }

    /// Waits until something changed; false when nobody reads our output any more.
    fn wait(&self) -> io::Result<bool> {
        let stdout = io::stdout();
        let mut ends = [
            PollFd::new(&self.0, PollFlags::IN),
            PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut ends, None) {
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        if ends[1].revents().intersects(PollFlags::ERR | PollFlags::NVAL) {
            return Ok(false);
        }
        // What the events say does not matter: all is looked at.
        while self.0.read_events().is_ok_and(|events| !events.is_empty()) {}
        Ok(true)
    }
}

pub(super) fn follow(
    watch: Watch,
    mut following: Vec<Source>,
    patterns: &[String],
    logs: &Path,
    page: &mut Page,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    loop {
        for (service, source) in following.iter_mut().enumerate() {
            show_new(source, service, page, output)?;
        }
        output.flush()?;
        if !watch.wait().map_err(reading)? {
            return Err(Error::ClosedOutput);
        }
        for source in sources(logs, patterns, true)? {
            if !following.iter().any(|known| known.service == source.service) {
                following.push(source);
            }
        }
        page.learn(&following);
    }
}

fn show_new(source: &mut Source, service: usize, page: &Page, output: &mut Output<'_>) -> Result<(), Error> {
    loop {
        source.mind_cuts().map_err(reading)?;
        while let Some(bytes) = source.next_whole().map_err(reading)? {
            if Line::parse(&bytes).is_some_and(|line| source.has(&line)) {
                page.show(&bytes, service, output)?;
            }
        }
        // The rest of a file that is rotated by now was read above.
        if !source.advance().map_err(reading)? {
            return Ok(());
        }
    }
}
