//! Everything that can happen to the core.

use super::spec::{ChildId, Incarnation, Node};

/// How a life ended, as the kernel said it (S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It exited with this code.
    Code(u8),
    /// It was killed by this signal; the flag says whether a core was dumped.
    Signal(i32, bool),
    /// Nobody could see the status. Never invented (S6).
    Unknown,
}

/// Something that happened. Events about a life name it: news of a past life change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Start the tree. Comes once, first.
    Boot,
    /// The start that [`super::Action::Start`] asked for succeeded: exec was done.
    Started(ChildId, Incarnation),
    /// The start failed before or at exec. No process is left.
    StartFailed(ChildId, Incarnation),
    /// The service reported that it is ready. A second report changes nothing.
    Ready(ChildId, Incarnation),
    /// There is nothing to run: a condition that was declared is false (OTP `ignore`, A12). No process was made.
    /// An answer to [`super::Action::Start`], like the two above.
    Ignored(ChildId, Incarnation),
    /// The main process ended. `leftovers`: other processes of this life are still there.
    Exited {
        /// Whose.
        child: ChildId,
        /// Which life.
        incarnation: Incarnation,
        /// How it ended.
        cause: Cause,
        /// Whether helpers live on; then [`Event::Cleared`] follows when the last is gone.
        leftovers: bool,
    },
    /// Whatever its status will be, the end of this life is an abnormal death: it missed its watchdog, say. `ended`: it
    /// has ended already, and its [`Event::Exited`] comes next; else it is asked to stop now.
    Failed {
        /// Whose.
        child: ChildId,
        /// Which life.
        incarnation: Incarnation,
        /// Whether there is nobody left to be stopped.
        ended: bool,
    },
    /// Nothing of this life is left. Comes after [`Event::Exited`] with `leftovers`.
    Cleared(ChildId, Incarnation),
    /// An operator wants something.
    Command(Command),
    /// Nothing happened but time: a deadline that [`super::Supervisor::next_deadline`] named came.
    Deadline,
}

/// What an operator can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Wanted up, with all that it needs. Forgets a limit that was reached.
    Start(Node),
    /// Wanted down, until somebody starts it.
    Stop(Node),
    /// Stopped, then started; never counted as a restart.
    Restart(Node),
    /// A cause of failures was taken away: whoever gave up or backs off is started again at once, and nobody
    /// remembers a restart. Who is wanted down stays down. Never counted as a restart.
    Fresh(Node),
    /// Every member of the root down, in reverse order; then [`super::Action::End`].
    Shutdown,
    /// The shutdown goes too slowly: SIGKILL to what is still there. Implies `Shutdown`.
    Hurry,
}
