//! `start-child`: what a new child is (from a template, one more of a pool, or as it was typed), and its way into the
//! tree.
//!
//! Invariant: whatever it needs (descriptors, a launch, a name) is there before the core hears of it. When it is
//! refused, nothing of it is kept (C15).

use super::Driver;
use super::admin::already;
use super::control::{Answer, refused};
use super::roster::USER_ROOT;
use super::tell::Tell;
use super::workshop::Prepared;
use crate::config::plan::Program;
use crate::config::words;
use crate::exit_code::ExitCode;
use crate::ipc::control::{Grace, NewChild, Refusal, Reply};
use crate::ipc::server::ConnectionId;
use crate::supervisor::spec::{self, Child, Node, Restart};
use crate::supervisor::{Change, Refused};
use crate::sys::clock;
use crate::sys::user::Users;

/// What was asked for, and what has been decided of it.
pub struct New {
    pub asked: NewChild,
    /// In a pool: the number that no member before had.
    number: Option<u64>,
}

impl Driver {
    /// `start-child`; `None`: the answer comes when its user is known.
    pub(super) fn start_child(
        &mut self,
        asked: NewChild,
        connection: ConnectionId,
        cursor: u64,
    ) -> Option<Answer> {
        let mut new = New { asked, number: None };
        let user = match self.user_to_look_up(&mut new) {
            Ok(user) => user,
            Err(refusal) => return Some(Err(refusal)),
        };
        match user {
            None => {
                let users = self.workshop.users.clone();
                Some(self.start_known_child(&new, &users))
            }
            Some(user) => self.look_up(user, new, connection, cursor).err().map(Err),
        }
    }

    /// The user of a new child, if it was not looked up when the plan was loaded.
    fn user_to_look_up(&mut self, new: &mut New) -> Result<Option<String>, Refusal> {
        self.not_ending()?;
        if let Some(pool) = new.asked.name.strip_prefix('@').map(str::to_owned) {
            new.number = Some(self.number_in_pool(&pool)?);
        }
        let (_, program) = self.describe_new(new)?;
        let known = |user: &String| self.workshop.users.get(user).is_some();
        Ok(program.user.filter(|user| !(new.asked.dry_run || known(user))))
    }

    /// The same when its user is among these.
    pub(super) fn start_known_child(&mut self, new: &New, users: &Users) -> Answer {
        self.not_ending()?;
        let (child, program) = self.describe_new(new)?;
        let name = child.name.clone();
        if let Some(there) = self.core.child_named(&name) {
            // Before anything is prepared, since that may fail for its own reasons.
            return Err(self.why_not(&name, already(self.core.standing(Node::Child(there)), there)));
        }
        if new.asked.dry_run {
            let acted = Reply::Acted { instance: name, pid: 0, state: String::new() };
            return Ok(vec![Tell::say(acted)]);
        }
        let prepared = self.prepare_new(&program, users)?;
        let mut actions = Vec::new();
        let now = clock::now();
        let made = self.core.change(now, Change::StartChild(Box::new(child)), &mut actions);
        let Ok(Node::Child(child)) = made else {
            self.descriptors.give_back(&program.log);
            let why = made.err().unwrap_or(Refused::NotFound);
            return Err(self.why_not(&name, why));
        };
        self.install(child, prepared, None);
        self.act_all(now, actions);
        Ok(vec![self.acted(child)])
    }

    /// Descriptors and a launch for it, or why there are none; then nothing is kept (C15).
    fn prepare_new(&mut self, program: &Program, users: &Users) -> Result<Prepared, Refusal> {
        let name = &program.instance;
        self.descriptors.take(std::iter::once(program)).map_err(|failed| {
            refused(
                format!("cannot start `{name}`: {failed}"),
                "raise the hard limit (ulimit -Hn), or set log = \"none\" where no log is needed",
            )
        })?;
        self.make_room_among_boxes();
        let prepared = self.workshop.prepare(program, &self.program, None, users);
        let why = match prepared {
            Ok(Prepared { launch: Err(error), .. }) => (error.to_string(), error.hint().to_owned()),
            Ok(prepared) => return Ok(prepared),
            Err(failed) => (failed.to_string(), String::new()),
        };
        self.descriptors.give_back(&program.log);
        Err(refused(format!("cannot start `{name}`: {}", why.0), why.1))
    }

    /// The policy and the program of a new child: from a template, of a pool, or as it was typed.
    fn describe_new(&self, new: &New) -> Result<(Child, Program), Refusal> {
        let (number, new) = (new.number, &new.asked);
        let usage = |message: String| Refusal { code: ExitCode::Usage as u8, message, hint: String::new() };
        let (mut child, program) = match (new.name.strip_prefix('@'), new.name.split_once('@')) {
            (Some(pool), _) => self.of_pool(pool, number.unwrap_or_default(), &new.argv)?,
            (None, Some((template, argument))) => self.of_template(template, argument, &new.argv)?,
            (None, None) => self.as_typed(new)?,
        };
        match new.restart.as_str() {
            "" => {}
            "permanent" => child.restart = Restart::Permanent,
            "transient" => child.restart = Restart::Transient,
            "temporary" => child.restart = Restart::Temporary,
            other => {
                return Err(usage(format!("no restart type `{other}`: permanent, transient or temporary")));
            }
        }
        match new.grace {
            None => {}
            Some(Grace::Kill) => child.grace = spec::Grace::Kill,
            Some(Grace::After(nanos)) => {
                child.grace = spec::Grace::After(crate::time::Duration::from_nanos(nanos));
            }
            Some(Grace::Infinity) => child.grace = spec::Grace::Forever,
        }
        child.significant |= new.significant;
        child.added = true;
        Ok((child, program))
    }

