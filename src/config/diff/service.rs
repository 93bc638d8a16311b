//! Two services, or two templates, of the same name.

use super::value::{self, Reasons};
use super::{Sides, sizes};
use crate::config::Plan;
use crate::config::declared::{Need, Service};
use crate::config::plan::{Check, Condition, Log, Program, Ready};
use crate::config::template::Template;
use crate::supervisor::spec::Child;
use std::collections::BTreeMap;

/// Variables of one service that are named.
const VARIABLES_MAX: usize = 10;

impl Sides<'_> {
    /// The services at these places.
    pub(super) fn service(&self, old: usize, new: usize) -> Reasons {
        let (before, after) = (&self.old.declared.services[old], &self.new.declared.services[new]);
        let mut why = Reasons::default();
        if before.numbered != after.numbered {
            let (was, is) = (before.instance_name(1), after.instance_name(1));
            why.needs_restart("instances", format!("instance {was} is called {is}"));
        }
        let ((child, program), (new_child, new_program)) =
            (prototype(self.old, before), prototype(self.new, after));
        programs(&mut why, (program, program.env.len()), (new_program, new_program.env.len()));
        why.restart("ready", &program.ready, &new_program.ready, ready);
        health(&mut why, (program, None), (new_program, None));
        why.in_place("instances", &before.count, &after.count, u32::to_string);
        self.children(&mut why, child, new_child);
        self.needs(&mut why, &before.needs, &after.needs);
        why
    }

    /// The templates at these places. Instances that run keep what they were started with until they start again.
    pub(super) fn template(&self, old: usize, new: usize) -> Reasons {
        let (before, after) = (&self.old.templates[old], &self.new.templates[new]);
        let mut why = Reasons::default();
        let own = |template: &Template| template.blanks.own_env;
        programs(&mut why, (&before.program, own(before)), (&after.program, own(after)));
        let ready_of = |template: &Template| match &template.blanks.port {
            Some(port) => format!("tcp {port}"),
            None => ready(&template.program.ready),
        };
        why.restart("ready", &ready_of(before), &ready_of(after), String::clone);
        let blank = |template: &'_ Template| template.blanks.health.clone();
        health(
            &mut why,
            (&before.program, blank(before).as_deref()),
            (&after.program, blank(after).as_deref()),
        );
        self.children(&mut why, &before.child, &after.child);
        self.needs(&mut why, &before.needs, &after.needs);
        why.without_processes()
    }

    /// Policy, which needs no restart.
    fn children(&self, why: &mut Reasons, old: &Child, new: &Child) {
        self.moved(why, old.group, new.group);
        why.in_place("restart policy", &old.restart, &new.restart, value::policy);
        why.in_place("restart policy", &old.limit, &new.limit, |l| value::window(l, "unlimited"));
        why.in_place("restart.clean", &old.clean, &new.clean, |codes| format!("{codes:?}"));
        why.backoff(&old.backoff, &new.backoff);
        // When one of them declares no readiness, that is told already.
        if let (Some(old), Some(new)) = (&old.ready_within, &new.ready_within) {
            why.in_place("ready.within", old, new, value::duration);
        }
        why.in_place("stop.grace", &old.grace, &new.grace, value::grace);
        why.in_place("stop.signal", &old.stop_signal, &new.stop_signal, value::signal);
        why.in_place("autostart", &old.autostart, &new.autostart, bool::to_string);
        why.in_place("significant", &old.significant, &new.significant, bool::to_string);
        why.in_place("ignore", &old.ignore, &new.ignore, value::option);
    }

    /// Needs as they were written: what a service with more instances needs now is no difference of its own.
    fn needs(&self, why: &mut Reasons, old: &[Need], new: &[Need]) {
        why.in_place("needs", &needs(self.old, old), &needs(self.new, new), |needs| value::list(needs));
    }
}

/// What each instance of a service is.
fn prototype<'a>(plan: &'a Plan, service: &'a Service) -> (&'a Child, &'a Program) {
    match &service.spare {
        Some(spare) => (&spare.0, &spare.1),
        None => {
            let first = service.first as usize;
            (&plan.tree.children[first], &plan.programs[first])
        }
    }
}

/// In no order: all of them are waited for.
fn needs(plan: &Plan, needs: &[Need]) -> Vec<String> {
    let name = |need: &Need| match *need {
        Need::Service(service) => plan.declared.services[service as usize].name.clone(),
        Need::Instance(service, number) => plan.declared.services[service as usize].instance_name(number),
        Need::Group(group) => format!("@{}", plan.tree.groups[group.0 as usize].name),
    };
    let mut names: Vec<String> = needs.iter().map(name).collect();
    names.sort();
    names
}

