//! What became of records: every one of them is in exactly one of these numbers.

use serde::{Deserialize, Serialize};

/// What became of the records of one service, or of all.
///
/// `taken` = `written` + `sampled_out` + `over_ceiling`, when nothing is held in memory. `lost` and `torn` were never taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Read from a black box.
    pub taken: u64,
    /// In the file.
    pub written: u64,
    /// Left out, because only a share of their name is kept.
    pub sampled_out: u64,
    /// Left out, because more came than are kept in one second.
    pub over_ceiling: u64,
    /// Overwritten in their black box before they were read.
    pub lost: u64,
    /// Never finished by who was writing them, or scribbled over.
    pub torn: u64,
}

impl Counts {
    /// True when nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Counts::default()
    }

    /// The share of those taken that was written; 1 when there were none.
    pub fn effective(&self) -> f64 {
        if self.taken == 0 { 1.0 } else { self.written as f64 / self.taken as f64 }
    }

    /// The names under which they are told, with the numbers.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("taken", self.taken),
            ("written", self.written),
            ("sampled_out", self.sampled_out),
            ("over_ceiling", self.over_ceiling),
            ("lost", self.lost),
            ("torn", self.torn),
        ]
    }

    /// The number that has this name.
    pub fn by_name(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "taken" => &mut self.taken,
            "written" => &mut self.written,
            "sampled_out" => &mut self.sampled_out,
            "over_ceiling" => &mut self.over_ceiling,
            "lost" => &mut self.lost,
            "torn" => &mut self.torn,
            _ => return None,
        })
    }
}

impl core::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        for (name, number) in more.named() {
            if let Some(ours) = self.by_name(name) {
                *ours = ours.saturating_add(number);
            }
        }
    }
}
