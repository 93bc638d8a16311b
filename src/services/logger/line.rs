//! One line of a log file: written here, read here.
//!
//! ```text
//! 2026-11-23T12:02:07.412Z web#2 out listening on :8080
//! 2026-11-23T12:02:07.413Z web#2 err+ the rest of a line that another line interrupted
//! 2026-11-23T12:02:31.090Z web#2 --- end 17: killed by SIGKILL after 23.6 s (c-7)
//! ```
//!
//! Stamp (UTC), instance, kind, one space, then the service's bytes as they came, up to the newline: they
//! may be anything but a newline. The stamp is when the first byte of the line was taken from the pipe. The bytes of a stream are its texts, each followed by a
//! newline unless the stream's next line is a rest (`out+`, `err+`).

use crate::time::Wall;

/// Which of a service's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Which {
    /// Both, stdout first.
    pub const BOTH: [Which; 2] = [Which::Out, Which::Err];

    /// Its word in a log file.
    pub const fn word(self) -> &'static str {
        match self {
            Which::Out => "out",
            Which::Err => "err",
        }
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line of the service, or its beginning.
    Text(Which),
    /// Goes on where the stream's line before stopped.
    Rest(Which),
    /// Something that mainstay says about the instance.
    Mark,
}

impl Kind {
    fn parse(word: &[u8]) -> Option<Kind> {
        Some(match word {
            b"out" => Kind::Text(Which::Out),
            b"err" => Kind::Text(Which::Err),
            b"out+" => Kind::Rest(Which::Out),
            b"err+" => Kind::Rest(Which::Err),
            b"---" => Kind::Mark,
            _ => return None,
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Kind::Text(which) => which.word(),
            Kind::Rest(Which::Out) => "out+",
            Kind::Rest(Which::Err) => "err+",
            Kind::Mark => "---",
        }
    }
}

/// A line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// `2026-11-23T12:02:07.412Z`: so sorting by text sorts by time.
    pub stamp: &'a str,
    /// `web#2`
    pub instance: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Without the newline.
    pub text: &'a [u8],
}

/// The length of every stamp.
pub const STAMP: usize = 24;

impl<'a> Line<'a> {
    /// Whose line it is, if it is one of ours: a quick look, for whoever passes over the lines of many.
    pub fn instance_of(bytes: &'a [u8]) -> Option<&'a [u8]> {
        let rest = bytes.get(STAMP..)?.strip_prefix(b" ")?;
        Some(&rest[..memchr::memchr(b' ', rest)?])
    }

    /// The line that these bytes are, without their newline; `None` when nothing of ours wrote them.
    pub fn parse(bytes: &'a [u8]) -> Option<Line<'a>> {
        let stamp = std::str::from_utf8(bytes.get(..STAMP)?).ok()?;
        let shape = stamp.bytes().zip("0000-00-00T00:00:00.000Z".bytes());
        let shaped = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
        if !shape.into_iter().all(shaped) {
            return None;
        }
        let rest = bytes.get(STAMP..)?.strip_prefix(b" ")?;
        let mut parts = rest.splitn(3, |&byte| byte == b' ');
        let instance = std::str::from_utf8(parts.next()?).ok()?;
        let kind = Kind::parse(parts.next()?)?;
        Some(Line { stamp, instance, kind, text: parts.next()? })
    }
}

/// The stamp of a moment.
pub fn stamp(at: Wall) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    format!("{at:.3}")
}

/// Appends the beginning of a line.
pub fn begin(out: &mut Vec<u8>, stamp: &str, instance: &str, kind: Kind) {
    for part in [stamp, " ", instance, " ", kind.word(), " "] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// How the first line of newly arrived bytes begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As a new line.
    Line,
    /// As the rest of one that was interrupted.
    Rest,
    /// With nothing: the file ends with this very line, unfinished.
    Joined,
}

/// Appends the lines that `bytes` of a stream make, and says how many bytes that took: all of them, unless
/// `out` grew longer than `enough` (very short lines), which ends it after a newline.
pub fn compose(
    out: &mut Vec<u8>,
    bytes: &[u8],
    (stamp, instance, which): (&str, &str, Which),
    mut start: Start,
    enough: usize,
) -> usize {
    let mut taken = 0;
    for text in bytes.split_inclusive(|&byte| byte == b'\n') {
        match start {
            Start::Line => begin(out, stamp, instance, Kind::Text(which)),
            Start::Rest => begin(out, stamp, instance, Kind::Rest(which)),
            Start::Joined => {}
        }
        out.extend_from_slice(text);
        taken += text.len();
        start = Start::Line;
        if out.len() > enough {
            break;
        }
    }
    taken
}

/// How many bytes of a stream whole lines are that [`compose`] made; `joined`: the first goes on with a line.
pub fn taken(lines: &[u8], joined: bool) -> usize {
    let mut whole = lines.split_inclusive(|&byte| byte == b'\n');
    let first = if joined { whole.next().map_or(0, <[u8]>::len) } else { 0 };
    let texts = whole.map_while(|line| Line::parse(line).map(|line| line.text.len()));
    first + texts.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMPED: &str = "2026-11-23T12:02:07.412Z";

    #[test]
    fn a_stamp_is_utc_in_milliseconds() {
        assert_eq!(stamp(Wall(1_795_435_327_412_999)), STAMPED);
        assert_eq!(stamp(Wall(0)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_line_of_ours_is_none() {
        for bytes in
            [&b""[..], b"hello", b"2026-11-23T12:02:07.412Z web", b"2026-11-23T12:02:07.412Z web huh x"]
        {
            assert_eq!(Line::parse(bytes), None);
        }
    }

    #[test]
    fn very_short_lines_do_not_swell_without_bound() {
        let mut out = Vec::new();
        let newlines = vec![b'\n'; 1000];
        let taken = compose(&mut out, &newlines, (STAMPED, "web", Which::Out), Start::Line, 100);
        assert_eq!((taken, out.len()), (3, 3 * 34));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            let mut out = Vec::new();
            let taken = compose(&mut out, &bytes, (STAMPED, "web#2", Which::Err), Start::Rest, usize::MAX);
            prop_assert_eq!(taken, bytes.len());
            let mut read = Vec::new();
            for (n, whole) in out.split_inclusive(|&byte| byte == b'\n').enumerate() {
                let line = Line::parse(whole.strip_suffix(b"\n").unwrap_or(whole)).unwrap();
                let kind = if n == 0 { Kind::Rest(Which::Err) } else { Kind::Text(Which::Err) };
                prop_assert_eq!((line.stamp, line.instance, line.kind), (STAMPED, "web#2", kind));
                read.extend_from_slice(line.text);
                read.extend_from_slice(if whole.ends_with(b"\n") { b"\n" } else { b"" });
            }
            prop_assert_eq!(read, bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Line::parse(&bytes);
        }
    }
}
