//! `@config`: the helper that finds out what a reload or a scale would mean, so that the supervisor never waits for
//! a disk, nor for a name service: it looks up users, too. It reads the file as `check` does, compares it with the plan in
//! force, writes one answer and ends.
//!
//! Descriptor 3 holds the plan in force, 4 takes the answer. The answer counts when it is whole: a helper that was
//! killed has said nothing, and nothing is changed.

use super::check;
use crate::config::diff::{self, What};
use crate::config::{Diagnostics, Plan};
use crate::exit_code::ExitCode;
use crate::ipc::codec::{self, PLAN_LIMIT};
use crate::ipc::control::{Changed, Difference};
use crate::paths::{ChosenBy, Project};
use crate::sys::user::Users;
use crate::sys::{inherited, memory};
use bincode::{Decode, Encode};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "@config";

/// Longer texts about a broken file are cut: nobody reads them.
const TEXT_MAX: usize = 1 << 20;

/// Places in the file that are remembered of a reload: the event that tells of it is short.
pub const PATHS: usize = 64;
/// The longest of them, in characters.
const PATH_MAX: usize = 120;

/// What the helper found.
#[derive(Clone, Debug, Encode, Decode)]
pub enum Revised {
    /// Another plan, or the same.
    Plan(Box<Another>),
    /// The users that were asked for.
    Users(Users),
    /// The file has errors, or the question makes no sense.
    Wrong {
        /// The exit code that this means.
        code: u8,
        /// What is wrong, as `check` shows it; may be empty.
        text: String,
        /// In a line.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
}

/// Another plan, beside the one in force.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Another {
    /// It.
    pub plan: Plan,
    /// For people.
    pub differences: Vec<Difference>,
    /// Where in the file they are, at most [`PATHS`]: what a death soon afterwards may be the consequence of.
    pub paths: Vec<String>,
    /// Instances (of the new plan) that are new, or execute or write something else: they need a new launch.
    pub changed: Vec<u32>,
    /// Instances (of the new plan) whose processes have to be replaced.
    pub restart: Vec<u32>,
    /// Its users, looked up.
    pub users: Users,
}

/// A plan as the supervisor keeps it: sealed memory that is not mapped.
///
/// # Errors
/// No memory is left, or a path in it is no UTF-8.
pub fn seal(plan: &Plan) -> io::Result<std::sync::Arc<OwnedFd>> {
    let bytes = codec::encode_plan(plan).map_err(io::Error::other)?;
    Ok(std::sync::Arc::new(memory::sealed("mainstay.plan", &bytes)?))
}

/// The answer of a helper that has ended.
///
/// # Errors
/// It did not finish it.
pub fn answer(memory: &OwnedFd) -> io::Result<Revised> {
    let bytes = memory::contents(memory, PLAN_LIMIT as u64)?;
    codec::decode_plan(&bytes).map_err(io::Error::other)
}

/// The words of a helper that reads this file again.
pub fn file_words(file: &Path, project: &str, color: bool) -> Vec<OsString> {
    let mut words =
        vec!["mainstay.config".into(), SUBCOMMAND.into(), "file".into(), project.into(), file.into()];
    words.extend(color.then(|| "color".into()));
    words
}

/// The words of a helper that counts services anew.
pub fn scale_words(scale: &[(String, u32)]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["mainstay.config".into(), SUBCOMMAND.into(), "scale".into()];
    words.extend(scale.iter().map(|(service, count)| format!("{service}={count}").into()));
    words
}

/// The words of a helper that takes a whole plan, which [`seal`] wrote.
pub fn plan_words(plan: &str) -> Vec<OsString> {
    vec!["mainstay.config".into(), SUBCOMMAND.into(), "plan".into(), plan.into()]
}

/// The words of a helper that looks up a user.
pub fn user_words(user: &str) -> Vec<OsString> {
    vec!["mainstay.config".into(), SUBCOMMAND.into(), "user".into(), user.into()]
}

/// The whole helper; `words` come after the subcommand.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.collect();
    // The supervisor's own signals are not for us: who stops the tree kills us, too.
    let (Ok(plan), Ok(answer)) = (inherited::take(3), inherited::take(4)) else {
        return ExitCode::Usage;
    };
    let found = memory::contents(&plan, PLAN_LIMIT as u64)
        .and_then(|bytes| codec::decode_plan::<Plan>(&bytes).map_err(io::Error::other))
        .map(|old| revised(&words, &old));
    let Ok(bytes) = found.and_then(|found| codec::encode_plan(&found).map_err(io::Error::other)) else {
        return ExitCode::Bug;
    };
    match File::from(answer).write_all(&bytes) {
        Ok(()) => ExitCode::Done,
        Err(_) => ExitCode::System,
    }
}

