//! Which flags were declared when a keeper last began, and their defaults: for readers that find neither a
//! board nor a keeper (B7). The journal knows only what somebody set.
//!
//! A copy of the configuration, not truth: written when it differs, without a sync, believed only when its
//! checksum is right.

use crate::flags::Declaration;
use crate::ipc::codec;
use crate::sys::{directory, disk};
use std::io;
use std::path::{Path, PathBuf};

/// More than any configuration declares.
const READ_MAX: u64 = 64 << 20;

fn path(state_dir: &Path) -> PathBuf {
    super::directory(state_dir).join("declared")
}

/// Each declaration as its length in four bytes and its codec bytes; this before a CRC-32 of all.
fn encode<'a>(declarations: impl Iterator<Item = &'a Declaration>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for declaration in declarations {
        let one = codec::encode(declaration).expect("a checked declaration is shorter than a frame");
        bytes.extend_from_slice(&u32::try_from(one.len()).expect("shorter than a frame").to_le_bytes());
        bytes.extend_from_slice(&one);
    }
    let check = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<Declaration>> {
    let (mut rest, check) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*check) {
        return None;
    }
    let mut all = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        all.push(codec::decode(behind.get(..length)?).ok()?);
        rest = &behind[length..];
    }
    Some(all)
}

/// Leaves a copy of what is declared. Nothing is written when it is there already.
///
/// # Errors
/// Those of the disk; the copy of before stays then.
pub fn save<'a>(state_dir: &Path, declarations: impl Iterator<Item = &'a Declaration>) -> io::Result<()> {
    let path = path(state_dir);
    let bytes = encode(declarations);
    if disk::read(&path, READ_MAX).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    directory::replace_file(&path, &bytes, 0o600, false)
}

/// The declaration of a flag in the copy, if there is a sound one.
pub fn recall(state_dir: &Path, name: &str) -> Option<Declaration> {
    let bytes = disk::read(&path(state_dir), READ_MAX).ok()?;
    decode(&bytes)?.into_iter().find(|declaration| declaration.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Value;

    fn declaration(name: &str) -> Declaration {
        Declaration {
            name: name.into(),
            default: Value::On,
            safe: Value::Off,
            salt: name.into(),
            ..Declaration::default()
        }
    }

    #[test]
    fn b7_what_was_declared_is_recalled_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(super::super::directory(folder.path())).unwrap();
        let all = [declaration("a"), declaration("b")];
        assert_eq!(recall(folder.path(), "a"), None);
        save(folder.path(), all.iter()).unwrap();
        assert_eq!(recall(folder.path(), "b"), Some(declaration("b")));
        assert_eq!(recall(folder.path(), "c"), None);
    }

    #[test]
    fn a_copy_with_any_bit_flipped_or_cut_short_is_none() {
        let bytes = encode([declaration("a"), declaration("b")].iter());
        assert_eq!(decode(&bytes).unwrap().len(), 2);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(decode(&damaged), None, "bit {bit} of byte {at}");
            }
            assert!(decode(&bytes[..at]).is_none_or(|all| all.is_empty()), "cut at {at}");
        }
    }
}
