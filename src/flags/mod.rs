//! What a flag means: kinds, names, shares, bucketing, migrations, the guard. Pure.
//!
//! The contract of every reader in every language. Evaluation needs a word and an id, nothing else.

mod bucketing;
mod catalog;
mod change;
mod declaration;
mod draft;
mod effective;
pub mod guard;
pub mod migration;
mod name;
mod plan;
mod refused;
pub mod roll;
mod text;
mod value;
pub mod why;
mod word;

pub use bucketing::{BUCKETING, ID_MAX, Prefix, position_of};
pub use catalog::{Catalog, nearest};
use change::check_one_way;
pub use change::{adopt, emergency, load, reset, set, switch};
pub use declaration::{Declaration, Kind, Migration, Requires, Stage, Unit};
pub use effective::{Effective, Tree, effective, effective_all, instances};
pub use name::{NAME_CELLS, NAME_MAX, Name, NotAName, Packed};
pub use plan::{Asking, Planned, View};
pub use refused::Refused;
pub use text::{NotAValue, WHOLE};
pub use value::{Truth, Value};
pub use word::{Body, CELLS, Cell, Held, STAGES, Seal, mix};
