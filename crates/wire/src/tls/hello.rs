//! The hellos of both sides (RFC 8446 section 4.1, RFC 5246 section 7.4.1), over whatever they travel.

use atalaya_model::Text;
use atalaya_model::protocol::tls::{ClientHello, ServerHello};

use super::cursor::{Cursor, numbers};
use super::fingerprint::{self, Offer};
use crate::shared::{shared, shared_list};

/// What the handshake travels over: the first letter of its JA4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// TLS over a stream.
    Stream,
    /// DTLS.
    Datagrams,
    /// QUIC.
    Quic,
}

/// Application protocols that are kept of a client's offer.
const PROTOCOLS: usize = 16;
/// Bytes of one of them.
const PROTOCOL: usize = 32;
/// Bytes of a server name.
const SERVER_NAME: usize = 255;

const SERVER_NAME_LIST: u16 = 0;
const GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURES: u16 = 13;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const VERSIONS: u16 = 43;
const OLD_KEY_SHARE: u16 = 40;
const KEY_SHARE: u16 = 51;
const ENCRYPTED_HELLO: u16 = 0xfe0d;

/// The numbers that are offered only to keep servers tolerant (RFC 8701).
pub(super) const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// A client's hello, as far as the rest of the handshake needs it.
pub(super) struct Client<'a> {
    pub(super) hello: ClientHello,
    /// To see whether the server takes it up.
    pub(super) session: &'a [u8],
}

/// Reads the body of a ClientHello.
pub(super) fn client(body: &[u8], carrier: Carrier) -> Option<Client<'_>> {
    let mut at = Cursor(body);
    let version = at.u16()?;
    at.take(32)?;
    let session = at.short()?;
    if carrier == Carrier::Datagrams {
        at.short()?; // cookie
    }
    let ciphers = at.long()?;
    at.short()?; // compression methods
    let extensions = if at.is_empty() { &[] } else { at.long()? };

    let mut offer = Offer::new(carrier, version, ciphers);
    let mut hello = ClientHello {
        version,
        ..ClientHello::default()
    };
    let mut at = Cursor(extensions);
    let mut is_first = true;
    while !at.is_empty() {
        let (kind, data) = (at.u16()?, at.long()?);
        offer.extension(kind);
        if is_first {
            hello.grease = is_grease(kind).then_some(kind);
            is_first = false;
        }
        match kind {
            SERVER_NAME_LIST => hello.server_name = hello.server_name.or_else(|| server_name(data)),
            GROUPS => offer.groups = Cursor(data).long().unwrap_or_default(),
            POINT_FORMATS => offer.point_formats = Cursor(data).short().unwrap_or_default(),
            SIGNATURES => offer.signatures = Cursor(data).long().unwrap_or_default(),
            ALPN => {
                offer.protocol = first_protocol(data);
                hello.protocols = shared_list(&protocols(data));
            }
            VERSIONS => {
                let offered = numbers(Cursor(data).short().unwrap_or_default());
                if let Some(best) = best_version(offered, carrier) {
                    hello.version = best;
                    offer.best_version = Some(best);
                }
            }
            ENCRYPTED_HELLO => hello.encrypted_hello = true,
            _ => {}
        }
    }
    hello.ja4 = offer.ja4();
    if carrier != Carrier::Datagrams {
        let text = offer.ja3();
        hello.ja3 = Some(fingerprint::md5(&text));
        hello.ja3_text = Some(text);
    }
    Some(Client { hello, session })
}

/// The newest: numbers of TLS count up, those of DTLS down.
fn best_version(offered: impl Iterator<Item = u16>, carrier: Carrier) -> Option<u16> {
    let offered = offered.filter(|&version| !is_grease(version));
    if carrier == Carrier::Datagrams {
        offered.filter(|version| version >> 8 == 0xfe).min()
    } else {
        offered.max()
    }
}

