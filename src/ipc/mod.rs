//! What our processes say to each other: data ([`control`], [`flags`], [`registry`], [`builtin`], [`declared`], [`seam`]), bytes ([`codec`],
//! [`frame`]), sockets ([`server`], [`client`]).

pub mod builtin;
pub mod client;
pub mod codec;
pub mod control;
pub mod declared;
pub mod flags;
pub mod frame;
pub mod notify;
pub mod registry;
pub mod seam;
pub mod server;
