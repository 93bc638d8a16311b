//! Flags out of one place and into another: what holds is carried or named, never dropped, in both formats.

use mainstay::config::exchange::{self, Current, Format, Import, Lost, Setting, To};
use mainstay::config::{Diagnostics, Severity};
use mainstay::flags::{Declaration, Kind, Packed, Prefix, Requires, Truth, Unit, Value};
use proptest::prelude::*;

fn declared(name: &str, kind: Kind) -> Declaration {
    Declaration { name: name.into(), salt: name.into(), kind, ..Declaration::default() }
}

fn text(text: &str) -> Value {
    Value::Text(Packed::new(text).unwrap())
}

fn set(name: &str, value: Value) -> Setting {
    Setting { name: name.into(), to: To::Flag(value.into()) }
}

fn disabled(name: &str, value: Value) -> Setting {
    Setting { name: name.into(), to: To::Flag(Truth { value, disabled: true }) }
}

fn stands(name: &str, stage: &str) -> Setting {
    Setting { name: name.into(), to: To::Stage(stage.into()) }
}

/// Reads as strictly as can be.
fn read(format: Format, text: &str) -> Result<Vec<Setting>, Diagnostics> {
    exchange::import(format, text.as_bytes(), &Import::new("flags")).map(|imported| {
        assert_eq!(imported.warnings.list, [], "strict means no warning");
        imported.settings
    })
}

/// What is wrong, as it is shown.
fn refused(format: Format, text: &str) -> String {
    read(format, text).expect_err("it has a mistake").to_string()
}

/// The settings that are left, and each warning.
fn lenient(format: Format, text: &str) -> (Vec<Setting>, Vec<String>) {
    let how = Import { lenient: true, ..Import::new("flags") };
    let imported =
        exchange::import(format, text.as_bytes(), &how).unwrap_or_else(|found| panic!("{text}\n{found}"));
    let warnings = imported.warnings.list.iter().map(|one| {
        assert_eq!(one.severity, Severity::Warning);
        one.message.clone()
    });
    (imported.settings.clone(), warnings.collect())
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("fixtures/exchange");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

// mainstay's own.

#[test]
fn our_own_file_says_what_holds_and_reads_itself_back() {
    let flags = [
        (declared("new-checkout", Kind::Percent), Value::Share(12_500).into()),
        (declared("search.v2", Kind::Percent), Value::On.into()),
        (declared("old", Kind::Bool), Truth { value: Value::Off, disabled: true }),
        (declared("batch", Kind::Int), Value::Int(-43).into()),
        (declared("level", Kind::Text), text("a \"quote\"\n\u{1b}é").into()),
    ];
    let mut all: Vec<Current<'_>> = flags.iter().map(|(flag, truth)| Current::Flag(flag, *truth)).collect();
    all.push(Current::Migration { name: "otp_cleanup", stage: 2, stage_name: "telemetry" });
    all.push(Current::Migration { name: "fresh", stage: 0, stage_name: "-" });
    let exported = exchange::export(Format::Own, &all, false).unwrap();
    assert_eq!(exported.lost, []);
    snapshot("own", &exported.text);
    let expected = [
        set("new-checkout", Value::Share(12_500)),
        set("search.v2", Value::On),
        disabled("old", Value::Off),
        set("batch", Value::Int(-43)),
        set("level", text("a \"quote\"\n\u{1b}é")),
        stands("otp_cleanup", "telemetry"),
        stands("fresh", "0"),
    ];
    assert_eq!(read(Format::Own, &exported.text).unwrap(), expected);
}

#[test]
fn mistakes_in_our_own_file_are_all_told_with_their_places() {
    let text = "colour = 1\n[flag.a]\n[flag.b]\nvalue = true\npercent = 5\n[flag.c]\npercent = 101\n[flag.d]\nvalue = 1.5\n\
        [flag.e]\nvalue = true\nowner = 'ana'\nwho = 'ana'\n[flag.'x y']\nvalue = true\n[flag]\nf = true\n[migration.m]\n\
        [migration.n]\nat = true\n[migration.o]\nat = -1\n[migration.p]\nat = 1\n[[migration.p.stage]]\nname = 's'\n";
    snapshot("own_mistakes", &refused(Format::Own, text));
    snapshot("own_syntax", &refused(Format::Own, "[flag.a]\nvalue = \n[flag.b]\npercent = 200\n"));
    let found =
        exchange::import(Format::Own, b"[flag.a]\nvalue = '\xff'\n", &Import::new("flags")).unwrap_err();
    assert!(found.to_string().contains("is not UTF-8"), "{found}");
    assert_eq!(read(Format::Own, "").unwrap(), []);
}

#[test]
fn a_configuration_is_read_for_its_values_by_who_is_lenient() {
    let text = "[flag.a]\ndefault = false\npercent = 5\nowner = 'ana'\n[flag.b]\ndefault = true\n[migration.m]\nat = 1\nguard = false\n";
    let (settings, warnings) = lenient(Format::Own, text);
    assert_eq!(settings, [set("a", Value::Share(5_000)), stands("m", "1")]);
    let declares = |key: &str, owner: &str| {
        format!("`{key}` says how {owner} is declared; only what it is set to is imported")
    };
    let expected = [
        declares("default", "flag `a`"),
        declares("owner", "flag `a`"),
        "flag `b` does not say what it is set to".to_owned(),
        declares("default", "flag `b`"),
        declares("guard", "migration `m`"),
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn what_is_not_there_or_is_of_another_kind_cannot_be_set() {
    let flags =
        [declared("checkout", Kind::Percent), declared("plain", Kind::Bool), declared("n", Kind::Int)];
    let migrations = ["cleanup".to_owned()];
    let how = Import { flags: Some(&flags), migrations: Some(&migrations), ..Import::new("flags") };
    let text = "[flag.chekout]\nvalue = true\n[flag.plain]\npercent = 5\n[flag.n]\nvalue = true\n[flag.checkout]\nvalue = 'on'\n\
        [migration.claenup]\nat = 1\n[migration.cleanup]\nat = 1\n";
    let found = exchange::import(Format::Own, text.as_bytes(), &how).unwrap_err();
    snapshot("own_unknown", &found.to_string());
    let lenient = Import { lenient: true, ..how };
    let imported = exchange::import(Format::Own, text.as_bytes(), &lenient).unwrap();
    assert_eq!((imported.settings, imported.warnings.warnings()), (vec![stands("cleanup", "1")], 5));
    let json = r#"{"flags": {"chekout": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"},
        "n": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}}}"#;
    let found = exchange::import(Format::Flagd, json.as_bytes(), &how).unwrap_err().to_string();
    assert!(
        found.contains("did you mean `checkout`?") && found.contains("flag `n` is of kind \"int\" here"),
        "{found}"
    );
}

