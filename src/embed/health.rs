//! `health = { … }` as a builder. Pure.

use super::keys::{Keys, Value};
use crate::time::Duration;

/// How a service is asked whether it is of use, once it is up (ready, when it declares that).
#[derive(Clone, Debug, PartialEq)]
pub struct Health(pub(super) Keys);

impl Health {
    fn one(key: &str, value: impl Into<Value>) -> Health {
        let mut keys = Keys::default();
        keys.set(key, value);
        Health(keys)
    }

    /// 127.0.0.1 accepts a connection on this port.
    pub fn tcp(port: u16) -> Health {
        Health::one("tcp", u32::from(port))
    }

    /// The same for a [template](super::Template): `80%i` is 8012 for the argument 12.
    pub fn tcp_of(pattern: impl Into<String>) -> Health {
        Health::one("tcp", pattern.into())
    }

    /// A `GET` of `http://ADDRESS:PORT/PATH` is answered with a status from 200 to 399. The host is an address, or
    /// `localhost`.
    pub fn http(address: impl Into<String>) -> Health {
        Health::one("http", address.into())
    }

    /// This command, run as the service is, ends with 0.
    pub fn exec<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Health {
        Health::one("exec", Value::List(words.into_iter().map(|word| Value::Text(word.into())).collect()))
    }

    /// From the beginning of one check to that of the next; at least 100 ms, 10 s unless said.
    pub fn every(mut self, every: Duration) -> Health {
        self.0.set("every", every);
        self
    }

    /// Without an answer for so long a check has failed; at most [`every`](Health::every).
    pub fn timeout(mut self, timeout: Duration) -> Health {
        self.0.set("timeout", timeout);
        self
    }

    /// So many failures in a row are too many, 1 to 1000; 3 unless said.
    pub fn failures(mut self, failures: u32) -> Health {
        self.0.set("failures", failures);
        self
    }

    /// `false`: after too many it is not killed, and only told.
    pub fn restart(mut self, restart: bool) -> Health {
        self.0.set("restart", restart);
        self
    }
}
