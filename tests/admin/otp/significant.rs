//! M: significant children and auto-shutdown.

use crate::rig::{LIVES, Rig, SPEAKS, told};
use crate::support::gone;
use nix::sys::signal::Signal;

fn tree(auto_shutdown: &str, restart: &str, significant: bool) -> Rig {
    let one = |name: &str| {
        format!("[service.{name}]\n{}\nrestart = \"{restart}\"\nsignificant = {significant}\n", told(name))
    };
    Rig::otp(
        5,
        &format!("auto_shutdown = \"{auto_shutdown}\"\n{}{}[service.other]\n{LIVES}\n", one("a"), one("b")),
    )
}

/// Does `act` to a child and returns when it has ended; the supervisor lives.
#[track_caller]
fn survives<T>(rig: &Rig, name: &str, act: impl FnOnce(&Rig) -> T) {
    let pid = rig.pid(name);
    act(rig);
    gone(pid);
    rig.pid("other");
}

#[test]
fn m01_m02_who_is_not_significant_ends_nobody() {
    for auto_shutdown in ["never", "any", "all"] {
        let rig = tree(auto_shutdown, "temporary", false);
        survives(&rig, "a", |rig| rig.say("a", 0));
        survives(&rig, "b", |rig| rig.kill("b", Signal::SIGKILL));
        let rig = tree(auto_shutdown, "transient", false);
        survives(&rig, "a", |rig| rig.say("a", 0));
        rig.replaced("b");
    }
}

#[test]
fn m03_m18_any_with_a_temporary_one() {
    let rig = tree("any", "temporary", true);
    survives(&rig, "a", |rig| rig.ok(&["terminate", "a"]));
    rig.ends(|| rig.say("b", 3));
    // The end of its work is no failure: a run in the foreground says so and exits 0.
    let rig = Rig::prepared(&format!(
        "name = \"t\"\nsemantics = \"otp\"\nauto_shutdown = \"any\"\n[service.other]\n{SPEAKS}\n\
         [service.a]\ncommand = \"true\"\nrestart = \"temporary\"\nsignificant = true\n"
    ));
    let said = rig.project.mainstay(&["run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("a was its significant member")
            || said.stdout.contains("a was its significant member"),
        "{said:?}"
    );
    assert_eq!(rig.project.processes(), Vec::<i32>::new());
}

#[test]
fn m04_all_with_temporary_ones() {
    let rig = tree("all", "temporary", true);
    survives(&rig, "a", |rig| rig.say("a", 0));
    rig.ends(|| rig.say("b", 0));
}

#[test]
fn m05_any_with_a_transient_one() {
    let rig = tree("any", "transient", true);
    survives(&rig, "a", |rig| rig.ok(&["terminate", "a"]));
    rig.replaced("b");
    rig.ends(|| rig.say("b", 0));
}

#[test]
fn m06_all_with_transient_ones() {
    let rig = tree("all", "transient", true);
    survives(&rig, "a", |rig| rig.say("a", 0));
    rig.ends(|| rig.say("b", 0));
}

#[test]
fn m08_who_is_stopped_because_of_a_sibling_ends_nobody() {
    let rig = Rig::otp(
        5,
        &format!(
            "strategy = \"one_for_all\"\nauto_shutdown = \"any\"\n[service.a]\n{LIVES}\n[service.s]\n{LIVES}\nrestart = \"transient\"\nsignificant = true\n"
        ),
    );
    let (before, cursor) = (rig.pid("s"), rig.cursor());
    rig.kill("a", Signal::SIGKILL);
    rig.happens(&cursor, "s", "up");
    assert_ne!(rig.pid("s"), before);
}

#[test]
fn m09_a_group_that_ends_may_end_its_parent() {
    for significant in [true, false] {
        let rig = Rig::otp(
            5,
            &format!(
                "auto_shutdown = \"any\"\n[group.inner]\nauto_shutdown = \"any\"\nrestart = \"temporary\"\nsignificant = {significant}\n\
                 [service.s]\ngroup = \"inner\"\n{}\nrestart = \"temporary\"\nsignificant = true\n[service.other]\n{LIVES}\n",
                told("s")
            ),
        );
        if significant {
            rig.ends(|| rig.say("s", 0));
        } else {
            survives(&rig, "s", |rig| rig.say("s", 0));
        }
    }
}

#[test]
fn m10_m16_a_new_rule_holds_from_the_reload_on() {
    let rig = tree("never", "transient", false);
    let pids = [rig.pid("a"), rig.pid("b"), rig.pid("other")];
    let text = rig.project.read("mainstay.toml");
    // M16: significant under never is refused, and nothing has changed.
    rig.project.write("mainstay.toml", &text.replace("significant = false", "significant = true"));
    rig.fails(78, &["reload"]);
    rig.fails(1, &["start-child", "x", "--significant", "--restart", "transient", "--", "true"]);
    // M10: never → any disturbs nobody.
    let any = text.replace("significant = false", "significant = true").replace("\"never\"", "\"any\"");
    rig.project.write("mainstay.toml", &any);
    rig.ok(&["reload"]);
    assert_eq!([rig.pid("a"), rig.pid("b"), rig.pid("other")], pids);
    // M11: any → never, and back.
    rig.project.write("mainstay.toml", &text);
    rig.ok(&["reload"]);
    survives(&rig, "b", |rig| rig.say("b", 0));
    rig.project.write("mainstay.toml", &any);
    rig.ok(&["reload"]);
    rig.ends(|| rig.say("a", 0));
}
