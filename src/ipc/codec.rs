//! Messages as bytes: `bincode` 2.0.1 behind two functions, so that nothing else knows it.
//!
//! Messages are flat, decoding is bounded by [`LIMIT`], and bytes left over are an error.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use std::fmt;

/// The longest message.
pub const LIMIT: usize = 64 << 10;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<LIMIT>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<LIMIT>();

/// Bytes that are no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a message of this version: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The bytes of a message; an error when it is longer than [`LIMIT`].
pub fn encode<T: bincode::Encode>(message: &T) -> Result<Vec<u8>, Malformed> {
    let bytes = bincode::encode_to_vec(message, CONFIG).map_err(|e| Malformed(e.to_string()))?;
    if bytes.len() > LIMIT {
        return Err(Malformed(format!("{} bytes are more than {LIMIT}", bytes.len())));
    }
    Ok(bytes)
}

/// The message that exactly these bytes are.
pub fn decode<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    if bytes.len() > LIMIT {
        return Err(Malformed(format!("{} bytes are more than {LIMIT}", bytes.len())));
    }
    let (message, used) = bincode::decode_from_slice(bytes, CONFIG).map_err(|e| Malformed(e.to_string()))?;
    if used != bytes.len() {
        return Err(Malformed(format!("{} bytes too many", bytes.len() - used)));
    }
    Ok(message)
}
