//! What the histories found, each in its smallest form; and what a million of them cannot see: how much is kept.

use mainstay::supervisor::spec::{
    AutoShutdown, Backoff, Child, ChildId, Group, GroupId, Incarnation, Intensity, Node, OnLimit, Pool,
    Restart, Strategy, Tree,
};
use mainstay::supervisor::{
    Action, Cause, Change, ChildReport, Command, Event, Report, Revision, State, Supervisor,
};
use mainstay::time::{Duration, Instant};

const NOW: Instant = Instant::from_nanos(1);

fn child(name: &str, group: u32) -> Child {
    Child {
        name: name.into(),
        group: GroupId(group),
        limit: None,
        backoff: Backoff::NONE,
        ..Child::default()
    }
}

/// The groups, each with its parent; members are the groups in it and then the children.
fn tree(mut groups: Vec<Group>, children: Vec<Child>) -> Tree {
    for at in 1..groups.len() {
        if let Some(parent) = groups[at].parent {
            groups[parent.0 as usize].members.push(Node::Group(GroupId(at as u32)));
        }
    }
    for (at, child) in children.iter().enumerate() {
        groups[child.group.0 as usize].members.push(Node::Child(ChildId(at as u32)));
    }
    Tree { groups, children }
}

fn group(name: &str, parent: Option<u32>) -> Group {
    Group { name: name.into(), parent: parent.map(GroupId), ..Group::default() }
}

fn handle(supervisor: &mut Supervisor, event: Event) -> Vec<Action> {
    let mut actions = Vec::new();
    supervisor.handle(NOW, event, &mut actions);
    actions
}

/// Answers each start with success until nobody is being started.
fn come_up(supervisor: &mut Supervisor, actions: Vec<Action>) {
    let mut todo = actions;
    while let Some(action) = todo.pop() {
        if let Action::Start(child, life) = action {
            todo.extend(handle(supervisor, Event::Started(child, life)));
        }
    }
}

fn booted(tree: Tree) -> Supervisor {
    let mut supervisor = Supervisor::new(tree, 1, Incarnation(1));
    let actions = handle(&mut supervisor, Event::Boot);
    come_up(&mut supervisor, actions);
    supervisor
}

#[test]
fn after_the_end_a_roll_is_not_even_begun() {
    let mut supervisor = booted(tree(vec![group("root", None)], vec![]));
    let end = handle(&mut supervisor, Event::Command(Command::Shutdown));
    assert!(matches!(end[..], [Action::End(_)]), "{end:?}");
    let mut actions = Vec::new();
    supervisor.roll(NOW, vec![], 1, &mut actions);
    assert_eq!(actions, []);
}

#[test]
fn a_roll_ends_when_the_group_of_a_member_gives_up() {
    let parked = Group {
        on_limit: OnLimit::Park,
        intensity: Some(Intensity { max: 0, within: Duration::from_secs(5) }),
        ..group("parked", Some(0))
    };
    let mut supervisor = booted(tree(vec![group("root", None), parked], vec![child("a", 1)]));
    let (a, mut actions) = (ChildId(0), Vec::new());
    let roll = supervisor.roll(NOW, vec![a], 1, &mut actions);
    let gone = |incarnation| Event::Exited {
        child: a,
        incarnation,
        cause: Cause::Signal(15, false),
        leftovers: false,
    };
    handle(&mut supervisor, gone(Incarnation(1)));
    let end = handle(&mut supervisor, Event::StartFailed(a, Incarnation(2)));
    assert!(end.contains(&Action::Report(Report::Rolled { roll, done: 0, failed: Some(a) })), "{end:?}");
}

#[test]
fn never_ready_tells_what_it_was_given_and_not_what_a_reload_says_since() {
    let within = |millis| Child { ready_within: Some(Duration::from_millis(millis)), ..child("a", 0) };
    let mut supervisor = booted(tree(vec![group("root", None)], vec![within(100)]));
    let revision = Revision {
        tree: tree(vec![group("root", None)], vec![within(9000)]),
        fixed: 1,
        ..Revision::default()
    };
    supervisor.reload(NOW, revision, &mut Vec::new()).expect("a sound revision");
    let mut actions = Vec::new();
    supervisor.handle(NOW + Duration::from_millis(100), Event::Deadline, &mut actions);
    let told = ChildReport::NeverReady { within: Duration::from_millis(100) };
    let told = Report::Child { child: ChildId(0), incarnation: Incarnation(1), what: told };
    assert!(actions.contains(&Action::Report(told)), "{actions:?}");
}

