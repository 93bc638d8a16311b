//! What the list shows at each width, and what it says of each flag.

use super::*;
use crate::flags::{Declaration, Requires};

fn flag(name: &str, value: Value) -> Flag {
    Flag {
        declared: Declaration { name: name.into(), ..Declaration::default() },
        truth: value.into(),
        effective: value.into(),
        instances: Vec::new(),
        set: true,
        generation: 43,
        uid: 1000,
        actor: "ana".into(),
        reason: String::new(),
        time: Wall(0),
        durable: true,
        stage: None,
        roll: 0,
        guard: String::new(),
    }
}

fn seen(flag: &str, service: &str, newest: u32, running: u32, behind_ns: u64) -> Seen {
    let (flag, service) = (flag.into(), service.into());
    Seen { flag, service, running, read: running, newest, behind_ns, generation: 1 }
}

const FOUR_MINUTES: Wall = Wall(250_000_000);

fn table_of(flags: &[Flag], seen: Option<&[Seen]>, width: usize) -> String {
    let flags: Vec<&Flag> = flags.iter().collect();
    render(&flags, seen, FOUR_MINUTES, Style { width, ..Style::PLAIN })
}

fn two() -> ([Flag; 2], [Seen; 4]) {
    let level = Value::parse(Kind::Text, "info").unwrap();
    let file = Flag {
        set: false,
        generation: 0,
        actor: String::new(),
        declared: Declaration {
            name: "log-level".into(),
            kind: Kind::Text,
            configured: Some(level),
            ..Declaration::default()
        },
        ..flag("log-level", level)
    };
    let seen = [
        seen("new-checkout", "web", 4, 4, 0),
        seen("new-checkout", "worker", 1, 1, 0),
        seen("log-level", "web", 4, 4, 0),
        seen("log-level", "worker", 0, 1, 12_000_000_000),
    ];
    ([flag("new-checkout", Value::Share(25_000)), file], seen)
}

#[test]
fn a_list_says_what_who_and_who_has_seen_it() {
    let (flags, seen) = two();
    assert_eq!(
        table_of(&flags, Some(&seen), 120),
        "\
FLAG          VALUE   STAGE                   SET BY       SEEN BY
new-checkout  25%     [#####...............]  ana, 4m ago  web 4/4  worker 1/1
log-level     \"info\"  -                       file         web 4/4  worker 0/1 behind 12s
"
    );
}

#[test]
fn nobody_to_ask_is_no_column_instead_of_an_empty_one() {
    let (flags, _) = two();
    assert_eq!(
        table_of(&flags[..1], None, 120),
        "FLAG          VALUE  STAGE                   SET BY\nnew-checkout  25%    [#####...............]  ana, 4m ago\n"
    );
}

#[test]
fn a_list_fits_eighty_columns_with_names_of_twenty_characters() {
    let name = "a-flag-of-20-letters";
    let worst = Flag {
        roll: 3,
        guard: "cooling down".into(),
        actor: "a-user-with-20-chars".into(),
        ..flag(name, Value::Share(12_500))
    };
    let text = Flag {
        effective: Value::parse(Kind::Text, &"x".repeat(128)).unwrap().into(),
        stage: Some(("a-migration-of-20-le".into(), 12)),
        ..flag(name, Value::parse(Kind::Text, &"x".repeat(128)).unwrap())
    };
    let services = [seen(name, "a-service-20-letters", 9, 10, 3_600_000_000_000), seen(name, "web", 4, 4, 0)];
    let table = table_of(&[worst, text], Some(&services), 80);
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    assert!(table.contains(name) && table.contains("13/14 behind 1h"), "{table}");
}

#[test]
fn what_holds_a_flag_back_is_said() {
    let requires = |on| Some(Requires { flag: "search".into(), on });
    for (flag, standing) in [
        (
            Flag {
                effective: Value::Off.into(),
                declared: Declaration {
                    name: "x".into(),
                    requires: requires(true),
                    ..Declaration::default()
                },
                ..flag("x", Value::On)
            },
            "set on, needs search",
        ),
        (
            Flag {
                effective: Value::Off.into(),
                declared: Declaration {
                    name: "x".into(),
                    requires: requires(false),
                    ..Declaration::default()
                },
                ..flag("x", Value::Share(1000))
            },
            "[#...................] set 1%, needs not search",
        ),
        (
            Flag { effective: Value::On.into(), ..flag("x", Value::Share(50_000)) },
            "[##########..........] set 50%",
        ),
        (
            Flag { stage: Some(("otp_cleanup".into(), 2)), guard: "baking".into(), ..flag("x", Value::On) },
            "otp_cleanup 2, baking",
        ),
        (Flag { roll: 3, ..flag("x", Value::Share(25_000)) }, "[#####...............] r-3"),
        (flag("x", Value::On), "-"),
    ] {
        assert_eq!(super::standing(&flag, Detail::at(0)), standing);
    }
}

#[test]
fn a_flag_that_outlived_its_day_is_warned_of_after_it() {
    let declared = Declaration {
        name: "x".into(),
        expires: Some("1970-01-02".into()),
        owner: Some("ana".into()),
        ..Declaration::default()
    };
    let flag = Flag { declared, ..flag("x", Value::On) };
    let day = 86_400_000_000;
    assert_eq!(expired(&flag, Wall(day / 2)), None);
    assert_eq!(
        expired(&flag, Wall(4 * day)).as_deref(),
        Some("warning: flag `x` was to be gone after 1970-01-02; its owner is ana")
    );
}

#[test]
fn an_object_keeps_its_keys() {
    let (flags, all) = two();
    assert_eq!(
        serde_json::to_string(&Object::of(&flags[0], Some(&all[1..2]), 44)).unwrap(),
        concat!(
            r#"{"schema":1,"name":"new-checkout","kind":"percent","value":25.0,"text":"25%","disabled":false,"#,
            r#""held_back":null,"set":true,"generation":43,"actor":"ana","uid":1000,"reason":"","#,
            r#""time":"1970-01-01T00:00:00.000Z","durable":true,"default":"off","safe":"off","migration":null,"#,
            r#""stage":null,"roll":null,"guard":"","owner":null,"description":null,"expires":null,"seen":[{"#,
            r#""service":"worker","running":1,"read":1,"newest":1,"behind_seconds":0.0,"generation":1}],"#,
            r#""board_generation":44}"#
        )
    );
}
