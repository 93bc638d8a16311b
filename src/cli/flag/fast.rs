//! `mainstay flag on NAME` for loops in shells: answered before `main`, or at least before `clap` is built, when
//! nothing but the plain form was typed.

use super::args::{On, on_or_off};
use super::read;
use crate::board::{Board, Source};
use crate::cli::here;
use crate::exit_code::ExitCode;
use crate::paths::{self, Choice};
use std::ffi::OsString;

/// The answer to a plain `flag on` from a board that is whole; `None`: it was something else, or there is more to say
/// than yes or no, and the long way does it again. Writes nothing. `arguments`: without the program's name.
pub fn answer(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.peekable();
    if arguments.peek().is_none_or(|first| first != "flag") {
        return None;
    }
    let on = on(&arguments.collect::<Vec<_>>())?;
    let project = paths::resolve(&Choice::default(), &here::environment(), &here::System).ok()?;
    let board = Board::open(&project.runtime);
    let (reading, opinion) = board.read_for(&on.flag, on.id.as_deref());
    (reading.source == Source::Proven).then(|| read::answer(&on, opinion))
}

/// The `flag on` that these arguments (without the program's name) plainly are; `None`: let `clap` see
/// them, also for whatever is wrong with them.
pub fn on(arguments: &[OsString]) -> Option<On> {
    let mut words = arguments.iter().map(|word| word.to_str());
    if words.next()?? != "flag" || words.next()?? != "on" {
        return None;
    }
    let (mut flag, mut id, mut default) = (None, None, None);
    while let Some(word) = words.next() {
        match word? {
            "--id" => id = Some(words.next()??.to_owned()),
            "--default" => default = Some(on_or_off(words.next()??).ok()?),
            word if word.starts_with('-') || flag.is_some() => return None,
            word => flag = Some(word.to_owned()),
        }
    }
    Some(On { flag: flag?, id, default })
}

#[cfg(test)]
mod tests {
    use super::super::FlagCommand;
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Whole {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(clap::Subcommand)]
    enum Verb {
        #[command(subcommand)]
        Flag(FlagCommand),
    }

    #[test]
    fn the_short_way_and_the_long_way_understand_the_same() {
        for line in [
            "flag on x",
            "flag on x --id user:1",
            "flag on --id user:1 x",
            "flag on x --default on",
            "flag on --default off --id i x",
            "flag on x --default true",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let whole = Whole::try_parse_from(std::iter::once("mainstay".into()).chain(words.clone()));
            let Verb::Flag(FlagCommand::On(slow)) = whole.unwrap_or_else(|e| panic!("{line}: {e}")).verb
            else {
                panic!("{line}")
            };
            assert_eq!(on(&words), Some(slow), "{line}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_clap() {
        for line in [
            "flag",
            "flag on",
            "flag on x y",
            "flag on --id",
            "flag on x --default maybe",
            "flag on x --json",
            "flag on --config a.toml x",
            "flag on -h",
            "flag get x",
            "status",
            "flag on -- x",
            "flag on x --id=1",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(on(&words), None, "{line}");
        }
    }
}
