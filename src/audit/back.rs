//! The lines of a file from its end to its beginning, in bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A longer line is none of ours: a change of every flag of a large board is far shorter.
pub(super) const LINE_MAX: usize = 16 << 20;
/// So much is read at once.
const BLOCK: u64 = 64 << 10;

/// Whole lines from the last to the first, without their newlines. What is behind the last newline is no line.
///
/// Ends early, with an error, at a line longer than [`LINE_MAX`], and when the file shrinks meanwhile.
pub(super) struct Back<'a> {
    file: &'a File,
    /// Everything before this is not read yet.
    at: u64,
    /// Read, and not given out: lines with their newlines, but for the first, which may begin earlier.
    held: Vec<u8>,
    over: bool,
}

impl<'a> Back<'a> {
    /// Of a file of this length. The second: how many bytes stand behind its last newline.
    pub(super) fn new(file: &'a File, length: u64) -> io::Result<(Back<'a>, u64)> {
        let mut back = Back { file, at: length, held: Vec::new(), over: false };
        let mut torn = 0;
        while let Some(block) = back.read_block()? {
            match block.iter().rposition(|&byte| byte == b'\n') {
                Some(newline) => {
                    torn += (block.len() - newline - 1) as u64;
                    back.held = block[..=newline].to_vec();
                    return Ok((back, torn));
                }
                None => torn += block.len() as u64,
            }
        }
        Ok((back, torn))
    }

    /// The block before what was read; `None` at the beginning.
    fn read_block(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = self.at.min(BLOCK);
        if length == 0 {
            return Ok(None);
        }
        let mut block = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut block, self.at - length)?;
        self.at -= length;
        Ok(Some(block))
    }

    fn step(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(body) = self.held.len().checked_sub(1) else { return Ok(None) };
        // Looked at once, however long the line is: only what is new is searched.
        let mut unseen = body;
        loop {
            if let Some(newline) = self.held[..unseen].iter().rposition(|&byte| byte == b'\n') {
                let line = self.held[newline + 1..self.held.len() - 1].to_vec();
                self.held.truncate(newline + 1);
                return Ok(Some(line));
            }
            if self.held.len() > LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
            }
            let Some(mut block) = self.read_block()? else {
                let mut line = std::mem::take(&mut self.held);
                line.pop();
                return Ok(Some(line));
            };
            unseen = block.len();
            block.append(&mut self.held);
            self.held = block;
        }
    }
}

impl Iterator for Back<'_> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.over {
            return None;
        }
        let stepped = self.step();
        self.over = !matches!(stepped, Ok(Some(_)));
        stepped.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(content: &[u8], expected: &[&[u8]], torn: u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let (back, behind) = Back::new(&file, content.len() as u64).unwrap();
        let lines: Vec<_> = back.map(Result::unwrap).collect();
        assert!(lines.iter().map(Vec::as_slice).eq(expected.iter().copied()), "{} lines", lines.len());
        assert_eq!(behind, torn);
    }

    #[test]
    fn lines_come_from_the_last_to_the_first_wherever_blocks_end() {
        check(b"", &[], 0);
        check(b"torn", &[], 4);
        check(b"\n", &[b""], 0);
        check(b"a\n\nb\n", &[b"b", b"", b"a"], 0);
        check(b"a\nb", &[b"a"], 1);
        for length in [BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let (long, short) = (vec![b'x'; length as usize], b"y".to_vec());
            let content = [&short[..], b"\n", &long, b"\n", &short, b"\n", &long].concat();
            check(&content, &[&short, &long, &short], length);
        }
    }

    #[test]
    fn a_line_without_an_end_is_an_error_and_not_all_of_memory() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"\n", LINE_MAX as u64 * 4).unwrap();
        let (mut back, _) = Back::new(&file, LINE_MAX as u64 * 4 + 1).unwrap();
        assert_eq!(back.next().unwrap().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(back.next().is_none());
    }
}
