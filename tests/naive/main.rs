//! The core against a second supervisor: small, slow and written from OTP's rules alone.
//!
//! `model`, `world`, `rules`, `calls` and `system` are that second one; `the_text` holds it against what the rules tell.
//! `mirror` and `asked` drive the real core through the same world, `pair` both together: each step is done on both
//! sides, and everything that can be seen is compared. `otp` has the comparisons: the small space whole
//! (`every_death`), deaths at a bad moment (`overlap`), and random sequences (`histories`).
//!
//! Where both differ, the text decides. What it must not do is look at how `src/supervisor` does things.

mod asked;
mod calls;
mod death;
mod mirror;
mod model;
mod otp;
mod pair;
mod plans;
#[path = "../sim/random.rs"]
mod random;
mod rules;
mod system;
mod the_text;
mod world;
