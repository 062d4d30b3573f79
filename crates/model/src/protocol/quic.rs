//! QUIC handshakes.

use serde::{Deserialize, Serialize};

use super::tls::ClientHello;

/// What the Initial packets of a QUIC conversation tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quic {
    /// Version, as on the wire (1 is RFC 9000, 0x6b3343cf is RFC 9369).
    pub version: u32,
    /// Destination connection id of the client's first Initial, hexadecimal.
    pub client_initial_destination: Box<str>,
    /// The client's own connection id, hexadecimal.
    pub client_connection: Box<str>,
    /// The server's own connection id, hexadecimal.
    pub server_connection: Box<str>,
    /// The ClientHello inside, its JA4 beginning with `q`.
    pub client: Option<ClientHello>,
    /// One letter for each kind of packet in order, upper case from the client; at most 32.
    pub history: Box<str>,
}
