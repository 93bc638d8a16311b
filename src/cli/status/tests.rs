//! Tests of `status`: fixed inputs against expected text.

use super::*;
use crate::ipc::control::Head;

const S: u64 = 1_000_000_000;

fn service(name: &str, state: &str) -> Service {
    Service {
        service: name.into(),
        instance: name.into(),
        group: "shop".into(),
        state: state.into(),
        wanted: "up".into(),
        as_wanted: matches!(state, "up" | "ready"),
        restarts_max: 5,
        window_ns: 30 * S,
        ..Service::default()
    }
}

fn web() -> Service {
    Service {
        pid: 4188,
        incarnation: 3,
        up_ns: 48 * S,
        cpu_ns: S,
        memory: 63_400_000,
        restarts: 1,
        last_exit: Some(LastExit { signal: Some(9), ago_ns: 48 * S, crash: 7, ..LastExit::default() }),
        ..service("web", "ready")
    }
}

fn worker() -> Service {
    Service { pid: 4102, up_ns: 71 * S, memory: 22_000_000, ..service("worker", "up") }
}

fn broken() -> Service {
    Service {
        restarts: 5,
        last_exit: Some(LastExit { code: Some(3), ago_ns: 4 * S, crash: 12, ..LastExit::default() }),
        ..service("worker", "gave_up")
    }
}

fn words(crash: u64) -> Option<Words> {
    (crash == 12).then(|| Words {
        time: "12:07:58.301".into(),
        stream: "stderr".into(),
        text: "database unreachable at 10.0.0.5:5432".into(),
    })
}

const GLYPHS: Style = Style { glyphs: true, ..Style::PLAIN };

fn check(services: Vec<Service>, restarts_hour: u32, style: Style, expected: &str) {
    let head = Head { project: "shop".into(), up_ns: 72 * S, restarts_hour, ..Head::default() };
    let snapshot = Snapshot { head, services, ..Snapshot::default() };
    let shown: Vec<_> = snapshot.services.iter().collect();
    let got = render(&snapshot, &shown, style, &words);
    assert_eq!(got, expected, "\n{got}\nis not\n{expected}");
}

#[test]
fn all_is_well() {
    check(
        vec![web(), worker()],
        1,
        GLYPHS,
        "\
shop · up 1m 12s · 2 of 2 as wanted · 1 restart in the last hour

  SERVICE  STATE  PID   UP      RESTARTS  CPU  MEM    LAST EXIT
● web      ready  4188  48s     1/5       2%   63 MB  SIGKILL 48s ago (c-7)
● worker   up     4102  1m 11s  0         0%   22 MB  -
",
    );
}

