//! A worker that reads flags from the board itself: a nanosecond a read, no socket, nobody asked.
//!
//! Started by mainstay with the names of flags. Says what they are, then sleeps on the board until something
//! changes, and says it again. It goes on with the last known values when mainstay, its keeper or the board
//! are gone, and sees the new board when there is one.

use mainstay::board::{Board, Flag};
use mainstay::time::Duration;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(runtime) = std::env::var_os("MAINSTAY_RUNTIME_DIR") else {
        eprintln!("board_worker: MAINSTAY_RUNTIME_DIR is not set; mainstay starts this program");
        return ExitCode::from(2);
    };
    let customers = std::env::var("CUSTOMERS").unwrap_or_default();
    let customers: Vec<&str> = customers.split_whitespace().collect();
    let board = Board::open(Path::new(&runtime));
    // A handle is looked up once and stays good for ever, whatever happens to the board.
    let flags: Vec<(String, Flag)> =
        std::env::args().skip(1).map(|name| (name.clone(), board.flag(&name))).collect();

    // The number before the values: what changes in between is waited for below, not missed.
    let mut seen = board.generation().unwrap_or(0);
    report(&flags, &customers);
    println!("watching");
    loop {
        if let Some(generation) = board.wait(seen, Duration::from_secs(3600)) {
            seen = generation;
            report(&flags, &customers);
        }
    }
}

fn report(flags: &[(String, Flag)], customers: &[&str]) {
    for (name, flag) in flags {
        let on = customers.iter().filter(|customer| flag.is_on_for(customer)).count();
        println!("{name}: on for {on} of {} customers", customers.len());
    }
}
