//! What the core is told about a tree before it runs: validated data, with every default here.
//!
//! Only policy lives here. What a service executes (program, environment, user) is
//! `config::plan::Program`; the core never sees it.

use crate::time::Duration;

/// An instance of a service: its place in [`Tree::children`], for the life of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode)]
pub struct ChildId(pub u32);

/// A group: its place in [`Tree::groups`]. The root is [`GroupId::ROOT`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode,
)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group that has no parent.
    pub const ROOT: GroupId = GroupId(0);
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode)]
pub enum Node {
    /// One instance of a service.
    Child(ChildId),
    /// A group of nodes.
    Group(GroupId),
}

/// One life of an instance. Numbers rise over the whole tree and are never used twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode,
)]
pub struct Incarnation(pub u64);

/// Who falls together when one member dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Strategy {
    /// Only the one that died.
    #[default]
    OneForOne,
    /// All members.
    OneForAll,
    /// The one that died and those after it.
    RestForOne,
}

/// When a member that died is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Only after an abnormal death.
    Transient,
    /// Never.
    Temporary,
}

/// At most `max` restarts within `within`; the one after ends it (OTP I01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Intensity {
    /// How many are allowed. 0: the first restart already ends it (OTP I02).
    pub max: u32,
    /// Length of the sliding window.
    pub within: Duration,
}

/// When a group ends because its significant members did (OTP M).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// When one significant member ended by itself.
    Any,
    /// When the last significant member that was running or restarting ended by itself (M17).
    All,
}

/// A group without named members: all are made at run time, from one template (OTP D).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Pool {
    /// At most so many members, those that wait for their next try included (D20). `None`: no bound.
    pub max_children: Option<u32>,
}

/// What a group does when its window is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum OnLimit {
    /// Stop all members and die, so that the parent decides, as in OTP.
    #[default]
    Escalate,
    /// Stop all members and stay down as `gave_up`.
    Park,
}

/// The wait before the next life (S7).
#[derive(Clone, Copy, Debug, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Backoff {
    /// The wait before the first restart; zero by default: the first restart is at once.
    pub first: Duration,
    /// The wait before the second restart. Zero: never wait.
    pub base: Duration,
    /// What each further wait is multiplied by; at least 1.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// The wait is varied by at most this share of itself, up or down; 0 to 1.
    pub jitter: f64,
    /// A life that was healthy for so long makes the next death a first one.
    pub forget: Duration,
}

impl Backoff {
    /// No wait at all: what OTP does.
    pub const NONE: Backoff = Backoff {
        first: Duration::ZERO,
        base: Duration::ZERO,
        factor: 1.0,
        max: Duration::ZERO,
        jitter: 0.0,
        forget: Duration::ZERO,
    };
    /// Built-in services: at once, then 1 ms doubling to 50 ms, forgotten after 1 s. Whoever is killed again and again is
    /// back within 100 ms, too.
    pub const BUILT_IN: Backoff = Backoff {
        first: Duration::ZERO,
        base: Duration::from_millis(1),
        factor: 2.0,
        max: Duration::from_millis(50),
        jitter: 0.0,
        forget: Duration::from_secs(1),
    };
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            first: Duration::ZERO,
            base: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.1,
            forget: Duration::from_secs(60),
        }
    }
}

/// How long a stop may take before it is finished by SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Grace {
    /// SIGKILL at once, without the stop signal (OTP `brutal_kill`).
    Kill,
    /// The stop signal, then SIGKILL after so long. Zero is legal: both at once.
    After(Duration),
    /// The stop signal, and no SIGKILL ever (OTP `infinity`).
    Forever,
}

impl Default for Grace {
    fn default() -> Grace {
        Grace::After(Duration::from_secs(5))
    }
}

/// Policy of one instance.
#[derive(Clone, Debug, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Child {
    /// `web`, or `web#2` when the service has several instances. Unique in the tree.
    pub name: String,
    /// The group that it is a member of.
    pub group: GroupId,
    /// When it is started again.
    pub restart: Restart,
    /// Its own limit (S8); `None`: none.
    pub limit: Option<Intensity>,
    /// The wait before the next life.
    pub backoff: Backoff,
    /// `Some(deadline)`: it reports readiness, and must do so within this long after exec.
    /// `None`: it is up when exec succeeded, and never "ready".
    pub ready_within: Option<Duration>,
    /// How it is stopped.
    pub grace: Grace,
    /// The number of the signal that asks it to stop; dying of it is a clean exit.
    pub stop_signal: i32,
    /// Exit codes other than 0 that count as clean.
    pub clean: Vec<u8>,
    /// Starts only when these are up (or ready, or finished); stops before them.
    pub needs: Vec<Node>,
    /// False: stays down until somebody starts it.
    pub autostart: bool,
    /// Its end may end its group: see [`Group::auto_shutdown`]. Never together with `permanent` (B05).
    pub significant: bool,
    /// An exit with this code before it was ready means "nothing to run here" (OTP `ignore`, A12): no failure.
    pub ignore: Option<u8>,
    /// It is not in the file: it was added at run time. Made by [`super::Change::StartChild`].
    pub added: bool,
}

