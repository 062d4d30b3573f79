//! TLS, DTLS and QUIC handshakes and their fingerprints.

use crate::analyser::Speaker;

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[];
