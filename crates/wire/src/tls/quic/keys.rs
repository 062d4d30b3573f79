//! The keys of Initial packets: everybody on the way can make them (RFC 9001 section 5.2, RFC 9369 section 3.3).

use ring::aead::{self, quic};
use ring::hkdf;

/// Both sides' keys.
pub(super) struct Keys {
    pub(super) client: Key,
    pub(super) server: Key,
}

/// One side's keys.
pub(super) struct Key {
    packet: aead::LessSafeKey,
    nonce: [u8; aead::NONCE_LEN],
    head: quic::HeaderProtectionKey,
}

const VERSION_2: u32 = 0x6b33_43cf;

/// The salt of a version; `None` where its Initial packets cannot be read.
fn salt(version: u32) -> Option<[u8; 20]> {
    Some(match version {
        1 | 0xff00_0021..=0xff00_0022 => {
            *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
        }
        VERSION_2 => *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
        0xff00_001d..=0xff00_0020 => {
            *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
        }
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e | 0xface_b011 | 0xface_b013 => {
            *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
        }
        0xff00_0015..=0xff00_0016 | 0xface_b001 => {
            *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"
        }
        super::Q050 => *b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45",
        super::T050 => *b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10",
        super::T051 => *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d",
        _ => return None,
    })
}

/// How long a secret is.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1), without context.
fn expand<L: hkdf::KeyType, T>(
    secret: &hkdf::Prk,
    label: &str,
    length: L,
    make: impl FnOnce(hkdf::Okm<'_, L>) -> Option<T>,
) -> Option<T> {
    let count = u16::try_from(length.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from(label.len() + 6).ok()?];
    let info = [&count[..], &label_length, b"tls13 ", label.as_bytes(), &[0]];
    make(secret.expand(&info, length).ok()?)
}

impl Keys {
    /// The keys for the connection id that the client first sent to.
    pub(super) fn new(version: u32, destination: &[u8]) -> Option<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt(version)?);
        let initial = salt.extract(destination);
        let side = |label| {
            let secret = expand(&initial, label, hkdf::HKDF_SHA256, |okm| {
                Some(hkdf::Prk::from(okm))
            })?;
            Key::new(version, &secret)
        };
        Some(Self {
            client: side("client in")?,
            server: side("server in")?,
        })
    }
}

impl Key {
    fn new(version: u32, secret: &hkdf::Prk) -> Option<Self> {
        let [key, nonce, head] = if version == VERSION_2 {
            ["quicv2 key", "quicv2 iv", "quicv2 hp"]
        } else {
            ["quic key", "quic iv", "quic hp"]
        };
        let packet = expand(secret, key, &aead::AES_128_GCM, |okm| {
            Some(aead::LessSafeKey::new(aead::UnboundKey::from(okm)))
        })?;
        let nonce = expand(secret, nonce, Length(aead::NONCE_LEN), |okm| {
            let mut bytes = [0; aead::NONCE_LEN];
            okm.fill(&mut bytes).ok().map(|()| bytes)
        })?;
        let head = expand(secret, head, &quic::AES_128, |okm| {
            Some(quic::HeaderProtectionKey::from(okm))
        })?;
        Some(Self { packet, nonce, head })
    }

    /// Opens a packet in place: `packet` is the whole of it, `number_at` where its protected number begins. The
    /// payload, if the key is right.
    pub(super) fn open<'p>(&self, packet: &'p mut [u8], number_at: usize) -> Option<&'p [u8]> {
        let sample = packet.get(number_at + 4..number_at + 4 + 16)?;
        let [first_mask, number_mask @ ..] = self.head.new_mask(sample).ok()?;
        let first = packet.first_mut()?;
        *first ^= first_mask & 0x0f;
        let length = usize::from(*first & 3) + 1;
        let mut number = 0_u64;
        for (byte, mask) in packet
            .get_mut(number_at..number_at + length)?
            .iter_mut()
            .zip(number_mask)
        {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        let mut nonce = self.nonce;
        for (byte, part) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        let (head, sealed) = packet.split_at_mut_checked(number_at + length)?;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let opened = self.packet.open_in_place(nonce, aead::Aad::from(&*head), sealed);
        opened.ok().map(|payload| &*payload)
    }
}
