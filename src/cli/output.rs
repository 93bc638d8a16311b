//! Where text goes: stdout is data, stderr is talk. Escape bytes and glyphs are for terminals only.

use super::args::Color;
use super::error::Error;
use anstyle::{AnsiColor, Style as Ansi};
use std::io::{self, IsTerminal, Write};

/// The width of output that nobody's window limits.
const WIDTH: usize = 80;
/// Narrower windows get what fits this one.
const WIDTH_MIN: usize = 40;

/// How text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours.
    pub color: bool,
    /// Glyphs: `●`, `✗`, lines of a tree. Words do without them.
    pub glyphs: bool,
    /// Columns.
    pub width: usize,
    /// A person looks at it.
    pub terminal: bool,
}

impl Style {
    /// For pipes, and for tests.
    pub const PLAIN: Style = Style { color: false, glyphs: false, width: WIDTH, terminal: false };

    fn paint(self, ansi: Ansi, text: &str) -> String {
        if self.color { format!("{ansi}{text}{ansi:#}") } else { text.to_owned() }
    }

    /// As it should be.
    pub fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// On its way.
    pub fn busy(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// Wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    /// Beside the point.
    pub fn dim(self, text: &str) -> String {
        self.paint(Ansi::new().dimmed(), text)
    }

    /// What a line is about.
    pub fn strong(self, text: &str) -> String {
        self.paint(Ansi::new().bold(), text)
    }
}

/// What decides about colours and glyphs.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Is it a terminal?
    pub terminal: bool,
    /// Its columns, if it says.
    pub columns: Option<usize>,
    /// `$NO_COLOR`
    pub no_color: Option<String>,
    /// `$CLICOLOR`
    pub clicolor: Option<String>,
    /// `$CLICOLOR_FORCE`
    pub clicolor_force: Option<String>,
    /// `$TERM`
    pub term: Option<String>,
    /// The first of `$LC_ALL`, `$LC_CTYPE`, `$LANG` that is set.
    pub locale: Option<String>,
}

impl Surroundings {
    fn here(terminal: bool) -> Surroundings {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Surroundings {
            terminal,
            columns: terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0.into()),
            no_color: variable("NO_COLOR"),
            clicolor: variable("CLICOLOR"),
            clicolor_force: variable("CLICOLOR_FORCE"),
            term: variable("TERM"),
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable),
        }
    }

    /// How text may look here.
    pub fn style(&self, color: Color) -> Style {
        let dumb = self.term.as_deref() == Some("dumb");
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            // https://bixense.com/clicolors and https://no-color.org, in this order.
            Color::Auto if self.no_color.is_some() => false,
            Color::Auto if self.clicolor_force.as_deref().is_some_and(|force| force != "0") => true,
            Color::Auto if self.clicolor.as_deref() == Some("0") => false,
            Color::Auto => self.terminal && !dumb,
        };
        // An unset locale is that of a container's shell, on a terminal that knows UTF-8; one that is set
        // to something else is meant.
        let utf8 = self.locale.as_deref().is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        let width = self.columns.map_or(WIDTH, |columns| columns.max(WIDTH_MIN));
        Style { color, glyphs: self.terminal && utf8 && !dumb, width, terminal: self.terminal }
    }
}

/// Stdout and stderr of a command.
pub struct Output<'a> {
    /// How stdout may look.
    pub style: Style,
    /// JSON was asked for.
    pub json: bool,
    /// How stderr may look.
    pub talk_style: Style,
    data: Box<dyn Write + 'a>,
    talk: Box<dyn Write + 'a>,
}

impl Output<'static> {
    /// The process's own.
    pub fn standard(json: bool, color: Color) -> Output<'static> {
        let data = io::stdout();
        let talk = io::stderr();
        Output {
            style: Surroundings::here(data.is_terminal()).style(color),
            talk_style: Surroundings::here(talk.is_terminal()).style(color),
            json,
            data: Box::new(io::BufWriter::with_capacity(64 << 10, data)),
            talk: Box::new(talk),
        }
    }
}

