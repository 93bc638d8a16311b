//! Flags, migrations, rollouts and the guard as clients are told of them. Pure.

use super::super::ground::{Batch, Ground};
use super::{nobody, words};
use crate::flags::guard::{Roll as Rollout, RollState, Standing, Subject, word};
use crate::flags::{Declaration, Migration as Declared, Refused, Tree, Unit, Value, View, effective};
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Banned, Flag, Migration, Reply, Request, Roll, Stage, Watched};
use crate::time::{Duration, Wall};

/// So many bytes of names go into one reply: far below a frame.
const BYTES: usize = 32 << 10;

/// The answer to a question.
pub(super) fn answer(
    ground: &Ground<'_>,
    batch: &Batch,
    view: &View<'_>,
    request: &Request,
) -> Result<Vec<Reply>, Refusal> {
    let no = |refused: Refused| words::refusal(view, &refused);
    match request {
        Request::List { flags } => {
            let of = |flag: &Declaration| Reply::Flag(Box::new(self::flag(ground, batch, view, flag)));
            if flags.is_empty() {
                return Ok(view.catalog.flags().map(of).collect());
            }
            let one =
                |name: &String| view.catalog.flag(name).map(of).ok_or_else(|| no(nobody(view.catalog, name)));
            flags.iter().map(one).collect()
        }
        Request::Migrations { migrations } => {
            let of = |declared: &Declared| migration(ground, view, declared);
            if migrations.is_empty() {
                return Ok(view.catalog.migrations().flat_map(of).collect());
            }
            let one = |name: &String| {
                let near = || view.catalog.nearest(name).map(str::to_owned);
                let declared = view.catalog.migration(name);
                declared.map(of).ok_or_else(|| no(Refused::NoMigration(name.clone(), near())))
            };
            Ok(migrations.iter().map(one).collect::<Result<Vec<_>, _>>()?.concat())
        }
        Request::Rolls { rolls } if rolls.is_empty() => {
            Ok(view.facts.rolls.keys().filter_map(|number| roll(ground, view, *number)).collect())
        }
        Request::Rolls { rolls } => {
            let one = |number: &u64| roll(ground, view, *number).ok_or_else(|| no(Refused::NoRoll(*number)));
            rolls.iter().map(one).collect()
        }
        Request::Guarding => Ok(guarding(ground, view)),
        Request::Seen { flags } => {
            let known =
                |name: &&String| view.catalog.flag(name).is_some() || view.catalog.migration(name).is_some();
            match flags.iter().find(|name| !known(name)) {
                Some(name) => Err(no(nobody(view.catalog, name))),
                None => Ok(Vec::new()),
            }
        }
        _ => Ok(Vec::new()),
    }
}

/// What a flag or a migration is set to, as people write it; of what is not declared: nothing.
pub(in super::super) fn value_now(view: &View<'_>, name: &str) -> String {
    match view.catalog.migration(name) {
        Some(_) => Value::Stage(view.stage(name)).to_string(),
        None => view.truth(name).to_string(),
    }
}

/// What holds of it when nobody has set it.
pub(super) fn unset(view: &View<'_>, name: &str) -> String {
    match view.catalog.migration(name) {
        Some(declared) => Value::Stage(declared.configured).to_string(),
        None => view.unset(name).to_string(),
    }
}

fn flag(ground: &Ground<'_>, batch: &Batch, view: &View<'_>, declared: &Declaration) -> Flag {
    let name = &declared.name;
    let state = ground.truths.state;
    let (set, _, generation) = batch.last(state, name);
    let waiting = batch.changes.iter().find(|change| change.generation == generation);
    let (uid, actor, reason, time) = match (waiting, state.get(name)) {
        (Some(change), _) => (change.uid, change.actor.clone(), change.reason.clone(), change.time),
        (None, Some(entry)) => (entry.uid, entry.actor.clone(), entry.reason.clone(), entry.time),
        (None, None) => (0, String::new(), String::new(), Wall(0)),
    };
    let truth = view.truth(name);
    let stage = view.catalog.stage_of(name).map(|(migration, stage)| (migration.name.clone(), stage));
    let own = view.facts.rolling(&Subject::Flag(name.clone()));
    let of_stage = || view.facts.rolling(&Subject::Stage(stage.as_ref()?.0.clone(), stage.as_ref()?.1));
    let seen = effective(view, ground.truths.tree, name);
    Flag {
        declared: shortened(declared),
        truth,
        effective: seen.as_ref().map_or(truth, |seen| seen.truth),
        instances: seen.and_then(|seen| seen.on).map_or_else(Vec::new, fitting),
        set: set.is_some(),
        generation,
        uid,
        actor,
        reason,
        time,
        durable: true,
        roll: own.or_else(of_stage).map_or(0, |(number, _)| number),
        guard: word(view, ground.now, name).to_owned(),
        stage,
    }
}

