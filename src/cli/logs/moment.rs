//! `--since` and `--until`: times as people type them. Pure.

use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::narrate::Look;
use crate::services::logger::line;
use crate::time::Wall;
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};

/// The stamp of the moment that `text` names: `10m` (ago), `12:30`, `2026-11-23 12:30`, or with a zone.
///
/// # Errors
/// It names none.
pub(super) fn stamp(text: &str, now: Wall, look: &Look) -> Result<String, Error> {
    let at = parse(text.trim(), now, look).ok_or_else(|| Error::Failed {
        message: format!("`{}` is no time", text.escape_debug()),
        hint: "write 10m (ago), 12:30, 2026-11-23T12:30 or 2026-11-23T12:30:00Z".to_owned(),
    })?;
    Ok(line::stamp(Wall(at.as_microsecond())))
}

fn parse(text: &str, now: Wall, look: &Look) -> Option<Timestamp> {
    let now = Timestamp::from_microsecond(now.0).ok()?;
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let zone = look.zone();
    let there = |at: DateTime| zone.to_ambiguous_timestamp(at).compatible().ok();
    if let Ok(time) = text.parse::<Time>()
        && text.contains(':')
        && !text.contains('-')
    {
        return there(DateTime::from_parts(now.to_zoned_datetime(zone.clone()).date(), time));
    }
    if let Ok(ago) = duration::parse(text) {
        let ago = i64::try_from(ago.as_micros()).ok()?;
        return Timestamp::from_microsecond(now.as_microsecond().checked_sub(ago)?).ok();
    }
    there(text.parse::<DateTime>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_type_them() {
        let now = Wall(1_795_435_327_412_999); // 2026-11-23T12:02:07.412999Z
        for (text, expected) in [
            ("10m", "2026-11-23T11:52:07.412Z"),
            ("11:30", "2026-11-23T11:30:00.000Z"),
            ("11:30:05", "2026-11-23T11:30:05.000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20 11:30", "2026-11-20T11:30:00.000Z"),
            ("2026-11-20T11:30:00+01:00", "2026-11-20T10:30:00.000Z"),
        ] {
            assert_eq!(stamp(text, now, &Look::plain()).unwrap(), expected, "{text}");
        }
        for text in ["", "soon", "25:00", "10"] {
            assert!(stamp(text, now, &Look::plain()).is_err(), "{text}");
        }
    }
}
