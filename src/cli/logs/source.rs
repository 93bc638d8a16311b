//! The files of one service's log, from the oldest to the one that is written.

use super::{Entry, Wanted};
use crate::cli::error::Error;
use crate::config::words;
use crate::services::logger::line::Line;
use crate::services::logger::{Backwards, older};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// One service's log.
pub(super) struct Source {
    /// `web`
    pub(super) service: String,
    path: PathBuf,
    /// Which instances; empty: all.
    instances: Vec<WildMatch>,
    /// Still to be read, oldest last. They are open: a rotation renames files, and changes none.
    files: Vec<File>,
    reader: Option<BufReader<File>>,
    /// An unfinished last line.
    partial: Vec<u8>,
    started: bool,
    following: bool,
}

/// The logs that these patterns mean; all but the supervisor's own when there are none.
///
/// # Errors
/// A pattern means nothing; not when following, since it may appear.
pub(super) fn sources(logs: &Path, patterns: &[String], following: bool) -> Result<Vec<Source>, Error> {
    let mut services = Vec::new();
    for entry in std::fs::read_dir(logs).into_iter().flatten().flatten() {
        if let Some(service) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".log")) {
            services.push(service.to_owned());
        }
    }
    services.sort();
    let mut chosen = Vec::new();
    for service in &services {
        let whole = match patterns {
            [] => service != "mainstay",
            _ => {
                patterns.iter().any(|pattern| service == pattern || WildMatch::new(pattern).matches(service))
            }
        };
        // An instance, in the log of its service.
        let instances = patterns
            .iter()
            .filter(|pattern| service_of(pattern).is_some_and(|of| WildMatch::new(of).matches(service)));
        let instances: Vec<_> =
            if whole { Vec::new() } else { instances.map(|pattern| WildMatch::new(pattern)).collect() };
        if whole || !instances.is_empty() {
            chosen.push(Source {
                path: logs.join(format!("{service}.log")),
                service: service.clone(),
                instances,
                files: Vec::new(),
                reader: None,
                partial: Vec::new(),
                started: false,
                following,
            });
        }
    }
    let unmatched = patterns.iter().find(|pattern| {
        let of = service_of(pattern).unwrap_or(pattern);
        !services.iter().any(|service| WildMatch::new(of).matches(service))
    });
    match unmatched {
        Some(pattern) if !following => {
            let near = words::nearest(pattern, services.iter().map(String::as_str)).map(str::to_owned);
            Err(Error::NoSuch { kind: "log", name: pattern.clone(), near: near.into_iter().collect() })
        }
        _ => Ok(chosen),
    }
}

/// Whose log holds this instance: that of `web` holds `web#2` and `w*#2`, that of `worker@` holds `worker@mail`.
fn service_of(pattern: &str) -> Option<&str> {
    match pattern.split_once('#') {
        Some((of, _)) => Some(of),
        None => pattern.find('@').map(|at| &pattern[..=at]).filter(|of| of.len() < pattern.len()),
    }
}

impl Source {
    /// Whether this line is of an instance that is wanted.
    pub(super) fn has(&self, line: &Line<'_>) -> bool {
        self.instances.is_empty() || self.instances.iter().any(|glob| glob.matches(line.instance))
    }

