//! From a death to the exec of the next life nothing is allocated: not by the core that decides, not by the launch that acts.
//!
//! Memory that is asked for on this path can be refused just when it matters, and costs a lock or a page. Everything is
//! got ready before: the first round of each scene may allocate, none after it.

#[path = "support/boxed.rs"]
mod boxed;
mod processes;

use mainstay::supervisor::spec::{
    Backoff, Child, ChildId, Group, GroupId, Incarnation, Intensity, Node, Restart, Strategy, Tree,
};
use mainstay::supervisor::{Action, Cause, Event, Supervisor};
use mainstay::sys::cgroup::Tree as Cgroups;
use mainstay::sys::launch::{Environment, Launch, Program, Request, Resource};
use mainstay::sys::{pidfd, process};
use mainstay::time::{Duration, Instant};
use processes::{null, request};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Counts the allocations of each thread. Growing is asking for memory, too.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[allow(unsafe_code)] // An allocator has no safe form.
// SAFETY: hands everything to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(start, layout, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(start, layout) }
    }
}

/// How often `act` allocates, the vouching for the counter included.
fn allocations(act: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    drop(black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
    act();
    ALLOCATIONS.get() - before - 1
}

// The core -------------------------------------------------------------------------------------------

/// An obedient world: starts succeed and stops are obeyed, in the order of the actions.
struct World {
    core: Supervisor,
    now: Instant,
    children: u32,
    events: VecDeque<Event>,
    actions: Vec<Action>,
    starts: usize,
}

impl World {
    fn new(tree: Tree) -> World {
        let children = tree.children.len() as u32;
        let mut world = World {
            core: Supervisor::new(tree, 1, Incarnation(1)),
            now: Instant::from_nanos(1),
            children,
            events: VecDeque::with_capacity(4 * children as usize),
            actions: Vec::with_capacity(16 * children as usize),
            starts: 0,
        };
        world.events.push_back(Event::Boot);
        world.run();
        assert!(world.core.all_up());
        world
    }

    /// Until nothing follows any more, deadlines included.
    fn run(&mut self) {
        loop {
            while let Some(event) = self.events.pop_front() {
                self.core.handle(self.now, event, &mut self.actions);
                for action in self.actions.drain(..) {
                    match action {
                        Action::Start(child, life) => {
                            self.starts += 1;
                            self.events.push_back(Event::Started(child, life));
                        }
                        Action::Stop(child, life) => self.events.push_back(Event::Exited {
                            child,
                            incarnation: life,
                            cause: Cause::Signal(15, false),
                            leftovers: false,
                        }),
                        Action::Kill(..) | Action::Report(_) => {}
                        Action::End(end) => panic!("{end:?}"),
                    }
                }
            }
            if self.core.all_up() {
                return;
            }
            self.now = self.core.next_deadline().expect("something brings them back");
            self.events.push_back(Event::Deadline);
        }
    }

    fn die(&mut self, child: u32) {
        let child = ChildId(child);
        let incarnation = self.core.incarnation(child);
        self.events.push_back(Event::Exited {
            child,
            incarnation,
            cause: Cause::Signal(9, false),
            leftovers: false,
        });
    }

    /// One dies, then another, and then all in the same moment; an hour lies between.
    fn round(&mut self) {
        let all: [&dyn Fn(u32) -> bool; 3] = [&|child| child == 0, &|child| child == 7, &|_| true];
        for dies in all {
            self.now = self.now + Duration::from_secs(3600);
            (0..self.children).filter(|child| dies(*child)).for_each(|child| self.die(child));
            self.run();
        }
    }
}

/// Twenty in two groups, one inside the other, the later ones needing the first.
fn tree(strategy: Strategy, otp: bool, backoff: Backoff) -> Tree {
    let group = |parent, members| Group {
        name: "group".to_owned(),
        parent,
        strategy,
        otp,
        intensity: Some(Intensity { max: 1000, within: Duration::from_secs(5) }),
        members,
        ..Group::default()
    };
    let child = |at: u32| Child {
        name: format!("child {at}"),
        group: GroupId(u32::from(at >= 10)),
        restart: Restart::Permanent,
        limit: Some(Intensity { max: 50, within: Duration::from_secs(30) }),
        backoff,
        needs: if at > 0 && at < 10 && !otp { vec![Node::Child(ChildId(0))] } else { Vec::new() },
        ..Child::default()
    };
    let own = (0..10).map(|at| Node::Child(ChildId(at))).chain([Node::Group(GroupId(1))]).collect();
    let below = (10..20).map(|at| Node::Child(ChildId(at))).collect();
    Tree {
        groups: vec![group(None, own), group(Some(GroupId::ROOT), below)],
        children: (0..20).map(child).collect(),
    }
}

// The launch -----------------------------------------------------------------------------------------

/// As a service is started: searched in `PATH`, with an environment, a number of its life and limits.
fn service() -> Request {
    let mut request = request(&["true"]);
    request.environment = Arc::new(Environment::inherited(|_| false));
    request.numbers = vec!["MAINSTAY_INCARNATION".to_owned()];
    request.descriptors = (0..3).map(|number| (number, null())).collect();
    request.directory = Some("/".into());
    request.umask = Some(0o022);
    request.limits = vec![(Resource::Nofile, process::Limit { soft: Some(100), hard: Some(100) })];
    request
}

#[track_caller]
fn check_starts(mut launch: Launch, cgroup: Option<&mainstay::sys::cgroup::Group>) {
    let mut start = |life: u64| {
        let started = launch.start(&[life], cgroup.map(AsFd::as_fd)).unwrap();
        assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
    };
    start(1);
    assert_eq!(allocations(|| (2..100).for_each(&mut start)), 0);
}

#[test]
fn s2_no_start_allocates() {
    check_starts(Launch::new(service()).unwrap(), None);
    let mut by_us = Request::new(Program::Open(Arc::new(process::executable().unwrap())), Vec::new());
    by_us.argv = ["us", "--list"].map(Into::into).to_vec();
    by_us.descriptors = (0..8).map(|number| (number, null())).collect();
    check_starts(Launch::new(by_us).unwrap(), None);
    let home = tempfile::tempdir().unwrap();
    let Ok(cgroups) = Cgroups::create("no-allocation", home.path()) else { return };
    let group = cgroups.group("web").unwrap();
    check_starts(Launch::new(service()).unwrap(), Some(&group));
    // The last member leaves it a moment after it was reaped.
    let emptiness = group.emptiness().unwrap();
    while !emptiness.is_empty().unwrap() {
        assert!(processes::ready(&emptiness, rustix::event::PollFlags::PRI), "it never became empty");
    }
    cgroups.remove(group).unwrap();
    cgroups.remove_all().unwrap();
}

/// One that follows many of another kind: what they left behind is room enough.
#[test]
fn s2_no_start_allocates_among_others() {
    let mut launches: Vec<Launch> = (0..3)
        .map(|number| {
            let mut request = service();
            request.argv.extend((0..number * 20).map(|word| word.to_string().into()));
            Launch::new(request).unwrap()
        })
        .collect();
    let mut round = |life: u64| {
        for launch in &mut launches {
            let started = launch.start(&[life], None).unwrap();
            assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
        }
    };
    round(1);
    assert_eq!(allocations(|| (2..20).for_each(&mut round)), 0);
}

// The black box ------------------------------------------------------------------------------------------

/// What a service says in its black box, with the first time of each and a long one, on a thread that has just begun.
#[test]
fn context_spans_and_events_allocate_nothing() {
    use mainstay::{context, event, span};
    if !boxed::is_child() {
        let image = boxed::run("context_spans_and_events_allocate_nothing");
        assert!(image.events_next() > 1000 && image.finished_next() > 1000 && image.torn() == 0);
        return;
    }
    // The box itself is looked for once in a process.
    assert!(mainstay::blackbox::seen().is_some());
    event!("first");
    let long = "x".repeat(500);
    let all = || {
        for n in 0..1000 {
            context::set("order", n);
            context::with([("tier", "gold")], || {
                let _operation = context::operation("checkout");
                let span = span!("request", path = "/pay", n = n);
                span.attribute("status", 200);
                context::breadcrumb("passed");
                event!("happened", n = n, long = long);
                context::failed("wrong");
                span.fail("wrong");
            });
        }
        context::clear();
    };
    let allocated = std::thread::scope(|scope| scope.spawn(|| allocations(all)).join().unwrap());
    assert_eq!((allocated, allocations(all)), (0, 0));
}

// What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod otp {
    use super::*;

    #[test]
    fn o01_the_core_allocates_nothing_from_a_death_to_the_next_start() {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            for otp in [false, true] {
                for backoff in [Backoff::NONE, Backoff::default()] {
                    let mut world = World::new(tree(strategy, otp, backoff));
                    world.round();
                    let starts = world.starts;
                    let allocated = allocations(|| (0..50).for_each(|_| world.round()));
                    assert_eq!(allocated, 0, "{strategy:?}, otp: {otp}, {backoff:?}");
                    assert!(world.starts - starts >= 50 * 22, "they were started again");
                }
            }
        }
    }

    /// Core and launch together, with real processes: a death is a real one, seen by a pidfd.
    #[test]
    fn o01_nothing_is_allocated_from_exit_to_exec() {
        let mut core = Supervisor::new(tree(Strategy::OneForOne, false, Backoff::NONE), 1, Incarnation(1));
        let mut launches: Vec<Launch> = (0..20).map(|_| Launch::new(service()).unwrap()).collect();
        let lives: Vec<_> = (0..20).map(|_| Cell::new(None)).collect();
        let (mut actions, mut events) = (Vec::with_capacity(100), VecDeque::with_capacity(100));
        let mut turn = |event: Event, now: u64| {
            events.push_back(event);
            while let Some(event) = events.pop_front() {
                core.handle(Instant::from_nanos(now), event, &mut actions);
                for action in actions.drain(..) {
                    if let Action::Start(child, life) = action {
                        let at = child.0 as usize;
                        lives[at].set(Some((life, launches[at].start(&[life.0], None).unwrap())));
                        events.push_back(Event::Started(child, life));
                    }
                }
            }
        };
        turn(Event::Boot, 1);
        // Each round is an hour.
        let mut round = |hour: u64| {
            for (at, life) in lives.iter().enumerate() {
                let (incarnation, started) = life.take().unwrap();
                let cause = pidfd::wait(&started.pidfd).unwrap().0;
                let child = ChildId(at as u32);
                turn(Event::Exited { child, incarnation, cause, leftovers: false }, hour * 3_600_000_000_000);
            }
        };
        round(1);
        assert_eq!(allocations(|| (2..6).for_each(&mut round)), 0);
        round(6);
    }
}
