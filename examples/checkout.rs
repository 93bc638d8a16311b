//! A checkout that says what it does, and has a mistake: `mainstay crash show checkout` is enough to find it.
//!
//! Started by mainstay with a file of orders, `ID,CUSTOMER,PIECES,CENTS` a line. Charges one after the other, then waits.

use mainstay::{context, event, span};
use std::process::ExitCode;

/// Percent off, by full tens of pieces.
const DISCOUNTS: [u64; 4] = [0, 5, 10, 15];

struct Order<'a> {
    id: &'a str,
    customer: &'a str,
    pieces: u64,
    cents: u64,
}

fn main() -> ExitCode {
    mainstay::panic::install();
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("checkout: name a file of orders");
        return ExitCode::from(2);
    };
    let orders = match std::fs::read_to_string(&file) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("checkout: {file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for line in orders.lines() {
        match order(line) {
            Some(order) => charge(&order),
            None => eprintln!("checkout: not an order: {line}"),
        }
    }
    println!("all orders are charged");
    loop {
        std::thread::park();
    }
}

fn order(line: &str) -> Option<Order<'_>> {
    let mut fields = line.split(',');
    let (id, customer) = (fields.next()?, fields.next()?);
    Some(Order { id, customer, pieces: fields.next()?.parse().ok()?, cents: fields.next()?.parse().ok()? })
}

fn charge(order: &Order<'_>) {
    context::with([("order", order.id), ("customer", order.customer)], || {
        context::with([("pieces", order.pieces)], || {
            let charge = span!("charge", order = order.id);
            let total = total(order);
            charge.attribute("total", total);
            event!("charged", order = order.id, total = total);
            println!("{} pays {}.{:02}", order.customer, total / 100, total % 100);
        });
    });
}

fn total(order: &Order<'_>) -> u64 {
    let _span = span!("discount");
    let percent = DISCOUNTS[order.pieces as usize / 10];
    order.pieces * order.cents * (100 - percent) / 100
}
