//! An error, and what its thread was doing.

use crate::blackbox::Context;
use crate::time::Instant;
use std::error::Error;
use std::fmt;

/// An error with the context in which it happened: `not found [checkout 5f3a…, 12 ms; order=A-1042 tier=gold]`.
#[derive(Debug)]
pub struct Enriched<E> {
    /// The error itself.
    pub error: E,
    /// What its thread was doing.
    pub context: Box<Context>,
    at: Instant,
}

impl<E> Enriched<E> {
    pub(super) fn new(error: E, context: Context) -> Enriched<E> {
        Enriched { error, context: Box::new(context), at: crate::sys::clock::now() }
    }

    /// The error without its context.
    pub fn into_error(self) -> E {
        self.error
    }
}

impl<E: fmt::Display> fmt::Display for Enriched<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let context = &self.context;
        write!(formatter, "{}", self.error)?;
        let mut before = " [";
        if let Some(operation) = &context.operation {
            let milliseconds = self.at.since(operation.since).as_millis();
            write!(formatter, " [{} {}, {milliseconds} ms", operation.name, operation.id)?;
            if !operation.correlation.is_empty() {
                write!(formatter, ", {}", operation.correlation)?;
            }
            before = "; ";
        }
        for (key, value) in &context.keys {
            write!(formatter, "{before}{key}={value}")?;
            before = " ";
        }
        if context.operation.is_some() || !context.keys.is_empty() {
            formatter.write_str("]")?;
        }
        Ok(())
    }
}

impl<E: Error + 'static> Error for Enriched<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
