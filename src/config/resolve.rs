//! What the document means: names looked up, defaults filled in, instances counted out.
//!
//! Everything that concerns more than one key is judged here. Each check looks a name up in a map and walks each list
//! once, so ten thousand services cost ten thousand steps.

use super::Origin;
use super::diagnostic::{Diagnostic, Lines, count};
use super::env_file;
use super::fields::{Located, Span, shorten};
use super::order::{Graph, Item, Why};
use super::plan::{Log, Plan, Program};
use super::policy::RestartPart;
use super::read::{Document, GroupPart, ServicePart};
use super::words::suggest;
use crate::supervisor::spec::{
    Backoff, Child, ChildId, DEFAULT_LIMIT, DEFAULT_READY_WITHIN, DEFAULT_STOP_SIGNAL, Group, GroupId,
    Intensity, Node, OTP_INTENSITY, Restart, Tree,
};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// All instances of all services: more than any machine has processes for.
const CHILDREN_MAX: usize = 100_000;
/// All needs of all instances, each counted out.
const NEEDS_MAX: usize = 1_000_000;
/// Groups in groups.
const DEPTH_MAX: usize = 64;
/// Names of one circle that are shown.
const CIRCLE_SHOWN: usize = 12;
/// Circles of needs that are listed.
const CIRCLES_MAX: usize = 20;

/// Where the keys stand that only the system can judge; one for each service, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// The first instance, by its place in `plan.programs`.
    pub first: usize,
    /// The value of `command`.
    pub command: Span,
    /// The value of `directory`, when it is written.
    pub directory: Option<Span>,
    /// The value of `user`, when it is written.
    pub user: Option<Span>,
}

