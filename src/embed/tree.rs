//! A whole tree as a builder, and what it is checked into.

use super::flag::Flag;
use super::flaw::{Flaw, Flaws};
use super::group::{Group, Member, Pool, group_options, member_options};
use super::guard;
use super::host::Host;
use super::keys::{Keys, Value};
use super::migration::Migration;
use super::service::{Template, common_options, program_options};
use super::telemetry::Telemetry;
use super::text::Writer;
use super::words::{Backoff, Log, LogFile, Semantics, Signal};
use crate::cli::check;
use crate::cli::here::read_bounded;
use crate::config::{self, Configuration, Diagnostic, Origin, Plan, Severity};
use crate::flags::guard::Mode;
use crate::supervisor::spec::{AutoShutdown, Grace, OnLimit, Restart, Strategy};
use crate::time::Duration;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// A supervision tree, described in code.
///
/// Its methods are the keys of the configuration file (`docs/configuration.md`), and what is not said is as it is there.
/// How and where it runs is said by the methods in [`embed`](super), none of which is part of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub(super) name: String,
    keys: Keys,
    members: Vec<Member>,
    folder: Option<PathBuf>,
    defaults: Option<Defaults>,
    log: Option<LogFile>,
    flags: Vec<Flag>,
    migrations: Vec<Migration>,
    guard: Option<Mode>,
    telemetry: Option<Telemetry>,
    pub(super) host: Host,
}

/// What services say nothing about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    keys: Keys,
}

impl Defaults {
    /// Mainstay's own.
    pub fn new() -> Defaults {
        Defaults::default()
    }

    /// How long services that declare readiness may take.
    pub fn ready_within(mut self, within: Duration) -> Defaults {
        self.keys.set_in("ready", "within", within);
        self
    }

    common_options!();
    program_options!();
}

impl Tree {
    /// A tree without members. Its name is that of the project, of its directories and of the outermost group: one supervisor
    /// runs it at a time.
    pub fn new(name: impl Into<String>) -> Tree {
        Tree {
            name: name.into(),
            keys: Keys::default(),
            members: Vec::new(),
            folder: None,
            defaults: None,
            log: None,
            flags: Vec::new(),
            migrations: Vec::new(),
            guard: None,
            telemetry: None,
            host: Host::default(),
        }
    }

    /// Where relative paths begin and services run unless they say otherwise; the current directory unless said.
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Tree {
        self.folder = Some(path.into());
        self
    }

    /// What services say nothing about.
    pub fn defaults(mut self, defaults: Defaults) -> Tree {
        self.defaults = Some(defaults);
        self
    }

    /// Every log, the supervisor's own included; what [`Defaults::log`] and a service say goes before it.
    pub fn log(mut self, log: LogFile) -> Tree {
        self.log = Some(log);
        self
    }

    /// One more feature flag.
    pub fn flag(mut self, flag: Flag) -> Tree {
        self.flags.push(flag);
        self
    }

    /// One more migration.
    pub fn migration(mut self, migration: Migration) -> Tree {
        self.migrations.push(migration);
        self
    }

    /// What becomes of the spans and events that services write.
    pub fn telemetry(mut self, telemetry: Telemetry) -> Tree {
        self.telemetry = Some(telemetry);
        self
    }

    /// The guard's switch for the whole host, until somebody moves it by hand; [`Mode::On`] unless said.
    pub fn guard(mut self, mode: Mode) -> Tree {
        self.guard = Some(mode);
        self
    }

    /// Every service is killed when its supervisor dies, however that happens; else the next supervisor of the project ends
    /// what is left. In a process of its own: when the thread that runs the tree ends.
    pub fn die_with_supervisor(mut self) -> Tree {
        self.keys.set("on_supervisor_death", "die");
        self
    }

    /// The tree itself is a pool of this template, with no other member.
    pub fn pool(mut self, template: Template, max_children: Option<u32>) -> Tree {
        self.keys.set("strategy", "pool");
        if let Some(max) = max_children {
            self.keys.set("max_children", max);
        }
        self.members.push(template.into());
        self
    }

    group_options!();
    member_options!();

