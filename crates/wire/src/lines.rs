//! Pieces of a stream → lines.

use memchr::memchr;

/// Longest line that is kept whole, in bytes with its end; of a longer one so many are kept as they came.
const LONGEST: usize = 4_096;

/// The begin of a line whose end has not come.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    /// Takes the next line off `data`, with what was kept of it before, without its end; `None` where its end has not
    /// come: then all of `data` is taken and kept.
    pub(crate) fn next<'a>(&mut self, data: &mut &'a [u8]) -> Option<Line<'a>> {
        let Some(end) = memchr(b'\n', data) else {
            self.keep(data);
            *data = &[];
            return None;
        };
        let (line, rest) = (&data[..end], &data[end + 1..]);
        *data = rest;
        if self.0.is_empty() {
            return Some(Line::Whole(&line[..line.len().min(LONGEST)]));
        }
        self.keep(line);
        Some(Line::Joined(std::mem::take(&mut self.0)))
    }

    /// No line has begun.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn keep(&mut self, begin: &[u8]) {
        let room = LONGEST - self.0.len().min(LONGEST);
        self.0.extend_from_slice(&begin[..begin.len().min(room)]);
    }
}

/// A line.
pub(crate) enum Line<'a> {
    /// It was in one piece.
    Whole(&'a [u8]),
    /// It was in several.
    Joined(Vec<u8>),
}

impl Line<'_> {
    /// Its bytes, without the carriage return that ends it.
    pub(crate) fn bytes(&self) -> &[u8] {
        let bytes = match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => &bytes[..],
        };
        // Of a line that was cut the end is not among them.
        let whole = bytes.strip_suffix(b"\r").filter(|_| bytes.len() < LONGEST);
        whole.unwrap_or(bytes)
    }
}

/// The code with which a server's line begins (SMTP, FTP), whether it is the last line of an answer, and its text.
pub(crate) fn reply(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = crate::text::number(digits)?;
    let is_last = rest.first() != Some(&b'-');
    Some((
        u16::try_from(code).ok()?,
        is_last,
        rest.get(1..).unwrap_or_default(),
    ))
}

/// What follows a command's name; the name in any case.
pub(crate) fn after<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = line.split_at_checked(name.len())?;
    begin.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_lose_no_byte_before() {
        for (length, kept, end) in [
            (LONGEST - 2, LONGEST - 2, b'a'),
            (LONGEST - 1, LONGEST, b'\r'),
            (LONGEST + 5, LONGEST, b'a'),
        ] {
            let mut data = vec![b'a'; length];
            data.extend_from_slice(b"\r\nnext\r\n");
            for size in [data.len(), 1_000] {
                let (mut lines, mut found) = (Lines::default(), Vec::new());
                for mut piece in data.chunks(size) {
                    while let Some(line) = lines.next(&mut piece) {
                        found.push(line.bytes().to_vec());
                    }
                }
                let [first, second] = &found[..] else {
                    panic!("{} lines", found.len());
                };
                assert_eq!(
                    (first.len(), first.last(), &second[..]),
                    (kept, Some(&end), &b"next"[..])
                );
            }
        }
    }
}
