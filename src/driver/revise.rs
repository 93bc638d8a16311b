//! Another plan while the tree runs: the file read again (`reload`, SIGHUP), or other numbers of instances (`scale`).
//!
//! A helper (`@config`, [`crate::cli::revision`]) reads, checks and compares; meanwhile the loop goes on. Then all is
//! prepared (descriptors, launches, flags), the core takes the new tree or refuses it, and only then anything is
//! changed. So whatever is wrong, the old state stays as it was (OTP N02).
//!
//! One at a time: who comes meanwhile is refused, SIGHUP waits.

use super::builtins::declared_by;
use super::control::refused;
use super::flag_variables::FlagVariables;
use super::helper::Helper;
use super::roster::{self, Builtin, Entry, FIXED};
use super::setup::declares;
use super::stencil::Stencil;
use super::tell::Tell;
use super::workshop::Prepared;
use super::{Driver, Source, admin};
use crate::cli::revision::{self, Another, Revised};
use crate::config::plan::{Log, Plan, Program};
use crate::exit_code::ExitCode;
use crate::ipc::control::{self, Difference, Refusal, Reply, What};
use crate::ipc::server::ConnectionId;
use crate::supervisor::spec::{ChildId, Node, Tree};
use crate::supervisor::{Action, Change, Flaw, Reloaded, Revision, Standing};
use crate::sys::clock;
use crate::time::Instant;
use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// So much of a text about a broken file fits into one message.
const TEXT: usize = 16 << 10;

/// Another plan that is being found out.
pub struct Revising {
    pub helper: Helper,
    /// Who wants to know; `None`: SIGHUP.
    asked: Option<ConnectionId>,
    /// `file`, `program`, or what is scaled.
    from: String,
    otp: bool,
    at_once: u32,
    dry_run: bool,
    /// Children that no plan knew when it was asked for: they are not scaled away.
    others: HashSet<u32>,
}

/// Where another plan comes from.
pub enum Wanted {
    /// The file that was read, once more.
    File,
    /// The one in force, with other numbers of instances.
    Counts(Vec<(String, u32)>),
    /// Whole, in a file that an embedding program sealed.
    Plan(String),
}

impl Wanted {
    /// As it was asked for.
    pub fn new(scale: Vec<(String, u32)>, plan: String) -> Wanted {
        match (scale.is_empty(), plan.is_empty()) {
            (false, _) => Wanted::Counts(scale),
            (true, false) => Wanted::Plan(plan),
            (true, true) => Wanted::File,
        }
    }
}

/// All that another plan takes, prepared.
struct Ready {
    tree: Tree,
    builtins: Vec<Builtin>,
    prepared: BTreeMap<u32, Prepared>,
    in_force: Arc<OwnedFd>,
}

impl Driver {
    /// SIGHUP.
    pub(super) fn reload_by_signal(&mut self) {
        if self.revising.is_some() {
            self.reload_again = true;
            return;
        }
        if let Err(refusal) = self.begin_revision(None, Wanted::File, false, 0, false, false) {
            self.note_other(String::new(), What::ReloadFailed { message: refusal.message });
        }
    }

    /// Starts the helper. It answers later, unless this fails.
    pub(super) fn begin_revision(
        &mut self,
        asked: Option<ConnectionId>,
        wanted: Wanted,
        otp: bool,
        at_once: u32,
        dry_run: bool,
        color: bool,
    ) -> Result<(), Refusal> {
        self.not_ending()?;
        if let Some(other) = &self.revising {
            return Err(refused(
                format!("another plan is being read already (pid {})", other.helper.pid),
                "try again when it is in force",
            ));
        }
        let (words, from) = match wanted {
            Wanted::File => {
                let Some(file) = &self.file else {
                    return Err(refused(
                        "this tree was started by a command or a program: there is no file to read again",
                        "mainstay shutdown, then mainstay run with a file",
                    ));
                };
                (revision::file_words(file, &self.rooms.project().name, color), "file".to_owned())
            }
            Wanted::Counts(scale) => {
                let parts: Vec<String> = scale.iter().map(|(service, n)| format!("{service}={n}")).collect();
                (revision::scale_words(&scale), parts.join(" "))
            }
            Wanted::Plan(plan) => (revision::plan_words(&plan), "program".to_owned()),
        };
        let helper = self
            .begin_helper(words, |_| Source::Revision)
            .map_err(|error| refused(format!("cannot read another plan: {error}"), "try again"))?;
        let extra =
            |child: &ChildId| self.core.tree().children[child.0 as usize].added || self.core.is_kept(*child);
        let others = self.core.children().filter(extra).map(|child| child.0).collect();
        self.revising = Some(Revising { helper, asked, from, otp, at_once, dry_run, others });
        Ok(())
    }

