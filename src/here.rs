//! For services: the flags of the tree that this process is a part of.
//!
//! ```
//! // `None` outside of a tree: then every default holds.
//! let flags = mainstay::here::board();
//! let checkout = flags.as_ref().map(|flags| flags.flag("new-checkout"));
//! assert!(!checkout.is_some_and(|flag| flag.is_on_for("user-1042")));
//! ```

use crate::board::Board;
use crate::services::keeper::Elsewhere;
use std::path::PathBuf;

/// The board of this process's tree, by every way there is (B7): the board itself, its second link, and while neither can be
/// read and nothing was read before, the keeper, for at most 100 ms. `None`: this process is no part of a tree.
pub fn board() -> Option<Board> {
    let runtime = PathBuf::from(std::env::var_os("MAINSTAY_RUNTIME_DIR").filter(|path| !path.is_empty())?);
    let elsewhere = Elsewhere { runtime: runtime.clone(), state: None };
    Some(Board::open_with(&runtime, Box::new(elsewhere)))
}
