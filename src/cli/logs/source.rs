//! The files of one service's log, from the oldest to the one that is written.

use super::{Entry, Wanted};
use crate::cli::error::Error;
use crate::config::words;
use crate::services::logger::line::Line;
use crate::services::logger::{Backwards, older};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// One service's log.
pub(super) struct Source {
    /// `web`
    pub(super) service: String,
    path: PathBuf,
    /// Which instances; empty: all.
    instances: Vec<WildMatch>,
    /// Opened once, oldest last: a rotation while they are read renames files, and changes none.
    files: Vec<File>,
    reader: Option<BufReader<File>>,
    /// An unfinished last line.
    partial: Vec<u8>,
    started: bool,
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
        // `web#2`, `w*#2`: an instance, in the log of its service.
        let instances = patterns.iter().filter(|pattern| {
            let of = pattern.split_once('#').map(|(of, _)| of);
            of.is_some_and(|of| WildMatch::new(of).matches(service))
        });
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
            });
        }
    }
    let unmatched = patterns.iter().find(|pattern| {
        let of = pattern.split_once('#').map_or(pattern.as_str(), |(of, _)| of);
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

impl Source {
    /// Whether this line is of an instance that is wanted.
    pub(super) fn has(&self, line: &Line<'_>) -> bool {
        self.instances.is_empty() || self.instances.iter().any(|glob| glob.matches(line.instance))
    }

    /// Opens all its files, the current one first. What is rotated meanwhile is met again under its next
    /// name, and known by its inode.
    fn open(&mut self) -> io::Result<()> {
        self.started = true;
        let mut seen = Vec::new();
        for n in 0.. {
            match File::open(older(&self.path, n)) {
                Ok(file) => {
                    let inode = file.metadata()?.ino();
                    if !seen.contains(&inode) {
                        seen.push(inode);
                        self.files.push(file);
                    }
                }
                // In the middle of a rotation there is a gap.
                Err(e) if e.kind() == io::ErrorKind::NotFound && n < 2 => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The next line, oldest first, without its newline; `None` at the end as it is now. An unfinished last line
    /// comes at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(line) = self.next_whole()? {
            if Line::parse(&line).is_some() {
                return Ok(Some(line));
            }
        }
        if self.partial.is_empty() {
            return Ok(None);
        }
        // Shown as it is; what comes later of it is shown then.
        let line = self.partial.clone();
        self.partial.clear();
        Ok(Line::parse(&line).is_some().then_some(line))
    }

    /// The next line that has its newline.
    pub(super) fn next_whole(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !self.started {
            self.open()?;
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
        self.open()?;
        let (mut left, mut number) = (most, u64::MAX);
        let mut bytes = Vec::new();
        let mut current = None;
        'files: for (n, file) in std::mem::take(&mut self.files).into_iter().enumerate() {
            let length = file.metadata()?.len();
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
            drop(lines);
            if n == 0 {
                let mut file = file;
                file.seek(SeekFrom::Start(length))?;
                current = Some(BufReader::new(file));
            }
            if left == 0 {
                break 'files;
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
            Some(reader) => reader.get_ref().metadata()?.ino(),
            None => 0,
        };
        let mut newer = Vec::new();
        for n in 0.. {
            match File::open(older(&self.path, n)) {
                Ok(file) if file.metadata()?.ino() == mine => break,
                Ok(file) => newer.push(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound && n < 2 => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                Err(e) => return Err(e),
            }
        }
        // `files` is read from its end, so the newest is first.
        let some = !newer.is_empty();
        self.files = newer;
        Ok(some)
    }

    /// After the file was cut (a full disk, an operator): reads on from its new end.
    pub(super) fn mind_cuts(&mut self) -> io::Result<()> {
        if let Some(reader) = &mut self.reader {
            let length = reader.get_ref().metadata()?.len();
            if reader.stream_position()? > length {
                reader.seek(SeekFrom::Start(length))?;
                self.partial.clear();
            }
        }
        Ok(())
    }
}
