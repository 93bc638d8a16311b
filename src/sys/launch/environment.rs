//! Arguments and environment as the kernel wants them: terminated strings, packed, shared where they
//! are the same for many children.

use super::{StartError, Step};
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Digits of the largest number.
const DIGITS: usize = 20;

/// Variables that many children share: they are in memory once.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<CString>);

impl Environment {
    /// These variables; later ones win. Ones that the kernel could not pass (an empty name, `=` in the
    /// name, a NUL byte) are left out.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let mut strings: Vec<CString> = Vec::new();
        for (name, value) in variables {
            let Some(string) = assignment(&name, &value) else { continue };
            strings.retain(|other| !names(other.as_bytes(), name.as_bytes()));
            strings.push(string);
        }
        Environment(strings)
    }

    /// The variables of this process, but for those `scrubbed` says yes to.
    pub fn inherited(scrubbed: impl Fn(&OsStr) -> bool) -> Environment {
        Environment::new(std::env::vars_os().filter(|(name, _)| !scrubbed(name)))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let string = self.0.iter().find(|string| names(string.as_bytes(), name.as_bytes()))?;
        Some(OsStr::from_bytes(&string.as_bytes()[name.len() + 1..]))
    }
}

/// A child's own strings, one after the other in one piece of memory: arguments, then variables, then
/// variables whose digits change from life to life. There is one for each instance, so it is kept small.
pub(super) struct Text {
    bytes: Box<[u8]>,
    /// Where each argument begins, each variable, the digits of each number; then which of the shared variables are
    /// hidden by our own.
    places: Box<[u32]>,
    /// Where in `places` the arguments end, the variables, the numbers.
    ends: [u32; 3],
}

impl Text {
    pub(super) fn new(
        argv: &[OsString],
        variables: Vec<(OsString, OsString)>,
        numbers: &[String],
        shared: &Environment,
    ) -> Result<Text, StartError> {
        let bad = |what: String| StartError::new(Step::Arguments, 0, what);
        let mut bytes = Vec::new();
        let mut add = |string: &[u8]| {
            let at = bytes.len() as u32;
            bytes.extend_from_slice(string);
            bytes.push(0);
            at
        };
        let mut places = Vec::new();
        for (index, argument) in argv.iter().enumerate() {
            if argument.as_bytes().contains(&0) {
                return Err(bad(format!("preparing argument {index}")));
            }
            places.push(add(argument.as_bytes()));
        }
        let arguments = places.len();
        let own = Environment::new(numbers.iter().map(|name| (name.into(), OsString::new())));
        let mut kept: Vec<CString> = Vec::new();
        for (name, value) in variables {
            let string = assignment(&name, &value)
                .ok_or_else(|| bad(format!("preparing the variable `{}`", name.to_string_lossy())))?;
            kept.retain(|other| !names(other.as_bytes(), name.as_bytes()));
            if !own.0.iter().any(|other| names(other.as_bytes(), name.as_bytes())) {
                kept.push(string);
            }
        }
        places.extend(kept.iter().map(|string| add(string.as_bytes())));
        places.extend(own.0.iter().map(|name| add(&[name.as_bytes(), &[b'0'; DIGITS]].concat())));
        let variables = places.len();
        for (name, index) in own.0.iter().zip(variables - own.0.len()..) {
            places.push(places[index] + name.as_bytes().len() as u32);
        }
        let ends = [arguments, variables, places.len()].map(|end| end as u32);
        let mut text = Text { bytes: bytes.into(), places: places.into(), ends };
        let hidden = shared.0.iter().zip(0..);
        let hidden = hidden.filter(|(string, _)| text.own(name_of(string.as_bytes())).is_some());
        let hidden: Vec<u32> = hidden.map(|(_, index)| index).collect();
        text.places = [&text.places[..], &hidden[..]].concat().into();
        Ok(text)
    }

    fn arguments(&self) -> &[u32] {
        &self.places[..self.ends[0] as usize]
    }

    fn variables(&self) -> &[u32] {
        &self.places[self.ends[0] as usize..self.ends[1] as usize]
    }

    fn numbers(&self) -> std::ops::Range<usize> {
        self.ends[1] as usize..self.ends[2] as usize
    }

    fn hidden(&self) -> &[u32] {
        &self.places[self.ends[2] as usize..]
    }

    /// Writes the digits in place; nothing moves.
    pub(super) fn set_numbers(&mut self, numbers: &[u64]) {
        for (index, place) in self.numbers().enumerate() {
            let mut rest = numbers.get(index).copied().unwrap_or(0);
            let mut digits = [0_u8; DIGITS];
            let mut first = DIGITS;
            loop {
                first -= 1;
                digits[first] = b'0' + (rest % 10) as u8;
                rest /= 10;
                if rest == 0 {
                    break;
                }
            }
            let at = self.places[place] as usize;
            let place = &mut self.bytes[at..][..DIGITS + 1];
            place.fill(0);
            place[..DIGITS - first].copy_from_slice(&digits[first..]);
        }
    }

    pub(super) fn point_to_arguments(&self, pointers: &mut Vec<*const c_char>) {
        pointers.clear();
        pointers.extend(self.arguments().iter().map(|at| self.pointer(*at)));
        pointers.push(std::ptr::null());
    }

    /// `more` are set where nothing else sets them.
    pub(super) fn point_to_variables(
        &self,
        shared: &Environment,
        more: &[&CStr],
        pointers: &mut Vec<*const c_char>,
    ) {
        pointers.clear();
        let mut hidden = self.hidden().iter().peekable();
        for (string, index) in shared.0.iter().zip(0..) {
            if hidden.next_if_eq(&&index).is_none() {
                pointers.push(string.as_ptr());
            }
        }
        pointers.extend(self.variables().iter().map(|at| self.pointer(*at)));
        let unset = |one: &&&CStr| self.variable(shared, name_of(one.to_bytes())).is_none();
        pointers.extend(more.iter().filter(unset).map(|one| one.as_ptr()));
        pointers.push(std::ptr::null());
    }

    /// The value of a variable as the child will see it.
    pub(super) fn variable<'a>(&'a self, shared: &'a Environment, name: &[u8]) -> Option<&'a [u8]> {
        self.own(name).or_else(|| {
            let string = shared.0.iter().find(|string| names(string.as_bytes(), name))?;
            Some(&string.as_bytes()[name.len() + 1..])
        })
    }

    pub(super) fn first_argument(&self) -> Option<&CStr> {
        self.arguments().first().map(|at| self.string(*at))
    }

    fn own(&self, name: &[u8]) -> Option<&[u8]> {
        let mut own = self.variables().iter().map(|at| self.string(*at).to_bytes());
        own.find(|string| names(string, name)).map(|string| &string[name.len() + 1..])
    }

    fn string(&self, at: u32) -> &CStr {
        let string = CStr::from_bytes_until_nul(&self.bytes[at as usize..]);
        string.expect("every string was added with its end")
    }

    fn pointer(&self, at: u32) -> *const c_char {
        self.bytes[at as usize..].as_ptr().cast()
    }
}

fn assignment(name: &OsStr, value: &OsStr) -> Option<CString> {
    if name.is_empty() || name.as_bytes().contains(&b'=') {
        return None;
    }
    let mut string = name.to_os_string();
    string.push("=");
    string.push(value);
    CString::new(string.into_vec()).ok()
}

/// Whether an assignment is about this variable.
fn names(assignment: &[u8], name: &[u8]) -> bool {
    assignment.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='))
}

fn name_of(assignment: &[u8]) -> &[u8] {
    assignment.split(|byte| *byte == b'=').next().unwrap_or_default()
}
