//! What a read of a flag costs here and elsewhere, all in one process and one run. `cargo run --release`.
//!
//! The OpenFeature SDK is a front: behind it stands the least provider that can be, a map of booleans, so what is measured is
//! the SDK. Unleash's engine evaluates by itself, as its server does and as its clients do; it is given the same flags. Each line is the
//! least of many rounds: what the code takes when nobody disturbs it.

use mainstay::board::{Board, Entry, Writer};
use mainstay::flags::Value;
use open_feature::provider::{FeatureProvider, ProviderMetadata, ResolutionDetails};
use open_feature::{EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, OpenFeature, StructValue};
use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use unleash_yggdrasil::{EngineState, UpdateMessage};

/// 25 bytes.
const ID: &str = "user:0123456789abcdef-123";
const FLAGS: usize = 1000;
const ROUNDS: usize = 200;

/// The least time of a read, in nanoseconds, over rounds of `reads`.
fn measure(name: &str, reads: u32, mut read: impl FnMut() -> bool) {
    let mut least = f64::INFINITY;
    let mut yes = 0u64;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..reads {
            yes += u64::from(black_box(read()));
        }
        least = least.min(start.elapsed().as_nanos() as f64 / f64::from(reads));
    }
    assert!(yes > 0, "{name} was on for somebody");
    println!("{name:<58} {least:>9.2} ns");
}

/// The answer of something that is asynchronous and never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing here waits"),
    }
}

struct Map {
    metadata: ProviderMetadata,
    flags: HashMap<String, bool>,
}

fn no_such<T>() -> EvaluationResult<T> {
    Err(EvaluationError { code: EvaluationErrorCode::FlagNotFound, message: None })
}

#[open_feature::async_trait]
impl FeatureProvider for Map {
    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(&self, key: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<bool>> {
        self.flags.get(key).map_or_else(no_such, |on| Ok(ResolutionDetails::new(*on)))
    }

    async fn resolve_int_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<i64>> {
        no_such()
    }

    async fn resolve_float_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<f64>> {
        no_such()
    }

    async fn resolve_string_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<String>> {
        no_such()
    }

    async fn resolve_struct_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<StructValue>> {
        no_such()
    }
}

fn name(n: usize) -> String {
    format!("flag-number-{n}")
}

fn unleash() -> EngineState {
    let plain = |n: usize| serde_json::json!({ "name": name(n), "enabled": true, "strategies": [{ "name": "default" }] });
    let mut features: Vec<serde_json::Value> = (0..FLAGS).map(plain).collect();
    features.push(serde_json::json!({
        "name": "rollout", "enabled": true,
        "strategies": [{
            "name": "flexibleRollout",
            "parameters": { "rollout": "50", "stickiness": "userId", "groupId": "rollout" },
        }],
    }));
    let features = serde_json::json!({ "version": 2, "features": features });
    let engine = EngineState::default();
    let features = serde_json::from_value(features).expect("as the server says it");
    assert!(engine.take_state(UpdateMessage::FullResponse(features)).is_none(), "no warnings");
    engine
}

fn main() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let mut entries: Vec<Entry> = (0..FLAGS).map(|n| Entry::new(&name(n), Value::On)).collect();
    entries.push(Entry::new("rollout", Value::Share(50_000)));
    let (_writer, _) = Writer::create(folder.path(), &entries, 0).expect("a board");
    let board = Board::open(folder.path());
    let ids: Vec<String> = (0..64).map(|n| format!("{}{n:02}", &ID[..23])).collect();
    let mut at = 0;
    let mut id = || {
        at = (at + 1) % ids.len();
        ids[at].as_str()
    };

    let word = AtomicU64::new(1);
    measure("a bare atomic load", 100_000, || black_box(&word).load(Ordering::Relaxed) == 1);
    let flag = board.flag("flag-number-500");
    measure("mainstay, on or off, by handle", 100_000, || black_box(&flag).is_on());
    measure("mainstay, on or off, by name", 100_000, || board.is_on(black_box("flag-number-500"), false));
    let rollout = board.flag("rollout");
    measure("mainstay, half of all ids, 25 bytes, by handle", 100_000, || black_box(&rollout).is_on_for(id()));

    let flags = (0..FLAGS).map(|n| (name(n), true)).collect();
    let map = Map { metadata: ProviderMetadata::new("a map"), flags };
    let client = ready(async {
        let mut api = OpenFeature::singleton_mut().await;
        api.set_provider(map).await;
        api.create_client()
    });
    let ask = |context| ready(client.get_bool_value(black_box("flag-number-500"), context, None)).unwrap_or(false);
    measure("open-feature 0.3, a map behind it, on or off", 10_000, || ask(None));
    let context = EvaluationContext::default().with_targeting_key(ID);
    measure("open-feature 0.3, with a context of one id", 10_000, || ask(Some(&context)));

    let engine = unleash();
    let mut context = unleash_yggdrasil::Context { user_id: Some(ID.to_owned()), ..Default::default() };
    measure("unleash-yggdrasil 0.21, on or off", 10_000, || {
        engine.is_enabled(black_box("flag-number-500"), black_box(&context), &None)
    });
    measure("unleash-yggdrasil 0.21, half of all ids, 25 bytes", 10_000, || {
        // In place: no client could do it with less.
        if let Some(user) = &mut context.user_id {
            user.clear();
            user.push_str(id());
        }
        engine.is_enabled(black_box("rollout"), black_box(&context), &None)
    });
}
