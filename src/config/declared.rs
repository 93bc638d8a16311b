//! Services as they were declared, before they are counted out into instances, and what it takes to count them again.
//!
//! A tree knows instances only: whether `web#2` is there because somebody needs it or because `web` has two cannot be
//! told from it. This keeps what was meant, so that [`Plan::scaled`] gives the tree that the file would have given.
//! It must not decide what may be declared: that is `resolve`'s.

use super::plan::{Plan, Program};
use super::words;
use crate::supervisor::spec::{Child, ChildId, GroupId, Node};
use std::collections::HashSet;
use std::fmt;

/// Copies of one service.
pub const INSTANCES_MAX: u32 = 10_000;
/// All instances of all services: more than any machine has processes for.
pub const CHILDREN_MAX: usize = 100_000;
/// All needs of all instances, each counted out.
pub const NEEDS_MAX: usize = 1_000_000;

/// What a plan was counted out from.
#[derive(Clone, Debug, Default, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Declared {
    /// In the order of the file, without templates.
    pub services: Vec<Service>,
    /// The members of each group in the order of the file, without templates; the index is that of `tree.groups`.
    pub members: Vec<Vec<Member>>,
}

/// One service. Its instances stand together in `tree.children` and in `programs`.
#[derive(Clone, Debug, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Service {
    /// `web`
    pub name: String,
    /// The place of its first instance.
    pub first: u32,
    /// How many instances it has.
    pub count: u32,
    /// Its first instance is `web#1`; else it is `web`, and the second `web#2`.
    pub numbered: bool,
    /// What it needs, as it was written.
    pub needs: Vec<Need>,
    /// What an instance of it would be, while there is none.
    pub spare: Option<Box<(Child, Program)>>,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Member {
    /// All instances of a service: its place in [`Declared::services`].
    Service(u32),
    /// A group.
    Group(GroupId),
}

/// Something that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, bincode::Encode, bincode::Decode)]
pub enum Need {
    /// All instances of a service: its place in [`Declared::services`].
    Service(u32),
    /// One instance: the service, and its number from 1.
    Instance(u32, u32),
    /// A group.
    Group(GroupId),
}

/// Why a service cannot have so many instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleError {
    /// There is no such service.
    Unknown {
        /// The one that was probably meant.
        near: Option<String>,
    },
    /// It is a template: its instances are made one by one.
    Template,
    /// More than one service may have.
    TooMany,
    /// More than all services together may have.
    TooManyTogether,
    /// More needs than can be counted out.
    TooManyNeeds,
    /// An instance that would go is needed by name.
    Needed {
        /// Who needs it.
        by: String,
        /// `web#3`
        instance: String,
    },
}

impl fmt::Display for ScaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScaleError::Unknown { near: Some(near) } => {
                write!(f, "there is no such service, did you mean `{near}`?")
            }
            ScaleError::Unknown { near: None } => f.write_str("there is no such service"),
            ScaleError::Template => {
                f.write_str("it is a template: its instances are started and deleted one by one")
            }
            ScaleError::TooMany => write!(f, "a service has at most {INSTANCES_MAX} instances"),
            ScaleError::TooManyTogether => {
                write!(f, "all services together have at most {CHILDREN_MAX} instances")
            }
            ScaleError::TooManyNeeds => {
                write!(f, "that makes more than {NEEDS_MAX} needs, counted for each instance")
            }
            ScaleError::Needed { by, instance } => write!(f, "`{by}` needs `{instance}`, which would go"),
        }
    }
}

impl std::error::Error for ScaleError {}

impl Service {
    /// The name of its instance `number`, which counts from 1.
    pub fn instance_name(&self, number: u32) -> String {
        if number == 1 && !self.numbered { self.name.clone() } else { format!("{}#{number}", self.name) }
    }

    /// Its instances, by their places in `tree.children`.
    pub fn instances(&self) -> std::ops::Range<usize> {
        self.first as usize..self.first as usize + self.count as usize
    }
}

