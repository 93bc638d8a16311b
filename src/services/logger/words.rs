//! What a log file says about one life: its last lines, and whether its last line is unfinished.
//!
//! Read from the file when somebody dies, so that nothing is kept in memory for the many who do not.

use super::backwards::Backwards;
use super::line::{Kind, Line, Which};
use super::rotation;
use crate::crash::LastWord;
use std::fs::File;
use std::io;
use std::path::Path;

/// How many last lines a crash record has.
pub(super) const LINES: usize = 20;
/// The most of a line that a crash record has, in bytes.
const LENGTH: usize = 4096;
/// How far back they are looked for, in bytes.
const BUDGET: u64 = 1 << 20;

/// The text of the mark with which a life begins in the log.
pub fn life_mark(incarnation: u64) -> String {
    format!("life {incarnation}")
}

/// The beginning of the mark with which a life ends; the cause follows.
pub fn end_mark(incarnation: u64) -> String {
    format!("end {incarnation}: ")
}

/// The last lines of this life, oldest first. `end`: where its end mark ends, if that is known; else the mark is looked for.
pub(super) fn last(
    current: &Path,
    instance: &str,
    incarnation: u64,
    end: Option<u64>,
) -> io::Result<Vec<LastWord>> {
    let (life, ended) = (life_mark(incarnation), end_mark(incarnation));
    let (mut words, mut budget, mut inside) = (Vec::new(), BUDGET, false);
    let mut rests: [Vec<u8>; 2] = Default::default();
    let mut bytes = Vec::new();
    for n in 0.. {
        let file = match File::open(rotation::older(current, n)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            other => other?,
        };
        let length = file.metadata()?.len();
        let from = end.filter(|_| n == 0).map_or(length, |end| end.min(length));
        let mut lines = Backwards::new(&file, from, budget);
        while lines.next(&mut bytes)? {
            let Some(line) = Line::parse(&bytes).filter(|line| line.instance == instance) else { continue };
            match line.kind {
                Kind::Mark if line.text.starts_with(ended.as_bytes()) => inside = true,
                Kind::Mark if line.text == life.as_bytes() => {
                    words.reverse();
                    return Ok(words);
                }
                Kind::Mark => {}
                Kind::Text(_) | Kind::Rest(_) if !inside => {}
                Kind::Rest(which) => {
                    let rest = &mut rests[which as usize];
                    *rest = [line.text, rest].concat();
                    rest.truncate(LENGTH);
                }
                Kind::Text(which) => {
                    words.push(word(&line, which, &std::mem::take(&mut rests[which as usize])));
                }
            }
            if words.len() == LINES {
                words.reverse();
                return Ok(words);
            }
        }
        budget = budget.saturating_sub(from);
        if budget == 0 {
            break;
        }
    }
    words.reverse();
    Ok(words)
}

fn word(line: &Line<'_>, which: Which, rest: &[u8]) -> LastWord {
    let mut whole = [line.text, rest].concat();
    let cut = whole.len() > LENGTH;
    whole.truncate(LENGTH);
    let mut text = String::from_utf8_lossy(&whole).trim_end_matches('\r').to_owned();
    if cut {
        text.push('…');
    }
    LastWord { time: line.stamp.to_owned(), stream: which.word().to_owned(), text }
}

/// The unfinished last line of a stream, as far as it is in the current file: what a line's beginning was
/// when its end is still to come.
pub(super) fn unfinished(current: &Path, instance: &str, which: Which) -> io::Result<Vec<u8>> {
    let file = match File::open(current) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut lines = Backwards::new(&file, file.metadata()?.len(), BUDGET);
    let (mut bytes, mut found) = (Vec::new(), Vec::new());
    while lines.next(&mut bytes)? {
        match Line::parse(&bytes).filter(|line| line.instance == instance) {
            Some(Line { kind: Kind::Rest(of), text, .. }) if of == which => found = [text, &found].concat(),
            Some(Line { kind: Kind::Text(of), text, .. }) if of == which => {
                return Ok([text, &found].concat());
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-23T12:00:00.000Z web#2 --- life 7
2026-11-23T12:00:00.001Z web#2 out of an older life
2026-11-23T12:00:00.002Z web#2 --- end 7: exited 3 (c-1)
2026-11-23T12:00:00.003Z web#2 --- life 9
2026-11-23T12:00:00.004Z web#2 out first
2026-11-23T12:00:00.005Z web#1 out another instance
2026-11-23T12:00:00.006Z web#2 err bro
2026-11-23T12:00:00.007Z web#2 out second
2026-11-23T12:00:00.008Z web#2 err+ ken
2026-11-23T12:00:00.009Z web#2 --- end 9: killed by SIGKILL (c-2)
2026-11-23T12:00:00.010Z web#2 --- life 11
2026-11-23T12:00:00.011Z web#2 out of a newer life
2026-11-23T12:00:00.012Z web#2 err+ half
";

    #[test]
    fn last_words_are_those_of_the_life_and_of_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        let expected = [("out", "first"), ("err", "broken"), ("out", "second")];
        let check = |log: &str, end| {
            std::fs::write(&path, log).unwrap();
            let words = last(&path, "web#2", 9, end).unwrap();
            let found: Vec<_> = words.iter().map(|w| (w.stream.as_str(), w.text.as_str())).collect();
            assert_eq!(found, expected);
        };
        check(LOG, None);
        let end = LOG.find("2026-11-23T12:00:00.010Z").unwrap();
        check(LOG, Some(end as u64));
        // The same, with the life's beginning rotated away.
        let at = LOG.find("2026-11-23T12:00:00.006Z").unwrap();
        std::fs::write(rotation::older(&path, 1), &LOG[..at]).unwrap();
        check(&LOG[at..], None);
    }

    #[test]
    fn there_are_at_most_twenty_and_none_is_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        let mut log = String::from("2026-11-23T12:00:00.000Z web --- life 1\n");
        for n in 0..30 {
            log.push_str(&format!("2026-11-23T12:00:00.001Z web out {n} {}\n", "x".repeat(5000)));
        }
        log.push_str("2026-11-23T12:00:00.002Z web --- end 1: exited 1 (c-1)\n");
        std::fs::write(&path, log).unwrap();
        let words = last(&path, "web", 1, None).unwrap();
        assert_eq!(words.len(), LINES);
        assert!(words[0].text.starts_with("10 x") && words[19].text.starts_with("29 x"));
        assert!(words.iter().all(|w| w.text.ends_with("x…") && w.text.len() == LENGTH + "…".len()));
    }

    #[test]
    fn an_unfinished_line_is_put_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        std::fs::write(&path, &LOG[..LOG.find("2026-11-23T12:00:00.009Z").unwrap() - 1]).unwrap();
        assert_eq!(unfinished(&path, "web#2", Which::Err).unwrap(), b"broken");
        assert_eq!(unfinished(&path, "web#2", Which::Out).unwrap(), b"second");
    }
}
