//! Templates, with names instead of places: the tree that they were read with may look different by the time an
//! instance is made. Pure.

use crate::config::Template;
use crate::config::plan::Plan;
use crate::supervisor::spec::Node;

/// A template, and what its places mean.
pub struct Stencil {
    /// As the plan has it.
    pub template: Template,
    /// The name of its group.
    pub group: String,
    /// Its group is a pool.
    pub pool: bool,
    /// What it needs: instances, and groups as `@name`.
    pub needs: Vec<String>,
}

impl Stencil {
    /// All of a plan.
    pub fn all(plan: &Plan) -> Vec<Stencil> {
        let tree = &plan.tree;
        let name = |node: &Node| match *node {
            Node::Child(child) => tree.children[child.0 as usize].name.clone(),
            Node::Group(group) => format!("@{}", tree.groups[group.0 as usize].name),
        };
        let stencil = |template: &Template| {
            let group = &tree.groups[template.child.group.0 as usize];
            Stencil {
                group: group.name.clone(),
                pool: group.pool.is_some(),
                needs: template.child.needs.iter().map(name).collect(),
                template: template.clone(),
            }
        };
        plan.templates.iter().map(stencil).collect()
    }
}