#[test]
fn a_pipe_gets_words_only() {
    check(
        vec![web(), broken()],
        0,
        Style::PLAIN,
        "\
shop · up 1m 12s · 1 of 2 as wanted

SERVICE  STATE    PID   UP   RESTARTS  CPU  MEM    LAST EXIT
web      ready    4188  48s  1/5       2%   63 MB  SIGKILL 48s ago (c-7)
worker   gave up  -     -    5/5       -    -      exit 3, 4s ago (c-12)
  | 12:07:58.301 stderr  database unreachable at 10.0.0.5:5432
  `- 6 exits in 30 s. Why: mainstay crash show c-12   Again: mainstay start worker
",
    );
}

#[test]
fn something_is_wrong() {
    check(
        vec![web(), broken()],
        0,
        GLYPHS,
        "\
shop · up 1m 12s · 1 of 2 as wanted

  SERVICE  STATE    PID   UP   RESTARTS  CPU  MEM    LAST EXIT
● web      ready    4188  48s  1/5       2%   63 MB  SIGKILL 48s ago (c-7)
✗ worker   gave up  -     -    5/5       -    -      exit 3, 4s ago (c-12)
  │ 12:07:58.301 stderr  database unreachable at 10.0.0.5:5432
  └ 6 exits in 30 s. Why: mainstay crash show c-12   Again: mainstay start worker
",
    );
}

#[test]
fn waiting_and_backing_off_say_for_what_and_how_long() {
    let waiting = Service { because: "waits for db".into(), ..service("web", "waiting") };
    let failed = LastExit {
        error: "changing directory to `/srv/web`: No such file or directory (os error 2)".into(),
        ago_ns: S,
        ..LastExit::default()
    };
    let backing_off = Service {
        restarts: 2,
        retry_in_ns: 1_600_000_000,
        last_exit: Some(failed),
        ..service("db", "backing_off")
    };
    check(
        vec![backing_off, waiting],
        2,
        Style::PLAIN,
        "\
shop · up 1m 12s · 0 of 2 as wanted · 2 restarts in the last hour

SERVICE  STATE        PID  UP  RESTARTS  CPU  MEM  LAST EXIT
db       backing off  -    -   2/5       -    -    start failed, 1s ago
  | changing directory to `/srv/web`: No such file or directory (os error 2)
  `- restart 2 of 5 in 1.6 s. Why: mainstay why db
web      waiting      -    -   0         -    -    -
  `- waits for db.
",
    );
}

#[test]
fn stopped_on_purpose_is_as_wanted() {
    let stopped = Service { wanted: "down".into(), as_wanted: true, ..service("web", "stopped") };
    check(
        vec![stopped],
        0,
        GLYPHS,
        "\
shop · up 1m 12s · 1 of 1 as wanted

  SERVICE  STATE    PID  UP  RESTARTS  CPU  MEM  LAST EXIT
○ web      stopped  -    -   0         -    -    -
",
    );
}

#[test]
fn names_of_twenty_characters_fit_eighty_columns() {
    let long = |state: &str| Service {
        pid: 4_194_304,
        up_ns: 30 * 3600 * S + 12 * 60 * S,
        cpu_ns: 30 * 3600 * S,
        memory: 12_300_000_000,
        restarts: 5,
        last_exit: Some(LastExit { signal: Some(11), ago_ns: 48 * S, crash: 1712, ..LastExit::default() }),
        ..service("twenty-characters-xx", state)
    };
    for state in ["ready", "backing_off", "stopping"] {
        let services = [long(state), broken()];
        let shown: Vec<_> = services.iter().collect();
        for style in [GLYPHS, Style::PLAIN] {
            let table = fit(&shown, style);
            let indent = if style.glyphs { 2 } else { 0 };
            assert!(table.width() + indent <= 80, "{} columns", table.width() + indent);
            let lines = table.lines(|_, _, cell| cell.to_owned());
            assert!(lines[1].contains("twenty-characters-xx") && lines[1].contains("SIGSEGV"), "{lines:?}");
        }
    }
}

#[test]
fn a_longer_name_is_shortened_last_of_all() {
    let name = "n".repeat(64);
    let long = Service { pid: 1, ..service(&name, "ready") };
    let lines = fit(&[&long], Style::PLAIN).lines(|_, _, cell| cell.to_owned());
    assert!(lines[1].starts_with(&format!("{}…  ready", "n".repeat(19))), "{lines:?}");
}

#[test]
fn colour_changes_no_column() {
    let services = [web(), broken()];
    let shown: Vec<_> = services.iter().collect();
    let snapshot = Snapshot::default();
    let plain = render(&snapshot, &shown, GLYPHS, &words);
    let colored = render(&snapshot, &shown, Style { color: true, ..GLYPHS }, &words);
    assert!(colored.contains("\x1b["));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
}

#[test]
fn last_words_cannot_command_the_terminal() {
    let evil =
        |_| Some(Words { time: String::new(), stream: "stderr".into(), text: "\x1b]0;pwned\x07".into() });
    let services = [broken()];
    let shown: Vec<_> = services.iter().collect();
    let text = render(&Snapshot::default(), &shown, Style::PLAIN, &evil);
    assert!(!text.contains('\x1b') && text.contains("\\u{1b}]0;pwned\\u{7}"), "{text:?}");
}
