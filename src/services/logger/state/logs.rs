//! The logs of services: each is known as long as one of its instances is.

use super::super::file::LogFile;
use super::super::line::Which;
use std::collections::HashMap;
use std::ops::{Index, IndexMut};

/// The log of one service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) file: LogFile,
    /// Whose unfinished line the file ends with.
    pub(super) open: Option<(u32, Which)>,
    instances: u32,
}

/// All of them, by a place that a log keeps while it is known.
#[derive(Debug, Default)]
pub(super) struct Logs {
    places: Vec<Option<Service>>,
    free: Vec<usize>,
    names: HashMap<Box<str>, usize>,
}

impl Logs {
    /// The settings of a log have changed.
    pub(super) fn set(&mut self, name: &str, max_size: u64, files: u32) {
        if let Some(&place) = self.names.get(name) {
            (self[place].file.max_size, self[place].file.files) = (max_size, files);
        }
    }

    /// One more instance writes into the log called `name`; the log's place.
    pub(super) fn join(&mut self, name: &str, max_size: u64, files: u32) -> usize {
        self.set(name, max_size, files);
        let place = match self.names.get(name) {
            Some(&place) => place,
            None => {
                let service = Service { file: LogFile::new(name, max_size, files), open: None, instances: 0 };
                let place = self.free.pop().unwrap_or_else(|| {
                    self.places.push(None);
                    self.places.len() - 1
                });
                self.places[place] = Some(service);
                self.names.insert(name.into(), place);
                place
            }
        };
        self[place].instances += 1;
        place
    }

    /// One instance less writes into it. After the last one its descriptor is closed; all is forgotten but how many
    /// bytes were dropped, which is written before the next line.
    pub(super) fn part(&mut self, place: usize) {
        let service = &mut self[place];
        service.instances -= 1;
        if service.instances > 0 {
            return;
        }
        service.file.close();
        if service.file.dropped.is_none() {
            let name: Box<str> = service.file.name().into();
            self.names.remove(&name);
            self.places[place] = None;
            self.free.push(place);
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.places.iter_mut().flatten()
    }
}

impl Index<usize> for Logs {
    type Output = Service;

    fn index(&self, place: usize) -> &Service {
        self.places[place].as_ref().expect("a log is known as long as an instance of it is")
    }
}

impl IndexMut<usize> for Logs {
    fn index_mut(&mut self, place: usize) -> &mut Service {
        self.places[place].as_mut().expect("a log is known as long as an instance of it is")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_as_long_as_an_instance_of_it_is() {
        let mut logs = Logs::default();
        let web = logs.join("web", 100, 5);
        assert_eq!((logs.join("web", 200, 6), logs.join("worker", 100, 5)), (web, 1));
        assert_eq!((logs[web].file.max_size, logs[web].file.files), (200, 6));
        logs.set("web", 300, 7);
        logs.part(web);
        assert_eq!((logs[web].file.max_size, logs[web].file.files), (300, 7));
        logs.part(web);
        assert_eq!(logs.iter_mut().count(), 1);
        assert_eq!(logs.join("mailer", 100, 5), web, "the place is given again");
        assert_eq!((logs[web].file.name(), logs.names.len()), ("mailer", 2));
        // Bytes that were dropped are still to be said.
        logs[web].file.dropped = Some((7, "full".into()));
        logs.part(web);
        assert_eq!(logs.join("mailer", 100, 5), web);
        assert!(logs[web].file.dropped.is_some());
    }
}