fn revised(words: &[OsString], old: &Plan) -> Revised {
    let text: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match text.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["file", project, _, ..] => match reread(project, Path::new(&words[2])) {
            Ok(plan) => another(old, plan),
            Err(found) => wrong_file(&found, text.get(3).is_some_and(|word| word == "color")),
        },
        ["scale", ref wanted @ ..] => match scaled(old, wanted) {
            Ok(plan) => another(old, plan),
            Err(wrong) => wrong,
        },
        ["plan", _] => match taken(Path::new(&words[1])) {
            Ok(plan) => another(old, Plan { project: old.project.clone(), ..plan }),
            Err(error) => wrong(ExitCode::System, format!("cannot take the plan: {error}"), ""),
        },
        ["user", name] => Revised::Users(Users::look_up([name])),
        _ => wrong(ExitCode::Usage, "nothing was asked", ""),
    }
}

/// A plan that was checked when it was sealed.
fn taken(file: &Path) -> io::Result<Plan> {
    let bytes = memory::contents(&File::open(file)?.into(), PLAN_LIMIT as u64)?;
    codec::decode_plan(&bytes).map_err(io::Error::other)
}

/// As `run` and `check` read it. Paths in messages are relative to its folder.
fn reread(project: &str, file: &Path) -> Result<Plan, Diagnostics> {
    let nowhere = PathBuf::new;
    let project = Project {
        name: project.to_owned(),
        config: Some(file.to_owned()),
        runtime: nowhere(),
        state: nowhere(),
        logs: nowhere(),
        chosen_by: ChosenBy::Folder,
        searched: Vec::new(),
    };
    let here = file.parent().unwrap_or(Path::new("/"));
    check::load(&project, here).map(|configuration| configuration.plan)
}

fn wrong_file(found: &Diagnostics, color: bool) -> Revised {
    let mut text = found.render(color);
    if text.len() > TEXT_MAX {
        let cut = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
    }
    Revised::Wrong {
        code: ExitCode::Configuration.number(),
        text,
        message: found.summary(),
        hint: "mainstay check".into(),
    }
}

fn wrong(code: ExitCode, message: impl Into<String>, hint: impl Into<String>) -> Revised {
    Revised::Wrong { code: code.number(), text: String::new(), message: message.into(), hint: hint.into() }
}

fn scaled(old: &Plan, wanted: &[&str]) -> Result<Plan, Revised> {
    let mut plan = old.clone();
    for word in wanted {
        let Some((service, count)) = word.split_once('=').and_then(|(s, n)| Some((s, n.parse().ok()?)))
        else {
            return Err(wrong(ExitCode::Usage, format!("`{word}` is not SERVICE=N"), ""));
        };
        plan = plan.scaled(service, count).map_err(|error| {
            let unknown = matches!(error, crate::config::declared::ScaleError::Unknown { .. });
            let code = if unknown { ExitCode::NotFound } else { ExitCode::Failed };
            wrong(code, format!("cannot scale `{service}` to {count}: {error}"), "")
        })?;
    }
    Ok(plan)
}

/// Names of variables may be as long as people like.
fn shortened(path: String) -> String {
    match path.char_indices().nth(PATH_MAX) {
        Some((at, _)) => format!("{}…", &path[..at]),
        None => path,
    }
}

fn another(old: &Plan, plan: Plan) -> Revised {
    let found = diff::diff(old, &plan);
    let restarted: std::collections::HashSet<&str> = found
        .iter()
        .filter(|difference| matches!(difference.what, What::Restart { .. }))
        .map(|difference| difference.name.as_str())
        .collect();
    let before: HashMap<&str, usize> =
        old.programs.iter().enumerate().map(|(at, program)| (program.instance.as_str(), at)).collect();
    let (mut changed, mut restart) = (Vec::new(), Vec::new());
    for (at, program) in (0..).zip(&plan.programs) {
        let known = before.get(program.instance.as_str()).map(|at| &old.programs[*at]);
        if known != Some(program) {
            changed.push(at);
        }
        if known.is_some() && restarted.contains(program.service.as_str()) {
            restart.push(at);
        }
    }
    let paths = found.iter().flat_map(diff::Difference::paths).take(PATHS).map(shortened).collect();
    let differences = found.into_iter().map(|difference| {
        let (change, why) = match difference.what {
            What::Added => (Changed::Added, Vec::new()),
            What::Removed => (Changed::Removed, Vec::new()),
            What::Restart { why } => (Changed::Restarted, why),
            What::InPlace { why } => (Changed::InPlace, why),
        };
        Difference { name: difference.name, change, why }
    });
    let users = Users::look_up(plan.users());
    let differences = differences.collect();
    Revised::Plan(Box::new(Another { differences, paths, changed, restart, users, plan }))
}
