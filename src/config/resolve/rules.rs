//! What keys say together: semantics, limits, significant members, pools. One message for each rule.

use super::{Resolver, shorten};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Located, Span};
use crate::config::order::Item;
use crate::config::policy::{BackoffPart, RestartPart};
use crate::config::read::{Semantics, ServicePart};
use crate::config::words;
use crate::supervisor::spec::{AutoShutdown, Backoff, OnLimit, Restart};

/// Members of a pool that are named in its message.
const LISTED_MAX: usize = 10;

/// What a file says about when something is started again.
enum Said<'a> {
    Policy(&'a Located<Restart>),
    /// Nothing, so it is permanent.
    Nothing,
    /// Something that cannot be read.
    Wrong,
}

impl<'a> Resolver<'a> {
    pub(super) fn check_rules(&mut self) {
        let document = self.document;
        for (i, service) in document.services.iter().enumerate() {
            let home = self.homes[i];
            self.check_service(service);
            if self.otp(home) {
                let backoff = service.backoff.as_ref().map(|b| (b.span.clone(), &b.value));
                self.refuse_in_otp(home, service.restart.as_ref(), backoff);
            }
            let at = service.significant.as_ref().filter(|s| s.value).map(|s| s.span.clone());
            let said = self.said_policy(service);
            self.check_significant("service", &service.name, home, at, said);
        }
        for (i, part) in document.groups.iter().enumerate() {
            let home = self.parents[i + 1];
            let restart = part.restart.as_ref().map(|r| &r.value);
            if self.otp(home) {
                let backoff = part.backoff.as_ref().map(|b| (b.span.clone(), &b.value));
                self.refuse_in_otp(home, restart, backoff);
            }
            let at = part.significant.as_ref().filter(|s| s.value).map(|s| s.span.clone());
            let policy = restart.and_then(|r| r.policy.as_ref());
            let said = match restart {
                Some(restart) if restart.policy_is_wrong => Said::Wrong,
                _ => policy.map_or(Said::Nothing, Said::Policy),
            };
            self.check_significant("group", &part.name, home, at, said);
            if let Some(policy) = policy {
                self.warn_of_a_limit_in_vain("group", &part.name, policy.value, restart);
            }
        }
        for group in 0..self.parents.len() {
            self.check_window(group);
            self.check_end(group);
            self.check_pool(group);
        }
    }

