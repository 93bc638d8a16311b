//! What was asked for and why it is refused, in words. Pure.

use crate::exit_code::ExitCode;
use crate::flags::guard::Mode;
use crate::flags::{Refused, View};
use crate::ipc::control::Refusal;
use crate::ipc::flags::{Edit, Request, Steering, Way};
use crate::time::Wall;

/// So many names are in a verb; of more, only how many there are.
const NAMED: usize = 8;

/// A request that is wrong whatever is true.
pub(super) fn usage(message: String, hint: &str) -> Refusal {
    Refusal { code: ExitCode::Usage.number(), message, hint: hint.to_owned() }
}

/// A flag that nobody declared.
pub fn unknown(flag: &str, nearest: Option<&str>, declared: usize) -> Refusal {
    let hint = match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None if declared == 0 => "the configuration declares no flag; add `[flag.NAME]`".to_owned(),
        None => "`mainstay flag list` shows the flags that the configuration declares".to_owned(),
    };
    Refusal { code: ExitCode::NotFound.number(), message: format!("no flag `{}`", flag.escape_debug()), hint }
}

/// Why a plan was refused.
pub(super) fn refusal(view: &View<'_>, refused: &Refused) -> Refusal {
    if let Refused::NoFlag(name, nearest) = refused {
        return unknown(name, nearest.as_deref(), view.catalog.flags().count());
    }
    let code = match refused {
        _ if refused.is_unknown() => ExitCode::NotFound,
        _ if refused.is_usage() => ExitCode::Usage,
        _ => ExitCode::Failed,
    };
    let mut message = refused.to_string();
    if let Refused::Banned { subject, evidence, .. } = refused {
        let since = view.facts.bans.get(subject).and_then(|ban| moment(ban.time));
        message += &since.map(|since| format!("; by the guard, since {since}")).unwrap_or_default();
        if !evidence.is_empty() {
            let numbers: Vec<_> = evidence.iter().map(|crash| format!("c-{crash}")).collect();
            message += &format!("; evidence: {}", numbers.join(", "));
        }
    }
    Refusal { code: code.number(), message, hint: refused.hint() }
}

fn moment(wall: Wall) -> Option<String> {
    let stamp = jiff::Timestamp::from_microsecond(wall.0).ok()?;
    Some(stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A change as one would type it, for the audit log. Bounded.
pub(super) fn verb(request: &Request) -> String {
    let mut verb = match request {
        Request::Set { edits, .. } if edits.len() > NAMED => format!("flag set {} flags", edits.len()),
        Request::Set { edits, .. } => {
            let disabled = |edit: &Edit| if edit.disabled { " (disabled)" } else { "" };
            let each = edits.iter().map(|edit| format!("{}={}{}", edit.flag, edit.to, disabled(edit)));
            let each: Vec<_> = each.collect();
            format!("flag set {}", each.join(" "))
        }
        Request::Reset { flags, .. } if flags.len() > NAMED => format!("flag reset {} flags", flags.len()),
        Request::Reset { flags, .. } if flags.is_empty() => "flag reset --all".to_owned(),
        Request::Reset { flags, .. } => format!("flag reset {}", flags.join(" ")),
        Request::Load { .. } => "flag load".to_owned(),
        Request::Stage { migration, to, way, force, past_one_way, at_once, .. } => {
            let way = match way {
                Way::Enable => "enable",
                Way::Rollback => "rollback",
            };
            let options =
                [(*force, " --force"), (*past_one_way, " --past-one-way"), (*at_once, " --at-once")];
            let options: String =
                options.iter().filter(|(given, _)| *given).map(|(_, option)| *option).collect();
            format!("stage {way} {migration} {to}{options}")
        }
        Request::Emergency { migration, .. } if migration.is_empty() => "emergency".to_owned(),
        Request::Emergency { migration, .. } => format!("emergency {migration}"),
        Request::Roll { flag, steps, .. } => format!("flag roll {flag} --steps {}", steps.join(",")),
        Request::Steer { roll, to, .. } => {
            let to = match to {
                Steering::End => "--end",
                Steering::Back => "--back",
                Steering::On => "--on",
            };
            format!("flag roll r-{roll} {to}")
        }
        Request::Guard { mode, thaw, .. } => {
            let mode = match mode {
                None => "",
                Some(Mode::On) => " on",
                Some(Mode::Observe) => " observe",
                Some(Mode::Off) => " off",
            };
            let thaw: String = thaw.iter().map(|name| format!(" --thaw {name}")).collect();
            format!("guard{mode}{thaw}")
        }
        Request::List { .. }
        | Request::Migrations { .. }
        | Request::Rolls { .. }
        | Request::Guarding
        | Request::Seen { .. }
        | Request::Where => String::new(),
    };
    if request.how().is_some_and(|how| how.override_ban) {
        verb += " --override-ban";
    }
    bounded(verb)
}

/// What a client wrote is of any length.
fn bounded(mut text: String) -> String {
    const MOST: usize = 1024;
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::flags::How;

    #[test]
    fn what_was_asked_for_can_be_read_as_it_would_be_typed() {
        let how = How { override_ban: true, ..How::default() };
        let stage = Request::Stage {
            how: how.clone(),
            migration: "otp_cleanup".into(),
            to: "2".into(),
            way: Way::Enable,
            force: true,
            past_one_way: false,
            at_once: false,
        };
        assert_eq!(verb(&stage), "stage enable otp_cleanup 2 --force --override-ban");
        let edit = |flag: &str, to: &str| Edit::new(flag, to);
        let set = |edits| verb(&Request::Set { how: How::default(), edits });
        assert_eq!(set(vec![edit("a", "on"), edit("b", "12.5%")]), "flag set a=on b=12.5%");
        assert_eq!(set(vec![edit("a", "on"); 9]), "flag set 9 flags");
        assert!(set(vec![edit("a", &"é".repeat(5000))]).len() < 1100);
    }
}
