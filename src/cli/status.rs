//! `status`: every service in a table, and below each that is not as wanted, why. Pure.
//!
//! CPU is the average over the present life of the main process (its processor time ÷ its age), so one
//! look is enough and two lookers see the same.

use super::duration::{age, brief, exact, setting};
use super::output::{Style, printable};
use super::select::Snapshot;
use super::table::{Table, shorten};
use crate::ipc::control::{LastExit, Service};
use crate::sys::signal;

/// The newest words of a dead service, from its crash record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// When, as it is shown: `12:07:58.301`.
    pub time: String,
    /// `stderr`
    pub stream: String,
    /// The line.
    pub text: String,
}

/// The whole answer. `last_words` is asked for the crash records of those that are not as wanted.
pub fn render(
    snapshot: &Snapshot,
    shown: &[&Service],
    style: Style,
    last_words: &dyn Fn(u64) -> Option<Words>,
) -> String {
    let mut text = headline(snapshot, shown, style);
    text.push('\n');
    if shown.is_empty() {
        return text;
    }
    text.push('\n');
    let fitted = fit(shown, style);
    let lines = fitted.lines(|row, column, cell| match (row, column) {
        (None, _) => style.dim(cell),
        (Some(row), 1) => paint_state(shown[row], cell, style),
        (Some(_), _) => cell.to_owned(),
    });
    let (header, rows) = lines.split_first().expect("a table has a header");
    let indent = if style.glyphs { "  " } else { "" };
    text += &format!("{indent}{header}\n");
    for (service, row) in shown.iter().zip(rows) {
        match style.glyphs {
            true => text += &format!("{} {row}\n", mark(service, style)),
            false => text += &format!("{row}\n"),
        }
        for line in trouble(service, style, last_words) {
            text += &line;
            text.push('\n');
        }
    }
    text
}

/// `shop · up 1m 12s · 2 of 2 as wanted · 1 restart in the last hour`
fn headline(snapshot: &Snapshot, shown: &[&Service], style: Style) -> String {
    let head = &snapshot.head;
    let right = shown.iter().filter(|service| service.as_wanted).count();
    let mut parts = vec![
        style.strong(&head.project),
        format!("up {}", age(head.up_ns)),
        format!("{right} of {} as wanted", shown.len()),
    ];
    match head.restarts_hour {
        0 => {}
        1 => parts.push("1 restart in the last hour".to_owned()),
        n => parts.push(format!("{n} restarts in the last hour")),
    }
    match head.crashes_unwritten {
        0 => {}
        1 => parts.push(style.bad("1 crash record could not be written")),
        n => parts.push(style.bad(&format!("{n} crash records could not be written"))),
    }
    if head.shutting_down {
        parts.push(style.busy("shutting down"));
    }
    parts.join(" · ")
}

/// The table at the first level of detail that fits. Words go before names: a name is what people copy.
fn fit(shown: &[&Service], style: Style) -> Table {
    let indent = if style.glyphs { 2 } else { 0 };
    let mut table = table(shown, Detail::at(0));
    for level in 1..=Detail::LEAST {
        if table.width() + indent <= style.width {
            break;
        }
        table = self::table(shown, Detail::at(level));
    }
    table
}

/// What is shown of each column; each level leaves out a little more.
#[derive(Clone, Copy)]
struct Detail {
    ago: bool,
    long_header: bool,
    crash: bool,
    two_units: bool,
    usage: bool,
    name: usize,
}

impl Detail {
    const LEAST: u32 = 6;

    fn at(level: u32) -> Detail {
        Detail {
            ago: level < 1,
            long_header: level < 2,
            two_units: level < 3,
            crash: level < 4,
            usage: level < 5,
            name: if level < 6 { usize::MAX } else { 20 },
        }
    }
}

fn table(shown: &[&Service], detail: Detail) -> Table {
    let restarts = if detail.long_header { "RESTARTS" } else { "RST" };
    let columns = ["SERVICE", "STATE", "PID", "UP", restarts, "CPU", "MEM", "LAST EXIT"];
    let kept = |column: &usize| detail.usage || !matches!(column, 5 | 6);
    let mut table = Table::new((0..columns.len()).filter(kept).map(|column| columns[column]));
    for service in shown {
        let running = service.pid != 0;
        let or_dash = |text: String| if running { text } else { "-".to_owned() };
        let up = if detail.two_units { age(service.up_ns) } else { brief(service.up_ns) };
        let cells = [
            shorten(&service.instance, detail.name),
            state_words(&service.state),
            or_dash(service.pid.to_string()),
            or_dash(up),
            restarts_of(service),
            or_dash(percent(service.cpu_ns, service.up_ns)),
            or_dash(size(service.memory)),
            service.last_exit.as_ref().map_or("-".to_owned(), |exit| last_exit(exit, detail)),
        ];
        let cells = cells.into_iter().enumerate().filter(|(column, _)| kept(column));
        table.row(cells.map(|(_, cell)| cell).collect());
    }
    table
}

/// `backing_off` as people say it.
pub fn state_words(state: &str) -> String {
    state.replace('_', " ")
}