#[test]
fn a_new_child_does_not_wait_for_whom_its_own_group_is_before() {
    let root = Group { strategy: Strategy::RestForOne, ..group("root", None) };
    // The root's members in order: the group `early`, then the child `late`.
    let mut supervisor = booted(tree(vec![root, group("early", Some(0))], vec![child("late", 0)]));
    let new = Child { needs: vec![Node::Child(ChildId(0))], ..child("new", 1) };
    let mut actions = Vec::new();
    supervisor.change(NOW, Change::StartChild(Box::new(new)), &mut actions).expect("a sound child");
    come_up(&mut supervisor, actions);
    let stops = handle(&mut supervisor, Event::Command(Command::Shutdown));
    let first = stops.iter().find_map(|action| match action {
        Action::Stop(child, _) => Some(*child),
        _ => None,
    });
    assert_eq!(first, Some(ChildId(0)), "a circle would let nobody stop");
}

#[test]
fn numbers_that_are_given_back_are_used_again_and_nothing_grows() {
    for otp in [false, true] {
        let pool = Group {
            pool: Some(Pool { max_children: None }),
            otp,
            intensity: Some(Intensity { max: 1, within: Duration::from_secs(5) }),
            ..group("pool", Some(0))
        };
        let list = Group { strategy: Strategy::RestForOne, otp, ..group("list", Some(0)) };
        let list = Group { intensity: Some(Intensity { max: 1, within: Duration::from_secs(5) }), ..list };
        let mut supervisor = booted(tree(vec![group("root", None), pool, list], vec![child("keeps", 2)]));
        let mut kept = Vec::new();
        for round in 0..3000 {
            let new =
                Child { restart: Restart::Temporary, ..child(&format!("n{}", round % 7), 1 + round % 2) };
            let mut actions = Vec::new();
            let node = supervisor.change(NOW, Change::StartChild(Box::new(new)), &mut actions);
            let Ok(Node::Child(child)) = node else { panic!("{node:?}") };
            come_up(&mut supervisor, actions);
            assert_eq!(supervisor.state(child), State::Up);
            let incarnation = supervisor.incarnation(child);
            let exit = Event::Exited { child, incarnation, cause: Cause::Code(0), leftovers: false };
            handle(&mut supervisor, exit);
            assert!(!supervisor.is_child(child));
            supervisor.recycle(child);
            if round % 1000 == 999 {
                kept.push(format!("{supervisor:?}").len());
            }
        }
        assert_eq!(supervisor.tree().children.len(), 2, "one number was enough");
        // Only the numbers themselves get longer.
        assert!(kept[2] < kept[0] + 40, "otp {otp}: the whole state, as text, grew: {kept:?}");
    }
}

/// Another tree, in which whoever is stopped ends at once; then all numbers are given back.
fn reload(supervisor: &mut Supervisor, tree: Tree) {
    let mut todo = Vec::new();
    supervisor
        .reload(NOW, Revision { tree, fixed: 1, ..Revision::default() }, &mut todo)
        .expect("a sound revision");
    let mut gone = Vec::new();
    while let Some(action) = todo.pop() {
        match action {
            Action::Start(child, life) => todo.extend(handle(supervisor, Event::Started(child, life))),
            Action::Stop(child, incarnation) => {
                let cause = Cause::Signal(15, false);
                todo.extend(handle(
                    supervisor,
                    Event::Exited { child, incarnation, cause, leftovers: false },
                ));
            }
            Action::Report(Report::Child { child, what: ChildReport::Removed, .. }) => gone.push(child),
            _ => {}
        }
    }
    gone.into_iter().for_each(|child| supervisor.recycle(child));
    let gone: Vec<GroupId> = supervisor.vacant_groups().collect();
    gone.into_iter().for_each(|group| supervisor.recycle_group(group));
}

