//! `[telemetry]` of the configuration, with every default.

use crate::time::Duration;
use core::net::SocketAddr;

/// A share of 1, in units of 0.001 %, as everywhere in the configuration.
pub const WHOLE: u32 = 100_000;

/// What the configuration says about telemetry.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Settings {
    /// False: nobody listens, and nothing is written.
    pub enabled: bool,
    /// Where batches are sent; `None`: they are only written to the file.
    pub endpoint: Option<Endpoint>,
    /// Which share of everything is kept, in units of 0.001 %; at most [`WHOLE`].
    pub sample: u32,
    /// Shares by name, in the order of the file: the first pattern (`*`, `?`) that matches decides, and else `sample`.
    pub names: Vec<(String, u32)>,
    /// So many records a second are kept, over all services; at least 1.
    pub per_second: u32,
    /// Spans that failed are kept whatever their share is; the ceiling holds for them, too.
    pub keep_failed: bool,
    /// A batch is written when it holds so many records; at least 1.
    pub batch_size: u32,
    /// A batch is written when its first record is so old; longer than nothing.
    pub batch_every: Duration,
    /// The file is rotated when it would become larger than this many bytes.
    pub max_size: u64,
    /// How many files are kept, the current one included; at least 1.
    pub files: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            enabled: true,
            endpoint: None,
            sample: WHOLE,
            names: Vec::new(),
            per_second: 1000,
            keep_failed: true,
            batch_size: 512,
            batch_every: Duration::from_secs(1),
            max_size: 10 << 20,
            files: 5,
        }
    }
}

/// A collector that takes OTLP over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    /// The `Host` header: the host and the port as they were written.
    pub host: String,
    /// What comes before `/v1/traces` and `/v1/logs`: empty, or begins with a slash and does not end in one.
    pub base: String,
}

impl core::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "http://{}{}", self.host, self.base)
    }
}
