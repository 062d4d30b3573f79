//! What one record says: its data by type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use atalaya_model::protocol::dns::Data;

use super::Kin;
use super::cursor::{Cursor, hexadecimal};
use super::name::{self, Name};
use super::{netbios, presentation};

/// Character strings of a TXT record that are kept.
const MOST_STRINGS: usize = 16;

/// Where a record's data stands, and what it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) message: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Place<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        self.message.get(self.start..self.end).unwrap_or_default()
    }

    /// The name that stands `skip` bytes after the start, in lower case, and what follows it.
    pub(super) fn name(self, skip: usize) -> Option<(Box<str>, Cursor<'a>)> {
        let name = Name::at(self.message, self.start + skip)?;
        let rest = self.message.get(name.end..self.end)?;
        Some((name.lower(), Cursor::new(rest)))
    }

    fn cursor(self) -> Cursor<'a> {
        Cursor::new(self.bytes())
    }
}

/// Reads the data of a record of this type and class.
pub(super) fn data(kin: Kin, kind: u16, class: u16, place: Place<'_>) -> Data {
    if place.start == place.end {
        return Data::Empty;
    }
    let read = match (kin, kind) {
        (Kin::Netbios, 32) => Some(Data::Other(netbios::addresses(place.bytes()))),
        (Kin::Netbios, 33) => netbios::node_status(place.bytes()),
        (_, 1 | 28) if class == 1 || class >= 254 => address(kind, place.bytes()),
        (_, 2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39) => place.name(0).map(|(name, _)| Data::Name(name)),
        (_, 6) => soa(place),
        (_, 15) => mx(place),
        (_, 16 | 99) => texts(place.cursor()),
        (_, 33) => srv(place),
        (_, 43 | 59) => ds(place.cursor()),
        (_, 44) => sshfp(place.cursor()),
        (_, 46) => rrsig(place),
        (_, 47) => nsec(place),
        (_, 48 | 60) => dnskey(place.cursor()),
        (_, 257) => caa(place.cursor()),
        _ => Some(Data::Other(
            presentation::text(kind, place).unwrap_or_else(|| presentation::unknown(place.bytes())),
        )),
    };
    read.unwrap_or(Data::Unreadable)
}

fn address(kind: u16, bytes: &[u8]) -> Option<Data> {
    let address = match kind {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(Data::Address(address))
}

fn soa(place: Place<'_>) -> Option<Data> {
    let mname = Name::at(place.message, place.start)?;
    let rname = Name::at(place.message, mname.end)?;
    let mut numbers = Cursor::new(place.message.get(rname.end..place.end)?);
    Some(Data::Soa {
        mname: mname.lower(),
        rname: rname.lower(),
        serial: numbers.u32()?,
        refresh: numbers.u32()?,
        retry: numbers.u32()?,
        expire: numbers.u32()?,
        minimum: numbers.u32()?,
    })
}

fn mx(place: Place<'_>) -> Option<Data> {
    let preference = place.cursor().u16()?;
    let (name, _) = place.name(2)?;
    Some(Data::Mx { preference, name })
}

fn srv(place: Place<'_>) -> Option<Data> {
    let mut cursor = place.cursor();
    let (priority, weight, port) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    let (name, _) = place.name(6)?;
    Some(Data::Srv {
        priority,
        weight,
        port,
        name,
    })
}

fn texts(mut cursor: Cursor<'_>) -> Option<Data> {
    let mut texts = Vec::with_capacity(1);
    while !cursor.is_empty() && texts.len() < MOST_STRINGS {
        texts.push(name::text(cursor.short_string()?));
    }
    Some(Data::Text(texts.into_boxed_slice()))
}

fn ds(mut cursor: Cursor<'_>) -> Option<Data> {
    Some(Data::Ds {
        key_tag: cursor.u16()?,
        algorithm: cursor.u8()?,
        digest_kind: cursor.u8()?,
        digest: hexadecimal(first(cursor.rest()), None),
    })
}

fn sshfp(mut cursor: Cursor<'_>) -> Option<Data> {
    Some(Data::Sshfp {
        algorithm: cursor.u8()?,
        kind: cursor.u8()?,
        fingerprint: hexadecimal(first(cursor.rest()), Some(':')),
    })
}

/// No digest is longer than this.
fn first(bytes: &[u8]) -> &[u8] {
    bytes.get(..64).unwrap_or(bytes)
}

fn rrsig(place: Place<'_>) -> Option<Data> {
    let mut cursor = place.cursor();
    Some(Data::Rrsig {
        covered: cursor.u16()?,
        algorithm: cursor.u8()?,
        labels: cursor.u8()?,
        original_ttl: cursor.u32()?,
        expiration: cursor.u32()?,
        inception: cursor.u32()?,
        key_tag: cursor.u16()?,
        signer: place.name(18)?.0,
    })
}

fn nsec(place: Place<'_>) -> Option<Data> {
    let (next, rest) = place.name(0)?;
    let kinds = presentation::kinds(rest)?;
    Some(Data::Nsec { next, kinds })
}

fn dnskey(mut cursor: Cursor<'_>) -> Option<Data> {
    Some(Data::Dnskey {
        flags: cursor.u16()?,
        protocol: cursor.u8()?,
        algorithm: cursor.u8()?,
        key_bytes: u16::try_from(cursor.rest().len()).unwrap_or(u16::MAX),
    })
}

fn caa(mut cursor: Cursor<'_>) -> Option<Data> {
    Some(Data::Caa {
        flags: cursor.u8()?,
        tag: name::text(cursor.short_string()?),
        value: name::text(cursor.rest().get(..255).unwrap_or(cursor.rest())),
    })
}
