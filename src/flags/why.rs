//! Why a flag is what it is for an id: a decision, step by step, in the order in which it is made.

use super::effective::{first_of, in_order, instances, is_met, listed};
use super::{Declaration, ID_MAX, Prefix, Tree, Truth, Unit, Value, View, WHOLE};
use std::fmt;

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody declared it: the caller's default holds.
    Unknown {
        /// The nearest name.
        nearest: Option<String>,
    },
    /// What was set; by whom the keeper knows.
    Set(Truth),
    /// Nobody has set it: this holds.
    Unset(Truth),
    /// A stage of a migration says what holds while nobody has set it.
    ByStage {
        /// Which migration.
        migration: String,
        /// The stage that turns it on.
        stage: u32,
        /// Where the migration stands.
        now: u32,
    },
    /// What was set is no value of its kind any more, and counts for nothing.
    Unfit(Truth),
    /// It is disabled: it has no opinion.
    Disabled,
    /// What it requires of another flag.
    Requires {
        /// The other flag.
        flag: String,
        /// It must be on; else it must not.
        on: bool,
        /// It is so.
        met: bool,
    },
    /// The share is counted by this host, or by instances: this is the id that counts, whoever asks.
    CountedBy(Unit, String),
    /// No id was given, or one of no or more than 1024 bytes: a share has no opinion.
    NoId,
    /// The id is on the list of those for whom it is off.
    Denied,
    /// The id is on the list of those for whom it is on.
    Allowed,
    /// The position of the id against the share.
    Position {
        /// What stands in the hash before the id.
        salt: String,
        /// 0 to 99,999.
        position: u32,
        /// In 1/100,000: below it is on.
        share: u32,
    },
    /// The place of the instance among all, against how many are on.
    Place {
        /// From 0.
        place: usize,
        /// So many there are.
        of: usize,
        /// The first so many are on.
        first: usize,
    },
    /// It is no instance of the services that the flag is about: no opinion.
    NoInstance,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// How it came about.
    pub steps: Vec<Step>,
    /// What holds for this id; `None`: the caller's default.
    pub value: Option<Value>,
}

/// Why the flag `name` is what it is for `id`, as every reader decides it.
pub fn why(view: &View, tree: &Tree, name: &str, id: Option<&str>) -> Why {
    let mut steps = Vec::new();
    let value = decide(view, tree, name, id, &mut steps);
    Why { steps, value }
}

fn decide(view: &View, tree: &Tree, name: &str, id: Option<&str>, steps: &mut Vec<Step>) -> Option<Value> {
    if view.catalog.migration(name).is_some() {
        let now = view.stage(name);
        steps.push(Step::Set(Value::Stage(now).into()));
        return Some(Value::Stage(now));
    }
    let Some(flag) = view.catalog.flag(name) else {
        steps.push(Step::Unknown { nearest: view.catalog.nearest(name).map(str::to_owned) });
        return None;
    };
    let truth = what_is_set(view, flag, steps);
    if truth.disabled {
        steps.push(Step::Disabled);
        return None;
    }
    if truth.value == Value::Off {
        return Some(Value::Off);
    }
    if let Some(requires) = &flag.requires {
        let met = is_met(view, tree, flag, 0);
        steps.push(Step::Requires { flag: requires.flag.clone(), on: requires.on, met });
        if !met {
            return Some(flag.switched(false).unwrap_or(flag.default));
        }
    }
    match truth.value {
        Value::On => switched(tree, flag, WHOLE, id, steps),
        Value::Share(share) => switched(tree, flag, share, id, steps),
        other => Some(other),
    }
}

fn what_is_set(view: &View, flag: &Declaration, steps: &mut Vec<Step>) -> Truth {
    match (view.set)(&flag.name) {
        Some(set) if set.value.fits(flag.kind) => {
            steps.push(Step::Set(set));
            return set;
        }
        Some(unfit) => steps.push(Step::Unfit(unfit)),
        None => {}
    }
    let unset = view.unset(&flag.name);
    steps.push(match view.catalog.stage_of(&flag.name) {
        Some((migration, stage)) => {
            Step::ByStage { migration: migration.name.clone(), stage, now: view.stage(&migration.name) }
        }
        None => Step::Unset(unset),
    });
    unset
}

