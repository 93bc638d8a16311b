//! Datagrams of programs that link nothing, in the shape of `sd_notify(3)`: lines of `KEY=VALUE`.
//!
//! ```text
//! MAINSTAY_INSTANCE=web#2
//! MAINSTAY_INCARNATION=7
//! X_MAINSTAY_NOTE=order=4711
//! X_MAINSTAY_NOTE=step=payment
//! ```
//!
//! or, for a span, one datagram when it is opened and one when it has ended:
//!
//! ```text
//! X_MAINSTAY_SPAN=import
//! X_MAINSTAY_SPAN_STATE=begin                    or: end
//! X_MAINSTAY_SPAN_ID=00f067aa0ba902b7
//! X_MAINSTAY_SPAN_START=81234567890123           CLOCK_MONOTONIC, in nanoseconds
//! X_MAINSTAY_SPAN_ATTRIBUTE=file=a.csv
//! X_MAINSTAY_SPAN_FAILED=exit code 3             only of one that failed
//! TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//! ```
//!
//! In values a newline is `\n` and a backslash `\\`. What a datagram says of its sender is a hint and no more. Nothing of it is
//! trusted: everything has a bound, and what does not fit is refused or cut.

/// Longer datagrams are refused.
pub const BYTES_MAX: usize = 4096;
/// So many keys and values are taken from one; those behind are left out.
pub const PAIRS_MAX: usize = 16;
/// Keys are cut after so many bytes.
pub const KEY_MAX: usize = 48;
/// Values and names are cut after so many bytes.
pub const TEXT_MAX: usize = 256;

/// What a datagram says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// The instance that it says it is of; empty: it does not say.
    pub instance: String,
    /// The life that it says it is of; 0: it does not say.
    pub incarnation: u64,
    /// What it is about.
    pub what: Said,
}

/// What a datagram is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Said {
    /// Nothing: somebody rings, and is to be looked at.
    #[default]
    Ring,
    /// Keys and values for the context of the life.
    Note(Vec<(String, String)>),
    /// A span.
    Span(SpanSaid),
}

/// A span of a program that links nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanSaid {
    /// What it is of; not empty.
    pub name: String,
    /// Its id; not 0.
    pub id: u64,
    /// It has ended; else it has just begun.
    pub ended: bool,
    /// When it began, by the monotonic clock.
    pub start: u64,
    /// Why it failed.
    pub failed: Option<String>,
    /// The trace, and the span in which it is; 0: none.
    pub parent: (u128, u64),
    /// Keys and values.
    pub attributes: Vec<(String, String)>,
}

/// Reads a datagram.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Datagram, &'static str> {
    if bytes.len() > BYTES_MAX {
        return Err("it is longer than 4096 bytes");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8")?;
    let mut found = Datagram::default();
    let mut notes = Vec::new();
    let mut span = SpanSaid::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "MAINSTAY_INSTANCE" => found.instance = clean(value, TEXT_MAX),
            "MAINSTAY_INCARNATION" => found.incarnation = value.parse().unwrap_or(0),
            "X_MAINSTAY_NOTE" => push(&mut notes, value)?,
            "X_MAINSTAY_SPAN" => span.name = clean(value, TEXT_MAX),
            "X_MAINSTAY_SPAN_STATE" => {
                span.ended = match value {
                    "begin" => false,
                    "end" => true,
                    _ => return Err("a span begins or ends"),
                }
            }
            "X_MAINSTAY_SPAN_ID" => {
                span.id = u64::from_str_radix(value, 16).map_err(|_| "a span's id is hex")?
            }
            "X_MAINSTAY_SPAN_START" => span.start = value.parse().map_err(|_| "a start is a number")?,
            "X_MAINSTAY_SPAN_FAILED" => span.failed = Some(clean(value, TEXT_MAX)),
            "X_MAINSTAY_SPAN_ATTRIBUTE" => push(&mut span.attributes, value)?,
            "TRACEPARENT" => span.parent = parent(value).ok_or("a TRACEPARENT is as W3C writes it")?,
            _ => {}
        }
    }
    found.what = match (span.name.is_empty(), notes.is_empty()) {
        (true, true) if span == SpanSaid::default() => Said::Ring,
        (true, true) => return Err("a span has a name"),
        (true, false) => Said::Note(notes),
        (false, _) if span.id == 0 => return Err("a span has an id"),
        (false, _) => Said::Span(span),
    };
    Ok(found)
}

/// As a datagram; [`read`] gives it back, as far as nothing had to be cut.
pub fn write(of: &Datagram) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        out.push_str(key);
        out.push('=');
        for c in value.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\\' => out.push_str("\\\\"),
                c => out.push(c),
            }
        }
        out.push('\n');
    };
    if !of.instance.is_empty() {
        line("MAINSTAY_INSTANCE", &of.instance);
        line("MAINSTAY_INCARNATION", &of.incarnation.to_string());
    }
    match &of.what {
        Said::Ring => {}
        Said::Note(pairs) => {
            pairs.iter().for_each(|(key, value)| line("X_MAINSTAY_NOTE", &format!("{key}={value}")))
        }
        Said::Span(span) => {
            line("X_MAINSTAY_SPAN", &span.name);
            line("X_MAINSTAY_SPAN_STATE", if span.ended { "end" } else { "begin" });
            line("X_MAINSTAY_SPAN_ID", &format!("{:016x}", span.id));
            line("X_MAINSTAY_SPAN_START", &span.start.to_string());
            if let Some(failed) = &span.failed {
                line("X_MAINSTAY_SPAN_FAILED", failed);
            }
            if span.parent != (0, 0) {
                line("TRACEPARENT", &format!("00-{:032x}-{:016x}-01", span.parent.0, span.parent.1));
            }
            let attributes = span.attributes.iter();
            attributes.for_each(|(key, value)| line("X_MAINSTAY_SPAN_ATTRIBUTE", &format!("{key}={value}")));
        }
    }
    out
}

