//! CSV from anywhere, row by row, within bounds.
//!
//! Separators are found in the header's own line (comma, semicolon, tab, bar). A row without quotes is cut where it
//! lies; only quoted ones are copied. What is broken costs its own line: a quote that is never closed, or that closes
//! somewhere in a later row so that the columns do not agree, does not swallow what follows.

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter};

/// Longest row, in bytes. A longer one is left out.
pub const MAX_ROW: usize = 1 << 20;
/// Most columns of a table.
pub const MAX_COLUMNS: usize = 1_000;
/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Rows left out before a file with more bad rows than good ones is given up.
const TOO_MANY: u64 = 10_000;

/// What is wrong with a row, or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is longer than [`MAX_ROW`], or a quote in it is not closed for so long.
    TooLong,
    /// It has so many columns where the header has another number.
    Columns {
        /// Columns of this row; counted up to [`MAX_COLUMNS`] and one.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
}

/// Why a file cannot be read as a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The system says so.
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
    /// No header, no row.
    #[error("it is empty")]
    Empty,
    /// More columns than anybody's table has.
    #[error("line {line}: more than {MAX_COLUMNS} columns; is it a table with a header?")]
    TooManyColumns {
        /// Where.
        line: u64,
    },
    /// The header is longer than a row may be.
    #[error("line {line}: the header is longer than {MAX_ROW} bytes; is it a table with a header?")]
    HeaderTooLong {
        /// Where.
        line: u64,
    },
    /// Two bytes a character.
    #[error("it is UTF-16; save it as UTF-8 (“CSV UTF-8” in spreadsheets)")]
    Utf16,
    /// Nearly nothing in it is a row of its table.
    #[error("line {line}: more rows are broken than whole; the first broken one is in line {first}")]
    Hopeless {
        /// Where reading stopped.
        line: u64,
        /// The first bad row.
        first: u64,
    },
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    bytes: &'a [u8],
    cells: &'a [Range<usize>],
}

impl<'a> Row<'a> {
    /// A cell as it stands in the file, without its quotes; empty where there is none.
    pub(super) fn cell(&self, column: usize) -> &'a [u8] {
        let range = self.cells.get(column).cloned().unwrap_or(0..0);
        self.bytes.get(range).unwrap_or_default()
    }

    /// Every cell.
    #[cfg(test)]
    pub(super) fn cells(&self) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        self.cells
            .iter()
            .map(move |range| bytes.get(range.clone()).unwrap_or_default())
    }
}

/// What comes next in a table.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// A row with as many columns as the header.
    Row(Row<'a>),
    /// A row that is left out.
    Bad {
        /// The line in which it begins.
        line: u64,
        /// What is wrong.
        flaw: Flaw,
    },
    /// That was all.
    End,
}

/// Reads a table.
pub(super) struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    /// What of the buffer is still to be read.
    rest: Range<usize>,
    at_end: bool,
    /// The line in which `rest` begins.
    line: u64,
    delimiter: u8,
    /// Columns of the header; `None` before it was read.
    columns: Option<usize>,
    cells: Vec<Range<usize>>,
    /// A row without its quotes.
    unquoted: Vec<u8>,
    good: u64,
    bad: u64,
    first_bad: u64,
}

/// Where a row was found.
enum Found {
    /// In the buffer, from `rest.start`: its length with the line's end, and how many lines it spans.
    Plain(usize, u64),
    /// In `unquoted`.
    Quoted(usize, u64),
    TooLong,
    End,
}

