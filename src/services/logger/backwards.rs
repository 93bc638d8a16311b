//! A file's lines from its end, so that the newest are found without reading the rest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once, at first.
const BLOCK: u64 = 16 << 10;

/// Lines of a file, newest first.
#[derive(Debug)]
pub struct Backwards<'a> {
    file: &'a File,
    /// Where `rest` begins in the file.
    at: u64,
    /// What was read and not handed out yet.
    rest: Vec<u8>,
    /// How many more bytes it may read.
    budget: u64,
}

impl<'a> Backwards<'a> {
    /// The lines before `end`. At most about `budget` bytes are read: then it is as if the file began there.
    pub fn new(file: &'a File, end: u64, budget: u64) -> Backwards<'a> {
        Backwards { file, at: end, rest: Vec::new(), budget }
    }

    /// Puts the line before into `line`, without its newline; false when there is none.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let mut searched = 0;
        loop {
            // The newline at the very end belongs to the line that is looked for.
            let before_last = self.rest.len().saturating_sub(1).saturating_sub(searched);
            if let Some(newline) = memchr::memrchr(b'\n', &self.rest[..before_last]) {
                self.hand_out(newline + 1, line);
                return Ok(true);
            }
            searched = self.rest.len().saturating_sub(1);
            if self.at == 0 || self.budget == 0 {
                let some = !self.rest.is_empty();
                self.hand_out(0, line);
                return Ok(some);
            }
            let block = BLOCK.max(self.rest.len() as u64).min(self.at).min(self.budget);
            let mut read = vec![0; block as usize];
            self.file.read_exact_at(&mut read, self.at - block)?;
            read.append(&mut self.rest);
            self.rest = read;
            self.at -= block;
            self.budget -= block;
        }
    }

    fn hand_out(&mut self, from: usize, line: &mut Vec<u8>) {
        line.clear();
        line.extend_from_slice(&self.rest[from..]);
        self.rest.truncate(from);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(content: &[u8], budget: u64, expected: &[&[u8]]) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut lines = Backwards::new(&file, content.len() as u64, budget);
        let (mut line, mut found) = (Vec::new(), Vec::new());
        while lines.next(&mut line).unwrap() {
            found.push(line.clone());
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_come_newest_first_finished_or_not() {
        check(b"", 100, &[]);
        check(b"\n", 100, &[b""]);
        check(b"a\n\nbc", 100, &[b"bc", b"", b"a"]);
        check(b"a\nbc\n", 100, &[b"bc", b"a"]);
        check(b"abc\ndef\n", 6, &[b"def", b"c"]);
    }

    #[test]
    fn a_line_longer_than_many_blocks_is_whole() {
        let long = vec![b'x'; 300_000];
        let mut content = b"first\n".to_vec();
        content.extend_from_slice(&long);
        content.extend_from_slice(b"\nlast\n");
        check(&content, 1 << 20, &[b"last", &long, b"first"]);
    }
}
