//! `[telemetry]` as a builder. Pure.

use super::keys::Keys;
use crate::time::Duration;

/// What becomes of the spans and events that services write. What is not said is as mainstay says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry(pub(super) Keys);

impl Telemetry {
    /// Everything is kept, up to 1000 a second, in the file only.
    pub fn new() -> Telemetry {
        Telemetry::default()
    }

    /// `false`: nobody takes spans and events out of the black boxes; crash reports have them all the same.
    pub fn enabled(mut self, enabled: bool) -> Telemetry {
        self.0.set("enabled", enabled);
        self
    }

    /// A collector that takes OTLP over plain HTTP: `http://127.0.0.1:4318`.
    pub fn endpoint(mut self, address: impl Into<String>) -> Telemetry {
        self.0.set("endpoint", address.into());
        self
    }

    /// How many percent are kept, 0 to 100.
    pub fn sample(mut self, percent: f64) -> Telemetry {
        self.0.set("sample", percent);
        self
    }

    /// The same for names that match a pattern (`*`, `?`); the first that matches decides.
    pub fn name(mut self, pattern: &str, percent: f64) -> Telemetry {
        self.0.set_in("names", pattern, percent);
        self
    }

    /// Whether spans that failed are kept whatever their share is; they are unless said.
    pub fn keep_failed(mut self, keep: bool) -> Telemetry {
        self.0.set("keep_failed", keep);
        self
    }

    /// So many a second are kept over all services, 1 to 1,000,000.
    pub fn per_second(mut self, records: u32) -> Telemetry {
        self.0.set("per_second", records);
        self
    }

    /// A batch is written when it has so many records, 1 to 10,000, or when its first is so old, at most an hour.
    pub fn batch(mut self, size: u32, every: Duration) -> Telemetry {
        self.0.set_in("batch", "size", size);
        self.0.set_in("batch", "every", every);
        self
    }

    /// The file is rotated before it has more than so many bytes, at least 4096; so many are kept, 1 to 1000.
    pub fn file(mut self, max_size: u64, files: u32) -> Telemetry {
        self.0.set_in("file", "max_size", format!("{max_size}B"));
        self.0.set_in("file", "files", files);
        self
    }
}