impl<R: Read> Records<R> {
    /// Begins to read; the first row is the header ([`Records::header`]).
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            rest: 0..0,
            at_end: false,
            line: 1,
            delimiter: b',',
            columns: None,
            cells: Vec::new(),
            unquoted: Vec::new(),
            good: 0,
            bad: 0,
            first_bad: 0,
        }
    }

    /// The header, which decides what separates cells. Leading empty lines are passed over.
    ///
    /// # Errors
    /// When there is none that a table could have.
    pub(super) fn header(&mut self) -> Result<Vec<Vec<u8>>, TableError> {
        self.fill_line()?;
        let start = &self.buffer[self.rest.clone()];
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(TableError::Utf16);
        }
        if start.starts_with(b"\xef\xbb\xbf") {
            self.rest.start += 3;
        }
        self.skip_empty_lines()?;
        self.fill_line()?;
        let first = first_line(&self.buffer[self.rest.clone()]);
        match first {
            // What Excel writes for itself.
            [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => {
                self.delimiter = *delimiter;
                self.pass(first.len());
                self.skip_empty_lines()?;
            }
            first => self.delimiter = delimiter_of(first),
        }
        let line = self.line;
        let (bytes, length, lines) = match self.find()? {
            Found::Plain(length, lines) => (&self.buffer[self.rest.clone()], length, lines),
            Found::Quoted(length, lines) => (&self.unquoted[..], length, lines),
            Found::TooLong => return Err(TableError::HeaderTooLong { line }),
            Found::End => return Err(TableError::Empty),
        };
        if self.cells.len() > MAX_COLUMNS {
            return Err(TableError::TooManyColumns { line });
        }
        let cells = self.cells.iter().map(|range| bytes[range.clone()].to_vec());
        let header = cells.collect::<Vec<_>>();
        self.columns = Some(header.len());
        self.advance(length, lines);
        Ok(header)
    }

    /// The next row. Empty lines are passed over.
    ///
    /// # Errors
    /// When the file cannot be read further, or is no table.
    pub(super) fn next(&mut self) -> Result<Next<'_>, TableError> {
        self.skip_empty_lines()?;
        let line = self.line;
        let expected = self.columns.unwrap_or_default();
        let (quoted, length, lines) = match self.find()? {
            Found::End => return Ok(Next::End),
            Found::TooLong => return self.leave_out(line, Flaw::TooLong),
            Found::Plain(length, lines) => (false, length, lines),
            Found::Quoted(length, lines) => (true, length, lines),
        };
        let found = self.cells.len();
        if found != expected {
            let flaw = Flaw::Columns { found, expected };
            if lines > 1 {
                // A quote swallowed the lines after it: only the first is to blame.
                return self.leave_out(line, flaw);
            }
            self.advance(length, lines);
            return self.bad(line, flaw);
        }
        self.good += 1;
        let begin = self.rest.start;
        self.advance(length, lines);
        let bytes = match quoted {
            true => &self.unquoted[..],
            false => &self.buffer[begin..],
        };
        Ok(Next::Row(Row {
            bytes,
            cells: &self.cells,
        }))
    }

    /// Leaves out what is up to the end of this line.
    fn leave_out(&mut self, line: u64, flaw: Flaw) -> Result<Next<'_>, TableError> {
        loop {
            match memchr(b'\n', &self.buffer[self.rest.clone()]) {
                Some(end) => {
                    self.advance(end + 1, 1);
                    break;
                }
                None => {
                    self.rest.start = self.rest.end;
                    if !self.fill(CHUNK)? {
                        break;
                    }
                }
            }
        }
        self.bad(line, flaw)
    }

    fn bad(&mut self, line: u64, flaw: Flaw) -> Result<Next<'_>, TableError> {
        if self.bad == 0 {
            self.first_bad = line;
        }
        self.bad += 1;
        if self.bad > TOO_MANY && self.bad > self.good {
            let first = self.first_bad;
            return Err(TableError::Hopeless { line, first });
        }
        Ok(Next::Bad { line, flaw })
    }

    fn advance(&mut self, length: usize, lines: u64) {
        self.rest.start += length;
        self.line += lines;
    }

    /// Passes over so many bytes and the end of their line.
    fn pass(&mut self, length: usize) {
        self.rest.start = (self.rest.start + length).min(self.rest.end);
        if let Some(end) = memchr(b'\n', &self.buffer[self.rest.clone()]) {
            self.advance(end + 1, 1);
        }
    }

    fn skip_empty_lines(&mut self) -> Result<(), TableError> {
        loop {
            let rest = &self.buffer[self.rest.clone()];
            match rest {
                [b'\n', ..] => self.advance(1, 1),
                [b'\r', b'\n', ..] => self.advance(2, 1),
                [] | [b'\r'] => {
                    if !self.fill(CHUNK)? {
                        self.rest.start = self.rest.end;
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Finds the row at the beginning of what is left, and cuts it into cells.
    fn find(&mut self) -> Result<Found, TableError> {
        loop {
            let rest = &self.buffer[self.rest.clone()];
            if rest.is_empty() && self.at_end {
                return Ok(Found::End);
            }
            let end = memchr(b'\n', rest).or(self.at_end.then_some(rest.len()));
            if let Some(end) = end {
                let line = &rest[..end];
                if memchr(b'"', line).is_none() {
                    if line.len() > MAX_ROW {
                        return Ok(Found::TooLong);
                    }
                    cut(line, self.delimiter, &mut self.cells);
                    return Ok(Found::Plain((end + 1).min(rest.len()), 1));
                }
                let most = &rest[..rest.len().min(MAX_ROW)];
                self.unquoted.clear();
                let ended = self.at_end && most.len() == rest.len();
                if let Some((length, lines)) =
                    unquote(most, self.delimiter, ended, &mut self.unquoted, &mut self.cells)
                {
                    return Ok(Found::Quoted(length, lines));
                }
            }
            if self.rest.len() > MAX_ROW {
                return Ok(Found::TooLong);
            }
            if !self.fill(CHUNK)? && end.is_some() {
                // The last row, with a quote that is never closed.
                return Ok(Found::TooLong);
            }
        }
    }

    /// Reads until the line at the beginning of what is left is there, or is too long.
    fn fill_line(&mut self) -> Result<(), TableError> {
        while self.rest.len() <= MAX_ROW && memchr(b'\n', &self.buffer[self.rest.clone()]).is_none() {
            if !self.fill(CHUNK)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads more behind what is left; false where there is no more.
    fn fill(&mut self, more: usize) -> Result<bool, TableError> {
        if self.at_end {
            return Ok(false);
        }
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        let end = self.rest.end;
        // What is left doubles at most, so that a long row is not looked through again and again.
        self.buffer.resize(end + more.max(end), 0);
        loop {
            match self.input.read(&mut self.buffer[end..]) {
                Ok(0) => {
                    self.at_end = true;
                    return Ok(false);
                }
                Ok(length) => {
                    self.rest.end = end + length;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The first line, without its end.
fn first_line(bytes: &[u8]) -> &[u8] {
    let line = &bytes[..memchr(b'\n', bytes).unwrap_or(bytes.len())];
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What separates the cells of this header: what it has most of outside quotes.
fn delimiter_of(header: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in header.iter().take(MAX_ROW) {
        if *byte == b'"' {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(known, _)| known == byte) {
            *count += 1;
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(b',', |(delimiter, _)| *delimiter)
}

/// Cuts a line without quotes.
fn cut(line: &[u8], delimiter: u8, cells: &mut Vec<Range<usize>>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    cells.clear();
    let mut begin = 0;
    for end in memchr_iter(delimiter, line) {
        cells.push(begin..end);
        begin = end + 1;
        if cells.len() > MAX_COLUMNS {
            return;
        }
    }
    cells.push(begin..line.len());
}

/// Cuts a row with quotes: its length with the line's end, and how many lines it spans. `None` where it does not end
/// in these bytes. `ended`: nothing comes after them.
fn unquote(
    bytes: &[u8],
    delimiter: u8,
    ended: bool,
    text: &mut Vec<u8>,
    cells: &mut Vec<Range<usize>>,
) -> Option<(usize, u64)> {
    cells.clear();
    let (mut place, mut begin, mut lines) = (0, 0, 1);
    // How long the text was after a carriage return outside quotes: one before the line's end belongs to that.
    let mut returned = usize::MAX;
    loop {
        // At the beginning of a cell.
        let mut quoted = bytes.get(place) == Some(&b'"');
        place += usize::from(quoted);
        loop {
            let Some(&byte) = bytes.get(place) else {
                let done = ended && !quoted;
                if done && cells.len() <= MAX_COLUMNS {
                    cells.push(begin..text.len());
                }
                return done.then_some((place, lines));
            };
            place += 1;
            match byte {
                b'"' if quoted => match bytes.get(place) {
                    Some(b'"') => {
                        text.push(b'"');
                        place += 1;
                    }
                    None if !ended => return None,
                    // Whatever comes between here and the separator belongs to the cell.
                    _ => quoted = false,
                },
                b'\n' if quoted => {
                    text.push(byte);
                    lines += 1;
                }
                b'\n' => {
                    if text.len() == returned {
                        text.pop();
                    }
                    cells.push(begin..text.len());
                    return Some((place, lines));
                }
                byte if byte == delimiter && !quoted => {
                    if cells.len() <= MAX_COLUMNS {
                        cells.push(begin..text.len());
                        begin = text.len();
                    }
                    break;
                }
                byte => {
                    text.push(byte);
                    if byte == b'\r' && !quoted {
                        returned = text.len();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
