//! JA3 and JA3S (Salesforce, BSD-3), JA4 of clients (FoxIO, BSD-3): what a hello offers, as a short text.

use atalaya_model::Text as Shared;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::cursor::numbers;
use super::hello::{Carrier, is_grease};
use crate::shared::shared;

/// Extensions that are read of one hello; there are about 60 in the registry.
const EXTENSIONS: usize = 128;
/// Cipher suites that are read of one hello; there are about 360 in the registry.
const CIPHERS: usize = 512;

/// What a client offers, as far as fingerprints ask for it.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    pub(super) carrier: Carrier,
    /// The version in front of the hello.
    pub(super) version: u16,
    /// The best of the extension with versions.
    pub(super) best_version: Option<u16>,
    pub(super) ciphers: &'a [u8],
    pub(super) groups: &'a [u8],
    pub(super) point_formats: &'a [u8],
    pub(super) signatures: &'a [u8],
    /// The first application protocol.
    pub(super) protocol: &'a [u8],
    extensions: [u16; EXTENSIONS],
    extension_count: usize,
}

impl<'a> Offer<'a> {
    pub(super) const fn new(carrier: Carrier, version: u16, ciphers: &'a [u8]) -> Self {
        Self {
            carrier,
            version,
            best_version: None,
            ciphers,
            groups: &[],
            point_formats: &[],
            signatures: &[],
            protocol: &[],
            extensions: [0; EXTENSIONS],
            extension_count: 0,
        }
    }

    /// Adds an extension; grease is left out.
    pub(super) fn extension(&mut self, kind: u16) {
        if let Some(place) = self.extensions.get_mut(self.extension_count)
            && !is_grease(kind)
        {
            *place = kind;
            self.extension_count += 1;
        }
    }

    fn extensions(&self) -> &[u16] {
        self.extensions.get(..self.extension_count).unwrap_or_default()
    }

    /// `771,4865-4866,0-23-65281,29-23,0`: version, ciphers, extensions, groups, point formats.
    pub(super) fn ja3(&self) -> Shared {
        let mut text = Text::new(self.version);
        text.field();
        text.numbers(numbers(self.ciphers).take(CIPHERS));
        text.field();
        text.numbers(self.extensions().iter().copied());
        text.field();
        text.numbers(numbers(self.groups).take(CIPHERS));
        text.field();
        for &format in self.point_formats {
            text.number(format.into());
        }
        text.finish()
    }

    /// `t13d1516h2_8daaf6152771_b186095e22b6`: see `technical_details/JA4.md` of FoxIO-LLC/ja4.
    pub(super) fn ja4(&self) -> Shared {
        let mut ciphers = [0; CIPHERS];
        let mut cipher_count = 0;
        for (place, cipher) in ciphers.iter_mut().zip(offered(self.ciphers)) {
            *place = cipher;
            cipher_count += 1;
        }
        let ciphers = ciphers.get_mut(..cipher_count).unwrap_or_default();
        ciphers.sort_unstable();

        let mut extensions = self.extensions;
        let extensions = extensions.get_mut(..self.extension_count).unwrap_or_default();
        extensions.sort_unstable();
        let (name, protocol) = (0, 16);
        let has_name = extensions.contains(&name);
        let hashed = extensions
            .iter()
            .copied()
            .filter(|&kind| kind != name && kind != protocol);

        let mut text = String::with_capacity(36);
        text.push(match self.carrier {
            Carrier::Stream => 't',
            Carrier::Datagrams => 'd',
            Carrier::Quic => 'q',
        });
        text.push_str(match self.best_version.unwrap_or(self.version) {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            0xfeff => "d1",
            0xfefd => "d2",
            0xfefc => "d3",
            _ => "00",
        });
        text.push(if has_name { 'd' } else { 'i' });
        push_count(&mut text, cipher_count);
        push_count(&mut text, self.extension_count);
        push_ends(&mut text, self.protocol);
        text.push('_');
        push_hash(&mut text, ciphers.iter().copied(), std::iter::empty());
        text.push('_');
        let signatures = offered(self.signatures).take(CIPHERS);
        if self.extension_count == 0 {
            text.push_str(NOTHING);
        } else {
            push_hash(&mut text, hashed, signatures);
        }
        shared(&text)
    }
}

