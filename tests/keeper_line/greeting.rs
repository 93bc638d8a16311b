//! What each life of the keeper is told of the tree.

use crate::rig::{Life, Rig, WEB, short};
use crate::support::{gone, kill};
use nix::sys::signal::Signal;
use std::fs;

pub fn from_the_beginning() {
    let rig = Rig::new(WEB);
    let mut first = rig.start();
    let said = first.greeting();
    let instances = ["instance 4 web web#1", "instance 5 web web#2", "instance 6 db db"];
    assert_eq!(
        short(&said),
        [&["hello false"][..], &instances].concat(),
        "nobody runs before the board stands"
    );
    let mut lives = vec![first.next(), first.next(), first.next()];
    assert_eq!(short(&lives), ["life 4", "life 5", "life 6"]);

    kill(rig.project.pid("mainstay.keeper"), Signal::SIGKILL);
    let mut second = rig.next_life();
    let again = second.greeting();
    assert_eq!(said[0], again[0], "the same run");
    assert_eq!(again[1..4], said[1..4]);
    lives.sort();
    assert_eq!(again[4..], lives, "each with its box");
    let life: Vec<&str> = lives[2].split(' ').collect();
    kill(rig.project.pid("db"), Signal::SIGKILL);
    assert_eq!(second.next_of_all(), format!("ended 6 {}", life[2]));
    assert_eq!(short(&[second.next_of_all()]), ["life 6"]);
}

pub fn come_and_go() {
    let rig = Rig::new(WEB);
    let mut keeper = rig.start_all();
    keeper.greeting();
    keeper.until(|line| line.starts_with("life 6 "));
    let project = &rig.project;
    project.mainstay(&["start-child", "extra", "--", "sleep", "100000"]).ok();
    assert_eq!(keeper.next(), "instance 7 extra extra");
    assert_eq!(short(&[keeper.next()]), ["life 7"]);
    project.mainstay(&["terminate", "extra"]).ok();
    project.mainstay(&["delete-child", "extra"]).ok();
    assert_eq!(keeper.next(), "gone 7");
    project.mainstay(&["scale", "web=3"]).ok();
    assert_eq!(keeper.next(), "instance 8 web web#3");
    assert_eq!(short(&[keeper.next()]), ["life 8"]);
    project.mainstay(&["scale", "web=2"]).ok();
    assert_eq!(keeper.next(), "gone 8");
    project.write("mainstay.toml", &WEB.replace("[service.db]", "[service.store]"));
    project.mainstay(&["reload"]).ok();
    let mut news = short(&[keeper.next(), keeper.next(), keeper.next()]);
    news.sort();
    assert_eq!(news, ["gone 6", "instance 9 store store", "life 9"]);
    let cursor = project.cursor();
    project.mainstay(&["restart", "store"]).ok();
    assert_eq!(short(&[keeper.next()]), ["life 9"]);
    project.wait("store", "up", &cursor);
}

pub fn abrupt() {
    let rig = Rig::new(WEB);
    let mut run = String::new();
    // The keeper that it returns must live as long as its supervisor: else another one begins, and waits for us.
    let mut check = |what: &str, expected: bool| {
        let mut keeper = rig.start_all();
        let hello = keeper.greeting()[0].clone();
        let words: Vec<&str> = hello.split(' ').collect();
        assert_eq!(words[2], expected.to_string(), "{what}");
        assert_ne!(words[1], run, "{what}: another supervisor, another run");
        run = words[1].to_owned();
        keeper
    };
    let killed = |keeper: Life| {
        let supervisor = rig.project.supervisor();
        kill(supervisor, Signal::SIGKILL);
        gone(supervisor);
        drop(keeper);
    };
    killed(check("the first", false));
    killed(check("killed", true));
    // As after the death of the host: the runtime directory is empty.
    for entry in fs::read_dir(rig.project.path("run")).unwrap() {
        let path = entry.unwrap().path();
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
    let keeper = check("only the mark in the state directory is left", true);
    rig.project.shutdown();
    drop(keeper);
    check("shut down", false);
}