// flagd.

#[test]
fn flagds_file_has_on_off_and_shares() {
    let flags = [
        (declared("new-checkout", Kind::Percent), Value::Share(12_500).into()),
        (declared("search.v2", Kind::Bool), Value::On.into()),
        (declared("old", Kind::Percent), Truth { value: Value::Share(1), disabled: true }),
        (declared("none", Kind::Percent), Value::Off.into()),
    ];
    let all: Vec<Current<'_>> = flags.iter().map(|(flag, truth)| Current::Flag(flag, *truth)).collect();
    let exported = exchange::export(Format::Flagd, &all, false).unwrap();
    snapshot("flagd", &exported.text);
    let expected = [
        set("new-checkout", Value::Share(12_500)),
        set("search.v2", Value::On),
        disabled("old", Value::Share(1)),
        set("none", Value::Off),
    ];
    assert_eq!(read(Format::Flagd, &exported.text).unwrap(), expected);
}

#[test]
fn what_flagd_has_no_word_for_is_named_one_by_one() {
    let share: Truth = Value::Share(5).into();
    let special = Declaration {
        salt: "s".into(),
        unit: Unit::Host,
        allow: vec!["a".into()],
        deny: vec!["b".into()],
        requires: Some(Requires { flag: "other".into(), on: false }),
        ..declared("special", Kind::Percent)
    };
    let (number, word) = (declared("number", Kind::Int), declared("word", Kind::Text));
    let plain = Declaration { salt: "s".into(), ..declared("plain", Kind::Percent) };
    let all = [
        Current::Flag(&special, share),
        Current::Flag(&number, Value::Int(1).into()),
        Current::Flag(&word, text("x").into()),
        Current::Migration { name: "m", stage: 1, stage_name: "one" },
        // The salt of a flag that has no share decides nothing.
        Current::Flag(&plain, Value::On.into()),
    ];
    let lost = exchange::export(Format::Flagd, &all, false).unwrap_err();
    let lines: Vec<String> = lost.iter().map(Lost::to_string).collect();
    assert_eq!(
        lines,
        [
            "`special`: its salt is `s`; flagd counts by the flag's name, so other ids would be on",
            "`special`: its share is counted by hosts; flagd counts targeting keys",
            "`special`: its list `allow` is not carried: it would be a targeting rule",
            "`special`: its list `deny` is not carried: it would be a targeting rule",
            "`special`: it requires not `other`; flags of flagd do not require others",
            "`number`: it is of kind \"int\"; only flags that are on or off are exchanged with flagd",
            "`word`: it is of kind \"text\"; only flags that are on or off are exchanged with flagd",
            "`m`: flagd has no migrations",
        ]
    );
    let exported = exchange::export(Format::Flagd, &all, true).unwrap();
    assert_eq!(exported.lost, lost);
    assert_eq!(
        read(Format::Flagd, &exported.text).unwrap(),
        [set("special", share.value), set("plain", Value::On)]
    );
}

