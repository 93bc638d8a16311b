//! What readers see of a flag: what is set, unless another flag forbids it, or this host or the instances decide.
//!
//! Readers pay nothing for any of it: the keeper computes this whenever something it depends on changes, and publishes
//! the result.

use super::{Declaration, Prefix, Truth, Unit, Value, View, WHOLE};
use std::collections::{BTreeMap, BTreeSet};

/// What of the world effective values depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The instances of each of the user's services: `web` has `web#1`, `web#2`. A single instance is named as its
    /// `MAINSTAY_INSTANCE` is.
    pub instances: BTreeMap<String, BTreeSet<String>>,
    /// This host's id; empty: it has none, and flags by host have no opinion where a share would decide.
    pub host: String,
}

/// What readers see of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its word. A [`Value::Share`] here is by id always, but for `on` below.
    pub truth: Truth,
    /// Only where the unit is the instance and a share or a list decides: the instances for which it is on, in the order in
    /// which they came in. To be published as such; `truth` has the share.
    pub on: Option<Vec<String>>,
}

/// What readers see of one flag or migration; `None`: it is not declared.
///
/// Lists of a flag by host or by instance are looked at here, and by nobody else.
pub fn effective(view: &View, tree: &Tree, name: &str) -> Option<Effective> {
    if view.catalog.migration(name).is_some() {
        return Some(plainly(Value::Stage(view.stage(name)).into()));
    }
    let flag = view.catalog.flag(name)?;
    Some(of_flag(view, tree, flag, 0))
}

/// Of all flags and migrations, by name.
pub fn effective_all(view: &View, tree: &Tree) -> BTreeMap<String, Effective> {
    let flags = view.catalog.flags().map(|flag| (flag.name.clone(), of_flag(view, tree, flag, 0)));
    let migrations = view
        .catalog
        .migrations()
        .map(|migration| (migration.name.clone(), plainly(Value::Stage(view.stage(&migration.name)).into())));
    flags.chain(migrations).collect()
}

/// The instances that a flag by instance is about: of the services that it names, else of those that its guard names, else
/// all.
pub fn instances<'a>(tree: &'a Tree, flag: &Declaration) -> Vec<&'a str> {
    let named = match &flag.guard {
        _ if !flag.services.is_empty() => &flag.services,
        Some(guard) => &guard.services,
        None => &flag.services,
    };
    let counts = |service: &String| named.is_empty() || named.contains(service);
    let services = tree.instances.iter().filter(|(service, _)| counts(service));
    services.flat_map(|(_, instances)| instances.iter().map(String::as_str)).collect()
}

/// A circle of prerequisites is refused by the configuration; if there is one nevertheless, nothing in it is on.
const DEPTH_MAX: usize = 64;

fn of_flag(view: &View, tree: &Tree, flag: &Declaration, depth: usize) -> Effective {
    let truth = view.truth(&flag.name);
    if truth.disabled || truth.value == Value::Off {
        return plainly(truth);
    }
    if depth == DEPTH_MAX || !is_met(view, tree, flag, depth) {
        return plainly(flag.switched(false).unwrap_or(flag.default).into());
    }
    match (flag.unit, truth.value) {
        (Unit::Host, Value::On | Value::Share(_)) => plainly(by_host(tree, flag, truth)),
        (Unit::Instance, Value::On) if !has_lists(flag) => plainly(truth),
        (Unit::Instance, Value::On) => by_instance(tree, flag, truth, WHOLE),
        (Unit::Instance, Value::Share(share)) => by_instance(tree, flag, truth, share),
        _ => plainly(truth),
    }
}

fn plainly(truth: Truth) -> Effective {
    Effective { truth, on: None }
}

fn has_lists(flag: &Declaration) -> bool {
    !flag.allow.is_empty() || !flag.deny.is_empty()
}

/// Whether what the flag requires of another one is so. One that is not declared is neither on nor off.
pub(super) fn is_met(view: &View, tree: &Tree, flag: &Declaration, depth: usize) -> bool {
    let Some(requires) = &flag.requires else { return true };
    let other = view.catalog.flag(&requires.flag).map(|other| of_flag(view, tree, other, depth + 1));
    let Some(Effective { truth, on: None }) = other else { return false };
    match truth.is_on() {
        Some(on) => on == requires.on,
        None => truth.disabled && !requires.on,
    }
}

fn by_host(tree: &Tree, flag: &Declaration, truth: Truth) -> Truth {
    let on = match listed(flag, &tree.host) {
        Some(on) => Some(on),
        None => Prefix::new(&flag.salt).and_then(|prefix| truth.is_on_for(prefix, &tree.host)),
    };
    match on {
        Some(on) => Value::of_share(if on { WHOLE } else { 0 }).into(),
        None => Truth { disabled: true, ..truth },
    }
}

