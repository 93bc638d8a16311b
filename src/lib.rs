//! mainstay keeps a set of Unix processes alive the way Erlang/OTP keeps its processes alive, and lets
//! them share feature flags that outlive any crash.
//!
//! # The picture
//!
//! One loop: **wait for something to happen → ask the core what to do → do it.** All that can happen
//! is one enum ([`supervisor::Event`]), all we may do is another ([`supervisor::Action`]), and the core
//! between them, [`supervisor::Supervisor`], is plain code without system calls, clocks or threads.
//! Whoever reads those two vocabularies and `driver` has seen the program.
//!
//! # Reading order
//!
//! 1. [`time`]: moments as plain data.
//! 2. [`supervisor`]: the core (pure).
//! 3. [`flags`], [`config`], [`paths`]: what a flag means; text → specs; which project is meant (pure).
//! 4. [`ipc`]: what our processes say to each other.
//! 5. [`mapped`]: what all mapped files have in common. [`board`], [`store`]: that of flags; the journal that is its truth.
//!    [`registry`]: that of names. [`audit`]: who changed what.
//!    [`blackbox`], [`crash`]: what a life leaves; records of deaths. [`context`], [`trace`], [`mod@panic`]: what a service says of
//!    itself, in its black box. [`telemetry`]: what becomes of that (pure).
//! 6. [`sys`]: the only system calls and the only unsafe code.
//! 7. [`driver`]: the loop.
//! 8. [`services`]: keeper, logger, registry, telemetry: children like any other.
//! 9. [`cli`], [`exit_code`]: the face.
//! 10. [`embed`]: all of it inside of another program.
//!
//! Whoever wants to use mainstay from Rust begins with [`embed`]: a tree in code instead of in a file, in the host's own
//! process or as its child. Whoever only reads flags needs [`here`] alone, and a service that says what it does [`context`],
//! [`span!`] and [`event!`].

// Not in Cargo.toml: helpers of tests may unwrap, the library may not.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod audit;
pub mod blackbox;
pub mod board;
pub mod cli;
pub mod config;
pub mod context;
pub mod crash;
pub mod driver;
pub mod embed;
pub mod exit_code;
pub mod flags;
pub mod here;
pub mod ipc;
pub mod ledger;
pub mod mapped;
pub mod panic;
pub mod paths;
pub mod registry;
pub mod run;
pub mod services;
pub mod store;
pub mod supervisor;
pub mod sys;
pub mod telemetry;
pub mod time;
pub mod trace;

pub use blackbox::report;
