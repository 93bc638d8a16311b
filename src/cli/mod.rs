//! The command line: what was typed, what it means, text out.
