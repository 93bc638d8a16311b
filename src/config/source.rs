//! One file: bytes → text → table → document, with every place in it counted from where its text begins among all.
//!
//! The TOML parser counts from the beginning of its own text, so the places of a second file are shifted once, right
//! after parsing; nobody after that asks which file a span belongs to. It must not judge what keys mean: that is its
//! caller's.

use super::diagnostic::{Diagnostic, Lines};
use super::{FILE_MAX, RECOVER_MAX, in_file_order, units};
use std::collections::HashSet;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Errors of the TOML itself that are kept.
const SYNTAX_ERRORS_MAX: usize = 1_000;
/// How deep any reader looks; below, places are not shifted because nobody asks for them.
const DEPTH_MAX: usize = 12;

/// A file that is no text.
pub(super) struct Unreadable {
    /// What of it can be shown.
    pub(super) shown: String,
    pub(super) message: String,
    /// The bad byte, when there is one.
    pub(super) at: Option<usize>,
}

impl Unreadable {
    /// `together`: it is not the only file.
    pub(super) fn too_large(together: bool) -> Unreadable {
        let size = units::write_size(FILE_MAX as u64);
        let message = match together {
            true => format!("with this file all together are larger than {size}"),
            false => format!("the file is larger than {size}"),
        };
        Unreadable { shown: String::new(), message, at: None }
    }

    /// What to say, when the file begins at `start`.
    pub(super) fn at_place(self, start: usize) -> Diagnostic {
        match self.at {
            // The replacement character stands where the bad byte was, so the place is the same.
            Some(at) => Diagnostic::error(start + at..start + at + 3, self.message)
                .label("not a character")
                .help("save the file as UTF-8"),
            None => Diagnostic::error(start..start, self.message),
        }
    }
}

/// The text of a file.
pub(super) fn readable(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("the file is not UTF-8: byte {at} is 0x{:02x}", bytes[at]);
        Unreadable { shown: String::from_utf8_lossy(bytes).into_owned(), message, at: Some(at) }
    })
}

/// Reads one more file with `read_root`. False when its TOML is broken: then what is missing may only be what could not be
/// read.
pub(super) fn read(
    problems: &mut Vec<Diagnostic>,
    text: &str,
    start: usize,
    read_root: impl FnOnce(&mut Vec<Diagnostic>, &DeTable<'_>),
) -> bool {
    let (root, syntax) = if text.len() <= RECOVER_MAX {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(root) => (root, Vec::new()),
            Err(error) => (Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    };
    let mut root = root.into_inner();
    if start != 0 {
        root = shift_table(root, start, DEPTH_MAX);
    }
    let mut found = Vec::new();
    read_root(&mut found, &root);
    in_file_order(&mut found);
    if syntax.is_empty() {
        problems.append(&mut found);
        return true;
    }
    let lines = Lines::of(text);
    let (mut errors, bad_lines) = syntax_errors(text, &lines, &syntax, start);
    problems.append(&mut errors);
    // Whatever could be read is judged too, except for what may be wrong only because its line is.
    problems.extend(found.into_iter().filter(|d| {
        d.span.as_ref().is_none_or(|s| !bad_lines.contains(&lines.line(s.start.saturating_sub(start))))
    }));
    false
}

/// The errors of the TOML itself, and the lines that they are in.
fn syntax_errors(
    text: &str,
    lines: &Lines,
    errors: &[toml::de::Error],
    start: usize,
) -> (Vec<Diagnostic>, HashSet<usize>) {
    let mut bad_lines = HashSet::new();
    let mut list: Vec<Diagnostic> = Vec::new();
    let mut unclosed = false;
    for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
        let span = error.span().unwrap_or(0..0);
        // One broken line makes several errors; the first says most.
        if !bad_lines.insert(lines.line(span.start)) {
            continue;
        }
        let problem = Diagnostic::error(start + span.start..start + span.end, error.message().trim_end());
        if error.message().starts_with("missing comma") {
            if !unclosed {
                // An array that is never closed takes every line after it for an element.
                unclosed = true;
                list.push(problem.help("is the bracket of a line before this one closed?"));
            }
        } else if text[..span.start.min(text.len())].lines().last().is_some_and(is_header_of_template)
            || text.get(span.start..).is_some_and(|rest| rest.starts_with('@'))
        {
            list.push(problem.help("a name with `@` needs quotes: [service.\"worker@\"]"));
        } else {
            list.push(problem);
        }
    }
    in_file_order(&mut list);
    (list, bad_lines)
}

/// `[service.worker@]`, as far as it was read.
fn is_header_of_template(line: &str) -> bool {
    line.trim_start().starts_with("[service.") && line.contains('@') && !line.contains(['"', '\''])
}

fn shift_table(table: DeTable<'_>, by: usize, depth: usize) -> DeTable<'_> {
    let mut shifted = DeTable::new();
    for (key, value) in table {
        let span = key.span();
        let key = Spanned::new(span.start + by..span.end + by, key.into_inner());
        shifted.insert(key, shift_value(value, by, depth));
    }
    shifted
}

fn shift_value(value: Spanned<DeValue<'_>>, by: usize, depth: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let inner = match (value.into_inner(), depth.checked_sub(1)) {
        (DeValue::Table(table), Some(depth)) => DeValue::Table(shift_table(table, by, depth)),
        (DeValue::Array(array), Some(depth)) => {
            let mut shifted = DeArray::new();
            array.into_iter().for_each(|value| shifted.push(shift_value(value, by, depth)));
            DeValue::Array(shifted)
        }
        (other, _) => other,
    };
    Spanned::new(span.start + by..span.end + by, inner)
}
