//! `conf.d/*.toml` beside `mainstay.toml`: which files, in which order, and whose they may be.
//!
//! A file says which programs run, so nobody else may add one: the folder and each file belong to whom the main file
//! belongs, to the caller or to root. It must not read what the files say: that is [`crate::config`]'s.

use crate::config::{FILE_MAX, Part};
use crate::paths::FILE_NAME;
use nix::unistd::Uid;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The folder beside the file.
const FOLDER: &str = "conf.d";

/// The parts of a configuration, in byte order of their names. A file with another name than `mainstay.toml` has none.
/// How they are called in messages is relative to `here` when they are below it.
///
/// # Errors
/// The folder is there and cannot be used. What is wrong with one of its files stands in that [`Part`].
pub(super) fn beside(file: &Path, here: &Path) -> Result<Vec<Part>, String> {
    if file.file_name() != Some(FILE_NAME.as_ref()) {
        return Ok(Vec::new());
    }
    let folder = file.with_file_name(FOLDER);
    let owners = Owners::of(file).map_err(|error| format!("cannot read the file: {error}"))?;
    let failed = |reason: String| format!("cannot use `{}`: {reason}", folder.display());
    match folder.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error.to_string())),
        Ok(found) => owners.check(&found).map_err(failed)?,
    }
    let entries = folder.read_dir().map_err(|error| failed(error.to_string()))?;
    let names: io::Result<Vec<OsString>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.map_err(|error| failed(error.to_string()))?;
    names.retain(is_part);
    names.sort_unstable();
    let part = |name: &OsString| {
        let file = folder.join(name);
        let shown = file.strip_prefix(here).unwrap_or(&file).display().to_string();
        Part { text: read(&file, &owners), file, shown }
    };
    Ok(names.iter().map(part).collect())
}

/// `*.toml` as a shell matches it: what an editor keeps beside it begins with a dot.
fn is_part(name: &OsString) -> bool {
    let name = name.as_encoded_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

fn read(path: &Path, owners: &Owners) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = file.map_err(|error| error.to_string())?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is not a file".to_owned());
    }
    owners.check(&found)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Who may say which programs run.
struct Owners([u32; 3]);

impl Owners {
    fn of(file: &Path) -> io::Result<Owners> {
        Ok(Owners([0, Uid::effective().as_raw(), file.metadata()?.uid()]))
    }

    fn check(&self, found: &Metadata) -> Result<(), String> {
        match self.0.contains(&found.uid()) {
            true => Ok(()),
            false => Err(format!("it belongs to uid {}, so it is not used", found.uid())),
        }
    }
}