fn server_name(data: &[u8]) -> Option<Text> {
    let mut names = Cursor(Cursor(data).long()?);
    while !names.is_empty() {
        let (kind, name) = (names.u8()?, names.long()?);
        if kind == 0 && !name.is_empty() && name.len() <= SERVER_NAME {
            let mut name = String::from_utf8_lossy(name);
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                name.to_mut().make_ascii_lowercase();
            }
            return Some((*name).into());
        }
    }
    None
}

fn first_protocol(data: &[u8]) -> &[u8] {
    Cursor(data)
        .long()
        .and_then(|list| Cursor(list).short())
        .unwrap_or_default()
}

fn protocols(data: &[u8]) -> Vec<Text> {
    let mut list = Cursor(Cursor(data).long().unwrap_or_default());
    std::iter::from_fn(|| list.short())
        .take(PROTOCOLS)
        .map(|name| shared(&String::from_utf8_lossy(name.get(..PROTOCOL).unwrap_or(name))))
        .collect()
}

/// A server's hello.
pub(super) struct Server<'a> {
    pub(super) hello: ServerHello,
    pub(super) session: &'a [u8],
    /// It asks for another ClientHello.
    pub(super) is_retry: bool,
    /// Group of its key share.
    pub(super) group: Option<u16>,
    /// It took up a key both had before.
    pub(super) takes_key: bool,
}

/// The random number of a HelloRetryRequest (RFC 8446 section 4.1.3): SHA-256 of that word.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Reads the body of a ServerHello or of a HelloRetryRequest.
pub(super) fn server(body: &[u8]) -> Option<Server<'_>> {
    let mut at = Cursor(body);
    let version = at.u16()?;
    let is_retry = at.take(32)? == RETRY;
    // Drafts of TLS 1.3 up to 21 left out session and compression.
    let is_short = matches!(version, 0x7f00..=0x7f15 | 0x0304);
    let session = if is_short { &[] } else { at.short()? };
    let cipher = at.u16()?;
    if !is_short {
        at.u8()?;
    }
    let extensions = if at.is_empty() { &[] } else { at.long()? };
    let mut server = Server {
        hello: ServerHello {
            // Only drafts before 16 wrote 1.3 here.
            version: if version == 0x0304 { 0x7f00 } else { version },
            cipher,
            ..ServerHello::default()
        },
        session,
        is_retry,
        group: None,
        takes_key: false,
    };
    let mut text = fingerprint::Text::new(version);
    text.field();
    text.number(cipher);
    text.field();
    let mut at = Cursor(extensions);
    while !at.is_empty() {
        let (kind, data) = (at.u16()?, at.long()?);
        text.number(kind);
        match kind {
            ALPN => server.hello.protocol = protocols(data).into_iter().next(),
            VERSIONS => server.hello.version = Cursor(data).u16().unwrap_or(server.hello.version),
            // Drafts of TLS 1.3 up to 22 had it under another number.
            KEY_SHARE | OLD_KEY_SHARE => server.group = Cursor(data).u16(),
            PRE_SHARED_KEY => server.takes_key = true,
            _ => {}
        }
    }
    server.hello.ja3s_text = text.finish();
    server.hello.ja3s = fingerprint::md5(&server.hello.ja3s_text);
    Some(server)
}

/// The versions of a client that speaks as SSL 2 did (RFC 5246 appendix E.2): `body` begins with the message's kind.
/// Only what it offers at best is known then.
pub(super) fn old_client(body: &[u8]) -> Option<ClientHello> {
    let mut at = Cursor(body);
    let (kind, version) = (at.u8()?, at.u16()?);
    let (ciphers, session, challenge) = (at.u16()?, at.u16()?, at.u16()?);
    let fits = kind == 1
        && (version == 2 || version >> 8 == 3)
        && ciphers > 0
        && ciphers.is_multiple_of(3)
        && (session == 0 || session == 16)
        && (16..=32).contains(&challenge);
    fits.then(|| ClientHello {
        version,
        ..ClientHello::default()
    })
}
