//! Flags in the environment: what a life is told of those that ask for it (`env = true`), as they are when it begins.

use crate::board::Board;
use crate::config::plan::Plan;
use crate::flags::{Truth, Value};
use std::ffi::CString;
use std::path::Path;

/// The flags that are told, and where they are read.
pub struct FlagVariables {
    /// Opened only when there is something to be read.
    board: Option<Board>,
    /// Each flag, and its variable with the sign of equality.
    told: Vec<(String, String)>,
}

impl FlagVariables {
    /// Those of this plan.
    pub fn new(plan: &Plan, runtime: &Path) -> FlagVariables {
        let flags = plan.flags.iter().filter(|flag| flag.env);
        let told: Vec<_> = flags.map(|flag| (flag.name.clone(), variable(&flag.name))).collect();
        FlagVariables { board: (!told.is_empty()).then(|| Board::open(runtime)), told }
    }

    /// Assignments, as of now, for a life of `instance`. One snapshot: what was published together is told together. A share by
    /// instances is told as what it means for this one. A flag that is disabled, or that nobody knows, is left out, and so
    /// is a value that no variable can hold.
    pub fn assignments(&self, instance: &str) -> Vec<CString> {
        let Some(board) = &self.board else { return Vec::new() };
        let snapshot = board.snapshot();
        let value = |flag: &str| match snapshot.is_on_for_instance(flag, instance) {
            Some(on) => Some((if on { "on" } else { "off" }).to_owned()),
            None => snapshot.read(flag).truth.and_then(in_words),
        };
        let told =
            self.told.iter().filter_map(|(flag, variable)| Some(format!("{variable}{}", value(flag)?)));
        told.filter_map(|assignment| CString::new(assignment).ok()).collect()
    }
}

/// `new-checkout` → `MAINSTAY_FLAG_NEW_CHECKOUT=`
fn variable(flag: &str) -> String {
    let name: String =
        flag.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("MAINSTAY_FLAG_{name}=")
}

/// As a person writes it, but a text as it is.
fn in_words(truth: Truth) -> Option<String> {
    match truth.value {
        _ if truth.disabled => None,
        Value::Text(text) => text.text(),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_written_as_a_shell_can_read_them() {
        assert_eq!(variable("new-checkout.v2"), "MAINSTAY_FLAG_NEW_CHECKOUT_V2=");
        let words = |value: Value| in_words(value.into());
        assert_eq!(words(Value::On).as_deref(), Some("on"));
        assert_eq!(words(Value::Off).as_deref(), Some("off"));
        assert_eq!(words(Value::Share(12_500)).as_deref(), Some("12.5%"));
        assert_eq!(words(Value::Int(-7)).as_deref(), Some("-7"));
        assert_eq!(in_words(Truth { value: Value::On, disabled: true }), None);
    }
}
