//! What is wrong with a file, where, and what to do about it.
//!
//! All errors of a file are collected and shown in one pass, each with its line and a caret. Nothing
//! here stops at the first one. It must not read files: it holds the texts that it shows.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt::{self, Write as _};
use std::ops::Range;

/// How many diagnostics are shown in full; the rest are counted. A file of garbage has millions.
const SHOWN_MAX: usize = 50;
/// How much of one line is shown around what is wrong, in bytes on each side.
const LINE_MAX: usize = 400;

/// Whether it can be run all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is run and nothing is changed.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What happened, in one line without a final stop.
    pub message: String,
    /// Where, in bytes of the text; `None`: nowhere in it.
    pub span: Option<Range<usize>>,
    /// Shown at the caret; may be empty.
    pub label: String,
    /// Other places that belong to it, each with its label.
    pub related: Vec<(Range<usize>, String)>,
    /// What to do, when the label does not say it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            span: Some(span),
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    /// A warning at `span`.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(span, message) }
    }

    /// The same, with the words at the caret.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// The same, with advice below.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// The same, with another place.
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Diagnostic {
        self.related.push((span, label.into()));
        self
    }
}

/// One file, and where its text begins among the texts of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// How it is called in messages: `mainstay.toml`.
    pub file: String,
    /// Its whole text; empty when it could not be read.
    pub text: String,
    /// What is added to the places in it: the sources stand one after the other, with one byte between them, so that
    /// a span alone tells the file.
    pub start: usize,
}

/// What is wrong with a configuration, and the texts needed to show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The files that were read, at least one, in the order of their places.
    pub sources: Vec<Source>,
    /// In the order in which they were found.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing wrong so far, with one file; others follow with [`Diagnostics::add_source`].
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Diagnostics {
        let source = Source { file: file.into(), text: text.into(), start: 0 };
        Diagnostics { sources: vec![source], list: Vec::new() }
    }

    /// Another file; gives where its text begins.
    pub fn add_source(&mut self, file: impl Into<String>, text: impl Into<String>) -> usize {
        let start = self.sources.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.sources.push(Source { file: file.into(), text: text.into(), start });
        start
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// How many are warnings.
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// For telling files, lines and columns.
    pub fn locator(&self) -> Locator<'_> {
        let lines = self.sources.iter().map(|source| Lines::of(&source.text)).collect();
        Locator { sources: &self.sources, lines }
    }

    /// All of them as people read them, errors before warnings, each ending in a newline; empty when there
    /// are none. Without `color` it holds no escape byte, whatever is in the file.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let locator = self.locator();
        let mut out = String::new();
        let in_order = [Severity::Error, Severity::Warning];
        let all = in_order.iter().flat_map(|s| self.list.iter().filter(move |d| d.severity == *s));
        for diagnostic in all.take(SHOWN_MAX) {
            out.push_str(&render_one(diagnostic, &locator, &renderer));
            out.push('\n');
        }
        if self.list.len() > SHOWN_MAX {
            let _ = writeln!(out, "… and {} more", self.list.len() - SHOWN_MAX);
        }
        out
    }

    /// The last line: `2 errors, nothing was changed`.
    pub fn summary(&self) -> String {
        let (errors, warnings) = (count(self.errors(), "error"), count(self.warnings(), "warning"));
        match (self.errors(), self.warnings()) {
            (0, _) => warnings,
            (_, 0) => format!("{errors}, nothing was changed"),
            _ => format!("{errors}, {warnings}, nothing was changed"),
        }
    }
}

