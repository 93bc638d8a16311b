//! Messages as bytes: `bincode` 2.0.1 behind two functions, so that nothing else knows it.
//!
//! Messages are flat, decoding is bounded by [`LIMIT`], and bytes left over are an error.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use std::fmt;

/// The longest message.
pub const LIMIT: usize = 64 << 10;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<LIMIT>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<LIMIT>();

/// The longest record of a journal, which only we write and whose checksum is proven before it is decoded.
pub const RECORD_LIMIT: usize = 8 << 20;

const RECORD_CONFIG: Configuration<LittleEndian, Fixint, Limit<RECORD_LIMIT>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<RECORD_LIMIT>();

/// The longest plan, which only we write, for a helper of the same program.
pub const PLAN_LIMIT: usize = 256 << 20;

const PLAN_CONFIG: Configuration<LittleEndian, Fixint, Limit<PLAN_LIMIT>> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<PLAN_LIMIT>();

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
    encode_within(message, CONFIG, LIMIT)
}

/// Appends the bytes of a message to those of others, which [`decode_first`] takes off again; allocates nothing
/// when there is room. An error, and nothing appended, when it is longer than [`LIMIT`].
pub fn encode_onto<T: bincode::Encode>(message: &T, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    let before = bytes.len();
    let written = bincode::encode_into_std_write(message, &mut *bytes, CONFIG);
    match written {
        Ok(length) if length <= LIMIT => Ok(()),
        refused => {
            bytes.truncate(before);
            Err(refused.map_or_else(|e| Malformed(e.to_string()), |length| too_long(length, LIMIT)))
        }
    }
}

/// The first of the messages that these bytes are, and how many of the bytes it is.
pub fn decode_first<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<(T, usize), Malformed> {
    bincode::decode_from_slice(bytes, CONFIG).map_err(|e| Malformed(e.to_string()))
}

/// The bytes of a record; an error when it is longer than [`RECORD_LIMIT`].
pub fn encode_record<T: bincode::Encode>(record: &T) -> Result<Vec<u8>, Malformed> {
    encode_within(record, RECORD_CONFIG, RECORD_LIMIT)
}

/// The bytes of a plan; an error when it is longer than [`PLAN_LIMIT`].
pub fn encode_plan<T: bincode::Encode>(plan: &T) -> Result<Vec<u8>, Malformed> {
    encode_within(plan, PLAN_CONFIG, PLAN_LIMIT)
}

fn encode_within<T: bincode::Encode>(
    message: &T,
    config: impl bincode::config::Config,
    limit: usize,
) -> Result<Vec<u8>, Malformed> {
    let bytes = bincode::encode_to_vec(message, config).map_err(|e| Malformed(e.to_string()))?;
    if bytes.len() > limit { Err(too_long(bytes.len(), limit)) } else { Ok(bytes) }
}

/// The message that exactly these bytes are.
pub fn decode<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    decode_within(bytes, CONFIG, LIMIT)
}

/// The record that exactly these bytes are.
pub fn decode_record<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    decode_within(bytes, RECORD_CONFIG, RECORD_LIMIT)
}

/// The plan that exactly these bytes are.
pub fn decode_plan<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    decode_within(bytes, PLAN_CONFIG, PLAN_LIMIT)
}

fn decode_within<T: bincode::Decode<()>>(
    bytes: &[u8],
    config: impl bincode::config::Config,
    limit: usize,
) -> Result<T, Malformed> {
    if bytes.len() > limit {
        return Err(too_long(bytes.len(), limit));
    }
    let (message, used) = bincode::decode_from_slice(bytes, config).map_err(|e| Malformed(e.to_string()))?;
    if used != bytes.len() {
        return Err(Malformed(format!("{} bytes too many", bytes.len() - used)));
    }
    Ok(message)
}

fn too_long(bytes: usize, limit: usize) -> Malformed {
    Malformed(format!("{bytes} bytes are more than {limit}"))
}
