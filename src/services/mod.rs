//! The built-in services: children like any other.

mod arguments;
mod desk;
pub mod keeper;
mod line;
pub mod logger;
pub mod registry;
pub mod telemetry;

pub use arguments::Arguments;