/// `is up`, `gave up`, `has finished`: after a name.
pub fn predicate(state: &str) -> String {
    match state {
        "gave_up" => "gave up".to_owned(),
        "finished" => "has finished".to_owned(),
        state => format!("is {}", state_words(state)),
    }
}

fn restarts_of(service: &Service) -> String {
    match (service.restarts, service.restarts_max) {
        (0, _) => "0".to_owned(),
        (restarts, 0) => restarts.to_string(),
        (restarts, max) => format!("{restarts}/{max}"),
    }
}

fn percent(cpu_ns: u64, up_ns: u64) -> String {
    let percent = if up_ns == 0 { 0.0 } else { cpu_ns as f64 * 100.0 / up_ns as f64 };
    format!("{percent:.0}%")
}

/// `812 kB`, `63 MB`, `1.2 GB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn last_exit(exit: &LastExit, detail: Detail) -> String {
    let mut text = ending(exit);
    if detail.ago {
        // A comma keeps two numbers apart.
        let comma = if exit.signal.is_some() { "" } else { "," };
        text += &format!("{comma} {} ago", brief(exit.ago_ns));
    }
    if detail.crash && exit.crash != 0 {
        text += &format!(" (c-{})", exit.crash);
    }
    text
}

/// `SIGKILL`, `exit 3`, `start failed`.
pub fn ending(exit: &LastExit) -> String {
    match (exit.signal, exit.code) {
        (Some(_), _) | (_, Some(_)) if !exit.error.is_empty() => "not ready".to_owned(),
        (Some(number), _) => signal::name(number).into_owned(),
        (None, Some(code)) => format!("exit {code}"),
        (None, None) if !exit.error.is_empty() => "start failed".to_owned(),
        (None, None) => "unknown".to_owned(),
    }
}

fn mark(service: &Service, style: Style) -> String {
    match (service.as_wanted, service.state.as_str()) {
        (true, "stopped" | "finished") => style.dim("○"),
        (true, _) => style.good("●"),
        (false, "gave_up") => style.bad("✗"),
        (false, _) => style.busy("●"),
    }
}

fn paint_state(service: &Service, text: &str, style: Style) -> String {
    match (service.as_wanted, service.state.as_str()) {
        (true, "stopped" | "finished") => style.dim(text),
        (true, _) => style.good(text),
        (false, "gave_up") => style.bad(text),
        (false, _) => style.busy(text),
    }
}

/// What to say below a service that is not as wanted.
fn trouble(service: &Service, style: Style, last_words: &dyn Fn(u64) -> Option<Words>) -> Vec<String> {
    if service.as_wanted {
        return Vec::new();
    }
    let crash = service.last_exit.as_ref().map_or(0, |exit| exit.crash);
    let error = service.last_exit.as_ref().map_or("", |exit| exit.error.as_str());
    let broken = matches!(service.state.as_str(), "gave_up" | "backing_off");
    let mut said = Vec::new();
    if broken && !error.is_empty() {
        said.push(printable(error));
    } else if broken
        && crash != 0
        && let Some(words) = last_words(crash)
    {
        let text = printable(&words.text);
        said.push(format!("{} {}  {text}", words.time, words.stream));
    }
    let mut advice = Vec::new();
    match service.state.as_str() {
        "gave_up" if service.restarts_max > 0 => {
            let exits = service.restarts_max + 1;
            advice.push(format!("{exits} exits in {}.", setting_words(service.window_ns)));
        }
        "backing_off" => {
            let limit = if service.restarts_max == 0 {
                String::new()
            } else {
                format!(" of {}", service.restarts_max)
            };
            let next = exact(service.retry_in_ns);
            advice.push(format!("restart {}{limit} in {next}.", service.restarts));
        }
        _ if !service.because.is_empty() => advice.push(sentence(&printable(&service.because))),
        _ => {}
    }
    if broken {
        let name = &service.instance;
        if crash != 0 {
            advice.push(format!("Why: mainstay crash show c-{crash}  "));
        } else {
            advice.push(format!("Why: mainstay why {name}  "));
        }
        if service.state == "gave_up" {
            advice.push(format!("Again: mainstay start {name}"));
        }
    }
    let advice = advice.join(" ").trim_end().to_owned();
    if !advice.is_empty() {
        said.push(advice);
    }
    let count = said.len();
    let (between, end) = if style.glyphs { ("│", "└") } else { ("|", "`-") };
    said.into_iter()
        .enumerate()
        .map(|(index, line)| {
            let branch = style.dim(if index + 1 == count { end } else { between });
            let room = if style.terminal { style.width.saturating_sub(5) } else { usize::MAX };
            format!("  {branch} {}", shorten(&line, room))
        })
        .collect()
}

/// `30 s`, as it stands in a sentence.
fn setting_words(nanos: u64) -> String {
    match nanos {
        n if n % 1_000_000_000 == 0 && n < 60_000_000_000 => format!("{} s", n / 1_000_000_000),
        n => setting(n),
    }
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests;
