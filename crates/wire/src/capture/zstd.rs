//! Zstandard files: any number of frames, and frames to skip between them (RFC 8878).

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Unpacks frame after frame. What it keeps is bounded by `ruzstd`'s largest window, 128 MiB, which only files packed
/// with `--long` come near; most have 8 MiB at most.
pub(super) struct Zstd<R: Read> {
    packed: BufReader<R>,
    decoder: FrameDecoder,
    in_frame: bool,
    /// Why reading ended, until everything before has been given.
    damage: Option<io::Error>,
}

impl<R: Read> Zstd<R> {
    pub(super) fn new(packed: R) -> Self {
        Self {
            packed: BufReader::with_capacity(64 << 10, packed),
            decoder: FrameDecoder::new(),
            in_frame: false,
            damage: None,
        }
    }

    /// Unpacks one block more. The decoder holds back as much as its window has while a frame is not over, which may be
    /// all of a file: where a block is damaged or cut short the frame is ended for it, so that all before is given.
    fn block(&mut self) -> io::Result<()> {
        /// The last block, with nothing in it, and a checksum, which is not compared.
        const END: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
        let one = || BlockDecodingStrategy::UptoBlocks(1);
        let Err(problem) = self.decoder.decode_blocks(&mut self.packed, one()) else {
            return Ok(());
        };
        let ended = self.decoder.decode_blocks(&END[..], one());
        self.damage = Some(io::Error::other(problem));
        ended.map(drop).map_err(io::Error::other)
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
                self.block()?;
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            self.in_frame = false;
            if let Some(damage) = self.damage.take() {
                return Err(damage);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a window of 8 MiB, a checksum, and blocks that are not packed: 100 bytes each.
    fn frame(blocks: u8) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x68];
        for block in 0..blocks {
            let head = 100_u32 << 3 | u32::from(block + 1 == blocks);
            frame.extend(&head.to_le_bytes()[..3]);
            frame.extend([block; 100]);
        }
        frame.extend([0; 4]);
        frame
    }

    fn unpacked(packed: &[u8]) -> (usize, bool) {
        let mut all = Vec::new();
        let end = Zstd::new(packed).read_to_end(&mut all);
        assert!(all.iter().zip(0..).all(|(byte, at)| *byte == (at / 100) as u8));
        (all.len(), end.is_ok())
    }

    #[test]
    fn what_the_window_holds_back_is_given_before_an_error() {
        let whole = frame(5);
        assert_eq!(unpacked(&whole), (500, true));
        // Within a block, between two, within a block's head, and within the checksum.
        for (kept, given) in [
            (6 + 103 * 3 + 50, 300),
            (6 + 103 * 2, 200),
            (6 + 103 + 1, 100),
            (6 + 515 + 2, 500),
        ] {
            assert_eq!(unpacked(&whole[..kept]), (given, false), "{kept}");
        }
        let mut damaged = whole.clone();
        // A block of a kind that there is not.
        damaged[6 + 103 * 4] |= 6;
        assert_eq!(unpacked(&damaged), (400, false));
        let followed = [&whole[..], b"garbage"].concat();
        assert_eq!(unpacked(&followed), (500, false));
    }
}