/// A flag of flagd with this rule.
fn ruled(rule: &str) -> String {
    format!(
        r#"{{"flags": {{"f": {{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "off",
        "targeting": {rule}}}}}}}"#
    )
}

fn share_of(rule: &str) -> Value {
    match &read(Format::Flagd, &ruled(rule)).unwrap_or_else(|found| panic!("{rule}\n{found}"))[..] {
        [Setting { to: To::Flag(Truth { value, disabled: false }), .. }] => *value,
        other => panic!("{rule}: {other:?}"),
    }
}

#[test]
fn weights_are_scaled_when_that_is_exact() {
    let share = |rule: &str| match share_of(rule) {
        Value::Share(share) => share,
        other => panic!("{rule}: {other}"),
    };
    assert_eq!(share(r#"{"fractional": [["on", 12500], ["off", 87500]]}"#), 12_500);
    assert_eq!(share(r#"{"fractional": [["on", 1], ["off", 3]]}"#), 25_000);
    assert_eq!(share(r#"{"fractional": [["on"], ["off"]]}"#), 50_000);
    assert_eq!(share(r#"{"fractional": [["on", 10], ["on", 15.0], ["off", 75]]}"#), 25_000);
    assert_eq!(share(r#"{"fractional": [["off", 0], ["on", 1], ["off", 9]]}"#), 10_000);
    assert_eq!(share(r#"{"fractional": [["on", 7], ["off", 1.93e2]]}"#), 3_500);
    assert_eq!(share_of(r#"{"fractional": [["off", 9], ["on", 0]]}"#), Value::Off);
    assert_eq!(share_of("{}"), Value::Off);
    assert_eq!(share_of("null"), Value::Off);
}

#[test]
fn everything_else_of_flagd_is_refused_with_its_place() {
    let cases = [
        ("a third is no whole number of 1/100,000", ruled(r#"{"fractional": [["on", 1], ["off", 2]]}"#)),
        ("off first means other ids", ruled(r#"{"fractional": [["off", 90000], ["on", 10000]]}"#)),
        (
            "one text of both keys hashes otherwise",
            ruled(
                "{\"fractional\": [{ \"cat\": [{ \"var\": \"$flagd.flagKey\" }, {\"var\": \"targetingKey\"}] },\n [\"on\", 1], [\"off\", 1]]}",
            ),
        ),
        ("another property", ruled(r#"{"fractional": [{"var": "email"}, ["on", 1], ["off", 1]]}"#)),
        ("a rule", ruled(r#"{"if": [{"in": ["@x", {"var": "email"}]}, "on", "off"]}"#)),
        ("two rules", ruled(r#"{"fractional": [["on"], ["off"]], "if": []}"#)),
        ("a weight from a rule", ruled(r#"{"fractional": [["on", {"var": "w"}], ["off", 1]]}"#)),
        ("a variant from a rule", ruled(r#"{"fractional": [[{"var": "v"}, 1], ["off", 1]]}"#)),
        ("an unknown variant", ruled(r#"{"fractional": [["no", 1], ["off", 1]]}"#)),
        ("a weight below nothing", ruled(r#"{"fractional": [["on", -1], ["off", 1]]}"#)),
        ("half a weight", ruled(r#"{"fractional": [["on", 0.5], ["off", 1]]}"#)),
        ("weights that are too large", ruled(r#"{"fractional": [["on", 2147483647], ["off", 1]]}"#)),
        ("no weight at all", ruled(r#"{"fractional": [["on", 0], ["off", 0]]}"#)),
        ("no arms", ruled(r#"{"fractional": []}"#)),
        ("no array", ruled(r#"{"fractional": "on"}"#)),
        ("too long an arm", ruled(r#"{"fractional": [["on", 1, 2]]}"#)),
        ("everybody with a key", ruled(r#"{"fractional": [["on", 1]]}"#)),
        (
            "on without a key",
            ruled(r#"{"fractional": [["on"], ["off"]]}"#).replace(r#""defaultVariant": "off""#, r#""defaultVariant": "on""#),
        ),
        (
            "variants of another type",
            r#"{"flags": {"f": {"state": "ENABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "a"}}}"#.into(),
        ),
        (
            "metadata",
            r#"{"flags": {"f": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "metadata": {"v": 1}}},
            "metadata": {"v": 1}, "$evaluators": {}, "colour": 1}"#
                .into(),
        ),
        ("no default of its variants", ruled("{}").replace(r#""defaultVariant": "off""#, r#""defaultVariant": "x""#)),
        ("no state", r#"{"flags": {"f": {"variants": {"on": true}}}}"#.into()),
        ("another state", r#"{"flags": {"f": {"state": "on", "variants": {"on": true}}}}"#.into()),
        ("no variants", r#"{"flags": {"f": {"state": "ENABLED"}}}"#.into()),
        ("empty variants", r#"{"flags": {"f": {"state": "ENABLED", "variants": {}}}}"#.into()),
        ("twice", r#"{"flags": {"f": {"state": "ENABLED", "variants": {"on": true}}, "f": {}}}"#.into()),
        ("a name", r#"{"flags": {"a b": {"state": "ENABLED", "variants": {"on": true}}}}"#.into()),
        ("no object", r#"{"flags": {"f": 1}}"#.into()),
        ("no flags", r#"{"flag": {}}"#.into()),
        ("flags of another type", r#"{"flags": 1}"#.into()),
        ("an array without names", r#"{"flags": [{"state": "ENABLED"}]}"#.into()),
        ("no JSON", "{\n  \"flags\": {,}\n}".into()),
        ("nothing", String::new()),
        ("an array", "[]".into()),
        ("two texts", "{} {}".into()),
    ];
    let all: String =
        cases.iter().map(|(what, text)| format!("## {what}\n{}\n", refused(Format::Flagd, text))).collect();
    snapshot("flagd_mistakes", &all);
}

#[test]
fn who_is_lenient_gets_what_can_be_had_and_a_warning_for_the_rest() {
    let one = |rule: &str| {
        let (settings, warnings) = lenient(Format::Flagd, &ruled(rule));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        match &settings[..] {
            [Setting { to: To::Flag(truth), .. }] => (Some(truth.value), warnings[0].clone()),
            [] => (None, warnings[0].clone()),
            other => panic!("{other:?}"),
        }
    };
    let (value, why) = one(r#"{"fractional": [["on", 1], ["off", 2]]}"#);
    assert_eq!(value, Some(Value::Share(33_333)));
    assert!(why.ends_with("the nearest below is 33.333%: that one is taken"), "{why}");
    let (value, why) = one(r#"{"fractional": [["off", 3], ["on", 1]]}"#);
    assert!(value == Some(Value::Share(25_000)) && why.ends_with("of other ids, is taken"), "{why}");
    let (value, _) = one(r#"{"fractional": [{"var": "email"}, ["on", 1], ["off", 3]]}"#);
    assert_eq!(value, Some(Value::Share(25_000)));
    let (value, why) = one(r#"{"if": [true, "on", "off"]}"#);
    assert_eq!(value, Some(Value::Off));
    assert_eq!(why, "the targeting rule of flag `f` is not carried: its `defaultVariant` is taken");
    assert_eq!(one(r#"{"fractional": [["on", {"var": "w"}], ["off", 1]]}"#).0, None);
    let json = r#"{"flags": {"a": {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a"},
        "b": {"state": "ENABLED", "variants": {"yes": true, "no": false}, "defaultVariant": "yes", "metadata": {}}}}"#;
    let (settings, warnings) = lenient(Format::Flagd, json);
    assert_eq!(settings, [set("b", Value::On)]);
    assert_eq!(
        warnings,
        [
            "variant `a` of flag `a` is neither true nor false",
            "the metadata of flag `b` are not carried: the rest is taken"
        ]
    );
    // What is no file of flagd at all is an error for everybody.
    let how = Import { lenient: true, ..Import::new("flags") };
    assert!(exchange::import(Format::Flagd, b"{\"flags\": {\"f\": 1}}", &how).is_err());
}

#[test]
fn disabled_flags_and_those_without_a_default_have_no_opinion_on_both_sides() {
    let flag = |state: &str, rest: &str| {
        let json = format!(
            r#"{{"flags": {{"f": {{"state": "{state}", "variants": {{"on": true, "off": false}}{rest}}}}}}}"#
        );
        read(Format::Flagd, &json).unwrap().remove(0)
    };
    assert_eq!(flag("DISABLED", r#", "defaultVariant": "on""#), disabled("f", Value::On));
    assert_eq!(flag("ENABLED", r#", "defaultVariant": null"#), disabled("f", Value::Off));
    assert_eq!(flag("ENABLED", ""), disabled("f", Value::Off));
    let rule = r#", "targeting": {"fractional": [["on"], ["off"]]}"#;
    assert_eq!(flag("ENABLED", rule), set("f", Value::Share(50_000)));
    assert_eq!(flag("DISABLED", rule), disabled("f", Value::Share(50_000)));
}

#[test]
fn a_share_that_is_counted_otherwise_here_is_refused() {
    let json = ruled(r#"{"fractional": [["on", 1], ["off", 1]]}"#);
    let check = |flag: Declaration, part: &str| {
        let flags = [flag];
        let how = Import { flags: Some(&flags), ..Import::new("flags") };
        let found = exchange::import(Format::Flagd, json.as_bytes(), &how).unwrap_err().to_string();
        assert!(found.contains(part), "{found}");
        let how = Import { lenient: true, ..how };
        let imported = exchange::import(Format::Flagd, json.as_bytes(), &how).unwrap();
        assert_eq!((imported.settings.len(), imported.warnings.warnings()), (1, 1));
    };
    check(Declaration { salt: "s".into(), ..declared("f", Kind::Percent) }, "has the salt `s` here");
    check(Declaration { unit: Unit::Instance, ..declared("f", Kind::Percent) }, "is not counted by ids here");
}

#[test]
fn flags_may_stand_in_an_array_and_behind_a_byte_order_mark() {
    let json = "\u{feff}{\"flags\": [{\"key\": \"a\", \"state\": \"ENABLED\", \"variants\": {\"on\": true}, \"defaultVariant\": \"on\"}]}";
    assert_eq!(read(Format::Flagd, json).unwrap(), [set("a", Value::On)]);
}

/// What flagd's evaluator does with a pair of keys in the third version of `fractional`: the first arm whose end is above
/// `hash × sum >> 32`. The hash is that of the canonical CBOR of `[flag key, targeting key]`.
fn flagd_says(flag: &str, id: &str, arms: &[(bool, u32)]) -> bool {
    let text = |text: &str| {
        let mut bytes = match text.len() {
            n @ 0..24 => vec![0x60 + n as u8],
            n @ 24..256 => vec![0x78, n as u8],
            n => vec![0x79, (n >> 8) as u8, n as u8],
        };
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    let bytes = [vec![0x82], text(flag), text(id)].concat();
    let hash = murmur3::murmur3_32(&mut bytes.as_slice(), 0).unwrap();
    let sum: u64 = arms.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let bucket = (u64::from(hash) * sum) >> 32;
    let mut end = 0;
    for (on, weight) in arms {
        end += u64::from(*weight);
        if bucket < end {
            return *on;
        }
    }
    unreachable!("the last arm ends at the sum");
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Off),
        Just(Value::On),
        (1..100_000u32).prop_map(Value::Share),
        any::<i64>().prop_map(Value::Int),
        "[^\0]{0,32}".prop_map(|said| text(&said)),
    ]
}

fn kind_of(value: Value) -> Kind {
    match value {
        Value::Int(_) => Kind::Int,
        Value::Text(_) => Kind::Text,
        _ => Kind::Percent,
    }
}

proptest! {
    #[test]
    fn what_goes_out_comes_in_again_in_our_own_format(
        all in proptest::collection::btree_map("[A-Za-z0-9._-]{1,128}", (values(), any::<bool>()), 0..20),
        migrations in proptest::collection::btree_map("[A-Za-z0-9._-]{1,128}", (0u32..5, "[a-z.-]{2,9}"), 0..5),
    ) {
        let flags: Vec<(Declaration, Truth)> = all
            .iter()
            .map(|(name, (value, disabled))| (declared(name, kind_of(*value)), Truth { value: *value, disabled: *disabled }))
            .collect();
        let mut current: Vec<Current<'_>> = flags.iter().map(|(flag, truth)| Current::Flag(flag, *truth)).collect();
        let mut expected: Vec<Setting> = flags
            .iter()
            .map(|(flag, truth)| Setting { name: flag.name.clone(), to: To::Flag(*truth) })
            .collect();
        for (name, (stage, stage_name)) in &migrations {
            let stage_name = if *stage == 0 { "-" } else { stage_name };
            current.push(Current::Migration { name, stage: *stage, stage_name });
            expected.push(stands(name, if *stage == 0 { "0" } else { stage_name }));
        }
        let exported = exchange::export(Format::Own, &current, false).unwrap();
        prop_assert_eq!(read(Format::Own, &exported.text).unwrap(), expected);
    }

    #[test]
    fn what_goes_out_comes_in_again_in_flagds_format(
        all in proptest::collection::btree_map(
            "[A-Za-z0-9._-]{1,128}",
            (prop_oneof![Just(0), Just(100_000), 0..=100_000u32], any::<bool>()),
            0..20,
        ),
    ) {
        let flags: Vec<(Declaration, Truth)> = all
            .iter()
            .map(|(name, (share, disabled))| {
                (declared(name, Kind::Percent), Truth { value: Value::of_share(*share), disabled: *disabled })
            })
            .collect();
        let current: Vec<Current<'_>> = flags.iter().map(|(flag, truth)| Current::Flag(flag, *truth)).collect();
        let exported = exchange::export(Format::Flagd, &current, false).unwrap();
        let found = read(Format::Flagd, &exported.text).unwrap();
        let expected: Vec<Setting> = flags
            .iter()
            .map(|(flag, truth)| Setting { name: flag.name.clone(), to: To::Flag(*truth) })
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// The point of it all: whoever is on in flagd is on here, whatever the weights.
    #[test]
    fn an_imported_share_is_on_for_the_same_ids(
        name in "[A-Za-z0-9._-]{1,40}",
        ids in proptest::collection::vec(".{1,60}", 1..50),
        scale in proptest::sample::select(vec![1u32, 2, 4, 5, 8, 10, 20, 100, 1_000, 12_500, 100_000, 200_000, 1_000_000]),
        on in 0.0..1.0f64,
    ) {
        let on = (f64::from(scale) * on) as u32;
        let arms = [(true, on), (false, scale - on)];
        let rule = format!(r#"{{"fractional": [["on", {on}], ["off", {}]]}}"#, scale - on);
        let exact = u64::from(on) * 100_000 % u64::from(scale) == 0;
        let found = read(Format::Flagd, &ruled(&rule).replace("\"f\"", &format!("{name:?}")));
        prop_assert_eq!(found.is_ok(), exact);
        if let Ok(settings) = found {
            let To::Flag(truth) = &settings[0].to else { panic!("it is a flag") };
            let prefix = Prefix::new(&name).unwrap();
            for id in ids.iter().filter(|id| id.len() <= 1024) {
                prop_assert_eq!(truth.is_on_for(prefix, id), Some(flagd_says(&name, id, &arms)), "{} {}", id, rule);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        for format in [Format::Own, Format::Flagd] {
            let _ = exchange::import(format, &bytes, &Import::new("flags"));
            let _ = exchange::import(format, text.as_bytes(), &Import { lenient: true, ..Import::new("flags") });
            let _ = exchange::import(format, ruled(&text).as_bytes(), &Import::new("flags")).map_err(|f| f.to_string());
        }
    }
}