/// The hash of nothing.
const NOTHING: &str = "000000000000";

/// Numbers without grease.
fn offered(bytes: &[u8]) -> impl Iterator<Item = u16> + Clone {
    numbers(bytes).filter(|&number| !is_grease(number))
}

/// Two digits, at most 99.
fn push_count(text: &mut String, count: usize) {
    let count = u8::try_from(count.min(99)).unwrap_or(99);
    text.push(char::from(b'0' + count / 10));
    text.push(char::from(b'0' + count % 10));
}

/// First and last letter of a protocol's name; of its hexadecimal form where one of them is none.
fn push_ends(text: &mut String, protocol: &[u8]) {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else {
        text.push_str("00");
        return;
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        text.push(first.into());
        text.push(last.into());
    } else {
        text.push(digit(first >> 4));
        text.push(digit(last & 15));
    }
}

/// Twelve digits of the SHA-256 of the numbers, in hexadecimal, with commas; then of `more` after an underscore.
fn push_hash(text: &mut String, numbers: impl Iterator<Item = u16>, more: impl Iterator<Item = u16>) {
    let mut hashed = Hashed::default();
    hashed.numbers(numbers, None);
    hashed.numbers(more, Some(b'_'));
    if hashed.is_empty {
        text.push_str(NOTHING);
        return;
    }
    let digest = hashed.finish();
    push_hexadecimal(text, digest.get(..6).unwrap_or_default());
}

/// Numbers on their way into a hash, gathered so that it is given whole blocks.
struct Hashed {
    hash: Sha256,
    buffer: [u8; 320],
    filled: usize,
    is_empty: bool,
}

impl Default for Hashed {
    fn default() -> Self {
        Self {
            hash: Sha256::new(),
            buffer: [0; 320],
            filled: 0,
            is_empty: true,
        }
    }
}

impl Hashed {
    fn numbers(&mut self, numbers: impl Iterator<Item = u16>, mut before: Option<u8>) {
        for number in numbers {
            if self.filled + 5 > self.buffer.len() {
                self.flush();
            }
            if let Some(separator) = before.or((!self.is_empty).then_some(b',')) {
                self.push(separator);
            }
            before = None;
            self.is_empty = false;
            for shift in [12, 8, 4, 0] {
                self.push(DIGITS[usize::from(number >> shift & 15)]);
            }
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.filled) {
            *place = byte;
            self.filled += 1;
        }
    }

    fn flush(&mut self) {
        self.hash
            .update(self.buffer.get(..self.filled).unwrap_or_default());
        self.filled = 0;
    }

    fn finish(mut self) -> [u8; 32] {
        self.flush();
        self.hash.finalize().into()
    }
}

/// Numbers in decimal: fields with commas, and dashes between the numbers of one. Grease is left out.
pub(super) struct Text {
    text: String,
    begun: bool,
}

impl Text {
    pub(super) fn new(version: u16) -> Self {
        let mut text = Self {
            text: String::with_capacity(256),
            begun: false,
        };
        text.push(version);
        text
    }

    /// The next field.
    pub(super) fn field(&mut self) {
        self.text.push(',');
        self.begun = false;
    }

    pub(super) fn number(&mut self, number: u16) {
        if is_grease(number) {
            return;
        }
        if self.begun {
            self.text.push('-');
        }
        self.begun = true;
        self.push(number);
    }

    fn numbers(&mut self, numbers: impl Iterator<Item = u16>) {
        for number in numbers {
            self.number(number);
        }
    }

    fn push(&mut self, number: u16) {
        let mut digits = [0; 5];
        let (mut rest, mut count) = (number, 0);
        for place in digits.iter_mut().rev() {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        for &digit in digits.iter().skip(digits.len() - count) {
            self.text.push(digit.into());
        }
    }

    pub(super) fn finish(self) -> Shared {
        shared(&self.text)
    }
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

fn digit(value: u8) -> char {
    DIGITS[usize::from(value & 15)].into()
}

/// Bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hexadecimal(&mut text, bytes);
    text.into_boxed_str()
}

fn push_hexadecimal(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte));
    }
}

/// MD5 in hexadecimal.
pub(super) fn md5(text: &str) -> Shared {
    shared(&hexadecimal(&Md5::digest(text)))
}
