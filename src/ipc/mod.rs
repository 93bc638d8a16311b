//! What our processes say to each other: data ([`control`], [`flags`], [`builtin`]), bytes ([`codec`],
//! [`frame`]), sockets ([`server`]).

pub mod builtin;
pub mod codec;
pub mod control;
pub mod flags;
pub mod frame;
pub mod server;
mod socket;