/// What a process is started with; of `ready` nothing. With each the place in `env` from where values are filled in.
fn programs(why: &mut Reasons, (old, old_own): (&Program, usize), (new, new_own): (&Program, usize)) {
    if old.argv != new.argv {
        why.needs_restart("command", "command changed".to_owned());
    }
    variables(why, &effective(old, old_own), &effective(new, new_own));
    why.restart("inherit_env", &old.inherit_env, &new.inherit_env, bool::to_string);
    why.restart("directory", &old.directory, &new.directory, |path| path.display().to_string());
    why.restart("user", &old.user, &new.user, value::option);
    why.restart("watchdog", &old.watchdog, &new.watchdog, |w| {
        w.as_ref().map_or_else(value::none, value::duration)
    });
    why.restart("on_supervisor_death", &old.fate_shared, &new.fate_shared, |shared| {
        if *shared { "die" } else { "stay" }.to_owned()
    });
    why.restart("umask", &old.umask, &new.umask, |mask| match mask {
        Some(mask) => format!("{mask:03o}"),
        None => value::none(),
    });
    why.restart("log", &log(&old.log), &log(&new.log), |kind| (*kind).to_owned());
    sizes(why, "log.", &old.log, &new.log);
    why.in_place("blackbox", &old.blackbox, &new.blackbox, bool::to_string);
    why.in_place("condition", &old.condition, &new.condition, |condition| match condition {
        Some(Condition::Exists(path)) => format!("exists {}", path.display()),
        None => value::none(),
    });
}

/// What a program sees of its own variables: the last of each name, and whether an argument is filled into it.
fn effective(program: &Program, own: usize) -> BTreeMap<&str, (&str, bool)> {
    let variables = program.env.iter().enumerate();
    variables.map(|(at, (name, value))| (name.as_str(), (value.as_str(), at >= own))).collect()
}

/// By name only: a value may be a secret.
fn variables(why: &mut Reasons, old: &BTreeMap<&str, (&str, bool)>, new: &BTreeMap<&str, (&str, bool)>) {
    let mut found = Vec::new();
    for (name, value) in new {
        match old.get(name) {
            None => found.push((*name, format!("environment {name} added"))),
            Some(before) if before != value => found.push((*name, format!("environment {name} changed"))),
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    found.extend(gone.map(|name| (*name, format!("environment {name} removed"))));
    let more = found.len().saturating_sub(VARIABLES_MAX);
    for (name, reason) in found.into_iter().take(VARIABLES_MAX) {
        why.needs_restart(&format!("env.{name}"), reason);
    }
    if more > 0 {
        why.needs_restart("env", format!("environment: {more} more"));
    }
}

fn ready(ready: &Ready) -> String {
    match ready {
        Ready::Nothing => value::none(),
        Ready::Tcp(port) => format!("tcp {port}"),
        Ready::Output(text) => format!("output {}", value::quoted(text)),
        Ready::Notify => "notify".to_owned(),
    }
}

/// Checks are mainstay's own doing, so another way to check is in force at once. With each the port or the address as it was
/// written, when it waits for an argument.
fn health(
    why: &mut Reasons,
    (old, old_blank): (&Program, Option<&str>),
    (new, new_blank): (&Program, Option<&str>),
) {
    let how = |program: &Program, blank: Option<&str>| match (program.health.as_ref().map(|h| &h.how), blank)
    {
        (None, _) => value::none(),
        (Some(Check::Tcp(_)), Some(blank)) => format!("tcp {blank}"),
        (Some(Check::Tcp(port)), None) => format!("tcp {port}"),
        (Some(Check::Http(_)), Some(blank)) => format!("http {}", value::quoted(blank)),
        (Some(Check::Http(http)), None) => format!("http {}", value::quoted(&http.to_string())),
        (Some(Check::Exec(words)), _) => format!("exec {}", value::quoted(&words.join(" "))),
    };
    let (before, after) = (how(old, old_blank), how(new, new_blank));
    let same =
        old.health.as_ref().map(|h| &h.how) == new.health.as_ref().map(|h| &h.how) && old_blank == new_blank;
    if before != after {
        why.takes_effect("health", format!("health {before} → {after}"));
    } else if !same {
        // What differs is behind where a long text is cut, or in where its words end.
        why.takes_effect("health", "health: what is asked changed".to_owned());
    }
    if let (Some(old), Some(new)) = (&old.health, &new.health) {
        why.in_place("health.every", &old.every, &new.every, value::duration);
        why.in_place("health.timeout", &old.timeout, &new.timeout, value::duration);
        why.in_place("health.failures", &old.failures, &new.failures, u32::to_string);
        why.in_place("health.restart", &old.restart, &new.restart, bool::to_string);
    }
}

fn log(log: &Log) -> &'static str {
    match log {
        Log::Logger { .. } => "own file",
        Log::Inherit => "inherit",
        Log::Discard => "none",
    }
}
