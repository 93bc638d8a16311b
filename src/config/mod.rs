//! Text → specs, with line and column in every error. Pure.
//!
//! [`parse`] finds every error of a file in one pass: first those of the TOML itself, then what each key says,
//! then what the keys say together. What only the system knows (is the program there?) is `cli::check`'s. Nothing here
//! reads a file: the text is given, and environment files come through [`Origin::env_files`].

pub mod declared;
pub mod diagnostic;
pub mod diff;
mod env_file;
pub mod exchange;
mod fields;
mod flag;
mod guard;
mod health;
mod migration;
mod order;
pub mod plan;
mod policy;
mod read;
mod resolve;
mod source;
mod telemetry;
pub mod template;
pub mod units;
pub mod words;

pub use diagnostic::{Diagnostic, Diagnostics, Severity, Source};
pub use jiff::civil::Date;
pub use plan::Plan;
pub use resolve::{PlaceOf, Places};
pub use template::Template;

use std::io;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Larger files are not configurations: a limit keeps a mistaken `--config /dev/zero` from eating the memory. The files of
/// `conf.d` count together with it.
pub const FILE_MAX: usize = 16 << 20;
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
    /// The files of `conf.d`, in order. They add services, groups, flags and migrations.
    pub parts: &'a [Part],
    /// Which day it is: flags that expired before it get a warning. `None`: none does.
    pub today: Option<Date>,
}

/// A file of `conf.d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file, absolute. Relative paths in it are relative to its folder.
    pub file: PathBuf,
    /// How it is called in messages: `conf.d/web.toml`.
    pub shown: String,
    /// What it holds, or why it cannot be read.
    pub text: Result<Vec<u8>, String>,
}

