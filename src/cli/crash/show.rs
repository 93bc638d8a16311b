//! One crash in full, in rows: what stands left is what the row is about. Pure.
//!
//! Whatever came from a service is made harmless, and no row is wider than the window unless a single word is. The order
//! is that in which people ask: what was it doing, with what, what was different, what did it say.

use super::local;
use crate::cli::duration::exact;
use crate::cli::narrate::{Glyph, Look, harmless};
use crate::cli::table::shorten;
use crate::crash::{BoxOf, Change, ChangeOf, Context, Fault, GroupMemory, Pairs, Record, Said, Span};
use crate::time::Duration;

/// Columns before what a row says.
const LABEL: usize = 12;
/// So many flags are shown; the others are in the JSON.
const FLAGS: usize = 8;
/// So many threads.
const THREADS: usize = 4;
/// So many events.
const EVENTS: usize = 10;
/// The longest name of a span.
const SPAN: usize = 36;
/// So many crashes of the same cause are named.
const ALIKE: usize = 6;

/// All rows. `records`: newest first, this one among them.
pub(super) fn text(record: &Record, records: &[Record], look: &Look, width: usize) -> String {
    let mut page = Page { text: String::new(), look, width: width.max(40) };
    page.head(record);
    page.row("cause", &harmless(record.cause.as_bytes()));
    if let Some(place) = error(record) {
        page.row(place.0, &place.1);
    }
    page.doing(record);
    page.contexts(record);
    page.events(record);
    page.flags(record);
    for (n, change) in record.changed.iter().enumerate() {
        page.row(if n == 0 { "changed" } else { "" }, &changed(change, look));
    }
    page.words(record);
    page.host(record);
    page.unsaid(record);
    page.alike(record, records);
    let export = format!("mainstay crash export {} --otlp|--html", record.id);
    page.text +=
        &format!("next  mainstay logs '{}' --until {}\n      {export}\n", record.instance, record.time);
    page.text
}

struct Page<'a> {
    text: String,
    look: &'a Look,
    width: usize,
}

