//! `mainstay telemetry status`: what became of spans and events. Read from the files themselves: needs nobody.

use super::error::Error;
use super::json::SCHEMA;
use super::output::{Output, printable};
use crate::exit_code::ExitCode;
use crate::paths::Project;
use crate::services::telemetry::place::Place;
use crate::services::telemetry::spool;
use crate::telemetry::{Counts, Summary};
use clap::Subcommand;
use serde::Serialize;

/// `telemetry …`
#[derive(Clone, Debug, Subcommand)]
pub enum TelemetryCommand {
    /// Show how many spans and events were taken, written, left out, lost and sent.
    Status,
}

/// Does what was typed, for this project.
///
/// # Errors
/// Writing the answer failed.
pub fn run(
    command: &TelemetryCommand,
    project: &Project,
    output: &mut Output<'_>,
) -> Result<ExitCode, Error> {
    let TelemetryCommand::Status = command;
    let last = spool::last(&project.logs);
    let place = Place::read(&project.state);
    if output.json {
        output.object(&Object::of(last.as_ref(), place.as_ref(), project))?;
    } else if let Some(last) = &last {
        for line in render(last, place.as_ref(), project) {
            output.line(&line)?;
        }
    } else {
        output.say("no span or event was written yet");
    }
    Ok(ExitCode::Done)
}

fn render(last: &Summary, place: Option<&Place>, project: &Project) -> Vec<String> {
    let Counts { taken, written, sampled_out, over_ceiling, lost, torn } = last.totals;
    let share = last.totals.effective() * 100.0;
    let mut lines = vec![
        format!("taken         {taken}"),
        format!("written       {written}  ({share:.1} % of what was taken, in {} batches)", last.number),
        format!("sampled out   {sampled_out}"),
        format!("over ceiling  {over_ceiling}"),
        format!("lost          {lost}  (overwritten in a black box before they were read)"),
    ];
    let rest = [
        ("torn         ", torn, "never finished by who was writing them"),
        ("unseen       ", last.unseen, "lives whose black box was gone before anybody looked"),
        ("refused      ", last.refused, "datagrams that were malformed, or nobody's"),
        ("restarts     ", last.begun.saturating_sub(1), "of telemetry itself"),
    ];
    lines.extend(
        rest.iter().filter(|(_, n, _)| *n > 0).map(|(name, n, what)| format!("{name} {n}  ({what})")),
    );
    if let Some(place) = place {
        let waiting = last.totals.written.saturating_sub(place.written);
        lines.push(format!("exported      {}  ({waiting} wait)", place.exported));
        if place.rejected > 0 {
            lines.push(format!("rejected      {}  (the collector does not want them)", place.rejected));
        }
        if place.dropped > 0 {
            lines.push(format!(
                "dropped       {}  (rotated away before the collector had them)",
                place.dropped
            ));
        }
        if !place.trouble.is_empty() {
            lines.push(format!("trouble       {}", printable(&place.trouble)));
        }
    }
    lines.push(format!("file          {}", printable(&spool::path(&project.logs).display().to_string())));
    lines
}

/// What `--json` says.
#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    file: String,
    batches: u64,
    #[serde(flatten)]
    totals: Counts,
    unseen: u64,
    refused: u64,
    begun: u64,
    /// Absent where no collector was ever configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    export: Option<Export<'a>>,
}

#[derive(Serialize)]
struct Export<'a> {
    exported: u64,
    waiting: u64,
    rejected: u64,
    dropped: u64,
    trouble: &'a str,
}

impl<'a> Object<'a> {
    fn of(last: Option<&Summary>, place: Option<&'a Place>, project: &Project) -> Object<'a> {
        let nothing = Summary::default();
        let last = last.unwrap_or(&nothing);
        Object {
            schema: SCHEMA,
            file: spool::path(&project.logs).display().to_string(),
            batches: last.number,
            totals: last.totals,
            unseen: last.unseen,
            refused: last.refused,
            begun: last.begun,
            export: place.map(|place| Export {
                exported: place.exported,
                waiting: last.totals.written.saturating_sub(place.written),
                rejected: place.rejected,
                dropped: place.dropped,
                trouble: &place.trouble,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project {
            name: "shop".into(),
            config: None,
            runtime: "/r".into(),
            state: "/s".into(),
            logs: "/l".into(),
            chosen_by: crate::paths::ChosenBy::Folder,
            searched: Vec::new(),
        }
    }

    fn summary() -> Summary {
        let totals =
            Counts { taken: 1000, written: 120, sampled_out: 800, over_ceiling: 80, lost: 12, torn: 0 };
        Summary { number: 17, totals, begun: 3, refused: 2, ..Summary::default() }
    }

    #[test]
    fn the_counters_are_told_with_what_they_mean() {
        let place = Place {
            written: 100,
            exported: 90,
            rejected: 10,
            trouble: "no\u{1b}".into(),
            ..Place::default()
        };
        let text = render(&summary(), Some(&place), &project()).join("\n");
        insta::assert_snapshot!(text, @r"
        taken         1000
        written       120  (12.0 % of what was taken, in 17 batches)
        sampled out   800
        over ceiling  80
        lost          12  (overwritten in a black box before they were read)
        refused       2  (datagrams that were malformed, or nobody's)
        restarts      2  (of telemetry itself)
        exported      90  (20 wait)
        rejected      10  (the collector does not want them)
        trouble       no\u{1b}
        file          /l/telemetry.jsonl
        ");
    }

    #[test]
    fn json_has_every_counter() {
        let json = serde_json::to_string(&Object::of(Some(&summary()), None, &project())).unwrap();
        assert_eq!(
            json,
            format!(
                "{{\"schema\":{SCHEMA},\"file\":\"/l/telemetry.jsonl\",\"batches\":17,\"taken\":1000,\"written\":120,\
                 \"sampled_out\":800,\"over_ceiling\":80,\"lost\":12,\"torn\":0,\"unseen\":0,\"refused\":2,\"begun\":3}}"
            )
        );
    }
}
