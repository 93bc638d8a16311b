//! Random sequences on random trees of two levels, compared after each step.
//!
//! `NAIVE_HISTORIES=100000 cargo test --test naive histories` runs so many; `NAIVE_SEED=17` runs one and tells it.

use crate::death::{DEATHS, Death};
use crate::model::{Job, Plan, Strategy};
use crate::pair::Pair;
use crate::plans::{changed, plan, worker};
use crate::random::Random;
use crate::system::{Call, Seen};
use crate::world::{Start, Starts};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Dies(String, Death),
    Luck(String, Start, u32),
    Turn,
    Passes(u64),
    Asks(Call),
    Shutdown,
}

/// What a history knows besides the two sides.
struct History {
    random: Random,
    plan: Plan,
    /// Whether plans are replaced too.
    reloads: bool,
    /// How many members pools have been given names for.
    pooled: usize,
}

impl History {
    /// Each supervisor of the plan, with its own.
    fn supervisors(&self) -> Vec<(&str, &Plan)> {
        let inner = self.plan.specs.iter().filter_map(|spec| match &spec.job {
            Job::Supervisor(plan) => Some((spec.name.as_str(), plan)),
            Job::Worker => None,
        });
        [("root", &self.plan)].into_iter().chain(inner).collect()
    }

    /// A supervisor, and a name that it has, had or might have.
    fn somebody(&mut self, pair: &Pair) -> (String, String) {
        let at = self.random.below(self.supervisors().len());
        let (supervisor, plan) = self.supervisors()[at];
        let supervisor = supervisor.to_owned();
        let mut names: Vec<String> = match plan.strategy {
            Strategy::Pool => Vec::new(),
            _ => plan.specs.iter().map(|spec| spec.name.clone()).collect(),
        };
        names.extend(pair.model.list().into_iter().filter(|line| line.0 == supervisor).map(|line| line.1));
        // Whoever is added has one of these names.
        names.push(if supervisor == "root" { "x".to_owned() } else { format!("{supervisor}x") });
        (supervisor, self.random.pick(&names))
    }

    fn start_child(&mut self, pair: &Pair) -> Call {
        let at = self.random.below(self.supervisors().len());
        let (supervisor, plan) = self.supervisors()[at];
        let (supervisor, plan) = (supervisor.to_owned(), plan.clone());
        let name = match plan.strategy {
            Strategy::Pool => {
                self.pooled += 1;
                format!("{supervisor}{}", self.pooled)
            }
            _ => loop {
                let (owner, name) = self.somebody(pair);
                if owner == supervisor {
                    break name;
                }
            },
        };
        let mut spec = worker(&name, plan.auto_shutdown, &mut self.random);
        if self.random.one_in(9) && plan.strategy != Strategy::Pool {
            spec.significant = !spec.significant;
        }
        // Who is added is a worker, and never has the name of a supervisor.
        if is_group(&name) { Call::Terminate(supervisor, name) } else { Call::StartChild(supervisor, spec) }
    }

    fn step(&mut self, pair: &Pair) -> Step {
        let list = pair.model.list();
        let living: Vec<&String> =
            list.iter().filter(|line| matches!(line.2, Seen::Life(_))).map(|line| &line.1).collect();
        let (supervisor, child) = self.somebody(pair);
        match self.random.below(28) {
            0..=6 if !living.is_empty() => {
                Step::Dies(self.random.pick(&living).clone(), self.random.pick(&DEATHS))
            }
            7..=11 => {
                let how = self.random.pick(&[Start::Fails, Start::Fails, Start::Fails, Start::Ignores]);
                Step::Luck(child, how, self.random.pick(&[1, 1, 2, 3, 1000]))
            }
            12 => {
                Step::Passes(self.random.pick(&[1, 300_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000]))
            }
            13..=16 => Step::Asks(self.start_child(pair)),
            17..=19 => Step::Asks(Call::Terminate(supervisor, child)),
            20..=21 => Step::Asks(Call::RestartChild(supervisor, child)),
            // Supervisors come from a plan and are not deleted from it.
            22 if is_group(&child) => Step::Asks(Call::RestartChild(supervisor, child)),
            22 => Step::Asks(Call::DeleteChild(supervisor, child)),
            23 if self.reloads && self.random.one_in(2) => {
                Step::Asks(Call::Reload(changed("", &self.plan, &mut self.random)))
            }
            24 if self.random.one_in(8) => Step::Shutdown,
            _ => Step::Turn,
        }
    }

