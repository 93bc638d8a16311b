//! What was declared when a keeper last began: for readers that find neither a board nor a keeper (B7). The journal
//! knows only what somebody set.
//!
//! A copy of the configuration, not truth: written when it differs, without a sync, believed only when its
//! checksum is right.

use crate::ipc::declared::Declarations;
use crate::sys::{directory, disk};
use std::io;
use std::path::{Path, PathBuf};

/// More than any configuration declares.
const READ_MAX: u64 = 256 << 20;

fn path(state_dir: &Path) -> PathBuf {
    super::directory(state_dir).join("declared")
}

/// The declarations and a CRC-32 of them.
fn encode(declarations: &Declarations) -> io::Result<Vec<u8>> {
    let mut bytes =
        declarations.encode().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
    let check = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&check.to_le_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<Declarations> {
    let (body, check) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*check) {
        return None;
    }
    Declarations::decode(body).ok()
}

/// Leaves a copy of what is declared. Nothing is written when it is there already.
///
/// # Errors
/// Those of the disk; the copy of before stays then.
pub fn save(state_dir: &Path, declarations: &Declarations) -> io::Result<()> {
    let path = path(state_dir);
    let bytes = encode(declarations)?;
    if disk::read(&path, READ_MAX).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    directory::replace_file(&path, &bytes, 0o600, false)
}

/// The copy, if there is a sound one.
pub fn recall(state_dir: &Path) -> Option<Declarations> {
    decode(&disk::read(&path(state_dir), READ_MAX).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::guard::Mode;
    use crate::flags::{Declaration, Kind, Migration, Stage};

    fn declarations() -> Declarations {
        let flag =
            |name: &str| Declaration { name: name.into(), salt: name.into(), ..Declaration::default() };
        Declarations {
            flags: vec![flag("a"), Declaration { kind: Kind::Int, allow: vec!["u".into()], ..flag("b") }],
            migrations: vec![Migration {
                name: "m".into(),
                stages: vec![Stage { name: "one".into(), on: vec!["a".into()], ..Stage::default() }],
                ..Migration::default()
            }],
            guard: Mode::Observe,
        }
    }

    #[test]
    fn b7_what_was_declared_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(super::super::directory(folder.path())).unwrap();
        assert_eq!(recall(folder.path()), None);
        save(folder.path(), &declarations()).unwrap();
        assert_eq!(recall(folder.path()), Some(declarations()));
        save(folder.path(), &Declarations::default()).unwrap();
        assert_eq!(recall(folder.path()), Some(Declarations::default()));
    }

    #[test]
    fn a_copy_with_any_bit_flipped_or_cut_short_is_none() {
        let bytes = encode(&declarations()).unwrap();
        assert!(decode(&bytes).is_some());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(decode(&damaged), None, "bit {bit} of byte {at}");
            }
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }
}
