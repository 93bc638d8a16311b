//! Text → specs, with line and column in every error. Pure.

pub mod plan;