    /// The next line, oldest first, without its newline; `None` at the end as it is now. An unfinished last line
    /// comes at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(line) = self.next_whole()? {
            if Line::parse(&line).is_some() {
                return Ok(Some(line));
            }
        }
        // Who follows sees an unfinished line when it is finished.
        if self.following || Line::parse(&self.partial).is_none() {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut self.partial)))
    }

    /// The next line that has its newline.
    pub(super) fn next_whole(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !std::mem::replace(&mut self.started, true) {
            self.files = row(&self.path, None)?;
        }
        loop {
            if let Some(reader) = &mut self.reader {
                if reader.read_until(b'\n', &mut self.partial)? > 0 {
                    if self.partial.pop_if(|byte| *byte == b'\n').is_some() {
                        return Ok(Some(std::mem::take(&mut self.partial)));
                    }
                    continue;
                }
                if self.files.is_empty() {
                    return Ok(None);
                }
                // A file that was rotated away is complete.
                if !self.partial.is_empty() {
                    self.reader = None;
                    return Ok(Some(std::mem::take(&mut self.partial)));
                }
            }
            match self.files.pop() {
                Some(file) => self.reader = Some(BufReader::new(file)),
                None => return Ok(None),
            }
        }
    }

    /// Its newest `most` lines that are wanted; goes on behind them.
    pub(super) fn newest(
        &mut self,
        service: usize,
        most: usize,
        wanted: &Wanted,
        entries: &mut Vec<Entry>,
    ) -> io::Result<()> {
        self.started = true;
        let (mut left, mut number) = (most, u64::MAX);
        let mut bytes = Vec::new();
        let mut current = None;
        for (n, file) in row(&self.path, None)?.into_iter().enumerate() {
            let mut length = file.metadata()?.len();
            if n == 0 && self.following {
                length = end_of_lines(&file, length)?;
            }
            let mut lines = Backwards::new(&file, length, u64::MAX);
            while left > 0 && lines.next(&mut bytes)? {
                let Some(line) = Line::parse(&bytes).filter(|line| self.has(line)) else { continue };
                if wanted.since.as_deref().is_some_and(|since| line.stamp < since) {
                    left = 0;
                } else if wanted.has(line.stamp) {
                    left -= 1;
                    number -= 1;
                    entries.push(Entry {
                        stamp: line.stamp.to_owned(),
                        service,
                        number,
                        bytes: bytes.clone(),
                    });
                }
            }
            if n == 0 {
                let mut reader = BufReader::new(file);
                reader.seek(SeekFrom::Start(length))?;
                current = Some(reader);
            }
            if left == 0 {
                break;
            }
        }
        self.reader = current;
        Ok(())
    }

    /// Opens what came after the file that was read last: one file, or several when it was rotated more than
    /// once. False: nothing did.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.started = true;
        let mine = match &self.reader {
            Some(reader) => Some(reader.get_ref().metadata()?.ino()),
            None => None,
        };
        // Read from its end: the newest is first. What is left of the present file is read before.
        self.files = row(&self.path, mine)?;
        Ok(!self.files.is_empty())
    }

    /// Goes back to the beginning of an unfinished line: a logger that died inside it is followed by one that cuts
    /// it off, and something else may stand there by now. After the file was cut before that (a full disk, an
    /// operator): reads on from its new end.
    pub(super) fn mind_cuts(&mut self) -> io::Result<()> {
        if let Some(reader) = &mut self.reader {
            let length = reader.get_ref().metadata()?.len();
            let read = reader.stream_position()?;
            let line = read.saturating_sub(self.partial.len() as u64);
            if read != line.min(length) {
                reader.seek(SeekFrom::Start(line.min(length)))?;
                self.partial.clear();
            }
        }
        Ok(())
    }
}

/// A log's files, the current one first, up to the one with the inode `until`.
///
/// A rotation meanwhile moves files up, never down: one is met twice rather than missed, and known by its inode. In
/// its middle one number is free, never two.
fn row(current: &Path, until: Option<u64>) -> io::Result<Vec<File>> {
    let (mut files, mut seen, mut free) = (Vec::new(), Vec::new(), 0);
    for n in 0.. {
        match File::open(older(current, n)) {
            Ok(file) => {
                free = 0;
                let inode = file.metadata()?.ino();
                if Some(inode) == until {
                    break;
                }
                if !seen.contains(&inode) {
                    seen.push(inode);
                    files.push(file);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                free += 1;
                if free == 2 {
                    break;
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(files)
}

/// Where the last finished line ends.
fn end_of_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == *b"\n" {
        return Ok(length);
    }
    let mut unfinished = Vec::new();
    Backwards::new(file, length, u64::MAX).next(&mut unfinished)?;
    Ok(length - unfinished.len() as u64)
}
