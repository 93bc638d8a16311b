//! `[group.NAME]` as builders: a group of members, a pool of one template, and what can stand in a group. Pure.

use super::keys::{Keys, Value};
use super::service::{Service, Template, common_options};
use super::words::{Backoff, Semantics};
use crate::supervisor::spec::{AutoShutdown, OnLimit, Restart, Strategy};
use crate::time::Duration;

/// A node of the supervision tree whose members are known beforehand. They start in the order in which they were added,
/// as far as needs and the strategy say.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(super) name: String,
    pub(super) keys: Keys,
    pub(super) members: Vec<Member>,
}

/// A group whose members are all made from one template while the tree runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub(super) name: String,
    pub(super) keys: Keys,
    pub(super) template: Template,
}

/// What can be added to a tree or a group.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Member {
    /// A service.
    Service(Service),
    /// A template; nothing runs before an instance of it is started.
    Template(Template),
    /// A group inside.
    Group(Group),
    /// A pool.
    Pool(Pool),
}

impl From<Service> for Member {
    fn from(service: Service) -> Member {
        Member::Service(service)
    }
}

impl From<Template> for Member {
    fn from(template: Template) -> Member {
        Member::Template(template)
    }
}

impl From<Group> for Member {
    fn from(group: Group) -> Member {
        Member::Group(group)
    }
}

impl From<Pool> for Member {
    fn from(pool: Pool) -> Member {
        Member::Pool(pool)
    }
}

pub(super) fn strategy(strategy: Strategy) -> Value {
    match strategy {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
    }
    .into()
}

pub(super) fn auto_shutdown(when: AutoShutdown) -> Value {
    match when {
        AutoShutdown::Never => "never",
        AutoShutdown::Any => "any",
        AutoShutdown::All => "all",
    }
    .into()
}

pub(super) fn on_limit(limit: OnLimit) -> Value {
    match limit {
        OnLimit::Escalate => "escalate",
        OnLimit::Park => "park",
    }
    .into()
}

/// What every group can say, the outermost included.
macro_rules! group_options {
    () => {
        /// How many restarts of all members together are allowed within [`period`](Self::period); the one after ends the
        /// group. No shared limit unless said.
        pub fn intensity(mut self, restarts: u32) -> Self {
            self.keys.set("intensity", restarts);
            self
        }

        /// The time that [`intensity`](Self::intensity) speaks of. Not zero; 5 s unless said.
        pub fn period(mut self, period: Duration) -> Self {
            self.keys.set("period", period);
            self
        }

        /// What happens at the limit; [`OnLimit::Escalate`] unless said.
        pub fn on_limit(mut self, limit: OnLimit) -> Self {
            self.keys.set("on_limit", crate::embed::group::on_limit(limit));
            self
        }

        /// Whose rules it follows; those of the group it is in unless said.
        pub fn semantics(mut self, semantics: Semantics) -> Self {
            self.keys.set("semantics", semantics);
            self
        }
    };
}
pub(super) use group_options;

/// What a group that is no pool can say, the outermost included.
macro_rules! member_options {
    () => {
        /// Who falls together when a member dies; [`Strategy::OneForOne`] unless said.
        pub fn strategy(mut self, strategy: Strategy) -> Self {
            self.keys.set("strategy", crate::embed::group::strategy(strategy));
            self
        }

        /// Whether it ends by itself when significant members end by themselves; never unless said.
        pub fn auto_shutdown(mut self, when: AutoShutdown) -> Self {
            self.keys.set("auto_shutdown", crate::embed::group::auto_shutdown(when));
            self
        }

        /// One more member, after those that are there.
        #[expect(clippy::should_implement_trait, reason = "nobody takes a member for a summand")]
        pub fn add(mut self, member: impl Into<Member>) -> Self {
            self.members.push(member.into());
            self
        }
    };
}
pub(super) use member_options;

impl Group {
    /// A group without members.
    pub fn new(name: impl Into<String>) -> Group {
        Group { name: name.into(), keys: Keys::default(), members: Vec::new() }
    }

    /// Its end may end the group it is in. Not while it is permanent.
    pub fn significant(mut self, significant: bool) -> Group {
        self.keys.set("significant", significant);
        self
    }

    common_options!();
    group_options!();
    member_options!();
}

impl Pool {
    /// A pool whose members are made from this template; its argument is their number.
    pub fn new(name: impl Into<String>, template: Template) -> Pool {
        Pool { name: name.into(), keys: Keys::default(), template }
    }

    /// With so many members, those that wait for their next try included, another start is refused. No bound unless said.
    pub fn max_children(mut self, max: u32) -> Pool {
        self.keys.set("max_children", max);
        self
    }

    /// Its end may end the group it is in. Not while it is permanent.
    pub fn significant(mut self, significant: bool) -> Pool {
        self.keys.set("significant", significant);
        self
    }

    common_options!();
    group_options!();
}
