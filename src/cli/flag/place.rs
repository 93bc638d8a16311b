//! `flag where`: where the board and the journal are, and how they are.

use super::board;
use super::known::PATIENCE;
use crate::cli::error::Error;
use crate::cli::json::SCHEMA;
use crate::cli::output::Output;
use crate::exit_code::ExitCode;
use crate::ipc::flags::{Reply, Request, Where};
use crate::paths::Project;
use crate::services::keeper::client;
use crate::store;
use serde::Serialize;

/// `flag where`
pub(super) fn place(project: &Project, output: &mut Output<'_>) -> Result<ExitCode, Error> {
    let board = board(project);
    let answer = client::ask(&project.runtime, &Request::Where, PATIENCE);
    let told: Option<Where> = answer.ok().and_then(|answer| {
        answer.replies.into_iter().find_map(|reply| match reply {
            Reply::Where(told) => Some(told),
            _ => None,
        })
    });
    let trouble = board.trouble().map(|error| error.to_string()).unwrap_or_default();
    let places = Places {
        schema: SCHEMA,
        board: project.runtime.join(crate::board::layout::BOARD).display().to_string(),
        board_state: if trouble.is_empty() { "live".to_owned() } else { trouble },
        generation: board.generation(),
        flags: board.snapshot().flags().count(),
        journal: store::directory(&project.state).join("journal").display().to_string(),
        journal_trouble: told.as_ref().map(|told| told.trouble.clone()),
        epoch: told.as_ref().map(|told| told.epoch),
        keeper: told.as_ref().map(|told| told.pid),
        socket: client::socket(&project.runtime).display().to_string(),
    };
    if output.json {
        output.object(&places)?;
        return Ok(ExitCode::Done);
    }
    for line in places.lines() {
        output.line(&line)?;
    }
    Ok(ExitCode::Done)
}

#[derive(Debug, Serialize)]
struct Places {
    schema: u32,
    board: String,
    board_state: String,
    generation: Option<u64>,
    flags: usize,
    journal: String,
    journal_trouble: Option<String>,
    epoch: Option<u64>,
    keeper: Option<u32>,
    socket: String,
}

impl Places {
    fn lines(&self) -> Vec<String> {
        let Places { board, board_state, flags, journal, socket, .. } = self;
        let generation = self.generation.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let keeper = match self.keeper {
            Some(pid) => format!("pid {pid}, socket {socket}"),
            None => format!("no answer at {socket}"),
        };
        let journal_state = match (&self.journal_trouble, self.epoch) {
            (Some(trouble), _) if !trouble.is_empty() => format!("changes are refused: {trouble}"),
            (_, Some(epoch)) => format!("epoch {epoch}"),
            _ => "nobody writes it now".to_owned(),
        };
        vec![
            format!("board    {board}  ({board_state}, generation {generation}, {flags} flags)"),
            format!("journal  {journal}  ({journal_state})"),
            format!("keeper   {keeper}"),
        ]
    }
}
