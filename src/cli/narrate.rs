//! An event in the words of a person: for the terminal of a foreground run, for `events`, for the log.

use crate::crash::duration;
use crate::ipc::control::{Event, What};
use crate::time::{Duration, Wall};
use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use std::cell::OnceCell;

/// How text has to look where it goes.
#[derive(Clone, Debug)]
pub struct Look {
    /// A terminal: nothing that would steer it.
    pub terminal: bool,
    /// Glyphs instead of words.
    pub glyphs: bool,
    /// Escape sequences for colour may be written.
    pub color: bool,
    /// The zone in which clock times are shown; empty: this machine's, looked up when the first time is shown.
    zone: OnceCell<TimeZone>,
}

impl Look {
    /// As this output may look, in the zone of this machine.
    pub fn new(style: super::output::Style) -> Look {
        let super::output::Style { terminal, glyphs, color, width: _ } = style;
        Look { terminal, glyphs, color, zone: OnceCell::new() }
    }

    /// For a file or a program: words, no colour, UTC.
    pub fn plain() -> Look {
        Look { terminal: false, glyphs: false, color: false, zone: OnceCell::from(TimeZone::UTC) }
    }

    /// The same with glyphs.
    pub fn with_glyphs(self) -> Look {
        Look { glyphs: true, ..self }
    }

    /// The zone in which clock times are shown.
    pub fn zone(&self) -> &TimeZone {
        self.zone.get_or_init(here)
    }

    /// `12:02:07.412`
    pub fn clock(&self, at: Wall) -> String {
        let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
        at.to_zoned_datetime(self.zone().clone()).strftime("%H:%M:%S%.3f").to_string()
    }

    /// The text in this style, if colour is wanted.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// The zone of this machine. Where no variable says another one, its rules are in one file; to find out its name, too, all the
/// zones that there are would be walked through, which takes longer than all else that most commands do.
fn here() -> TimeZone {
    let rules = match std::env::var_os("TZ") {
        None => std::fs::read("/etc/localtime").ok(),
        Some(_) => None,
    };
    let zone = rules.and_then(|rules| TimeZone::tzif("here", &rules).ok());
    zone.unwrap_or_else(TimeZone::system)
}

/// What kind of news it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// Something begins.
    Begin,
    /// As it should be.
    Good,
    /// As it should not be.
    Bad,
    /// Something ended as it was asked to.
    End,
    /// By the way.
    Note,
    /// Between a service's name and its line.
    Bar,
}

impl Glyph {
    /// The glyph on a terminal, a word elsewhere.
    pub fn text(self, look: &Look) -> &'static str {
        match (self, look.glyphs) {
            (Glyph::Begin, true) => "▸",
            (Glyph::Good, true) => "✓",
            (Glyph::Bad, true) => "✗",
            (Glyph::End, true) => "■",
            (Glyph::Note, true) => "·",
            (Glyph::Bar, true) => "│",
            (Glyph::Begin, false) => "..",
            (Glyph::Good, false) => "ok",
            (Glyph::Bad, false) => "!!",
            (Glyph::End, false) => "--",
            (Glyph::Note, false) => "  ",
            (Glyph::Bar, false) => "|",
        }
    }

    /// Its colour.
    pub fn style(self) -> Style {
        match self {
            Glyph::Begin => AnsiColor::Cyan.on_default(),
            Glyph::Good => AnsiColor::Green.on_default(),
            Glyph::Bad => AnsiColor::Red.on_default().bold(),
            Glyph::End => AnsiColor::Yellow.on_default(),
            Glyph::Note | Glyph::Bar => Style::new().dimmed(),
        }
    }
}

/// An event, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What kind of news.
    pub glyph: Glyph,
    /// Whom it is about: an instance, a group, a flag; empty for the whole tree.
    pub subject: String,
    /// What happened.
    pub text: String,
    /// What is written apart from it; may be empty.
    pub detail: String,
    /// As in syslog: 3 an error, 4 a warning, 5 notable, 6 information.
    pub level: u8,
    /// A step that only `events` shows: on the terminal of a run it would be noise.
    pub minor: bool,
}

