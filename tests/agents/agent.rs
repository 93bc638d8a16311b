//! An agent: obeys one command after the other, each answered by one line of JSON. What is nested (`with`, `span`,
//! `operation`) lasts until its `end`.

use mainstay::board::Board;
use mainstay::registry::{self, Registration};
use mainstay::{context, event, here, span, trace};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

/// Until the test closes the socket.
pub fn run(socket: &OsStr) -> ExitCode {
    mainstay::panic::install();
    let stream = UnixStream::connect(socket).unwrap();
    let mut agent = Agent {
        said: BufReader::new(stream.try_clone().unwrap()),
        answers: stream,
        board: here::board().unwrap(),
        names: Vec::new(),
    };
    agent
        .tell(&json!({ "instance": std::env::var("MAINSTAY_INSTANCE").unwrap(), "pid": std::process::id() }));
    agent.obey(None);
    ExitCode::SUCCESS
}

struct Agent {
    said: BufReader<UnixStream>,
    answers: UnixStream,
    board: Board,
    names: Vec<Registration>,
}

/// How a nest is left.
struct Unwound;

impl Agent {
    fn tell(&mut self, what: &Value) {
        writeln!(self.answers, "{what}").unwrap();
    }

    fn is(&mut self, what: Value) {
        self.tell(&json!({ "is": what }));
    }

    /// Commands until `end`, or until nobody says anything any more.
    fn obey(&mut self, span: Option<&trace::Span>) {
        let mut line = String::new();
        loop {
            line.clear();
            if self.said.read_line(&mut line).unwrap() == 0 {
                std::process::exit(0);
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["end"] => return self.is(Value::Null),
                ["unwind"] => resume_unwind(Box::new(Unwound)),
                ["with", key, value] => self.nest(|agent| context::with([(key, value)], || agent.obey(span))),
                ["operation", name] => self.nest(|agent| {
                    let _operation = context::operation(name);
                    agent.obey(span);
                }),
                ["span", name] => self.nest(|agent| {
                    let span = span!(String::leak(name.to_owned()));
                    agent.obey(Some(&span));
                }),
                ["attribute", key, value] => {
                    span.expect("a span").attribute(key, value);
                    self.is(Value::Null);
                }
                ["fail", ref why @ ..] => {
                    span.expect("a span").fail(why.join(" "));
                    self.is(Value::Null);
                }
                ref words => match self.act(words) {
                    Ok(answer) => self.is(answer),
                    Err(failed) => self.tell(&json!({ "failed": failed })),
                },
            }
        }
    }

    /// What is in it lasts until its `end`, or until it is unwound.
    fn nest(&mut self, act: impl FnOnce(&mut Agent)) {
        self.is(Value::Null);
        match catch_unwind(AssertUnwindSafe(|| act(self))) {
            Ok(()) => {}
            Err(unwound) if unwound.is::<Unwound>() => self.is(Value::Null),
            Err(other) => resume_unwind(other),
        }
    }

    fn act(&mut self, words: &[&str]) -> Result<Value, String> {
        let text = |error: registry::Error| error.to_string();
        Ok(match *words {
            ["set", key, value] => json!(context::set(key, value)),
            ["clear"] => {
                context::clear();
                Value::Null
            }
            ["context"] => doing(),
            ["crumb", ref what @ ..] => {
                context::breadcrumb(what.join(" "));
                Value::Null
            }
            ["enrich", ref what @ ..] => json!(context::enrich(what.join(" ")).to_string()),
            ["event", name] => {
                event!(name, number = 7);
                Value::Null
            }
            ["trace"] => json!(trace::current_traceparent()),
            ["flag", name] => json!(self.board.is_on(name, false)),
            ["flag", name, id] => json!(self.board.is_on_for(name, id, false)),
            ["stage", name] => json!(self.board.stage(name).map(|(stage, _)| stage)),
            ["register", name] => {
                self.names.push(registry::register(name, &[("by", "agent")]).map_err(text)?);
                Value::Null
            }
            ["try-register", name] => match registry::register(name, &[]) {
                Ok(own) => {
                    self.names.push(own);
                    json!(true)
                }
                Err(registry::Error::Refused(why)) if why.message.contains("is taken") => json!(false),
                Err(other) => return Err(other.to_string()),
            },
            ["unregister", name] => {
                self.names.retain(|own| own.entry().name != name);
                Value::Null
            }
            ["lookup", name] => json!(registry::lookup(name).map_err(text)?.map(|entry| entry.process.pid)),
            ["work", jobs] => json!(self.work(jobs.parse().unwrap())?),
            ["usage"] => usage(),
            ["panic", ref what @ ..] => panic!("{}", what.join(" ")),
            ["abort"] => std::process::abort(),
            ["exit", code] => std::process::exit(code.parse().unwrap()),
            ref other => return Err(format!("what is `{}`?", other.join(" "))),
        })
    }

    /// So many jobs under context and spans, with flags and names; each says what was not as it must be.
    fn work(&mut self, jobs: u32) -> Result<u32, String> {
        let wrong = |what: &str, job: u32| Err(format!("job {job}: {what}"));
        let checkout = self.board.flag("new-checkout");
        for job in 0..jobs {
            let name = format!("{}-{job}", std::process::id());
            let outer = span!("job", number = job);
            let done = context::with([("job", name.as_str())], || {
                let _operation = context::operation("job");
                let inner = span!("step");
                event!("step", number = job);
                context::breadcrumb(format_args!("job {job}"));
                if inner.ids().0 != outer.ids().0 || inner.ids().1 == outer.ids().1 {
                    return wrong("a step is no part of its job", job);
                }
                let error = context::enrich("nothing").to_string();
                if !error.contains(&format!("job={name}")) {
                    return wrong(&error, job);
                }
                // The same answer for the same id, whatever becomes of the board, while nobody changes the share.
                if checkout.is_on_for("in") != self.board.is_on_for("new-checkout", "in", false) {
                    return wrong("a flag has two answers", job);
                }
                if job % 16 == 0 {
                    let own =
                        registry::register(&name, &[]).map_err(|error| format!("job {job}: {error}"))?;
                    let found = registry::lookup(&name).map_err(|error| format!("job {job}: {error}"))?;
                    if found.is_none_or(|found| found.process.pid != std::process::id()) {
                        return wrong("its own name is another's", job);
                    }
                    drop(own);
                }
                Ok(())
            });
            done?;
            if context::current().keys.iter().any(|(key, _)| key == "job") {
                return Err(format!("job {job} has left its context behind"));
            }
        }
        Ok(jobs)
    }
}

/// What this thread is doing, as it says.
fn doing() -> Value {
    let context = context::current();
    let keys: serde_json::Map<_, _> =
        context.keys.into_iter().map(|(key, value)| (key, json!(value))).collect();
    json!({
        "keys": keys,
        "operation": context.operation.map(|operation| operation.name),
        "crumbs": context.breadcrumbs.into_iter().map(|crumb| crumb.text).collect::<Vec<_>>(),
        "error": context.error.map(|error| error.text),
    })
}

/// What this process holds.
fn usage() -> Value {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    let threads = count("/proc/self/task");
    json!({ "descriptors": count("/proc/self/fd"), "maps": maps, "pages": resident, "threads": threads })
}