impl<'a> Output<'a> {
    /// Somewhere else.
    pub fn new(style: Style, json: bool, data: impl Write + 'a, talk: impl Write + 'a) -> Output<'a> {
        Output { style, json, talk_style: style, data: Box::new(data), talk: Box::new(talk) }
    }

    /// Writes data.
    pub fn data(&mut self, text: &str) -> Result<(), Error> {
        self.data.write_all(text.as_bytes()).map_err(closed)
    }

    /// Writes a line of data.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.data(text)?;
        self.data("\n")
    }

    /// Writes an object as a line of JSON.
    pub fn object(&mut self, object: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(object).expect("what we print has string keys only");
        self.line(&text)
    }

    /// Sees that everything written is out: at the end, and in a stream before waiting.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.data.flush().map_err(closed)
    }

    /// Says something on stderr. That nobody hears it is no failure.
    pub fn say(&mut self, text: &str) {
        let _ = self.flush();
        let _ = writeln!(self.talk, "{text}");
    }

    /// Where another module writes data by itself.
    pub fn data_writer(&mut self) -> &mut dyn Write {
        &mut *self.data
    }

    /// Where another module talks by itself.
    pub fn talk_writer(&mut self) -> &mut dyn Write {
        &mut *self.talk
    }
}

fn closed(source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::BrokenPipe {
        Error::ClosedOutput
    } else {
        Error::System { doing: "writing to stdout", source }
    }
}

/// Text that came from elsewhere, without anything a terminal would obey.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => clean.push(' '),
            c if c.is_control() || is_invisible(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}

/// Characters that turn or hide what is around them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_option_then_the_environment_then_the_terminal() {
        let some = |text: &str| Some(text.to_owned());
        let terminal = Surroundings { terminal: true, term: some("xterm"), ..Surroundings::default() };
        let pipe = Surroundings::default();
        for (surroundings, option, color) in [
            (terminal.clone(), Color::Auto, true),
            (terminal.clone(), Color::Never, false),
            (pipe.clone(), Color::Auto, false),
            (pipe.clone(), Color::Always, true),
            (Surroundings { no_color: some("1"), ..terminal.clone() }, Color::Auto, false),
            (Surroundings { no_color: some("1"), ..terminal.clone() }, Color::Always, true),
            (Surroundings { clicolor: some("0"), ..terminal.clone() }, Color::Auto, false),
            (Surroundings { clicolor_force: some("1"), ..pipe.clone() }, Color::Auto, true),
            (Surroundings { clicolor_force: some("0"), ..pipe.clone() }, Color::Auto, false),
            (
                Surroundings { clicolor_force: some("1"), no_color: some("1"), ..pipe.clone() },
                Color::Auto,
                false,
            ),
            (Surroundings { term: some("dumb"), ..terminal.clone() }, Color::Auto, false),
        ] {
            assert_eq!(surroundings.style(option).color, color, "{surroundings:?} {option:?}");
        }
    }

    #[test]
    fn glyphs_need_a_terminal_that_can_show_them() {
        let some = |text: &str| Some(text.to_owned());
        let terminal = Surroundings { terminal: true, ..Surroundings::default() };
        for (surroundings, glyphs) in [
            (terminal.clone(), true),
            (Surroundings { locale: some("de_DE.UTF-8"), ..terminal.clone() }, true),
            (Surroundings { locale: some("C"), ..terminal.clone() }, false),
            (Surroundings { term: some("dumb"), ..terminal.clone() }, false),
            (Surroundings { clicolor_force: some("1"), ..Surroundings::default() }, false),
        ] {
            assert_eq!(surroundings.style(Color::Auto).glyphs, glyphs, "{surroundings:?}");
        }
    }

    #[test]
    fn what_a_service_printed_cannot_command_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc\u{202e}d"), "a\\u{1b}[2Jb c\\u{202e}d");
        assert_eq!(printable("größer ✓"), "größer ✓");
    }

    #[test]
    fn a_closed_stdout_ends_a_command_without_a_word() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::new(Style::PLAIN, false, Closed, io::sink());
        let error = output.line("data").unwrap_err();
        assert_eq!(error.code(), crate::exit_code::ExitCode::Done);
        assert!(matches!(error, Error::ClosedOutput));
    }
}
