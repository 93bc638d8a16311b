//! Both sides together: each step is done on both, and what can be seen is compared after it.

use crate::calls::Refused;
use crate::death::Death;
use crate::mirror::Mirror;
use crate::model::{Plan, Why};
use crate::system::{self, Call, Seen, System};
use crate::world::{Start, Starts, World};
use mainstay::supervisor::{End, Event};
use std::collections::BTreeMap;

/// When everything begins, in nanoseconds.
const NOW: u64 = 1_000_000_000_000;

/// The model and the core, in the same world.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) model: System,
    pub(crate) mirror: Mirror,
}

impl Pair {
    /// Starts `plan` on both sides.
    pub(crate) fn boot(plan: &Plan, starts: &Starts) -> Pair {
        let world = World { now: NOW, starts: starts.clone(), ..World::default() };
        let mut mirror = Mirror::new(plan, starts.clone(), NOW);
        mirror.event(Event::Boot);
        Pair { model: System::boot(world, plan), mirror }
    }

    /// The same, and meanwhile somebody ends by itself, while another one has yet to say that it is ready.
    pub(crate) fn boot_with(plan: &Plan, starts: &Starts, struck: (&str, Death)) -> Pair {
        let (name, death) = (struck.0.to_owned(), struck.1);
        let struck_in_start = Some((name.clone(), death));
        let world = World { now: NOW, starts: starts.clone(), struck_in_start, ..World::default() };
        let mut mirror = Mirror::new(plan, starts.clone(), NOW);
        mirror.struck_in_start = Some((name, death.cause()));
        mirror.event(Event::Boot);
        Pair { model: System::boot(world, plan), mirror }
    }

    /// The worker `name` ends by itself, if it runs.
    pub(crate) fn dies(&mut self, name: &str, death: Death) {
        if let Some(life) = self.life(name) {
            self.model.exit(life, death);
            self.mirror.exit(life, death.cause());
        }
    }

    /// While the next stop is going on, the worker `name` ends by itself.
    pub(crate) fn strike(&mut self, name: &str, death: Death) {
        if let Some(life) = self.life(name) {
            self.model.world.struck = Some((life, death));
            self.mirror.struck = Some((life, death.cause()));
        }
    }

    /// While the next start waits for readiness, the worker `name` ends by itself.
    pub(crate) fn strike_in_start(&mut self, name: &str, death: Death) {
        self.model.world.struck_in_start = Some((name.to_owned(), death));
        self.mirror.struck_in_start = Some((name.to_owned(), death.cause()));
    }

    /// The next starts of `name` go like this.
    pub(crate) fn luck(&mut self, name: &str, how: Start, times: u32) {
        self.model.world.starts.set(name, how, times);
        self.mirror.starts.set(name, how, times);
    }

    /// Each retry that waits now has its try.
    pub(crate) fn turn(&mut self) {
        self.model.turn();
        self.mirror.turn();
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        self.model.world.now += nanos;
        self.mirror.pass(nanos);
    }

    /// Asks both for the same. What they answer must agree.
    pub(crate) fn asks(&mut self, call: &Call) -> Result<(), String> {
        let model = self.model.call(call);
        let core = self.mirror.call(call);
        // How a start by request went is not in the core's answer: that comes before it is done.
        let taken = match model {
            Ok(_) | Err(Refused::StartFailed) => Ok(()),
            Err(refused) => Err(refused),
        };
        // Of a supervisor that is down, the core has forgotten who was added.
        if taken == Err(Refused::NoProcess) && matches!(core, Err(Refused::NotFound | Refused::IsPool)) {
            return Ok(());
        }
        same("the answer", &taken, &core)
    }

    pub(crate) fn shutdown(&mut self) {
        self.model.shutdown();
        self.mirror.shutdown();
    }

    /// The life of `name` in the model, if it runs.
    pub(crate) fn life(&self, name: &str) -> Option<u64> {
        self.model.list().into_iter().find_map(|line| match line.2 {
            Seen::Life(life) if line.1 == name => Some(life),
            _ => None,
        })
    }

