//! Text → specs, with line and column in every error. Pure.
//!
//! [`parse`] finds every error of a file in one pass: first those of the TOML itself, then what each key says,
//! then what the keys say together. What only the system knows (is the program there?) is `cli::check`'s. Nothing here
//! reads a file: the text is given, and environment files come through [`Origin::env_files`].

pub mod declared;
pub mod diagnostic;
pub mod diff;
mod env_file;
mod fields;
mod flag;
mod order;
pub mod plan;
mod policy;
mod read;
mod resolve;
pub mod template;
pub mod units;
pub mod words;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use plan::Plan;
pub use resolve::{PlaceOf, Places};
pub use template::Template;

use std::io;
use std::path::Path;
use toml::de::DeTable;

/// Larger files are not configurations: a limit keeps a mistaken `--config /dev/zero` from eating the memory.
pub const FILE_MAX: usize = 16 << 20;
/// Errors of the TOML itself that are kept.
const SYNTAX_ERRORS_MAX: usize = 1_000;
/// In larger files only the first error of the TOML itself is looked for: garbage has one for each byte, and the
/// parser would keep them all.
const RECOVER_MAX: usize = 1 << 20;

/// Where a text comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The file, absolute. Relative paths in it are relative to its folder.
    pub file: &'a Path,
    /// How the file is called in messages: `mainstay.toml`.
    pub shown: &'a str,
    /// The project's name, when the file does not say one.
    pub project: &'a str,
    /// Reads an environment file; the path is absolute when `file` is.
    pub env_files: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl<'a> Origin<'a> {
    /// The text of `file`, called `shown` in messages; no environment file can be read.
    pub fn new(file: &'a Path, shown: &'a str, project: &'a str) -> Origin<'a> {
        Origin { file, shown, project, env_files: &|_| Err(io::ErrorKind::NotFound.into()) }
    }

    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What to run.
    pub plan: Plan,
    /// What is probably not meant so; its text also serves to show what only the system knows.
    pub warnings: Diagnostics,
    /// Where keys stand whose values only the system can judge; one for each service.
    pub places: Vec<Places>,
}

/// Reads a whole configuration.
///
/// `text` is what the file holds; a byte order mark and CRLF are fine, and an empty file is a project without services.
///
/// # Errors
/// All that is wrong, in one pass, with the warnings. Errors of the TOML itself hide those that depend on what could not be
/// read (missing keys, unknown names), never those of other lines.
pub fn parse(text: &[u8], origin: &Origin<'_>) -> Result<Configuration, Diagnostics> {
    let mut found = Diagnostics { file: origin.shown.to_owned(), ..Diagnostics::default() };
    let text = match readable(text) {
        Ok(text) => text,
        Err(bad) => {
            let (shown, problem) = *bad;
            found.text = shown;
            found.list.push(problem);
            return Err(found);
        }
    };
    found.text = text.to_owned();
    let (root, syntax) = if text.len() <= RECOVER_MAX {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(root) => (root, Vec::new()),
            Err(error) => (toml::Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    };
    if !syntax.is_empty() {
        found.list = syntax_errors(text, &syntax, root.get_ref());
        return Err(found);
    }
    let document = read::document(&mut found.list, root.get_ref());
    in_file_order(&mut found.list);
    let mut together = Vec::new();
    let (plan, places) = resolve::Resolver::new(&document, text, origin, &mut together).resolve();
    in_file_order(&mut together);
    found.list.append(&mut together);
    if found.errors() > 0 { Err(found) } else { Ok(Configuration { plan, warnings: found, places }) }
}

/// The project's name, as far as the text says a valid one; nothing else is checked.
///
/// For commands that only want to know which supervisor is meant, and must work while the file has errors.
pub fn name_of(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let root = if text.len() <= RECOVER_MAX {
        DeTable::parse_recoverable(&text).0
    } else {
        DeTable::parse(&text).ok()?
    };
    let name = root.get_ref().get("name")?.get_ref().as_str()?;
    (words::check_name(name).is_ok() && name != words::RESERVED_PREFIX).then(|| name.to_owned())
}

/// Readers ask for keys in their own order; people read from top to bottom.
fn in_file_order(list: &mut [Diagnostic]) {
    list.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
}

/// The text, or what to show and what is wrong with it.
fn readable(bytes: &[u8]) -> Result<&str, Box<(String, Diagnostic)>> {
    if bytes.len() > FILE_MAX {
        let message = format!("the file is larger than {}", units::write_size(FILE_MAX as u64));
        return Err(Box::new((String::new(), Diagnostic { span: None, ..Diagnostic::error(0..0, message) })));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let shown = String::from_utf8_lossy(bytes).into_owned();
        let message = format!("the file is not UTF-8: byte {at} is 0x{:02x}", bytes[at]);
        // The replacement character stands where the bad byte was, so the place is the same.
        let problem = Diagnostic::error(at..at + 3, message).label("not a character");
        Box::new((shown, problem.help("save the file as UTF-8")))
    })
}

/// The errors of the TOML itself, and those of keys on other lines: whatever could be read is judged too, except for
/// what may be missing only because it could not be read.
fn syntax_errors(text: &str, errors: &[toml::de::Error], root: &DeTable<'_>) -> Vec<Diagnostic> {
    let lines = diagnostic::Lines::of(text);
    let mut bad_lines = std::collections::HashSet::new();
    let mut list: Vec<Diagnostic> = Vec::new();
    let mut unclosed = false;
    for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
        let span = error.span().unwrap_or(0..0);
        // One broken line makes several errors; the first says most.
        if !bad_lines.insert(lines.line(span.start)) {
            continue;
        }
        let problem = Diagnostic::error(span, error.message().trim_end());
        if !error.message().starts_with("missing comma") {
            list.push(problem);
        } else if !unclosed {
            // An array that is never closed takes every line after it for an element.
            unclosed = true;
            list.push(problem.help("is the bracket of a line before this one closed?"));
        }
    }
    in_file_order(&mut list);
    let mut others = Vec::new();
    read::document(&mut others, root);
    in_file_order(&mut others);
    let on_good_line =
        |d: &Diagnostic| d.span.as_ref().is_none_or(|s| !bad_lines.contains(&lines.line(s.start)));
    list.extend(others.into_iter().filter(|d| on_good_line(d)));
    list
}