fn render_one(diagnostic: &Diagnostic, locator: &Locator<'_>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(printable(&diagnostic.message));
    let mut group = annotate_snippets::Group::with_title(title);
    let first = locator.sources.first();
    let source = diagnostic.span.as_ref().map(|span| locator.source(span.start)).or(first);
    match (&diagnostic.span, source) {
        (Some(span), Some(source)) if !source.text.is_empty() => {
            group = group.element(snippet(locator, span, &diagnostic.label, AnnotationKind::Primary));
        }
        (_, Some(source)) => {
            group = group.element(annotate_snippets::Origin::path(printable(&source.file)));
        }
        (_, None) => {}
    }
    for (span, label) in &diagnostic.related {
        group = group.element(snippet(locator, span, label, AnnotationKind::Context));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    renderer.render(&[group])
}

fn snippet(
    locator: &Locator<'_>,
    span: &Range<usize>,
    label: &str,
    kind: AnnotationKind,
) -> Snippet<'static, annotate_snippets::Annotation<'static>> {
    let (source, lines) = locator.at(span.start);
    let local = span.start - source.start..span.end.max(span.start) - source.start;
    // Only the lines around it go to the renderer: it would scan ten megabytes for each error.
    let window = Window::around(&source.text, lines, &local);
    let mut annotation = kind.span(window.localize(&local));
    if !label.is_empty() {
        annotation = annotation.label(printable(label));
    }
    Snippet::source(window.text).path(printable(&source.file)).line_start(window.line).annotation(annotation)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.render(false), self.summary())
    }
}

impl std::error::Error for Diagnostics {}

/// `1 error`, `2 errors`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Tells the file, the line and the column of any place.
pub struct Locator<'a> {
    sources: &'a [Source],
    lines: Vec<Lines>,
}

impl<'a> Locator<'a> {
    /// The place of a source in [`Diagnostics::sources`]: that which holds this byte, or ends with it.
    pub fn number(&self, byte: usize) -> usize {
        self.sources.partition_point(|source| source.start <= byte).saturating_sub(1)
    }

    /// The source of a byte.
    pub fn source(&self, byte: usize) -> &'a Source {
        &self.sources[self.number(byte)]
    }

    fn at(&self, byte: usize) -> (&'a Source, &Lines) {
        let number = self.number(byte);
        (&self.sources[number], &self.lines[number])
    }

    /// Line and column in its file, both from 1; columns count characters.
    ///
    /// A byte past the end is at the end; one inside a character is at that character.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let (source, lines) = self.at(byte);
        lines.position(&source.text, byte - source.start)
    }
}

/// Where each line starts; found once, since a file may be long and its errors many.
pub struct Lines(Vec<usize>);

impl Lines {
    /// The lines of `text`; an empty text has one.
    pub fn of(text: &str) -> Lines {
        Lines(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, from 1.
    pub fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, text: &str, byte: usize) -> (usize, usize) {
        let byte = floor_boundary(text, byte);
        let line = self.line(byte);
        (line, text[self.0[line - 1]..byte].chars().count() + 1)
    }
}

/// The first line that a span touches, cut when it is endless.
struct Window {
    text: String,
    /// Byte of the whole text at which `text` starts.
    start: usize,
    /// Its line, from 1.
    line: usize,
}

impl Window {
    fn around(text: &str, lines: &Lines, span: &Range<usize>) -> Window {
        let at = floor_boundary(text, span.start);
        let line = lines.line(at);
        let line_start = lines.0[line - 1];
        let line_end = text[at..].find('\n').map_or(text.len(), |i| at + i);
        let start = floor_boundary(text, line_start.max(at.saturating_sub(LINE_MAX)));
        let end = floor_boundary(text, line_end.min(at + LINE_MAX));
        Window { text: text[start..end].trim_end_matches('\r').to_owned(), start, line }
    }

    /// The part of `span` inside this window.
    fn localize(&self, span: &Range<usize>) -> Range<usize> {
        let end = self.text.len();
        let from = floor_boundary(&self.text, span.start.saturating_sub(self.start).min(end));
        from..floor_boundary(&self.text, span.end.saturating_sub(self.start)).clamp(from, end)
    }
}

/// The last character boundary at or before `byte`.
fn floor_boundary(text: &str, byte: usize) -> usize {
    let mut at = byte.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Control characters of the file must not reach the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
