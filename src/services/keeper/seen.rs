//! Who has read which flag, by the black boxes of the lives that run.

use super::ground::Truths;
use super::lives::Lives;
use crate::blackbox::Image;
use crate::board::name_hash;
use crate::ipc::flags::{Reply, Seen};
use crate::time::Instant;
use std::collections::BTreeMap;

/// What of one service and one flag is counted.
#[derive(Default)]
struct Count {
    running: u32,
    read: u32,
    newest: u32,
    behind: Option<Instant>,
    generation: Option<u64>,
}

/// One [`Reply::Seen`] for each of these flags (none named: all) and each service that has read it.
///
/// `word`: the body of a flag's word now, and when it became that, if that was in this life of the keeper.
pub(super) fn seen(
    truths: &Truths<'_>,
    lives: &Lives,
    named: &[String],
    now: Instant,
    word: impl Fn(&str) -> (Option<u32>, Option<Instant>),
) -> Vec<Reply> {
    let images: Vec<(&str, Option<Image>)> =
        lives.running().map(|(child, image)| (child.service.as_str(), image)).collect();
    let catalog = truths.catalog;
    let all: Vec<&str> = match named {
        [] => {
            let flags = catalog.flags().map(|flag| flag.name.as_str());
            flags.chain(catalog.migrations().map(|migration| migration.name.as_str())).collect()
        }
        named => named.iter().map(String::as_str).collect(),
    };
    let mut replies = Vec::new();
    for flag in all {
        let Some(hash) = name_hash(flag) else { continue };
        let (newest, since) = word(flag);
        let mut services: BTreeMap<&str, Count> = BTreeMap::new();
        for (service, image) in &images {
            let count = services.entry(service).or_default();
            count.running += 1;
            let Some(seen) = image.as_ref().and_then(|image| image.seen(hash)) else { continue };
            count.read += 1;
            count.generation =
                Some(count.generation.map_or(seen.generation, |least| least.min(seen.generation)));
            if newest == Some(seen.body) {
                count.newest += 1;
            } else {
                let behind = since.unwrap_or(seen.at);
                count.behind = Some(count.behind.map_or(behind, |least| least.min(behind)));
            }
        }
        let told = services.into_iter().filter(|(_, count)| count.read > 0).map(|(service, count)| {
            Reply::Seen(Seen {
                flag: flag.to_owned(),
                service: service.to_owned(),
                running: count.running,
                read: count.read,
                newest: count.newest,
                behind_ns: count
                    .behind
                    .map_or(0, |at| u64::try_from(now.since(at).as_nanos()).unwrap_or(u64::MAX)),
                generation: count.generation.unwrap_or(0),
            })
        });
        replies.extend(told);
    }
    replies
}