/// Lists of ids may be as long as a frame: then their ends are not told.
fn shortened(declared: &Declaration) -> Declaration {
    let mut left = BYTES / 2;
    let mut fits = |id: &String| {
        let room = left >= id.len();
        left = left.saturating_sub(id.len());
        room
    };
    let mut declared = declared.clone();
    declared.deny.retain(&mut fits);
    declared.allow.retain(&mut fits);
    declared
}

/// So many of them as fit a frame.
fn fitting(mut names: Vec<String>) -> Vec<String> {
    let mut left = BYTES / 2;
    names.retain(|name| {
        left = left.saturating_sub(name.len() + 8);
        left > 0
    });
    names
}

/// A migration, and its stages. A stage with more flags than fit a frame is told in parts.
fn migration(ground: &Ground<'_>, view: &View<'_>, declared: &Declared) -> Vec<Reply> {
    let name = &declared.name;
    let stage = view.stage(name);
    let stood = view.facts.stood.get(name);
    let head = Migration {
        name: name.clone(),
        stage,
        stage_name: declared.stage_name(stage).to_owned(),
        stages: u32::try_from(declared.stages.len()).unwrap_or(u32::MAX),
        roll: view.coming_in(name).map_or(0, |(_, roll)| roll),
        generation: stood.map_or(0, |stood| stood.generation),
        uid: stood.map_or(0, |stood| stood.uid),
        actor: stood.map_or_else(String::new, |stood| stood.actor.clone()),
        reason: stood.map_or_else(String::new, |stood| stood.reason.clone()),
        time: stood.map_or(Wall(0), |stood| stood.time),
        guard: word(view, ground.now, name).to_owned(),
        owner: declared.owner.clone().unwrap_or_default(),
        description: declared.description.clone().unwrap_or_default(),
    };
    let mut replies = vec![Reply::Migration(head)];
    for (number, of) in (1..).zip(&declared.stages) {
        let subject = Subject::Stage(name.clone(), number);
        let digest = view.catalog.digest(&subject);
        let ban = view.facts.bans.get(&subject).filter(|ban| Some(ban.digest) == digest);
        let told = Stage {
            number,
            name: of.name.clone(),
            on: number <= stage,
            flags: Vec::new(),
            steps: of.steps.iter().map(|share| Value::of_share(*share).to_string()).collect(),
            one_way: of.one_way,
            banned: ban.map_or_else(String::new, |ban| ban.why.clone()),
        };
        for flags in parts(&of.on, view, ground.truths.tree) {
            replies.push(Reply::Stage(Stage { flags, ..told.clone() }));
        }
    }
    replies
}

/// Flags and what readers see of them, in parts that fit; at least one part.
fn parts(flags: &[String], view: &View<'_>, tree: &Tree) -> Vec<Vec<(String, String)>> {
    let (mut parts, mut bytes) = (vec![Vec::new()], 0);
    for flag in flags {
        let seen = effective(view, tree, flag).map_or_else(String::new, |seen| seen.truth.to_string());
        bytes += flag.len() + seen.len() + 16;
        if bytes > BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        if let Some(part) = parts.last_mut() {
            part.push((flag.clone(), seen));
        }
    }
    parts
}

