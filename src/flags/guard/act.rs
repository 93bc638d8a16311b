//! The changes that the guard makes: each one change of the journal, with its reasons.

use super::decision::{Act, Decision, Reason, Signal};
use super::record::{After, Ban, Fact, Mode, Moment, Past, RollState, Subject, Watch, Went};
use crate::flags::draft::Draft;
use crate::flags::{Asking, Declaration, Planned, Truth, Value, View, check_one_way, migration, roll};
use crate::time::Duration;

/// Rollbacks that are older do not count towards a freeze.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So many of them within a day freeze a subject.
const ROLLBACKS_MAX: usize = 3;

/// Takes a change back: bans it, sees to it that what failed is started again, and gives what else bakes for the same service
/// one window.
pub(super) fn roll_back(
    view: &View,
    asking: &Asking,
    subject: &Subject,
    watch: &Watch,
    reason: &Reason,
    others: &[(Subject, Watch)],
    before: u32,
) -> Planned {
    let mut draft = Draft::new(view, asking, "guard rolled back");
    let ban = Ban {
        digest: watch.digest,
        why: reason.why.clone(),
        crashes: reason.evidence.clone(),
        time: asking.now.wall,
    };
    draft.fact(Fact::Ban(subject.clone(), Some(ban)));
    draft.fact(Fact::Past(subject.clone(), Some(one_more(view, subject, asking.now))));
    put_back(&mut draft, subject, watch, reason);
    let ended: Vec<Subject> = draft.planned.facts.iter().filter_map(is_end_of_watch).collect();
    for (other, watch) in others.iter().filter(|(other, _)| !ended.contains(other)) {
        let mut watch = watch.clone();
        match reason.signal {
            // The next one has another three tries.
            Signal::Starts => watch.starts = 0,
            _ => {
                watch.since_ns = asking.now.mono_ns;
                watch.settled_ns = (asking.now.mono() + watch.guard.within).as_nanos();
            }
        }
        draft.fact(Fact::Watch(other.clone(), Some(watch)));
    }
    if !reason.service.is_empty() {
        let after = After {
            at: asking.now,
            went: Went::Back,
            crashes: watch.guard.crashes,
            within: watch.guard.within,
            before,
        };
        draft.fact(Fact::After(reason.service.clone(), Some(after)));
    }
    let mut services: Vec<String> = match watch.guard.services.is_empty() {
        true => watch.readers.clone(),
        false => watch.guard.services.clone(),
    };
    if !reason.service.is_empty() && !services.contains(&reason.service) {
        services.push(reason.service.clone());
    }
    draft.fact(Fact::Fresh(asking.generation, Some(services)));
    draft.planned
}

/// Every flag of the change is again what it was before.
fn put_back(draft: &mut Draft, subject: &Subject, watch: &Watch, reason: &Reason) {
    let view = draft.view;
    match subject {
        Subject::Stage(name, number) if view.catalog.migration(name).is_some() => {
            let Some(declared) = view.catalog.migration(name) else { return };
            let to = watch.stage.unwrap_or(number - 1).min(declared.stages.len() as u32);
            migration::back_to(draft, declared, to, RollState::RolledBack, &reason.why);
        }
        Subject::Stage(..) | Subject::Flag(_) => {
            for restore in &watch.back {
                let kind = view.catalog.flag(&restore.flag);
                let fits = |truth: &Truth| kind.is_none_or(|flag| truth.value.fits(flag.kind));
                let old = match restore.old {
                    Some(old) if fits(&old) => Some(old),
                    Some(_) => kind.map(Declaration::safe_truth),
                    None => None,
                };
                draft.put(&restore.flag, old);
            }
            draft.unwatch(subject);
            draft.end_roll(subject, &reason.why);
        }
    }
    for fact in &mut draft.planned.facts {
        if let Fact::Roll(_, Some(roll)) = fact
            && roll.subject == *subject
        {
            roll.state = RollState::RolledBack;
            roll.evidence.clone_from(&reason.evidence);
        }
    }
}

fn is_end_of_watch(fact: &Fact) -> Option<Subject> {
    match fact {
        Fact::Watch(subject, None) => Some(subject.clone()),
        _ => None,
    }
}

/// What was taken back of it, this time included.
fn one_more(view: &View, subject: &Subject, now: Moment) -> Past {
    let past = view.facts.past.get(subject).map(|past| past.rollbacks.as_slice()).unwrap_or_default();
    let mut rollbacks: Vec<Moment> = past.iter().copied().filter(|then| now.since(*then) < DAY).collect();
    rollbacks.push(now);
    let frozen = rollbacks.len() >= ROLLBACKS_MAX;
    Past { rollbacks, frozen }
}

/// What would have been taken back; it is watched no longer, and a rollout waits for a person.
pub(super) fn observed(
    view: &View,
    asking: &Asking,
    subject: &Subject,
    watch: &Watch,
    reason: &Reason,
) -> Planned {
    let mut draft = Draft::new(view, asking, "guard observed");
    draft.fact(Fact::Watch(subject.clone(), None));
    let roll = watch.roll.and_then(|number| Some((number, view.facts.rolls.get(&number)?)));
    if let Some((number, roll)) = roll.filter(|(_, roll)| roll.state == RollState::Baking) {
        let mut roll = roll.clone();
        (roll.state, roll.outcome) =
            (RollState::Held, format!("would have been rolled back: {}", reason.why));
        roll.evidence.clone_from(&reason.evidence);
        roll.moved = asking.now.wall;
        draft.fact(Fact::Roll(number, Some(roll)));
    }
    draft.planned
}

