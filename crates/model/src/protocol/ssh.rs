//! SSH greetings.

use serde::{Deserialize, Serialize};

/// What both sides said before they began to encrypt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ssh {
    /// The client's banner, without the end of line: `SSH-2.0-OpenSSH_9.2p1`; at most 255 bytes.
    pub client: Option<Box<str>>,
    /// The server's.
    pub server: Option<Box<str>>,
    /// HASSH of the client: MD5 of its algorithms, hexadecimal.
    pub hassh: Option<Box<str>>,
    /// HASSH of the server.
    pub hassh_server: Option<Box<str>>,
    /// Guesses from what follows: encrypted data went both ways long enough that a log-in succeeded.
    pub authenticated: Option<bool>,
}