    fn said_policy(&self, service: &'a ServicePart) -> Said<'a> {
        let defaults = &self.document.defaults.restart;
        match &service.restart {
            Some(RestartPart { policy: Some(policy), .. }) => Said::Policy(policy),
            Some(RestartPart { policy_is_wrong: true, .. }) => Said::Wrong,
            _ if defaults.policy_is_wrong => Said::Wrong,
            _ => defaults.policy.as_ref().map_or(Said::Nothing, Said::Policy),
        }
    }

    fn check_service(&mut self, service: &ServicePart) {
        if !service.has_command {
            let message = format!("service `{}` has no `command`", shorten(&service.name));
            let problem = Diagnostic::error(service.at.clone(), message);
            self.problems.push(problem.help("add: command = [\"./program\", \"argument\"]"));
        }
        if let (Some(ignore), None) = (&service.ignore, &service.ready) {
            let message = "`ignore` without `ready` is never looked at: a service without `ready` is up as \
                soon as it runs";
            let problem = Diagnostic::error(ignore.span.clone(), message);
            self.problems.push(
                problem
                    .label(format!("in service `{}`", shorten(&service.name)))
                    .help("add `ready`, or a `condition`, or name the code in restart = { clean = […] }"),
            );
        }
        self.warn_of_a_limit_in_vain(
            "service",
            &service.name,
            self.policy(service),
            service.restart.as_ref(),
        );
    }

    fn warn_of_a_limit_in_vain(
        &mut self,
        kind: &str,
        name: &str,
        policy: Restart,
        restart: Option<&RestartPart>,
    ) {
        if let (Restart::Temporary, Some(max)) = (policy, restart.and_then(|r| r.max.as_ref())) {
            let message = format!("a temporary {kind} is never restarted: `max` limits nothing");
            let problem = Diagnostic::warning(max.span.clone(), message);
            self.problems.push(problem.label(format!("in {kind} `{}`", shorten(name))));
        }
    }

    /// S9: under OTP's semantics there is one window, the group's, and no wait.
    fn refuse_in_otp(
        &mut self,
        group: usize,
        restart: Option<&RestartPart>,
        backoff: Option<(Span, &BackoffPart)>,
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
        if let Some((at, _)) = backoff.filter(|(_, b)| b.over(Backoff::default()) != Backoff::NONE) {
            let problem = Diagnostic::error(at, "under OTP's semantics a restart never waits");
            self.problems.push(problem.label(&label).help("remove `backoff`"));
        }
    }

    fn check_window(&mut self, group: usize) {
        let part = self.part(group);
        if let (None, Some(period), false) = (&part.intensity, &part.period, self.otp(group)) {
            let problem =
                Diagnostic::error(period.span.clone(), "`period` without `intensity` limits nothing");
            self.problems.push(problem.help("add `intensity`: how many restarts are allowed within it"));
        }
        if let (Some(period), Semantics::OtpSeconds) = (&part.period, self.semantics[group])
            && period.value.subsec_nanos() != 0
        {
            let problem = Diagnostic::error(
                period.span.clone(),
                "a window that counts whole seconds cannot be so long",
            );
            self.problems.push(problem.label("expected whole seconds").help("or write semantics = \"otp\""));
        }
    }

    /// How the group may end, beside being stopped.
    fn check_end(&mut self, group: usize) {
        let part = self.part(group);
        if let Some(limit) = &part.on_limit
            && limit.value == OnLimit::Park
            && self.otp(group)
        {
            let message = "under OTP's semantics a group always ends at its limit, and its parent decides";
            let problem = Diagnostic::error(limit.span.clone(), message);
            let label = format!("{} has OTP's semantics", self.group_name(group));
            self.problems.push(problem.label(label).help("remove `on_limit`"));
        }
        let Some(auto) = part.auto_shutdown.as_ref().filter(|auto| auto.value != AutoShutdown::Never) else {
            return;
        };
        if part.pool.is_some() {
            let message = "members of a pool are never significant, so nothing would end it by itself";
            let problem = Diagnostic::error(auto.span.clone(), message);
            let label = format!("{} is a pool", self.group_name(group));
            self.problems.push(problem.label(label).help("remove `auto_shutdown`"));
        } else if !self.members[group].iter().any(|member| self.is_significant(*member)) {
            let message = "no member is significant, so the group never ends by itself";
            let problem = Diagnostic::warning(auto.span.clone(), message);
            let help = "add `significant = true` to those whose end should end it";
            self.problems.push(problem.label(format!("in {}", self.group_name(group))).help(help));
        }
    }

    fn is_significant(&self, item: Item) -> bool {
        let said = match item {
            Item::Service(service) => &self.document.services[service].significant,
            Item::Group(0) => return false,
            Item::Group(group) => &self.document.groups[group - 1].significant,
        };
        said.as_ref().is_some_and(|said| said.value)
    }

    /// B05. What cannot be read is not judged.
    fn check_significant(&mut self, kind: &str, name: &str, home: usize, at: Option<Span>, policy: Said<'_>) {
        let Some(at) = at else { return };
        let home_part = self.part(home);
        let label = format!("in {kind} `{}`", shorten(name));
        if home_part.pool.is_some() {
            let problem = Diagnostic::error(at, "a member of a pool cannot be significant");
            self.problems.push(problem.label(label).help("remove `significant`"));
            return;
        }
        let message = "a permanent member is always started again, so it cannot be significant: \
            its end would never be the end";
        let permanent = Diagnostic::error(at.clone(), message).label(&label);
        match policy {
            Said::Policy(policy) if policy.value == Restart::Permanent => {
                self.problems.push(permanent.related(policy.span.clone(), "it is permanent here"));
            }
            Said::Nothing => self.problems.push(
                permanent.help("add restart = \"transient\" or \"temporary\"; the default is permanent"),
            ),
            Said::Policy(_) | Said::Wrong => {}
        }
        let never = match &home_part.auto_shutdown {
            Some(auto) => auto.value == AutoShutdown::Never,
            None => !home_part.has_auto_shutdown,
        };
        if never {
            let message = format!(
                "the end of a significant member ends nothing while {} has auto_shutdown = \"never\"",
                self.group_name(home)
            );
            let mut problem = Diagnostic::error(at, message).label(label);
            problem = match &home_part.auto_shutdown {
                Some(auto) => problem.related(auto.span.clone(), "said here"),
                None => problem.help(format!(
                    "add auto_shutdown = \"any\" or \"all\" to {}; the default is never",
                    self.group_name(home)
                )),
            };
            self.problems.push(problem);
        }
    }

    /// A18: a pool has one template and nothing else.
    fn check_pool(&mut self, group: usize) {
        let part = self.part(group);
        let Some(pool) = part.pool.clone() else {
            let unclear = part.strategy.is_none() && part.has_strategy;
            if let Some(max) = part.max_children.as_ref().filter(|_| !unclear) {
                let problem =
                    Diagnostic::error(max.span.clone(), "`max_children` limits the members of a pool");
                let label = format!("{} is none", self.group_name(group));
                self.problems.push(problem.label(label).help("add strategy = \"pool\""));
            }
            return;
        };
        let members = &self.members[group];
        if let [Item::Service(only)] = members.as_slice()
            && self.document.services[*only].template
        {
            return;
        }
        let name = |item: &Item| match *item {
            Item::Service(service) => format!("`{}`", shorten(&self.document.services[service].name)),
            Item::Group(group) => format!("`@{}`", shorten(&self.part(group).name)),
        };
        let mut listed: Vec<String> = members.iter().take(LISTED_MAX).map(name).collect();
        if members.len() > LISTED_MAX {
            listed.push(format!("{} more", members.len() - LISTED_MAX));
        }
        let has = if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") };
        let message = format!(
            "a pool has exactly one member in the file, the template of all the others; {} has {has}",
            self.group_name(group)
        );
        let help = match words::check_name(&part.name) {
            Ok(()) => format!("write one template: [service.\"{0}@\"] with group = \"{0}\"", part.name),
            Err(_) => "write one template: [service.\"worker@\"]".to_owned(),
        };
        let problem = Diagnostic::error(pool, message).help(help);
        let other = members.iter().find(|item| match **item {
            Item::Service(service) => !self.document.services[service].template,
            Item::Group(_) => true,
        });
        let at = |item: &Item| match *item {
            Item::Service(service) => self.document.services[service].at.clone(),
            Item::Group(group) => self.part(group).at.clone(),
        };
        let problem = match (other, members.get(1)) {
            (Some(other), _) => problem.related(at(other), "this is no template"),
            (None, Some(second)) => problem.related(at(second), "this is the second"),
            (None, None) => problem,
        };
        self.problems.push(problem);
    }
}
