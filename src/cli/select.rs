//! Which instances a pattern means, and what may have been meant when it means none. Pure.

use super::error::Error;
use crate::config::words;
use crate::ipc::control::{Group, Service};
use wildmatch::WildMatch;

/// What the supervisor said about everything, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The supervisor.
    pub head: crate::ipc::control::Head,
    /// Instances in the order of the tree, built-ins too.
    pub services: Vec<Service>,
    /// Groups, the root first.
    pub groups: Vec<Group>,
    /// The newest event then.
    pub cursor: u64,
}

impl Snapshot {
    /// The instances that these patterns mean, each once, in the order of the tree: a service (`web`), an
    /// instance (`web#2`), a glob over both (`'w*'`), a group with all in it (`@app`). Globs mean no
    /// built-in; a full name does.
    ///
    /// # Errors
    /// The first pattern that means nothing.
    pub fn select(&self, patterns: &[String]) -> Result<Vec<&Service>, Error> {
        let mut chosen = vec![false; self.services.len()];
        for pattern in patterns {
            let mut any = false;
            for (service, chosen) in self.services.iter().zip(&mut chosen) {
                if self.means(pattern, service) {
                    *chosen = true;
                    any = true;
                }
            }
            if !any {
                return Err(self.unknown(pattern));
            }
        }
        Ok(self
            .services
            .iter()
            .zip(chosen)
            .filter(|(_, chosen)| *chosen)
            .map(|(service, _)| service)
            .collect())
    }

    /// The user's instances: what no pattern at all means.
    pub fn users(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| !service.builtin)
    }

    fn means(&self, pattern: &str, service: &Service) -> bool {
        if let Some(group) = pattern.strip_prefix('@') {
            return !service.builtin && self.is_in(&service.group, group);
        }
        if service.service == pattern || service.instance == pattern {
            return true;
        }
        if service.builtin || !pattern.contains(['*', '?']) {
            return false;
        }
        let glob = WildMatch::new(pattern);
        glob.matches(&service.service) || glob.matches(&service.instance)
    }

    /// Whether the group `inner` is `outer` or somewhere in it.
    fn is_in(&self, inner: &str, outer: &str) -> bool {
        let mut name = inner;
        // As many steps as there are groups, whatever the parents say.
        for _ in 0..=self.groups.len() {
            if name == outer {
                return true;
            }
            match self.groups.iter().find(|group| group.name == name) {
                Some(group) if !group.parent.is_empty() => name = &group.parent,
                _ => return false,
            }
        }
        false
    }

    fn unknown(&self, pattern: &str) -> Error {
        let (kind, word, near): (_, _, Option<String>) = match pattern.strip_prefix('@') {
            Some(word) => {
                let names = self.groups.iter().map(|group| group.name.as_str());
                ("group", pattern, words::nearest(word, names).map(|near| format!("@{near}")))
            }
            None => {
                let names = self.services.iter().flat_map(|s| [s.service.as_str(), s.instance.as_str()]);
                ("service", pattern, words::nearest(pattern, names).map(str::to_owned))
            }
        };
        Error::NoSuch { kind, name: word.to_owned(), near: near.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let service = |service: &str, instance: &str, group: &str| Service {
            service: service.into(),
            instance: instance.into(),
            group: group.into(),
            builtin: group == "mainstay",
            ..Service::default()
        };
        let group =
            |name: &str, parent: &str| Group { name: name.into(), parent: parent.into(), ..Group::default() };
        Snapshot {
            services: vec![
                service("mainstay.keeper", "mainstay.keeper", "mainstay"),
                service("db", "db", "shop"),
                service("web", "web#1", "front"),
                service("web", "web#2", "front"),
                service("worker", "worker", "app"),
            ],
            groups: vec![group("shop", ""), group("app", "shop"), group("front", "app")],
            ..Snapshot::default()
        }
    }

    fn check(patterns: &[&str], expected: &[&str]) {
        let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let snapshot = snapshot();
        let got: Vec<_> = snapshot.select(&patterns).unwrap().iter().map(|s| s.instance.as_str()).collect();
        assert_eq!(got, expected, "{patterns:?}");
    }

    #[test]
    fn a_pattern_means_services_instances_globs_and_groups() {
        check(&["web"], &["web#1", "web#2"]);
        check(&["web#2"], &["web#2"]);
        check(&["w*"], &["web#1", "web#2", "worker"]);
        check(&["web#?"], &["web#1", "web#2"]);
        check(&["*"], &["db", "web#1", "web#2", "worker"]);
        check(&["@front"], &["web#1", "web#2"]);
        check(&["@app"], &["web#1", "web#2", "worker"]);
        check(&["@shop"], &["db", "web#1", "web#2", "worker"]);
        check(&["mainstay.keeper"], &["mainstay.keeper"]);
        check(&["worker", "web", "db", "web#1"], &["db", "web#1", "web#2", "worker"]);
    }

    #[test]
    fn a_pattern_that_means_nothing_is_told_with_what_is_near() {
        for (pattern, message, hint) in [
            ("wbe", "no service matches `wbe`", "did you mean `web`?"),
            ("@ap", "no group matches `@ap`", "did you mean `@app`?"),
            ("zzzzzz", "no service matches `zzzzzz`", "`mainstay status --all` shows what there is"),
        ] {
            let error = snapshot().select(&["web".to_owned(), pattern.to_owned()]).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint().as_str()), (message, hint));
            assert_eq!(error.code().number(), 4);
        }
    }

    #[test]
    fn groups_whose_parents_go_round_in_a_circle_end() {
        let mut snapshot = snapshot();
        snapshot.groups[0].parent = "front".into();
        assert!(snapshot.select(&["@nowhere".to_owned()]).is_err());
    }
}
