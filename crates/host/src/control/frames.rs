//! Frames: a length of four bytes, big-endian, and so many bytes. Each way has a limit and a time-out.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use atalaya_model::Span;

use super::Peer;
use crate::clock::Deadline;

/// Memory is taken as bytes come, in steps of so many, and not on the word of a peer.
const STEP: usize = 64 << 10;

/// One connection to or from the control socket.
#[derive(Debug)]
pub struct ControlStream {
    stream: UnixStream,
    peer: Peer,
}

impl ControlStream {
    pub(super) fn new(stream: UnixStream, peer: Peer) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Self { stream, peer })
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// A second handle on the same connection, so that one thread reads while another writes.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let stream = self.stream.try_clone()?;
        Ok(Self {
            stream,
            peer: self.peer,
        })
    }

    /// Ends the connection for all its handles; a blocked read or write returns.
    pub fn shut_down(&self) {
        drop(self.stream.shutdown(std::net::Shutdown::Both));
    }

    /// The next frame, `None` where the peer closed the connection between two frames. The whole frame must come
    /// within `timeout`.
    ///
    /// # Errors
    /// `InvalidData` for a frame longer than `limit` bytes, `TimedOut`, `UnexpectedEof` inside a frame, and whatever
    /// else the system says. After an error the connection is of no more use.
    pub fn read_frame(&mut self, limit: usize, timeout: Span) -> io::Result<Option<Vec<u8>>> {
        let deadline = Deadline::after(timeout);
        let mut length = [0; 4];
        match self.fill(&mut length, deadline)? {
            0 => return Ok(None),
            4 => {}
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > limit {
            let message = format!("a message of {length} bytes, where {limit} are allowed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut frame = Vec::new();
        while frame.len() < length {
            let start = frame.len();
            frame.resize(length.min(start + STEP), 0);
            if self.fill(&mut frame[start..], deadline)? < frame.len() - start {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Some(frame))
    }

    /// Sends one frame, all of it within `timeout`.
    ///
    /// # Errors
    /// `InvalidInput` for more bytes than a length can say, `TimedOut` where the peer does not read, and whatever else
    /// the system says. After an error the connection is of no more use.
    pub fn write_frame(&mut self, frame: &[u8], timeout: Span) -> io::Result<()> {
        let deadline = Deadline::after(timeout);
        let length = u32::try_from(frame.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.send(&length.to_be_bytes(), deadline)?;
        self.send(frame, deadline)
    }

    /// Reads until the buffer is full or the peer has closed; gives how much came.
    fn fill(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            self.stream.set_read_timeout(Some(left(deadline)?))?;
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => retry(error)?,
            }
        }
        Ok(filled)
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(left(deadline)?))?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) => retry(error)?,
            }
        }
        Ok(())
    }
}

impl AsFd for ControlStream {
    /// Readable when a frame, or the end, has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn left(deadline: Deadline) -> io::Result<std::time::Duration> {
    deadline.left().ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// An interruption, or a time-out that the deadline judges, is no error yet.
fn retry(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(()),
        _ => Err(error),
    }
}
