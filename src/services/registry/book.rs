//! Which name means which process. Pure: who lives is known by others, who tell here who has ended.
//!
//! Invariant: a name means one process, a registration has a number that no other ever had, and nothing is in here that
//! could not be shown: names and metadata are bounded.

use crate::exit_code::ExitCode;
use crate::ipc::control::Refusal;
use crate::ipc::registry::{Entry, Process, Why};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

/// So many names at most.
pub const NAMES_MAX: usize = 1 << 16;
/// The longest name, in bytes.
pub const NAME_MAX: usize = 128;
/// So many keys has a name at most.
pub const KEYS_MAX: usize = 32;
/// The longest key, in bytes.
pub const KEY_MAX: usize = 64;
/// All keys and values of one name together are at most so many bytes.
pub const META_MAX: usize = 4096;
/// All names, keys and values together are at most so many bytes.
pub const BYTES_MAX: usize = 16 << 20;

/// Something that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This registration holds from now on, and none before it of its name.
    Added(Entry),
    /// This one holds no more.
    Gone(Entry, Why),
}

/// All names.
#[derive(Debug, Default)]
pub struct Book {
    entries: BTreeMap<String, Entry>,
    names: HashMap<Process, BTreeSet<String>>,
    /// The highest number of a registration so far.
    last: u64,
    /// Of all names, keys and values.
    bytes: usize,
}

impl Book {
    /// Gives a name to a process that lives. `entry` has everything but its number. `None`: that is so already.
    ///
    /// # Errors
    /// A living process has the name; or it is no name; or there is no room.
    pub fn register(&mut self, mut entry: Entry) -> Result<Option<Change>, Refusal> {
        check_name(&entry.name)?;
        check_meta(&entry.meta)?;
        if let Some(there) = self.entries.get(&entry.name) {
            if there.process != entry.process {
                return Err(taken(there, entry.since.0));
            }
            if there.meta == entry.meta {
                return Ok(None);
            }
        }
        let before = self.entries.get(&entry.name).map_or(0, size);
        if before == 0 && self.entries.len() >= NAMES_MAX {
            return Err(full(format!("{NAMES_MAX} names are registered, which is the most")));
        }
        if self.bytes - before + size(&entry) > BYTES_MAX {
            return Err(full(format!("all names and metadata would be more than {BYTES_MAX} bytes")));
        }
        self.last += 1;
        entry.ticket = self.last;
        self.put(entry.clone());
        Ok(Some(Change::Added(entry)))
    }

    /// Takes over what another life of the registry knew.
    pub fn put(&mut self, entry: Entry) {
        if let Some(before) = self.entries.get(&entry.name).map(|there| there.name.clone()) {
            self.take(&before);
        }
        self.last = self.last.max(entry.ticket);
        self.bytes += size(&entry);
        self.names.entry(entry.process).or_default().insert(entry.name.clone());
        self.entries.insert(entry.name.clone(), entry);
    }

    /// Takes a name away; with a `ticket` only if this is its registration.
    ///
    /// # Errors
    /// Nobody has it, or not so.
    pub fn unregister(&mut self, name: &str, ticket: u64) -> Result<Change, Refusal> {
        let there = self.lookup(name)?;
        if ticket != 0 && there.ticket != ticket {
            return Err(not_found(name, "it was registered anew meanwhile"));
        }
        let entry = self.take(name).ok_or_else(|| not_found(name, ""))?;
        Ok(Change::Gone(entry, Why::Unregistered))
    }

    /// A process has ended: all its names go.
    pub fn ended(&mut self, process: Process) -> Vec<Change> {
        let names = self.names.remove(&process).unwrap_or_default();
        let entries = names.iter().filter_map(|name| self.take(name));
        entries.map(|entry| Change::Gone(entry, Why::Died)).collect()
    }

    fn take(&mut self, name: &str) -> Option<Entry> {
        let entry = self.entries.remove(name)?;
        self.bytes -= size(&entry);
        if let Some(names) = self.names.get_mut(&entry.process) {
            names.remove(name);
            if names.is_empty() {
                self.names.remove(&entry.process);
            }
        }
        Some(entry)
    }

    /// Who has this name.
    ///
    /// # Errors
    /// Nobody.
    pub fn lookup(&self, name: &str) -> Result<&Entry, Refusal> {
        self.entries.get(name).ok_or_else(|| not_found(name, "`mainstay registry list` lists what there is"))
    }

