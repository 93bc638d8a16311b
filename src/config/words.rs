//! Names, commands as text, and the nearest known word.

/// Names of built-ins begin so.
pub const RESERVED_PREFIX: &str = "mainstay";
/// Longest name of a service, a group or a project, in bytes.
pub const NAME_MAX: usize = 64;
/// Longest name of a flag, in bytes.
pub const FLAG_NAME_MAX: usize = 128;
/// Mistakes for which the word that was meant is looked for.
const SUGGESTED_MAX: usize = 100;

/// Whether `name` may name a service, a group or a project: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
///
/// # Errors
/// The rule that it breaks.
pub fn check_name(name: &str) -> Result<(), String> {
    check_characters(name, NAME_MAX)?;
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("it must begin with a letter or a digit".to_owned());
    }
    Ok(())
}

/// Whether `name` may name a service (`web`, false) or a template of services (`worker@`, true).
///
/// # Errors
/// The rule that it breaks.
pub fn check_service_name(name: &str) -> Result<bool, String> {
    match name.split_once('@') {
        None => check_name(name).map(|()| false),
        Some((base, "")) => check_name(base).map(|()| true),
        Some((base, _)) => {
            let base = if check_name(base).is_ok() { base } else { "worker" };
            Err(format!(
                "a template ends in `@`, as \"{base}@\"; its instances are made while it runs and not named here"
            ))
        }
    }
}

/// Whether a template can have this argument: 1 to 64 bytes of `[A-Za-z0-9._-]`, since it becomes part of file names.
///
/// # Errors
/// The rule that it breaks.
pub fn check_argument(argument: &str) -> Result<(), String> {
    check_characters(argument, NAME_MAX)
}

/// Whether an instance made at run time can have this name: `mailer`, or `worker@mail`.
///
/// # Errors
/// The rule that it breaks.
pub fn check_instance_name(name: &str) -> Result<(), String> {
    let (base, argument) = name.split_once('@').map_or((name, None), |(base, rest)| (base, Some(rest)));
    check_name(base)?;
    if base.starts_with(RESERVED_PREFIX) {
        return Err("names that begin with `mainstay` are the built-ins'".to_owned());
    }
    argument.map_or(Ok(()), check_argument)
}

/// Whether `name` may name a flag: 1 to 128 bytes of `[A-Za-z0-9._-]`.
///
/// # Errors
/// The rule that it breaks.
pub fn check_flag_name(name: &str) -> Result<(), String> {
    check_characters(name, FLAG_NAME_MAX)
}

fn check_characters(name: &str, max: usize) -> Result<(), String> {
    if name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if name.len() > max {
        return Err(format!("it has {} bytes, {max} are allowed", name.len()));
    }
    match name.chars().find(|c| !in_name(*c)) {
        Some(bad) => Err(format!("it contains {bad:?}; letters, digits, `.`, `_` and `-` are allowed")),
        None => Ok(()),
    }
}

/// `text` made into a valid name of at most `max` bytes: other characters become `-`.
pub fn make_name(text: &str, max: usize) -> String {
    let replaced: String = text.chars().map(|c| if in_name(c) { c } else { '-' }).collect();
    let mut name = replaced.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    name.truncate(max);
    name
}

/// The name of a service that runs `program`: its file name, made valid.
pub fn name_of_program(program: &str) -> String {
    let file = program.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = make_name(file, NAME_MAX);
    if name.is_empty() || name.starts_with(RESERVED_PREFIX) { "main".to_owned() } else { name }
}

/// Splits a command as a shell would, without running one.
///
/// # Errors
/// Why it cannot be split.
pub fn split_command(text: &str) -> Result<Vec<String>, String> {
    shell_words::split(text).map_err(|_| "a quote is opened and never closed".to_owned())
}

/// What in a command as text only a shell would understand: an operator standing alone, or a variable.
///
/// Quoted text is the user's, so only words that stand in the text as they are count.
pub fn shell_syntax(text: &str) -> Option<String> {
    let operator = |w: &&str| matches!(*w, "|" | "||" | "&&" | ";" | "&" | ">" | ">>" | "<" | "2>&1" | "2>");
    let variable = |w: &&str| {
        w.strip_prefix('$').is_some_and(|rest| {
            rest.starts_with(|c: char| c == '{' || c == '(' || c == '_' || c.is_alphabetic())
        })
    };
    text.split_whitespace().find(|w| operator(w) || variable(w)).map(str::to_owned)
}

/// The known word that was probably meant, as long as few mistakes were found `before`: with a thousand mistakes
/// among ten thousand names, looking for each would take longer than reading the file, and nobody reads them all.
pub fn suggest<'a>(before: usize, word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if before < SUGGESTED_MAX { nearest(word, known) } else { None }
}

/// The known word that was probably meant, if one is near enough; the first of several.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > FLAG_NAME_MAX {
        return None;
    }
    // A third of the word may be wrong: "restrat" is restart, "x" is nothing.
    let allowed = ((word.chars().count() + 1) / 3).max(1);
    let word = word.to_lowercase();
    known
        .filter(|other| other.len().abs_diff(word.len()) <= allowed + 2)
        .map(|other| (strsim::osa_distance(&word, &other.to_lowercase()), other))
        .filter(|(distance, other)| *distance <= allowed && *distance < other.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}
