//! What the document means: names looked up, defaults filled in, instances counted out.
//!
//! Everything that concerns more than one key is judged here. Each check looks a name up in a map and walks each list
//! once, so ten thousand services cost ten thousand steps.

mod build;
mod flags;
mod migrations;
mod needs;
mod rules;

use super::Origin;
use super::declared::{CHILDREN_MAX, Declared, Member};
use super::diagnostic::{Diagnostic, Locator};
use super::fields::{Located, Span, shorten};
use super::order::Item;
use super::plan::Plan;
use super::read::{Document, GroupPart, Semantics, ServicePart};
use super::words::suggest;
use crate::supervisor::spec::{GroupId, Tree};
use std::collections::HashMap;

/// Groups in groups.
const DEPTH_MAX: usize = 64;

/// Where the keys stand that only the system can judge; one for each service, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    /// Whose they are.
    pub of: PlaceOf,
    /// The value of `command`.
    pub command: Span,
    /// The value of `directory`, when it is written.
    pub directory: Option<Span>,
    /// The value of `user`, when it is written.
    pub user: Option<Span>,
}

/// A service or a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceOf {
    /// Its place in `plan.declared.services`.
    Service(u32),
    /// Its place in `plan.templates`.
    Template(u32),
}

pub(super) struct Resolver<'a> {
    document: &'a Document,
    locator: &'a Locator<'a>,
    origin: &'a Origin<'a>,
    problems: &'a mut Vec<Diagnostic>,
    groups: HashMap<&'a str, usize>,
    services: HashMap<&'a str, usize>,
    flags: HashMap<&'a str, usize>,
    migrations: HashMap<&'a str, usize>,
    /// For each group (0 is the root) the group it is in.
    parents: Vec<usize>,
    /// For each service the group it is in.
    homes: Vec<usize>,
    semantics: Vec<Semantics>,
    /// Members of each group in the order of the file, templates among them.
    members: Vec<Vec<Item>>,
    /// Where each service of the document will stand in the plan.
    plan_places: Vec<PlaceOf>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        document: &'a Document,
        locator: &'a Locator<'a>,
        origin: &'a Origin<'a>,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Self {
        // Group 0 is the root; the one at index i of the file is i + 1.
        let groups = document.groups.iter().enumerate().map(|(i, g)| (g.name.as_str(), i + 1)).collect();
        let services = document.services.iter().enumerate().map(|(i, s)| (s.name.as_str(), i)).collect();
        Resolver {
            document,
            locator,
            origin,
            problems,
            groups,
            services,
            flags: document.flags.iter().enumerate().map(|(i, f)| (f.declaration.name.as_str(), i)).collect(),
            migrations: document
                .migrations
                .iter()
                .enumerate()
                .map(|(i, m)| (m.migration.name.as_str(), i))
                .collect(),
            parents: vec![0; document.groups.len() + 1],
            homes: vec![0; document.services.len()],
            semantics: vec![Semantics::Mainstay; document.groups.len() + 1],
            members: vec![Vec::new(); document.groups.len() + 1],
            plan_places: plan_places(document),
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
        self.check_rules();
        let needs = self.find_needs();
        let (services, templates, prototypes) = self.build_services(needs);
        let flags = self.find_flags();
        let migrations = self.find_migrations();
        let mut plan = Plan {
            project: project.clone(),
            file: Some(self.origin.file.to_owned()),
            parts: self.origin.parts.iter().map(|part| part.file.clone()).collect(),
            tree: Tree { groups: self.build_groups(project), children: Vec::new() },
            declared: Declared { services, members: self.declared_members() },
            templates,
            flags,
            migrations,
            guard: self.document.guard.unwrap_or_default(),
            telemetry: self.document.telemetry.clone().unwrap_or_default(),
            fate_shared: self.document.fate_shared.unwrap_or(false),
            log: self.log_base(),
            ..Plan::default()
        };
        plan.count_out(prototypes);
        let places = self.document.services.iter().zip(&self.plan_places).map(|(service, of)| Places {
            of: *of,
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

    fn nearest_flag(&self, wanted: &str) -> Option<&'a str> {
        suggest(self.problems.len(), wanted, self.document.flags.iter().map(|f| f.declaration.name.as_str()))
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
        for start in 0..self.parents.len() {
            let mut at = start;
            self.semantics[start] = loop {
                match self.part(at).semantics {
                    Some(said) => break said,
                    None if at == 0 => break Semantics::Mainstay,
                    None => at = self.parents[at],
                }
            };
        }
    }

    fn otp(&self, group: usize) -> bool {
        self.semantics[group].is_otp()
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

    /// The members as the plan keeps them: a template is none before it has an instance.
    fn declared_members(&self) -> Vec<Vec<Member>> {
        let member = |item: &Item| match *item {
            Item::Group(group) => Some(Member::Group(GroupId(index(group)))),
            Item::Service(service) => match self.plan_places[service] {
                PlaceOf::Service(place) => Some(Member::Service(place)),
                PlaceOf::Template(_) => None,
            },
        };
        self.members.iter().map(|items| items.iter().filter_map(member).collect()).collect()
    }

    /// False when there are more instances than can be counted out.
    fn count_instances(&mut self) -> bool {
        let mut total = 0;
        for service in &self.document.services {
            total += instances(service);
            if total > CHILDREN_MAX {
                let message = format!("more than {CHILDREN_MAX} instances in all services together");
                self.problems.push(Diagnostic::error(service.at.clone(), message));
                return false;
            }
        }
        true
    }
}

/// How many there are when the tree starts.
fn instances(service: &ServicePart) -> usize {
    if service.template { 0 } else { service.instances.unwrap_or(1) as usize }
}

fn plan_places(document: &Document) -> Vec<PlaceOf> {
    let (mut services, mut templates) = (0, 0);
    let place = |service: &ServicePart| {
        let count = if service.template { &mut templates } else { &mut services };
        *count += 1;
        if service.template { PlaceOf::Template(*count - 1) } else { PlaceOf::Service(*count - 1) }
    };
    document.services.iter().map(place).collect()
}

/// Counts are bounded by `CHILDREN_MAX` and by the size of the file.
fn index(place: usize) -> u32 {
    u32::try_from(place).expect("fewer than 2^32 of anything in a file")
}
