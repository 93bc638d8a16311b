//! A change that was made, for people and for programs. Pure.

use super::flag::seen::Count;
use super::json::SCHEMA;
use super::output::{Style, printable};
use crate::ipc::flags::Changed;
use serde::Serialize;

/// What is said when a change would not survive the keeper.
pub const VOLATILE: &str =
    "warning: this is in memory only, and lost if the keeper dies before the disk can be written";

/// Between before and after.
pub fn arrow(style: Style) -> &'static str {
    if style.glyphs { "→" } else { "->" }
}

/// `new-checkout off → on  generation 43`
pub fn line(changed: &Changed, dry_run: bool, style: Style) -> String {
    let Changed { generation, unchanged, durable, .. } = changed;
    let what = what(changed, style);
    if *unchanged {
        return format!("{what}  generation {generation}");
    }
    let number = if dry_run { "dry run".to_owned() } else { format!("generation {generation}") };
    let memory = if *durable || dry_run { "" } else { ", in memory only" };
    format!("{what}  {number}{memory}")
}

/// `new-checkout off → on`, `new-checkout is on already`
pub fn what(changed: &Changed, style: Style) -> String {
    let Changed { flag, old, new, unchanged, .. } = changed;
    let (flag, old, new) = (printable(flag), printable(old), printable(new));
    if *unchanged {
        return format!("{flag} is {new} already");
    }
    // Somebody set it to what held anyway, or it is unset and the same holds.
    if old == new {
        return format!("{flag} stays {new}");
    }
    format!("{flag} {old} {} {new}", arrow(style))
}

/// The change in JSON.
#[derive(Serialize)]
pub struct Object<'a> {
    schema: u32,
    flag: &'a str,
    old: &'a str,
    new: &'a str,
    generation: u64,
    unchanged: bool,
    durable: bool,
    dry_run: bool,
    /// null: nobody waited for it.
    seen: Option<Processes>,
}

#[derive(Serialize)]
struct Processes {
    by: u32,
    of: u32,
}

impl<'a> Object<'a> {
    /// This change. `seen`: by how many processes, when that was waited for.
    pub fn of(changed: &'a Changed, dry_run: bool, seen: Option<Count>) -> Object<'a> {
        let Changed { flag, old, new, generation, unchanged, durable, .. } = changed;
        let (generation, unchanged, durable) = (*generation, *unchanged, *durable);
        let seen = seen.map(|count| Processes { by: count.newest, of: count.read });
        Object { schema: SCHEMA, flag, old, new, generation, unchanged, durable, dry_run, seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line_with_its_number() {
        let changed = Changed {
            flag: "x".into(),
            old: "off".into(),
            new: "12.5%".into(),
            generation: 43,
            unchanged: false,
            repeated: false,
            durable: true,
        };
        let terminal = Style { glyphs: true, ..Style::PLAIN };
        assert_eq!(line(&changed, false, terminal), "x off → 12.5%  generation 43");
        assert_eq!(line(&changed, true, Style::PLAIN), "x off -> 12.5%  dry run");
        let volatile = Changed { durable: false, ..changed.clone() };
        assert_eq!(line(&volatile, false, terminal), "x off → 12.5%  generation 43, in memory only");
        let same = Changed { unchanged: true, ..changed };
        assert_eq!(line(&same, false, terminal), "x is 12.5% already  generation 43");
        let unset = Changed { old: "12.5%".into(), unchanged: false, ..same };
        assert_eq!(line(&unset, false, terminal), "x stays 12.5%  generation 43");
    }
}
