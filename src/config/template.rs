//! A template: a service that is never started by itself, and from which instances are made while the tree runs.
//!
//! `%i` in it stands for the argument and `%%` for a percent sign; anything else behind a `%` was refused when the file was
//! read. What an environment file says is taken as it stands: a secret with a percent sign arrives unchanged.

use super::declared::Need;
use super::plan::{Condition, Program, Ready};
use super::{health, words};
use crate::supervisor::spec::Child;
use std::fmt;
use std::path::PathBuf;

/// `[service."worker@"]`
#[derive(Clone, Debug, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Template {
    /// `worker@`
    pub name: String,
    /// The policy of its instances, named as the template; `group` and `needs` are those of the plan's tree.
    pub child: Child,
    /// What its instances execute, with `%i` where the argument comes.
    pub program: Program,
    /// What it needs, as it was written.
    pub needs: Vec<Need>,
    /// What `program` cannot hold before the argument is known.
    pub blanks: Blanks,
}

/// What is filled in when the argument is known, beside the texts of the program itself.
#[derive(Clone, Debug, Default, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Blanks {
    /// The folder of the file, where relative paths begin. A percent sign in its name is one.
    pub folder: PathBuf,
    /// `directory` as it was written.
    pub directory: Option<String>,
    /// The path of `condition` as it was written.
    pub exists: Option<String>,
    /// The port of `ready = { tcp = "80%i" }`, which is a number only with the argument in it.
    pub port: Option<String>,
    /// The port or the address of `health`, when it depends on the argument.
    pub health: Option<String>,
    /// In the program's `env` from here on, values hold `%i`; those before are taken as they are.
    pub own_env: usize,
}

/// Why no instance can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceError {
    /// The argument breaks the rule.
    Argument {
        /// What was given.
        argument: String,
        /// The rule.
        reason: String,
    },
    /// The name breaks the rule.
    Name {
        /// What was given.
        name: String,
        /// The rule.
        reason: String,
    },
    /// A word of the command line holds a NUL byte.
    Nul,
    /// `ready = { tcp = "…" }` with the argument in it is no port.
    Port {
        /// What it is.
        text: String,
    },
    /// What `health` asks makes no sense with the argument in it.
    Health {
        /// What it is.
        text: String,
        /// The rule.
        reason: String,
    },
}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceError::Argument { argument, reason } => {
                write!(f, "`{}` cannot be the argument of a template: {reason}", argument.escape_debug())
            }
            InstanceError::Name { name, reason } => {
                write!(f, "`{}` cannot name an instance: {reason}", name.escape_debug())
            }
            InstanceError::Nul => f.write_str("an argument holds a NUL byte, which no process can receive"),
            InstanceError::Port { text } => {
                write!(f, "`ready` waits for the port `{text}`, expected 1 to 65535")
            }
            InstanceError::Health { text, reason } => {
                write!(f, "`health` would ask `{}`: {reason}", text.escape_debug())
            }
        }
    }
}

impl std::error::Error for InstanceError {}

impl Template {
    /// What to start for this argument: `worker@` and `mail` are `worker@mail`, unless `name` says otherwise.
    ///
    /// The words of `extra` come after those of the command (OTP D08). Whether the name is free, and whether the group
    /// has room, is not known here.
    ///
    /// # Errors
    /// The argument, the name or what they make of the template breaks a rule.
    pub fn instance(
        &self,
        argument: &str,
        extra: &[String],
        name: Option<&str>,
    ) -> Result<(Child, Program), InstanceError> {
        words::check_argument(argument)
            .map_err(|reason| InstanceError::Argument { argument: argument.to_owned(), reason })?;
        let name = name.map_or_else(|| format!("{}{argument}", self.name), str::to_owned);
        words::check_instance_name(&name)
            .map_err(|reason| InstanceError::Name { name: name.clone(), reason })?;
        if extra.iter().any(|word| word.contains('\0')) {
            return Err(InstanceError::Nul);
        }
        let fill = |text: &str| filled(text, argument);
        let blanks = &self.blanks;
        let mut program = self.program.clone();
        program.instance.clone_from(&name);
        program.argv.iter_mut().for_each(|word| *word = fill(word));
        program.argv.extend_from_slice(extra);
        program.env[blanks.own_env..].iter_mut().for_each(|(_, value)| *value = fill(value));
        program.user = program.user.as_deref().map(fill);
        if let Some(directory) = &blanks.directory {
            program.directory = blanks.folder.join(fill(directory));
        }
        if let Some(path) = &blanks.exists {
            program.condition = Some(Condition::Exists(blanks.folder.join(fill(path))));
        }
        if let Ready::Output(text) = &mut program.ready {
            *text = fill(text);
        }
        if let Some(port) = &blanks.port {
            let text = fill(port);
            let number = text.parse().ok().filter(|port| *port != 0);
            program.ready = Ready::Tcp(number.ok_or(InstanceError::Port { text })?);
        }
        if let Some(health) = &mut program.health {
            health::fill(&mut health.how, blanks.health.as_deref(), fill)
                .map_err(|(text, reason)| InstanceError::Health { text, reason })?;
        }
        Ok((Child { name, added: true, ..self.child.clone() }, program))
    }
}

/// `text` with the argument in it.
fn filled(text: &str, argument: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        match rest[at + 1..].chars().next() {
            Some('i') => out.push_str(argument),
            Some('%') => out.push('%'),
            // Refused by `check`; stands for itself all the same.
            _ => {
                out.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    out
}

/// Whether `text` may stand in a template, or in what is none.
///
/// # Errors
/// What to write instead.
pub(super) fn check(text: &str, in_template: bool) -> Result<(), String> {
    if !in_template {
        return match text.contains("%i") {
            true => {
                Err("`%i` stands for the argument of a template, whose name ends in `@`; this is none"
                    .to_owned())
            }
            false => Ok(()),
        };
    }
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        match rest[at + 1..].chars().next() {
            Some('i' | '%') => rest = &rest[at + 2..],
            Some(other) => {
                let other = other.escape_debug();
                return Err(format!(
                    "in a template `%i` is the argument and `%%` a percent sign; `%{other}` means nothing"
                ));
            }
            None => return Err("in a template a percent sign is written `%%`".to_owned()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_comes_where_percent_i_stands_and_nowhere_else() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("%i", "a-1"),
            ("x%iy%i", "xa-1ya-1"),
            ("100%%", "100%"),
            ("%%i", "%i"),
            ("%%%i", "%a-1"),
            ("é%i€", "éa-1€"),
            ("%d %", "%d %"),
        ] {
            assert_eq!(filled(text, "a-1"), expected, "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_where_it_would_be_looked_at() {
        for text in ["%d", "%", "a%", "%%%", "%é"] {
            assert!(check(text, true).is_err(), "{text}");
            assert!(check(text, false).is_ok(), "{text} is the program's own affair");
        }
        assert!(check("%i %% %%i", true).is_ok());
        assert!(check("--queue=%i", false).is_err());
    }
}
