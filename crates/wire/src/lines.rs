//! Pieces of a stream → lines.

use memchr::memchr;

/// Longest line that is kept, in bytes; the rest of a longer one is left out.
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
    /// Its bytes, without the carriage return.
    pub(crate) fn bytes(&self) -> &[u8] {
        let bytes = match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => &bytes[..],
        };
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
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
