//! Watching files and directories: inotify as typed events and a descriptor for the loop.
//!
//! An event says that it is worth looking, not what is true by now: look again before acting. Lost
//! events (an overflow) say that anything may have happened.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

/// Watches any number of paths.
pub struct Watch(Inotify);

/// One watched path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(WatchDescriptor);

/// What is interesting about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Names that come and go in a directory, and the path itself going.
    Names,
    /// That, and changes of content and attributes.
    Content,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A name appeared in the directory (made, or moved there).
    Appeared(OsString),
    /// A name disappeared from the directory (deleted, or moved away).
    Disappeared(OsString),
    /// Content or attributes changed: of the name in a directory, or of the watched file itself.
    Changed(Option<OsString>),
    /// The watched path itself was deleted or moved away.
    Gone,
    /// The kernel has stopped watching it; its id is free for another path.
    Forgotten,
}

/// An event: of which path, and what. `None`: events were lost, look at everything.
pub type Event = Option<(WatchId, Seen)>;

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// No descriptors, or no instances of inotify are left for this user.
    pub fn new() -> io::Result<Watch> {
        Ok(Watch(Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?))
    }

    /// Watches this file or directory (the inode that it names now). Not through a symbolic link.
    ///
    /// # Errors
    /// There is no such path, or the user watches too many.
    pub fn add(&self, path: &Path, interest: Interest) -> io::Result<WatchId> {
        let names = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DONT_FOLLOW;
        let content = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ATTRIB;
        let flags = match interest {
            Interest::Names => names,
            Interest::Content => names | content,
        };
        Ok(WatchId(self.0.add_watch(path, flags)?))
    }

    /// Stops watching. One last [`Seen::Forgotten`] follows.
    pub fn remove(&self, id: WatchId) {
        // The only error is that the kernel was faster.
        let _ = self.0.rm_watch(id.0);
    }

    /// What was seen since the last call, in order. Never blocks.
    ///
    /// # Errors
    /// None that a caller could do something about.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        let mut seen = Vec::new();
        loop {
            let events = match self.0.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(seen),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    seen.push(None);
                } else if let Some(what) = typed(event.mask, event.name) {
                    seen.push(Some((WatchId(event.wd), what)));
                }
            }
        }
    }
}

fn typed(mask: AddWatchFlags, name: Option<OsString>) -> Option<Seen> {
    let any = |flags| mask.intersects(flags);
    if any(AddWatchFlags::IN_IGNORED) {
        return Some(Seen::Forgotten);
    }
    if any(AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_UNMOUNT) {
        return Some(Seen::Gone);
    }
    match name {
        Some(name) if any(AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO) => {
            Some(Seen::Appeared(name))
        }
        Some(name) if any(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM) => {
            Some(Seen::Disappeared(name))
        }
        name if any(AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ATTRIB) => {
            Some(Seen::Changed(name))
        }
        _ => None,
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn seen(watch: &Watch) -> Vec<Seen> {
        watch.read().unwrap().into_iter().map(|event| event.expect("nothing was lost").1).collect()
    }

    #[test]
    fn names_that_come_and_go_are_seen_in_order() {
        let home = tempfile::tempdir().unwrap();
        let watch = Watch::new().unwrap();
        watch.add(home.path(), Interest::Names).unwrap();
        assert_eq!(seen(&watch), []);
        let (a, b) = (home.path().join("a"), home.path().join("b"));
        fs::write(&a, "content is not interesting").unwrap();
        fs::rename(&a, &b).unwrap();
        fs::remove_file(&b).unwrap();
        let expected = [
            Seen::Appeared("a".into()),
            Seen::Disappeared("a".into()),
            Seen::Appeared("b".into()),
            Seen::Disappeared("b".into()),
        ];
        assert_eq!(seen(&watch), expected);
    }

    #[test]
    fn a_watched_file_tells_of_changes_and_of_its_own_end() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "old").unwrap();
        let watch = Watch::new().unwrap();
        watch.add(&file, Interest::Content).unwrap();
        fs::write(&file, "new").unwrap();
        assert!(seen(&watch).contains(&Seen::Changed(None)));
        fs::remove_file(&file).unwrap();
        let last = seen(&watch);
        assert_eq!(last[last.len() - 2..], [Seen::Gone, Seen::Forgotten]);
    }

    #[test]
    fn what_is_not_there_cannot_be_watched() {
        let watch = Watch::new().unwrap();
        let error = watch.add(Path::new("/no/such/path"), Interest::Names).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