/// What happened, in words.
pub fn told(event: &Event) -> Told {
    let subject = if event.instance.is_empty() { &event.service } else { &event.instance };
    let news = |glyph, text: String| Told {
        glyph,
        subject: subject.clone(),
        text,
        detail: String::new(),
        level: if glyph == Glyph::Bad { 4 } else { 6 },
        minor: false,
    };
    let minor = |text: &str| Told { minor: true, ..news(Glyph::Note, text.to_owned()) };
    match &event.what {
        What::Waiting => minor("waiting"),
        What::Starting { pid, command } => {
            let text = if command.is_empty() { "starting".to_owned() } else { shortened(command) };
            Told { detail: format!("pid {pid}"), ..news(Glyph::Begin, text) }
        }
        What::Up { after_ns } => news(Glyph::Good, format!("up in {}", nanos(*after_ns))),
        What::Ready { after_ns, how, away_ns, info } => {
            let text = match away_ns {
                0 => format!("ready in {}", nanos(*after_ns)),
                away => format!("ready again, was away {}", nanos(*away)),
            };
            let mut detail = if how.is_empty() { String::new() } else { format!("({how})") };
            if !info.is_empty() {
                detail = format!("{detail}  {}", one_line(info)).trim_start().to_owned();
            }
            Told { detail, ..news(Glyph::Good, text) }
        }
        What::StartFailed { error, hint } => Told {
            detail: if hint.is_empty() { String::new() } else { format!("hint: {}", one_line(hint)) },
            level: 3,
            ..news(Glyph::Bad, format!("cannot start: {}", one_line(error)))
        },
        What::NeverReady { within_ns, detail } => {
            let why = if detail.is_empty() { String::new() } else { format!(": {}", one_line(detail)) };
            news(Glyph::Bad, format!("not ready within {}{why}", nanos(*within_ns)))
        }
        What::Stopping => minor("stopping"),
        What::Killing => news(Glyph::Bad, "does not stop, killing it".to_owned()),
        What::Exited {
            code,
            signal,
            core,
            lived_ns,
            asked,
            abnormal,
            crash,
            restart,
            max,
            oom,
            watchdog,
            unhealthy,
            ..
        } => {
            let lived = nanos(*lived_ns);
            let how = match (code, signal) {
                (Some(code), _) => format!("exited {code}"),
                (None, Some(signal)) => {
                    let core = if *core { ", core dumped" } else { "" };
                    let memory = if *oom { ", out of memory" } else { "" };
                    format!("killed by {signal}{core}{memory}")
                }
                (None, None) => "ended, nobody saw how".to_owned(),
            };
            let how = match (watchdog, unhealthy) {
                (true, _) => format!("missed its watchdog, {how}"),
                (false, true) => format!("unhealthy, {how}"),
                (false, false) => how,
            };
            match (asked, signal) {
                (true, Some(signal)) => news(Glyph::End, format!("stopped by {signal} after {lived}")),
                (true, None) => news(Glyph::End, format!("stopped, {how} after {lived}")),
                (false, _) => {
                    let glyph = if *abnormal { Glyph::Bad } else { Glyph::End };
                    let arrow = match crash {
                        0 => String::new(),
                        crash => format!(" → crash c-{crash}"),
                    };
                    let again = match (restart, max) {
                        (0, _) | (_, 0) => String::new(),
                        (restart, max) => format!(", restart {restart} of {max}"),
                    };
                    news(glyph, format!("{how} after {lived}{arrow}{again}"))
                }
            }
        }
        What::BackingOff { in_ns, attempt, max } => {
            let of = if *max == 0 { String::new() } else { format!(" of {max}") };
            let when = if *in_ns == 0 { "at once".to_owned() } else { format!("in {}", nanos(*in_ns)) };
            news(Glyph::Note, format!("restart {attempt}{of} {when}"))
        }
        What::Stopped => minor("stopped"),
        What::Finished => news(Glyph::End, "finished".to_owned()),
        What::GaveUp { max, within_ns } => {
            let text = format!("gave up: {max} restarts in {} did not help", nanos(*within_ns));
            Told { level: 3, detail: format!("Again: mainstay start {subject}"), ..news(Glyph::Bad, text) }
        }
        What::GroupRestarting { by } => news(Glyph::Note, format!("group restarts because of {by}")),
        What::LimitReached { by } => {
            Told { level: 3, ..news(Glyph::Bad, format!("group's limit reached by {by}")) }
        }
        What::Ignored => news(Glyph::End, "nothing to run".to_owned()),
        What::Removed => minor("removed"),
        What::GroupAutoShutdown { by } => {
            Told { level: 5, ..news(Glyph::End, format!("group ends: {by} was its significant member")) }
        }
        What::ShutdownErrors { how, count } => {
            news(Glyph::Bad, format!("{count} of its members, asked to stop, {}", one_line(how)))
        }
        What::Rolled { done, failed, .. } if failed.is_empty() => {
            news(Glyph::Good, format!("rolling restart done: {done} restarted"))
        }
        What::Rolled { done, failed, .. } => {
            let text = format!("rolling restart ended: {failed} did not come up, {done} before it did");
            news(Glyph::Bad, text)
        }
        What::Reloaded { added, removed, restarted, in_place, from, paths: _ } => {
            let what = super::revise::tally(*added, *removed, *restarted, *in_place);
            let verb =
                if from == "file" { "reloaded".to_owned() } else { format!("scaled {}", one_line(from)) };
            Told { level: 5, ..news(Glyph::Good, format!("{verb}: {what}")) }
        }
        What::ReloadFailed { message } => {
            let text = format!("nothing was changed: {}", one_line(message));
            Told { level: 3, detail: "mainstay check".to_owned(), ..news(Glyph::Bad, text) }
        }
        What::GroupGaveUp => Told { level: 3, ..news(Glyph::Bad, "group gave up".to_owned()) },
        What::AllUp { after_ns } => news(Glyph::Good, format!("all up in {}", nanos(*after_ns))),
        What::ShuttingDown => news(Glyph::End, "stopping everything".to_owned()),
        What::FlagChanged { old, new, generation, actor, reason } => {
            let why = if reason.is_empty() { String::new() } else { format!(": {}", one_line(reason)) };
            let detail = format!("generation {generation}, by {}{why}", one_line(actor));
            Told { detail, level: 5, ..news(Glyph::Note, format!("{} → {}", one_line(old), one_line(new))) }
        }
        What::Unhealthy { in_a_row, detail } => {
            news(Glyph::Bad, format!("health check failed, {in_a_row} in a row: {}", one_line(detail)))
        }
        What::StageChanged { from, to, stage_name, generation, actor, reason } => {
            let why = if reason.is_empty() { String::new() } else { format!(": {}", one_line(reason)) };
            let detail = format!("generation {generation}, by {}{why}", one_line(actor));
            let text = format!("stage {from} → {to} {}", one_line(stage_name));
            Told { detail, level: 5, ..news(Glyph::Note, text.trim_end_matches(" -").to_owned()) }
        }
        What::RollMoved { roll, state, share, outcome } => {
            let detail = one_line(outcome);
            let glyph = match state.as_str() {
                "done" => Glyph::Good,
                "rolled_back" => Glyph::Bad,
                _ => Glyph::Note,
            };
            let text = format!("rollout r-{roll} at {}: {}", one_line(share), state.replace('_', " "));
            Told { detail, level: 5, ..news(glyph, text) }
        }
        What::RolledBack { why, evidence, took_ns, observed, .. } => {
            let text = match observed {
                true => format!("the guard would roll back: {}", one_line(why)),
                false => format!("rolled back in {}: {}", nanos(*took_ns), one_line(why)),
            };
            let crashes: String = evidence.iter().map(|crash| format!(" c-{crash}")).collect();
            let detail =
                if evidence.is_empty() { String::new() } else { format!("mainstay crash show{crashes}") };
            Told { detail, level: 4, ..news(Glyph::Bad, text) }
        }
        What::Proven { generation } => {
            Told { level: 5, ..news(Glyph::Good, format!("proven: generation {generation} has baked")) }
        }
        What::Repaired { what } => {
            Told { level: 4, ..news(Glyph::Good, format!("repaired: {}", one_line(what))) }
        }
        What::Warning { message } => news(Glyph::Bad, one_line(message)),
    }
}

