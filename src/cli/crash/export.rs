//! `crash export`: one crash for another program.

use super::{find, html, otlp};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::crash::Record;
use clap::Args;

/// `crash export`
#[derive(Clone, Debug, Default, Args)]
pub struct Export {
    /// Its id: c-7. Or a service: its newest crash.
    #[arg(value_name = "ID")]
    pub id: String,
    /// As a log record of OpenTelemetry, in JSON: one request to /v1/logs.
    #[arg(long, conflicts_with = "html")]
    pub otlp: bool,
    /// As a page that needs nothing else.
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
}

/// Does it: the whole record as JSON, unless something else is asked for.
pub(super) fn run(arguments: &Export, records: &[Record], output: &mut Output<'_>) -> Result<(), Error> {
    let record = find(&arguments.id, records)?;
    if arguments.html {
        output.data(&html::page(record, records))?;
    } else if arguments.otlp {
        output.object(&otlp::request(record))?;
    } else {
        output.object(record)?;
    }
    output.flush()
}