    /// One more in a pool: `job@7`.
    fn of_pool(&self, pool: &str, number: u64, extra: &[String]) -> Result<(Child, Program), Refusal> {
        self.instance_of(self.template_of_pool(pool)?, &number.to_string(), extra)
    }

    /// A number that no member of the pool before had.
    fn number_in_pool(&mut self, pool: &str) -> Result<u64, Refusal> {
        let at = self.template_of_pool(pool)?;
        let prefix = &self.templates[at].template.name;
        let counter = self.counters.entry(pool.to_owned()).or_insert(0);
        loop {
            *counter += 1;
            if self.core.child_named(&format!("{prefix}{counter}")).is_none() {
                return Ok(*counter);
            }
        }
    }

    fn template_of_pool(&self, pool: &str) -> Result<usize, Refusal> {
        let group = self.group_of(pool)?;
        if self.core.tree().groups[group.0 as usize].pool.is_none() {
            return Err(refused(
                format!("group `@{pool}` is no pool"),
                format!("name the child: mainstay start-child NAME --group {pool} -- COMMAND"),
            ));
        }
        let at = self.templates.iter().position(|stencil| stencil.group == pool);
        at.ok_or_else(|| {
            refused(format!("pool `@{pool}` has no template"), "add one to the file, then mainstay reload")
        })
    }

    /// `worker@mail`
    fn of_template(
        &self,
        template: &str,
        argument: &str,
        extra: &[String],
    ) -> Result<(Child, Program), Refusal> {
        let name = format!("{template}@");
        let Some(at) = self.templates.iter().position(|stencil| stencil.template.name == name) else {
            let known = self.templates.iter().map(|stencil| stencil.template.name.as_str());
            let near = words::nearest(&name, known).map(|near| format!("did you mean `{near}`?"));
            return Err(Refusal {
                code: ExitCode::NotFound as u8,
                message: format!("no template `{name}`"),
                hint: near.unwrap_or_else(|| format!("declare [service.\"{name}\"], then mainstay reload")),
            });
        };
        if self.templates[at].pool {
            let pool = &self.templates[at].group;
            return Err(refused(
                format!("`{name}` is the template of pool `@{pool}`, whose members have no names"),
                format!("mainstay start-child @{pool}"),
            ));
        }
        self.instance_of(at, argument, extra)
    }

    fn instance_of(
        &self,
        template: usize,
        argument: &str,
        extra: &[String],
    ) -> Result<(Child, Program), Refusal> {
        let stencil = &self.templates[template];
        let made = stencil.template.instance(argument, extra, None);
        let (mut child, program) = made.map_err(|error| refused(error.to_string(), ""))?;
        child.group = self.group_of(&stencil.group)?;
        // What it needs and is not there any more is not waited for.
        let node = |name: &String| match name.strip_prefix('@') {
            Some(group) => self.roster.group_named(&self.core, group).map(Node::Group),
            None => self.core.child_named(name).map(Node::Child),
        };
        child.needs = stencil.needs.iter().filter_map(node).collect();
        Ok((child, program))
    }

    /// A child that no file knows: its command comes with it, everything else is the default.
    fn as_typed(&self, new: &NewChild) -> Result<(Child, Program), Refusal> {
        let name = new.name.clone();
        if let Some(there) = self.core.child_named(&name) {
            return Err(self.why_not(&name, already(self.core.standing(Node::Child(there)), there)));
        }
        words::check_name(&name)
            .map_err(|rule| refused(format!("`{name}` cannot name a child: {rule}"), ""))?;
        if new.argv.is_empty() {
            return Err(refused(
                format!("`{name}` is in no file, so it needs a command"),
                format!("mainstay start-child {name} -- COMMAND"),
            ));
        }
        let group = match new.group.trim_start_matches('@') {
            "" => USER_ROOT,
            group => self.group_of(group)?,
        };
        let policy = &self.core.tree().groups[group.0 as usize];
        if policy.pool.is_some() {
            let pool = &policy.name;
            return Err(refused(
                format!("`@{pool}` is a pool, whose members come from its template"),
                format!("mainstay start-child @{pool}"),
            ));
        }
        let mut child = Child { name: name.clone(), group, ..Child::default() };
        if policy.otp {
            (child.limit, child.backoff) = (None, spec::Backoff::NONE);
        }
        let program = Program {
            service: name.clone(),
            instance: name,
            argv: new.argv.clone(),
            fate_shared: self.workshop.fate_shared,
            directory: if new.directory.is_empty() { "/".into() } else { new.directory.clone().into() },
            ..Program::default()
        };
        Ok((child, program))
    }
}
