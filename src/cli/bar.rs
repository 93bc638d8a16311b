//! A share as a bar. Pure.

use crate::flags::WHOLE;

/// `[#####...............]` for 25 % at this many places; none at 0 places. What is not nothing shows, and what is not
/// all does not look like it.
pub fn bar(share: u32, places: usize) -> String {
    if places == 0 {
        return String::new();
    }
    let share = share.min(WHOLE) as usize;
    let full = (share * places + WHOLE as usize / 2) / WHOLE as usize;
    let full = match share {
        0 => 0,
        share if share == WHOLE as usize => places,
        _ => full.clamp(1, places.saturating_sub(1).max(1)),
    };
    format!("[{}{}]", "#".repeat(full), ".".repeat(places - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_looks_like_all_or_nothing_when_it_is_not() {
        for (share, text) in [
            (0, "[....................]"),
            (1, "[#...................]"),
            (10_000, "[##..................]"),
            (25_000, "[#####...............]"),
            (99_999, "[###################.]"),
            (100_000, "[####################]"),
        ] {
            assert_eq!(bar(share, 20), text);
        }
        assert_eq!(bar(50_000, 10), "[#####.....]");
        assert_eq!(bar(50_000, 0), "");
        assert_eq!(bar(50_000, 1), "[#]");
    }
}