/// What the lists say of an id; `None`: nothing.
pub(super) fn listed(flag: &Declaration, id: &str) -> Option<bool> {
    let has = |list: &[String]| list.iter().any(|one| one == id);
    if has(&flag.deny) {
        return Some(false);
    }
    has(&flag.allow).then_some(true)
}

fn by_instance(tree: &Tree, flag: &Declaration, truth: Truth, share: u32) -> Effective {
    let ordered = in_order(flag, instances(tree, flag));
    let first = first_of(share, ordered.len());
    let is_on = |place: usize, name: &str| listed(flag, name).unwrap_or(place < first);
    let on = ordered.iter().enumerate().filter(|(place, name)| is_on(*place, name));
    Effective { truth, on: Some(on.map(|(_, name)| (*name).to_owned()).collect()) }
}

/// Instances in the order in which a rising share takes them in: by position, then by name.
pub(super) fn in_order<'a>(flag: &Declaration, names: Vec<&'a str>) -> Vec<&'a str> {
    let prefix = Prefix::new(&flag.salt);
    let mut ordered: Vec<_> =
        names.into_iter().map(|name| (prefix.and_then(|prefix| prefix.position(name)), name)).collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, name)| name).collect()
}

/// So many of `count` instances are on at this share: rounded up, so that a step never takes in nobody.
pub(super) fn first_of(share: u32, count: usize) -> usize {
    (u64::from(share) * count as u64).div_ceil(u64::from(WHOLE)) as usize
}

#[cfg(test)]
mod tests {
    use super::super::guard::{Facts, Guarding};
    use super::super::{Catalog, Kind, Requires};
    use super::*;
    use proptest::prelude::*;

    fn flag(name: &str) -> Declaration {
        Declaration { name: name.into(), salt: name.into(), ..Declaration::default() }
    }

    fn requiring(name: &str, other: &str, on: bool) -> Declaration {
        Declaration { requires: Some(Requires { flag: other.into(), on }), ..flag(name) }
    }

    fn tree(web: usize) -> Tree {
        let names = |service: &str, n: usize| (1..=n).map(|i| format!("{service}#{i}")).collect();
        let instances = [("web", web), ("db", 2)].map(|(service, n)| (service.into(), names(service, n)));
        Tree { instances: instances.into(), host: "d2f1".into() }
    }

    fn see(flags: Vec<Declaration>, set: &[(&str, Truth)], tree: &Tree, name: &str) -> Effective {
        let catalog = Catalog::new(flags, []);
        let facts = Facts::default();
        let set = |name: &str| set.iter().find(|(flag, _)| *flag == name).map(|(_, truth)| *truth);
        effective(&View { catalog: &catalog, set: &set, facts: &facts }, tree, name).unwrap()
    }

    fn on(name: &str) -> (&str, Truth) {
        (name, Value::On.into())
    }

    #[test]
    fn a_flag_is_off_while_what_it_requires_is_not_so() {
        let share = |name| (name, Truth::from(Value::Share(50_000)));
        let disabled = |name| (name, Truth { value: Value::On, disabled: true });
        let off = |name| (name, Truth::from(Value::Off));
        for (wanted, other, expected) in [
            (true, on("b"), Value::On),
            (true, share("b"), Value::Off),
            (true, disabled("b"), Value::Off),
            (true, off("b"), Value::Off),
            (false, on("b"), Value::Off),
            (false, share("b"), Value::Off),
            (false, disabled("b"), Value::On),
            (false, off("b"), Value::On),
        ] {
            let flags = vec![requiring("a", "b", wanted), flag("b")];
            let seen = see(flags, &[on("a"), other], &tree(1), "a");
            assert_eq!(seen.truth.value, expected, "requires {wanted}, other {other:?}");
        }
    }

    #[test]
    fn prerequisites_are_followed_to_their_end_and_a_circle_is_off() {
        let chain = vec![requiring("a", "b", true), requiring("b", "c", true), flag("c")];
        assert_eq!(see(chain.clone(), &[on("a"), on("b")], &tree(1), "a").truth.value, Value::Off);
        assert_eq!(see(chain, &[on("a"), on("b"), on("c")], &tree(1), "a").truth.value, Value::On);
        let circle = vec![requiring("a", "b", true), requiring("b", "a", true)];
        assert_eq!(see(circle, &[on("a"), on("b")], &tree(1), "a").truth.value, Value::Off);
        let nobody = vec![requiring("a", "gone", false)];
        assert_eq!(see(nobody, &[on("a")], &tree(1), "a").truth.value, Value::Off);
    }

