//! `tree`: groups and services as they hang together. Pure.

use super::duration::setting;
use super::output::{Style, printable};
use super::select::Snapshot;
use super::status::state_words;
use super::table::{length, shorten};
use crate::ipc::control::{Group, Service};
use std::collections::{BTreeMap, BTreeSet};

/// The whole answer.
pub fn render(snapshot: &Snapshot, all: bool, style: Style) -> String {
    let services = snapshot.services.iter().map(|service| (service.instance.as_str(), service)).collect();
    let mut tree =
        Tree { snapshot, style, services, rows: Vec::new(), seen: BTreeSet::new(), groups: BTreeSet::new() };
    for group in snapshot.groups.iter().filter(|group| group.parent.is_empty()) {
        tree.group(String::new(), "", group);
    }
    // The built-ins, and whatever no group names.
    let rest: Vec<_> = snapshot.services.iter().filter(|s| all || !s.builtin).collect();
    let rest: Vec<_> = rest.into_iter().filter(|s| !tree.seen.contains(s.instance.as_str())).collect();
    let mut names: Vec<&str> = rest.iter().map(|service| service.group.as_str()).collect();
    names.dedup();
    for name in names {
        tree.rows.push(Row { prefix: String::new(), name: name.to_owned(), ..Row::default() });
        let members: Vec<_> = rest.iter().copied().filter(|service| service.group == name).collect();
        for (index, service) in members.iter().enumerate() {
            tree.service(tree.branch(index + 1 == members.len()), service);
        }
    }
    tree.text()
}

struct Tree<'a> {
    snapshot: &'a Snapshot,
    style: Style,
    services: BTreeMap<&'a str, &'a Service>,
    rows: Vec<Row>,
    /// Instances and groups that have their line.
    seen: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
}

#[derive(Default)]
struct Row {
    prefix: String,
    name: String,
    state: String,
    detail: String,
    extra: String,
    /// For colour: is it as wanted? `None`: a group.
    right: Option<bool>,
}

