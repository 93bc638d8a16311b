//! E to I, M: the small space, whole: strategy × restart type × the others' × cause of death × position × significant ×
//! auto-shutdown × which next start does not work × intensity, and a second death after the first.

use crate::death::{DEATHS, Death};
use crate::model::{AutoShutdown, Job, Plan, Restart, Spec, Strategy};
use crate::pair::Pair;
use crate::system::Call;
use crate::world::{Start, Starts};

pub(crate) const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];
const AUTO: [AutoShutdown; 3] = [AutoShutdown::Never, AutoShutdown::Any, AutoShutdown::All];

/// What the next start of the dead one (or of the one after it) does, once.
const LUCK: [Option<(usize, Start)>; 5] = [
    None,
    Some((0, Start::Fails)),
    Some((1, Start::Fails)),
    Some((0, Start::Ignores)),
    Some((1, Start::Ignores)),
];

/// Members of a pool are those whose names end in a number.
fn name(strategy: Strategy, at: usize) -> &'static str {
    match strategy {
        Strategy::Pool => ["p1", "p2", "p3"][at],
        _ => ["a", "b", "c"][at],
    }
}

/// Three workers, of which the one at `dead` is like `own`: a restart type, and whether it is significant.
fn trio(strategy: Strategy, dead: usize, own: (Restart, bool), others: (Restart, bool)) -> Vec<Spec> {
    let spec = |at| {
        let (restart, significant) = if at == dead { own } else { others };
        let name = name(strategy, at).to_owned();
        Spec { name, restart, significant, brutal: false, job: Job::Worker }
    };
    (0..3).map(spec).collect()
}

/// A supervisor with these three, that runs; `None`: B05 does not let them in.
fn boot(strategy: Strategy, intensity: usize, auto_shutdown: AutoShutdown, specs: Vec<Spec>) -> Option<Pair> {
    let pool = strategy == Strategy::Pool;
    if pool && auto_shutdown != AutoShutdown::Never {
        return None;
    }
    if !specs.iter().all(|spec| crate::calls::may_be(spec, auto_shutdown)) {
        return None;
    }
    let given = if pool { Vec::new() } else { specs.clone() };
    let period = 5_000_000_000;
    let plan = Plan {
        strategy,
        intensity,
        period,
        whole_seconds: false,
        auto_shutdown,
        // No room for a fourth (D20).
        max_children: pool.then_some(3),
        specs: given,
    };
    let mut pair = Pair::boot(&plan, &Starts::default());
    for spec in specs.into_iter().filter(|_| pool) {
        pair.asks(&Call::StartChild("root".to_owned(), spec)).unwrap();
    }
    Some(pair)
}

/// How one ends: by itself, or because somebody asks (E08, M03).
type How = Option<Death>;

fn ends(pair: &mut Pair, name: &str, how: How) -> Result<(), String> {
    match how {
        Some(death) => pair.dies(name, death),
        None => pair.asks(&Call::Terminate("root".to_owned(), name.to_owned()))?,
    }
    pair.difference()
}

/// What was compared.
#[derive(Default)]
pub(crate) struct Tally {
    cases: usize,
    differ: usize,
    /// Some of those that differ.
    told: Vec<String>,
}

impl Tally {
    /// One case, named by `words`.
    pub(crate) fn note(&mut self, result: Result<(), String>, words: impl Fn() -> String) {
        self.cases += 1;
        if let Err(difference) = result {
            self.differ += 1;
            if self.told.len() < 5 {
                self.told.push(format!("{}: {difference}", words()));
            }
        }
    }

    /// Fails if one differs, or if there were not so many.
    pub(crate) fn judge(self, what: &str, cases: usize) {
        println!("{what}: {} cases compared", self.cases);
        assert_eq!(self.differ, 0, "of {} cases differ; some of them:\n{}", self.cases, self.told.join("\n"));
        assert_eq!(self.cases, cases);
    }
}

/// Goes through all that can follow the end of the one at `dead`.
fn explore(pair: &Pair, strategy: Strategy, dead: usize, case: &str, tally: &mut Tally) {
    for how in DEATHS.map(Some).into_iter().chain([None]) {
        for luck in LUCK {
            let mut first = pair.clone();
            if let Some((which, start)) = luck {
                first.luck(name(strategy, (dead + which) % 3), start, 1);
            }
            let mut result = ends(&mut first, name(strategy, dead), how);
            if strategy == Strategy::Pool {
                let result = result.clone().and_then(|()| another(&mut first.clone()));
                tally.note(result, || format!("{case}: {how:?} {luck:?}, then another"));
            }
            for second in [Death::CodeZero, Death::AbnormalCode] {
                for again in 0..3 {
                    let mut pair = first.clone();
                    let second_result = ends(&mut pair, name(strategy, again), Some(second));
                    let result = result.clone().and(second_result).and_then(|()| turns(&mut pair));
                    tally.note(result, || format!("{case}: {how:?} {luck:?}, then {second:?} of {again}"));
                }
            }
            result = result.and_then(|()| turns(&mut first));
            tally.note(result, || format!("{case}: {how:?} {luck:?}"));
        }
    }
}

/// D20: there is room for another one only if one of the three has gone, and does not wait for its restart.
fn another(pair: &mut Pair) -> Result<(), String> {
    let job = Job::Worker;
    let (restart, significant, brutal) = (Restart::Permanent, false, false);
    let fourth = Spec { name: "p4".to_owned(), restart, significant, brutal, job };
    pair.asks(&Call::StartChild("root".to_owned(), fourth))?;
    pair.difference()
}

/// Two turns: time for what failed once, and for what comes of that.
fn turns(pair: &mut Pair) -> Result<(), String> {
    for _ in 0..2 {
        pair.turn();
        pair.difference()?;
    }
    Ok(())
}

/// The space of one strategy.
fn space(strategy: Strategy, cases: usize) {
    let mut tally = Tally::default();
    for dead in 0..3 {
        for intensity in 0..3 {
            for auto in AUTO {
                for own in RESTARTS {
                    for others in RESTARTS {
                        for significant in [(false, false), (false, true), (true, false), (true, true)] {
                            let specs = trio(strategy, dead, (own, significant.0), (others, significant.1));
                            if let Some(mut pair) = boot(strategy, intensity, auto, specs) {
                                let case = format!(
                                    "{strategy:?} intensity {intensity} {auto:?}: {dead} is {own:?}, others {others:?}, significant {significant:?}"
                                );
                                pair.difference().unwrap();
                                explore(&pair, strategy, dead, &case, &mut tally);
                            }
                        }
                    }
                }
            }
        }
    }
    tally.judge(&format!("{strategy:?}"), cases);
}

#[test]
fn e01_e02_e03_e04_e05_e06_e07_e08_f01_i01_i02_i04_i05_i07_m01_m02_m03_m04_m05_m06_m17_every_death_under_one_for_one()
 {
    space(Strategy::OneForOne, 148_680);
}

#[test]
fn e08_e09_g01_g03_g04_g05_i05_m08_m17_every_death_under_one_for_all() {
    space(Strategy::OneForAll, 148_680);
}

#[test]
fn e08_e09_h01_h03_h05_i05_m08_m17_every_death_under_rest_for_one() {
    space(Strategy::RestForOne, 148_680);
}

#[test]
fn d03_d10_d12_d20_d24_d25_k11_every_death_in_a_pool() {
    space(Strategy::Pool, 25_920);
}
