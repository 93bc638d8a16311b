//! The one program: reads arguments, calls the library, exits.

fn main() {}
