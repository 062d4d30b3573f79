//! Mail as SMTP was told of it: the envelope.

use serde::{Deserialize, Serialize};

/// One mail, or one session without mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// What the client called itself in HELO or EHLO; at most 4,096 bytes, for who overflows buffers shows it here.
    pub helo: Option<Box<str>>,
    /// Reverse path, with its angle brackets as said.
    pub from: Option<Box<str>>,
    /// Forward paths, at most 32.
    pub to: Box<[Box<str>]>,
    /// Code of the server's last answer.
    pub code: Option<u16>,
    /// The server's greeting, at most 255 bytes.
    pub greeting: Option<Box<str>>,
    /// It went on over TLS.
    pub starttls: bool,
    /// The head's `From`, where the mail's head was seen; at most 255 bytes.
    pub head_from: Option<Box<str>>,
    /// The head's `To`, at most 32.
    pub head_to: Box<[Box<str>]>,
    /// The mail's data was seen to its end.
    pub complete: bool,
}
