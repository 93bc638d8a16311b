//! What is noted of a whole life by programs that link nothing: `mainstay note`, and telemetry for those that have not
//! inherited the box. They end at once, so they have one lane in common instead of one each.
//!
//! Whoever writes it holds a lock on the memory, which ends with its process. The service could hold it, too; so it is
//! tried for a while and not waited for.

use super::layout::CELLS;
use super::record::lane::{KEY_COUNT, KEY_TEXT};
use super::text::Packed;
use super::writer::Noter;
use crate::sys::mapped::Mapped;
use crate::sys::memory;
use std::io;
use std::os::fd::BorrowedFd;
use std::thread;

/// So often is tried to get the lock.
const TRIES: usize = 1000;

/// Notes keys and values of the whole life in the box behind this descriptor: each key once, its newest value. How many
/// found no room beside the 16 that there may be.
///
/// # Errors
/// It is no box (`InvalidInput`), it cannot be locked (`WouldBlock`), or all its lanes belong to living threads
/// (`StorageFull`).
pub fn note(blackbox: BorrowedFd<'_>, pairs: &[(String, String)]) -> io::Result<usize> {
    if memory::fixed_size(blackbox)? != Some(CELLS as u64 * 8) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no black box"));
    }
    let locked = (0..TRIES).find_map(|_| {
        let locked = memory::lock(blackbox).transpose();
        if locked.is_none() {
            thread::yield_now();
        }
        locked
    });
    let _locked = locked.ok_or(io::ErrorKind::WouldBlock)??;
    let words = Mapped::<CELLS>::new(blackbox)?;
    let noter = Noter::new(&words).ok_or(io::ErrorKind::InvalidInput)?;
    let lane = noter.lane_of_the_life().ok_or(io::ErrorKind::StorageFull)?;
    let mut known: Vec<Option<String>> = (0..KEY_COUNT).map(|at| lane.key(at)).collect();
    let mut without_room = 0;
    for (key, value) in pairs.iter().filter(|(key, _)| !key.is_empty()) {
        let mut text = Packed::<KEY_TEXT>::new(key);
        text.append(value.as_str());
        let (key, _) = text.halves();
        let same = known.iter().position(|known| known.as_deref() == Some(&key));
        let Some(at) = same.or_else(|| known.iter().position(Option::is_none)) else {
            without_room += 1;
            continue;
        };
        lane.set_key(at, &text);
        known[at] = Some(key);
    }
    Ok(without_room)
}

#[cfg(test)]
mod tests {
    use super::super::BlackBox;
    use super::*;
    use crate::sys::shared;
    use std::os::fd::AsFd;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn noted(of: &BlackBox) -> Vec<(String, String)> {
        let contexts = of.image().unwrap().contexts();
        assert!(
            contexts.len() <= 1 && contexts.iter().all(|context| (context.process, context.thread) == (0, 0))
        );
        contexts.into_iter().flat_map(|context| context.keys).collect()
    }

    #[test]
    fn notes_of_many_programs_are_in_one_place_and_the_newest_stands() {
        let of = BlackBox::make().unwrap();
        for step in ["1", "2"] {
            note(of.as_fd(), &pairs(&[("step", step), ("order", "A-1042")])).unwrap();
        }
        note(of.as_fd(), &pairs(&[("", "nothing"), ("file", "a\nb")])).unwrap();
        let expected = pairs(&[("step", "2"), ("order", "A-1042")]);
        assert_eq!(noted(&of)[..2], expected);
        assert_eq!((noted(&of).len(), of.image().unwrap().torn()), (3, 0));
    }

    #[test]
    fn the_seventeenth_key_finds_no_room_and_known_ones_do() {
        let of = BlackBox::make().unwrap();
        let many: Vec<_> = (0..20).map(|n| (format!("key{n}"), n.to_string())).collect();
        assert_eq!(note(of.as_fd(), &many).unwrap(), 4);
        assert_eq!(note(of.as_fd(), &pairs(&[("key3", "new"), ("other", "x")])).unwrap(), 1);
        assert_eq!(noted(&of).len(), 16);
        assert!(noted(&of).contains(&("key3".to_owned(), "new".to_owned())));
    }

    #[test]
    fn whoever_holds_the_lock_is_not_waited_for_and_other_memory_is_left_alone() {
        let of = BlackBox::make().unwrap();
        let held = memory::lock(of.as_fd()).unwrap().unwrap();
        let error = note(of.as_fd(), &pairs(&[("a", "b")])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        note(of.as_fd(), &pairs(&[("a", "b")])).unwrap();
        let other = memory::zeroed("other", CELLS as u64 * 8).unwrap();
        assert_eq!(note(other.as_fd(), &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let small = memory::zeroed("small", 4096).unwrap();
        assert_eq!(note(small.as_fd(), &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn threads_that_need_lanes_leave_that_of_the_life_alone() {
        let of = BlackBox::make().unwrap();
        note(of.as_fd(), &pairs(&[("a", "b")])).unwrap();
        let words = shared::map::<CELLS>(of.as_fd()).unwrap();
        let noter = Noter::new(words).unwrap();
        // Of a process that does not live: each is taken over by the next.
        let owner = |number: u64| (u64::from(u32::MAX >> 1) << 32) | number;
        assert!((2..200).all(|number| noter.lane(owner(number), &[0; 16]).is_some()));
        let contexts = of.image().unwrap().contexts();
        let life = contexts.iter().find(|context| context.process == 0).unwrap();
        assert_eq!(life.keys, pairs(&[("a", "b")]));
    }
}
