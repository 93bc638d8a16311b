//! Checked parts → the tree and its programs, with every default filled in.

use super::{PlaceOf, Resolver, index, instances};
use crate::config::declared::{Need, Service};
use crate::config::diagnostic::{Diagnostic, count};
use crate::config::env_file;
use crate::config::fields::Located;
use crate::config::plan::{Condition, Log, Program};
use crate::config::policy::{BackoffPart, RestartPart};
use crate::config::read::{Semantics, ServicePart};
use crate::config::template::{Blanks, Template};
use crate::supervisor::spec::{
    AutoShutdown, Backoff, Child, DEFAULT_LIMIT, DEFAULT_READY_WITHIN, DEFAULT_STOP_SIGNAL, Group, GroupId,
    Intensity, OTP_INTENSITY, Pool, Restart,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

impl<'a> Resolver<'a> {
    pub(super) fn build_groups(&self, project: String) -> Vec<Group> {
        (0..self.members.len())
            .map(|i| {
                let part = self.part(i);
                let in_otp = i != 0 && self.otp(self.parents[i]);
                let restart = part.restart.as_ref().map(|r| &r.value);
                let window = if self.otp(i) { Some(OTP_INTENSITY) } else { None };
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
                    on_limit: part.on_limit.as_ref().map(|l| l.value).unwrap_or_default(),
                    otp: self.otp(i),
                    // Those of the file are counted out with the services.
                    members: Vec::new(),
                    after: Vec::new(),
                    limit: self.limit(in_otp, restart).filter(|_| i != 0),
                    backoff: self.backoff(in_otp, part.backoff.as_ref().map(|b| &b.value)),
                    // `[defaults]` speaks of services: a tree whose groups stay down after their first limit is
                    // never meant by "transient" for all.
                    restart: restart.and_then(|r| r.policy.as_ref()).map_or(Restart::Permanent, |p| p.value),
                    significant: part.significant.as_ref().is_some_and(|s| s.value),
                    auto_shutdown: part.auto_shutdown.as_ref().map_or(AutoShutdown::Never, |a| a.value),
                    pool: part
                        .pool
                        .as_ref()
                        .map(|_| Pool { max_children: part.max_children.as_ref().map(|m| m.value) }),
                    whole_seconds: self.semantics[i] == Semantics::OtpSeconds,
                }
            })
            .collect()
    }

    /// Services, templates, and what an instance of each service is.
    pub(super) fn build_services(
        &mut self,
        needs: Vec<Vec<Need>>,
    ) -> (Vec<Service>, Vec<Template>, Vec<(Child, Program)>) {
        let (mut services, mut templates, mut prototypes) = (Vec::new(), Vec::new(), Vec::new());
        let mut env_files = HashMap::new();
        let document = self.document;
        for (i, (part, needs)) in document.services.iter().zip(needs).enumerate() {
            let child = self.build_child(i);
            let (program, own_env) = self.build_program(part, &mut env_files);
            let name = part.name.clone();
            if let PlaceOf::Template(_) = self.plan_places[i] {
                let blanks = Blanks {
                    folder: self.folder(part.at.start).to_owned(),
                    directory: part.directory.as_ref().map(|d| d.value.clone()),
                    exists: part.exists.clone(),
                    port: part.ready.as_ref().and_then(|r| r.port.clone()),
                    health: part.health.as_ref().and_then(|h| h.blank.clone()),
                    own_env,
                };
                let child = Child { name: name.clone(), ..child };
                templates.push(Template { name, child, program, needs, blanks });
                continue;
            }
            let count = index(instances(part));
            services.push(Service { name, first: 0, count, numbered: count > 1, needs, spare: None });
            prototypes.push((child, program));
        }
        (services, templates, prototypes)
    }

    /// The policy of an instance, without its name and its needs.
    fn build_child(&self, service: usize) -> Child {
        let defaults = &self.document.defaults;
        let part = &self.document.services[service];
        let home = self.homes[service];
        let otp = self.otp(home);
        let restart = part.restart.as_ref();
        let clean = restart.and_then(|r| r.clean.as_ref()).or(defaults.restart.clean.as_ref());
        let stop = part.stop.clone().unwrap_or_default();
        let ready = part.ready.as_ref();
        Child {
            group: GroupId(index(home)),
            restart: self.policy(part),
            limit: self.limit(otp, restart),
            backoff: self.backoff(otp, part.backoff.as_ref().map(|b| &b.value)),
            ready_within: ready.map(|r| r.within.or(defaults.ready_within).unwrap_or(DEFAULT_READY_WITHIN)),
            grace: stop.grace.or(defaults.stop.grace).unwrap_or_default(),
            stop_signal: stop.signal.or(defaults.stop.signal).unwrap_or(DEFAULT_STOP_SIGNAL),
            clean: clean.cloned().unwrap_or_default(),
            autostart: part.autostart.unwrap_or(true),
            significant: part.significant.as_ref().is_some_and(|s| s.value),
            ignore: part.ignore.as_ref().map(|i| i.value),
            ..Child::default()
        }
    }

    /// When a service is started again.
    pub(super) fn policy(&self, service: &ServicePart) -> Restart {
        let said = service.restart.as_ref().and_then(|r| r.policy.as_ref());
        said.or(self.document.defaults.restart.policy.as_ref()).map_or(Restart::Permanent, |p| p.value)
    }

    fn limit(&self, otp: bool, part: Option<&RestartPart>) -> Option<Intensity> {
        if otp {
            return None;
        }
        let below = self.document.defaults.restart.limit(Some(DEFAULT_LIMIT), DEFAULT_LIMIT);
        part.map_or(below, |part| part.limit(below, DEFAULT_LIMIT))
    }

    fn backoff(&self, otp: bool, part: Option<&BackoffPart>) -> Backoff {
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

    pub(super) fn log_base(&self) -> Log {
        self.document.log.as_ref().map_or_else(Log::default, |part| part.over(&Log::default()))
    }

    /// What an instance executes, without its name; and where in its environment the service's own variables begin.
    fn build_program(
        &mut self,
        part: &ServicePart,
        env_files: &mut HashMap<PathBuf, Option<Vec<(String, String)>>>,
    ) -> (Program, usize) {
        let defaults = &self.document.defaults;
        let folder = self.folder(part.at.start);
        let log = self.log_base();
        let log = defaults.log.as_ref().map_or(log.clone(), |part| part.over(&log));
        let mut env = defaults.env.clone();
        for file in &part.env_files {
            env.extend(self.read_env_file(file, env_files));
        }
        let own_env = env.len();
        env.extend(part.env.iter().cloned());
        let program = Program {
            service: part.name.clone(),
            instance: String::new(),
            argv: part.command.as_ref().map(|c| c.value.clone()).unwrap_or_default(),
            env,
            inherit_env: part.inherit_env.or(defaults.inherit_env).unwrap_or(true),
            directory: part.directory.as_ref().map_or_else(|| folder.to_owned(), |d| folder.join(&d.value)),
            user: part.user.as_ref().map(|u| u.value.clone()),
            umask: part.umask,
            ready: part.ready.as_ref().and_then(|r| r.how.clone()).unwrap_or_default(),
            health: part.health.as_ref().map(|h| h.health.clone()),
            watchdog: part.watchdog,
            condition: part.exists.as_ref().map(|path| Condition::Exists(folder.join(path))),
            fate_shared: self.document.fate_shared.unwrap_or(false),
            log: part.log.as_ref().map_or_else(|| log.clone(), |part| part.over(&log)),
            blackbox: part.blackbox.unwrap_or(true),
            part: index(self.locator.number(part.at.start)),
            line: index(self.locator.position(part.at.start).0),
        };
        (program, own_env)
    }

    /// Where relative paths begin that stand at this place.
    pub(super) fn folder(&self, place: usize) -> &'a Path {
        self.origin.folder(self.locator.number(place))
    }

    /// Each file is read once, however many services name it. `?` in front: it may be absent.
    fn read_env_file(
        &mut self,
        file: &Located<String>,
        seen: &mut HashMap<PathBuf, Option<Vec<(String, String)>>>,
    ) -> Vec<(String, String)> {
        let optional = file.value.strip_prefix('?');
        let path = self.folder(file.span.start).join(optional.unwrap_or(&file.value));
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
