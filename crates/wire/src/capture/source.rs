//! The bytes of a file, unpacked, in one buffer that is used again.

use std::io::{self, BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::ahead::Ahead;
use super::error::Problem;
use super::zstd::Zstd;

/// Bytes that are read at once: enough to make a call cheap, little enough to stay in a processor's cache.
const CHUNK: usize = 256 << 10;

/// Packed bytes that are read at once.
const PACKED: usize = 64 << 10;

/// Longest piece that is ever asked for: a record of 256 KiB with its options, or any other block that is read.
pub(super) const LONGEST: usize = 1 << 20;

/// What has been read and not yet used, and where more comes from.
pub(super) struct Source {
    read: Box<dyn Read + Send>,
    packed: bool,
    /// `buffer[start..end]` is unused. As long as the longest piece that was asked for, `LONGEST` at most.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Unpacked bytes before `start`.
    offset: u64,
    /// Bytes taken from the file itself, as it is packed.
    taken: Arc<AtomicU64>,
}

/// Counts what is read from the file itself.
struct Counted {
    read: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(read)
    }
}

/// The file from its first byte on: what was already looked at, and the rest.
type Whole = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

impl Source {
    /// Looks at the first bytes and unpacks where it must.
    pub(super) fn open(read: Box<dyn Read + Send>) -> Result<Self, Problem> {
        let taken = Arc::new(AtomicU64::new(0));
        let read = Box::new(Counted {
            read,
            taken: Arc::clone(&taken),
        });
        let mut source = Self {
            read,
            packed: false,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            offset: 0,
            taken,
        };
        if !source.has(4)? && source.bytes().is_empty() {
            return Err(Problem::Empty);
        }
        match source.bytes() {
            [0x1f, 0x8b, ..] => {
                let buffered = |whole| BufReader::with_capacity(PACKED, whole);
                source.unpack(|whole| Box::new(MultiGzDecoder::new(buffered(whole))))?;
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                source.unpack(|whole| Box::new(Zstd::new(whole)))?;
            }
            _ => {}
        }
        Ok(source)
    }

    fn unpack(&mut self, unpacker: impl FnOnce(Whole) -> Box<dyn Read + Send>) -> Result<(), Problem> {
        let looked = Cursor::new(self.bytes().to_vec());
        let rest = std::mem::replace(&mut self.read, Box::new(io::empty()));
        self.packed = true;
        (self.start, self.end) = (0, 0);
        let ahead = Ahead::new(unpacker(looked.chain(rest)));
        self.read = Box::new(ahead.map_err(|problem| Problem::Io {
            problem,
            packed: false,
        })?);
        Ok(())
    }

    /// Unpacked bytes that were used.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that were taken from the file, as it is packed.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// What is there: at least as much as `has` last answered for.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Makes sure that `wanted` bytes are there; false where the file ends before. `wanted` is `LONGEST` at most.
    #[inline]
    pub(super) fn has(&mut self, wanted: usize) -> Result<bool, Problem> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        self.fill(wanted)
    }

    #[cold]
    fn fill(&mut self, wanted: usize) -> Result<bool, Problem> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = wanted.min(LONGEST);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.next_power_of_two(), 0);
        }
        while self.end < wanted {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.read.read(room) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end = (self.end + read).min(self.buffer.len()),
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(problem) => {
                    return Err(Problem::Io {
                        problem,
                        packed: self.packed,
                    });
                }
            }
        }
        Ok(true)
    }

    /// As `has`, where less than `wanted` is an error.
    #[inline]
    pub(super) fn need(&mut self, wanted: usize) -> Result<(), Problem> {
        if self.has(wanted)? {
            return Ok(());
        }
        Err(self.short(wanted))
    }

    fn short(&self, wanted: usize) -> Problem {
        let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        Problem::Truncated {
            wanted: size(wanted),
            found: size(self.end - self.start),
        }
    }

    /// Uses up `whole` bytes that are there, and gives `length` of them from `from` on.
    #[inline]
    pub(super) fn take(&mut self, from: usize, length: usize, whole: usize) -> &[u8] {
        let start = self.start;
        self.pass(whole);
        let end = (start + from + length).min(self.end);
        self.buffer.get(start + from..end).unwrap_or_default()
    }

    /// Uses up `bytes` that are there.
    #[inline]
    pub(super) fn pass(&mut self, bytes: usize) {
        let bytes = bytes.min(self.end - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Uses up `bytes`, however many, without keeping them.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), Problem> {
        let mut left = bytes;
        while left > 0 {
            if !self.has(1)? {
                return Err(Problem::Truncated {
                    wanted: bytes,
                    found: bytes - left,
                });
            }
            let step =
                usize::try_from(left).map_or(self.end - self.start, |left| left.min(self.end - self.start));
            self.pass(step);
            left = left.saturating_sub(step as u64);
        }
        Ok(())
    }
}