    /// Its time is over.
    pub(super) fn end_revision(&mut self) {
        if let Some(revising) = &mut self.revising {
            revising.helper.end();
        }
    }

    /// The helper has ended.
    pub(super) fn on_revision(&mut self) {
        let Some(revising) = self.revising.take() else { return };
        let cursor = self.ring.newest();
        let outcome = match self.end_of_helper(&revising.helper) {
            Ok(Revised::Plan(another)) => self.revise(&revising, *another),
            Ok(Revised::Wrong { code, text, message, hint }) => {
                Err((Refusal { code, message, hint }, pieces(&text)))
            }
            Ok(Revised::Users(_)) | Err(_) => {
                let pid = revising.helper.pid;
                let message = format!("the helper that reads the configuration (pid {pid}) died");
                Err((refused(message, "try again"), Vec::new()))
            }
        };
        let (said, last) = match outcome {
            Ok(said) => (said, Reply::Done { cursor }),
            Err((refusal, said)) => {
                if !revising.dry_run {
                    let message = refusal.message.clone();
                    self.note_other(String::new(), What::ReloadFailed { message });
                }
                (said, Reply::Refused(refusal))
            }
        };
        if let Some(connection) = revising.asked {
            self.begin_telling(connection, said, last);
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload_by_signal();
        }
    }

    /// Takes another plan as a whole, or leaves everything as it is.
    fn revise(&mut self, how: &Revising, another: Another) -> Result<Vec<Tell>, (Refusal, Vec<Tell>)> {
        let said = |differences: &[Difference]| -> Vec<Tell> {
            differences.iter().map(|one| Tell::say(Reply::Difference(one.clone()))).collect()
        };
        self.not_ending().map_err(|refusal| (refusal, Vec::new()))?;
        let ready = self.prepare_revision(&another).map_err(|refusal| (refusal, Vec::new()))?;
        let mut told = said(&another.differences);
        if how.dry_run {
            self.give_back_prepared(&ready);
            return Ok(told);
        }
        let Another { plan, differences, paths, restart, users, .. } = another;
        let keeper = self.roster.child_of(Builtin::Keeper);
        let before: HashSet<u32> = self.core.children().map(|child| child.0).collect();
        let restart: Vec<ChildId> =
            restart.iter().map(|at| ChildId(at + ready.builtins.len() as u32)).collect();
        let (mut actions, now) = (Vec::new(), clock::now());
        let revision = Revision {
            tree: ready.tree.clone(),
            fixed: FIXED,
            restart,
            at_once: how.at_once.max(1),
            otp_rule: how.otp,
        };
        let flags_differ = differences.iter().any(|one| is_about_flags(&one.name));
        let telemetry = differences.iter().any(|one| one.name == "telemetry").then(|| plan.telemetry.clone());
        if flags_differ && let Err(error) = self.declare_flags(&declared_by(&plan)) {
            self.give_back_prepared(&ready);
            return Err((refused(format!("cannot declare the flags: {error}"), ""), Vec::new()));
        }
        self.recycle_groups();
        let reloaded = match self.core.reload(now, revision, &mut actions) {
            Ok(reloaded) => reloaded,
            Err(flaws) => {
                self.give_back_prepared(&ready);
                return Err((flawed(&ready.tree, &flaws), Vec::new()));
            }
        };
        // From their next lives on.
        self.flag_variables = FlagVariables::new(&plan, self.rooms.runtime());
        (self.workshop.fate_shared, self.workshop.users) = (plan.fate_shared, users);
        told.extend(self.take_over(now, how, plan, ready, &before, &reloaded, actions));
        if let Some(settings) = telemetry {
            self.take_up_telemetry(&settings);
        }
        told.extend(reloaded.roll.map(|roll| Tell::say(Reply::Rolling { roll })));
        // One that has just begun has read them.
        if flags_differ && keeper.is_some() {
            self.renew_keeper();
        }
        let (added, removed, restarted, in_place) = control::tally(&differences, how.otp);
        let from = how.from.clone();
        self.note_other(String::new(), What::Reloaded { added, removed, restarted, in_place, from, paths });
        Ok(told)
    }

