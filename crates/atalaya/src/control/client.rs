//! The other end of the control socket.

use std::io;
use std::path::Path;

use atalaya_host::control::{self, ControlStream};
use atalaya_model::Span;
use atalaya_model::live::{Live, MAX_MESSAGE, Request, Response, VERSION};

use super::Envelope;

const PATIENCE: Span = Span::from_seconds(15);

/// A connection to a running watcher.
pub struct Client(ControlStream);

impl Client {
    /// Reaches the watcher on this socket; `None` when none answers there.
    ///
    /// # Errors
    /// When the socket is there and may not be used.
    pub fn connect(path: &Path) -> io::Result<Option<Self>> {
        match control::connect(path) {
            Ok(stream) => Ok(Some(Self(stream))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The next message of a subscription; `None` when the watcher has ended.
    ///
    /// # Errors
    /// When the connection fails, or nothing came for `patience`.
    pub fn next(&mut self, patience: Span) -> io::Result<Option<Response>> {
        let Some(bytes) = self.0.read_frame(MAX_MESSAGE, patience)? else {
            return Ok(None);
        };
        let envelope: Envelope<Response> = serde_json::from_slice(&bytes)?;
        if envelope.version != VERSION {
            let text = format!(
                "the watcher speaks version {}, this program {VERSION}",
                envelope.version
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Some(envelope.body))
    }
}

impl Live for Client {
    fn ask(&mut self, request: Request) -> Result<Response, io::Error> {
        let bytes = serde_json::to_vec(&Envelope {
            version: VERSION,
            body: request,
        })?;
        self.0.write_frame(&bytes, PATIENCE)?;
        let answer = self.next(PATIENCE)?;
        answer.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the watcher ended"))
    }
}
