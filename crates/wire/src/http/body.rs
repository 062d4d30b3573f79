//! How a body travels, as its head says, and what is seen of it in passing.

use super::mime::{ENOUGH, Encoding, sniff};
use super::names;
use crate::text::number;

/// One body.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub(super) is_chunked: bool,
    encoding: Encoding,
    pub(super) sample: Sample,
    /// The last four bytes: those of a gzip member say how long it is when unpacked.
    tail: [u8; 4],
}

/// The first bytes.
#[derive(Debug, Default)]
pub(super) enum Sample {
    #[default]
    None,
    /// Not enough yet.
    Some(Vec<u8>),
    /// They were looked at, or nobody wants to.
    Done,
    /// A DNS message, as much as has come of it: see [`super::names`].
    Message(Vec<u8>),
}

impl Body {
    /// A field of the head.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            12 if name.eq_ignore_ascii_case(b"content-type") && names::is_message(value) => {
                self.sample = Sample::Message(Vec::new());
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length = self.length.or(number(value)),
            16 if name.eq_ignore_ascii_case(b"content-encoding") => {
                self.encoding = Encoding::from_name(value)
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.is_chunked = value
                    .rsplit(|byte| *byte == b',')
                    .next()
                    .is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            }
            _ => {}
        }
    }

    /// The next bytes: the media type as soon as it can be told.
    pub(super) fn read(&mut self, data: &[u8]) -> Option<&'static str> {
        if self.encoding == Encoding::Gzip {
            match data {
                [.., a, b, c, d] => self.tail = [*a, *b, *c, *d],
                _ => {
                    for byte in data {
                        self.tail.rotate_left(1);
                        self.tail[3] = *byte;
                    }
                }
            }
        }
        match &mut self.sample {
            Sample::Done => None,
            Sample::Message(message) => {
                if message.len() + data.len() > names::LONGEST {
                    self.sample = Sample::Done;
                } else {
                    message.extend_from_slice(data);
                }
                None
            }
            Sample::None if data.len() >= ENOUGH => {
                self.sample = Sample::Done;
                sniff(&data[..ENOUGH], self.encoding)
            }
            Sample::None => {
                self.sample = Sample::Some(data.to_vec());
                None
            }
            Sample::Some(first) => {
                let room = ENOUGH - first.len().min(ENOUGH);
                first.extend_from_slice(&data[..data.len().min(room)]);
                if first.len() < ENOUGH { None } else { self.end() }
            }
        }
    }

    /// It ended, or cannot be followed: the media type, where it was not told before.
    pub(super) fn end(&mut self) -> Option<&'static str> {
        match std::mem::replace(&mut self.sample, Sample::Done) {
            Sample::Some(first) => sniff(&first, self.encoding),
            Sample::None | Sample::Done | Sample::Message(_) => None,
        }
    }

    /// It ended: the DNS message that it was, if that is whole.
    pub(super) fn message(&mut self) -> Option<Vec<u8>> {
        match &mut self.sample {
            Sample::Message(message) if !message.is_empty() => Some(std::mem::take(message)),
            _ => None,
        }
    }

    /// Bytes are missing.
    pub(super) fn miss(&mut self) {
        if let Sample::None | Sample::Message(_) = self.sample {
            self.sample = Sample::Done;
        }
    }

    /// Length when unpacked, by the trailer of gzip (RFC 1952: modulo 2^32).
    pub(super) fn decoded(&self) -> Option<u64> {
        (self.encoding == Encoding::Gzip).then(|| u64::from(u32::from_le_bytes(self.tail)))
    }
}
