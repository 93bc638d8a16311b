//! `note`: keys and values for the context of the life that we run in, from a program that links nothing.

use super::error::Error;
use super::output::Output;
use super::said::{self, Datagram};
use crate::blackbox;
use clap::Args;
use std::io;
use std::os::fd::AsFd;

/// `note`
#[derive(Clone, Debug, Args)]
pub struct Note {
    /// What to note: order=A-1042. A key that was noted before gets the new value.
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = pair)]
    pub pairs: Vec<(String, String)>,
}

/// `order=A-1042`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Does it. Outside of a tree, and when it cannot be noted, that is said in a line and is no failure.
///
/// # Errors
/// None but a closed stderr's.
pub fn run(note: &Note, output: &mut Output<'_>) -> Result<(), Error> {
    let done = match said::blackbox() {
        Some(memory) => blackbox::note(memory.as_fd(), &note.pairs).map(|without_room| {
            (without_room > 0)
                .then(|| format!("no room for {without_room} of them: 16 keys are noted already"))
        }),
        None => by_datagram(note).map(|()| None),
    };
    match done {
        Ok(None) => {}
        Ok(Some(talk)) => output.say(&format!("mainstay: note: {talk}")),
        Err(error) => output.say(&format!("mainstay: nothing was noted: {}", said::why(&error))),
    }
    Ok(())
}

fn by_datagram(note: &Note) -> io::Result<()> {
    let mut datagram = Datagram::of_this_life().ok_or_else(said::nobody)?;
    for (key, value) in &note.pairs {
        datagram.line("X_MAINSTAY_NOTE", &format!("{key}={value}"));
    }
    datagram.send()
}
