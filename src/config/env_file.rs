//! Files of `KEY=VALUE` lines, as `docker --env-file` and systemd's `EnvironmentFile` read them.
//!
//! Nothing is expanded: `$`, backslashes and backquotes stand for themselves, so that a secret arrives as it
//! was written. Surrounding quotes are taken off, because both kinds of files exist.

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) line: usize,
    /// What is wrong with it. Never the value itself: it may be a secret.
    pub(super) reason: String,
}

/// Reads all lines.
///
/// Empty lines and those that begin with `#` are skipped; `export ` in front is allowed; blanks around
/// the key and the value are cut. The last line needs no newline. A byte order mark is skipped.
///
/// # Errors
/// Every bad line.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, Vec<BadLine>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Vec::new();
    let mut bad = Vec::new();
    for (at, line) in text.lines().enumerate() {
        match parse_line(line.trim()) {
            Ok(Some(variable)) => variables.push(variable),
            Ok(None) => {}
            Err(reason) => bad.push(BadLine { line: at + 1, reason }),
        }
    }
    if bad.is_empty() { Ok(variables) } else { Err(bad) }
}

/// Whether `key` may name a variable.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("the name of the variable is empty".to_owned());
    }
    if key.contains(['=', '\0']) || key.contains(char::is_whitespace) {
        return Err("the name of a variable has no blanks, no `=` and no NUL".to_owned());
    }
    Ok(())
}

fn parse_line(line: &str) -> Result<Option<(String, String)>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line.split_once('=').ok_or("expected KEY=VALUE")?;
    let key = key.trim();
    check_key(key)?;
    let value = unquote(value.trim())?;
    if value.contains('\0') {
        return Err("the value holds a NUL byte, which no process can receive".to_owned());
    }
    Ok(Some((key.to_owned(), value.to_owned())))
}

fn unquote(value: &str) -> Result<&str, String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return match rest.strip_suffix(quote) {
                Some(inside) => Ok(inside),
                None => Err("a quote is opened and never closed".to_owned()),
            };
        }
    }
    Ok(value)
}
