//! Text → plan: what every key means, its default, and what happens at the edges.

mod any_text;
mod edges;
mod keys;
mod manual;
mod read;
mod tree;
mod units;
