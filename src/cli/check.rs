//! `check`: everything that is wrong with a configuration, in one pass.
//!
//! The file itself is judged by [`crate::config`]. What only this machine can tell (is the program there?) is looked up
//! here and gives warnings: the file may be right and meant for another machine, or for after the build.

mod parts;

use super::here::{self, read_bounded};
use crate::config::diagnostic::count;
use crate::config::plan::Program;
use crate::config::{self, Configuration, Diagnostic, Diagnostics, Origin, PlaceOf, Places, Severity};
use crate::exit_code::ExitCode;
use crate::paths::{self, Choice, PathError, Project};
use crate::sys::clock;
use nix::unistd::{Group, Uid, User};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How `check` answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// One JSON object on stdout, and nothing on stderr.
    pub json: bool,
    /// Colour in the messages for people.
    pub color: bool,
}

/// Does the whole verb: answers on `out`, tells people on `err`.
///
/// # Errors
/// Writing failed.
pub fn run(choice: &Choice, style: Style, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    let environment = here::environment();
    let project = match paths::resolve(choice, &environment, &here::System) {
        Ok(project) => project,
        Err(error) => return refuse(&error, style, out, err),
    };
    if let Err(error) = project.configuration() {
        return refuse(&error, style, out, err);
    }
    let (plan, found) = match load(&project, &environment.directory) {
        Ok(mut configuration) => {
            look_up(&mut configuration);
            (Some(configuration.plan), configuration.warnings)
        }
        Err(found) => (None, found),
    };
    let code = if plan.is_some() { ExitCode::Done } else { ExitCode::Configuration };
    if style.json {
        writeln!(out, "{}", json(&project, plan.as_ref(), &found))?;
        return Ok(code);
    }
    write!(err, "{}", found.render(style.color))?;
    match plan {
        None => writeln!(err, "{}", found.summary())?,
        Some(plan) => {
            let mut line = format!("ok: {}", count(plan.declared.services.len(), "service"));
            if !plan.templates.is_empty() {
                line.push_str(&format!(", {}", count(plan.templates.len(), "template")));
            }
            line.push_str(&format!(", {}", count(plan.flags.len(), "flag")));
            if !plan.migrations.is_empty() {
                line.push_str(&format!(", {}", count(plan.migrations.len(), "migration")));
            }
            if found.warnings() > 0 {
                line.push_str(&format!(", {}", count(found.warnings(), "warning")));
            }
            writeln!(out, "{line}")?;
        }
    }
    Ok(code)
}

/// Reads the configuration of a project with its `conf.d`, as `run`, `reload` and `check` do. Paths in messages are relative to `here` when
/// they are below it.
///
/// # Errors
/// All that is wrong with it, one way or the other.
pub fn load(project: &Project, here: &Path) -> Result<Configuration, Diagnostics> {
    let file = project.configuration().map_err(|error| only(String::new(), error.to_string()))?;
    let shown = file.strip_prefix(here).unwrap_or(file).display().to_string();
    let text =
        read_bounded(file).map_err(|error| only(shown.clone(), format!("cannot read the file: {error}")))?;
    let read_env = |path: &Path| {
        let bytes = read_bounded(path)?;
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
    };
    let parts = parts::beside(file, here).map_err(|error| only(shown.clone(), error))?;
    let origin = Origin {
        env_files: &read_env,
        parts: &parts,
        today: today(),
        ..Origin::new(file, &shown, &project.name)
    };
    let mut configuration = config::parse(&text, &origin)?;
    // `--project` may give the tree another name than the file does.
    let groups = &mut configuration.plan.tree.groups;
    if groups.iter().skip(1).any(|group| group.name == project.name) {
        return Err(only(shown, format!("a group has the name of the project, `{}`", project.name)));
    }
    groups[0].name.clone_from(&project.name);
    configuration.plan.project.clone_from(&project.name);
    Ok(configuration)
}

/// The day in UTC: the same on every machine that reads the file. `None`: the clock is out of all bounds.
fn today() -> Option<config::Date> {
    let now = jiff::Timestamp::from_microsecond(clock::wall().0).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(now).date())
}

/// Adds a warning for whatever this machine does not have.
pub fn look_up(configuration: &mut Configuration) {
    let inherited = std::env::var("PATH").unwrap_or_default();
    for places in &configuration.places {
        let plan = &configuration.plan;
        let program = match places.of {
            PlaceOf::Service(at) => &plan.programs[plan.declared.services[at as usize].first as usize],
            PlaceOf::Template(at) => &plan.templates[at as usize].program,
        };
        let nowhere = directory(program, places);
        // A program is looked for from its directory; without one there is nothing more to say.
        let missing = if nowhere.is_none() { executable(program, places, &inherited) } else { None };
        let found = [nowhere, user(program, places), missing];
        configuration.warnings.list.extend(found.into_iter().flatten());
    }
}

/// Whether a text of a template is known only with its argument.
fn waits(text: &str, places: &Places) -> bool {
    matches!(places.of, PlaceOf::Template(_)) && text.contains('%')
}

fn directory(program: &Program, places: &Places) -> Option<Diagnostic> {
    let at = places.directory.clone()?;
    if waits(&program.directory.to_string_lossy(), places) {
        return None;
    }
    let shown = program.directory.display();
    let message = match program.directory.metadata() {
        Ok(found) if found.is_dir() => return None,
        Ok(_) => format!("`{shown}` is not a directory"),
        Err(error) => format!("the directory `{shown}` cannot be used: {error}"),
    };
    Some(Diagnostic::warning(at, message).label(format!("service `{}` cannot start in it", program.service)))
}