/// It has baked: what holds now is what is gone back to from now on, and nothing bans it.
pub(super) fn prove(view: &View, asking: &Asking, subject: &Subject, watch: &Watch) -> Decision {
    let mut draft = Draft::new(view, asking, "guard proved");
    let good = match subject {
        Subject::Flag(name) => view.truth(name),
        Subject::Stage(name, _) => Value::Stage(view.stage(name)).into(),
    };
    let name = subject.name();
    if view.facts.good.get(name) != Some(&good) {
        draft.fact(Fact::Good(name.to_owned(), Some(good)));
    }
    if view.facts.bans.get(subject).is_some_and(|ban| ban.digest == watch.digest) {
        draft.fact(Fact::Ban(subject.clone(), None));
    }
    let going = |state| matches!(state, RollState::Baking | RollState::Held);
    let roll = watch.roll.and_then(|number| Some((number, view.facts.rolls.get(&number)?)));
    if let Some((number, roll)) = roll.filter(|(_, roll)| going(roll.state)) {
        draft.planned.verb = "guard took the next step".to_owned();
        roll::advance(&mut draft, number, roll);
        return Decision { act: Act::Step { roll: number }, change: draft.planned };
    }
    draft.unwatch(subject);
    let act = Act::Prove { subject: subject.clone(), generation: watch.generation };
    Decision { act, change: draft.planned }
}

/// Everything guarded that counts for a service goes to its last good value; when it is there already, or was put there a
/// window ago, to its safe value.
pub(super) fn fall_back(
    view: &View,
    asking: &Asking,
    after: &After,
    reason: &Reason,
    has_read: &dyn Fn(&[&str]) -> bool,
) -> Decision {
    let services = Fact::Fresh(asking.generation, Some(vec![reason.service.clone()]));
    if after.went == Went::Back {
        let mut draft = Draft::new(view, asking, "guard went to last good");
        to_last_good(&mut draft, reason, has_read);
        if !draft.planned.sets.is_empty() {
            let after = After { at: asking.now, went: Went::LastGood, ..after.clone() };
            draft.fact(Fact::After(reason.service.clone(), Some(after)));
            draft.fact(services);
            return Decision { act: Act::LastGood(reason.clone()), change: draft.planned };
        }
    }
    let mut draft = Draft::new(view, asking, "guard went to safe values");
    to_safe(&mut draft, reason, has_read);
    let nothing = draft.planned.sets.is_empty();
    draft.fact(Fact::After(reason.service.clone(), None));
    if nothing {
        return Decision { act: Act::Note, change: draft.planned };
    }
    draft.fact(services);
    Decision { act: Act::Safe(reason.clone()), change: draft.planned }
}

fn to_last_good(draft: &mut Draft, reason: &Reason, has_read: &dyn Fn(&[&str]) -> bool) {
    let view = draft.view;
    for declared in view.catalog.migrations() {
        let subject = Subject::Stage(declared.name.clone(), view.stage(&declared.name).max(1));
        if let Some(Truth { value: Value::Stage(good), .. }) = view.facts.good.get(&declared.name).copied()
            && counts(draft, &subject, reason, has_read)
        {
            go_to_stage(draft, declared, good, reason);
        }
    }
    for flag in view.catalog.flags() {
        let subject = Subject::Flag(flag.name.clone());
        if let Some(good) = view.facts.good.get(&flag.name).copied()
            && counts(draft, &subject, reason, has_read)
        {
            let good = if good.value.fits(flag.kind) { good } else { flag.safe_truth() };
            go_to(draft, flag, good, reason);
        }
    }
}

fn to_safe(draft: &mut Draft, reason: &Reason, has_read: &dyn Fn(&[&str]) -> bool) {
    let view = draft.view;
    for declared in view.catalog.migrations() {
        let subject = Subject::Stage(declared.name.clone(), view.stage(&declared.name).max(1));
        if counts(draft, &subject, reason, has_read) {
            go_to_stage(draft, declared, 0, reason);
        }
    }
    for flag in view.catalog.flags() {
        if counts(draft, &Subject::Flag(flag.name.clone()), reason, has_read) {
            go_to(draft, flag, flag.safe_truth(), reason);
        }
    }
}

/// Whether the guard acts on this subject for the service that is sick.
fn counts(draft: &Draft, subject: &Subject, reason: &Reason, has_read: &dyn Fn(&[&str]) -> bool) -> bool {
    let Some(guard) = draft.guarding(subject).filter(|guard| guard.mode == Mode::On) else { return false };
    if draft.view.facts.switch == Mode::Observe {
        return false;
    }
    if !guard.services.is_empty() {
        return guard.services.contains(&reason.service);
    }
    let migration = draft.view.catalog.migration(subject.name());
    let of_stages = migration.into_iter().flat_map(|migration| &migration.stages).flat_map(|stage| &stage.on);
    let flags: Vec<&str> = std::iter::once(subject.name()).chain(of_stages.map(String::as_str)).collect();
    has_read(&flags)
}

fn go_to(draft: &mut Draft, flag: &Declaration, to: Truth, reason: &Reason) {
    // A flag of a stage goes where its migration goes.
    if draft.view.truth(&flag.name) == to || draft.view.catalog.stage_of(&flag.name).is_some() {
        return;
    }
    let subject = Subject::Flag(flag.name.clone());
    draft.put(&flag.name, Some(to));
    draft.unwatch(&subject);
    draft.end_roll(&subject, &reason.why);
}

fn go_to_stage(draft: &mut Draft, declared: &crate::flags::Migration, to: u32, reason: &Reason) {
    let view = draft.view;
    let coming = view.coming_in(&declared.name).is_some();
    let further = view.stage(&declared.name) > to || (coming && view.stage(&declared.name) >= to);
    if further && check_one_way(view, declared, to).is_ok() {
        migration::back_to(draft, declared, to, RollState::RolledBack, &reason.why);
    }
}
