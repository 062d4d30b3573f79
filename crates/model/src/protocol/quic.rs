//! QUIC handshakes.

use serde::{Deserialize, Serialize};

use super::tls::{ClientHello, ServerHello, Tls};

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
    /// The ServerHello inside.
    pub server: Option<ServerHello>,
    /// Named group of the server's key share, as on the wire.
    pub curve: Option<u16>,
    /// The session was resumed.
    pub resumed: bool,
    /// The tags of a Google QUIC hello as text, `46,PAD-SNI-VER`, and its MD5 in hexadecimal.
    pub cyu: Option<(Box<str>, Box<str>)>,
    /// One letter for each packet in order, upper case from the client, with Zeek's meanings; at most 100.
    pub history: Box<str>,
}

impl Quic {
    /// The TLS handshake inside.
    pub fn tls(&self) -> Tls {
        let version = self.server.as_ref().map(|server| server.version);
        let letters = [("C", self.client.is_some()), ("s", self.server.is_some())];
        let history: String = letters
            .iter()
            .filter(|(_, seen)| *seen)
            .map(|(letter, _)| *letter)
            .collect();
        Tls {
            version: version.or_else(|| self.client.as_ref().map(|client| client.version)),
            client: self.client.clone(),
            server: self.server.clone(),
            curve: self.curve,
            resumed: self.resumed,
            history: history.into(),
            ..Tls::default()
        }
    }

    /// The version as Zeek writes it: `1`, `quicv2`, `draft-29`, `unknown-10010000`.
    pub fn version_name(&self) -> String {
        match self.version {
            1 => "1".to_owned(),
            0x6b33_43cf => "quicv2".to_owned(),
            0xff00_0000..=0xff00_00ff => format!("draft-{:02}", self.version & 0xff),
            0xface_b001 => "mvfst1".to_owned(),
            0xface_b002 => "mvfst2".to_owned(),
            version => match version.to_be_bytes() {
                [letter @ (b'Q' | b'T'), digits @ ..] if digits.is_ascii() => {
                    format!("{}{}", char::from(letter), String::from_utf8_lossy(&digits))
                }
                _ => format!("unknown-{version:08x}"),
            },
        }
    }
}