impl<'a> Origin<'a> {
    /// The text of `file`, called `shown` in messages; no environment file can be read.
    pub fn new(file: &'a Path, shown: &'a str, project: &'a str) -> Origin<'a> {
        let env_files = &|_: &Path| Err(io::ErrorKind::NotFound.into());
        Origin { file, shown, project, env_files, parts: &[], today: None }
    }

    /// The folder of the file itself (0), or of one of its parts.
    fn folder(&self, part: usize) -> &Path {
        let file = part.checked_sub(1).map_or(self.file, |part| &self.parts[part].file);
        file.parent().unwrap_or(Path::new("/"))
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
/// All that is wrong in all files, in one pass, with the warnings. Errors of the TOML itself hide those that depend on what
/// could not be read (missing keys, unknown names), never those of other lines.
pub fn parse(text: &[u8], origin: &Origin<'_>) -> Result<Configuration, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut files = vec![(origin.shown, Ok(text))];
    files.extend(origin.parts.iter().map(|part| (part.shown.as_str(), part.text.as_deref())));
    let mut whole = true;
    if origin.file.to_str().is_none() {
        // The supervisor keeps the plan for the next comparison, and a path in it is text.
        let message =
            format!("`{}` is not UTF-8, and neither is what would be kept of it", origin.file.display());
        found.list.push(Diagnostic::error(0..0, message).help("give the folder another name"));
    }
    let mut left = FILE_MAX;
    let mut document = read::Document::default();
    for (number, (shown, text)) in files.into_iter().enumerate() {
        let text = text.map_err(|reason| format!("cannot read the file: {reason}"));
        let length = text.as_ref().map_or(0, |text| text.len());
        let fits = length <= left;
        left = left.saturating_sub(length);
        let readable = match text {
            Ok(_) if !fits => Err(source::Unreadable::too_large(number != 0)),
            Ok(text) => source::readable(text),
            Err(reason) => Err(source::Unreadable { shown: String::new(), message: reason, at: None }),
        };
        match readable {
            Ok(text) => {
                let start = found.add_source(shown, text);
                whole &= source::read(&mut found.list, text, start, |problems, root| {
                    read::document(problems, &mut document, root, number != 0);
                });
            }
            Err(unreadable) => {
                let start = found.add_source(shown, unreadable.shown.as_str());
                found.list.push(unreadable.at_place(start));
                whole = false;
            }
        }
    }
    document.refuse_doubles(&mut found);
    let nameless =
        origin.parts.iter().zip(&found.sources[1..]).find(|(part, _)| part.file.to_str().is_none());
    if let (Some((_, source)), true) = (nameless, origin.file.to_str().is_some()) {
        let problem = Diagnostic::error(source.start..source.start, "the name of this file is not UTF-8");
        found.list.push(problem.help("give it another name"));
    }
    if !whole {
        return Err(found);
    }
    let mut together = Vec::new();
    let locator = found.locator();
    let (plan, places) = resolve::Resolver::new(&document, &locator, origin, &mut together).resolve();
    in_file_order(&mut together);
    found.list.append(&mut together);
    if found.errors() > 0 { Err(found) } else { Ok(Configuration { plan, warnings: found, places }) }
}

/// The project's name, as far as the text says a valid one; nothing else is checked.
///
/// For commands that only want to know which supervisor is meant, and must work while the file has errors.
pub fn name_of(text: &[u8]) -> Option<String> {
    let valid = |name: &str| words::check_name(name).is_ok() && name != words::RESERVED_PREFIX;
    match plain_name(text).filter(|name| valid(name)) {
        Some(name) => Some(name.to_owned()),
        None => parsed_name(text).filter(|name| valid(name)),
    }
}

fn parsed_name(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let root = if text.len() <= RECOVER_MAX {
        DeTable::parse_recoverable(&text).0
    } else {
        DeTable::parse(&text).ok()?
    };
    root.get_ref().get("name")?.get_ref().as_str().map(str::to_owned)
}

/// The name in a first line `name = "…"`, before anything but comments: the way most files begin. To parse all the rest
/// takes longer than everything else that `flag on` does.
fn plain_name(text: &[u8]) -> Option<&str> {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| line.first().is_some_and(|first| *first != b'#'))?;
    let value = line.strip_prefix(b"name")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (name, rest) = str::from_utf8(value.strip_prefix(b"\"")?).ok()?.split_once('"')?;
    let rest = rest.trim_ascii_start();
    // What a name may hold needs no escape, so what is escaped is none.
    (rest.is_empty() || rest.starts_with('#')).then_some(name)
}

/// Readers ask for keys in their own order; people read from top to bottom.
fn in_file_order(list: &mut [Diagnostic]) {
    list.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_first_line_is_the_one_that_the_parser_finds() {
        for text in [
            "name = \"shop\"\n[service.web]\n",
            "name=\"a.b-c_d\"",
            "# a comment\r\n\r\n  name\t=  \"shop\"  # ours\r\nother = 1\r\n",
            "name = \"shop\"\nname = \"other\"\n",
            "name = \"\"\n",
        ] {
            let plain = plain_name(text.as_bytes()).map(str::to_owned);
            assert!(plain.is_some(), "{text}");
            assert_eq!(plain, parsed_name(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_broken_further_down_keeps_its_name() {
        assert_eq!(name_of(b"name = \"shop\"\n[broken\nname = 3").as_deref(), Some("shop"));
    }

    #[test]
    fn a_first_line_that_says_more_or_less_than_a_plain_name_is_parsed() {
        for text in [
            "name = 'shop'",
            "name = \"\"\"shop\"\"\"",
            "\"name\" = \"shop\"",
            "name.x = \"shop\"",
            "names = \"shop\"",
            "text = '''\nname = \"shop\"\n'''",
            "[name]\nname = \"shop\"",
            "name = \"shop\" junk",
            "\u{feff}name = \"shop\"",
            "",
        ] {
            assert_eq!(plain_name(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            name_of(b"name = \"\\u0073hop\"").as_deref(),
            Some("shop"),
            "an escape is left to the parser"
        );
        assert_eq!(name_of(b"name = \"not a name\""), None);
        assert_eq!(name_of(b"name = \"mainstay\""), None, "the group of the built-in services");
    }
}
