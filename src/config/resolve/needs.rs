//! `needs`: names → nodes of the tree, and circles of services that would wait for each other for ever.

use super::{PlaceOf, Resolver, index, instances};
use crate::config::declared::{NEEDS_MAX, Need};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Located, shorten};
use crate::config::order::{Graph, Item, Why};
use crate::config::read::ServicePart;
use crate::supervisor::spec::{GroupId, Strategy};
use std::collections::HashSet;

/// Names of one circle that are shown.
const CIRCLE_SHOWN: usize = 12;
/// Circles of needs that are listed.
const CIRCLES_MAX: usize = 20;

impl Resolver<'_> {
    /// The needs of each service, each once.
    pub(super) fn find_needs(&mut self) -> Vec<Vec<Need>> {
        let mut graph = Graph::new(self.document.services.len(), self.members.len());
        for (group, members) in self.members.iter().enumerate() {
            let part = self.part(group);
            let in_order = self.otp(group) || part.strategy == Some(Strategy::RestForOne);
            for (i, item) in members.iter().enumerate() {
                graph.member(group, *item);
                if let (true, Some(earlier)) = (in_order, i.checked_sub(1)) {
                    graph.ordered(group, members[earlier], *item);
                }
            }
        }
        let mut all = Vec::with_capacity(self.document.services.len());
        let mut total = 0;
        for (i, service) in self.document.services.iter().enumerate() {
            let mut needs = Vec::new();
            let mut each = 0;
            let mut seen = HashSet::new();
            for wanted in &service.needs {
                if let Some((item, need)) = self.resolve_need(service, wanted) {
                    graph.needs(i, item, wanted.span.clone());
                    if seen.insert(need) {
                        needs.push(need);
                        each += self.counted_out(item, need);
                    }
                }
            }
            // A template has no instances yet; one must fit all the same.
            total += each * instances(service).max(1);
            if total > NEEDS_MAX {
                let message = format!("more than {NEEDS_MAX} needs, counted for each instance");
                let problem = Diagnostic::error(service.at.clone(), message);
                self.problems
                    .push(problem.help("put the needed services in a group and need the group: \"@name\""));
                return vec![Vec::new(); self.document.services.len()];
            }
            all.push(needs);
        }
        for circle in graph.circles(CIRCLES_MAX) {
            self.report_circle(&circle);
        }
        all
    }

    fn counted_out(&self, item: Item, need: Need) -> usize {
        match (item, need) {
            (Item::Service(service), Need::Service(_)) => instances(&self.document.services[service]),
            _ => 1,
        }
    }

    fn resolve_need(&mut self, service: &ServicePart, need: &Located<String>) -> Option<(Item, Need)> {
        let wanted = need.value.as_str();
        let unknown =
            |what: &str| format!("service `{}` needs `{}`, {what}", shorten(&service.name), shorten(wanted));
        if let Some(group) = wanted.strip_prefix('@') {
            if let Some(found) = self.groups.get(group) {
                return Some((Item::Group(*found), Need::Group(GroupId(index(*found)))));
            }
            let problem = Diagnostic::error(need.span.clone(), unknown("which does not exist"));
            self.problems.push(match self.nearest_group(group) {
                Some(near) => problem.label(format!("did you mean `@{near}`?")),
                None => problem,
            });
            return None;
        }
        if let Some((template, _)) = wanted.split_once('@')
            && self.services.contains_key(&wanted[..=template.len()])
        {
            let message = unknown("which is made while the tree runs");
            let problem = Diagnostic::error(need.span.clone(), message);
            self.problems.push(problem.help("need the group of the template: \"@group\""));
            return None;
        }
        let (name, number) =
            wanted.split_once('#').map_or((wanted, None), |(name, number)| (name, Some(number)));
        let found = self.services.get(name).copied();
        let Some((found, PlaceOf::Service(place))) = found.map(|at| (at, self.plan_places[at])) else {
            let problem = Diagnostic::error(need.span.clone(), unknown("which does not exist"));
            self.problems.push(if self.groups.contains_key(name) {
                problem.label(format!("a group is needed as `@{name}`"))
            } else {
                match self.nearest_service(name) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")),
                    None => problem,
                }
            });
            return None;
        };
        let count = instances(&self.document.services[found]);
        match number.map(str::parse::<usize>) {
            None => Some((Item::Service(found), Need::Service(place))),
            Some(Ok(n)) if (1..=count).contains(&n) && count > 1 => {
                Some((Item::Service(found), Need::Instance(place, index(n))))
            }
            Some(_) => {
                let problem =
                    Diagnostic::error(need.span.clone(), unknown("an instance which does not exist"));
                self.problems.push(problem.label(match count {
                    1 => format!("`{name}` has one instance: write `{name}`"),
                    _ => format!("`{name}` has the instances `{name}#1` to `{name}#{count}`"),
                }));
                None
            }
        }
    }

    fn report_circle(&mut self, circle: &[(Item, Why)]) {
        let mut names: Vec<String> = Vec::new();
        for (item, _) in circle {
            let name = self.item_name(*item);
            // The beginning and the end of a group are one name.
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        if names.len() > 1 && names.first() == names.last() {
            names.pop();
        }
        names.push(names[0].clone());
        if names.len() > CIRCLE_SHOWN {
            let left_out = names.len() - CIRCLE_SHOWN;
            names.splice(CIRCLE_SHOWN / 2..names.len() - CIRCLE_SHOWN / 2, [format!("({left_out} more)")]);
        }
        let written: Vec<_> = circle
            .iter()
            .filter_map(|(item, why)| match why {
                Why::Needs(at) => Some((item, at)),
                _ => None,
            })
            .collect();
        let Some((item, at)) = written.first() else { return };
        let mut problem = if circle.len() == 1 {
            Diagnostic::error((*at).clone(), format!("service {} needs itself", self.item_name(**item)))
        } else {
            let message = format!("these would wait for each other for ever: {}", names.join(" → "));
            Diagnostic::error((*at).clone(), message)
                .label(format!("{} waits for this", self.item_name(**item)))
        };
        for (item, at) in written.iter().skip(1).take(4) {
            problem = problem.related((*at).clone(), format!("{} waits for this", self.item_name(**item)));
        }
        let ordered = circle.iter().find_map(|(_, why)| match why {
            Why::Order(group) => Some(*group),
            _ => None,
        });
        if let Some(group) = ordered {
            let why = if self.otp(group) { "has OTP's semantics" } else { "is rest_for_one" };
            let help = format!(
                "{} {why}: its members start in the order of the file, each after the one before it",
                self.group_name(group)
            );
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }

    fn item_name(&self, item: Item) -> String {
        match item {
            Item::Service(service) => format!("`{}`", shorten(&self.document.services[service].name)),
            Item::Group(0) => "`the outermost group`".to_owned(),
            Item::Group(group) => format!("`@{}`", shorten(&self.document.groups[group - 1].name)),
        }
    }
}
