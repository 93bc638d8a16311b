//! Everything that somebody may do to a board's files. For `tests/torture.rs` and `tests/readers`.

use mainstay::flags::mix;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

/// Chance from a seed.
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound
    }
}

/// What is done to the files; errors are fine: somebody else was faster.
pub type Damage = (&'static str, fn(&Path, &mut Random) -> std::io::Result<()>);

fn board_file(directory: &Path) -> std::io::Result<File> {
    // Not blocking: a fifo of the fault before may stand there.
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    Ok(File::from(rustix::fs::open(directory.join("board"), flags, rustix::fs::Mode::empty())?))
}

/// Each by its name.
pub const DAMAGE: &[Damage] = &[
    ("unlink", |d, _| fs::remove_file(d.join("board"))),
    ("unlink both links", |d, _| {
        fs::remove_file(d.join(".kept/board"))?;
        fs::remove_file(d.join("board"))
    }),
    ("remove everything", |d, _| {
        for entry in fs::read_dir(d)? {
            let path = entry?.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(())
    }),
    ("truncate to nothing", |d, _| board_file(d)?.set_len(0)),
    ("truncate to something", |d, r| {
        let file = board_file(d)?;
        file.set_len(r.below(file.metadata()?.len() + 4096))
    }),
    ("truncate and grow again", |d, _| {
        let file = board_file(d)?;
        let length = file.metadata()?.len();
        file.set_len(0)?;
        file.set_len(length)
    }),
    ("punch a page", |d, r| {
        let file = board_file(d)?;
        let how = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(&file, how, 4096 * r.below(file.metadata()?.len() / 4096 + 1), 4096)?)
    }),
    ("scribble", |d, r| {
        let bytes: Vec<u8> = (0..r.below(2000)).map(|_| r.below(256) as u8).collect();
        let file = board_file(d)?;
        file.write_all_at(&bytes, r.below(file.metadata()?.len() + 1))
    }),
    ("rename garbage over it", |d, r| {
        let bytes: Vec<u8> = (0..r.below(30_000)).map(|_| r.below(256) as u8).collect();
        fs::write(d.join("garbage"), bytes)?;
        fs::rename(d.join("garbage"), d.join("board"))
    }),
    ("directory in its place", |d, _| {
        fs::remove_file(d.join("board"))?;
        fs::create_dir(d.join("board"))
    }),
    ("fifo in its place", |d, _| {
        fs::remove_file(d.join("board"))?;
        Ok(nix::unistd::mkfifo(&d.join("board"), nix::sys::stat::Mode::from_bits_truncate(0o644))?)
    }),
    ("link to itself in its place", |d, _| {
        fs::remove_file(d.join("board"))?;
        symlink("board", d.join("board"))
    }),
    ("move away", |d, _| fs::rename(d.join("board"), d.join("away"))),
    ("take the mode", |d, _| fs::set_permissions(d.join("board"), fs::Permissions::from_mode(0o000))),
    ("file in the place of .kept", |d, _| {
        fs::remove_dir_all(d.join(".kept"))?;
        fs::write(d.join(".kept"), "")
    }),
];
