//! What the core keeps of the policies that it was given: instances whose policies are the same share one.
//!
//! A hundred instances of a service have a hundred names and one policy; so have most services of a large file that
//! says little about each. It must not know what anything is doing.

use super::spec::{Child, Group, GroupId, Node};
use std::ops::Deref;
use std::sync::{Arc, Weak};

/// So many policies are looked at before a new one is made. Instances come one after the other, so the newest ones are
/// those that will be met again.
const LOOKED_AT: usize = 32;

/// The tree as the core keeps it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// All groups, by number. Who is in them is asked of [`super::Supervisor::members`].
    pub groups: Vec<Group>,
    /// All instances, by number.
    pub children: Vec<Instance>,
}

/// One instance: what is its own, and the policy that it may share. Reads like a [`Child`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    /// As [`Child::name`].
    pub name: Arc<str>,
    /// As [`Child::group`].
    pub group: GroupId,
    /// As [`Child::needs`].
    pub needs: Vec<Node>,
    /// As [`Child::added`].
    pub added: bool,
    /// The rest; what is the instance's own is blank in it.
    policy: Arc<Child>,
}

impl Instance {
    /// The whole policy, as it was given.
    pub fn policy(&self) -> Child {
        Child {
            name: self.name.as_ref().to_owned(),
            group: self.group,
            needs: self.needs.clone(),
            added: self.added,
            ..self.policy.as_ref().clone()
        }
    }
}

impl Deref for Instance {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.policy
    }
}

/// The newest policies.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    newest: [Weak<Child>; LOOKED_AT],
    next: usize,
}

impl Policies {
    /// `child` as an instance that shares its policy with others, if one of the newest is the same.
    pub(super) fn keep(&mut self, child: Child) -> Instance {
        let Child { name, group, needs, added, .. } = child;
        let own =
            Child { name: String::new(), group: GroupId::ROOT, needs: Vec::new(), added: false, ..child };
        let same = self.newest.iter().filter_map(Weak::upgrade).find(|known| **known == own);
        let policy = same.unwrap_or_else(|| {
            let policy = Arc::new(own);
            self.newest[self.next] = Arc::downgrade(&policy);
            self.next = (self.next + 1) % LOOKED_AT;
            policy
        });
        Instance { name: name.into(), group, needs, added, policy }
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::Restart;
    use super::*;

    fn child(name: &str) -> Child {
        Child { name: name.to_owned(), needs: vec![Node::Group(GroupId(1))], ..Child::default() }
    }

    #[test]
    fn instances_of_one_policy_share_it_and_read_as_they_were_given() {
        let mut policies = Policies::default();
        let (one, two) = (policies.keep(child("web#1")), policies.keep(child("web#2")));
        let other = policies.keep(Child { restart: Restart::Transient, ..child("job") });
        assert!(Arc::ptr_eq(&one.policy, &two.policy) && !Arc::ptr_eq(&one.policy, &other.policy));
        assert_eq!((one.policy(), two.policy()), (child("web#1"), child("web#2")));
        assert_eq!((other.restart, &*other.name), (Restart::Transient, "job"));
    }

    #[test]
    fn a_policy_that_nobody_has_any_more_is_not_kept() {
        let mut policies = Policies::default();
        drop(policies.keep(child("web")));
        assert!(policies.newest.iter().all(|known| known.upgrade().is_none()));
    }
}
