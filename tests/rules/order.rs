//! Who starts and stops before whom: needs, `after`.

use crate::rig::Plant;
use mainstay::supervisor::spec::{GroupId, Node, Restart, Strategy};
use mainstay::supervisor::{Cause, Event, State};
use mainstay::time::Duration;

#[test]
fn independent_members_start_and_stop_at_once() {
    let mut rig = Plant::new().children("root", "a b c").rig();
    rig.silent = true;
    assert_eq!(rig.event(Event::Boot), "a+1 b+2 c+3");
    for name in ["a", "b", "c"] {
        rig.started(name);
    }
    assert_eq!(rig.shutdown(), "c- b- a-");
}

#[test]
fn a_need_starts_first_and_stops_last() {
    let plant = Plant::new().children("root", "web").child("root", "db", |db| {
        db.ready_within = Some(Duration::from_secs(9));
    });
    let mut rig = plant.needing("web", "db").boot();
    assert_eq!(rig.states(), [State::Waiting, State::Starting]);
    assert_eq!(rig.ready("db"), "web+2");
    assert_eq!(rig.shutdown(), "web- db- Shutdown");
}

#[test]
fn who_runs_goes_on_when_what_it_needs_dies() {
    let mut rig = Plant::new().children("root", "db web").needing("web", "db").boot();
    assert_eq!(rig.dies("db"), "db+3");
    assert_eq!(rig.stop("db"), "db-");
    assert_eq!(rig.state("web"), State::Up);
}

#[test]
fn a_need_that_finished_cleanly_is_met_and_one_that_failed_is_not() {
    for (cause, expected) in [(Cause::Code(0), "web+2"), (Cause::Code(1), "")] {
        let plant = Plant::new().child("root", "job", |job| {
            job.restart = Restart::Temporary;
            job.ready_within = Some(Duration::from_secs(9));
        });
        let mut rig = plant.children("root", "web").needing("web", "job").boot();
        assert_eq!(rig.exits("job", cause), expected);
    }
}

#[test]
fn a_need_of_a_group_is_met_when_all_its_wanted_members_are_up() {
    let plant = Plant::new().group("root", "base", |_| {}).child("base", "slow", |slow| {
        slow.ready_within = Some(Duration::from_secs(9));
    });
    let plant = plant.children("base", "quick").child("base", "off", |off| off.autostart = false);
    let mut rig = plant.children("root", "web").needing("web", "base").boot();
    assert_eq!(rig.state("web"), State::Waiting);
    assert_eq!(rig.supervisor.waits_for(rig.id("web")).collect::<Vec<_>>(), [Node::Group(GroupId(1))]);
    assert_eq!(rig.ready("slow"), "web+3");
    assert_eq!(rig.shutdown(), "web- quick- slow- Shutdown");
}

#[test]
fn a_need_that_gave_up_keeps_who_needs_it_waiting_until_somebody_starts_it() {
    let plant = Plant::new().child("root", "db", |db| {
        db.limit = Some(mainstay::supervisor::spec::Intensity { max: 0, within: Duration::from_secs(1) });
    });
    let mut rig = plant.children("root", "web").needing("web", "db").rig();
    rig.failing = vec!["db"];
    assert_eq!(rig.event(Event::Boot), "db+1");
    assert_eq!(rig.states(), [State::GaveUp, State::Waiting]);
    rig.failing.clear();
    assert_eq!(rig.start("web"), "db+2 web+3", "who wants web up wants its database tried again");
}

#[test]
fn rest_for_one_starts_each_after_the_one_before_is_up() {
    let plant = Plant::new().root(|root| root.strategy = Strategy::RestForOne);
    let mut rig = plant.children("root", "a b").rig();
    rig.silent = true;
    assert_eq!(rig.event(Event::Boot), "a+1");
    assert_eq!(rig.started("a"), "b+2");
    rig.started("b");
    assert_eq!(rig.shutdown(), "b-");
}

fn built_ins() -> Plant {
    let plant = Plant::new().group("root", "mainstay", |_| {}).group("root", "shop", |shop| {
        shop.after = vec![Node::Group(GroupId(1))];
    });
    plant
        .child("mainstay", "keeper", |keeper| keeper.ready_within = Some(Duration::from_secs(9)))
        .children("shop", "web")
}

#[test]
fn a_group_starts_after_what_it_comes_after_was_ready_once_and_stops_before_it() {
    let mut rig = built_ins().boot();
    assert_eq!(rig.state("web"), State::Waiting);
    assert_eq!(rig.ready("keeper"), "web+2");
    assert_eq!(rig.dies("keeper"), "keeper+3");
    assert_eq!(rig.dies("web"), "web+4", "once is enough");
    assert_eq!(rig.shutdown(), "web- keeper- Shutdown");
}

#[test]
fn what_a_group_comes_after_holds_nobody_up_when_it_is_broken() {
    let mut rig = built_ins().rig();
    rig.failing = vec!["keeper"];
    assert_eq!(rig.event(Event::Boot), "keeper+1 web+2");
}

#[test]
fn a_tree_beside_the_root_ends_with_it_and_never_ends_it() {
    let mut plant = built_ins();
    plant.tree.groups[1].parent = None;
    plant.tree.groups[0].members.remove(0);
    let mut rig = plant.boot();
    assert_eq!(rig.ready("keeper"), "web+2");
    assert_eq!(rig.dies("keeper"), "keeper+3");
    assert_eq!(rig.shutdown(), "web- keeper- Shutdown");
}

#[test]
fn a_shutdown_ends_also_when_needs_go_in_a_circle() {
    let plant = Plant::new().children("root", "a b").needing("a", "b").needing("b", "a");
    let mut rig = plant.boot();
    assert_eq!(rig.shutdown(), "a- b- Shutdown", "the need that closes the circle is ignored");
}

#[test]
fn all_up_is_told_once_and_again_when_it_becomes_true_again() {
    let mut rig = Plant::new().children("root", "a b").boot();
    let count = |rig: &mut crate::rig::Rig| rig.told().iter().filter(|line| *line == "AllUp").count();
    assert_eq!(count(&mut rig), 1);
    rig.restart("a");
    assert_eq!(count(&mut rig), 1);
    rig.stop("a");
    assert_eq!(count(&mut rig), 0, "it stayed true");
    assert!(rig.supervisor.all_up());
}
