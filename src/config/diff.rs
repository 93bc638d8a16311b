//! What differs between two plans, by name, and what each difference takes: nothing, a restart, or only a word.
//!
//! What a process was started with (command, environment, directory, user, …) needs a restart; policy is replaced in
//! place. Values of variables are never told: they may be secrets. Equal plans have no difference, and whatever differs
//! between two plans is named by one; where a service stands in its file is not part of what it means.

mod flag;
mod group;
mod service;
mod value;

use super::Plan;
use super::plan::Log;
use std::collections::{HashMap, HashSet};
use value::Reasons;

/// One thing that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A service (`web`), a template (`worker@`), a group (`@app`), a flag (`flag new-checkout`), a migration
    /// (`migration otp-cleanup`), the guard's switch (`the guard`), `telemetry`, or the supervisor's own log (`mainstay.log`).
    pub name: String,
    /// What becomes of it.
    pub what: What,
    /// Which keys differ, as the file writes them below the name: `env.DB_HOST`, `restart`. Each once; none for what is
    /// new or gone.
    pub keys: Vec<String>,
}

impl Difference {
    /// Where in the file it is: `worker.env.DB_HOST`, `@app.strategy`, `flag new-checkout.safe`; `mailer` when it is new or
    /// gone.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let whole = self.keys.is_empty().then(|| self.name.clone());
        whole.into_iter().chain(self.keys.iter().map(|key| format!("{}.{key}", self.name)))
    }
}

/// What a difference takes. Reasons are in words, such as "restart policy 5/30s → 10/1m", never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its processes were started with something else.
    Restart {
        /// What is not the same; what needs the restart comes first.
        why: Vec<String>,
    },
    /// It is in force at once, and every process stays.
    InPlace {
        /// What is not the same.
        why: Vec<String>,
    },
}

/// What it takes to come from `old` to `new`: services in the order of the new file, then those that are gone;
/// templates, groups, flags and migrations likewise.
pub fn diff(old: &Plan, new: &Plan) -> Vec<Difference> {
    let mut found = Vec::new();
    let sides = Sides { old, new };
    let services = |plan: &'_ Plan| plan.declared.services.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    compare(&mut found, "", &services(old), &services(new), |o, n| sides.service(o, n));
    let templates = |plan: &'_ Plan| plan.templates.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    compare(&mut found, "", &templates(old), &templates(new), |o, n| sides.template(o, n));
    sides.root(&mut found);
    // The outermost groups are the same whatever they are called.
    let groups = |plan: &'_ Plan| plan.tree.groups.iter().skip(1).map(|g| g.name.clone()).collect::<Vec<_>>();
    compare(&mut found, "@", &groups(old), &groups(new), |o, n| sides.group(o + 1, n + 1));
    let flags = |plan: &'_ Plan| plan.flags.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    compare(&mut found, "flag ", &flags(old), &flags(new), |o, n| flag::flag(&old.flags[o], &new.flags[n]));
    let names = |plan: &'_ Plan| plan.migrations.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    compare(&mut found, "migration ", &names(old), &names(new), |o, n| {
        flag::migration(&old.migrations[o], &new.migrations[n])
    });
    found.extend(flag::switch(old.guard, new.guard).difference("the guard"));
    found.extend(value::telemetry(&old.telemetry, &new.telemetry).difference("telemetry"));
    let mut log = Reasons::default();
    sizes(&mut log, "", &old.log, &new.log);
    found.extend(log.difference("mainstay.log"));
    found
}

/// Names of one kind on both sides; `changed` judges two that have the same name, by their places.
fn compare(
    found: &mut Vec<Difference>,
    prefix: &str,
    old: &[String],
    new: &[String],
    changed: impl Fn(usize, usize) -> Reasons,
) {
    let before: HashMap<&str, usize> = old.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    for (at, name) in new.iter().enumerate() {
        let shown = format!("{prefix}{name}");
        match before.get(name.as_str()) {
            None => found.push(Difference { name: shown, what: What::Added, keys: Vec::new() }),
            Some(place) => found.extend(changed(*place, at).difference(&shown)),
        }
    }
    let after: HashSet<&str> = new.iter().map(String::as_str).collect();
    let gone = old.iter().filter(|name| !after.contains(name.as_str()));
    found.extend(gone.map(|name| Difference {
        name: format!("{prefix}{name}"),
        what: What::Removed,
        keys: Vec::new(),
    }));
}

/// Two plans, and where the same name is in each.
struct Sides<'a> {
    old: &'a Plan,
    new: &'a Plan,
}

/// Sizes of two logs of the same kind: the logger takes new ones while it runs.
fn sizes(why: &mut Reasons, key: &str, old: &Log, new: &Log) {
    if let (Log::Logger { max_size, files }, Log::Logger { max_size: new_size, files: new_files }) =
        (old, new)
    {
        why.in_place(&format!("{key}max_size"), max_size, new_size, |size| super::units::write_size(*size));
        why.in_place(&format!("{key}files"), files, new_files, u32::to_string);
    }
}
