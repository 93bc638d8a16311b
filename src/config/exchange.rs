//! What flags are set to, out of one board and into another, or from and to flagd.
//!
//! An export says what holds now, not how a flag is declared or guarded: those are the configuration's. What one side has no
//! word for is named, as an error or as a warning when the caller is [`lenient`](Import::lenient); nothing is left out in
//! silence. It must not change a flag: its caller asks the keeper to.

mod flagd;
mod json;
mod own;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::fields::{Span, shorten};
use super::words::{nearest, suggest};
use crate::flags::{Declaration, Kind, Truth};
use std::fmt;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// mainstay's own: `[flag.NAME]` and `[migration.NAME]` in TOML.
    Own,
    /// The JSON of flagd, as far as a flag is on, off, or on for a share of targeting keys.
    Flagd,
}

/// What holds now of one flag or migration.
#[derive(Clone, Copy, Debug)]
pub enum Current<'a> {
    /// A flag, and what it is set to.
    Flag(&'a Declaration, Truth),
    /// A migration and where it stands.
    Migration {
        /// Its name.
        name: &'a str,
        /// The number of its stage.
        stage: u32,
        /// The name of that stage; nothing or `-` for 0.
        stage_name: &'a str,
    },
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The text of the file.
    pub text: String,
    /// What is not in it.
    pub lost: Vec<Lost>,
}

/// Something that an export cannot carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The flag or the migration.
    pub name: String,
    /// What, and why, in words.
    pub what: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", shorten(&self.name), self.what)
    }
}

/// An import.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// What is to be set, in the order of the file; every name once.
    pub settings: Vec<Setting>,
    /// What is not in it. Warnings only, with the text that shows them.
    pub warnings: Diagnostics,
}

/// One flag or migration and what it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it is to be.
    pub to: To,
}

/// What a flag or a migration is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A flag has this value, or is disabled with this value kept.
    Flag(Truth),
    /// A migration stands here: the number or the name of a stage.
    Stage(String),
}

/// How a text is read.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// How the file is called in messages.
    pub file: &'a str,
    /// What cannot be carried is a warning, and the rest of that flag is taken as far as that makes sense; else it is an
    /// error. What is no such file at all is always one.
    pub lenient: bool,
    /// The flags that there are; others cannot be set. `None`: any name will do.
    pub flags: Option<&'a [Declaration]>,
    /// The migrations that there are, likewise.
    pub migrations: Option<&'a [String]>,
}

impl<'a> Import<'a> {
    /// Nothing is left out, and any name will do.
    pub fn new(file: &'a str) -> Import<'a> {
        Import { file, lenient: false, flags: None, migrations: None }
    }
}

/// Writes what holds now. Flags keep the order in which they are given.
///
/// # Errors
/// What the format has no word for, unless `lenient`: then it is left out and told with the text. [`Format::Own`] has a
/// word for everything.
pub fn export(format: Format, all: &[Current<'_>], lenient: bool) -> Result<Exported, Vec<Lost>> {
    let exported = match format {
        Format::Own => Exported { text: own::write(all), lost: Vec::new() },
        Format::Flagd => flagd::write(all),
    };
    if lenient || exported.lost.is_empty() { Ok(exported) } else { Err(exported.lost) }
}

/// Reads what is to be set.
///
/// # Errors
/// All that is wrong with the text, each with its place.
pub fn import(format: Format, text: &[u8], how: &Import<'_>) -> Result<Imported, Diagnostics> {
    let mut found = Diagnostics::default();
    let text = match super::source::readable(text) {
        Ok(text) if text.len() <= super::FILE_MAX => text,
        Ok(_) => {
            let start = found.add_source(how.file, "");
            found.list.push(super::source::Unreadable::too_large(false).at_place(start));
            return Err(found);
        }
        Err(unreadable) => {
            let start = found.add_source(how.file, unreadable.shown.as_str());
            found.list.push(unreadable.at_place(start));
            return Err(found);
        }
    };
    found.add_source(how.file, text);
    let mut reader = Reader { how, problems: Vec::new() };
    let settings = match format {
        Format::Own => own::read(&mut reader, text),
        Format::Flagd => flagd::read(&mut reader, text),
    };
    super::in_file_order(&mut reader.problems);
    found.list = reader.problems;
    if found.errors() > 0 { Err(found) } else { Ok(Imported { settings, warnings: found }) }
}

/// What is wrong with a text that is read.
struct Reader<'a> {
    how: &'a Import<'a>,
    problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// The text is no such file.
    fn wrong(&mut self, at: Span, message: impl Into<String>) {
        self.problems.push(Diagnostic::error(at, message));
    }

    /// Something that cannot be carried. `advice` is what to do about it; may be empty.
    fn lost(&mut self, at: Span, message: impl Into<String>, advice: &str) {
        let problem = match self.how.lenient {
            true => Diagnostic::warning(at, message),
            false => Diagnostic::error(at, message),
        };
        self.problems.push(if advice.is_empty() { problem } else { problem.help(advice) });
    }

    /// The same, when something else is taken by who is lenient: `taken`, in words. `advice` may be empty.
    fn lost_but(&mut self, at: Span, message: impl Into<String>, advice: &str, taken: &str) {
        if self.how.lenient {
            return self.lost(at, format!("{}: {taken} is taken", message.into()), "");
        }
        let lenient = format!("with --lenient {taken} is taken");
        let advice = if advice.is_empty() { lenient } else { format!("{advice}; {lenient}") };
        self.lost(at, message, &advice);
    }

    /// The declaration of this name, when declarations are known; `Err`: there is none, which is said.
    fn flag(&mut self, name: &str, at: &Span) -> Result<Option<&'a Declaration>, ()> {
        let Some(known) = self.how.flags else { return Ok(None) };
        if let Some(found) = known.iter().find(|flag| flag.name == name) {
            return Ok(Some(found));
        }
        let near = suggest(self.problems.len(), name, known.iter().map(|flag| flag.name.as_str()));
        self.unknown("flag", name, near, at);
        Err(())
    }

    /// Whether there is such a migration; else that is said.
    fn has_migration(&mut self, name: &str, at: &Span) -> bool {
        let Some(known) = self.how.migrations else { return true };
        if known.iter().any(|one| one == name) {
            return true;
        }
        let near = nearest(name, known.iter().map(String::as_str));
        self.unknown("migration", name, near, at);
        false
    }

    fn unknown(&mut self, kind: &str, name: &str, near: Option<&str>, at: &Span) {
        let message = format!("there is no {kind} `{}` here, so it cannot be set", shorten(name));
        match near {
            Some(near) => self.lost(at.clone(), message, &format!("did you mean `{near}`?")),
            None => self.lost(at.clone(), message, &format!("declare it: [{kind}.{}]", shorten(name))),
        }
    }

    /// Whether the flag takes the value; else that is said.
    fn takes(&mut self, flag: Option<&Declaration>, truth: Truth, at: &Span) -> bool {
        let Some(flag) = flag.filter(|flag| !truth.value.fits(flag.kind)) else { return true };
        let kind = super::flag::word_of(flag.kind);
        let help = match flag.kind {
            Kind::Stage => "a migration is moved to a stage",
            _ => "",
        };
        let message = format!(
            "flag `{}` is of kind \"{kind}\" here and cannot be {}",
            shorten(&flag.name),
            truth.value
        );
        self.lost(at.clone(), message, help);
        false
    }
}
