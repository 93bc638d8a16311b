//! What a log file says about one life: its last lines, and whether its last line is unfinished.
//!
//! Read from the file when somebody dies, so that nothing is kept in memory for the many who do not.

use super::backwards::Backwards;
use super::line::{Kind, Line, Which};
use super::rotation;
use crate::crash::LastWord;
use std::collections::HashMap;
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

/// The last lines of each of these lives (instance and incarnation) of one log, oldest first; none of a life that is not found.
/// `written`: so many bytes may have been appended since the first of them ended.
///
/// One search for all of them: when hundreds of instances die at once, the end of their common log is read once.
pub(super) fn last<'a>(
    current: &Path,
    lives: impl Iterator<Item = (&'a str, u64)>,
    written: u64,
) -> Vec<Vec<LastWord>> {
    let mut searches = Vec::new();
    let mut of_instance: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, (instance, incarnation)) in lives.enumerate() {
        searches.push(Search::new(incarnation));
        of_instance.entry(instance.as_bytes()).or_default().push(at);
    }
    // What was found before a file could not be read is better than nothing.
    let _ = search(current, &of_instance, &mut searches, BUDGET + written);
    searches.into_iter().map(Search::done).collect()
}

fn search(
    current: &Path,
    of_instance: &HashMap<&[u8], Vec<usize>>,
    searches: &mut [Search],
    mut budget: u64,
) -> io::Result<()> {
    let mut left = searches.len();
    let mut bytes = Vec::new();
    for n in 0.. {
        let file = match File::open(rotation::older(current, n)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            other => other?,
        };
        let length = file.metadata()?.len();
        let mut lines = Backwards::new(&file, length, budget);
        while lines.next(&mut bytes)? {
            let Some(of_it) = Line::instance_of(&bytes).and_then(|name| of_instance.get(name)) else {
                continue;
            };
            let Some(line) = Line::parse(&bytes) else { continue };
            for &at in of_it {
                left -= usize::from(searches[at].see(&line));
            }
            if left == 0 {
                return Ok(());
            }
        }
        budget = budget.saturating_sub(length);
        if budget == 0 {
            break;
        }
    }
    Ok(())
}

/// The search for the last lines of one life, from the newest line of its instance to older ones.
#[derive(Debug)]
struct Search {
    incarnation: u64,
    /// Where it stands.
    at: At,
    /// What was found, newest first.
    words: Vec<LastWord>,
    /// The rests of lines whose beginnings are still to come.
    rests: [Vec<u8>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Behind the end of the life.
    Later,
    /// In a life whose end is not marked: this one, unless it proves to have begun later.
    Perhaps,
    /// In it.
    Inside,
    /// All is found.
    Done,
}

impl Search {
    fn new(incarnation: u64) -> Search {
        Search { incarnation, at: At::Later, words: Vec::new(), rests: Default::default() }
    }

    /// Looks at a line of its instance. True when it was the last that is needed.
    fn see(&mut self, line: &Line<'_>) -> bool {
        match (self.at, line.kind) {
            (At::Done, _) => return false,
            (_, Kind::Mark) => {
                let Some(at) = self.before(line.text) else { return false };
                if at != At::Done {
                    // What was found behind it was another's.
                    self.words.clear();
                    self.rests = Default::default();
                }
                self.at = at;
            }
            (At::Later, _) => {}
            (_, Kind::Rest(_) | Kind::Text(_)) if self.words.len() == LINES => {}
            (_, Kind::Rest(which)) => {
                let rest = &mut self.rests[which as usize];
                *rest = [line.text, rest].concat();
                rest.truncate(LENGTH);
            }
            (_, Kind::Text(which)) => {
                let rest = std::mem::take(&mut self.rests[which as usize]);
                self.words.push(word(line, which, &rest));
                if self.words.len() == LINES && self.at == At::Inside {
                    self.at = At::Done;
                }
            }
        }
        self.at == At::Done
    }

    /// Where it stands before a mark with this text, if that is one between lives.
    fn before(&self, text: &[u8]) -> Option<At> {
        let number = |begin: &str| {
            let rest = text.strip_prefix(begin.as_bytes())?;
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(&rest[..digits]).ok()?.parse::<u64>().ok()
        };
        Some(match (number("life "), number("end ")) {
            // A life begins, or an earlier one has ended: before it are only older ones.
            (Some(life), _) if life <= self.incarnation => At::Done,
            (_, Some(ended)) if ended < self.incarnation => At::Done,
            (_, Some(ended)) if ended == self.incarnation => At::Inside,
            (_, Some(_)) => At::Later,
            // A later one begins, and nobody had heard of the end of the one before.
            (Some(_), _) => At::Perhaps,
            (None, None) => return None,
        })
    }

    fn done(mut self) -> Vec<LastWord> {
        self.words.reverse();
        self.words
    }
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
        let check = |log: &str| {
            std::fs::write(&path, log).unwrap();
            assert_eq!(texts(&last(&path, [("web#2", 9)].into_iter(), 0)[0]), expected);
        };
        check(LOG);
        // Its end was not heard of when the next one began.
        check(&without(LOG, "end 9"));
        // Neither was that of the one after.
        check(
            &without(LOG, "end 9")
                .replace("of a newer life", "x\n2026-11-23T12:00:00.012Z web#2 --- life 13"),
        );
        check(&LOG.replace("out second", "out second\n2026-11-23T12:00:00.008Z web#2 --- up, pid 3"));
        // Marks of beginnings are only written where they are needed.
        check(&without(&without(LOG, "life 9"), "life 11"));
        // The same, with the life's beginning rotated away.
        let at = LOG.find("2026-11-23T12:00:00.006Z").unwrap();
        std::fs::write(rotation::older(&path, 1), &LOG[..at]).unwrap();
        check(&LOG[at..]);
    }

    #[test]
    fn one_search_finds_the_words_of_many_lives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.log");
        std::fs::write(&path, LOG).unwrap();
        let lives = [("web#2", 7), ("web#1", 3), ("web#2", 9), ("web#3", 1)];
        let words = last(&path, lives.into_iter(), 0);
        assert_eq!(texts(&words[0]), [("out", "of an older life")]);
        assert_eq!(texts(&words[2]).len(), 3);
        // Nothing says that they have ended, or that they were there.
        assert_eq!((words[1].len(), words[3].len()), (0, 0));
    }

    fn texts(words: &[LastWord]) -> Vec<(&str, &str)> {
        words.iter().map(|word| (word.stream.as_str(), word.text.as_str())).collect()
    }

    fn without(log: &str, mark: &str) -> String {
        log.split_inclusive('\n').filter(|line| !line.contains(mark)).collect()
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
        let words = last(&path, [("web", 1)].into_iter(), 0).remove(0);
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
