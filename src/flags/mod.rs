//! What a flag means: kinds, names, shares, bucketing, migrations, the guard. Pure.
//!
//! The contract of every reader in every language. Evaluation needs a word and an id, nothing else.

mod bucketing;
mod declaration;
pub mod guard;
mod name;
mod text;
mod value;
mod word;

pub use bucketing::{BUCKETING, ID_MAX, Prefix, position_of};
pub use declaration::{Declaration, Kind, Migration, Requires, Stage, Unit};
pub use name::{NAME_CELLS, NAME_MAX, Name, NotAName, Packed};
pub use text::{NotAValue, WHOLE};
pub use value::{Truth, Value};
pub use word::{Body, CELLS, Cell, Held, STAGES, Seal, mix};
