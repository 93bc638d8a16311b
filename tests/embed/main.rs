//! mainstay inside of a Rust program: what a tree in code means, and that it runs, in this process and as its child.

#[path = "../support/mod.rs"]
mod support;

mod child;
mod example;
mod flaws;
mod host;
mod inside;
mod plan;
mod rig;
