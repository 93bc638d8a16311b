//! Random plans of two levels, and what can be asked of them.

use crate::model::{AutoShutdown, Job, Plan, Restart, Spec, Strategy};
use crate::random::Random;

const RESTARTS: [Restart; 4] =
    [Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary];

/// A worker for a supervisor with this `auto_shutdown`, so that B05 lets it in.
pub(crate) fn worker(name: &str, auto_shutdown: AutoShutdown, random: &mut Random) -> Spec {
    let restart = random.pick(&RESTARTS);
    let significant =
        restart != Restart::Permanent && auto_shutdown != AutoShutdown::Never && random.one_in(2);
    Spec { name: name.to_owned(), restart, significant, brutal: random.one_in(6), job: Job::Worker }
}

fn flags(strategies: &[Strategy], random: &mut Random) -> Plan {
    let strategy = random.pick(strategies);
    let auto_shutdown = match strategy {
        Strategy::Pool => AutoShutdown::Never,
        _ => random.pick(&[AutoShutdown::Never, AutoShutdown::Any, AutoShutdown::All]),
    };
    Plan {
        strategy,
        intensity: random.pick(&[0, 1, 1, 2, 3, 9]),
        period: 5_000_000_000,
        whole_seconds: random.one_in(4),
        auto_shutdown,
        max_children: (strategy == Strategy::Pool && random.one_in(2)).then(|| 1 + random.below(3)),
        specs: Vec::new(),
    }
}

/// A tree of two levels: workers `a` to `d`, and supervisors `e` to `h` with workers `ea`, `eb`, `ec`.
pub(crate) fn plan(random: &mut Random) -> Plan {
    let statics = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    let mut root = flags(&statics, random);
    for at in 0..1 + random.below(4) {
        let spec = if random.one_in(2) {
            worker(["a", "b", "c", "d"][at], root.auto_shutdown, random)
        } else {
            let name = ["e", "f", "g", "h"][at];
            let mut inner = flags(&[statics[0], statics[1], statics[2], Strategy::Pool], random);
            if inner.strategy == Strategy::Pool {
                inner.specs.push(worker("template", AutoShutdown::Never, random));
            } else {
                for letter in ["a", "b", "c"].into_iter().take(random.below(4)) {
                    inner.specs.push(worker(&format!("{name}{letter}"), inner.auto_shutdown, random));
                }
            }
            Spec { job: Job::Supervisor(inner), brutal: false, ..worker(name, root.auto_shutdown, random) }
        };
        root.specs.push(spec);
    }
    root
}

/// `plan` with something changed, as a new version of a file would have it. What is a pool stays one, and the other way
/// round; now and then it is a plan that B05 refuses.
pub(crate) fn changed(own: &str, plan: &Plan, random: &mut Random) -> Plan {
    let mut plan = plan.clone();
    match random.below(7) {
        0 => plan.intensity = random.below(4),
        1 if plan.strategy != Strategy::Pool => {
            plan.strategy = random.pick(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]);
        }
        2 if plan.strategy != Strategy::Pool => {
            plan.auto_shutdown = random.pick(&[AutoShutdown::Never, AutoShutdown::Any, AutoShutdown::All]);
        }
        3 if !plan.specs.is_empty() && plan.strategy != Strategy::Pool => {
            let at = random.below(plan.specs.len());
            plan.specs.remove(at);
        }
        5 if plan.strategy != Strategy::Pool => {
            let name = format!("{own}y");
            let at = random.below(plan.specs.len() + 1);
            if plan.specs.iter().all(|spec| spec.name != name) {
                plan.specs.insert(at, worker(&name, plan.auto_shutdown, random));
            }
        }
        4 if plan.specs.len() > 1 => {
            let at = random.below(plan.specs.len());
            let spec = plan.specs.remove(at);
            plan.specs.push(spec);
        }
        _ => {}
    }
    for spec in &mut plan.specs {
        match &mut spec.job {
            Job::Supervisor(inner) => *inner = changed(&spec.name, inner, random),
            Job::Worker if random.one_in(4) => *spec = worker(&spec.name, plan.auto_shutdown, random),
            Job::Worker => {}
        }
    }
    plan
}
