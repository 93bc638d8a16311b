//! The terminal of a foreground run. A terminal may stop (Ctrl-S) for hours; draining may not.
//!
//! So each output has a thread of its own behind a bounded queue: what does not fit is dropped, counted, and
//! the count is printed when there is room again. The logs have it all anyway. An output that is gone (EPIPE)
//! ends its printing quietly. What is printed in one turn of the loop goes to the thread in one piece: a thousand deaths at
//! once must not wake it two thousand times.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// The most bytes that wait for one output.
const QUEUE: usize = 256 << 10;
/// The most pieces that wait.
const PIECES: usize = 1024;
/// A piece of so many bytes does not wait for the end of the turn.
const PIECE: usize = 8 << 10;

/// One output.
#[derive(Debug)]
pub(super) struct Printer {
    sender: Option<SyncSender<Vec<u8>>>,
    queued: Arc<AtomicUsize>,
    finished: Receiver<()>,
    /// The next piece, and how many lines it has.
    piece: (Vec<u8>, u64),
    missed: u64,
}

impl Printer {
    /// Starts printing to `output`.
    pub(super) fn new(output: OwnedFd) -> io::Result<Printer> {
        let (sender, pieces) = sync_channel::<Vec<u8>>(PIECES);
        let (done, finished) = sync_channel::<()>(1);
        let queued = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&queued);
        std::thread::Builder::new().name("print".into()).stack_size(64 << 10).spawn(move || {
            for piece in pieces {
                if write_all(&output, &piece).is_err() {
                    break;
                }
                taken.fetch_sub(piece.len(), Ordering::Relaxed);
            }
            let _ = done.send(());
        })?;
        Ok(Printer { sender: Some(sender), queued, finished, piece: (Vec::new(), 0), missed: 0 })
    }

    /// Prints `lines` whole lines at the next [`Printer::flush`], at the latest.
    pub(super) fn print(&mut self, text: &[u8], lines: u64) {
        let piece = &mut self.piece;
        piece.0.extend_from_slice(text);
        piece.1 += lines;
        if piece.0.len() >= PIECE {
            self.flush();
        }
    }

    /// Prints what was given so far, or drops and counts it.
    pub(super) fn flush(&mut self) {
        let (mut piece, lines) = std::mem::take(&mut self.piece);
        let Some(sender) = self.sender.as_ref().filter(|_| !piece.is_empty()) else { return };
        if self.missed > 0 {
            let mut note =
                format!("… {} lines not shown here; they are in the logs\n", self.missed).into_bytes();
            note.append(&mut piece);
            piece = note;
        }
        let length = piece.len();
        if self.queued.load(Ordering::Relaxed) + length > QUEUE {
            self.missed += lines;
            return;
        }
        self.queued.fetch_add(length, Ordering::Relaxed);
        match sender.try_send(piece) {
            Ok(()) => self.missed = 0,
            Err(TrySendError::Full(_)) => {
                self.queued.fetch_sub(length, Ordering::Relaxed);
                self.missed += lines;
            }
            Err(TrySendError::Disconnected(_)) => self.sender = None,
        }
    }

    /// Prints what waits, for at most `within`.
    pub(super) fn finish(mut self, within: Duration) {
        self.flush();
        self.sender = None;
        let _ = self.finished.recv_timeout(within);
    }
}

/// Writes everything, also to a description that somebody made non-blocking.
fn write_all(output: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    while !bytes.is_empty() {
        match rustix::io::write(output, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&output.as_fd(), PollFlags::OUT)], None);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_blocked_output_drops_and_counts_and_goes_on() {
        let (mut read, write) = io::pipe().unwrap();
        let mut printer = Printer::new(write.into()).unwrap();
        let line = vec![b'x'; 9_999];
        for _ in 0..1000 {
            // Nobody reads: this would never end if it waited for the output.
            printer.print(&[&line[..], b"\n"].concat(), 1);
        }
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            read.read_to_end(&mut all).map(|_| all).unwrap()
        });
        while printer.missed > 0 {
            printer.print(b"again\n", 0);
            printer.flush();
            std::thread::yield_now();
        }
        printer.finish(Duration::from_secs(60));
        let all = String::from_utf8(reader.join().unwrap()).unwrap();
        let shown = all.lines().filter(|line| line.len() == 9_999).count() as u64;
        // More than one note: a thread that begins late empties the queue into the pipe while it is being filled.
        let noted = all.lines().filter_map(|line| {
            line.strip_prefix("… ")?.strip_suffix(" lines not shown here; they are in the logs")
        });
        let missed: u64 = noted.map(|number| number.parse::<u64>().unwrap()).sum();
        assert_eq!(shown + missed, 1000);
        // All but what the queue and the pipe hold.
        assert!(missed > 900, "{missed}");
    }

    #[test]
    fn lines_of_one_turn_go_out_together_and_many_do_not_wait_for_its_end() {
        let (mut read, write) = io::pipe().unwrap();
        let mut printer = Printer::new(write.into()).unwrap();
        printer.print(b"one\n", 1);
        printer.print(b"two\n", 1);
        assert_eq!(printer.queued.load(Ordering::Relaxed), 0);
        printer.flush();
        let mut both = [0; 8];
        assert_eq!(read.read(&mut both).unwrap(), 8);
        assert_eq!(&both, b"one\ntwo\n");
        let line = [&[b'x'; 99][..], b"\n"].concat();
        for _ in 0..PIECE.div_ceil(line.len()) {
            printer.print(&line, 1);
        }
        assert!(printer.piece.0.len() < PIECE, "many lines wait");
        let mut many = vec![0; PIECE];
        read.read_exact(&mut many).unwrap();
        printer.print(b"end\n", 1);
        printer.finish(Duration::from_secs(60));
        let mut rest = Vec::new();
        read.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(b"x\nend\n"));
    }

    #[test]
    fn an_output_that_is_gone_ends_printing_quietly() {
        let (read, write) = io::pipe().unwrap();
        let mut printer = Printer::new(write.into()).unwrap();
        drop(read);
        while printer.sender.is_some() {
            printer.print(b"x\n", 1);
            printer.flush();
        }
        printer.print(b"x\n", 1);
        printer.finish(Duration::from_secs(60));
    }
}
