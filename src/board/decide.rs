//! What a proven word means for somebody: disabled, then off, then the lists, then the share.

use super::record::Listed;
use crate::flags::{Held, Prefix, position_of};

/// Something that is needed does not prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// An id and its hash under a flag's salt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed<'a> {
    pub(super) id: &'a str,
    pub(super) hash: u32,
}

/// What it means for `id`, or without one for everybody, or for the reader's `own` instance. `Ok(None)`: no opinion.
///
/// `listed` says in which list an id is, `instance` whether an instance is on; both say `None` when that is lost.
#[inline]
pub(super) fn decide(
    (held, disabled): (Held, bool),
    prefix: Prefix,
    id: Option<&str>,
    own: Option<&str>,
    listed: impl FnOnce(&Hashed<'_>) -> Option<Listed>,
    instance: impl FnOnce(&Hashed<'_>) -> Option<bool>,
) -> Result<Option<bool>, Lost> {
    if disabled {
        return Ok(None);
    }
    // An id of no or too many bytes is in no list and has no position.
    let hashed = |id| prefix.hash(id).map(|hash| Hashed { id, hash });
    let (lists, share) = match held {
        Held::Off => return Ok(Some(false)),
        Held::On { lists: false } => return Ok(Some(true)),
        Held::On { lists: true } => (true, None),
        Held::Share { share, lists } => (lists, Some(share)),
        Held::Instances(_) => {
            let Some(name) = id.or(own).and_then(hashed) else { return Ok(None) };
            return instance(&name).map(Some).ok_or(Lost);
        }
        Held::Stage(_) | Held::Int(_) | Held::Text(_) => return Ok(None),
    };
    let Some(id) = id.and_then(hashed) else {
        return Ok(if share.is_none() { Some(true) } else { None });
    };
    if lists {
        match listed(&id).ok_or(Lost)? {
            Listed::Denied => return Ok(Some(false)),
            Listed::Allowed => return Ok(Some(true)),
            Listed::No => {}
        }
    }
    Ok(Some(share.is_none_or(|share| position_of(id.hash) < share)))
}
