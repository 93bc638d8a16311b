//! Flags: what each says about other flags and about services.

use super::{Resolver, shorten};
use crate::config::Date;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Located, Span};
use crate::config::flag::FlagPart;
use crate::config::guard::GuardPart;
use crate::flags::guard::Guarding;
use crate::flags::{Declaration, Kind, Requires};
use std::collections::HashMap;

/// Names of one circle that are shown.
const CIRCLE_SHOWN: usize = 12;

impl<'a> Resolver<'a> {
    /// The flags, with the services that they name.
    pub(super) fn find_flags(&mut self) -> Vec<Declaration> {
        let document = self.document;
        let mut found = Vec::with_capacity(document.flags.len());
        let mut variables: HashMap<String, &'a FlagPart> = HashMap::new();
        for part in &document.flags {
            let owner = format!("flag `{}`", shorten(&part.declaration.name));
            let mut flag = part.declaration.clone();
            flag.services = self.known_services(&owner, &part.services);
            flag.guard = part.guard.as_ref().map(|guard| self.guarding(&owner, guard));
            if let Some(guard) = &mut flag.guard
                && guard.services.is_empty()
            {
                // Those that it may hurt are those that are watched.
                guard.services.clone_from(&flag.services);
            }
            if let Some(requires) = &part.requires {
                self.check_requires(&owner, requires);
            }
            if let Some(at) = &part.env {
                self.check_variable(part, at, &mut variables);
            }
            self.warn_of_the_past(part);
            found.push(flag);
        }
        self.check_circles_of_flags();
        found
    }

    /// A guard with the services and the folder that it names.
    pub(super) fn guarding(&mut self, owner: &str, part: &GuardPart) -> Guarding {
        let owner = format!("the guard of {owner}");
        let mut guard = part.guarding.clone();
        guard.services = self.known_services(&owner, &part.services);
        if let Some(probe) = &mut guard.probe {
            // A folder that is not UTF-8 is an error of its own.
            probe.directory = self.folder(part.at.start).to_string_lossy().into_owned();
        }
        guard
    }

