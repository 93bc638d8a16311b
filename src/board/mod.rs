//! The shared file of flags: one writer, many readers.

pub mod layout;