    #[test]
    fn a_disabled_flag_stays_disabled_whatever_it_requires() {
        let disabled = Truth { value: Value::On, disabled: true };
        let seen = see(vec![requiring("a", "b", true), flag("b")], &[("a", disabled)], &tree(1), "a");
        assert_eq!(seen.truth, disabled);
    }

    #[test]
    fn a_share_by_host_is_on_or_off_for_everybody_and_its_lists_are_looked_at_here() {
        let by_host = |allow: &[&str], deny: &[&str]| Declaration {
            unit: Unit::Host,
            allow: allow.iter().map(|id| (*id).into()).collect(),
            deny: deny.iter().map(|id| (*id).into()).collect(),
            ..flag("a")
        };
        let position = Prefix::new("a").unwrap().position("d2f1").unwrap();
        let at = |share| [("a", Truth::from(Value::Share(share)))];
        let see = |flag, set: &[(&str, Truth)]| see(vec![flag], set, &tree(1), "a").truth;
        assert_eq!(see(by_host(&[], &[]), &at(position)).value, Value::Off);
        assert_eq!(see(by_host(&[], &[]), &at(position + 1)).value, Value::On);
        assert_eq!(see(by_host(&["d2f1"], &[]), &at(1)).value, Value::On);
        assert_eq!(see(by_host(&[], &["d2f1"]), &[on("a")]).value, Value::Off);
        let nameless = Tree { host: String::new(), ..tree(1) };
        let seen = super::tests::see(vec![by_host(&[], &[])], &at(50_000), &nameless, "a");
        assert!(seen.truth.disabled, "without an id a share has no opinion");
    }

    #[test]
    fn ten_percent_of_ten_instances_is_one() {
        let by_instance = Declaration { unit: Unit::Instance, services: vec!["web".into()], ..flag("a") };
        for (share, count) in [(1, 1), (10_000, 1), (10_001, 2), (25_000, 3), (50_000, 5), (99_999, 10)] {
            let set = [("a", Truth::from(Value::Share(share)))];
            let seen = see(vec![by_instance.clone()], &set, &tree(10), "a");
            let names = seen.on.unwrap();
            assert_eq!(names.len(), count, "{share}");
            assert!(names.iter().all(|name| name.starts_with("web#")));
        }
        let seen = see(vec![by_instance], &[on("a")], &tree(10), "a");
        assert_eq!(seen, Effective { truth: Value::On.into(), on: None }, "on for all needs no list");
    }

    #[test]
    fn the_instances_are_those_of_its_services_then_of_its_guard_then_all() {
        let count = |services: &[&str], guard: Option<&[&str]>| {
            let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let guard = guard.map(|services| Guarding { services: named(services), ..Guarding::default() });
            let flag = Declaration { services: named(services), guard, ..flag("a") };
            instances(&tree(10), &flag).len()
        };
        assert_eq!(count(&["db"], Some(&["web"])), 2);
        assert_eq!(count(&[], Some(&["web"])), 10);
        assert_eq!(count(&[], Some(&[])), 12);
        assert_eq!(count(&[], None), 12);
        assert_eq!(count(&["gone"], None), 0);
    }

    #[test]
    fn an_instance_on_a_list_is_as_the_list_says() {
        let flag = Declaration {
            unit: Unit::Instance,
            services: vec!["web".into()],
            allow: vec!["web#9".into()],
            deny: vec!["web#1".into(), "web#2".into()],
            ..flag("a")
        };
        let seen = see(vec![flag.clone()], &[on("a")], &tree(10), "a").on.unwrap();
        assert_eq!(seen.len(), 8);
        assert!(!seen.contains(&"web#1".into()));
        let seen = see(vec![flag], &[("a", Value::Share(1).into())], &tree(10), "a").on.unwrap();
        assert!(seen.contains(&"web#9".into()) && !seen.contains(&"web#2".into()));
    }

    #[test]
    fn what_is_set_and_does_not_fit_its_kind_any_more_counts_as_unset() {
        let number = Declaration { kind: Kind::Int, default: Value::Int(7), ..flag("a") };
        assert_eq!(see(vec![number], &[on("a")], &tree(1), "a").truth.value, Value::Int(7));
    }

    proptest! {
        #[test]
        fn a_rising_share_keeps_every_instance_that_is_in(low in 0..=WHOLE, more in 0..=WHOLE, n in 0usize..40) {
            let flag = Declaration { unit: Unit::Instance, services: vec!["web".into()], ..flag("a") };
            let names = |share| by_instance(&tree(n), &flag, Value::On.into(), share).on.unwrap();
            let (few, many) = (names(low), names((low + more).min(WHOLE)));
            prop_assert!(few.iter().all(|name| many.contains(name)));
            prop_assert_eq!(few.len(), (n as u64 * u64::from(low)).div_ceil(u64::from(WHOLE)) as usize);
        }
    }
}