    fn take(&mut self, step: &Step, pair: &mut Pair) -> Result<(), String> {
        match step {
            Step::Dies(name, death) => pair.dies(name, *death),
            Step::Luck(name, how, times) => pair.luck(name, *how, *times),
            Step::Turn => pair.turn(),
            Step::Passes(nanos) => pair.pass(*nanos),
            Step::Shutdown => pair.shutdown(),
            Step::Asks(call) => {
                pair.asks(call)?;
                if let (Call::Reload(plan), Ok(root)) = (call, &pair.model.root) {
                    self.plan = if root.plan == *plan { plan.clone() } else { self.plan.clone() };
                }
            }
        }
        pair.difference()
    }
}

/// Runs the history of this seed. Returns how many steps were compared, or all that led to a difference.
fn history(seed: u64, reloads: bool) -> Result<usize, String> {
    let mut random = Random::new(seed);
    let plan = plan(&mut random);
    let mut starts = Starts::default();
    if random.one_in(8) {
        let how = random.pick(&[Start::Fails, Start::Ignores]);
        starts.set(random.pick(&["a", "b", "c", "ea", "eb", "fa", "fb"]), how, 1);
    }
    let mut text = format!("seed {seed}: {}\n", plan.line());
    let mut pair = Pair::boot(&plan, &starts);
    let ticks = random.one_in(2);
    let mut history = History { random, plan, reloads, pooled: 0 };
    let mut result = pair.difference();
    let mut steps = 0;
    while result.is_ok() && steps < 30 && pair.model.root.is_ok() {
        let step = history.step(&pair);
        if matches!(step, Step::Turn) && pair.model.several_wait() {
            break;
        }
        // When no moment passes with each step, the edges of windows are met exactly.
        if ticks {
            pair.pass(1);
        }
        text.push_str(&format!("  {:?}\n{step:?}\n", pair.model.list()));
        result = history.take(&step, &mut pair);
        steps += 1;
    }
    result.map(|()| steps).map_err(|difference| format!("{text}{difference}"))
}

/// Plans give these names to supervisors, and no others.
fn is_group(name: &str) -> bool {
    ["e", "f", "g", "h"].contains(&name)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Compares the histories of so many seeds, or that of one.
fn histories(reloads: bool) {
    let seeds = match number("NAIVE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("NAIVE_HISTORIES").unwrap_or(5_000),
    };
    let count = seeds.end - seeds.start;
    let mut steps = 0;
    let mut differ: Vec<(usize, String)> = Vec::new();
    for seed in seeds {
        match std::panic::catch_unwind(|| history(seed, reloads)) {
            Ok(Ok(done)) => steps += done,
            Ok(Err(text)) => differ.push((text.lines().count(), text)),
            Err(_) => differ.push((1000, format!("history {seed} broke off: NAIVE_SEED={seed}"))),
        }
    }
    println!("{count} histories, {steps} steps compared");
    differ.sort();
    let shortest: Vec<&str> = differ.iter().take(3).map(|(_, text)| text.as_str()).collect();
    assert!(differ.is_empty(), "{} of {count} differ; the shortest:\n{}", differ.len(), shortest.join("\n"));
}

#[test]
fn c10_c18_c19_c24_e11_e12_g02_h02_i03_i09_j01_j02_j06_j07_l01_l02_m09_q16_random_histories_go_as_the_rules_say()
 {
    histories(false);
}
#[test]
fn n01_n02_n03_n04_n05_n06_random_histories_with_reloads_go_as_the_rules_say() {
    histories(true);
}
