//! What readers see of a flag: what is set, unless another flag forbids it, or this host or the instances decide.

use super::{Truth, View};
use std::collections::{BTreeMap, BTreeSet};

/// What of the world effective values depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The instances of each of the user's services: `web` has `web#1`, `web#2`. A single instance is named as its
    /// `MAINSTAY_INSTANCE` is.
    pub instances: BTreeMap<String, BTreeSet<String>>,
    /// This host's id; empty: it has none, and flags by host have no opinion where a share would decide.
    pub host: String,
}

/// What readers see of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its word. A [`Value::Share`](super::Value::Share) here is by id always, but for `on` below.
    pub truth: Truth,
    /// Only where the unit is the instance and a share or a list decides: the instances for which it is on, by name. To be
    /// published as such; `truth` has the share.
    pub on: Option<Vec<String>>,
}

/// What readers see of one flag or migration; `None`: it is not declared.
pub fn effective(view: &View, tree: &Tree, name: &str) -> Option<Effective> {
    let _ = (view, tree, name);
    unimplemented!()
}

/// Of all flags and migrations, by name.
pub fn effective_all(view: &View, tree: &Tree) -> BTreeMap<String, Effective> {
    let _ = (view, tree);
    unimplemented!()
}
