//! What all files that other processes map have in common, whatever they hold: what proves their cells, and how a reader
//! comes to the file of the moment.

pub(crate) mod proof;
pub(crate) mod shown;

pub use proof::name_hash;
