//! The administrative calls of OTP's supervisor, as clients make them: terminate, restart-child, delete-child, count,
//! which; and the rolling restart. (start-child is in `new_child.rs`.)
//!
//! Invariant: a call that is refused has changed nothing, and says what, why and the next command.

use super::Driver;
use super::control::{Answer, refused};
use super::roster::USER_ROOT;
use super::tell::{Tell, word};
use crate::config::diagnostic::count;
use crate::exit_code::ExitCode;
use crate::ipc::control::{Counts, Refusal, Reply, Verb};
use crate::supervisor::spec::{ChildId, GroupId, Node};
use crate::supervisor::{Change, Flaw, Refused, Standing};
use crate::sys::{clock, pidfd};

impl Driver {
    /// `terminate`, `restart-child`, `delete-child`
    pub(super) fn administer(&mut self, verb: Verb, targets: &[String], pid: u32, dry_run: bool) -> Answer {
        if verb != Verb::Terminate {
            self.not_ending()?;
        }
        let Some(node) = self.one_node(targets, pid)? else {
            // It has ended, as was asked for (D04).
            return Ok(Vec::new());
        };
        let name = self.name_of(node);
        let children = self.children_of(&[node]);
        let before: Vec<(String, u32)> = children
            .iter()
            .map(|child| {
                let pid = self.slots[child.0 as usize].pid().unwrap_or(0);
                (self.roster.instance(*child).to_owned(), pid)
            })
            .collect();
        let change = match (verb, node) {
            (Verb::DeleteChild, Node::Child(child)) => Change::DeleteChild(child),
            (Verb::DeleteChild, Node::Group(_)) => {
                return Err(refused(
                    format!("`{name}` is a group"),
                    "take it out of the file, then mainstay reload",
                ));
            }
            (Verb::RestartChild, node) => Change::RestartChild(node),
            (_, node) => Change::Terminate(node),
        };
        let mut states: Vec<String> = Vec::new();
        if !dry_run {
            let (mut actions, now) = (Vec::new(), clock::now());
            if let Err(refused) = self.core.change(now, change, &mut actions) {
                return Err(self.why_not(&name, refused));
            }
            self.act_all(now, actions);
        }
        for (child, (instance, _)) in children.iter().zip(&before) {
            let there = self.core.is_child(*child) && self.roster.instance(*child) == instance;
            states.push(if there { word(self.core.state(*child)).to_owned() } else { String::new() });
        }
        let said = before.into_iter().zip(states);
        Ok(said.map(|((instance, pid), state)| Tell::say(Reply::Acted { instance, pid, state })).collect())
    }

    /// The one node that is meant, by name or by pid. `None`: a process of a pool that has ended.
    fn one_node(&self, targets: &[String], pid: u32) -> Result<Option<Node>, Refusal> {
        let usage = |message: &str| Refusal {
            code: ExitCode::Usage as u8,
            message: message.to_owned(),
            hint: String::new(),
        };
        let target = match targets {
            [] if pid != 0 => None,
            [one] => Some(one.as_str()),
            _ => return Err(usage("it takes one child")),
        };
        if pid != 0 {
            return self.by_pid(target, pid);
        }
        let name = target.unwrap_or_default();
        let node = match name.strip_prefix('@') {
            Some(group) => Node::Group(self.group_of(group)?),
            None => Node::Child(self.core.child_named(name).ok_or_else(|| self.unknown(name))?),
        };
        if let Node::Child(child) = node
            && let Some(pool) = self.pool_of(child)
        {
            return Err(self.by_pid_only(child, pool));
        }
        Ok(Some(node))
    }

    /// Members of a pool are known by their processes (D03, J05); of nobody else is a pid a name (C05).
    fn by_pid(&self, target: Option<&str>, pid: u32) -> Result<Option<Node>, Refusal> {
        let pool = match target {
            None => None,
            Some(name) => {
                let group = self.group_of(name.trim_start_matches('@'))?;
                if self.core.tree().groups[group.0 as usize].pool.is_none() {
                    return Err(Refusal {
                        code: ExitCode::NotFound as u8,
                        message: format!("`{name}` is no pool, so no pid names a member of it"),
                        hint: "name the child itself".into(),
                    });
                }
                Some(group)
            }
        };
        let is_it = |child: &ChildId| match self.pool_of(*child) {
            Some(group) => pool.is_none_or(|pool| pool == group),
            None => false,
        };
        if let Some(child) = self.pids.get(&pid).or_else(|| self.past_pids.get(&pid)).filter(|c| is_it(c)) {
            return Ok(Some(Node::Child(*child)));
        }
        let lives = pidfd::open(pid).is_ok_and(|found| found.is_some());
        if pool.is_some() && !lives {
            return Ok(None);
        }
        Err(Refusal {
            code: ExitCode::NotFound as u8,
            message: format!("pid {pid} is no member of a pool"),
            hint: "mainstay which @POOL lists them".into(),
        })
    }

    /// The pool that a child is in.
    pub(super) fn pool_of(&self, child: ChildId) -> Option<GroupId> {
        if !self.core.is_child(child) {
            return None;
        }
        let tree = self.core.tree();
        let group = tree.children[child.0 as usize].group;
        tree.groups[group.0 as usize].pool.map(|_| group)
    }

    fn by_pid_only(&self, child: ChildId, pool: GroupId) -> Refusal {
        let (name, pool) = (self.roster.instance(child), self.roster.group(pool));
        let pid = self.slots[child.0 as usize].last_pid;
        refused(
            format!("`{name}` is in pool `@{pool}`, whose members are known by pid, not by name"),
            format!("mainstay terminate @{pool} --pid {pid}"),
        )
    }

