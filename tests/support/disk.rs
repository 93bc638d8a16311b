//! A small disk of a test's own: a tmpfs in a mount namespace that ends with the test's thread.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Set in the second life of a test that was run again in a namespace of its own.
const AGAIN: &str = "MAINSTAY_TEST_IN_NAMESPACE";

/// Runs `body` with the path of an empty disk of `bytes` bytes.
///
/// Root mounts it for this thread alone. Everybody else runs the test `name` again as the root of a user
/// namespace; where even that is forbidden the test fails, it is never skipped.
pub fn with_small_disk(name: &str, bytes: u64, body: impl FnOnce(&Path)) {
    if nix::unistd::geteuid().is_root() {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        let place = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        mount(Some("none"), place.path(), Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
        // Dropped before the directory, also when the body panics.
        let _mounted = Mounted(place.path());
        body(place.path());
        return;
    }
    assert!(std::env::var_os(AGAIN).is_none(), "a user namespace does not make us root");
    let again = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(AGAIN, "1")
        .output()
        .expect("unshare(1)");
    let said = [again.stdout, again.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    // A name that fits no test ends well, too.
    let ran = again.status.success() && said[0].contains("1 passed");
    assert!(ran, "{name} in a user namespace: {}\n{}\n{}", again.status, said[0], said[1]);
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH).expect("our own mount");
    }
}

/// Takes every byte that is left, to the last.
pub fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    for piece in [1 << 20, 64 << 10, 4096, 1] {
        let bytes = vec![1; piece];
        while file.write_all(&bytes).is_ok() {}
    }
}