impl<'a> Tree<'a> {
    fn branch(&self, last: bool) -> &'static str {
        match (self.style.glyphs, last) {
            (true, false) => "├─ ",
            (true, true) => "└─ ",
            (false, false) => "|- ",
            (false, true) => "`- ",
        }
    }

    /// What stands below a branch.
    fn below(&self, last: bool) -> &'static str {
        match (self.style.glyphs, last) {
            (_, true) => "   ",
            (true, false) => "│  ",
            (false, false) => "|  ",
        }
    }

    /// A group's own line begins with `own`, those of its members with `below` and a branch.
    fn group(&mut self, own: String, below: &str, group: &'a Group) {
        // A circle of groups cannot be, and must not hang us if it is.
        if !self.groups.insert(&group.name) {
            return;
        }
        let limit = match group.intensity {
            0 if group.period_ns == 0 => String::new(),
            1 => format!("1 restart / {}", setting(group.period_ns)),
            n => format!("{n} restarts / {}", setting(group.period_ns)),
        };
        let detail = group.strategy.replace('_', "-");
        self.rows.push(Row { prefix: own, name: group.name.clone(), detail, extra: limit, ..Row::default() });
        for (index, member) in group.members.iter().enumerate() {
            let last = index + 1 == group.members.len();
            let own = format!("{below}{}", self.branch(last));
            match member.strip_prefix('@') {
                Some(name) => {
                    if let Some(inner) = self.snapshot.groups.iter().find(|group| group.name == name) {
                        self.group(own, &format!("{below}{}", self.below(last)), inner);
                    }
                }
                None => {
                    if let Some(&service) = self.services.get(member.as_str()) {
                        self.service(own, service);
                    }
                }
            }
        }
    }

    fn service(&mut self, prefix: impl Into<String>, service: &'a Service) {
        self.seen.insert(&service.instance);
        let detail = if service.pid == 0 { String::new() } else { format!("pid {}", service.pid) };
        let mut extra = Vec::new();
        match (service.restarts, self.style.glyphs) {
            (0, _) => {}
            (n, true) => extra.push(format!("↺{n}")),
            (1, false) => extra.push("1 restart".to_owned()),
            (n, false) => extra.push(format!("{n} restarts")),
        }
        if !service.needs.is_empty() {
            let needs: Vec<String> = service.needs.iter().map(|need| printable(need)).collect();
            extra.push(format!("needs {}", needs.join(", ")));
        }
        if !service.as_wanted && !service.because.is_empty() {
            extra.push(printable(&service.because));
        }
        self.rows.push(Row {
            prefix: prefix.into(),
            name: service.instance.clone(),
            state: state_words(&service.state),
            detail,
            extra: extra.join("  "),
            right: Some(service.as_wanted),
        });
    }

    fn text(&self) -> String {
        let column =
            |of: fn(&Row) -> usize, least: usize| self.rows.iter().map(of).max().unwrap_or(0).max(least);
        let names = column(|row| length(&row.prefix) + length(&row.name), 0) + 2;
        let states = column(|row| length(&row.state), "ready".len()) + 2;
        let details = column(|row| length(&row.detail), 0) + 2;
        let mut text = String::new();
        for row in &self.rows {
            let pad = |used: usize, width: usize| " ".repeat(width.saturating_sub(used));
            let state = match row.right {
                None => row.state.clone(),
                Some(true) => self.style.good(&row.state),
                Some(false) => self.style.bad(&row.state),
            };
            let name = if row.right.is_none() { self.style.strong(&row.name) } else { row.name.clone() };
            let room = self.style.width.saturating_sub(names + states + details).max(12);
            let extra = if self.style.terminal { shorten(&row.extra, room) } else { row.extra.clone() };
            let line = format!(
                "{}{name}{}{state}{}{}{}{extra}",
                self.style.dim(&row.prefix),
                pad(length(&row.prefix) + length(&row.name), names),
                pad(length(&row.state), states),
                row.detail,
                pad(length(&row.detail), details),
            );
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn snapshot() -> Snapshot {
        let service = |name: &str, group: &str, state: &str, pid: u32| Service {
            service: name.into(),
            instance: name.into(),
            group: group.into(),
            state: state.into(),
            as_wanted: state != "waiting",
            builtin: group == "mainstay",
            pid,
            ..Service::default()
        };
        let group = |name: &str, parent: &str, strategy: &str, intensity, period, members: &[&str]| Group {
            name: name.into(),
            parent: parent.into(),
            strategy: strategy.into(),
            intensity,
            period_ns: period * S,
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        };
        let waiting =
            Service { because: "waits for worker".into(), ..service("nightly", "deep", "waiting", 0) };
        Snapshot {
            services: vec![
                service("mainstay.keeper", "mainstay", "ready", 99),
                service("db", "shop", "ready", 4100),
                Service { restarts: 1, ..service("web", "app", "ready", 4188) },
                waiting,
                service("worker", "app", "up", 4102),
            ],
            groups: vec![
                group("shop", "", "one_for_one", 0, 0, &["db", "@app"]),
                group("app", "shop", "rest_for_one", 3, 10, &["web", "@deep", "worker"]),
                group("deep", "app", "one_for_all", 1, 5, &["nightly"]),
            ],
            ..Snapshot::default()
        }
    }

    fn check(all: bool, glyphs: bool, expected: &str) {
        let got = render(&snapshot(), all, Style { glyphs, ..Style::PLAIN });
        assert_eq!(got, expected, "\n{got}\nis not\n{expected}");
    }

    #[test]
    fn groups_and_services_hang_together_as_in_the_file() {
        check(
            false,
            true,
            "\
shop                       one-for-one
├─ db             ready    pid 4100
└─ app                     rest-for-one  3 restarts / 10s
   ├─ web         ready    pid 4188      ↺1
   ├─ deep                 one-for-all   1 restart / 5s
   │  └─ nightly  waiting                waits for worker
   └─ worker      up       pid 4102
",
        );
    }

    #[test]
    fn a_pipe_gets_plain_branches_and_all_shows_the_built_ins() {
        check(
            true,
            false,
            "\
shop                         one-for-one
|- db               ready    pid 4100
`- app                       rest-for-one  3 restarts / 10s
   |- web           ready    pid 4188      1 restart
   |- deep                   one-for-all   1 restart / 5s
   |  `- nightly    waiting                waits for worker
   `- worker        up       pid 4102
mainstay
`- mainstay.keeper  ready    pid 99
",
        );
    }

    #[test]
    fn groups_that_go_round_in_a_circle_end() {
        let mut snapshot = snapshot();
        snapshot.groups[2].members.push("@app".into());
        assert!(render(&snapshot, false, Style::PLAIN).contains("nightly"));
    }
}
