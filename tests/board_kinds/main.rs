//! Every kind of flag on one board: what is set is read, by handle, by name and in a snapshot; what is damaged is lost or
//! stale, and never another value.

mod damage;
mod growth;
mod scene;
mod told;
mod values;
mod who;