fn user(program: &Program, places: &Places) -> Option<Diagnostic> {
    let (at, wanted) = (places.user.clone()?, program.user.as_deref().filter(|name| !waits(name, places))?);
    let (name, group) = wanted.split_once(':').map_or((wanted, None), |(name, group)| (name, Some(group)));
    let uid = match name.parse::<u32>() {
        Ok(uid) => Some(Uid::from_raw(uid)),
        Err(_) => User::from_name(name).ok().flatten().map(|user| user.uid),
    };
    let group_known =
        |group: &str| group.parse::<u32>().is_ok() || matches!(Group::from_name(group), Ok(Some(_)));
    let message = match uid {
        None => format!("there is no user `{name}` here"),
        Some(_) if group.is_some_and(|group| !group_known(group)) => {
            format!("there is no group `{}` here", group.unwrap_or_default())
        }
        Some(uid) if uid != Uid::effective() && !Uid::effective().is_root() => {
            format!("only root can start services as `{name}`")
        }
        Some(_) => return None,
    };
    Some(Diagnostic::warning(at, message).label(format!("service `{}` cannot start", program.service)))
}

fn executable(program: &Program, places: &Places, inherited: &str) -> Option<Diagnostic> {
    let name = program.argv.first().filter(|name| !waits(name, places))?;
    let message = if name.contains('/') {
        // Collected from its parts, so that `./web` is shown without its dot.
        let path: PathBuf = program.directory.join(name).components().collect();
        why_not_executable(&path).map(|reason| format!("`{}` {reason}", path.display()))
    } else {
        let own = program.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_str());
        let fallback = if program.inherit_env { inherited } else { "/usr/local/bin:/usr/bin:/bin" };
        let path = own.unwrap_or(fallback);
        let folders: Vec<PathBuf> =
            std::env::split_paths(path).map(|dir| program.directory.join(dir)).collect();
        let found = folders.iter().any(|folder| why_not_executable(&folder.join(name)).is_none());
        (!found).then(|| format!("`{name}` is not found in PATH ({path})"))
    };
    let label = format!("service `{}` cannot start", program.service);
    message.map(|message| Diagnostic::warning(places.command.clone(), message).label(label))
}

/// What the system would answer to exec, as far as can be told beforehand.
fn why_not_executable(path: &Path) -> Option<String> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some("does not exist".to_owned()),
        Err(error) => return Some(format!("cannot be looked at: {error}")),
    };
    if !found.is_file() {
        return Some("is not a file".to_owned());
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Some(format!("is not executable: chmod +x {}", path.display()));
    }
    let interpreter = interpreter(path)?;
    (!interpreter.exists()).then(|| format!("needs `{}`, which does not exist", interpreter.display()))
}

/// The program behind `#!`.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut start = [0; 256];
    let length = std::fs::File::open(path).ok()?.read(&mut start).ok()?;
    let line = start[..length].strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // A relative one depends on where the service runs.
    line.split_whitespace().next().map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Something is wrong before there is a text to point at.
fn only(file: String, message: String) -> Diagnostics {
    let problem = Diagnostic { span: None, ..Diagnostic::error(0..0, message) };
    Diagnostics { list: vec![problem], ..Diagnostics::new(file, "") }
}

fn refuse(error: &PathError, style: Style, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<ExitCode> {
    if style.json {
        let problem = serde_json::json!({ "severity": "error", "message": error.to_string() });
        let answer = serde_json::json!({ "schema": 1, "ok": false, "errors": 1, "warnings": 0, "diagnostics": [problem] });
        writeln!(out, "{answer}")?;
    } else {
        writeln!(err, "mainstay: {error}")?;
    }
    Ok(error.exit_code())
}

/// One object: `{schema, ok, project, config, parts, services, templates, instances, flags, migrations, errors, warnings, diagnostics}`.
fn json(project: &Project, plan: Option<&config::Plan>, found: &Diagnostics) -> serde_json::Value {
    let locator = found.locator();
    let diagnostics: Vec<_> = found
        .list
        .iter()
        .map(|d| {
            let source = d.span.as_ref().map(|span| locator.source(span.start)).or(found.sources.first());
            // A file that could not be read has no lines.
            let span = d.span.as_ref().filter(|_| source.is_some_and(|source| !source.text.is_empty()));
            let start = span.map(|span| locator.position(span.start));
            let end = span.map(|span| locator.position(span.end));
            serde_json::json!({
                "severity": match d.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "message": d.message,
                "label": d.label,
                "help": d.help,
                "file": source.map(|source| &source.file),
                "line": start.map(|(line, _)| line),
                "column": start.map(|(_, column)| column),
                "end_line": end.map(|(line, _)| line),
                "end_column": end.map(|(_, column)| column),
            })
        })
        .collect();
    serde_json::json!({
        "schema": 1,
        "ok": plan.is_some(),
        "project": project.name,
        "config": project.config,
        "parts": plan.map(|plan| &plan.parts),
        "services": plan.map(|plan| plan.declared.services.len()),
        "templates": plan.map(|plan| plan.templates.len()),
        "instances": plan.map(|plan| plan.programs.len()),
        "flags": plan.map(|plan| plan.flags.len()),
        "migrations": plan.map(|plan| plan.migrations.len()),
        "errors": found.errors(),
        "warnings": found.warnings(),
        "diagnostics": diagnostics,
    })
}