    /// The plan that the tree means: the one that its configuration file would give. Reads environment files and nothing
    /// else; nothing is started.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn build(&self) -> Result<Plan, Flaws> {
        self.configuration().map(|(_, configuration)| configuration.plan)
    }

    /// What is probably not meant so, or not there on this machine: a program, a directory, a user. The tree runs all the
    /// same.
    ///
    /// # Errors
    /// As [`Tree::build`].
    pub fn warnings(&self) -> Result<Vec<Flaw>, Flaws> {
        let (writer, mut configuration) = self.configuration()?;
        check::look_up(&mut configuration);
        Ok(configuration.warnings.list.iter().map(|warning| flaw(&writer, warning)).collect())
    }

    /// The configuration file that says the same, as far as the tree can be written.
    pub fn to_toml(&self) -> String {
        self.written().text
    }

    fn configuration(&self) -> Result<(Writer, Configuration), Flaws> {
        let mut writer = self.written();
        let mut flaws = std::mem::take(&mut writer.flaws);
        let folder = match self.absolute_folder() {
            Ok(folder) => folder,
            Err(error) => {
                let (node, option) = (self.node(), "folder".to_owned());
                flaws.push(Flaw { node, option, message: error.to_string(), hint: String::new() });
                PathBuf::from("/")
            }
        };
        let file = folder.join(crate::paths::FILE_NAME);
        let origin = Origin { env_files: &read_text, ..Origin::new(&file, "the tree", &self.name) };
        match config::parse(writer.text.as_bytes(), &origin) {
            Ok(mut configuration) if flaws.is_empty() => {
                nowhere(&mut configuration.plan);
                Ok((writer, configuration))
            }
            Ok(_) => Err(Flaws(flaws)),
            Err(found) => {
                let errors = found.list.iter().filter(|one| one.severity == Severity::Error);
                flaws.extend(errors.map(|one| flaw(&writer, one)));
                Err(Flaws(flaws))
            }
        }
    }

    fn absolute_folder(&self) -> io::Result<PathBuf> {
        match &self.folder {
            Some(folder) if folder.is_absolute() => Ok(folder.clone()),
            Some(folder) => Ok(std::env::current_dir()?.join(folder)),
            None => std::env::current_dir(),
        }
    }

    fn node(&self) -> String {
        format!("tree `{}`", self.name)
    }

    fn written(&self) -> Writer {
        let mut writer = Writer::default();
        writer.node(self.node(), None);
        writer.option("name", &self.name.as_str().into());
        writer.options(&self.keys);
        if let Some(defaults) = &self.defaults {
            writer.node("defaults".to_owned(), Some(("defaults", None)));
            writer.options(&defaults.keys);
        }
        if let Some(log) = &self.log {
            writer.node("log".to_owned(), Some(("log", None)));
            writer.options(&log.0);
        }
        if let Some(telemetry) = &self.telemetry {
            writer.node("telemetry".to_owned(), Some(("telemetry", None)));
            writer.options(&telemetry.0);
        }
        if let Some(mode) = self.guard {
            writer.node("guard".to_owned(), Some(("guard", None)));
            writer.option("mode", &guard::word(mode).into());
        }
        let mut names = Names::default();
        self.members.iter().for_each(|member| member.write(None, &mut names, &mut writer));
        for flag in &self.flags {
            let node = format!("flag `{}`", flag.name);
            if names.take("flag", &flag.name, node, &mut writer) {
                writer.options(&flag.keys);
            }
        }
        for migration in &self.migrations {
            let node = format!("migration `{}`", migration.name);
            if names.take("migration", &migration.name, node, &mut writer) {
                writer.options(&migration.keys);
            }
        }
        writer
    }
}

/// Names that are taken: TOML would take a second table for a mistake in the text and look at nothing else.
#[derive(Default)]
struct Names(HashSet<(&'static str, String)>);

impl Names {
    /// Begins a node. False: there is one with this name already, which is said.
    fn take(&mut self, kind: &'static str, name: &str, node: String, writer: &mut Writer) -> bool {
        if self.0.insert((kind, name.to_owned())) {
            writer.node(node, Some((kind, Some(name))));
            return true;
        }
        writer.node(node, None);
        writer.flaw("name", format!("there is another {kind} with this name"));
        false
    }
}

impl Member {
    fn write(&self, home: Option<&str>, names: &mut Names, writer: &mut Writer) {
        match self {
            Member::Service(service) => {
                let node = format!("service `{}`", service.name);
                leaf(&service.name, node, &service.keys, home, names, writer);
            }
            Member::Template(template) => {
                let node = format!("template `{}`", template.name);
                leaf(&template.name, node, &template.keys, home, names, writer);
            }
            Member::Group(Group { name, keys, members }) => {
                if names.take("group", name, format!("group `{name}`"), writer) {
                    at_home(home, writer);
                    writer.options(keys);
                }
                members.iter().for_each(|member| member.write(Some(name), names, writer));
            }
            Member::Pool(Pool { name, keys, template }) => {
                if names.take("group", name, format!("pool `{name}`"), writer) {
                    at_home(home, writer);
                    writer.option("strategy", &Value::from("pool"));
                    writer.options(keys);
                }
                let node = format!("template `{}`", template.name);
                leaf(&template.name, node, &template.keys, Some(name), names, writer);
            }
        }
    }
}

fn leaf(name: &str, node: String, keys: &Keys, home: Option<&str>, names: &mut Names, writer: &mut Writer) {
    if names.take("service", name, node, writer) {
        at_home(home, writer);
        writer.options(keys);
    }
}

fn at_home(home: Option<&str>, writer: &mut Writer) {
    if let Some(home) = home {
        writer.option("group", &home.into());
    }
}

/// It stands in no file.
fn nowhere(plan: &mut Plan) {
    plan.file = None;
    plan.programs.iter_mut().for_each(|program| program.line = 0);
    plan.templates.iter_mut().for_each(|template| template.program.line = 0);
}

fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_bounded(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

fn flaw(writer: &Writer, found: &Diagnostic) -> Flaw {
    let (node, option) = writer.at(found.span.as_ref().map_or(0, |span| span.start));
    // What it is about is said by the node and the option.
    let last = option.rsplit('.').next().unwrap_or_default();
    let message = found.message.strip_prefix(&format!("invalid `{last}`: ")).unwrap_or(&found.message);
    let label = Some(&found.label).filter(|label| !label.is_empty() && !label.starts_with("in "));
    let hint = found.help.as_ref().or(label).cloned().unwrap_or_default();
    Flaw { message: message.to_owned(), node, option, hint }
}
