//! Migrations: which flags their stages turn on, and that no two of them want the same flag.

use super::flags::is_switch;
use super::{Resolver, shorten};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Located, Span};
use crate::config::migration::{MigrationPart, StagePart};
use crate::flags::{Kind, Migration};
use std::collections::HashMap;

/// Which stage turns a flag on, in words, and where that is said.
type Taken<'a> = HashMap<&'a str, (String, Span)>;

impl<'a> Resolver<'a> {
    /// The migrations, with the services that they name.
    pub(super) fn find_migrations(&mut self) -> Vec<Migration> {
        let document = self.document;
        let mut taken = Taken::new();
        let mut found = Vec::with_capacity(document.migrations.len());
        for part in &document.migrations {
            let name = shorten(&part.migration.name);
            if let Some(flag) = self.flags.get(part.migration.name.as_str()) {
                let message =
                    format!("`{name}` is both a migration and a flag, and they are read by one name");
                let flag = document.flags[*flag].at.clone();
                let problem =
                    Diagnostic::error(part.at.clone(), message).help("give one of them another name");
                self.problems.push(problem.related(flag, "the flag"));
            }
            for (at, stage) in part.stages.iter().enumerate() {
                let number = at as u32 + 1;
                stage.on.iter().for_each(|flag| self.check_turned_on(part, stage, number, flag, &mut taken));
            }
            let guard = self.guarding(&format!("migration `{name}`"), &part.guard);
            found.push(Migration { guard, ..part.migration.clone() });
        }
        found
    }

    /// `flag` as one that stage `number` turns on.
    fn check_turned_on(
        &mut self,
        part: &MigrationPart,
        stage: &StagePart,
        number: u32,
        flag: &'a Located<String>,
        taken: &mut Taken<'a>,
    ) {
        let name = flag.value.as_str();
        let called =
            if stage.name.is_empty() { number.to_string() } else { format!("`{}`", shorten(&stage.name)) };
        let whose = format!("stage {called} of migration `{}`", shorten(&part.migration.name));
        let error = |message: String| Diagnostic::error(flag.span.clone(), message);
        let Some(known) = self.flags.get(name) else {
            let turns_on = format!("{whose} turns on `{}`", shorten(name));
            let problem = if self.migrations.contains_key(name) {
                error(format!("{turns_on}, a migration; a stage turns on flags"))
            } else {
                let problem = error(format!("{turns_on}, a flag which does not exist"));
                match self.nearest_flag(name) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")),
                    None => problem.help(format!("declare it: [flag.{}]", shorten(name))),
                }
            };
            self.problems.push(problem);
            return;
        };
        if let Some((first, at)) = taken.get(name) {
            let problem = error(format!("{whose} turns on `{}`, which {first} does already", shorten(name)));
            let problem = problem.label("a flag belongs to one stage").related(at.clone(), "the first");
            self.problems.push(problem);
            return;
        }
        taken.insert(name, (whose.clone(), flag.span.clone()));
        let other = &self.document.flags[*known];
        let kind_at = other.at.clone();
        if !is_switch(other) {
            let problem = error(format!("{whose} turns on `{}`, which is neither on nor off", shorten(name)));
            self.problems.push(problem.related(kind_at, "it has a value of another kind"));
            return;
        }
        if let (Some(steps), Kind::Bool, false) = (&stage.steps, other.declaration.kind, other.kind_is_wrong)
        {
            let message =
                format!("{whose} goes by steps, and `{}` is on or off for everybody", shorten(name));
            let problem = error(message).related(steps.clone(), "the steps");
            self.problems.push(problem.related(kind_at, "it is of kind \"bool\""));
        }
        if let Some(on) = other.on.as_ref().filter(|_| number > part.migration.configured) {
            let message = format!("flag `{}` is on at first, before {whose} turns it on", shorten(name));
            let problem = Diagnostic::warning(on.clone(), message);
            self.problems.push(problem.related(flag.span.clone(), "it is turned on here"));
        }
    }
}