impl Plan {
    /// The same plan with `count` instances of `service`, which may be none.
    ///
    /// Instances keep their names: `web#1` to `web#4` scaled to 2 are `web#1` and `web#2`. A service without
    /// `instances` keeps `web` and gets `web#2`, `web#3`. Who needs the service needs all that it has then.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn scaled(&self, service: &str, count: u32) -> Result<Plan, ScaleError> {
        let services = &self.declared.services;
        let Some(at) = services.iter().position(|s| s.name == service) else {
            if self.templates.iter().any(|t| t.name == service) {
                return Err(ScaleError::Template);
            }
            let near = words::nearest(service, services.iter().map(|s| s.name.as_str()));
            return Err(ScaleError::Unknown { near: near.map(str::to_owned) });
        };
        if count > INSTANCES_MAX {
            return Err(ScaleError::TooMany);
        }
        self.check_needs_of_instances(at, count)?;
        let mut plan = self.clone();
        let prototypes = plan.take_prototypes();
        plan.declared.services[at].count = count;
        if plan.declared.services.iter().map(|s| s.count as usize).sum::<usize>() > CHILDREN_MAX {
            return Err(ScaleError::TooManyTogether);
        }
        if plan.needs_counted_out() > NEEDS_MAX {
            return Err(ScaleError::TooManyNeeds);
        }
        plan.count_out(prototypes);
        Ok(plan)
    }

    fn check_needs_of_instances(&self, service: usize, count: u32) -> Result<(), ScaleError> {
        let needs = self.declared.services.iter().map(|s| (&s.name, &s.needs));
        let needs = needs.chain(self.templates.iter().map(|t| (&t.name, &t.needs)));
        for (by, needs) in needs {
            for need in needs {
                if let Need::Instance(needed, number) = need
                    && *needed as usize == service
                    && *number > count
                {
                    let instance = self.declared.services[service].instance_name(*number);
                    return Err(ScaleError::Needed { by: by.clone(), instance });
                }
            }
        }
        Ok(())
    }

    /// How many needs all instances have together, at most; of each template one instance is counted.
    fn needs_counted_out(&self) -> usize {
        let services = &self.declared.services;
        let each = |need: &Need| match need {
            Need::Service(service) => services[*service as usize].count as usize,
            Need::Instance(..) | Need::Group(_) => 1,
        };
        let sum = |needs: &[Need]| needs.iter().map(each).sum::<usize>();
        let templates: usize = self.templates.iter().map(|template| sum(&template.needs)).sum();
        templates + services.iter().map(|service| sum(&service.needs) * service.count as usize).sum::<usize>()
    }

    /// What an instance of each service is, without its name and its needs.
    fn take_prototypes(&mut self) -> Vec<(Child, Program)> {
        let (children, programs) = (&self.tree.children, &self.programs);
        let one = |service: &mut Service| match service.spare.take() {
            Some(spare) => *spare,
            None => (children[service.first as usize].clone(), programs[service.first as usize].clone()),
        };
        self.declared.services.iter_mut().map(one).collect()
    }

    /// Makes the instances of all services, each after its prototype, and everything that names them.
    pub(super) fn count_out(&mut self, prototypes: Vec<(Child, Program)>) {
        let mut first = 0;
        for service in &mut self.declared.services {
            service.first = first;
            first += service.count;
        }
        self.tree.children = Vec::with_capacity(first as usize);
        self.programs = Vec::with_capacity(first as usize);
        for (at, (mut child, mut program)) in prototypes.into_iter().enumerate() {
            child.needs = self.declared.nodes_of(&self.declared.services[at].needs);
            let service = &mut self.declared.services[at];
            for number in 1..=service.count {
                let name = service.instance_name(number);
                self.tree.children.push(Child { name: name.clone(), ..child.clone() });
                self.programs.push(Program { instance: name, ..program.clone() });
            }
            if service.count == 0 {
                (child.needs, child.name, program.instance) = (Vec::new(), String::new(), String::new());
                service.spare = Some(Box::new((child, program)));
            }
        }
        for template in &mut self.templates {
            template.child.needs = self.declared.nodes_of(&template.needs);
        }
        for (group, members) in self.tree.groups.iter_mut().zip(&self.declared.members) {
            group.members = members.iter().flat_map(|member| self.declared.nodes(*member)).collect();
        }
    }
}

impl Declared {
    fn nodes(&self, member: Member) -> Box<dyn Iterator<Item = Node> + '_> {
        match member {
            Member::Group(group) => Box::new(std::iter::once(Node::Group(group))),
            Member::Service(service) => {
                let service = &self.services[service as usize];
                Box::new((service.first..service.first + service.count).map(|at| Node::Child(ChildId(at))))
            }
        }
    }

    fn nodes_of(&self, needs: &[Need]) -> Vec<Node> {
        let mut seen = HashSet::new();
        let mut nodes = Vec::new();
        for need in needs {
            match *need {
                Need::Service(service) => nodes.extend(self.nodes(Member::Service(service))),
                Need::Instance(service, number) => {
                    nodes.push(Node::Child(ChildId(self.services[service as usize].first + number - 1)));
                }
                Need::Group(group) => nodes.push(Node::Group(group)),
            }
        }
        nodes.retain(|node| seen.insert(*node));
        nodes
    }
}
