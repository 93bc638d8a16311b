//! The environment of this process, for [`crate::paths`].

use crate::paths::{Environment, Probe, VARIABLES};
use nix::unistd::{Uid, User};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What this process was started with.
///
/// A current directory that was deleted counts as `/`: commands that name their project need none. Variables that decide
/// nothing about paths are left where they are: a copy of them all is a tenth of what a `flag on` of our own costs.
pub fn environment() -> Environment {
    let variables = VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)));
    Environment {
        variables: variables.collect(),
        uid: Uid::effective().as_raw(),
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    }
}

/// The real file system and user database.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Probe for System {
    fn owner(&self, path: &Path) -> Option<u32> {
        path.metadata().ok().map(|found| found.uid())
    }

    fn link_owner(&self, path: &Path) -> Option<u32> {
        path.symlink_metadata().ok().map(|found| found.uid())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_bounded(path)
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok()
    }

    fn home(&self, uid: u32) -> Option<PathBuf> {
        let home = User::from_uid(Uid::from_raw(uid)).ok()??.dir;
        home.is_absolute().then_some(home)
    }
}

/// A configuration file, and one byte more than is allowed when it is longer: nothing endless is read to its end.
///
/// # Errors
/// The system's.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len().min(crate::config::FILE_MAX as u64);
    // One byte more, where the end shows itself.
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(crate::config::FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
