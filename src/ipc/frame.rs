//! Messages on a stream socket: where one ends and the next begins. Pure.
//!
//! The first byte of a connection decides its form for good:
//!
//! ```text
//! binary   'M'  version  0  0  length: u32 little-endian   length bytes of codec
//! JSON     '{' … one object … '\n'
//! ```
//!
//! Our own programs speak binary. JSON is for `nc -U`, Python, Node: they need no codec of ours. The version
//! is in each header, so that an old program and a new one meet with a sentence instead of with garbage.
//!
//! Invariant: nothing is allocated because of what a header promises. What is held grows only by bytes that
//! came, and a frame that promises more than [`LIMIT`], or reaches it, is an error at once. After an error
//! nothing on the connection can be understood: where the next frame begins is not known.
//!
//! It must not touch a socket, and knows no message.

use super::codec::{self, LIMIT, Malformed};
use bincode::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// The first byte of a binary frame.
pub const MAGIC: u8 = b'M';
/// The version of header, codec and messages together; another one is refused.
pub const VERSION: u8 = 1;
/// Length of a binary frame's header, in bytes.
pub const HEADER: usize = 8;

/// What can be sent in a frame.
pub trait Message: Encode + Decode<()> + Serialize + DeserializeOwned {}

impl<T: Encode + Decode<()> + Serialize + DeserializeOwned> Message for T {}

/// How messages are written on this connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A header and codec bytes.
    #[default]
    Binary,
    /// JSON lines.
    Json,
}

/// Bytes of a connection that are no message. Nothing after them can be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The first byte begins neither form.
    Foreign(u8),
    /// A binary frame of a version that this program does not speak.
    Version(u8),
    /// A frame or line of more than [`LIMIT`] bytes.
    TooLong,
    /// A frame that is no message.
    Codec(Malformed),
    /// A line that is no message: what serde said.
    Json(String),
    /// The connection ended inside a message, after so many of its bytes.
    CutOff(usize),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Foreign(byte) => {
                write!(
                    f,
                    "a message begins with `M` (binary) or `{{` (a line of JSON), not with byte 0x{byte:02x}"
                )
            }
            Broken::Version(version) => {
                write!(f, "version {version} of the protocol, where {VERSION} is spoken")
            }
            Broken::TooLong => write!(f, "a message of more than {LIMIT} bytes"),
            Broken::Codec(e) => e.fmt(f),
            Broken::Json(e) => write!(f, "not a message: {e}"),
            Broken::CutOff(count) => {
                write!(f, "the connection ended inside a message, after {count} bytes of it")
            }
        }
    }
}

impl std::error::Error for Broken {}

/// What came in on a connection and was not yet taken as messages.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// The present message begins here; what is before it was taken.
    start: usize,
    /// So many bytes of the present line hold no end of line: a client that drips must not make us look at
    /// each of its bytes again and again.
    scanned: usize,
    form: Option<Form>,
}

