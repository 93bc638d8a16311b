//! The whole model: the outermost supervisor with its world, driven one event at a time.

use crate::calls::{Counts, Refused};
use crate::death::Death;
use crate::model::{After, Live, Pid, Plan, Spec, Supervisor, Why};
use crate::world::World;

/// A request to the supervisor that is named first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    StartChild(String, Spec),
    Terminate(String, String),
    RestartChild(String, String),
    DeleteChild(String, String),
    /// A new plan for all of them.
    Reload(Plan),
}

impl Call {
    fn supervisor(&self) -> &str {
        match self {
            Call::StartChild(name, _)
            | Call::Terminate(name, _)
            | Call::RestartChild(name, _)
            | Call::DeleteChild(name, _) => name,
            Call::Reload(_) => "root",
        }
    }
}

/// What can be seen of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Undefined,
    Restarting,
    /// A process: which life.
    Life(u64),
    /// A supervisor that runs.
    Up,
}

/// How the outermost supervisor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A09: this worker could not be started.
    StartFailed(String),
    Ended(Why),
}

/// A tree that runs, or has ended.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) world: World,
    pub(crate) root: Result<Supervisor, End>,
}

impl System {
    /// Starts the tree.
    pub(crate) fn boot(mut world: World, plan: &Plan) -> System {
        let root = Supervisor::start("root", plan, &mut world).map_err(End::StartFailed);
        let mut system = System { world, root };
        system.ended();
        system
    }

    fn after(&mut self, after: After) {
        if let (After::Ends(why), Ok(root)) = (after, &mut self.root) {
            root.terminate(&mut self.world);
            self.root = Err(End::Ended(why));
        }
    }

    /// A process ended by itself.
    pub(crate) fn exit(&mut self, life: u64, death: Death) {
        self.world.ended.push((life, death));
        self.ended();
    }

    /// Handles the exits that came meanwhile.
    fn ended(&mut self) {
        while !self.world.ended.is_empty() {
            let (life, death) = self.world.ended.remove(0);
            if let Ok(root) = &mut self.root {
                let after = root.exit(life, death.reason(), &mut self.world);
                self.after(after);
            }
        }
    }

    /// Each notice that is in the mailbox now is handled; those sent meanwhile wait for the next turn.
    pub(crate) fn turn(&mut self) {
        for _ in 0..self.world.mailbox.len() {
            let notice = self.world.mailbox.pop_front().expect("counted");
            if let Ok(root) = &mut self.root {
                let after = root.retry(notice, &mut self.world);
                self.after(after);
            }
        }
        self.ended();
    }

    /// Asks for something. `Ok(false)`: it was done, and what was to be started answered *ignore*.
    pub(crate) fn call(&mut self, call: &Call) -> Result<bool, Refused> {
        let answer = self.answer(call);
        self.ended();
        answer
    }

    fn answer(&mut self, call: &Call) -> Result<bool, Refused> {
        let root = self.root.as_mut().map_err(|_| Refused::NoProcess)?;
        let supervisor = root.find(call.supervisor()).ok_or(Refused::NoProcess)?;
        match call {
            Call::StartChild(_, spec) => supervisor.start_child(spec, &mut self.world),
            Call::Terminate(_, child) => supervisor.terminate_child(child, &mut self.world).map(|()| true),
            Call::RestartChild(_, child) => supervisor.restart_child(child, &mut self.world),
            Call::DeleteChild(_, child) => supervisor.delete_child(child).map(|()| true),
            Call::Reload(plan) => supervisor.reload(plan).map(|()| true),
        }
    }

    /// The counts of each supervisor that runs.
    pub(crate) fn counts(&self) -> Vec<(String, Counts)> {
        let mut lines = Vec::new();
        if let Ok(root) = &self.root {
            counts(root, &mut lines);
        }
        lines
    }

    /// Whether several retries wait. Those of two supervisors have no order, for these are processes of their own; and of
    /// one supervisor the core counts all that are due before it starts anybody.
    pub(crate) fn several_wait(&self) -> bool {
        self.world.mailbox.len() > 1
    }

    /// K: somebody asks for the end.
    pub(crate) fn shutdown(&mut self) {
        self.after(After::Ends(Why::Asked));
    }

    /// Every child that is listed somewhere: supervisor, child, what is seen of it; newest first (C18).
    pub(crate) fn list(&self) -> Vec<(String, String, Seen)> {
        let mut lines = Vec::new();
        if let Ok(root) = &self.root {
            list(root, &mut lines);
        }
        lines
    }
}

fn list(supervisor: &Supervisor, lines: &mut Vec<(String, String, Seen)>) {
    for kid in supervisor.kids.iter().rev() {
        let seen = match &kid.pid {
            Pid::Undefined => Seen::Undefined,
            Pid::Restarting(_) => Seen::Restarting,
            Pid::Running(Live::Worker(life)) => Seen::Life(*life),
            Pid::Running(Live::Supervisor(_)) => Seen::Up,
        };
        lines.push((supervisor.name.clone(), kid.spec.name.clone(), seen));
    }
    for kid in &supervisor.kids {
        if let Pid::Running(Live::Supervisor(inner)) = &kid.pid {
            list(inner, lines);
        }
    }
}

fn counts(supervisor: &Supervisor, lines: &mut Vec<(String, Counts)>) {
    lines.push((supervisor.name.clone(), supervisor.count()));
    for kid in &supervisor.kids {
        if let Pid::Running(Live::Supervisor(inner)) = &kid.pid {
            counts(inner, lines);
        }
    }
}
