//! one_for_one, one_for_all, rest_for_one: who falls together.

use super::spec::Strategy;

/// The position of the first member that falls when the member at `position` dies; all after it fall too.
/// `None`: nobody but the one that died.
pub(super) fn falls_from(strategy: Strategy, position: usize) -> Option<usize> {
    match strategy {
        Strategy::OneForOne => None,
        Strategy::OneForAll => Some(0),
        Strategy::RestForOne => Some(position),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_falls_together() {
        assert_eq!(falls_from(Strategy::OneForOne, 2), None);
        assert_eq!(falls_from(Strategy::OneForAll, 2), Some(0));
        assert_eq!(falls_from(Strategy::RestForOne, 2), Some(2));
    }
}
