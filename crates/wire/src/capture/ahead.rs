//! Unpacks ahead in a thread of its own, so that a packed capture takes no longer than the slower of unpacking and
//! reading.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

/// Bytes of a piece, and pieces that wait: 1 MiB at most, and the one that is read and the one that is filled.
const PIECE: usize = 256 << 10;
const PIECES: usize = 4;

/// A piece and how much of it is filled; nothing at the end.
type Filled = (Vec<u8>, usize);

/// What a thread has read, in its order. The thread ends with its reader's end, or at its next piece when nobody listens
/// any more.
pub(super) struct Ahead {
    pieces: Receiver<io::Result<Filled>>,
    /// Gives pieces back to be filled again.
    spent: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
    filled: usize,
    over: bool,
}

impl Ahead {
    /// Begins to read.
    ///
    /// # Errors
    /// There can be no thread.
    pub(super) fn new(mut from: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        let (spent, again) = sync_channel::<Vec<u8>>(PIECES);
        let work = move || {
            loop {
                let mut piece = again.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
                // Not filled up: whoever writes into a pipe is heard at once.
                let read = match from.read(&mut piece) {
                    Ok(filled) => Ok((piece, filled)),
                    Err(problem) if problem.kind() == io::ErrorKind::Interrupted => continue,
                    Err(problem) => Err(problem),
                };
                let is_last = !matches!(read, Ok((_, 1..)));
                if sender.send(read).is_err() || is_last {
                    return;
                }
            }
        };
        Builder::new().name("unpack".into()).spawn(work)?;
        Ok(Self {
            pieces,
            spent,
            piece: Vec::new(),
            used: 0,
            filled: 0,
            over: false,
        })
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.filled && !self.over {
            let spent = std::mem::take(&mut self.piece);
            if !spent.is_empty() {
                // A thread that has enough, or has ended, needs none.
                let _unneeded = self.spent.try_send(spent);
            }
            let gone = || io::Error::other("the thread that unpacks is gone");
            let next = self.pieces.recv().unwrap_or_else(|_| Err(gone()));
            self.over = !matches!(next, Ok((_, 1..)));
            (self.piece, self.filled) = next?;
            self.used = 0;
        }
        let left = self.piece.get(self.used..self.filled).unwrap_or_default();
        let length = left.len().min(buffer.len());
        if let (Some(from), Some(to)) = (left.get(..length), buffer.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        self.used += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives numbers up to a limit, in uneven pieces, then what it was told.
    struct Counter(u32, Option<io::ErrorKind>);

    impl Read for Counter {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 1_000_000 {
                return self.1.take().map_or(Ok(0), |kind| Err(kind.into()));
            }
            let many = (self.0 as usize % 9_973 + 1).min(1_000_000 - self.0 as usize);
            let many = many.min(buffer.len() / 4);
            for place in buffer.chunks_exact_mut(4).take(many) {
                place.copy_from_slice(&self.0.to_le_bytes());
                self.0 += 1;
            }
            Ok(many * 4)
        }
    }

    fn read(end: Option<io::ErrorKind>) -> (Vec<u8>, io::Result<usize>) {
        let mut ahead = Ahead::new(Box::new(Counter(0, end))).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 100_003];
        loop {
            match ahead.read(&mut buffer) {
                Ok(0) => return (all, Ok(0)),
                Ok(read) => all.extend(&buffer[..read]),
                Err(problem) => {
                    assert_eq!(ahead.read(&mut buffer).unwrap(), 0, "an error is the end");
                    return (all, Err(problem));
                }
            }
        }
    }

    #[test]
    fn everything_comes_in_order_and_then_the_end() {
        let (all, end) = read(None);
        assert_eq!(end.unwrap(), 0);
        let numbers: Vec<u32> = all
            .chunks_exact(4)
            .map(|four| u32::from_le_bytes(four.try_into().unwrap()))
            .collect();
        assert!(numbers.into_iter().eq(0..1_000_000));
    }

    #[test]
    fn everything_before_an_error_comes_first() {
        let (all, end) = read(Some(io::ErrorKind::InvalidData));
        assert_eq!(all.len(), 4_000_000);
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (all, end) = read(Some(io::ErrorKind::Interrupted));
        assert_eq!((all.len(), end.unwrap()), (4_000_000, 0));
    }

    #[test]
    fn a_reader_that_is_let_go_ends_its_thread() {
        struct Endless {
            _alive: SyncSender<()>,
        }
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Ok(buffer.len())
            }
        }
        let (alive, ended) = sync_channel(1);
        let mut ahead = Ahead::new(Box::new(Endless { _alive: alive })).unwrap();
        assert_eq!(ahead.read(&mut [0; 9]).unwrap(), 9);
        drop(ahead);
        assert!(ended.recv().is_err(), "the thread let go of what it read");
    }
}
