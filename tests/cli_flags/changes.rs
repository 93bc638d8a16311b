//! `flag list|set|enable|disable|percent|reset|load`.

use crate::rig::{Keeper, changed, changed_one, done, flag, refused, seen};
use mainstay::flags::{Declaration, Kind, Value};
use mainstay::ipc::flags::{Edit, How, Reply, Request, SAY_WHY};

/// What a request says of how it is to be made, without the number that is chosen by chance.
fn how(request: &Request) -> How {
    let how = request.how().unwrap().clone();
    assert_ne!(how.id, 0, "a change that could not be recognised when it is sent again");
    How { id: 0, ..how }
}

fn edits(request: &Request) -> Vec<(String, String)> {
    match request {
        Request::Set { edits, .. } => {
            edits.iter().map(|Edit { flag, to, .. }| (flag.clone(), to.clone())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_says_before_and_after_and_its_number() {
    let keeper = Keeper::saying(vec![changed("log-level", "\"info\"", "\"debug\"", 43), done(43)]);
    let line = "log-level \"info\" -> \"debug\"  generation 43\n";
    keeper.check("flag set log-level=debug", 0, line, "");
    keeper.check("flag set log-level debug", 0, line, "");
    for request in keeper.asked() {
        assert_eq!(edits(&request), [("log-level".to_owned(), "debug".to_owned())]);
        assert_eq!(how(&request), How::default());
    }
}

#[test]
fn every_way_to_change_a_flag_says_what_it_becomes_and_how() {
    let keeper = Keeper::saying(vec![changed("x", "off", "on", 1), done(1)]);
    let set = |to: &str| vec![("x".to_owned(), to.to_owned())];
    for (line, expected) in [
        ("flag set x=12.5%", set("12.5%")),
        ("flag set x=default", set("default")),
        ("flag set x=-42", set("-42")),
        ("flag enable x", set("on")),
        ("flag disable x", set("disabled")),
        ("flag percent x 12.5", set("12.5%")),
        ("flag percent x 0", set("off")),
        ("flag percent x 100%", set("on")),
    ] {
        assert_eq!(keeper.run(line).code, 0, "{line}");
        assert_eq!(edits(&keeper.asked()[0]), expected, "{line}");
    }
    keeper.run("flag set x=on --why SHOP-1 --volatile -n --override-ban");
    let expected = How { id: 0, reason: "SHOP-1".into(), volatile: true, dry_run: true, override_ban: true };
    assert_eq!(how(&keeper.asked()[0]), expected);
    keeper.run("flag reset x --why SHOP-1");
    assert!(matches!(&keeper.asked()[..], [Request::Reset { flags, .. }] if flags == &["x"]));
    keeper.run("flag load");
    assert!(matches!(&keeper.asked()[..], [Request::Load { .. }]));
}

#[test]
fn several_flags_are_one_request_and_a_line_each() {
    let same = Reply::Changed(changed_one("b", "on", "on", 7));
    let keeper = Keeper::saying(vec![changed("a", "off", "on", 43), same, done(43)]);
    keeper.check("flag set a=on b=on", 0, "a off -> on  generation 43\nb is on already  generation 7\n", "");
    assert_eq!(keeper.asked().len(), 1);
    let objects = "\
{\"schema\":1,\"flag\":\"a\",\"old\":\"off\",\"new\":\"on\",\"generation\":43,\"unchanged\":false,\"durable\":true,\"dry_run\":false,\"seen\":null}
{\"schema\":1,\"flag\":\"b\",\"old\":\"on\",\"new\":\"on\",\"generation\":7,\"unchanged\":true,\"durable\":true,\"dry_run\":false,\"seen\":null}
";
    keeper.check("flag set a=on b=on --json", 0, objects, "");
}

#[test]
fn a_change_in_memory_only_is_no_success_unless_it_was_asked_for() {
    let volatile =
        Reply::Changed(mainstay::ipc::flags::Changed { durable: false, ..changed_one("a", "off", "on", 43) });
    let keeper = Keeper::saying(vec![volatile, done(43)]);
    let line = "a off -> on  generation 43, in memory only\n";
    let talk =
        "warning: this is in memory only, and lost if the keeper dies before the disk can be written\n";
    keeper.check("flag set a=on", 1, line, talk);
    keeper.check("flag set a=on --volatile", 0, line, talk);
}

#[test]
fn a_refusal_keeps_its_code_its_words_and_what_to_do() {
    let keeper = Keeper::saying(refused(4, "no flag `new-chekout`", "did you mean `new-checkout`?"));
    let talk = "mainstay: no flag `new-chekout`\nhint: did you mean `new-checkout`?\n";
    keeper.check("flag set new-chekout=on", 4, "", talk);
    let keeper = Keeper::saying(refused(1, "`a` is banned: web#7 died of SIGSEGV (c-13)", "--override-ban"));
    keeper.check(
        "flag set a=on",
        1,
        "",
        "mainstay: `a` is banned: web#7 died of SIGSEGV (c-13)\nhint: --override-ban\n",
    );
}

#[test]
fn what_a_person_should_know_besides_is_said_on_stderr() {
    let note = Reply::Note { text: "r-3, which was rolling it out, has ended".into() };
    let keeper = Keeper::saying(vec![changed("a", "25%", "off", 43), note, done(43)]);
    let talk = "note: r-3, which was rolling it out, has ended\n";
    keeper.check("flag set a=off", 0, "a 25% -> off  generation 43\n", talk);
    // Whoever gave a flag or a reason its words steers no terminal with them.
    let note = Reply::Note { text: "\u{1b}[31mred".into() };
    let keeper = Keeper::saying(vec![changed("a", "25%", "off", 43), note, done(43)]);
    keeper.check("flag set a=off", 0, "a 25% -> off  generation 43\n", "note: \\u{1b}[31mred\n");
}

#[test]
fn what_cannot_be_meant_is_a_usage_error_before_anybody_is_asked() {
    let keeper = Keeper::saying(vec![done(1)]);
    for line in [
        "flag set",
        "flag set a",
        "flag set a=on off",
        "flag percent a 101",
        "flag percent a",
        "flag enable",
        "flag reset",
        "flag reset a --all",
        "flag set a=on --timeout 5",
        "flag set a=on --no-such",
    ] {
        assert_eq!(keeper.run(line).code, 2, "{line}");
    }
    assert_eq!(keeper.asked(), []);
}

/// A keeper that wants to know why.
fn strict() -> Keeper {
    Keeper::new(|request| {
        // Nobody has read it; a terminal asks.
        let Some(how) = request.how() else { return Some(vec![done(43)]) };
        if how.reason.is_empty() {
            return Some(refused(2, "flag `a` is guarded: a change needs a reason", SAY_WHY));
        }
        Some(vec![changed("a", "off", "on", 43), done(43)])
    })
}

#[test]
fn a_script_that_says_no_reason_is_told_how() {
    let keeper = strict();
    let talk = "mainstay: flag `a` is guarded: a change needs a reason\nhint: say it with `--why TEXT`\n";
    keeper.check("flag set a=on", 2, "", talk);
    keeper.check("flag set a=on --why SHOP-812", 0, "a off -> on  generation 43\n", "");
}

#[test]
fn a_person_is_asked_for_the_reason_on_the_terminal() {
    let keeper = strict();
    let mut terminal = keeper.on_terminal("flag set a=on");
    terminal.await_text("why?");
    terminal.type_in("SHOP-812, with ben\n");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(
        screen,
        "flag `a` is guarded: a change needs a reason\nwhy? SHOP-812, with ben\na off → on  generation 43\n"
    );
    let asked = keeper.asked();
    let ids: Vec<u64> = asked[..2].iter().map(|request| request.how().unwrap().id).collect();
    assert_ne!(ids[0], ids[1], "the second request would be taken for the first one, sent again");
    assert_eq!(how(&asked[1]).reason, "SHOP-812, with ben");
}

#[test]
fn a_person_who_says_nothing_changes_nothing() {
    let keeper = strict();
    let mut terminal = keeper.on_terminal("flag set a=on");
    terminal.await_text("why?");
    terminal.type_in("  \n");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(2), "{screen}");
    assert!(screen.contains("mainstay: no reason was given, and nothing was changed\n"), "{screen}");
    assert_eq!(keeper.asked().len(), 1);
}

/// A keeper whose readers see a change at its `nth` look.
fn with_readers(nth: usize) -> Keeper {
    let mut looks = 0;
    Keeper::new(move |request| {
        Some(match request {
            Request::Set { .. } => vec![changed("a", "off", "on", 43), done(43)],
            Request::Seen { flags } => {
                assert_eq!(flags, &["a"]);
                looks += 1;
                let newest = if looks >= nth { 4 } else { 2 };
                vec![seen("a", "web", 4, 4, newest), seen("a", "worker", 1, 1, 1), done(43)]
            }
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn on_a_terminal_a_change_says_how_soon_it_was_seen() {
    let (status, screen) = with_readers(3).on_terminal("flag set a=on").end();
    assert_eq!(status.code(), Some(0));
    let (before, time) = screen.split_once("seen by all 5 processes in ").expect(&screen);
    assert_eq!(before, "a off → on  generation 43, ");
    assert!(time.ends_with("s\n"), "{screen}");
}

#[test]
fn in_a_pipe_nobody_waits_for_readers_unless_asked_to() {
    let keeper = with_readers(2);
    keeper.check("flag set a=on", 0, "a off -> on  generation 43\n", "");
    assert_eq!(keeper.asked().len(), 1);
    let outcome = keeper.run("flag set a=on --wait-seen");
    assert!(
        outcome.stdout.starts_with("a off -> on  generation 43, seen by all 5 processes in "),
        "{outcome:?}"
    );
    let outcome = keeper.run("flag set a=on --wait-seen --json").ok();
    assert!(outcome.ends_with("\"dry_run\":false,\"seen\":{\"by\":5,\"of\":5}}\n"), "{outcome}");
}

#[test]
fn who_insists_that_a_change_is_seen_gets_a_timeout_when_it_is_not() {
    let keeper = with_readers(usize::MAX);
    keeper.check(
        "flag set a=on --wait-seen --timeout 2s",
        124,
        "a off -> on  generation 43, seen by 3 of 5 processes so far\n",
        "mainstay: the change was made, and 2 of 5 processes have not seen it\n",
    );
}

#[test]
fn who_insists_that_a_change_is_seen_gets_a_timeout_when_nobody_can_be_asked() {
    let line = "a off -> on  generation 43\n";
    let keeper = Keeper::new(|request| match request {
        // It dies on that question, each time.
        Request::Seen { .. } => None,
        _ => Some(vec![changed("a", "off", "on", 43), done(43)]),
    });
    let talk = "mainstay: the change was made, and nobody could be asked who has seen it\n";
    keeper.check("flag set a=on --wait-seen --timeout 3s", 124, line, talk);
    // Of a dry run there is nothing to be seen.
    let keeper = Keeper::saying(vec![changed("a", "off", "on", 43), done(43)]);
    keeper.check("flag set a=on --wait-seen --dry-run", 0, "a off -> on  dry run\n", "");
    assert_eq!(keeper.asked().len(), 1);
}

#[test]
fn a_flag_that_nobody_ever_read_is_not_waited_for() {
    let keeper = Keeper::new(|request| {
        Some(match request {
            Request::Seen { .. } => vec![done(43)],
            _ => vec![changed("a", "off", "on", 43), done(43)],
        })
    });
    let (_, screen) = keeper.on_terminal("flag set a=on").end();
    assert_eq!(screen, "a off → on  generation 43\n");
    keeper.check("flag set a=on --wait-seen", 0, "a off -> on  generation 43\n", "");
}

#[test]
fn the_list_shows_what_the_keeper_knows_and_who_has_seen_it() {
    let keeper = Keeper::new(|request| {
        let level = Value::parse(Kind::Text, "info").unwrap();
        let declared = Declaration {
            name: "log-level".into(),
            kind: Kind::Text,
            configured: Some(level),
            ..Declaration::default()
        };
        Some(match request {
            Request::List { .. } => vec![
                Reply::Flag(Box::new(flag("log-level", level))),
                Reply::Flag(Box::new(mainstay::ipc::flags::Flag { declared, ..flag("", level) })),
                Reply::Flag(Box::new(flag("new-checkout", Value::Share(25_000)))),
                done(43),
            ],
            Request::Seen { .. } => {
                vec![seen("new-checkout", "web", 4, 4, 4), seen("new-checkout", "worker", 1, 1, 1), done(43)]
            }
            other => panic!("{other:?}"),
        })
    });
    keeper.check(
        "flag list",
        0,
        "\
FLAG          VALUE   STAGE                   SET BY   SEEN BY
log-level     \"info\"  -                       default  -
log-level     \"info\"  -                       file     -
new-checkout  25%     [#####...............]  default  web 4/4  worker 1/1
",
        "",
    );
    keeper.check("flag list new*", 0, "FLAG          VALUE  STAGE                   SET BY   SEEN BY\nnew-checkout  25%    [#####...............]  default  web 4/4  worker 1/1\n", "");
    let objects = keeper.run("flag list --json").ok();
    assert_eq!(objects.lines().count(), 3);
    for line in objects.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["schema"], 1);
        assert!(!line.contains(": ") && !line.contains(", "), "spaces in {line}");
    }
}

#[test]
fn nobody_there_says_which_socket_was_tried() {
    let project = crate::support::Project::new("name = \"shop\"\n");
    for line in ["flag set a=on", "flag roll --status", "stage list", "guard status", "flag load"] {
        let outcome = project.mainstay(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(outcome.code, 69, "{line}: {outcome:?}");
        assert!(outcome.stderr.contains("run/control/keeper"), "{line}: {outcome:?}");
        assert!(outcome.stderr.contains("hint: start it with `mainstay run`"), "{line}: {outcome:?}");
    }
}
