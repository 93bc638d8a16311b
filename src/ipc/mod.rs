//! What our processes say to each other: data ([`control`], [`builtin`]), bytes ([`codec`]), sockets.

pub mod builtin;
pub mod codec;
pub mod control;