    /// Everything that can fail, and changes nothing yet.
    fn prepare_revision(&mut self, another: &Another) -> Result<Ready, Refusal> {
        let plan = &another.plan;
        let keeper = self.roster.child_of(Builtin::Keeper).is_some() || declares(plan);
        let builtins = Builtin::all(keeper);
        let changed: Vec<&Program> = another.changed.iter().map(|at| &plan.programs[*at as usize]).collect();
        self.descriptors.take(changed.iter().copied()).map_err(|failed| {
            refused(
                failed.to_string(),
                "raise the hard limit (ulimit -Hn), or set log = \"none\" where no log is needed",
            )
        })?;
        self.make_room_among_boxes();
        let mut prepared = BTreeMap::new();
        let mut problem = None;
        for (at, program) in another.changed.iter().zip(&changed) {
            let pipes = self.core.child_named(&program.instance);
            let pipes = pipes.and_then(|child| self.slots[child.0 as usize].pipes.clone());
            match self.workshop.prepare(program, &self.program, pipes, &another.users) {
                Ok(Prepared { launch: Err(error), .. }) => {
                    let line =
                        if program.line == 0 { String::new() } else { format!(", line {}", program.line) };
                    problem = Some(Refusal {
                        code: ExitCode::Configuration as u8,
                        message: format!("cannot start `{}`{line}: {error}", program.instance),
                        hint: error.hint().to_owned(),
                    });
                    break;
                }
                Ok(one) => drop(prepared.insert(*at, one)),
                Err(failed) => {
                    problem = Some(refused(failed.to_string(), ""));
                    break;
                }
            }
        }
        let in_force = match problem {
            None => {
                revision::seal(plan).map_err(|error| refused(format!("cannot keep the plan: {error}"), ""))
            }
            Some(refusal) => Err(refusal),
        };
        match in_force {
            Ok(in_force) => {
                Ok(Ready { tree: roster::tree(&plan.tree, &builtins), builtins, prepared, in_force })
            }
            Err(refusal) => {
                changed.iter().for_each(|program| self.descriptors.give_back(&program.log));
                Err(refusal)
            }
        }
    }

    fn give_back_prepared(&mut self, ready: &Ready) {
        for prepared in ready.prepared.values() {
            self.descriptors.give_back(&prepared.entry.log);
        }
    }

    /// The core has taken it: slots for those that come, names for all, then what the core wants done. Says who
    /// comes and who goes.
    #[allow(clippy::too_many_arguments, reason = "one step of `revise`, split for its length")]
    fn take_over(
        &mut self,
        now: Instant,
        how: &Revising,
        plan: Plan,
        ready: Ready,
        before: &HashSet<u32>,
        reloaded: &Reloaded,
        actions: Vec<Action>,
    ) -> Vec<Tell> {
        let acted = |driver: &Driver, child: ChildId, state: &str| {
            Tell::say(Reply::Acted {
                instance: driver.roster.instance(child).to_owned(),
                pid: driver.slots.get(child.0 as usize).and_then(|slot| slot.pid()).unwrap_or(0),
                state: state.to_owned(),
            })
        };
        let Ready { builtins, mut prepared, in_force, .. } = ready;
        let mut told = Vec::new();
        for (at, child) in reloaded.children.iter().enumerate() {
            let Some(index) = (at as u32).checked_sub(builtins.len() as u32) else {
                self.know_builtin(*child, builtins[at]);
                continue;
            };
            let is_new = !before.contains(&child.0);
            match prepared.remove(&index) {
                Some(one) => {
                    if !is_new {
                        // Counted twice since it was prepared.
                        let log: Log = self.roster.of(*child).log.clone();
                        self.descriptors.give_back(&log);
                    }
                    self.install(*child, one, Some(u64::from(index)));
                }
                None => {
                    let entry: Entry = self.roster.of(*child).clone();
                    self.roster.put(*child, entry, Some(u64::from(index)));
                }
            }
            if is_new {
                told.push(acted(self, *child, "added"));
            }
        }
        self.roster.name_groups(&self.core);
        self.templates = Stencil::all(&plan);
        self.plan = in_force;
        let stays: HashSet<u32> = reloaded.children.iter().map(|child| child.0).collect();
        let tree = self.core.tree();
        let goes = |child: &u32| {
            let child = ChildId(*child);
            let policy = tree.children.get(child.0 as usize);
            // Who is gone already left no policy behind.
            let is_kept = policy
                .is_some_and(|policy| policy.added || how.otp || tree.groups[policy.group.0 as usize].otp)
                || self.core.is_kept(child);
            !self.core.is_child(child) || !is_kept
        };
        let gone = before.iter().filter(|child| !stays.contains(child)).filter(|child| goes(child));
        told.extend(gone.map(|child| acted(self, ChildId(*child), "removed")));
        self.act_all(now, actions);
        if how.from != "file" {
            let new = reloaded.children.iter().filter(|child| !before.contains(&child.0)).copied();
            let missing = before.iter().filter(|child| !stays.contains(child)).map(|child| ChildId(*child));
            told.extend(self.scale_by_calls(new.collect(), missing.collect(), &how.others));
        }
        told
    }