    pub(super) fn group_of(&self, name: &str) -> Result<GroupId, Refusal> {
        let found = self.roster.group_named(&self.core, name);
        found.ok_or_else(|| self.unknown(&format!("@{name}")))
    }

    /// `count`
    pub(super) fn count(&self, group: &str) -> Answer {
        let group = match group.trim_start_matches('@') {
            "" => USER_ROOT,
            name => self.group_of(name)?,
        };
        let counts = self.core.count(group);
        Ok(vec![Tell::say(Reply::Counts(Counts {
            group: self.roster.group(group).to_owned(),
            specs: counts.specs,
            active: counts.active,
            supervisors: counts.supervisors,
            workers: counts.workers,
        }))])
    }

    /// `which`
    pub(super) fn which_of(&self, target: &str, pid: u32) -> Answer {
        if pid != 0 {
            let target = Some(target).filter(|target| !target.is_empty());
            return match self.by_pid(target, pid)? {
                Some(node) => Ok(vec![Tell::Which(node)]),
                None => Err(Refusal {
                    code: ExitCode::NotFound as u8,
                    message: format!("pid {pid} is no member of a pool"),
                    hint: String::new(),
                }),
            };
        }
        let group = match target.strip_prefix('@') {
            Some(group) => self.group_of(group)?,
            None if target.is_empty() => USER_ROOT,
            None => {
                let node = self.one_node(&[target.to_owned()], 0)?;
                return Ok(node.into_iter().map(Tell::Which).collect());
            }
        };
        Ok(self.core.members(group).rev().map(Tell::Which).collect())
    }

    /// `restart --rolling`
    pub(super) fn begin_roll(
        &mut self,
        targets: &[String],
        at_once: u32,
        share: u32,
        dry_run: bool,
    ) -> Answer {
        self.not_ending()?;
        let children = self.children_of(&self.named(targets)?);
        let running = children.into_iter().filter(|child| self.slots[child.0 as usize].pid().is_some());
        let children: Vec<ChildId> = running.collect();
        let mut said: Vec<Tell> = children.iter().map(|child| self.acted(*child)).collect();
        if children.is_empty() {
            return Err(refused("none of them runs", "mainstay start"));
        }
        if dry_run {
            return Ok(said);
        }
        let share = (children.len() as u64 * u64::from(share)).div_ceil(100);
        let at_once = at_once.max(u32::try_from(share).unwrap_or(u32::MAX)).max(1);
        let (mut actions, now) = (Vec::new(), clock::now());
        let roll = self.core.roll(now, children, at_once, &mut actions);
        said.push(Tell::say(Reply::Rolling { roll }));
        self.act_all(now, actions);
        Ok(said)
    }

    /// A refusal of the core, for people: what, why, the next command.
    pub(super) fn why_not(&self, name: &str, why: Refused) -> Refusal {
        let pid = |child: ChildId| match self.slots[child.0 as usize].pid() {
            Some(pid) => format!(" (pid {pid})"),
            None => String::new(),
        };
        match why {
            Refused::AlreadyStarted(child) => {
                refused(format!("`{name}` runs already{}", pid(child)), format!("mainstay restart {name}"))
            }
            Refused::AlreadyPresent(child) => refused(
                format!("`{name}` is there already and is {}", self.state_words(child)),
                format!("mainstay restart-child {name}, or first mainstay delete-child {name}"),
            ),
            Refused::Running => refused(
                format!("`{name}` runs{}", self.core.child_named(name).map(pid).unwrap_or_default()),
                format!("mainstay terminate {name}"),
            ),
            Refused::Restarting => refused(
                format!("`{name}` died and waits for its next try"),
                format!("mainstay terminate {name}"),
            ),
            Refused::NotFound => self.unknown(name),
            Refused::GroupDown => refused(
                format!("cannot start `{name}`: its group is down"),
                "mainstay start @GROUP, or mainstay tree to see which",
            ),
            Refused::Pool => refused(
                format!("`{name}` is in a pool, whose members have no names"),
                "mainstay terminate @POOL --pid N ends one; mainstay start-child @POOL adds one",
            ),
            Refused::MaxChildren(max) => refused(
                format!(
                    "cannot start `{name}`: its pool has the {} it may have",
                    count(max as usize, "member")
                ),
                "end one of them, or raise max_children and mainstay reload",
            ),
            Refused::BadSpec(flaw) => refused(format!("cannot start `{name}`: {}", flaw_words(flaw)), ""),
            Refused::Ending => refused(
                "everything is being stopped",
                "wait until the supervisor is gone, then `mainstay run`",
            ),
        }
    }

    fn state_words(&self, child: ChildId) -> String {
        crate::cli::status::state_words(word(self.core.state(child)))
    }
}

pub(super) fn already(standing: Standing, child: ChildId) -> Refused {
    match standing {
        Standing::Running => Refused::AlreadyStarted(child),
        Standing::Restarting | Standing::Undefined => Refused::AlreadyPresent(child),
    }
}

/// What is wrong with a policy.
pub(super) fn flaw_words(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::SignificantWithoutAutoShutdown => {
            "a significant child needs a group with auto_shutdown = \"any\" or \"all\""
        }
        Flaw::SignificantPermanent => "a significant child cannot be permanent: it would never end by itself",
        Flaw::SignificantInPool => "a pool has no significant children",
        Flaw::PoolAutoShutdown => "a pool does not shut down by itself",
        Flaw::PoolStrategy => "a pool is one_for_one",
        Flaw::PeriodZero => "a period cannot be zero",
        Flaw::Duplicate => "two have the same name",
        Flaw::Broken => "it names something that is not there",
    }
}
