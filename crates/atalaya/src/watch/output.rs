//! Standard output of a watch, whose reader may go away.

use std::io::{self, Write};

use crossbeam_channel::Sender;

use super::parts::Signal;

/// Standard output. When nobody reads it any more (`atalaya watch | head`), the watch is asked to end, as is the custom;
/// what comes until then is dropped.
pub(super) struct Output {
    out: io::Stdout,
    ask: Sender<Signal>,
    is_read: bool,
}

impl Output {
    pub(super) fn new(ask: Sender<Signal>) -> Self {
        Self {
            out: io::stdout(),
            ask,
            is_read: true,
        }
    }

    /// The answer of a write, with a closed pipe turned into the end of the watch.
    fn settle<T>(&mut self, result: io::Result<T>, dropped: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_read = false;
                // A full channel holds an earlier request to end.
                self.ask.try_send(Signal::Stop).unwrap_or_default();
                Ok(dropped)
            }
            result => result,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_read {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes);
        self.settle(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.is_read {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.settle(flushed, ())
    }
}
