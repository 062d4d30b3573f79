//! Zstandard files: any number of frames, and frames to skip between them (RFC 8878).

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Unpacks frame after frame. What it keeps is bounded by `ruzstd`'s largest window, 128 MiB, which only files packed
/// with `--long` come near; most have 8 MiB at most.
pub(super) struct Zstd<R: Read> {
    packed: BufReader<R>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: Read> Zstd<R> {
    pub(super) fn new(packed: R) -> Self {
        Self {
            packed: BufReader::with_capacity(64 << 10, packed),
            decoder: FrameDecoder::new(),
            in_frame: false,
        }
    }

    /// Goes to the next frame; false at the end.
    fn open(&mut self) -> io::Result<bool> {
        loop {
            if self.packed.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let mut magic = [0; 4];
            self.packed.read_exact(&mut magic)?;
            if magic[0] & 0xf0 != 0x50 || magic[1..] != [0x2a, 0x4d, 0x18] {
                let frame = magic.chain(&mut self.packed);
                self.decoder.reset(frame).map_err(io::Error::other)?;
                self.in_frame = true;
                return Ok(true);
            }
            let mut length = [0; 4];
            self.packed.read_exact(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            let skipped = io::copy(&mut self.packed.by_ref().take(length), &mut io::sink())?;
            if skipped < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder
                    .decode_blocks(&mut self.packed, one)
                    .map_err(io::Error::other)?;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            self.in_frame = false;
        }
    }
}