    /// Under OTP's semantics another list starts and ends nothing. Who scales means it all the same: so it is done
    /// by the calls that OTP has for it.
    fn scale_by_calls(
        &mut self,
        new: Vec<ChildId>,
        missing: Vec<ChildId>,
        others: &HashSet<u32>,
    ) -> Vec<Tell> {
        let otp = |driver: &Driver, child: ChildId| {
            let tree = driver.core.tree();
            driver.core.is_child(child) && {
                let group = tree.children[child.0 as usize].group;
                tree.groups[group.0 as usize].otp
            }
        };
        let mut told = Vec::new();
        for child in new.into_iter().filter(|child| otp(self, *child)).collect::<Vec<_>>() {
            if self.core.tree().children[child.0 as usize].autostart {
                self.call(Change::RestartChild(Node::Child(child)));
            }
        }
        for child in missing.into_iter().filter(|child| otp(self, *child)).collect::<Vec<_>>() {
            if others.contains(&child.0) {
                continue;
            }
            told.push(Tell::say(Reply::Acted {
                instance: self.roster.instance(child).to_owned(),
                pid: self.slots[child.0 as usize].pid().unwrap_or(0),
                state: "removed".to_owned(),
            }));
            self.call(Change::Terminate(Node::Child(child)));
            self.to_delete.push(child);
        }
        self.delete_who_is_down();
        told
    }

    /// A call that nobody waits for: when it is refused, there was nothing to do.
    fn call(&mut self, change: Change) {
        let (mut actions, now) = (Vec::new(), clock::now());
        if self.core.change(now, change, &mut actions).is_ok() {
            self.act_all(now, actions);
        }
    }

    /// Those that were scaled away by calls go when they are down.
    pub(super) fn delete_who_is_down(&mut self) {
        for child in std::mem::take(&mut self.to_delete) {
            if !self.core.is_child(child) {
                continue;
            }
            match self.core.standing(Node::Child(child)) {
                Standing::Undefined => self.call(Change::DeleteChild(child)),
                Standing::Running | Standing::Restarting => self.to_delete.push(child),
            }
        }
    }

    /// A built-in of the new tree; it may be a new one.
    fn know_builtin(&mut self, child: ChildId, builtin: Builtin) {
        if self.roster.child_of(builtin).is_none() {
            let prepared = Prepared {
                launch: super::slot::Slot::empty().launch,
                pipes: None,
                check: None,
                entry: Entry::of_builtin(builtin),
            };
            self.install(child, prepared, Some(0));
        }
    }
}

/// Whether a difference is one that the keeper has to hear of.
fn is_about_flags(name: &str) -> bool {
    name.starts_with("flag ") || name.starts_with("migration ") || name == "the guard"
}

/// What the core will not take.
fn flawed(tree: &Tree, flaws: &[(Node, Flaw)]) -> Refusal {
    let name = |node: &Node| match *node {
        Node::Child(child) => tree.children.get(child.0 as usize).map(|c| c.name.clone()).unwrap_or_default(),
        Node::Group(group) => {
            tree.groups.get(group.0 as usize).map(|g| format!("@{}", g.name)).unwrap_or_default()
        }
    };
    let parts: Vec<String> = flaws
        .iter()
        .take(5)
        .map(|(node, flaw)| format!("`{}`: {}", name(node), admin::flaw_words(*flaw)))
        .collect();
    let message = if parts.is_empty() { "everything is being stopped".to_owned() } else { parts.join("; ") };
    Refusal { code: ExitCode::Configuration as u8, message, hint: "mainstay check".into() }
}

/// A text in messages.
fn pieces(text: &str) -> Vec<Tell> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let cut = (0..=TEXT.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let (piece, after) = rest.split_at(cut.max(1));
        pieces.push(Tell::say(Reply::Diagnostics { text: piece.to_owned() }));
        rest = after;
    }
    pieces
}
