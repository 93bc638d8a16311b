//! Messages on a stream socket: where one ends and the next begins. Pure.
//!
//! The first byte of a connection decides its form for good. `{` means JSON, one message a line, so that
//! `nc -U`, Python and Node need no codec. Anything else is the length of a [`codec`] message in four
//! bytes, the highest first: a length is at most [`LIMIT`], so its first byte is never `{`. The length is
//! checked before anything is allocated for it.

use super::codec::{self, LIMIT, Malformed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// How messages are written on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Length and codec bytes.
    Binary,
    /// JSON lines.
    Json,
}

/// Bytes of a connection that are no message. Nothing after them can be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A frame or line of more than [`LIMIT`] bytes.
    TooLong,
    /// A frame that is no message.
    Codec(Malformed),
    /// A line that is no message: what serde said.
    Json(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::TooLong => write!(f, "a message of more than {LIMIT} bytes"),
            Broken::Codec(e) => e.fmt(f),
            Broken::Json(e) => write!(f, "not a message: {e}"),
        }
    }
}

impl std::error::Error for Broken {}

/// What came in on a connection and was not yet taken as messages.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    form: Option<Form>,
}

impl Inbox {
    /// Adds what was read. The caller takes messages after each read, so that at most one message and one
    /// read are held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.form.is_none() {
            self.form = self.bytes.first().map(|&b| if b == b'{' { Form::Json } else { Form::Binary });
        }
    }

    /// The connection's form; binary until a byte has come.
    pub fn form(&self) -> Form {
        self.form.unwrap_or(Form::Binary)
    }

    /// True when part of a message is here: the time that a whole one may take is running.
    pub fn has_part(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next whole message; `None` when it is not yet here.
    pub fn take<T: bincode::Decode<()> + DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        match self.form() {
            Form::Binary => self.take_frame(),
            Form::Json => self.take_line(),
        }
    }

    fn take_frame<T: bincode::Decode<()>>(&mut self) -> Result<Option<T>, Broken> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > LIMIT {
            return Err(Broken::TooLong);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = codec::decode(body).map_err(Broken::Codec)?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }

    fn take_line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        let Some(end) = self.bytes.iter().position(|&b| b == b'\n') else {
            return if self.bytes.len() > LIMIT { Err(Broken::TooLong) } else { Ok(None) };
        };
        if end > LIMIT {
            return Err(Broken::TooLong);
        }
        let message = serde_json::from_slice(&self.bytes[..end]).map_err(|e| Broken::Json(e.to_string()))?;
        self.bytes.drain(..=end);
        Ok(Some(message))
    }
}

/// The bytes that carry `message` on a connection of this form; an error when it is too long.
pub fn encode<T: bincode::Encode + Serialize>(form: Form, message: &T) -> Result<Vec<u8>, Broken> {
    match form {
        Form::Binary => {
            let body = codec::encode(message).map_err(Broken::Codec)?;
            let length = u32::try_from(body.len()).map_err(|_| Broken::TooLong)?;
            Ok([&length.to_be_bytes()[..], &body].concat())
        }
        Form::Json => {
            let mut line = serde_json::to_vec(message).map_err(|e| Broken::Json(e.to_string()))?;
            line.push(b'\n');
            Ok(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::control::Request;

    #[test]
    fn a_message_arrives_whole_however_it_is_cut() {
        let message = Request::Events { after: 7, follow: true };
        for form in [Form::Binary, Form::Json] {
            let bytes = encode(form, &message).unwrap();
            let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
            for byte in bytes.iter().chain(&bytes) {
                inbox.push(&[*byte]);
                seen.extend(inbox.take::<Request>().unwrap());
            }
            assert_eq!(seen, [message.clone(), message.clone()]);
            assert!(!inbox.has_part());
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_bytes_come() {
        let mut inbox = Inbox::default();
        inbox.push(&(LIMIT as u32 + 1).to_be_bytes());
        assert_eq!(inbox.take::<Request>(), Err(Broken::TooLong));
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut inbox = Inbox::default();
        inbox.push(&vec![b'{'; LIMIT]);
        assert_eq!(inbox.take::<Request>(), Ok(None));
        inbox.push(b"{");
        assert_eq!(inbox.take::<Request>(), Err(Broken::TooLong));
    }

    #[test]
    fn every_length_that_is_allowed_has_a_first_byte_that_is_no_brace() {
        assert!((0..=LIMIT as u32).all(|length| length.to_be_bytes()[0] != b'{'));
    }
}
