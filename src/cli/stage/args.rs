//! What can be typed after `mainstay stage`.

use crate::cli::changing::Changing;
use clap::{Args, Subcommand};

/// `stage …`
#[derive(Clone, Debug, Subcommand)]
pub enum StageCommand {
    /// Show every migration and where it stands.
    List(List),
    /// Show one migration: its stages, their flags, the guard.
    Status(Status),
    /// Turn on the next stage: everything up to it is on then, everything behind it off.
    Enable(Enable),
    /// Go back to an earlier stage; 0 is before the first.
    Rollback(Rollback),
}

/// `stage list`
#[derive(Clone, Debug, Default, Args)]
pub struct List {
    /// Only these.
    #[arg(value_name = "MIGRATION")]
    pub migrations: Vec<String>,
}

/// `stage status`
#[derive(Clone, Debug, Default, Args)]
pub struct Status {
    /// Which; all of them when none is named.
    #[arg(value_name = "MIGRATION")]
    pub migrations: Vec<String>,
}

/// `stage enable`
#[derive(Clone, Debug, Args)]
pub struct Enable {
    /// Which.
    #[arg(value_name = "MIGRATION")]
    pub migration: String,
    /// The number of the stage, or its name.
    #[arg(value_name = "STAGE")]
    pub stage: String,
    /// Go further than to the next stage.
    #[arg(long)]
    pub force: bool,
    /// All at once, although the stage comes in by steps.
    #[arg(long)]
    pub at_once: bool,
    /// Return when it has begun: a stage with steps goes on by itself.
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Enable it although the guard has banned it.
    #[arg(long)]
    pub override_ban: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}

/// `stage rollback`
#[derive(Clone, Debug, Args)]
pub struct Rollback {
    /// Which.
    #[arg(value_name = "MIGRATION")]
    pub migration: String,
    /// The number of the stage, or its name; 0: before the first.
    #[arg(value_name = "STAGE")]
    pub stage: String,
    /// Also back past a stage that is one way.
    #[arg(long)]
    pub past_one_way: bool,
    /// How.
    #[command(flatten)]
    pub changing: Changing,
}
