//! The black box of this process: found once, by the number in its environment.

use super::layout::{BOARD, CELLS, HEADER};
use super::{Noter, VARIABLE};
use crate::sys::post::Post;
use crate::sys::shared::{self, Once, Words};
use std::env;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;

static OWN: Once<[AtomicU64; CELLS]> = Once::new();
static BELL: Once<Post> = Once::new();

/// What notes for this process, and for those that it forks. `None` outside of a tree, and when the number in [`VARIABLE`]
/// is of no black box of this version: nothing is written to whatever else may be open there.
///
/// Looked for at the first call only (three system calls); afterwards one load. Never waits for another thread.
#[inline]
pub fn seen() -> Option<Noter<'static>> {
    own().map(Noter::of)
}

/// Where the keeper says which board is in place; `None` as for [`seen`].
pub fn board() -> Option<&'static AtomicU64> {
    own().map(|cells| &cells[BOARD])
}

#[inline]
fn own() -> Option<Words<CELLS>> {
    OWN.get(|| {
        let number = env::var(VARIABLE).ok()?.parse().ok()?;
        shared::map_inherited(number, &HEADER).ok()
    })
}

/// Wakes whoever drains the box, when it sleeps: one datagram to the socket `telemetry` of the runtime directory, for all
/// that is written until it sleeps again. Never waits; a failure loses nothing, because the box is there to be looked at.
#[inline]
pub(crate) fn ring(noter: Noter<'_>) {
    if noter.must_ring() {
        send(noter);
    }
}

#[cold]
fn send(noter: Noter<'_>) {
    let sent = BELL.get(|| Some(Box::leak(Box::new(bell()?)))).map(Post::send);
    // It has much to read, and may not read this: who writes next tries again.
    if let Some(Err(error)) = sent
        && error.kind() == io::ErrorKind::WouldBlock
    {
        noter.unring();
    }
}

/// What is sent, in the shape of `sd_notify`: whose box it is.
fn bell() -> Option<Post> {
    let directory = env::var_os("MAINSTAY_RUNTIME_DIR")?;
    let (instance, life) = (env::var("MAINSTAY_INSTANCE").ok()?, env::var("MAINSTAY_INCARNATION").ok()?);
    let message = format!("X_MAINSTAY_BELL=1\nMAINSTAY_INSTANCE={instance}\nMAINSTAY_INCARNATION={life}");
    Post::new(&Path::new(&directory).join("telemetry"), message.as_bytes()).ok()
}