#[test]
fn ten_thousand_reloads_with_new_groups_leave_the_table_as_large_as_it_was() {
    for (otp, rounds) in [(false, 10_000), (true, 2_000)] {
        // Each time another outer group, an inner one, a child in it, and one beside that needs it.
        let plan = |round: u32| {
            let outer = Group { otp, ..group(&format!("outer{round}"), Some(0)) };
            let inner =
                Group { otp, strategy: Strategy::RestForOne, ..group(&format!("inner{round}"), Some(1)) };
            let needs = Child { needs: vec![Node::Group(GroupId(2))], ..child("needs", 0) };
            tree(vec![group("root", None), outer, inner], vec![needs, child(&format!("c{round}"), 2)])
        };
        let mut supervisor = booted(plan(0));
        let mut kept = Vec::new();
        for round in 1..=rounds {
            reload(&mut supervisor, plan(round));
            // Two trees are there at once while the old one is removed.
            assert!(supervisor.tree().groups.len() <= 5 && supervisor.tree().children.len() <= 3);
            assert!(supervisor.all_up());
            if round % (rounds / 4) == 0 {
                kept.push(format!("{supervisor:?}").len());
            }
        }
        assert_eq!(supervisor.groups().count(), 3);
        // Only names and the numbers of lives get longer.
        assert!(kept[3] < kept[0] + 60, "otp {otp}: the whole state, as text, grew: {kept:?}");
    }
}

#[test]
fn a_number_that_is_given_to_another_group_means_nobody_before_that() {
    let second = Duration::from_secs(1);
    let old =
        Group { otp: true, intensity: Some(Intensity { max: 1, within: second }), ..group("old", Some(0)) };
    // A circle: the second need is not granted, and not forgotten.
    let a = Child { needs: vec![Node::Child(ChildId(1)), Node::Group(GroupId(1))], ..child("a", 0) };
    let before = tree(vec![group("root", None), old], vec![a, child("b", 1)]);
    let mut supervisor = booted(before);
    let b = ChildId(1);
    let exit = |supervisor: &mut Supervisor| {
        let (incarnation, cause) = (supervisor.incarnation(b), Cause::Code(1));
        let actions = handle(supervisor, Event::Exited { child: b, incarnation, cause, leftovers: false });
        come_up(supervisor, actions);
    };
    exit(&mut supervisor);
    let added = Child { needs: vec![Node::Group(GroupId(1))], ..child("added", 0) };
    let mut actions = Vec::new();
    supervisor.change(NOW, Change::StartChild(Box::new(added)), &mut actions).expect("a sound child");
    come_up(&mut supervisor, actions);
    reload(&mut supervisor, tree(vec![group("root", None)], vec![child("b", 0)]));
    assert_eq!(supervisor.groups().count(), 1);
    let new = Group { intensity: Some(Intensity { max: 1, within: second }), ..group("new", Some(0)) };
    reload(&mut supervisor, tree(vec![group("root", None), new], vec![child("b", 1)]));
    assert_eq!(supervisor.tree().groups.len(), 2, "the number was given again");
    let added = supervisor.child_named("added").expect("it was added by hand, and stays");
    assert_eq!(supervisor.tree().children[added.0 as usize].needs, [], "the new group is another one");
    exit(&mut supervisor);
    assert_eq!(supervisor.state(b), State::Up, "restarts of the old group are not those of the new one");
}

// Histories that were broken once, each by what was wrong with the core.

#[test]
fn who_began_a_new_life_since_a_roll_began_is_not_restarted_by_it() {
    [39_354, 53_859].into_iter().for_each(crate::run);
}

#[test]
fn a_group_that_was_stopped_is_there_again_with_whoever_a_reload_starts_in_it() {
    crate::run(89_523);
}

#[test]
fn nobody_waits_in_line_for_who_was_moved_away_by_a_reload() {
    [68_313, 206_037].into_iter().for_each(crate::run);
}

#[test]
fn who_stood_behind_a_failed_restart_does_not_wait_for_ever_after_a_reload() {
    [105_571, 105_763].into_iter().for_each(crate::run);
}

#[test]
fn a_group_that_a_reload_moves_out_of_one_that_held_it_goes_on_with_its_own_wait() {
    crate::run(120_420);
}

#[test]
fn who_had_left_its_group_and_is_moved_by_a_reload_is_kept() {
    [30_227, 121_233].into_iter().for_each(crate::run);
}

#[test]
fn who_had_left_its_group_comes_back_held_when_that_falls() {
    crate::run(74_845);
}

#[test]
fn who_a_reload_moves_into_a_group_that_gives_up_goes_down_with_it() {
    [73_947, 107_896].into_iter().for_each(crate::run);
}

