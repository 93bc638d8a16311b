//! The verbs that ask one question: `status`, `tree`, `why`, `pid`, `cursor`, `is-up`.

use super::caller::{Caller, News};
use super::error::Error;
use super::json::{self, SCHEMA};
use super::narrate::Look;
use super::output::Output;
use super::select::Snapshot;
use super::status::{self, Words, predicate};
use super::{tree, why};
use crate::crash;
use crate::exit_code::ExitCode;
use crate::ipc::control::Service;
use crate::sys::procfs;
use serde::Serialize;
use std::path::Path;

/// `status`. `state`: the directory of crash records.
pub fn status(
    patterns: &[String],
    all: bool,
    caller: &Caller,
    state: &Path,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let mut snapshot = caller.snapshot()?;
    measure(&mut snapshot);
    let shown = shown(&snapshot, patterns, all)?;
    if output.json {
        output.object(&json::Status::new(&snapshot, &shown))?;
    } else {
        let records = Records::new(state);
        let look = Look::new(output.style);
        let text = status::render(&snapshot, &shown, output.style, &|crash| records.words(crash, &look));
        output.data(&text)?;
    }
    let well = shown.iter().all(|service| service.as_wanted);
    Ok(if well { ExitCode::Done } else { ExitCode::NotAsWanted })
}

/// Asks the system what each process uses: that is ours to do, a supervisor has better things to do than to
/// read a thousand files for every `status`.
fn measure(snapshot: &mut Snapshot) {
    for service in snapshot.services.iter_mut().filter(|service| service.pid != 0) {
        if let Ok((cpu, memory)) = procfs::usage(service.pid) {
            service.cpu_ns = u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX);
            service.memory = memory;
        }
    }
}

/// `tree`
pub fn tree(all: bool, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    let snapshot = caller.snapshot()?;
    if !output.json {
        let text = tree::render(&snapshot, all, output.style);
        return output.data(&text);
    }
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: u32,
        project: &'a str,
        groups: &'a [crate::ipc::control::Group],
        services: Vec<Leaf<'a>>,
    }
    #[derive(Serialize)]
    struct Leaf<'a> {
        name: &'a str,
        instance: &'a str,
        group: &'a str,
        state: &'a str,
        pid: Option<u32>,
    }
    let leaves = shown(&snapshot, &[], all)?.into_iter().map(|service| Leaf {
        name: &service.service,
        instance: &service.instance,
        group: &service.group,
        state: &service.state,
        pid: (service.pid != 0).then_some(service.pid),
    });
    output.object(&Answer {
        schema: SCHEMA,
        project: &snapshot.head.project,
        groups: &snapshot.groups,
        services: leaves.collect(),
    })
}

/// `why`
pub fn why(patterns: &[String], caller: &Caller, state: &Path, output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: u32,
        instance: &'a str,
        state: &'a str,
        why: String,
    }
    let snapshot = caller.snapshot()?;
    let chosen = snapshot.select(patterns)?;
    let mut events = Vec::new();
    caller.history(0, |news| {
        if let News::Event(event) = news {
            events.push(event);
        }
    })?;
    let records = Records::new(state);
    let look = Look::new(output.style);
    for (index, service) in chosen.iter().enumerate() {
        let crash = service.last_exit.as_ref().map_or(0, |exit| exit.crash);
        let recorded = if crash == 0 { why::Recorded::default() } else { records.of(service, crash, &look) };
        let text = why::explain(service, &events, &recorded, &look);
        if output.json {
            let (instance, state) = (&service.instance, &service.state);
            output.object(&Answer { schema: SCHEMA, instance, state, why: text })?;
        } else {
            let gap = if index == 0 { "" } else { "\n" };
            output.line(&format!("{gap}{text}"))?;
        }
    }
    Ok(())
}

/// `pid`: each running instance's, on a line of its own.
pub fn pid(pattern: &str, caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: u32,
        instance: &'a str,
        pid: u32,
    }
    let snapshot = caller.snapshot()?;
    let chosen = snapshot.select(&[pattern.to_owned()])?;
    for service in chosen.iter().filter(|service| service.pid != 0) {
        if output.json {
            output.object(&Answer { schema: SCHEMA, instance: &service.instance, pid: service.pid })?;
        } else {
            output.line(&service.pid.to_string())?;
        }
    }
    match chosen.first() {
        Some(first) if chosen.iter().all(|service| service.pid == 0) => Err(Error::NotAsWanted {
            message: format!("{} has no process: it {}", first.instance, predicate(&first.state)),
            hint: format!("mainstay why {}", first.instance),
        }),
        _ => Ok(()),
    }
}