fn nanos(nanos: u64) -> String {
    duration(Duration::from_nanos(nanos))
}

/// A command as far as one looks at it while it starts.
fn shortened(command: &str) -> String {
    const LENGTH: usize = 40;
    let line = one_line(command);
    match line.char_indices().nth(LENGTH) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// Without anything that could steer a terminal or begin a line of its own.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A service's bytes, as a terminal may have them: what steers it and what is no UTF-8 is written out.
pub fn harmless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => text.push(c),
                c if c.is_control() => text.extend(c.escape_default()),
                // Marks that turn the direction of writing can make a line look like another.
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    text.extend(c.escape_default());
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The whole line, without its newline: `12:02:07.503 mainstay ✓ web     ready in 91 ms  (tcp 8080)`.
/// `width`: the longest name.
pub fn line(event: &Event, look: &Look, width: usize) -> String {
    let told = told(event);
    let source = format!("{:<1$}", "mainstay", width.max(8));
    let clock = look.paint(Style::new().dimmed(), &look.clock(event.time));
    let glyph = look.paint(told.glyph.style(), told.glyph.text(look));
    let mut line = format!("{clock} {source} {glyph} ");
    if !told.subject.is_empty() {
        line.push_str(&format!("{:<1$}  ", told.subject, width));
    }
    let text = if look.glyphs { told.text.clone() } else { told.text.replace('→', "->") };
    match told.detail.as_str() {
        "" => line.push_str(&text),
        detail => line.push_str(&format!("{text:<28}  {detail}")),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: What, width: usize, on_terminal: &str, elsewhere: &str) {
        let event = Event {
            seq: 1,
            time: Wall(1_795_435_327_412_999),
            mono_ns: 0,
            service: "web".into(),
            instance: "web".into(),
            incarnation: 1,
            what,
        };
        let look = Look { terminal: true, glyphs: true, ..Look::plain() };
        assert_eq!(line(&event, &look, width), on_terminal);
        assert_eq!(line(&event, &Look::plain(), width), elsewhere);
    }

    #[test]
    fn the_zone_of_this_machine_is_the_one_that_the_library_finds_by_its_name() {
        let (ours, theirs) = (here(), TimeZone::system());
        for seconds in [0, 500_000_000, 1_700_000_000, 1_782_000_000, 1_795_000_000] {
            let at = jiff::Timestamp::from_second(seconds).unwrap();
            assert_eq!(ours.to_offset(at), theirs.to_offset(at), "{seconds}");
        }
    }

    #[test]
    fn events_read_as_a_person_would_say_them() {
        check(
            What::Starting { pid: 4101, command: String::new() },
            6,
            "12:02:07.412 mainstay ▸ web     starting                      pid 4101",
            "12:02:07.412 mainstay .. web     starting                      pid 4101",
        );
        let command = "sh -c 'while true; do sleep 1; done; echo never'".into();
        check(
            What::Starting { pid: 1, command },
            3,
            "12:02:07.412 mainstay ▸ web  sh -c 'while true; do sleep 1; done; ech…  pid 1",
            "12:02:07.412 mainstay .. web  sh -c 'while true; do sleep 1; done; ech…  pid 1",
        );
        check(
            What::Ready { after_ns: 91_000_000, how: "tcp 8080".into(), away_ns: 0, info: String::new() },
            6,
            "12:02:07.412 mainstay ✓ web     ready in 91 ms                (tcp 8080)",
            "12:02:07.412 mainstay ok web     ready in 91 ms                (tcp 8080)",
        );
        let killed = What::Exited {
            code: None,
            signal: Some("SIGKILL".into()),
            core: false,
            lived_ns: 23_600_000_000,
            asked: false,
            abnormal: true,
            crash: 7,
            pid: 1,
            restart: 0,
            max: 0,
            shutdown_error: false,
            oom: false,
            watchdog: false,
            unhealthy: false,
        };
        check(
            killed,
            6,
            "12:02:07.412 mainstay ✗ web     killed by SIGKILL after 23.6 s → crash c-7",
            "12:02:07.412 mainstay !! web     killed by SIGKILL after 23.6 s -> crash c-7",
        );
    }

    #[test]
    fn nothing_a_service_says_steers_a_terminal() {
        let text = harmless(b"\x1b[2Jred\tok\r\x07 \xff \xc3\xa9 \xe2\x80\xae\xc2\x9b");
        assert_eq!(text, "\\u{1b}[2Jred\tok\\r\\u{7} \\xff é \\u{202e}\\u{9b}");
        assert_eq!(one_line("a\n\x1b[1mb"), "a  [1mb");
    }

    #[test]
    fn colour_is_written_only_where_it_is_wanted() {
        let look = Look { color: true, ..Look::plain() };
        assert!(look.paint(Glyph::Bad.style(), "x").contains('\x1b'));
        assert_eq!(Look::plain().paint(Glyph::Bad.style(), "x"), "x");
    }
}