#[test]
fn a_group_that_was_stopped_stays_so_when_the_one_around_it_restarts() {
    crate::run(147_951);
}

#[test]
fn who_is_stopped_while_its_group_restarts_stays_down() {
    [194_009, 46_437].into_iter().for_each(crate::run);
}

#[test]
fn a_group_that_was_stopped_begins_anew_when_nothing_of_its_last_life_is_left() {
    crate::run(131_849);
}

#[test]
fn who_is_stopped_with_its_group_waits_behind_nobody_afterwards() {
    crate::run(501_881);
}

#[test]
fn no_next_try_is_left_of_a_group_that_was_stopped() {
    crate::run(888_050);
}

#[test]
fn a_group_that_is_started_while_its_failed_start_is_taken_back_is_tried_again() {
    crate::run(654_828);
}

#[test]
fn who_falls_as_a_bystander_and_is_none_any_more_after_a_reload_is_awaited() {
    [719_116, 859_915].into_iter().for_each(crate::run);
}

#[test]
fn a_window_that_a_reload_makes_count_whole_seconds_sees_its_old_moments_so_too() {
    crate::run(908_638);
}

#[test]
fn a_group_that_all_members_left_is_no_need_met_while_it_waits_for_its_next_life() {
    let second = Duration::from_secs(1);
    let backoff = |first| Backoff { first, ..Backoff::NONE };
    let outer = Group {
        otp: true,
        auto_shutdown: AutoShutdown::Any,
        backoff: backoff(5 * second),
        ..group("outer", Some(0))
    };
    let job = Group {
        restart: Restart::Temporary,
        significant: true,
        intensity: Some(Intensity { max: 0, within: second }),
        ..group("job", Some(1))
    };
    let web = Child { needs: vec![Node::Group(GroupId(1))], backoff: backoff(second), ..child("web", 0) };
    let mut supervisor = booted(tree(vec![group("root", None), outer, job], vec![child("a", 2), web]));
    let (a, web) = (ChildId(0), ChildId(1));
    let dies = |supervisor: &mut Supervisor, child| {
        let (cause, incarnation) = (Cause::Code(1), supervisor.incarnation(child));
        handle(supervisor, Event::Exited { child, incarnation, cause, leftovers: false });
    };
    dies(&mut supervisor, web);
    // The job gives up and leaves; the group around it, now empty, is tried again in 5 s.
    dies(&mut supervisor, a);
    let mut actions = Vec::new();
    supervisor.handle(NOW + second, Event::Deadline, &mut actions);
    assert_eq!((supervisor.state(web), supervisor.is_child(a)), (State::Waiting, true), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Start(..))), "{actions:?}");
    supervisor.handle(NOW + 5 * second, Event::Deadline, &mut actions);
    let first = actions.iter().find(|action| matches!(action, Action::Start(..)));
    assert_eq!(first, Some(&Action::Start(a, supervisor.incarnation(a))));
}

#[test]
fn a_group_that_was_stopped_is_there_again_with_whoever_gave_up_and_is_moved_into_it() {
    let stopped = Group { otp: true, ..group("stopped", Some(0)) };
    let limit = Some(Intensity { max: 0, within: Duration::from_secs(1) });
    let plan =
        |home| tree(vec![group("root", None), stopped.clone()], vec![Child { limit, ..child("a", home) }]);
    let mut supervisor = booted(plan(0));
    let (a, stopped) = (ChildId(0), Node::Group(GroupId(1)));
    handle(&mut supervisor, Event::Command(Command::Stop(stopped)));
    let exit =
        Event::Exited { child: a, incarnation: Incarnation(1), cause: Cause::Code(1), leftovers: false };
    handle(&mut supervisor, exit);
    assert_eq!(supervisor.state(a), State::GaveUp);
    let revision = Revision { tree: plan(1), fixed: 1, ..Revision::default() };
    supervisor.reload(NOW, revision, &mut Vec::new()).expect("a sound revision");
    let starts = handle(&mut supervisor, Event::Command(Command::Fresh(Node::Child(a))));
    come_up(&mut supervisor, starts);
    assert_eq!(supervisor.state(a), State::Up);
    let nothing = handle(&mut supervisor, Event::Command(Command::Start(stopped)));
    assert_eq!((nothing, supervisor.state(a)), (vec![], State::Up));
}

