//! How a process can end: the translation table of the rules, and what each process says when it is asked to stop.

use crate::model::Reason;
use mainstay::supervisor::Cause;

/// A code that is declared as clean.
pub(crate) const CLEAN: u8 = 3;
/// What asks everybody to stop.
pub(crate) const STOP: i32 = 2;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    CodeZero,
    CleanCode,
    OwnStopSignal,
    AbnormalCode,
    AbnormalSignal,
    Killed,
    Unobserved,
}

pub(crate) const DEATHS: [Death; 7] = [
    Death::CodeZero,
    Death::CleanCode,
    Death::OwnStopSignal,
    Death::AbnormalCode,
    Death::AbnormalSignal,
    Death::Killed,
    Death::Unobserved,
];

impl Death {
    /// The translation table of the rules.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Death::CodeZero | Death::CleanCode | Death::OwnStopSignal => Reason::Clean,
            Death::AbnormalCode | Death::AbnormalSignal | Death::Killed | Death::Unobserved => {
                Reason::Abnormal
            }
        }
    }

    pub(crate) fn cause(self) -> Cause {
        match self {
            Death::CodeZero => Cause::Code(0),
            Death::CleanCode => Cause::Code(CLEAN),
            Death::OwnStopSignal => Cause::Signal(STOP, false),
            Death::AbnormalCode => Cause::Code(1),
            Death::AbnormalSignal => Cause::Signal(11, true),
            Death::Killed => Cause::Signal(9, false),
            Death::Unobserved => Cause::Unknown,
        }
    }
}

/// What a process says when it is asked to stop: its own affair (G05, K04, D17), so each life says something else.
pub(crate) fn last_words(life: u64) -> Death {
    [Death::CodeZero, Death::OwnStopSignal, Death::CleanCode, Death::AbnormalCode][(life % 4) as usize]
}