fn push(pairs: &mut Vec<(String, String)>, pair: &str) -> Result<(), &'static str> {
    let (key, value) = pair.split_once('=').ok_or("a note is key=value")?;
    if key.is_empty() {
        return Err("a key is not empty");
    }
    if pairs.len() < PAIRS_MAX {
        pairs.push((clean(key, KEY_MAX), clean(value, TEXT_MAX)));
    }
    Ok(())
}

/// Without its escapes and without control characters, at most so many bytes.
fn clean(text: &str, bytes: usize) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let c = match c {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        };
        let c = if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
        if out.len() + c.len_utf8() > bytes {
            break;
        }
        out.push(c);
    }
    out
}

/// `00-TRACE-SPAN-FLAGS`
fn parent(text: &str) -> Option<(u128, u64)> {
    let mut parts = text.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    if !(is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && version != "ff") {
        return None;
    }
    Some((u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_note_is_read_line_by_line() {
        let text = "MAINSTAY_INSTANCE=web#2\nMAINSTAY_INCARNATION=7\nX_MAINSTAY_NOTE=order=4711\nREADY=1\n\
                    X_MAINSTAY_NOTE=said=a\\nb\\\\=c\n";
        let pairs = vec![("order".to_owned(), "4711".to_owned()), ("said".to_owned(), "a\nb\\=c".to_owned())];
        let expected = Datagram { instance: "web#2".into(), incarnation: 7, what: Said::Note(pairs) };
        assert_eq!(read(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn nothing_to_say_is_a_ring() {
        assert_eq!(read(b""), Ok(Datagram::default()));
        assert_eq!(read(b"MAINSTAY_INSTANCE=a").unwrap().what, Said::Ring);
    }

    #[test]
    fn what_is_no_note_is_refused_and_says_why() {
        for (text, why) in [
            ("X_MAINSTAY_NOTE=order", "a note is key=value"),
            ("X_MAINSTAY_NOTE==1", "a key is not empty"),
            ("X_MAINSTAY_SPAN=x", "a span has an id"),
            ("X_MAINSTAY_SPAN_ID=1", "a span has a name"),
            ("X_MAINSTAY_SPAN_ID=x", "a span's id is hex"),
            ("X_MAINSTAY_SPAN_STATE=over", "a span begins or ends"),
            ("TRACEPARENT=00-1-2-3", "a TRACEPARENT is as W3C writes it"),
        ] {
            assert_eq!(read(text.as_bytes()), Err(why), "{text}");
        }
        assert_eq!(read(b"X_MAINSTAY_NOTE=\xff=1"), Err("it is no UTF-8"));
        assert_eq!(read(&[b'\n'; BYTES_MAX + 1]), Err("it is longer than 4096 bytes"));
    }

    #[test]
    fn what_is_too_long_is_cut_and_control_characters_are_replaced() {
        let long = format!("X_MAINSTAY_NOTE={}={}\u{1b}", "k".repeat(500), "é".repeat(500));
        let Ok(Datagram { what: Said::Note(pairs), .. }) = read(long.as_bytes()) else { panic!("{long}") };
        assert_eq!((pairs[0].0.len(), pairs[0].1.len()), (KEY_MAX, TEXT_MAX));
        let many = "X_MAINSTAY_NOTE=a=\u{1b}[2J\n".repeat(100);
        let Ok(Datagram { what: Said::Note(pairs), .. }) = read(many.as_bytes()) else { panic!("{many}") };
        assert_eq!((pairs.len(), pairs[0].1.as_str()), (PAIRS_MAX, "\u{fffd}[2J"));
    }

    proptest! {
        #[test]
        fn no_datagram_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = read(&bytes);
        }

        #[test]
        fn whatever_fits_is_read_as_it_was_written(
            key in "[a-z.]{1,20}", value in "[^\u{0}-\u{9}\u{b}-\u{1f}\u{7f}-\u{9f}]{0,40}", id in 1u64.., trace in any::<u128>(),
            parent in any::<u64>(), ended in any::<bool>(), failed in proptest::option::of("[a-z =]{0,9}"),
        ) {
            let pairs = vec![(key.clone(), value.clone()), (key.clone(), String::new())];
            let span = SpanSaid {
                name: key, id, ended, start: id, failed, parent: (trace, parent), attributes: pairs.clone(),
            };
            for what in [Said::Note(pairs), Said::Span(span)] {
                let said = Datagram { instance: "web#2".into(), incarnation: 9, what };
                prop_assert_eq!(read(write(&said).as_bytes()), Ok(said.clone()), "{}", write(&said));
            }
        }
    }
}