/// A rollout; `None`: there is none with this number, or it is not kept any more.
pub(super) fn roll(ground: &Ground<'_>, view: &View<'_>, number: u64) -> Option<Reply> {
    let rollout = view.facts.rolls.get(&number)?;
    let subject = &rollout.subject;
    let going = matches!(rollout.state, RollState::Baking | RollState::Held);
    let standing = standing(ground, view, subject).filter(|_| going);
    let (instances, instances_on) = instances(view, ground.truths.tree, subject);
    Some(Reply::Roll(Roll {
        number,
        name: subject.name().to_owned(),
        stage: subject.stage(),
        steps: rollout.steps.iter().map(|share| Value::of_share(*share).to_string()).collect(),
        step: rollout.step,
        state: rollout.state,
        baked_ns: standing.as_ref().map_or(0, |standing| nanos(standing.baked)),
        bake_ns: nanos(standing.as_ref().map_or(rollout.guard.bake, |standing| standing.bake)),
        instances,
        instances_on,
        crashes: standing.as_ref().map_or(0, |standing| standing.crashes),
        outcome: match standing {
            Some(standing) if rollout.outcome.is_empty() => standing.held,
            _ => rollout.outcome.clone(),
        },
        evidence: rollout.evidence.clone(),
        guard: how_watched(rollout),
        generation: rollout.generation,
        took_ns: ground.took.get(&number).copied().unwrap_or(0),
    }))
}

fn standing(ground: &Ground<'_>, view: &View<'_>, subject: &Subject) -> Option<Standing> {
    ground.guard.standing(ground.now, view).into_iter().find(|standing| standing.subject == *subject)
}

/// Of how many instances how many have it on; of a flag that is not counted by them: none of none.
fn instances(view: &View<'_>, tree: &Tree, subject: &Subject) -> (u32, u32) {
    let Subject::Flag(name) = subject else { return (0, 0) };
    let Some(flag) = view.catalog.flag(name).filter(|flag| flag.unit == Unit::Instance) else {
        return (0, 0);
    };
    let all = crate::flags::instances(tree, flag).len();
    let on = match effective(view, tree, name) {
        Some(seen) => match seen.on {
            Some(on) => on.len(),
            None if seen.truth.is_on() == Some(true) => all,
            None => 0,
        },
        None => 0,
    };
    (u32::try_from(all).unwrap_or(u32::MAX), u32::try_from(on).unwrap_or(u32::MAX))
}

/// `3 crashes in 60s, ready, health`
fn how_watched(rollout: &Rollout) -> String {
    let guard = &rollout.guard;
    let mut words = vec![format!("{} crashes in {}s", guard.crashes, guard.within.as_secs())];
    words.extend(guard.ready.then(|| "ready".to_owned()));
    words.extend((guard.health > 0).then(|| "health".to_owned()));
    words.extend(guard.errors.map(|_| "errors".to_owned()));
    words.extend(guard.probe.as_ref().map(|_| "probe".to_owned()));
    words.join(", ")
}

fn guarding(ground: &Ground<'_>, view: &View<'_>) -> Vec<Reply> {
    let facts = view.facts;
    let mut replies = vec![Reply::GuardIs { mode: facts.switch }];
    let standings = ground.guard.standing(ground.now, view);
    for (subject, watch) in &facts.watches {
        let standing = standings.iter().find(|standing| standing.subject == *subject);
        replies.push(Reply::Watched(Watched {
            name: subject.name().to_owned(),
            stage: subject.stage(),
            generation: watch.generation,
            baked_ns: standing.map_or(0, |standing| nanos(standing.baked)),
            bake_ns: nanos(standing.map_or(watch.guard.bake, |standing| standing.bake)),
            crashes: standing.map_or(0, |standing| standing.crashes),
            held: standing.map_or_else(|| watch.held.clone(), |standing| standing.held.clone()),
            observe: standing.is_some_and(|standing| standing.observe),
            actor: watch.actor.clone(),
            time: watch.at.wall,
        }));
    }
    let frozen = |subject: &&Subject| facts.past.get(subject).is_some_and(|past| past.frozen);
    let only_frozen = facts.past.keys().filter(|subject| !facts.bans.contains_key(subject)).filter(frozen);
    for subject in facts.bans.keys().chain(only_frozen) {
        let (ban, past) = (facts.bans.get(subject), facts.past.get(subject));
        let newest = past.and_then(|past| past.rollbacks.last()).map(|moment| moment.wall);
        replies.push(Reply::Banned(Banned {
            name: subject.name().to_owned(),
            stage: subject.stage(),
            why: ban.map_or_else(String::new, |ban| ban.why.clone()),
            evidence: ban.map_or_else(Vec::new, |ban| ban.crashes.clone()),
            time: ban.map(|ban| ban.time).or(newest).unwrap_or_default(),
            rollbacks: past.map_or(0, |past| u32::try_from(past.rollbacks.len()).unwrap_or(u32::MAX)),
            frozen: past.is_some_and(|past| past.frozen),
        }));
    }
    replies
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
