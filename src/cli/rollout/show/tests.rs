//! Lines of a rollout, as they stand and as they are written over.

use super::*;

fn roll(step: u32, state: RollState) -> Roll {
    Roll {
        number: 3,
        name: "new-checkout".into(),
        stage: 0,
        steps: ["0.01%", "12.5%", "on"].map(String::from).into(),
        step,
        state,
        baked_ns: 1_500_000_000,
        bake_ns: 3_600_000_000_000,
        instances: 0,
        instances_on: 0,
        crashes: 1,
        outcome: String::new(),
        evidence: Vec::new(),
        guard: String::new(),
        generation: 44,
        took_ns: 0,
    }
}

fn drawn(states: &[Roll], style: Style) -> String {
    let mut data = Vec::new();
    let mut output = Output::new(style, false, &mut data, std::io::sink());
    let mut picture = Picture::new(&Follow::default(), style);
    for state in states {
        picture.draw(state, &mut output).unwrap();
    }
    picture.leave(&mut output).unwrap();
    drop(output);
    String::from_utf8(data).unwrap()
}

#[test]
fn times_are_as_wide_as_the_rollout_is_long() {
    for (nanos, text) in [
        (0, "0.0s"),
        (9_960_000_000, "9.9s"),
        (41_000_000_000, "0m41s"),
        (120_000_000_000, "2m00s"),
        (3_720_000_000_000, "1h02m"),
    ] {
        assert_eq!(clock_words(nanos), text);
    }
}

#[test]
fn the_shares_of_a_rollout_stand_below_each_other() {
    let text = drawn(
        &[roll(0, RollState::Baking), roll(1, RollState::Baking), roll(2, RollState::Done)],
        Style::PLAIN,
    );
    assert_eq!(
        text,
        "\
r-3  new-checkout -> on
  0.01%  [#...................]  baked 1h00m    1 new crash
  12.5%  [###.................]  baked 1h00m    1 new crash
   100%  [####################]  baked 1h00m    1 new crash
"
    );
}

#[test]
fn a_line_that_is_written_over_leaves_nothing_of_itself() {
    let terminal = Style { terminal: true, ..Style::PLAIN };
    let long = Roll { outcome: "waits for web to be up long enough".into(), ..roll(0, RollState::Baking) };
    let text = drawn(&[long, roll(0, RollState::Baking)], terminal);
    let lines: Vec<&str> = text.lines().nth(1).unwrap().split('\r').collect();
    assert_eq!(lines.len(), 3, "{text:?}");
    let (first, second) = (length(lines[1]), length(lines[2]));
    assert!(first <= 79 && second == first, "{text:?}");
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn what_is_missing_is_not_made_up() {
    let back = |evidence: &[u64], took_ns| Roll {
        evidence: evidence.to_vec(),
        took_ns,
        outcome: String::new(),
        ..roll(1, RollState::RolledBack)
    };
    let picture = Picture::new(&Follow::default(), Style::PLAIN);
    assert_eq!(
        picture.last_words(&back(&[], 0), None),
        ["!! rolled back", "  as before again, generation 44."]
    );
    let seen = Some(Count { read: 5, newest: 4 });
    assert_eq!(
        picture.last_words(&back(&[13], 99_000_000), seen),
        [
            "!! rolled back in 99 ms",
            "  4 of 5 read as before again so far, generation 44. Evidence: mainstay crash show c-13"
        ]
    );
}