/// On, or for a share: lists first, then the share.
fn switched(
    tree: &Tree,
    flag: &Declaration,
    share: u32,
    id: Option<&str>,
    steps: &mut Vec<Step>,
) -> Option<Value> {
    let is = |on| Some(if on { Value::On } else { Value::Off });
    let id = match flag.unit {
        Unit::Id => id,
        Unit::Host => {
            steps.push(Step::CountedBy(Unit::Host, tree.host.clone()));
            Some(tree.host.as_str())
        }
        Unit::Instance => {
            if let Some(id) = id {
                steps.push(Step::CountedBy(Unit::Instance, id.to_owned()));
            }
            id
        }
    };
    if let Some(on) = id.and_then(|id| listed(flag, id)) {
        steps.push(if on { Step::Allowed } else { Step::Denied });
        return is(on);
    }
    if share >= WHOLE {
        return is(true);
    }
    let Some(id) = id.filter(|id| (1..=ID_MAX).contains(&id.len())) else {
        steps.push(Step::NoId);
        return None;
    };
    if flag.unit == Unit::Instance {
        let ordered = in_order(flag, instances(tree, flag));
        let Some(place) = ordered.iter().position(|name| *name == id) else {
            steps.push(Step::NoInstance);
            return None;
        };
        let first = first_of(share, ordered.len());
        steps.push(Step::Place { place, of: ordered.len(), first });
        return is(place < first);
    }
    let position = Prefix::new(&flag.salt)?.position(id)?;
    steps.push(Step::Position { salt: flag.salt.clone(), position, share });
    is(position < share)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Unknown { nearest: Some(near) } => {
                write!(f, "nobody declares it: the caller's default holds (did you mean `{near}`?)")
            }
            Step::Unknown { nearest: None } => f.write_str("nobody declares it: the caller's default holds"),
            Step::Set(truth) => write!(f, "it is set to {truth}"),
            Step::Unset(truth) => write!(f, "nobody has set it: {truth} holds"),
            Step::ByStage { migration, stage, now } => {
                write!(
                    f,
                    "nobody has set it: stage {stage} of `{migration}` turns it on, which is at stage {now}"
                )
            }
            Step::Unfit(truth) => write!(f, "it was set to {truth}, which is no value of its kind any more"),
            Step::Disabled => f.write_str("it is disabled: the caller's default holds"),
            Step::Requires { flag, on, met } => {
                let (must, is) = (if *on { "be on" } else { "be off" }, if *met { "is" } else { "is not" });
                write!(f, "it requires `{flag}` to {must}, which it {is}")
            }
            Step::CountedBy(unit, id) => write!(f, "its share is counted by {}: `{id}`", unit.word()),
            Step::NoId => f.write_str("a share needs an id of 1 to 1024 bytes: the caller's default holds"),
            Step::Denied => f.write_str("the id is on its deny list"),
            Step::Allowed => f.write_str("the id is on its allow list"),
            Step::Position { salt, position, share } => {
                let side = if position < share { "below" } else { "not below" };
                let share = Value::Share(*share);
                write!(f, "position {position} of 100000 under salt `{salt}` is {side} {share}")
            }
            Step::Place { place, of, first } => {
                write!(f, "it is number {} of {of} instances, and the first {first} are on", place + 1)
            }
            Step::NoInstance => {
                f.write_str("that is no instance of its services: the caller's default holds")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::testing::{World, flag, migration};
    use super::super::{Requires, effective};
    use super::*;

    fn tree() -> Tree {
        let names = |n: usize| (1..=n).map(|number| format!("web#{number}")).collect();
        Tree { instances: [("web".to_owned(), names(10))].into(), host: "d2f1".into() }
    }

    fn explain(flag: Declaration, set: Option<Truth>, id: Option<&str>) -> (Vec<String>, Option<Value>) {
        let name = flag.name.clone();
        let mut world = World::new(vec![flag], vec![]);
        if let Some(set) = set {
            world.set.insert(name.clone(), set);
        }
        let why = world.see(|view| why(view, &tree(), &name, id));
        (why.steps.iter().map(ToString::to_string).collect(), why.value)
    }

    fn check(flag: Declaration, set: Option<Truth>, id: Option<&str>, last: &str, value: Option<Value>) {
        let (steps, is) = explain(flag, set, id);
        assert_eq!((steps.last().map(String::as_str), is), (Some(last), value), "{steps:?}");
    }

    #[test]
    fn each_rule_says_that_it_was_the_one() {
        let share = Some(Truth::from(Value::Share(20_000)));
        let on = Some(Truth::from(Value::On));
        let named = || flag("new_checkout");
        let listed = Declaration { allow: vec!["a".into()], deny: vec!["d".into()], ..named() };
        let position = |n, side| format!("position {n} of 100000 under salt `new_checkout` is {side} 20%");
        check(named(), share, Some("user:1"), &position(18905, "below"), Some(Value::On));
        check(named(), share, Some("user:2"), &position(63787, "not below"), Some(Value::Off));
        let no_id = "a share needs an id of 1 to 1024 bytes: the caller's default holds";
        check(named(), share, None, no_id, None);
        check(named(), share, Some(""), no_id, None);
        check(named(), on, None, "it is set to on", Some(Value::On));
        check(named(), None, None, "nobody has set it: off holds", Some(Value::Off));
        check(listed.clone(), share, Some("a"), "the id is on its allow list", Some(Value::On));
        check(listed.clone(), on, Some("d"), "the id is on its deny list", Some(Value::Off));
        check(listed, None, Some("a"), "nobody has set it: off holds", Some(Value::Off));
        let disabled = Some(Truth { value: Value::On, disabled: true });
        check(named(), disabled, Some("a"), "it is disabled: the caller's default holds", None);
        let requiring = Declaration { requires: Some(Requires { flag: "gone".into(), on: true }), ..named() };
        check(requiring, on, None, "it requires `gone` to be on, which it is not", Some(Value::Off));
    }

    #[test]
    fn a_name_that_nobody_declares_is_said_to_be_one_with_the_nearest() {
        let world = World::new(vec![flag("checkout")], vec![]);
        let why = world.see(|view| why(view, &tree(), "chekout", None));
        assert_eq!(why.value, None);
        assert!(why.steps[0].to_string().contains("did you mean `checkout`?"), "{why:?}");
    }

    #[test]
    fn a_flag_of_a_stage_says_where_the_migration_stands() {
        let (flags, migration) = migration();
        let world = World::new(flags, vec![migration]);
        let why = world.see(|view| why(view, &tree(), "b", None));
        assert_eq!(why.steps, [Step::ByStage { migration: "m".into(), stage: 2, now: 0 }]);
    }

    #[test]
    fn what_is_explained_is_what_readers_see() {
        for unit in [Unit::Id, Unit::Host, Unit::Instance] {
            for share in [1, 20_000, 50_000, 99_999] {
                let flag = Declaration { unit, deny: vec!["web#3".into()], ..flag("x") };
                let mut world = World::new(vec![flag], vec![]);
                world.set.insert("x".into(), Value::Share(share).into());
                for id in (1..=10).map(|number| format!("web#{number}")) {
                    let seen = world.see(|view| effective(view, &tree(), "x")).unwrap();
                    let is = world.see(|view| why(view, &tree(), "x", Some(&id))).value;
                    let on = match (&seen.on, unit) {
                        (Some(on), _) => on.contains(&id),
                        (None, Unit::Id) => {
                            id != "web#3" && seen.truth.is_on_for(Prefix::new("x").unwrap(), &id).unwrap()
                        }
                        (None, _) => seen.truth.is_on().unwrap(),
                    };
                    assert_eq!(is, Some(if on { Value::On } else { Value::Off }), "{unit:?} {share} {id}");
                }
            }
        }
    }
}