impl Page<'_> {
    fn head(&mut self, record: &Record) {
        let end = match (&record.signal, record.code) {
            _ if record.fault == Some(Fault::OutOfMemory) => "out of memory".to_owned(),
            _ if record.fault == Some(Fault::Watchdog) => "watchdog".to_owned(),
            _ if record.fault == Some(Fault::Unhealthy) => "unhealthy".to_owned(),
            _ if record.fault == Some(Fault::NeverReady) => "never ready".to_owned(),
            (Some(signal), _) => harmless(signal.as_bytes()),
            (None, Some(code)) => format!("exit {code}"),
            (None, None) if record.pid == 0 => "not started".to_owned(),
            (None, None) => "unknown end".to_owned(),
        };
        let mut parts = vec![harmless(record.instance.as_bytes()), end, local(self.look, &record.time)];
        if record.pid != 0 {
            parts.push(format!("lived {}", crate::crash::duration(Duration::from_nanos(record.lived_ns))));
        }
        match (record.restarts, record.restarts_max) {
            (0, _) => {}
            (restarts, 0) => parts.push(format!("restart {restarts}")),
            (restarts, max) => parts.push(format!("restart {restarts} of {max}")),
        }
        let id = self.look.paint(Glyph::Bad.style(), &record.id);
        let lines = wrapped(&parts, record.id.chars().count() + 2, self.width);
        let indent = " ".repeat(record.id.chars().count() + 2);
        self.text += &format!("{id}  {}\n", lines.join(&format!("\n{indent}")));
    }

    /// One row, wrapped between its parts, which two spaces separate; no label means that the one above goes on.
    fn row(&mut self, label: &str, said: &str) {
        let parts: Vec<String> = said.split("  ").map(str::to_owned).collect();
        for (n, line) in wrapped(&parts, LABEL, self.width).iter().enumerate() {
            self.line(if n == 0 { label } else { "" }, line);
        }
    }

    /// One line that is as long as it is.
    fn line(&mut self, label: &str, said: &str) {
        let label = self.look.paint(anstyle::Style::new().dimmed(), &format!("{label:<9}"));
        let line = format!("  {label} {said}");
        self.text += line.trim_end();
        self.text.push('\n');
    }

    fn doing(&mut self, record: &Record) {
        let operation = record.context.iter().find_map(|context| context.operation.as_ref());
        let mut label = "doing";
        if let Some(operation) = operation {
            let [name, id, correlation] = [&operation.name, &operation.id, &operation.correlation]
                .map(|text| harmless(text.as_bytes()));
            let id = if id.is_empty() { id } else { format!(" {id}") };
            let with =
                if correlation.is_empty() { correlation } else { format!("  correlation {correlation}") };
            self.row(label, &format!("{name}{id}  for {}{with}", exact(operation.open_ns)));
            label = "";
        }
        let here = record.innermost().map(|span| &span.span);
        let shift = u32::from(operation.is_some());
        let trees: Vec<String> =
            record.doing.iter().map(|span| self.branch(span, span.depth + shift)).collect();
        let names = trees.iter().map(|tree| tree.chars().count()).max().unwrap_or(0);
        let arrow = if self.look.glyphs { "← here" } else { "<- here" };
        for (span, tree) in record.doing.iter().zip(&trees) {
            let how = if span.unwound { "unwound" } else { "open" };
            let mut line = format!("{tree:<names$}  {:>8} {how}", exact(span.open_ns));
            if span.failed && !span.unwound {
                line += "  failing";
            }
            if Some(&span.span) == here {
                line += &format!("  {arrow}");
            } else if span.depth == 0 && !span.trace.is_empty() {
                line += &format!("  trace {}", &shorten(&harmless(span.trace.as_bytes()), 9)[..]);
            }
            self.line(label, &line);
            label = "";
            self.pairs("", &span.attributes, 2 + 3 * (span.depth + shift) as usize);
        }
    }

    /// `   └─ charge card`
    fn branch(&self, span: &Span, depth: u32) -> String {
        let name = shorten(&harmless(span.name.as_bytes()), SPAN);
        match (depth.min(8) as usize, self.look.glyphs) {
            (0, _) => name,
            (depth, true) => format!("{}└─ {name}", "   ".repeat(depth - 1)),
            (depth, false) => format!("{}\\_ {name}", "   ".repeat(depth - 1)),
        }
    }

    /// `order=A-1042  tier=gold`
    fn pairs(&mut self, label: &str, pairs: &Pairs, indent: usize) {
        if pairs.is_empty() {
            return;
        }
        let parts: Vec<String> = pairs.iter().map(|(key, value)| pair(key, value)).collect();
        for (n, line) in wrapped(&parts, LABEL + indent, self.width).iter().enumerate() {
            self.line(if n == 0 { label } else { "" }, &format!("{}{line}", " ".repeat(indent)));
        }
    }

    fn contexts(&mut self, record: &Record) {
        let said = |context: &&Context| {
            !(context.keys.is_empty() && context.breadcrumbs.is_empty() && context.error.is_none())
        };
        let contexts: Vec<&Context> = record.context.iter().filter(said).collect();
        let several = contexts.len() > 1;
        let mut label = "context";
        for context in contexts.iter().take(THREADS) {
            if several {
                let name = harmless(context.thread_name.as_bytes());
                let whose = if context.thread == 0 {
                    "the whole life".to_owned()
                } else {
                    format!("thread {} {name}", context.thread)
                };
                self.line(label, whose.trim_end());
                label = "";
            }
            let indent = if several { 2 } else { 0 };
            self.pairs(label, &context.keys, indent);
            for crumb in &context.breadcrumbs {
                let text = shorten(&harmless(crumb.text.as_bytes()), self.width);
                let line = format!("{}  {text}", before(crumb.before_ns));
                self.line(if several { "" } else { "passed" }, &format!("{}{line}", " ".repeat(indent)));
            }
            label = "";
        }
        if contexts.len() > THREADS {
            self.line("", &format!("{} more threads: --json", contexts.len() - THREADS));
        }
    }

    fn events(&mut self, record: &Record) {
        // What stands above as the last error is not told again.
        let said = |event: &&Said| {
            let errors = record.context.iter().filter_map(|context| context.error.as_ref());
            event.kind == "event"
                || errors.map(|error| Some(&*error.text)).all(|text| text != event.attributes.get("what"))
        };
        let shown: Vec<&Said> = record.events.iter().rev().filter(said).take(EVENTS).collect();
        for (n, event) in shown.into_iter().rev().enumerate() {
            let kind = if event.kind == "event" {
                String::new()
            } else {
                format!("{}: ", harmless(event.kind.as_bytes()))
            };
            let pairs: Vec<String> = event.attributes.iter().map(|(key, value)| pair(key, value)).collect();
            let pairs = if pairs.is_empty() { String::new() } else { format!("  {}", pairs.join("  ")) };
            let name = harmless(event.name.as_bytes());
            self.row(
                if n == 0 { "events" } else { "" },
                &format!("{}  {kind}{name}{pairs}", before(event.before_ns)),
            );
        }
    }

    fn flags(&mut self, record: &Record) {
        for (n, flag) in record.flags.iter().take(FLAGS).enumerate() {
            let [name, value] = [&flag.name, &flag.value].map(|text| harmless(text.as_bytes()));
            let since = if flag.changed_since { ", is another now" } else { "" };
            let line = format!("{name}={value}  (first seen {}{since})", before(flag.before_ns));
            self.row(if n == 0 { "flags" } else { "" }, &line);
        }
        if record.flags.len() > FLAGS {
            self.line("", &format!("{} more: --json", record.flags.len() - FLAGS));
        }
    }

    fn words(&mut self, record: &Record) {
        let bar = Glyph::Bar.text(self.look);
        for (n, word) in record.words.iter().enumerate() {
            let time = local(self.look, &word.time);
            let clock = time.split_once(' ').map_or(time.as_str(), |(_, clock)| clock);
            let stream = if word.stream == "err" { "stderr" } else { "stdout" };
            let mut line = format!("{clock} {stream} {bar} {}", harmless(word.text.as_bytes()));
            // A program reads the whole line, a person what fits.
            if self.look.terminal {
                line = shorten(&line, self.width.saturating_sub(LABEL));
            }
            self.line(if n == 0 { "words" } else { "" }, &line);
        }
        if record.words.is_empty() {
            self.line("words", "none: it wrote nothing in this life");
        }
    }

    fn host(&mut self, record: &Record) {
        if record.pid == 0 {
            return;
        }
        let used = &record.used;
        let mut parts = vec![
            format!("pid {}", record.pid),
            format!("life {}", record.incarnation),
            format!("cpu {} + {} in the kernel", exact(used.user_ns), exact(used.system_ns)),
            format!("mem at most {}", bytes(used.memory_max)),
        ];
        if used.major_faults > 0 {
            parts.push(format!("{} pages from disk", used.major_faults));
        }
        if used.read_bytes + used.written_bytes > 0 {
            parts.push(format!("read {}", bytes(used.read_bytes)));
            parts.push(format!("wrote {}", bytes(used.written_bytes)));
        }
        self.row("used", &parts.join("  "));
        if let Some(group) = &record.group {
            self.row("cgroup", &memory(group));
        }
    }

    fn unsaid(&mut self, record: &Record) {
        match record.blackbox {
            BoxOf::LetGo => {
                self.row("blackbox", "let go: too many died at once  what it was doing is not known")
            }
            BoxOf::None if record.pid != 0 => self.row("blackbox", "none  what it was doing is not known"),
            BoxOf::None | BoxOf::Untouched | BoxOf::Here => {}
        }
        let unsaid = &record.unsaid;
        let counts = [
            (unsaid.torn, "torn records"),
            (unsaid.contexts_unplaced, "contexts without room"),
            (unsaid.spans_unplaced, "spans without room"),
            (unsaid.left_out, "left out here"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        if !counts.is_empty() {
            self.row("unsaid", &counts.join("  "));
        }
    }

    /// `c-9, c-11  (fingerprint 7f3a, 3 in 10 min)`
    fn alike(&mut self, record: &Record, records: &[Record]) {
        let alike = |other: &&Record| {
            other.fingerprint == record.fingerprint
                && other.service == record.service
                && !other.fingerprint.is_empty()
        };
        let all: Vec<&Record> = records.iter().filter(alike).collect();
        let others: Vec<&str> =
            all.iter().filter(|other| other.number != record.number).map(|other| other.id.as_str()).collect();
        let digits = harmless(record.fingerprint.as_bytes());
        if others.is_empty() {
            return self.row("like it", &format!("none  (fingerprint {digits})"));
        }
        let more = others.len().saturating_sub(ALIKE);
        let mut named = others.iter().take(ALIKE).rev().copied().collect::<Vec<_>>().join(", ");
        if more > 0 {
            named = format!("{more} more, {named}");
        }
        let time = |record: &Record| record.time.parse::<jiff::Timestamp>().ok();
        let span =
            match (all.first().and_then(|newest| time(newest)), all.last().and_then(|oldest| time(oldest))) {
                (Some(newest), Some(oldest)) => {
                    let nanos = u64::try_from(newest.duration_since(oldest).as_nanos()).unwrap_or(0);
                    format!(", {} in {}", all.len(), exact(nanos))
                }
                _ => String::new(),
            };
        self.row("like it", &format!("{named}  (fingerprint {digits}{span})"));
    }
}

/// What was wrong, by its own account: the label and the row.
fn error(record: &Record) -> Option<(&'static str, String)> {
    let error = record.context.iter().find_map(|context| context.error.as_ref())?;
    let [text, place] = [&error.text, &error.place].map(|text| harmless(text.as_bytes()));
    let place = if place.is_empty() { String::new() } else { format!("  at {place}") };
    let label = if error.panic { "panic" } else { "error" };
    Some((label, format!("{text}{place}  {}", before(error.before_ns))))
}

fn changed(change: &Change, look: &Look) -> String {
    let arrow = if look.glyphs { "→" } else { "->" };
    let [name, old, new] = [&change.name, &change.old, &change.new].map(|text| harmless(text.as_bytes()));
    let before = before(change.before_ns);
    match change.kind {
        ChangeOf::Flag | ChangeOf::Stage => {
            let by = if change.actor.is_empty() {
                String::new()
            } else {
                format!("  by {}", harmless(change.actor.as_bytes()))
            };
            format!("{name} {old}{arrow}{new}  {before}{by}")
        }
        ChangeOf::Reload => {
            let what = if name == "file" || name == "program" {
                "config reload".to_owned()
            } else {
                format!("scale {name}")
            };
            let keys: Vec<String> = change.keys.iter().map(|key| harmless(key.as_bytes())).collect();
            let keys =
                if keys.is_empty() { format!("{new}, nothing of this service") } else { keys.join("  ") };
            format!("{what}  {before}  {keys}")
        }
    }
}

/// `212 of 512 MB  at most 500 MB  no OOM kill`
fn memory(group: &GroupMemory) -> String {
    let mut parts = Vec::new();
    if let Some(now) = group.now {
        let limit = group.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("of {}", bytes(limit)));
        parts.push(format!("mem {} {limit}", bytes(now)));
    }
    if group.shared {
        parts.push("shared by all".to_owned());
    }
    parts.extend(group.peak.map(|peak| format!("at most {}", bytes(peak))));
    parts.extend(group.oom_kills.map(|kills| match kills {
        0 => "no OOM kill".to_owned(),
        1 => "1 OOM kill".to_owned(),
        kills => format!("{kills} OOM kills"),
    }));
    parts.join("  ")
}

fn pair(key: &str, value: &str) -> String {
    format!("{}={}", harmless(key.as_bytes()), harmless(value.as_bytes()))
}

fn before(nanos: u64) -> String {
    format!("{} before", exact(nanos))
}

/// `63.1 MB`
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Parts in lines, two spaces between them, none longer than what is left of `width` unless one part is.
fn wrapped(parts: &[String], indent: usize, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let last = lines.last_mut().expect("there is a line");
        let needed = last.chars().count() + 2 + part.chars().count();
        if last.is_empty() {
            last.push_str(part);
        } else if indent + needed <= width {
            *last += &format!("  {part}");
        } else {
            lines.push(part.clone());
        }
    }
    lines
}
