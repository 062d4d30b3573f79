//! TLS and DTLS handshakes, as far as they are in the clear.

mod ciphers;
mod names;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Text, Time};

pub use names::{
    alert_name, alert_number, cipher_name, cipher_number, curve_name, curve_number, eve_version,
    extension_name, from_zeek_name, version_number, version_words, zeek_name, zeek_version,
};

/// A handshake. What was not seen is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// It is DTLS.
    pub datagram: bool,
    /// The version in force: the server's choice, else the client's best; as on the wire (0x0303 is TLS 1.2).
    pub version: Option<u16>,
    /// What the client said.
    pub client: Option<ClientHello>,
    /// What the server said.
    pub server: Option<ServerHello>,
    /// The server's certificates, its own first, at most 8; in the clear up to TLS 1.2.
    pub certificates: Box<[Certificate]>,
    /// The client's certificates, its own first, at most 8.
    pub client_certificates: Box<[Certificate]>,
    /// Named curve of the server's key exchange (TLS <= 1.2) or its key share (TLS 1.3), as on the wire.
    pub curve: Option<u16>,
    /// The session was resumed.
    pub resumed: bool,
    /// Both sides changed to encryption: application data can flow.
    pub established: bool,
    /// The last alert in the clear: level and description.
    pub alert: Option<(u8, u8)>,
    /// The client said a second hello because the server asked for it (HelloRetryRequest).
    pub retried: bool,
    /// One letter for each kind of message in order, upper case from the client; at most 32. See the docs.
    pub history: Box<str>,
}

/// What a client said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientHello {
    /// Best version that it offers, as on the wire.
    pub version: u16,
    /// Server name, in lower case; at most 255 bytes.
    pub server_name: Option<Text>,
    /// Application protocols, at most 16 of at most 32 bytes.
    pub protocols: Arc<[Text]>,
    /// JA4 (FoxIO, BSD-3): `t13d1516h2_8daaf6152771_b186095e22b6`.
    pub ja4: Text,
    /// JA3 text; not for DTLS.
    pub ja3_text: Option<Text>,
    /// MD5 of it in hexadecimal.
    pub ja3: Option<Text>,
    /// It holds an encrypted hello (ECH): the server name is that of the front.
    pub encrypted_hello: bool,
    /// Its first extension, where that is one without a meaning (GREASE, RFC 8701); fingerprints leave it out.
    #[serde(default)]
    pub grease: Option<u16>,
}

/// What a server said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerHello {
    /// The version it chose, as on the wire; 0x7f00 stands for a draft of TLS 1.3 before 16.
    pub version: u16,
    /// The cipher suite it chose, as on the wire.
    pub cipher: u16,
    /// The application protocol it chose (in the clear up to TLS 1.2).
    pub protocol: Option<Text>,
    /// JA3S text and its MD5 in hexadecimal.
    pub ja3s_text: Text,
    /// MD5 of it.
    pub ja3s: Text,
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// `C=US, O=Example, CN=example.com`, in the order of the certificate.
    pub subject: Box<str>,
    /// As `subject`.
    pub issuer: Box<str>,
    /// Serial number in hexadecimal with colons.
    pub serial: Box<str>,
    /// Valid from.
    pub not_before: Time,
    /// Valid until.
    pub not_after: Time,
    /// SHA-256 of the whole, in hexadecimal.
    pub sha256: Box<str>,
    /// SHA-1 of the whole, in hexadecimal: what older lists name.
    pub sha1: Box<str>,
    /// Subject and issuer are the same, and its key signed it or its signature was not checked.
    pub self_signed: bool,
    /// Names and addresses it is for, at most 32.
    pub names: Box<[Box<str>]>,
}
