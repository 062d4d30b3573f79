//! Any file, unpacked where it is packed: for logs, which are packed as captures are.

use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::zstd::Zstd;

/// Packed bytes that are read at once.
const PACKED: usize = 64 << 10;

/// The bytes within gzip or zstd, or as they are. By the first bytes, never by the name.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn unpacked(read: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut read = BufReader::with_capacity(PACKED, read);
    let first = read.fill_buf()?;
    Ok(match first {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(read)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Zstd::new(read)),
        _ => Box::new(read),
    })
}
