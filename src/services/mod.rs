//! The built-in services: children like any other.

pub mod keeper;
