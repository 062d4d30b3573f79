//! A file as lines, none longer than a limit.

use std::io::{self, BufRead as _, BufReader, Read};

/// A longer line is no line of a log, in bytes.
const LONGEST: usize = 1 << 20;

pub(super) struct Lines {
    read: BufReader<Box<dyn Read + Send>>,
    buffer: Vec<u8>,
    /// The line that was given last, from 1.
    pub(super) number: u64,
    /// Bytes that were read, as unpacked.
    pub(super) bytes: u64,
}

/// What comes next.
pub(super) enum Line<'a> {
    Text(std::borrow::Cow<'a, str>),
    TooLong,
}

impl Lines {
    pub(super) fn new(read: Box<dyn Read + Send>) -> Self {
        Self {
            read: BufReader::with_capacity(256 << 10, read),
            buffer: Vec::new(),
            number: 0,
            bytes: 0,
        }
    }

    /// The next line, without its end; `None` after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut limited = (&mut self.read).take(LONGEST as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes += read as u64;
        if read > LONGEST && self.buffer.last() != Some(&b'\n') {
            self.skip()?;
            return Ok(Some(Line::TooLong));
        }
        while matches!(self.buffer.last(), Some(b'\n' | b'\r')) {
            self.buffer.pop();
        }
        let text = match self.number {
            1 => self.buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.buffer),
            _ => &self.buffer,
        };
        Ok(Some(Line::Text(String::from_utf8_lossy(text))))
    }

    /// Goes to the end of the line.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let here = self.read.fill_buf()?;
            if here.is_empty() {
                return Ok(());
            }
            let end = here.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(here.len(), |end| end + 1);
            self.read.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_passed_over() {
        let mut text = b"\xef\xbb\xbfone\r\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', LONGEST * 2));
        text.extend(b"\nthree\n\nfive");
        let mut lines = Lines::new(Box::new(io::Cursor::new(text)));
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Text(text) => text.into_owned(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(found, ["one", "too long", "three", "", "five"]);
        assert_eq!(lines.number, 5);
    }
}
