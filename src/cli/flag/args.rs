//! What can be typed after `mainstay flag`.

use super::exchange::{Export, Import};
use super::log::Log;
use super::roll::Roll;
use super::why::Why;
use crate::cli::changing::Changing;
use crate::cli::duration;
use crate::flags::Value;
use clap::{ArgGroup, Args, Subcommand};
use std::time::Duration;

/// `flag …`
#[derive(Clone, Debug, Subcommand)]
pub enum FlagCommand {
    /// Show every flag: what it is, what brings it in, who set it, who has seen that.
    List(List),
    /// Print what a flag is: on, off, a percentage, a number, a text, a stage, or disabled.
    Get(Get),
    /// Set flags to values: on, off, 12.5%, 42, a text; disabled, default.
    Set(Set),
    /// Turn flags on.
    Enable(Names),
    /// Disable flags: they have no opinion any more, and every reader gets its own default.
    Disable(Names),
    /// Turn a flag on for a share of ids.
    Percent(Percent),
    /// Bring a flag in by steps, each of which is watched before the next; or see to such a rollout.
    Roll(Roll),
    /// Whether a flag is on: exit 0 on, 1 off, 2 unknown. For shells; needs no supervisor.
    On(On),
    /// Wait until a flag is something.
    Wait(Wait),
    /// Print changes as they happen, until interrupted.
    ///
    /// Changes that follow each other faster than they can be seen are shown as one; `mainstay events`
    /// has each of them.
    Watch(Watch),
    /// Put flags on their default, as if nobody had ever set them.
    Reset(Reset),
    /// Make every flag, and every migration, what the configuration says.
    Load(Load),
    /// Print who changed a flag or a migration, when and why; needs no supervisor.
    Log(Log),
    /// Explain step by step why a flag is what it is, also for an id; needs no supervisor.
    Why(Why),
    /// Set flags to what a file says, all at once.
    Import(Import),
    /// Print what all flags are set to, as a file that can be imported.
    Export(Export),
    /// Print where the board and the journal are, and how they are.
    Where,
}

/// `flag list`
#[derive(Clone, Debug, Default, Args)]
pub struct List {
    /// Only these; `*` and `?` stand for what they do in a shell.
    #[arg(value_name = "FLAG")]
    pub flags: Vec<String>,
}

/// `flag get`
#[derive(Clone, Debug, Args)]
pub struct Get {
    /// Which.
    #[arg(value_name = "FLAG")]
    pub flag: String,
    /// For this id: prints on, off or disabled.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// `flag set`
#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct Set {
    /// FLAG=VALUE, any number of them, all at once; or FLAG VALUE.
    #[arg(value_name = "FLAG=VALUE", required = true)]
    pub assignments: Vec<String>,
    /// Change it although the guard has banned it.
    #[arg(long)]
    pub override_ban: bool,
    /// Wait until every process that reads it has seen it; else exit 124.
    #[arg(long)]
    pub wait_seen: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// `flag enable`, `flag disable`
#[derive(Clone, Debug, Args)]
pub struct Names {
    /// Which, all at once.
    #[arg(value_name = "FLAG", required = true)]
    pub flags: Vec<String>,
    /// Change it although the guard has banned it.
    #[arg(long)]
    pub override_ban: bool,
    /// Wait until every process that reads it has seen it; else exit 124.
    #[arg(long)]
    pub wait_seen: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// `flag percent`
#[derive(Clone, Debug, Args)]
pub struct Percent {
    /// Which.
    #[arg(value_name = "FLAG")]
    pub flag: String,
    /// 0 to 100, at most three decimals.
    #[arg(value_name = "SHARE", value_parser = |text: &str| Value::of_percent(text))]
    pub share: Value,
    /// Change it although the guard has banned it.
    #[arg(long)]
    pub override_ban: bool,
    /// Wait until every process that reads it has seen it; else exit 124.
    #[arg(long)]
    pub wait_seen: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// `flag on`
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct On {
    /// Which.
    #[arg(value_name = "FLAG")]
    pub flag: String,
    /// For this id; a flag that is on for a share needs one.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// What a flag without opinion means: one that is disabled, on for a share when no id is given, or not
    /// to be read at all; off when not given. An unknown flag stays unknown.
    #[arg(long, value_name = "on|off", value_parser = on_or_off, action = clap::ArgAction::Set)]
    pub default: Option<bool>,
}

/// `flag wait`
#[derive(Clone, Debug, Args)]
pub struct Wait {
    /// Which.
    #[arg(value_name = "FLAG")]
    pub flag: String,
    /// What `flag get` would print: on, off, 12.5%, 42, a text, a stage by number or name, disabled.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub until: String,
    /// How long; 60s when not given.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
}

/// `flag watch`
#[derive(Clone, Debug, Default, Args)]
pub struct Watch {
    /// Only these; `*` and `?` stand for what they do in a shell.
    #[arg(value_name = "FLAG")]
    pub flags: Vec<String>,
}

/// `flag reset`
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["flags", "all"]))]
pub struct Reset {
    /// Which, all at once.
    #[arg(value_name = "FLAG")]
    pub flags: Vec<String>,
    /// Every flag.
    #[arg(short, long)]
    pub all: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// `flag load`
#[derive(Clone, Debug, Default, Args)]
pub struct Load {
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// What `--default` takes.
pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("write on or off".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[derive(clap::Parser)]
    struct Alone {
        #[command(subcommand)]
        _command: FlagCommand,
    }

    #[test]
    fn the_grammar_of_flag_commands_holds() {
        Alone::command().debug_assert();
    }
}