/// `cursor`
pub fn cursor(caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer {
        schema: u32,
        cursor: u64,
    }
    let cursor = caller.cursor()?;
    if output.json {
        output.object(&Answer { schema: SCHEMA, cursor })
    } else {
        output.line(&cursor.to_string())
    }
}

/// `is-up`: says nothing when it is so. Whoever asks for a name asks whether that runs, or has done its
/// work; whoever asks for none asks whether all is as wanted.
pub fn is_up(patterns: &[String], caller: &Caller, output: &mut Output<'_>) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Answer<'a> {
        schema: u32,
        up: bool,
        down: Vec<&'a str>,
    }
    let snapshot = caller.snapshot()?;
    let chosen = shown(&snapshot, patterns, false)?;
    let up = |service: &Service| {
        let runs = matches!(service.state.as_str(), "up" | "ready" | "finished");
        service.as_wanted && (patterns.is_empty() || runs)
    };
    let down: Vec<&Service> = chosen.into_iter().filter(|service| !up(service)).collect();
    if output.json {
        let names = down.iter().map(|service| service.instance.as_str()).collect();
        output.object(&Answer { schema: SCHEMA, up: down.is_empty(), down: names })?;
    }
    match &down[..] {
        [] => Ok(()),
        [first, ..] => {
            let states = down.iter().take(5).map(|s| format!("{} {}", s.instance, predicate(&s.state)));
            let mut message = states.collect::<Vec<_>>().join(", ");
            if down.len() > 5 {
                message += &format!(", and {} more are not up", down.len() - 5);
            }
            Err(Error::NotAsWanted { message, hint: format!("mainstay why {}", first.instance) })
        }
    }
}

fn shown<'a>(snapshot: &'a Snapshot, patterns: &[String], all: bool) -> Result<Vec<&'a Service>, Error> {
    match (patterns, all) {
        ([], true) => Ok(snapshot.services.iter().collect()),
        ([], false) => Ok(snapshot.users().collect()),
        (patterns, _) => snapshot.select(patterns),
    }
}

/// The crash records, read at the first question: most answers need none.
struct Records<'a> {
    state: &'a Path,
    read: std::cell::OnceCell<Vec<crash::Record>>,
}

impl<'a> Records<'a> {
    fn new(state: &'a Path) -> Records<'a> {
        Records { state, read: std::cell::OnceCell::new() }
    }

    fn all(&self) -> &[crash::Record] {
        // Without the records an answer lacks its last words, and is right all the same.
        self.read.get_or_init(|| crash::read(self.state).unwrap_or_default().records)
    }

    /// What is recorded of this service, whose newest death is this one.
    fn of(&self, service: &Service, number: u64, look: &Look) -> why::Recorded {
        let own = self.all().iter().filter(|record| record.instance == service.instance);
        let newest = self.all().iter().rev().find(|record| record.number == number);
        let operation = |record: &crash::Record| {
            record.context.iter().find_map(|context| context.operation.as_ref()).map(|of| of.name.clone())
        };
        let doing = newest.and_then(|record| {
            record.innermost().map(|span| span.name.clone()).or_else(|| operation(record))
        });
        let error =
            newest.and_then(|record| record.context.iter().find_map(|context| context.error.as_ref()));
        let error = error.map(|error| match error.place.as_str() {
            "" => error.text.clone(),
            place => format!("{} ({place})", error.text),
        });
        why::Recorded {
            error: error.unwrap_or_default(),
            words: self.words(number, look),
            doing: doing.unwrap_or_default(),
            fingerprints: own.map(|record| (record.number, record.fingerprint.clone())).collect(),
        }
    }

    /// The newest words of a death, what it wrote to stderr before what it wrote to stdout.
    fn words(&self, number: u64, look: &Look) -> Option<Words> {
        let record = self.all().iter().rev().find(|record| record.number == number)?;
        let errors =
            record.words.iter().rev().find(|word| word.stream == "err" && !word.text.trim().is_empty());
        let word = errors.or_else(|| record.words.iter().rev().find(|word| !word.text.trim().is_empty()))?;
        let time = word.time.parse::<jiff::Timestamp>().ok()?;
        Some(Words {
            time: look.clock(crate::time::Wall(time.as_microsecond())),
            stream: if word.stream == "err" { "stderr" } else { "stdout" }.to_owned(),
            text: word.text.clone(),
        })
    }
}