    /// What has this name, if anything.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All names that begin so, in order.
    pub fn list(&self, prefix: &str) -> impl Iterator<Item = &Entry> + Clone {
        let from = (Bound::Included(prefix.to_owned()), Bound::Unbounded);
        let prefix = prefix.to_owned();
        self.entries
            .range(from)
            .take_while(move |(name, _)| name.starts_with(&prefix))
            .map(|(_, entry)| entry)
    }

    /// Whether this process has a name.
    pub fn has(&self, process: Process) -> bool {
        self.names.contains_key(&process)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The highest number of a registration so far.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Registrations up to this number were before.
    pub fn begin_after(&mut self, last: u64) {
        self.last = self.last.max(last);
    }
}

fn size(entry: &Entry) -> usize {
    entry.name.len() + meta_size(&entry.meta)
}

fn meta_size(meta: &BTreeMap<String, String>) -> usize {
    meta.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// Whether it can be a name: printable ASCII without blanks, so that a line of a list has one meaning.
///
/// # Errors
/// It cannot, and why.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(usage(format!("a name has 1 to {NAME_MAX} bytes, not {}", name.len())));
    }
    match name.chars().find(|c| !c.is_ascii_graphic()) {
        Some(wrong) => Err(usage(format!("a name cannot have the character {wrong:?}"))),
        None => Ok(()),
    }
}

/// Whether these can be metadata.
///
/// # Errors
/// They cannot, and why.
pub fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if meta.len() > KEYS_MAX {
        return Err(usage(format!("{} keys are more than {KEYS_MAX}", meta.len())));
    }
    for (key, value) in meta {
        let is_key = |c: char| c.is_ascii_graphic() && c != '=';
        if key.is_empty() || key.len() > KEY_MAX || !key.chars().all(is_key) {
            return Err(usage(format!(
                "{key:?} is no key: 1 to {KEY_MAX} bytes of printable ASCII without blanks and `=`"
            )));
        }
        if let Some(wrong) = value.chars().find(|c| c.is_control()) {
            return Err(usage(format!("the value of `{key}` has the character {wrong:?}")));
        }
    }
    let bytes = meta_size(meta);
    if bytes > META_MAX {
        return Err(usage(format!("{bytes} bytes of metadata are more than {META_MAX}")));
    }
    Ok(())
}

fn usage(message: String) -> Refusal {
    Refusal { code: ExitCode::Usage.number(), message, hint: String::new() }
}

fn full(message: String) -> Refusal {
    let hint = "unregister what is not needed: `mainstay registry list` lists it".to_owned();
    Refusal { code: ExitCode::Failed.number(), message, hint }
}

fn not_found(name: &str, hint: &str) -> Refusal {
    let code = ExitCode::NotFound.number();
    Refusal { code, message: format!("nobody is registered as `{name}`"), hint: hint.to_owned() }
}

