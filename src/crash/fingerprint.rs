//! Which deaths have one cause: equal digits.
//!
//! What goes in: the service, how it ended, and where it was then. The place is that of its panic; where none was noted, the
//! one that its last words name; else the innermost open span. Numbers that differ from death to death (pids, times, ids)
//! are in none of these.

use super::{LastWord, Record};
use crate::ipc::builtin::Fault;

/// Eight hexadecimal digits.
pub fn of(record: &Record) -> String {
    let fault = record.fault.map(|fault| match fault {
        Fault::OutOfMemory => "out of memory",
        Fault::Watchdog => "watchdog",
        Fault::Unhealthy => "unhealthy",
        Fault::NeverReady => "never ready",
    });
    let end = match (fault, &record.signal, record.code) {
        (Some(fault), ..) => fault.to_owned(),
        (None, Some(signal), _) => signal.clone(),
        (None, None, Some(code)) => format!("exit {code}"),
        (None, None, None) if record.pid == 0 => format!("not started: {}", record.error),
        (None, None, None) => "unknown".to_owned(),
    };
    let mut hash = crc32fast::Hasher::new();
    for part in [&record.service, &end, &place(record)] {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    format!("{:08x}", hash.finalize())
}

/// Where it was, as far as that is known.
fn place(record: &Record) -> String {
    let panics = record.context.iter().filter_map(|context| context.error.as_ref());
    let panic =
        panics.filter(|error| error.panic && !error.place.is_empty()).map(|error| error.place.clone()).next();
    let told = || record.words.iter().rev().find_map(place_in_words);
    let span = || record.innermost().map(|span| span.name.clone());
    panic.or_else(told).or_else(span).unwrap_or_default()
}

/// `src/main.rs:10:5` of what Rust prints when a thread panics; `worker.py:31` of what Python prints.
fn place_in_words(word: &LastWord) -> Option<String> {
    let text = word.text.trim();
    if let Some((_, place)) = text.split_once(" panicked at ") {
        return Some(place.trim_end_matches(':').to_owned());
    }
    let (file, rest) = text.strip_prefix("File \"")?.split_once("\", line ")?;
    let line: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("{file}:{line}"))
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{Context, Failure, Span};
    use super::*;

    fn killed(service: &str) -> Record {
        Record { service: service.into(), pid: 7, signal: Some("SIGSEGV".into()), ..Record::default() }
    }

    fn said(text: &str) -> Vec<LastWord> {
        vec![LastWord { text: text.into(), ..LastWord::default() }]
    }

    #[test]
    fn equal_causes_have_equal_digits_whatever_is_counted() {
        let one = killed("web");
        let other = Record { pid: 9, number: 3, lived_ns: 17, time: "later".into(), ..one.clone() };
        assert_eq!(of(&one), of(&other));
        assert_eq!(of(&one).len(), 8);
    }

    #[test]
    fn whatever_tells_causes_apart_is_in_them() {
        let span = |name: &str| vec![Span { name: name.into(), ..Span::default() }];
        let panic = |place: &str| {
            let error = Failure { panic: true, place: place.into(), ..Failure::default() };
            vec![Context { error: Some(error), ..Context::default() }]
        };
        let all = [
            killed("web"),
            killed("api"),
            Record { signal: None, code: Some(3), ..killed("web") },
            Record { signal: None, code: Some(4), ..killed("web") },
            Record { fault: Some(Fault::OutOfMemory), ..killed("web") },
            Record { fault: Some(Fault::Watchdog), ..killed("web") },
            Record { fault: Some(Fault::NeverReady), ..killed("web") },
            Record { doing: span("charge card"), ..killed("web") },
            Record { doing: span("send mail"), ..killed("web") },
            Record { context: panic("src/a.rs:1:2"), ..killed("web") },
            Record { context: panic("src/a.rs:2:2"), doing: span("charge card"), ..killed("web") },
            Record { words: said("thread 'main' (12) panicked at src/b.rs:1:2:"), ..killed("web") },
            Record { words: said("  File \"worker.py\", line 31, in run"), ..killed("web") },
            Record { words: said("  File \"worker.py\", line 32, in run"), ..killed("web") },
        ];
        let mut found: Vec<String> = all.iter().map(of).collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), all.len());
    }

    #[test]
    fn a_place_counts_before_the_span_around_it() {
        let at = |span: &str| Record {
            doing: vec![Span { name: span.into(), ..Span::default() }],
            words: said("thread 'main' panicked at src/b.rs:1:2:"),
            ..killed("web")
        };
        assert_eq!(of(&at("order 7")), of(&at("order 8")));
    }
}