    /// What differs since the last look, in words.
    pub(crate) fn difference(&mut self) -> Result<(), String> {
        let done = [&mut self.model.world.done, &mut self.mirror.done].map(std::mem::take);
        same("what was done", &in_order(&done[0]), &in_order(&done[1]))?;
        let told = [&mut self.model.world.told, &mut self.mirror.told].map(std::mem::take);
        same("what was told", &grouped(&told[0]), &grouped(&told[1]))?;
        same_end(&self.end_of_model(), &self.end_of_core())?;
        let list = listed(self.model.list());
        let lives = list.iter().filter_map(|line| match line.2 {
            Seen::Life(life) => Some((line.1.clone(), life)),
            _ => None,
        });
        same("who runs", &lives.collect::<BTreeMap<_, _>>(), &self.mirror.running())?;
        same("the list", &list, &listed(self.mirror.list()))?;
        same("the counts", &by_name(self.model.counts()), &by_name(self.mirror.counts()))
    }

    /// Like [`Pair::difference`], whatever the way there was: the end, and who runs.
    pub(crate) fn outcome(&mut self) -> Result<(), String> {
        self.model.world.done.clear();
        self.mirror.done.clear();
        self.model.world.told.clear();
        self.mirror.told.clear();
        same_end(&self.end_of_model(), &self.end_of_core())?;
        let names = |list: Vec<(String, String, Seen)>| {
            list.into_iter().map(|line| (line.1, matches!(line.2, Seen::Life(_)))).collect::<Vec<_>>()
        };
        same("who runs", &names(self.model.list()), &names(self.mirror.list()))
    }

    fn end_of_model(&self) -> String {
        match &self.model.root {
            Ok(_) => "lives".to_owned(),
            Err(system::End::StartFailed(name)) => format!("{name} could not start"),
            Err(system::End::Ended(Why::Asked)) => "asked".to_owned(),
            Err(system::End::Ended(Why::Limit(name))) => format!("limit, by {name}"),
            Err(system::End::Ended(Why::Significant)) => "significant".to_owned(),
        }
    }

    fn end_of_core(&self) -> String {
        match self.mirror.end {
            None => "lives".to_owned(),
            Some(End::Shutdown) => "asked".to_owned(),
            Some(End::LimitReached(Some(child))) => format!("limit, by {}", self.mirror.name(child)),
            Some(End::LimitReached(None)) => "limit, by nobody".to_owned(),
            Some(End::Finished(_)) => "significant".to_owned(),
            Some(End::StartFailed(child)) => format!("{} could not start", self.mirror.name(child)),
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, model: &T, core: &T) -> Result<(), String> {
    if model == core { Ok(()) } else { Err(format!("{what}:\n  model {model:?}\n  core  {core:?}")) }
}

/// The core names the worker that was the last straw, also when the offender is the supervisor above it, whose name its own
/// begins with.
fn same_end(model: &str, core: &str) -> Result<(), String> {
    let straw = model.starts_with("limit") && core.starts_with(model);
    if straw { Ok(()) } else { same("the end", &model, &core) }
}

/// Whether `name` is that of a member of a pool: these end in a number, and no others do.
fn pooled(name: &str) -> bool {
    name.ends_with(|last: char| last.is_ascii_digit())
}

/// What was done; the members of a pool are stopped at once, so there the order says nothing (D14).
fn in_order(done: &[String]) -> Vec<String> {
    let of = |word: &str| {
        let name = word.strip_suffix(['-', '!'])?;
        pooled(name).then(|| name.trim_end_matches(|digit: char| digit.is_ascii_digit()).to_owned())
    };
    let mut sorted = Vec::new();
    for run in done.chunk_by(|a, b| of(a).is_some() && of(a) == of(b)) {
        let mut run = run.to_vec();
        run.sort();
        sorted.extend(run);
    }
    sorted
}

/// What was told. Shutdown errors that follow each other may come in any order: of a pool for each reason (K11), of
/// others as they die, which a death of its own accord may do before its turn.
fn grouped(told: &[String]) -> Vec<String> {
    let is_limit = |line: &str| line.ends_with("limit") || line.ends_with("auto-shutdown");
    let mut sorted = Vec::new();
    for run in told.chunk_by(|a, b| !is_limit(a) && !is_limit(b)) {
        let mut run = run.to_vec();
        run.sort();
        sorted.extend(run);
    }
    sorted
}

/// Lines by supervisor, in the order of each; that of a pool says nothing.
fn listed(mut lines: Vec<(String, String, Seen)>) -> Vec<(String, String, Seen)> {
    lines.sort_by_key(|(supervisor, child, _)| (supervisor.clone(), pooled(child).then(|| child.clone())));
    lines
}

fn by_name<T>(lines: Vec<(String, T)>) -> BTreeMap<String, T> {
    lines.into_iter().collect()
}