fn taken(by: &Entry, now: i64) -> Refusal {
    let seconds = (now - by.since.0).max(0) / 1_000_000;
    let of = if by.instance.is_empty() { String::new() } else { format!(" (`{}`)", by.instance) };
    Refusal {
        code: ExitCode::Failed.number(),
        message: format!("`{}` is taken: pid {}{of} has it for {seconds} s", by.name, by.process.pid),
        hint: format!(
            "it becomes free when that process ends, or by `mainstay registry unregister {}`",
            by.name
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    fn entry(name: &str, pid: u32, meta: &[(&str, &str)]) -> Entry {
        Entry {
            name: name.to_owned(),
            process: Process { pid, started: u64::from(pid) * 10, inode: u64::from(pid) + 1000 },
            instance: String::new(),
            uid: 1000,
            ticket: 0,
            since: Wall(1_000_000),
            meta: meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn added(book: &mut Book, entry: Entry) -> u64 {
        match book.register(entry).unwrap() {
            Some(Change::Added(entry)) => entry.ticket,
            other => panic!("{other:?}"),
        }
    }

    fn names(book: &Book, prefix: &str) -> Vec<String> {
        book.list(prefix).map(|entry| entry.name.clone()).collect()
    }

    #[test]
    fn a_name_that_a_living_process_has_is_refused_and_who_has_it_is_said() {
        let mut book = Book::default();
        added(&mut book, Entry { instance: "web#2".into(), ..entry("api", 7, &[]) });
        let refused = book.register(Entry { since: Wall(13_000_000), ..entry("api", 8, &[]) }).unwrap_err();
        assert_eq!(refused.code, 1);
        assert_eq!(refused.message, "`api` is taken: pid 7 (`web#2`) has it for 12 s");
        // Another process that was given the same number is another process.
        let mut later = entry("api", 7, &[]);
        later.process.inode += 1;
        assert!(book.register(later).is_err());
        book.ended(entry("api", 7, &[]).process);
        added(&mut book, entry("api", 8, &[]));
        assert_eq!(book.lookup("api").unwrap().process.pid, 8);
    }

    #[test]
    fn the_same_process_again_replaces_its_metadata_under_a_new_number() {
        let mut book = Book::default();
        let first = added(&mut book, entry("api", 7, &[("port", "80")]));
        assert_eq!(book.register(entry("api", 7, &[("port", "80")])).unwrap(), None);
        let second = added(&mut book, entry("api", 7, &[("port", "81")]));
        assert!(second > first);
        assert_eq!(book.unregister("api", first).unwrap_err().code, 4);
        assert!(matches!(book.unregister("api", second).unwrap(), Change::Gone(_, Why::Unregistered)));
        assert!(book.is_empty() && book.names.is_empty());
        assert_eq!(book.bytes, 0);
    }

    #[test]
    fn with_a_process_all_its_names_go_and_no_others() {
        let mut book = Book::default();
        for (name, pid) in [("a", 1), ("b", 2), ("c", 1), ("d", 3)] {
            added(&mut book, entry(name, pid, &[("key", "value")]));
        }
        let gone = book.ended(entry("", 1, &[]).process);
        let gone: Vec<_> = gone
            .iter()
            .map(|change| match change {
                Change::Gone(entry, Why::Died) => entry.name.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((gone, names(&book, "")), (vec!["a", "c"], vec!["b".to_owned(), "d".to_owned()]));
        assert!(book.ended(entry("", 1, &[]).process).is_empty());
    }

    #[test]
    fn a_prefix_finds_all_that_begin_so_in_order() {
        let mut book = Book::default();
        for name in ["db.2", "db.10", "db", "dc", "da", "web"] {
            added(&mut book, entry(name, 1, &[]));
        }
        assert_eq!(names(&book, "db"), ["db", "db.10", "db.2"]);
        assert_eq!(names(&book, "db."), ["db.10", "db.2"]);
        assert_eq!(names(&book, "x"), [""; 0]);
        assert_eq!(names(&book, "").len(), 6);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let mut book = Book::default();
        let long = "x".repeat(NAME_MAX + 1);
        for name in ["", "two words", "tab\t", "ümlaut", "bell\u{7}", &long] {
            assert_eq!(book.register(entry(name, 1, &[])).unwrap_err().code, 2, "{name:?}");
        }
        let value = "x".repeat(META_MAX);
        for (key, value) in [("", "x"), ("a=b", "x"), ("k", "line\nbreak"), ("k", &value)] {
            assert_eq!(book.register(entry("api", 1, &[(key, value)])).unwrap_err().code, 2, "{key:?}");
        }
        let many: Vec<String> = (0..=KEYS_MAX).map(|at| format!("k{at}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(book.register(entry("api", 1, &many)).unwrap_err().code, 2);
        added(&mut book, entry(&"x".repeat(NAME_MAX), 1, &[("url", "http://[::1]:80/ä b?x=y")]));
    }

    #[test]
    fn there_are_65_536_names_and_not_one_more() {
        let mut book = Book::default();
        for at in 0..NAMES_MAX {
            added(&mut book, entry(&at.to_string(), 1, &[]));
        }
        assert_eq!(book.register(entry("one-more", 1, &[])).unwrap_err().code, 1);
        // One that is there may have other metadata.
        added(&mut book, entry("7", 1, &[("k", "v")]));
        book.unregister("7", 0).unwrap();
        added(&mut book, entry("one-more", 1, &[]));
    }

    #[test]
    fn beyond_its_room_the_book_says_that_it_is_full() {
        let mut book = Book::default();
        let value = "x".repeat(META_MAX - 1);
        let fits = BYTES_MAX / (META_MAX + 8);
        for at in 0..fits {
            added(&mut book, entry(&format!("n{at:07}"), 1, &[("k", &value)]));
        }
        assert_eq!(book.register(entry("one-more", 1, &[("k", &value)])).unwrap_err().code, 1);
        added(&mut book, entry("small", 1, &[]));
        // One that is replaced needs no more than it had.
        added(&mut book, entry("n0000000", 1, &[("k", "")]));
        added(&mut book, entry("one-more", 1, &[("k", &value)]));
    }
}
