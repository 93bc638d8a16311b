//! Checked parts → the tree and its programs, with every default filled in.

use super::{Resolver, index, instance_names, instances};
use crate::config::diagnostic::{Diagnostic, Lines, count};
use crate::config::env_file;
use crate::config::fields::Located;
use crate::config::order::Item;
use crate::config::plan::{Log, Program};
use crate::config::policy::{BackoffPart, RestartPart};
use crate::supervisor::spec::{
    Backoff, Child, ChildId, DEFAULT_LIMIT, DEFAULT_READY_WITHIN, DEFAULT_STOP_SIGNAL, Group, GroupId,
    Intensity, Node, OTP_INTENSITY, Restart,
};
use std::collections::HashMap;
use std::path::PathBuf;

impl Resolver<'_> {
    pub(super) fn build_groups(&self, project: String) -> Vec<Group> {
        (0..self.members.len())
            .map(|i| {
                let part = self.part(i);
                let in_otp = i != 0 && self.otp[self.parents[i]];
                let window = if self.otp[i] { Some(OTP_INTENSITY) } else { None };
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
                    on_limit: part.on_limit.unwrap_or_default(),
                    otp: self.otp[i],
                    members: self.members[i].iter().flat_map(|item| self.nodes(*item)).collect(),
                    after: Vec::new(),
                    limit: self.limit(in_otp, part.restart.as_ref().map(|r| &r.value)).filter(|_| i != 0),
                    backoff: self.backoff(in_otp, part.backoff.as_ref().map(|b| &b.value)),
                    ..Group::default()
                }
            })
            .collect()
    }

    fn nodes(&self, item: Item) -> Vec<Node> {
        match item {
            Item::Group(group) => vec![Node::Group(GroupId(index(group)))],
            Item::Service(service) => {
                let first = self.firsts[service];
                let count = instances(&self.document.services[service]);
                (first..first + count).map(|child| Node::Child(ChildId(index(child)))).collect()
            }
        }
    }

    pub(super) fn build_children(&self, needs: &[Vec<Node>]) -> Vec<Child> {
        let defaults = &self.document.defaults;
        let mut children = Vec::new();
        for (i, service) in self.document.services.iter().enumerate() {
            let otp = self.otp[self.homes[i]];
            let restart = service.restart.as_ref();
            let policy = restart.and_then(|r| r.policy.as_ref()).or(defaults.restart.policy.as_ref());
            let clean = restart.and_then(|r| r.clean.as_ref()).or(defaults.restart.clean.as_ref());
            let stop = service.stop.clone().unwrap_or_default();
            let within = service
                .ready
                .as_ref()
                .map(|r| r.within.or(defaults.ready_within).unwrap_or(DEFAULT_READY_WITHIN));
            for name in instance_names(service) {
                children.push(Child {
                    name,
                    group: GroupId(index(self.homes[i])),
                    restart: policy.map_or(Restart::Permanent, |p| p.value),
                    limit: self.limit(otp, restart),
                    backoff: self.backoff(otp, service.backoff.as_ref().map(|b| &b.value)),
                    ready_within: within,
                    grace: stop.grace.or(defaults.stop.grace).unwrap_or_default(),
                    stop_signal: stop.signal.or(defaults.stop.signal).unwrap_or(DEFAULT_STOP_SIGNAL),
                    clean: clean.cloned().unwrap_or_default(),
                    needs: needs[i].clone(),
                    autostart: service.autostart.unwrap_or(true),
                    ..Child::default()
                });
            }
        }
        children
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

    pub(super) fn build_programs(&mut self) -> Vec<Program> {
        let log = self.log_base();
        let log = self.document.defaults.log.as_ref().map_or(log.clone(), |part| part.over(&log));
        let lines = Lines::of(self.text);
        let mut files = HashMap::new();
        let mut programs = Vec::new();
        for service in &self.document.services {
            let directory = match &service.directory {
                Some(directory) => self.origin.folder().join(&directory.value),
                None => self.origin.folder().to_owned(),
            };
            let mut env = self.document.defaults.env.clone();
            for file in &service.env_files {
                env.extend(self.read_env_file(file, &mut files));
            }
            env.extend(service.env.iter().cloned());
            let program = Program {
                service: service.name.clone(),
                instance: String::new(),
                argv: service.command.as_ref().map(|c| c.value.clone()).unwrap_or_default(),
                env,
                inherit_env: service.inherit_env.or(self.document.defaults.inherit_env).unwrap_or(true),
                directory,
                user: service.user.as_ref().map(|u| u.value.clone()),
                umask: service.umask,
                ready: service.ready.as_ref().and_then(|r| r.how.clone()).unwrap_or_default(),
                log: service.log.as_ref().map_or_else(|| log.clone(), |part| part.over(&log)),
                line: index(lines.line(service.at.start)),
            };
            programs.extend(instance_names(service).map(|instance| Program { instance, ..program.clone() }));
        }
        programs
    }

    /// Each file is read once, however many services name it. `?` in front: it may be absent.
    fn read_env_file(
        &mut self,
        file: &Located<String>,
        seen: &mut HashMap<PathBuf, Option<Vec<(String, String)>>>,
    ) -> Vec<(String, String)> {
        let optional = file.value.strip_prefix('?');
        let path = self.origin.folder().join(optional.unwrap_or(&file.value));
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
