//! How the writer finds out that its board was deleted, replaced or cut, and puts it back (B6).

use super::error::{Damage, Error, Found, Repair};
use super::standing::BOARD_MODE;
use super::writer::Writer;
use crate::sys::shared_file::{self, Identity, Kind};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Something to watch with inotify; any event there is a reason to [`Writer::look`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// A file or a directory.
    pub path: PathBuf,
    /// `IN_…` bits. A watch must be set again after each [`Repair`]: it belongs to the file, not its name.
    pub mask: u32,
}

impl Writer {
    /// What to watch. Also look each second without any event: a store into a mapping of somebody else's
    /// is only seen when that somebody closes the file.
    pub fn watches(&self) -> Vec<Watch> {
        let names =
            libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVE | libc::IN_MOVE_SELF | libc::IN_DELETE_SELF;
        let content = libc::IN_MODIFY | libc::IN_CLOSE_WRITE | libc::IN_ATTRIB;
        vec![
            Watch { path: self.place.directory.clone(), mask: names | libc::IN_ONLYDIR },
            Watch { path: self.place.kept.clone(), mask: names | libc::IN_ONLYDIR },
            Watch {
                path: self.place.board.clone(),
                mask: content | libc::IN_MOVE_SELF | libc::IN_DONT_FOLLOW,
            },
        ]
    }

    /// Looks whether both names lead to this board and its length and permissions are right, and puts right
    /// what is not. Some 5 µs when nothing is wrong. Says what it found.
    ///
    /// # Errors
    /// Something is wrong and cannot be mended now (a full or read-only file system): call it again.
    pub fn look(&mut self) -> Result<Vec<Repair>, Error> {
        let mut repairs = Vec::new();
        self.heartbeat();
        let board = self.place.board.clone();
        let ours =
            shared_file::look_at(self.standing.file.as_fd()).map_err(Error::at("looking at", &board))?;
        let bytes = self.standing.image.header.layout.bytes() as u64;
        if ours.bytes != bytes || self.standing.mapping.is_lost() {
            let damage = if ours.bytes == bytes { Damage::Lost } else { Damage::Length(ours.bytes) };
            repairs.push(self.replace(damage)?);
            return Ok(repairs);
        }
        if ours.mode != BOARD_MODE {
            shared_file::set_mode(&self.standing.file, BOARD_MODE)
                .map_err(Error::at("changing the mode of", &board))?;
            repairs.push(Repair::Mode(ours.mode));
        }
        let stranger = self.stranger_at(&board)?;
        let kept_board = self.place.kept_board.clone();
        let stranger_kept = self.stranger_at(&kept_board)?;
        if stranger.is_none() && stranger_kept.is_none() {
            return Ok(repairs);
        }
        if ours.links == 0 {
            // A file without a name cannot get one again.
            repairs.push(self.replace(Damage::Deleted)?);
            return Ok(repairs);
        }
        shared_file::ensure_directory(&self.place.kept, 0o755)
            .map_err(Error::at("making", &self.place.kept))?;
        // B6: the same inode again, so that whoever has it mapped never notices.
        let linked = [(&kept_board, stranger_kept), (&board, stranger)]
            .into_iter()
            .filter(|(_, stranger)| stranger.is_some())
            .try_for_each(|(path, _)| self.link_back(path));
        if linked.is_err() {
            // Its last name went meanwhile, or there is no /proc to link through.
            repairs.push(self.replace(Damage::Deleted)?);
            return Ok(repairs);
        }
        repairs.extend(stranger_kept.map(|_| Repair::KeptAgain));
        repairs.extend(stranger.map(Repair::LinkedBack));
        Ok(repairs)
    }

    /// What stands at `path` instead of this board; `None` when it is this board.
    fn stranger_at(&self, path: &Path) -> Result<Option<Found>, Error> {
        match shared_file::look(path) {
            Ok(look) if look.identity == self.standing.identity && look.kind == Kind::File => Ok(None),
            Ok(look) => Ok(Some(Found::Stranger(look.kind))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Some(Found::Nothing))
            }
            Err(e) => Err(Error::at("looking at", path)(e)),
        }
    }

    fn link_back(&self, path: &Path) -> io::Result<()> {
        shared_file::move_directory_aside(path, &self.place.displaced)?;
        shared_file::link_over(&self.standing.file, &self.place.next, path)
    }

    /// Which file the board is: what a watcher compares.
    pub fn identity(&self) -> Identity {
        self.standing.identity
    }
}