impl Inbox {
    /// Adds what was read. The caller takes messages after each read, so that at most one message and one
    /// read are held.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
        if self.form.is_none() {
            self.form = self.bytes.first().map(|&b| if b == b'{' { Form::Json } else { Form::Binary });
        }
    }

    /// The connection's form; binary until a byte has come.
    pub fn form(&self) -> Form {
        self.form.unwrap_or_default()
    }

    /// True when part of a message is here: the time that a whole one may take is running.
    pub fn has_part(&self) -> bool {
        self.start < self.bytes.len()
    }

    /// The next whole message; `None` when it is not yet here.
    pub fn take<T: Decode<()> + DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        match self.form() {
            Form::Binary => self.take_frame(),
            Form::Json => self.take_line(),
        }
    }

    /// The same, when no more bytes will come: a last JSON object needs no end of line, and part of a
    /// message is an error. `None`: the connection ended between two messages.
    pub fn take_last<T: Decode<()> + DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        if let Some(message) = self.take()? {
            return Ok(Some(message));
        }
        let rest = &self.bytes[self.start..];
        match self.form() {
            _ if rest.is_empty() => Ok(None),
            Form::Binary => Err(Broken::CutOff(rest.len())),
            Form::Json => {
                let message = parse(rest)?;
                self.start = self.bytes.len();
                self.scanned = 0;
                Ok(Some(message))
            }
        }
    }

    fn take_frame<T: Decode<()>>(&mut self) -> Result<Option<T>, Broken> {
        let bytes = &self.bytes[self.start..];
        // Each field is judged as soon as it is here: nobody keeps us waiting behind a bad header.
        match bytes {
            [first, ..] if *first != MAGIC => return Err(Broken::Foreign(*first)),
            [_, version, ..] if *version != VERSION => return Err(Broken::Version(*version)),
            _ => {}
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        if header[2..4] != [0, 0] {
            return Err(Broken::Foreign(header[2] | header[3]));
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if length > LIMIT {
            return Err(Broken::TooLong);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = codec::decode(body).map_err(Broken::Codec)?;
        self.start += HEADER + length;
        Ok(Some(message))
    }

    fn take_line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        let bytes = &self.bytes[self.start..];
        let end = bytes[self.scanned..].iter().position(|&b| b == b'\n').map(|at| self.scanned + at);
        if end.unwrap_or(bytes.len()) > LIMIT {
            return Err(Broken::TooLong);
        }
        let Some(end) = end else {
            self.scanned = bytes.len();
            return Ok(None);
        };
        let message = parse(&bytes[..end])?;
        self.start += end + 1;
        self.scanned = 0;
        Ok(Some(message))
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Broken> {
    serde_json::from_slice(line).map_err(|e| Broken::Json(e.to_string()))
}

/// The bytes that carry `message` on a connection of this form; an error when it is too long.
pub fn encode<T: Encode + Serialize>(form: Form, message: &T) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    append(form, message, &mut bytes)?;
    Ok(bytes)
}

/// [`encode`], behind what `out` already holds. After an error `out` is what it was.
pub fn append<T: Encode + Serialize>(form: Form, message: &T, out: &mut Vec<u8>) -> Result<(), Broken> {
    let before = out.len();
    match form {
        Form::Binary => {
            let body = codec::encode(message).map_err(Broken::Codec)?;
            let length = u32::try_from(body.len()).map_err(|_| Broken::TooLong)?;
            out.extend_from_slice(&[MAGIC, VERSION, 0, 0]);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&body);
        }
        Form::Json => {
            let written = serde_json::to_writer(&mut *out, message).map_err(|e| Broken::Json(e.to_string()));
            let fits = if out.len() - before > LIMIT { Err(Broken::TooLong) } else { Ok(()) };
            if let Err(error) = written.and(fits) {
                out.truncate(before);
                return Err(error);
            }
            out.push(b'\n');
        }
    }
    Ok(())
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
    fn a_binary_frame_is_eight_bytes_and_the_codec() {
        let bytes = encode(Form::Binary, &Request::Status { all: true }).unwrap();
        assert_eq!(bytes, [b'M', 1, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_json_frame_is_one_line() {
        let bytes = encode(Form::Json, &Request::Status { all: true }).unwrap();
        assert_eq!(bytes, b"{\"request\":\"status\",\"all\":true}\n");
    }

    #[test]
    fn a_person_who_types_into_nc_needs_no_end_of_line_and_no_defaults() {
        for (line, wanted) in [
            (r#"{"request":"status"}"#, Request::Status { all: false }),
            (r#"{"request":"cursor"}"#, Request::Cursor),
            (r#"{"request":"events","after":7}"#, Request::Events { after: 7, follow: false }),
        ] {
            let mut inbox = Inbox::default();
            inbox.push(line.as_bytes());
            assert_eq!(inbox.take::<Request>(), Ok(None));
            assert_eq!(inbox.take_last(), Ok(Some(wanted)));
            assert_eq!(inbox.take_last::<Request>(), Ok(None));
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_bytes_come() {
        let mut inbox = Inbox::default();
        inbox.push(&[MAGIC, VERSION, 0, 0, 1, 0, 1, 0]);
        assert_eq!(inbox.take::<Request>(), Err(Broken::TooLong));
        assert!(inbox.bytes.capacity() < 64);
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
    fn another_version_is_told_at_its_second_byte() {
        let mut inbox = Inbox::default();
        inbox.push(&[MAGIC, 2]);
        assert_eq!(inbox.take::<Request>(), Err(Broken::Version(2)));
    }

    #[test]
    fn a_connection_that_ends_inside_a_message_says_so() {
        let mut inbox = Inbox::default();
        inbox.push(&[MAGIC, VERSION, 0]);
        assert_eq!(inbox.take_last::<Request>(), Err(Broken::CutOff(3)));
    }

    #[test]
    fn bytes_after_a_message_inside_its_frame_are_an_error() {
        let mut bytes = encode(Form::Binary, &Request::Cursor).unwrap();
        bytes[4] += 1;
        bytes.push(0);
        let mut inbox = Inbox::default();
        inbox.push(&bytes);
        assert!(matches!(inbox.take::<Request>(), Err(Broken::Codec(_))));
    }
}
