//! The one program: reads arguments, calls the library, exits.

use mainstay::{cli, embed, run};
use std::process::ExitCode;

mainstay::before_main!(early);
mainstay::own_unwinder!();

/// Shells ask `flag on` in loops: it is answered before anything else is done.
fn early() {
    if let Some(code) = cli::flag::fast::answer(std::env::args_os().skip(1)) {
        std::process::exit(code.number().into());
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    // The hidden subcommands, before the command line is built at all: they start a thousand times.
    if let Some(code) = embed::own(std::env::args_os().skip(1)) {
        return code.into();
    }
    let code = match words.next().as_ref().and_then(|word| word.to_str()) {
        Some(run::DETACHED) => cli::main(std::iter::once(name).chain(words), true),
        _ => cli::main(std::env::args_os(), false),
    };
    code.into()
}
