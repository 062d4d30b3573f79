//! Certificates (RFC 5280) as they are sent in a handshake in the clear.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use atalaya_model::protocol::tls::Certificate;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::cursor::Cursor;
use super::der::{self, Element, INTEGER, OCTETS, OID, SEQUENCE, SET};
use super::fingerprint::hexadecimal;

/// Certificates that are read of a chain.
const CHAIN: usize = 8;
/// Names that are kept of one.
const NAMES: usize = 32;
/// Letters of one name, and of one attribute's value.
const NAME: usize = 255;
/// Attributes of a subject.
const ATTRIBUTES: usize = 32;
/// Bytes of a serial number: twice what is allowed.
const SERIAL: usize = 40;

/// The certificates of a Certificate message of TLS up to 1.2.
pub(super) fn chain(body: &[u8]) -> Box<[Certificate]> {
    let mut list = Cursor(Cursor(body).longer().unwrap_or_default());
    std::iter::from_fn(|| list.longer())
        .take(CHAIN)
        .filter_map(read)
        .collect()
}

/// Reads one; `None` where it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Certificate> {
    let mut outer = Cursor(der::expect(&mut Cursor(bytes), SEQUENCE)?);
    let mut at = Cursor(der::expect(&mut outer, SEQUENCE)?);
    let mut first = der::next(&mut at)?;
    if first.tag == 0xa0 {
        first = der::next(&mut at)?; // the one before was the version
    }
    if first.tag != INTEGER {
        return None;
    }
    der::expect(&mut at, SEQUENCE)?; // algorithm
    let issuer = der::expect(&mut at, SEQUENCE)?;
    let mut validity = Cursor(der::expect(&mut at, SEQUENCE)?);
    let subject = der::expect(&mut at, SEQUENCE)?;
    der::expect(&mut at, SEQUENCE)?; // key
    let extensions = std::iter::from_fn(|| der::next(&mut at)).find(|element| element.tag == 0xa3);
    Some(Certificate {
        subject: distinguished(subject),
        issuer: distinguished(issuer),
        serial: serial(first.content),
        not_before: der::next(&mut validity).and_then(der::time).unwrap_or_default(),
        not_after: der::next(&mut validity).and_then(der::time).unwrap_or_default(),
        sha256: hexadecimal(&Sha256::digest(bytes)),
        sha1: hexadecimal(&Sha1::digest(bytes)),
        self_signed: subject == issuer,
        names: extensions
            .and_then(|extensions| names(extensions.content))
            .unwrap_or_default(),
    })
}

/// `00:97:E6`: the bytes as they are.
fn serial(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (index, byte) in bytes.iter().take(SERIAL).enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        if write!(text, "{separator}{byte:02X}").is_err() {
            break;
        }
    }
    text.into_boxed_str()
}

/// `C=US, O=Example, CN=example.com`.
fn distinguished(name: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(96);
    let mut sets = Cursor(name);
    let mut left = ATTRIBUTES;
    while let Some(set) = der::expect(&mut sets, SET) {
        let mut set = Cursor(set);
        while let Some(attribute) = der::expect(&mut set, SEQUENCE) {
            let mut attribute = Cursor(attribute);
            let (Some(oid), Some(value)) = (der::expect(&mut attribute, OID), der::next(&mut attribute))
            else {
                continue;
            };
            if left == 0 {
                return text.into_boxed_str();
            }
            left -= 1;
            if !text.is_empty() {
                text.push_str(", ");
            }
            match attribute_name(oid) {
                Some(name) => text.push_str(name),
                None => text.push_str(&der::dotted(oid)),
            }
            text.push('=');
            text.push_str(&der::text(value, NAME));
        }
    }
    text.into_boxed_str()
}

/// The short names that OpenSSL, Zeek and Suricata use.
fn attribute_name(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 4, last] => match last {
            3 => "CN",
            4 => "SN",
            5 => "serialNumber",
            6 => "C",
            7 => "L",
            8 => "ST",
            9 => "street",
            10 => "O",
            11 => "OU",
            12 => "title",
            13 => "description",
            15 => "businessCategory",
            16 => "postalAddress",
            17 => "postalCode",
            20 => "telephoneNumber",
            41 => "name",
            42 => "GN",
            43 => "initials",
            44 => "generationQualifier",
            45 => "x500UniqueIdentifier",
            46 => "dnQualifier",
            65 => "pseudonym",
            97 => "organizationIdentifier",
            _ => return None,
        },
        // 1.2.840.113549.1.9
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, last] => match last {
            1 => "emailAddress",
            2 => "unstructuredName",
            8 => "unstructuredAddress",
            _ => return None,
        },
        // 0.9.2342.19200300.100.1
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, last] => match last {
            1 => "UID",
            25 => "DC",
            _ => return None,
        },
        // 1.3.6.1.4.1.311.60.2.1
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x3c, 2, 1, last] => match last {
            1 => "jurisdictionL",
            2 => "jurisdictionST",
            3 => "jurisdictionC",
            _ => return None,
        },
        _ => return None,
    })
}

/// The names and addresses of the extension with alternative names (2.5.29.17).
fn names(extensions: &[u8]) -> Option<Box<[Box<str>]>> {
    let mut list = Cursor(der::expect(&mut Cursor(extensions), SEQUENCE)?);
    while let Some(extension) = der::expect(&mut list, SEQUENCE) {
        let mut extension = Cursor(extension);
        if der::expect(&mut extension, OID)? != [0x55, 0x1d, 17] {
            continue;
        }
        let value = std::iter::from_fn(|| der::next(&mut extension)).find(|element| element.tag == OCTETS)?;
        let mut names = Cursor(der::expect(&mut Cursor(value.content), SEQUENCE)?);
        return Some(
            std::iter::from_fn(|| der::next(&mut names))
                .filter_map(alternative)
                .take(NAMES)
                .collect(),
        );
    }
    None
}

fn alternative(name: Element<'_>) -> Option<Box<str>> {
    const DOMAIN: u8 = 0x82;
    const ADDRESS: u8 = 0x87;
    match name.tag {
        DOMAIN => Some(der::text(name, NAME).into_boxed_str()),
        ADDRESS => {
            let four = <[u8; 4]>::try_from(name.content).map(|bytes| Ipv4Addr::from(bytes).to_string());
            let sixteen = <[u8; 16]>::try_from(name.content).map(|bytes| Ipv6Addr::from(bytes).to_string());
            four.or(sixteen).ok().map(String::into_boxed_str)
        }
        _ => None,
    }
}