    /// Those of these that there are; each once.
    fn known_services(&mut self, owner: &str, services: &[Located<String>]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for service in services {
            let name = service.value.as_str();
            if self.services.contains_key(name) {
                if !found.iter().any(|known| known == name) {
                    found.push(name.to_owned());
                }
                continue;
            }
            let message = format!("{owner} names the service `{}`, which does not exist", shorten(name));
            let problem = Diagnostic::error(service.span.clone(), message);
            let whole = name.split_once('#').map(|(whole, _)| whole);
            let template = name.split_once('@').map(|(base, _)| &name[..=base.len()]);
            let problem = if let Some(whole) = whole.filter(|whole| self.services.contains_key(whole)) {
                problem.label(format!("all instances are meant: write `{whole}`"))
            } else if let Some(whole) = template.filter(|whole| self.services.contains_key(whole)) {
                problem.label(format!("all instances are meant: write `{whole}`"))
            } else if self.groups.contains_key(name.trim_start_matches('@')) {
                problem.label("that is a group: name its services")
            } else {
                match self.nearest_service(name) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")),
                    None => problem,
                }
            };
            self.problems.push(problem);
        }
        found
    }

    fn check_requires(&mut self, owner: &str, requires: &Located<Requires>) {
        let wanted = requires.value.flag.as_str();
        let says = |what: &str| format!("{owner} requires `{}`, {what}", shorten(wanted));
        let Some(other) = self.flags.get(wanted) else {
            let (message, near) = if self.migrations.contains_key(wanted) {
                (says("a migration, which is neither on nor off"), None)
            } else {
                (says("which does not exist"), self.nearest_flag(wanted))
            };
            let problem = Diagnostic::error(requires.span.clone(), message);
            self.problems.push(match near {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem,
            });
            return;
        };
        let other = &self.document.flags[*other];
        if !is_switch(other) {
            let problem = Diagnostic::error(requires.span.clone(), says("which is neither on nor off"));
            self.problems.push(problem.related(other.at.clone(), "it has a value of another kind"));
        }
    }

    fn check_variable(&mut self, part: &'a FlagPart, at: &Span, seen: &mut HashMap<String, &'a FlagPart>) {
        let variable = part.declaration.variable();
        if let Some(first) = seen.get(&variable) {
            let message = format!(
                "flags `{}` and `{}` would both be the variable {variable}",
                shorten(&first.declaration.name),
                shorten(&part.declaration.name)
            );
            let problem = Diagnostic::error(at.clone(), message).help("rename one of them, or leave one out");
            self.problems.push(problem.related(first.at.clone(), "the first"));
            return;
        }
        seen.insert(variable, part);
    }

    fn warn_of_the_past(&mut self, part: &FlagPart) {
        let day = part.declaration.expires.as_deref().and_then(|day| day.parse::<Date>().ok());
        if let (Some(at), Some(day), Some(today)) = (&part.expires, day, self.origin.today)
            && day < today
        {
            let message = format!("flag `{}` expired on {day}", shorten(&part.declaration.name));
            let help =
                "take it out of the programs and of this file, or give it another day; it works as before";
            self.problems.push(Diagnostic::warning(at.clone(), message).help(help));
        }
    }

    /// Each flag requires one other at most, so every walk is a line that may end in a circle.
    fn check_circles_of_flags(&mut self) {
        let document = self.document;
        let next = |at: usize| {
            let requires = document.flags[at].requires.as_ref()?;
            self.flags.get(requires.value.flag.as_str()).copied()
        };
        // The walk in which each flag was seen; 0: in none.
        let mut seen = vec![0; document.flags.len()];
        let mut circles = Vec::new();
        for start in 0..document.flags.len() {
            let walk = start + 1;
            let mut at = Some(start);
            while let Some(flag) = at.filter(|flag| seen[*flag] == 0) {
                seen[flag] = walk;
                at = next(flag);
            }
            if let Some(first) = at.filter(|flag| seen[*flag] == walk) {
                let around = std::iter::successors(next(first), |flag| next(*flag));
                circles
                    .push(std::iter::once(first).chain(around.take_while(|flag| *flag != first)).collect());
            }
        }
        circles.iter().for_each(|circle: &Vec<usize>| self.report_circle_of_flags(circle));
    }

    fn report_circle_of_flags(&mut self, circle: &[usize]) {
        // From where the file says it first.
        let start = (0..circle.len()).min_by_key(|at| self.document.flags[circle[*at]].at.start).unwrap_or(0);
        let circle: Vec<&FlagPart> =
            circle[start..].iter().chain(&circle[..start]).map(|at| &self.document.flags[*at]).collect();
        let name = |part: &FlagPart| format!("`{}`", shorten(&part.declaration.name));
        let places: Vec<&Span> =
            circle.iter().filter_map(|part| Some(&part.requires.as_ref()?.span)).collect();
        let message = if circle.len() == 1 {
            format!("flag {} requires itself", name(circle[0]))
        } else {
            let mut names: Vec<String> = circle.iter().chain(&circle[..1]).map(|part| name(part)).collect();
            if names.len() > CIRCLE_SHOWN {
                let left_out = names.len() - CIRCLE_SHOWN;
                names
                    .splice(CIRCLE_SHOWN / 2..names.len() - CIRCLE_SHOWN / 2, [format!("({left_out} more)")]);
            }
            format!("these flags require each other in a circle: {}", names.join(" → "))
        };
        let mut problem = Diagnostic::error(places[0].clone(), message);
        for at in places.iter().skip(1).take(4) {
            problem = problem.related((*at).clone(), "and here");
        }
        self.problems.push(problem);
    }
}

/// Whether it is on or off, as far as can be told.
pub(super) fn is_switch(part: &FlagPart) -> bool {
    part.kind_is_wrong || matches!(part.declaration.kind, Kind::Bool | Kind::Percent)
}