#[test]
fn a_new_child_does_not_wait_for_a_group_to_which_one_comes_back_that_waits_for_it() {
    let need = |group| vec![Node::Group(GroupId(group))];
    let list = Group { otp: true, ..group("list", Some(0)) };
    let job = Child { restart: Restart::Temporary, needs: need(2), ..child("job", 1) };
    let groups = vec![group("root", None), list, group("other", Some(0))];
    let mut supervisor = booted(tree(groups, vec![child("first", 1), job, child("a", 2)]));
    let (first, job) = (ChildId(0), ChildId(1));
    let exits = |supervisor: &mut Supervisor, child| {
        let (cause, incarnation) = (Cause::Signal(15, false), supervisor.incarnation(child));
        let actions = handle(supervisor, Event::Exited { child, incarnation, cause, leftovers: false });
        come_up(supervisor, actions);
    };
    exits(&mut supervisor, job);
    assert!(!supervisor.is_child(job), "it left, and is in the list");
    let new = Child { needs: need(1), ..child("new", 2) };
    let mut actions = Vec::new();
    let new = supervisor.change(NOW, Change::StartChild(Box::new(new)), &mut actions);
    let Ok(Node::Child(new)) = new else { panic!("{new:?}") };
    come_up(&mut supervisor, actions);
    handle(&mut supervisor, Event::Command(Command::Restart(Node::Group(GroupId(1)))));
    exits(&mut supervisor, new);
    exits(&mut supervisor, first);
    assert_eq!([job, new].map(|child| supervisor.state(child)), [State::Up; 2], "they wait for each other");
}

#[test]
fn needs_are_met_by_who_is_there_and_nobody_waits_in_a_circle() {
    [4_295_248_861, 4_295_270_974, 4_295_291_811].into_iter().for_each(crate::run);
}

#[test]
fn who_left_a_group_that_a_reload_keeps_waits_for_nobody_behind_it_when_it_comes_back() {
    crate::run(8_590_087_443);
}

// And those in which the judge knew too little.

#[test]
fn a_group_without_members_that_comes_back_is_met_at_once() {
    crate::run(631_577);
}

#[test]
fn what_a_member_that_goes_with_its_group_needs_keeps_what_it_has_done() {
    crate::run(845_602);
}

#[test]
fn a_group_on_its_way_down_stays_there_when_a_reload_makes_it_transient() {
    crate::run(697_072);
}

#[test]
fn what_is_needed_in_a_group_that_had_left_is_started_with_it() {
    crate::run(865_882);
}

#[test]
fn a_group_that_leaves_again_after_a_reload_takes_its_members_along() {
    [546_138, 915_895, 961_380].into_iter().for_each(crate::run);
}

#[test]
fn who_failed_for_the_first_time_and_is_in_the_new_file_has_been_there() {
    crate::run(936_591);
}

#[test]
fn a_group_that_was_dropped_as_a_bystander_counts_as_done_when_a_reload_brings_it_back() {
    crate::run(4_295_421_791);
}

#[test]
fn who_is_in_a_group_that_left_one_that_is_kept_goes_with_that() {
    crate::run(12_885_442_903);
}

#[test]
fn who_is_rolled_after_a_reload_starts_what_it_needs_by_the_new_tree() {
    crate::run(4_295_222_140);
}

// Those in which lives fail while they run, and causes are taken away.

#[test]
fn who_would_fall_with_one_that_fails_does_not_start_before_that_has_ended() {
    [4_294_968_527, 4_294_968_605].into_iter().for_each(crate::run);
}

#[test]
fn who_gave_up_in_a_group_whose_work_is_done_is_not_wanted_again_when_the_cause_is_gone() {
    [4_294_967_359, 4_294_976_422, 4_294_983_808].into_iter().for_each(crate::run);
}

#[test]
fn who_is_behind_one_that_fails_does_not_start_when_another_death_takes_it_down_meanwhile() {
    [4_294_969_863, 4_294_971_193, 4_294_971_261, 4_294_975_895].into_iter().for_each(crate::run);
}

#[test]
fn who_is_restarted_while_its_next_try_is_due_has_what_it_needs_started_with_it() {
    crate::run(4_295_062_393);
}

#[test]
fn a_group_behind_one_that_fails_goes_on_with_its_own_restarts() {
    crate::run(4_294_982_871);
}
