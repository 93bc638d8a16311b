//! D14 to D19, D27 to D29, K11: how a pool goes down.

use super::*;

#[test]
fn d14_d15_k02_a_pool_stops_all_at_once_with_one_grace_and_kills_the_slow() {
    let mut rig = Plant::pool(1).boot();
    for name in ["p@1", "p@2", "p@3"] {
        rig.add("root", name, within(Grace::After(seconds(2)))).unwrap();
    }
    rig.deaf = vec!["p@1", "p@2", "p@3"];
    assert_eq!(rig.shutdown(), "p@3- p@2- p@1-");
    rig.pass(1000);
    assert_eq!((rig.exits("p@1", SHUTDOWN), rig.exits("p@2", SHUTDOWN)), (String::new(), String::new()));
    assert_eq!(rig.next(), (1000, "p@3! Shutdown".to_owned()), "2 s in all");
    let told = rig.exits_told();
    assert_eq!(told[..2], ["p@1 Signal(15, false) asked", "p@2 Signal(15, false) asked"]);
}

#[test]
fn d16_a_pool_of_those_that_are_to_be_killed_is_killed() {
    let mut rig = Plant::pool(1).boot();
    for at in 0..10 {
        rig.add("root", &format!("p@{at}"), within(Grace::Kill)).unwrap();
    }
    assert_eq!(rig.shutdown(), "p@9! p@8! p@7! p@6! p@5! p@4! p@3! p@2! p@1! p@0! Shutdown");
    assert!(rig.exits_told().iter().all(|exit| exit.ends_with("Signal(9, false) asked")));
}

#[test]
fn d17_members_that_end_in_their_own_way_are_told_truly_and_the_pool_ends() {
    for restart in [Permanent, Transient, Temporary] {
        let mut rig = Plant::pool(1).boot();
        for name in ["n", "s", "c", "e"] {
            rig.add("root", name, of(restart)).unwrap();
        }
        rig.answers = vec![("n", NORMAL), ("s", SHUTDOWN), ("c", CLEAN), ("e", ERROR)];
        assert_eq!(rig.shutdown(), "e- c- s- n- Shutdown");
        let expected = ["e Code(1) asked", "c Code(3) asked", "s Signal(15, false) asked", "n Code(0) asked"];
        assert_eq!(rig.exits_told(), expected);
    }
}

#[test]
fn d19_o03_ten_thousand_members_are_terminated_one_by_one_and_a_pool_of_them_stops_in_linear_work() {
    // A look at each member for each call would be 100 million steps here, and be seen as a test that hangs.
    let mut rig = Plant::pool(1).boot();
    for at in 0..20_000 {
        rig.add("root", &format!("p@{at}"), of(Temporary)).unwrap();
    }
    for at in 0..10_000 {
        rig.terminate(&format!("p@{at}")).unwrap();
    }
    assert_eq!(rig.count("root"), "1/10000/0/10000");
    assert!(rig.shutdown().ends_with("Shutdown"));
}

#[test]
fn d27_graces_that_differ_run_side_by_side() {
    let mut rig = Plant::pool(1).boot();
    let graces = [Grace::Forever, Grace::Kill, Grace::After(seconds(2)), Grace::After(seconds(1))];
    for (at, grace) in graces.into_iter().enumerate() {
        rig.add("root", &format!("p@{at}"), within(grace)).unwrap();
    }
    rig.deaf = vec!["p@0", "p@2", "p@3"];
    assert_eq!(rig.shutdown(), "p@3- p@2- p@1! p@0-");
    assert_eq!(rig.next(), (1000, "p@3!".to_owned()));
    assert_eq!(rig.next(), (1000, "p@2!".to_owned()));
    assert_eq!(rig.supervisor.next_deadline(), None);
    assert_eq!(rig.exits("p@0", SHUTDOWN), "Shutdown");
}

#[test]
fn d28_a_grace_of_a_millisecond_is_a_grace() {
    let mut rig = Plant::pool(1).boot();
    for name in ["p@1", "p@2"] {
        rig.add("root", name, within(Grace::After(Duration::from_millis(1)))).unwrap();
    }
    rig.deaf = vec!["p@2"];
    assert_eq!(rig.shutdown(), "p@2- p@1-");
    assert_eq!(rig.next(), (1, "p@2! Shutdown".to_owned()));
    assert_eq!(rig.exits_told(), ["p@1 Signal(15, false) asked", "p@2 Signal(9, false) asked"]);
}

#[test]
fn d29_k11_shutdown_errors_of_a_pool_are_told_once_for_each_cause_with_their_number() {
    let mut rig = Plant::pool(1).boot();
    for name in ["n1", "n2", "e1", "e2", "e3", "s"] {
        rig.add("root", name, |_| {}).unwrap();
    }
    rig.answers = vec![("n1", NORMAL), ("n2", NORMAL), ("e1", ERROR), ("e2", ERROR), ("e3", ERROR)];
    rig.told();
    assert_eq!(rig.shutdown(), "s- e3- e2- e1- n2- n1- Shutdown");
    let told = rig.told();
    let errors: Vec<&String> = told.iter().filter(|line| line.contains("ShutdownErrors")).collect();
    assert_eq!(
        errors,
        [
            "root ShutdownErrors { cause: Code(1), count: 3 }",
            "root ShutdownErrors { cause: Code(0), count: 2 }"
        ],
        "permanent ones are not supposed to exit normally"
    );
    assert!(!told.iter().any(|line| line.contains("shutdown_error: true")), "and not one by one as well");
}

#[test]
fn d29_k11_a_member_that_is_not_permanent_may_end_normally() {
    let mut rig = Plant::pool(1).boot();
    rig.add("root", "p@1", of(Transient)).unwrap();
    rig.answers = vec![("p@1", NORMAL)];
    assert_eq!(rig.shutdown(), "p@1- Shutdown");
    assert!(!rig.told().iter().any(|line| line.contains("ShutdownErrors")));
}
