//! The built-in services: children like any other.

pub mod keeper;
pub mod logger;
