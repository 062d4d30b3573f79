//! What can be wrong with a capture file.

use std::io;

/// Why a capture cannot be read (on). Records are counted from 1, bytes from 0, within the unpacked file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum CaptureError {
    #[error("the file is empty; a capture has a header even when it has no packets")]
    Empty,
    #[error(
        "not a capture: it begins with {begin}, as neither pcap, pcapng nor snoop do, nor gzip or zstd around one; \
         other formats can be converted with `editcap -F pcapng IN OUT`"
    )]
    NotACapture { begin: String },
    #[error("{format} version {major}.{minor} at byte {offset} is not known; known is {known}")]
    Version {
        format: &'static str,
        major: u32,
        minor: u32,
        known: &'static str,
        offset: u64,
    },
    #[error(
        "cut short in record {record} at byte {offset}: {found} bytes are left of {wanted}; all before it was read"
    )]
    Truncated {
        record: u64,
        offset: u64,
        wanted: u64,
        found: u64,
    },
    #[error("damaged in record {record} at byte {offset}: {what}; all before it was read")]
    Damaged { record: u64, offset: u64, what: String },
    #[error("cannot be unpacked in record {record} after byte {offset}: {problem}; all before it was read")]
    Unpack {
        record: u64,
        offset: u64,
        problem: io::Error,
    },
    #[error("cannot be read in record {record} after byte {offset}: {problem}")]
    Read {
        record: u64,
        offset: u64,
        problem: io::Error,
    },
}

/// What is wrong at the place where the reader is.
#[derive(Debug)]
pub(super) enum Problem {
    Empty,
    NotACapture(Vec<u8>),
    Version {
        format: &'static str,
        major: u32,
        minor: u32,
        known: &'static str,
    },
    Truncated {
        wanted: u64,
        found: u64,
    },
    Damaged(String),
    Io {
        problem: io::Error,
        packed: bool,
    },
}

impl Problem {
    pub(super) fn at(self, record: u64, offset: u64) -> CaptureError {
        match self {
            Self::Empty => CaptureError::Empty,
            Self::NotACapture(begin) => CaptureError::NotACapture { begin: shown(&begin) },
            Self::Version {
                format,
                major,
                minor,
                known,
            } => CaptureError::Version {
                format,
                major,
                minor,
                known,
                offset,
            },
            Self::Truncated { wanted, found } => CaptureError::Truncated {
                record,
                offset,
                wanted,
                found,
            },
            Self::Damaged(what) => CaptureError::Damaged { record, offset, what },
            Self::Io {
                problem,
                packed: true,
            } => CaptureError::Unpack {
                record,
                offset,
                problem,
            },
            Self::Io {
                problem,
                packed: false,
            } => CaptureError::Read {
                record,
                offset,
                problem,
            },
        }
    }
}

/// First bytes for people: as text where they are text, else in hexadecimal.
fn shown(begin: &[u8]) -> String {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
    match begin.get(..begin.len().min(8)).unwrap_or_default() {
        text if text.iter().all(is_text) => format!("`{}`", String::from_utf8_lossy(text)),
        bytes => {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(" ")
        }
    }
}