impl Default for Child {
    /// A permanent child of the root with mainstay's defaults.
    fn default() -> Child {
        Child {
            name: String::new(),
            group: GroupId::ROOT,
            restart: Restart::Permanent,
            limit: Some(DEFAULT_LIMIT),
            backoff: Backoff::default(),
            ready_within: None,
            grace: Grace::default(),
            stop_signal: DEFAULT_STOP_SIGNAL,
            clean: Vec::new(),
            needs: Vec::new(),
            autostart: true,
            significant: false,
            ignore: None,
            added: false,
        }
    }
}

/// Policy of one group.
#[derive(Clone, Debug, PartialEq, bincode::Encode, bincode::Decode)]
pub struct Group {
    /// Unique among groups; the root's is the project's name.
    pub name: String,
    /// `None` for the root, and for a group that stands beside it (the built-ins): its limit never
    /// ends the tree unless it says so, and it ends with the root.
    pub parent: Option<GroupId>,
    /// Who falls together.
    pub strategy: Strategy,
    /// The shared window; `None`: no shared limit (S7). Always `Some` under OTP semantics.
    pub intensity: Option<Intensity>,
    /// What happens at the limit.
    pub on_limit: OnLimit,
    /// Every convenience off: no backoff, no own limits, strict order (S9).
    pub otp: bool,
    /// Members in order.
    pub members: Vec<Node>,
    /// Its members start when these have been ready once, or have failed once (never for ever):
    /// so a service finds the keeper's board, and a broken keeper holds nobody up.
    pub after: Vec<Node>,
    /// The limit on its own restarts as a member of its parent (S8).
    pub limit: Option<Intensity>,
    /// The wait before its own restarts as a member of its parent.
    pub backoff: Backoff,
    /// When it is started again as a member of its parent. It never ends but by its limit or its significant
    /// members, which OTP calls a shutdown: so only a permanent group is started again (I07).
    pub restart: Restart,
    /// Its end may end its parent.
    pub significant: bool,
    /// When its significant members end it.
    pub auto_shutdown: AutoShutdown,
    /// `Some`: its members are made at run time.
    pub pool: Option<Pool>,
    /// The window counts whole seconds, as OTP does (I03); else nanoseconds.
    pub whole_seconds: bool,
}

impl Default for Group {
    /// A group with mainstay's defaults; without a parent, as a root.
    fn default() -> Group {
        Group {
            name: String::new(),
            parent: None,
            strategy: Strategy::OneForOne,
            intensity: None,
            on_limit: OnLimit::Escalate,
            otp: false,
            members: Vec::new(),
            after: Vec::new(),
            limit: None,
            backoff: Backoff::default(),
            restart: Restart::Permanent,
            significant: false,
            auto_shutdown: AutoShutdown::Never,
            pool: None,
            whole_seconds: false,
        }
    }
}

/// A whole tree. `groups[0]` is the root.
#[derive(Clone, Debug, PartialEq, Default, bincode::Encode, bincode::Decode)]
pub struct Tree {
    /// All groups; [`GroupId`] is the index.
    pub groups: Vec<Group>,
    /// All instances; [`ChildId`] is the index.
    pub children: Vec<Child>,
}

/// The default own limit: 5 restarts in 30 s (S7).
pub const DEFAULT_LIMIT: Intensity = Intensity { max: 5, within: Duration::from_secs(30) };
/// OTP's default window (A05): 1 in 5 s.
pub const OTP_INTENSITY: Intensity = Intensity { max: 1, within: Duration::from_secs(5) };
/// How long a service with declared readiness may take, unless it says otherwise.
pub const DEFAULT_READY_WITHIN: Duration = Duration::from_secs(30);
/// What asks a service to stop, unless it says otherwise: SIGTERM.
pub const DEFAULT_STOP_SIGNAL: i32 = 15;