pub(super) struct Resolver<'a> {
    document: &'a Document,
    text: &'a str,
    origin: &'a Origin<'a>,
    problems: &'a mut Vec<Diagnostic>,
    groups: HashMap<&'a str, usize>,
    services: HashMap<&'a str, usize>,
    /// For each group (0 is the root) the group it is in.
    parents: Vec<usize>,
    /// For each service the group it is in.
    homes: Vec<usize>,
    otp: Vec<bool>,
    /// Members of each group in the order of the file.
    members: Vec<Vec<Item>>,
    /// The first instance of each service, by its place among all.
    firsts: Vec<usize>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        document: &'a Document,
        text: &'a str,
        origin: &'a Origin<'a>,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Self {
        // Group 0 is the root; the one at index i of the file is i + 1.
        let groups = document.groups.iter().enumerate().map(|(i, g)| (g.name.as_str(), i + 1)).collect();
        let services = document.services.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
        Resolver {
            document,
            text,
            origin,
            problems,
            groups,
            services,
            parents: vec![0; document.groups.len() + 1],
            homes: vec![0; document.services.len()],
            otp: vec![false; document.groups.len() + 1],
            members: vec![Vec::new(); document.groups.len() + 1],
            firsts: Vec::with_capacity(document.services.len()),
        }
    }

    /// The plan, which is of no use when an error was found, and where its keys stand.
    pub(super) fn resolve(mut self) -> (Plan, Vec<Places>) {
        let project =
            self.document.name.as_ref().map_or(self.origin.project, |name| name.value.as_str()).to_owned();
        if let Some(group) = self.groups.get(project.as_str()) {
            let at = self.document.groups[*group - 1].at.clone();
            let message =
                format!("group `{project}` has the name of the project, which is the outermost group");
            self.problems
                .push(Diagnostic::error(at, message).help("give the group or the project another name"));
        }
        self.find_homes();
        self.find_semantics();
        self.find_members();
        if !self.count_instances() {
            return (Plan::default(), Vec::new());
        }
        self.check_services();
        let needs = self.find_needs();
        let plan = Plan {
            project: project.clone(),
            file: Some(self.origin.file.to_owned()),
            tree: Tree { groups: self.build_groups(project), children: self.build_children(&needs) },
            programs: self.build_programs(),
            flags: self.document.flags.clone(),
            log: self.log_base(),
        };
        let places = self.document.services.iter().zip(&self.firsts).map(|(service, first)| Places {
            first: *first,
            command: service.command.as_ref().map_or_else(|| service.at.clone(), |c| c.span.clone()),
            directory: service.directory.as_ref().map(|d| d.span.clone()),
            user: service.user.as_ref().map(|u| u.span.clone()),
        });
        (plan, places.collect())
    }

    // Groups: who is in which.

    fn find_homes(&mut self) {
        let document = self.document;
        for (i, service) in document.services.iter().enumerate() {
            if let Some(group) = &service.group {
                self.homes[i] = self.group_named(group, "service", &service.name);
            }
        }
        for (i, part) in document.groups.iter().enumerate() {
            if let Some(group) = &part.group {
                self.parents[i + 1] = self.group_named(group, "group", &part.name);
            }
        }
        self.break_group_circles();
    }

    fn group_named(&mut self, group: &'a Located<String>, kind: &str, name: &str) -> usize {
        let wanted = group.value.strip_prefix('@').unwrap_or(&group.value);
        if let Some(found) = self.groups.get(wanted) {
            return *found;
        }
        let message =
            format!("{kind} `{}` is in group `{}`, which does not exist", shorten(name), shorten(wanted));
        let problem = Diagnostic::error(group.span.clone(), message);
        self.problems.push(match self.nearest_group(wanted) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem.help(format!("declare it: [group.{}]", shorten(wanted))),
        });
        0
    }

    // Names in the order of the file, so that the same file always gets the same advice.

    fn nearest_group(&self, wanted: &str) -> Option<&'a str> {
        suggest(self.problems.len(), wanted, self.document.groups.iter().map(|g| g.name.as_str()))
    }

    fn nearest_service(&self, wanted: &str) -> Option<&'a str> {
        suggest(self.problems.len(), wanted, self.document.services.iter().map(|s| s.name.as_str()))
    }

    /// After this, following `parents` always ends at the root, after at most [`DEPTH_MAX`] steps.
    fn break_group_circles(&mut self) {
        let mut depth: Vec<Option<usize>> = vec![None; self.parents.len()];
        depth[0] = Some(0);
        let mut too_deep = false;
        for start in 1..self.parents.len() {
            let mut path = Vec::new();
            let mut place = HashMap::new();
            let mut at = start;
            while depth[at].is_none() {
                if let Some(from) = place.insert(at, path.len()) {
                    self.report_group_circle(&path[from..]);
                    let last = *path.last().expect("a circle has a member");
                    self.parents[last] = 0;
                    break;
                }
                path.push(at);
                at = self.parents[at];
            }
            for group in path.into_iter().rev() {
                let above = depth[self.parents[group]].expect("the walk goes from the root outwards");
                depth[group] = Some(above + 1);
                if above == DEPTH_MAX {
                    if !too_deep {
                        let message = format!("groups are nested more than {DEPTH_MAX} deep");
                        self.problems
                            .push(Diagnostic::error(self.document.groups[group - 1].at.clone(), message));
                    }
                    too_deep = true;
                    self.parents[group] = 0;
                    depth[group] = Some(1);
                }
            }
        }
    }

    fn report_group_circle(&mut self, circle: &[usize]) {
        let names =
            circle.iter().chain(&circle[..1]).map(|g| format!("`{}`", self.document.groups[*g - 1].name));
        let message = format!("groups are inside each other: {}", names.collect::<Vec<_>>().join(" in "));
        let part = &self.document.groups[circle[0] - 1];
        let at = part.group.as_ref().map_or_else(|| part.at.clone(), |group| group.span.clone());
        self.problems.push(Diagnostic::error(at, message));
    }

    /// A group inside an OTP group is one too, unless it says otherwise.
    fn find_semantics(&mut self) {
        self.otp[0] = self.document.root.otp.unwrap_or(false);
        for start in 1..self.parents.len() {
            let mut at = start;
            self.otp[start] = loop {
                match self.part(at).otp {
                    Some(said) => break said,
                    None if at == 0 => break false,
                    None => at = self.parents[at],
                }
            };
        }
    }

    fn find_members(&mut self) {
        let groups = self
            .document
            .groups
            .iter()
            .enumerate()
            .map(|(i, g)| (g.at.start, self.parents[i + 1], Item::Group(i + 1)));
        let services = self
            .document
            .services
            .iter()
            .enumerate()
            .map(|(i, s)| (s.at.start, self.homes[i], Item::Service(i)));
        let mut all: Vec<_> = groups.chain(services).collect();
        all.sort_by_key(|(at, ..)| *at);
        for (_, home, item) in all {
            self.members[home].push(item);
        }
    }

    fn part(&self, group: usize) -> &'a GroupPart {
        match group.checked_sub(1) {
            None => &self.document.root,
            Some(index) => &self.document.groups[index],
        }
    }

    fn group_name(&self, group: usize) -> String {
        match group.checked_sub(1) {
            None => "the outermost group".to_owned(),
            Some(index) => format!("group `{}`", self.document.groups[index].name),
        }
    }

    // Services: what each lacks or says in vain.

    /// False when there are more instances than can be counted out.
    fn count_instances(&mut self) -> bool {
        let mut total = 0;
        for service in &self.document.services {
            self.firsts.push(total);
            total += instances(service);
            if total > CHILDREN_MAX {
                let message = format!("more than {CHILDREN_MAX} instances in all services together");
                self.problems.push(Diagnostic::error(service.at.clone(), message));
                return false;
            }
        }
        true
    }

    fn check_services(&mut self) {
        for (i, service) in self.document.services.iter().enumerate() {
            if !service.has_command {
                let message = format!("service `{}` has no `command`", shorten(&service.name));
                let problem = Diagnostic::error(service.at.clone(), message);
                self.problems.push(problem.help("add: command = [\"./program\", \"argument\"]"));
            }
            let home = self.homes[i];
            if self.otp[home] {
                let part = service.restart.as_ref();
                self.refuse_in_otp(
                    home,
                    part,
                    service.backoff.as_ref().map(|b| (b.span.clone(), b.value.over(Backoff::default()))),
                );
            }
            self.warn_of_a_limit_in_vain(service);
        }
        for (i, part) in self.document.groups.iter().enumerate() {
            if self.otp[self.parents[i + 1]] {
                let restart = part.restart.as_ref().map(|r| &r.value);
                self.refuse_in_otp(
                    self.parents[i + 1],
                    restart,
                    part.backoff.as_ref().map(|b| (b.span.clone(), b.value.over(Backoff::default()))),
                );
            }
            self.check_window(part, self.otp[i + 1]);
        }
        self.check_window(&self.document.root, self.otp[0]);
    }

    /// S9: under OTP's semantics there is one window, the group's, and no wait.
    fn refuse_in_otp(
        &mut self,
        group: usize,
        restart: Option<&RestartPart>,
        backoff: Option<(Span, Backoff)>,
    ) {
        let label = format!("{} has OTP's semantics", self.group_name(group));
        let max = restart
            .and_then(|r| r.max.as_ref())
            .filter(|max| max.value.is_some())
            .map(|max| max.span.clone());
        let within = restart.and_then(|r| r.within.as_ref()).map(|within| within.span.clone());
        if let Some(at) = max.or(within) {
            let problem = Diagnostic::error(at, "under OTP's semantics a member has no limit of its own");
            self.problems.push(problem.label(&label).help("write `intensity` and `period` in the group"));
        }
        if let Some((at, _)) = backoff.filter(|(_, backoff)| *backoff != Backoff::NONE) {
            let problem = Diagnostic::error(at, "under OTP's semantics a restart never waits");
            self.problems.push(problem.label(&label).help("remove `backoff`"));
        }
    }

    fn check_window(&mut self, part: &GroupPart, otp: bool) {
        if let (None, Some(period), false) = (&part.intensity, &part.period, otp) {
            let problem =
                Diagnostic::error(period.span.clone(), "`period` without `intensity` limits nothing");
            self.problems.push(problem.help("add `intensity`: how many restarts are allowed within it"));
        }
    }

    fn warn_of_a_limit_in_vain(&mut self, service: &ServicePart) {
        let Some(restart) = &service.restart else { return };
        let policy = restart.policy.as_ref().or(self.document.defaults.restart.policy.as_ref());
        if let (Some(Restart::Temporary), Some(max)) = (policy.map(|p| p.value), &restart.max) {
            let problem = Diagnostic::warning(
                max.span.clone(),
                "a temporary service is never restarted: `max` limits nothing",
            );
            self.problems.push(problem.label(format!("in service `{}`", shorten(&service.name))));
        }
    }

    // Needs.

    /// The needs of each service, as nodes of the tree.
    fn find_needs(&mut self) -> Vec<Vec<Node>> {
        let mut graph = Graph::new(self.document.services.len(), self.members.len());
        for (group, members) in self.members.iter().enumerate() {
            let part = self.part(group);
            let in_order =
                self.otp[group] || part.strategy == Some(crate::supervisor::spec::Strategy::RestForOne);
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
            let mut nodes = Vec::new();
            for need in &service.needs {
                if let Some(item) = self.resolve_need(service, need, &mut nodes) {
                    graph.needs(i, item, need.span.clone());
                }
            }
            let mut seen = HashSet::new();
            nodes.retain(|node| seen.insert(*node));
            total += nodes.len() * instances(service);
            if total > NEEDS_MAX {
                let message = format!("more than {NEEDS_MAX} needs, counted for each instance");
                let problem = Diagnostic::error(service.at.clone(), message);
                self.problems
                    .push(problem.help("put the needed services in a group and need the group: \"@name\""));
                return vec![Vec::new(); self.document.services.len()];
            }
            all.push(nodes);
        }
        for circle in graph.circles(CIRCLES_MAX) {
            self.report_circle(&circle);
        }
        all
    }

    fn resolve_need(
        &mut self,
        service: &ServicePart,
        need: &Located<String>,
        nodes: &mut Vec<Node>,
    ) -> Option<Item> {
        let wanted = need.value.as_str();
        let unknown =
            |what: &str| format!("service `{}` needs `{}`, {what}", shorten(&service.name), shorten(wanted));
        if let Some(group) = wanted.strip_prefix('@') {
            if let Some(found) = self.groups.get(group) {
                nodes.push(Node::Group(GroupId(index(*found))));
                return Some(Item::Group(*found));
            }
            let problem = Diagnostic::error(need.span.clone(), unknown("which does not exist"));
            self.problems.push(match self.nearest_group(group) {
                Some(near) => problem.label(format!("did you mean `@{near}`?")),
                None => problem,
            });
            return None;
        }
        let (name, number) =
            wanted.split_once('#').map_or((wanted, None), |(name, number)| (name, Some(number)));
        let Some(found) = self.services.get(name).copied() else {
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
        let (first, count) = (self.firsts[found], instances(&self.document.services[found]));
        match number.map(str::parse::<usize>) {
            // Two services that need each other's ten thousand instances are two lists of ten thousand.
            None if nodes.len() + count <= NEEDS_MAX => {
                nodes.extend((first..first + count).map(|child| Node::Child(ChildId(index(child)))));
            }
            None => {}
            Some(Ok(n)) if (1..=count).contains(&n) && count > 1 => {
                nodes.push(Node::Child(ChildId(index(first + n - 1))));
            }
            Some(_) => {
                let problem =
                    Diagnostic::error(need.span.clone(), unknown("an instance which does not exist"));
                self.problems.push(problem.label(match count {
                    1 => format!("`{name}` has one instance: write `{name}`"),
                    _ => format!("`{name}` has the instances `{name}#1` to `{name}#{count}`"),
                }));
                return None;
            }
        }
        Some(Item::Service(found))
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
            let why = if self.otp[group] { "has OTP's semantics" } else { "is rest_for_one" };
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

    // Building.

    fn build_groups(&self, project: String) -> Vec<Group> {
        (0..self.members.len())
            .map(|i| {
                let part = self.part(i);
                let in_otp = i != 0 && self.otp[self.parents[i]];
                let window = if self.otp[i] { Some(OTP_INTENSITY) } else { None };
                let period = part.period.as_ref().map(|p| p.value);
                let intensity = match &part.intensity {
                    Some(max) => {
                        Some(Intensity { max: max.value, within: period.unwrap_or(OTP_INTENSITY.within) })
                    }
                    None => {
                        window.map(|window| Intensity { within: period.unwrap_or(window.within), ..window })
                    }
                };
                Group {
                    name: if i == 0 { project.clone() } else { part.name.clone() },
                    parent: (i != 0).then(|| GroupId(index(self.parents[i]))),
                    strategy: part.strategy.unwrap_or_default(),
                    intensity,
                    on_limit: part.on_limit.unwrap_or_default(),
                    otp: self.otp[i],
                    members: self.members[i].iter().flat_map(|item| self.nodes(*item)).collect(),
                    after: Vec::new(),
                    limit: self.limit(in_otp, part.restart.as_ref().map(|r| &r.value)).filter(|_| i != 0),
                    backoff: self.backoff(in_otp, part.backoff.as_ref().map(|b| &b.value)),
                }
            })
            .collect()
    }

    fn nodes(&self, item: Item) -> Vec<Node> {
        match item {
            Item::Group(group) => vec![Node::Group(GroupId(index(group)))],
            Item::Service(service) => {
                let first = self.firsts[service];
                let count = instances(&self.document.services[service]);
                (first..first + count).map(|child| Node::Child(ChildId(index(child)))).collect()
            }
        }
    }

    fn build_children(&self, needs: &[Vec<Node>]) -> Vec<Child> {
        let defaults = &self.document.defaults;
        let mut children = Vec::new();
        for (i, service) in self.document.services.iter().enumerate() {
            let otp = self.otp[self.homes[i]];
            let restart = service.restart.as_ref();
            let policy = restart.and_then(|r| r.policy.as_ref()).or(defaults.restart.policy.as_ref());
            let clean = restart.and_then(|r| r.clean.as_ref()).or(defaults.restart.clean.as_ref());
            let stop = service.stop.clone().unwrap_or_default();
            let within = service
                .ready
                .as_ref()
                .map(|r| r.within.or(defaults.ready_within).unwrap_or(DEFAULT_READY_WITHIN));
            for name in instance_names(service) {
                children.push(Child {
                    name,
                    group: GroupId(index(self.homes[i])),
                    restart: policy.map_or(Restart::Permanent, |p| p.value),
                    limit: self.limit(otp, restart),
                    backoff: self.backoff(otp, service.backoff.as_ref().map(|b| &b.value)),
                    ready_within: within,
                    grace: stop.grace.or(defaults.stop.grace).unwrap_or_default(),
                    stop_signal: stop.signal.or(defaults.stop.signal).unwrap_or(DEFAULT_STOP_SIGNAL),
                    clean: clean.cloned().unwrap_or_default(),
                    needs: needs[i].clone(),
                    autostart: service.autostart.unwrap_or(true),
                });
            }
        }
        children
    }

    fn limit(&self, otp: bool, part: Option<&RestartPart>) -> Option<Intensity> {
        if otp {
            return None;
        }
        let below = self.document.defaults.restart.limit(Some(DEFAULT_LIMIT), DEFAULT_LIMIT);
        part.map_or(below, |part| part.limit(below, DEFAULT_LIMIT))
    }

    fn backoff(&self, otp: bool, part: Option<&super::policy::BackoffPart>) -> Backoff {
        if otp {
            return Backoff::NONE;
        }
        let below = self
            .document
            .defaults
            .backoff
            .as_ref()
            .map_or_else(Backoff::default, |b| b.over(Backoff::default()));
        part.map_or(below, |part| part.over(below))
    }

    fn log_base(&self) -> Log {
        self.document.log.as_ref().map_or_else(Log::default, |part| part.over(&Log::default()))
    }

    fn build_programs(&mut self) -> Vec<Program> {
        let log = self.log_base();
        let log = self.document.defaults.log.as_ref().map_or(log.clone(), |part| part.over(&log));
        let lines = Lines::of(self.text);
        let mut files = HashMap::new();
        let mut programs = Vec::new();
        for service in &self.document.services {
            let directory = match &service.directory {
                Some(directory) => self.origin.folder().join(&directory.value),
                None => self.origin.folder().to_owned(),
            };
            let mut env = self.document.defaults.env.clone();
            for file in &service.env_files {
                env.extend(self.read_env_file(file, &mut files));
            }
            env.extend(service.env.iter().cloned());
            let program = Program {
                service: service.name.clone(),
                instance: String::new(),
                argv: service.command.as_ref().map(|c| c.value.clone()).unwrap_or_default(),
                env,
                inherit_env: service.inherit_env.or(self.document.defaults.inherit_env).unwrap_or(true),
                directory,
                user: service.user.as_ref().map(|u| u.value.clone()),
                umask: service.umask,
                ready: service.ready.as_ref().and_then(|r| r.how.clone()).unwrap_or_default(),
                log: service.log.as_ref().map_or_else(|| log.clone(), |part| part.over(&log)),
                line: index(lines.line(service.at.start)),
            };
            programs.extend(instance_names(service).map(|instance| Program { instance, ..program.clone() }));
        }
        programs
    }

    /// Each file is read once, however many services name it. `?` in front: it may be absent.
    fn read_env_file(
        &mut self,
        file: &Located<String>,
        seen: &mut HashMap<PathBuf, Option<Vec<(String, String)>>>,
    ) -> Vec<(String, String)> {
        let optional = file.value.strip_prefix('?');
        let path = self.origin.folder().join(optional.unwrap_or(&file.value));
        if let Some(known) = seen.get(&path) {
            return known.clone().unwrap_or_default();
        }
        let mut fail = |reason: String| {
            self.problems.push(Diagnostic::error(file.span.clone(), reason));
            None
        };
        let shown = path.display();
        let found = match (self.origin.env_files)(&path) {
            Ok(text) => match env_file::parse(&text) {
                Ok(variables) => Some(variables),
                Err(bad) => {
                    let more = if bad.len() > 1 {
                        format!(" (and {})", count(bad.len() - 1, "more bad line"))
                    } else {
                        String::new()
                    };
                    fail(format!("line {} of `{shown}`: {}{more}", bad[0].line, bad[0].reason))
                }
            },
            Err(error) if optional.is_some() && error.kind() == std::io::ErrorKind::NotFound => {
                Some(Vec::new())
            }
            Err(error) => fail(format!("cannot read `{shown}`: {error}")),
        };
        seen.insert(path, found.clone());
        found.unwrap_or_default()
    }
}

fn instances(service: &ServicePart) -> usize {
    service.instances.unwrap_or(1) as usize
}

/// `web`, or `web#1` to `web#4`.
fn instance_names(service: &ServicePart) -> impl Iterator<Item = String> {
    let count = instances(service);
    (1..=count).map(move |n| if count == 1 { service.name.clone() } else { format!("{}#{n}", service.name) })
}

/// Counts are bounded by `CHILDREN_MAX` and by the size of the file.
fn index(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 of anything in a file")
}
