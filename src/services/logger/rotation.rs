//! `web.log` → `web.log.1` → … → `web.log.N-1`, for a log of N files.
//!
//! Invariant: a kill between any two renames loses nothing and shifts nothing twice. Files move only up to
//! the first gap in the row, and an interrupted rotation has left exactly one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The path of the `n`-th older file; the current one for 0.
pub fn older(current: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return current.to_owned();
    }
    let mut name = current.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// Moves the current file and its older ones up by one, so that the name is free. Of `files` files (at
/// least 1, the one that will be made included) the oldest is given up; so are more, when the number was
/// lowered.
pub(super) fn rotate(current: &Path, files: u32) -> io::Result<()> {
    let files = files.max(1);
    let mut beyond = files;
    while gone(fs::remove_file(older(current, beyond)))? {
        beyond += 1;
    }
    if files == 1 {
        gone(fs::remove_file(current))?;
        return Ok(());
    }
    // With no gap, the last rename replaces the oldest.
    let gap = (1..files).find(|&n| !older(current, n).exists()).unwrap_or(files - 1);
    for n in (0..gap).rev() {
        gone(fs::rename(older(current, n), older(current, n + 1)))?;
    }
    Ok(())
}

/// Whether it was there.
fn gone(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(directory: &Path) -> Vec<(String, String)> {
        let mut row: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|e| (e.file_name().into_string().unwrap(), fs::read_to_string(e.path()).unwrap()))
            .collect();
        row.sort();
        row
    }

    fn check(before: &[(&str, &str)], files: u32, after: &[(&str, &str)]) {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in before {
            fs::write(directory.path().join(name), content).unwrap();
        }
        rotate(&directory.path().join("web.log"), files).unwrap();
        let after: Vec<_> = after.iter().map(|(n, c)| (n.to_string(), c.to_string())).collect();
        assert_eq!(row(directory.path()), after);
    }

    #[test]
    fn the_row_moves_up_and_the_oldest_goes() {
        check(&[("web.log", "3")], 3, &[("web.log.1", "3")]);
        check(&[("web.log", "3"), ("web.log.1", "2")], 3, &[("web.log.1", "3"), ("web.log.2", "2")]);
        let full = [("web.log", "3"), ("web.log.1", "2"), ("web.log.2", "1")];
        check(&full, 3, &[("web.log.1", "3"), ("web.log.2", "2")]);
    }

    #[test]
    fn an_interrupted_rotation_is_gone_on_with_and_shifts_nothing_twice() {
        check(
            &[("web.log", "3"), ("web.log.2", "2"), ("web.log.3", "1")],
            4,
            &[("web.log.1", "3"), ("web.log.2", "2"), ("web.log.3", "1")],
        );
    }

    #[test]
    fn a_lowered_number_of_files_gives_up_the_rest() {
        let before = [("web.log", "4"), ("web.log.1", "3"), ("web.log.2", "2"), ("web.log.3", "1")];
        check(&before, 2, &[("web.log.1", "4")]);
        check(&before, 1, &[]);
    }
}
