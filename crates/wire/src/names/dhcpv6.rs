//! DHCP over IPv6 (RFC 8415): one message of each datagram; of a relayed one, the message inside.
//!
//! Names of the facts: `type` (`solicit`, `reply`, …), `id` (of the transaction), `relayed` (how often), `client_id`,
//! `server_id` (hexadecimal), `client_fqdn`, `vendor_class`, `address` (each), `prefix` (each, `NET/LENGTH`),
//! `dns_server` (each), `domain` (each), `fingerprint` (the numbers of the options asked for, with commas between).

use std::net::Ipv6Addr;

use atalaya_model::Application;
use atalaya_model::protocol::{Message, Other};

use super::attributes::Attributes;
use super::cursor::{Cursor, hexadecimal};
use super::name::{self, Name};
use crate::analyser::{Analyser, Appetite, Guess, Opening, Piece, Said};

/// Relays that are looked behind.
const MOST_RELAYS: u32 = 8;
/// Options of one list that are read.
const MOST_OPTIONS: usize = 64;

pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    let is_usual = [opening.source_port, opening.destination_port]
        .iter()
        .any(|port| matches!(port, 546 | 547));
    if is_usual && message(opening.data).is_some() {
        Guess::Yes
    } else {
        Guess::No
    }
}

/// Reads datagrams.
pub(super) struct Dhcpv6;

impl Analyser for Dhcpv6 {
    fn application(&self) -> Application {
        Application::Dhcpv6
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        if let Some(other) = message(piece.data) {
            out.push((piece.time, Message::Other(Box::new(other))));
        }
        Appetite::More
    }
}

/// Number and value of each option.
fn options(data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut cursor = Cursor::new(data);
    let next = move || {
        let code = cursor.u16()?;
        let length = cursor.u16()?;
        Some((code, cursor.take(usize::from(length))?))
    };
    std::iter::from_fn(next).take(MOST_OPTIONS)
}

fn message(mut data: &[u8]) -> Option<Other> {
    let mut relayed = 0;
    while let Some(12 | 13) = data.first() {
        let (_, inside) = options(data.get(34..)?).find(|(code, _)| *code == 9)?;
        data = inside;
        relayed += 1;
        if relayed > MOST_RELAYS {
            return None;
        }
    }
    let (&[kind, a, b, c], rest) = data.split_first_chunk()?;
    let mut facts = Attributes::new(Application::Dhcpv6);
    facts.text("type", kind_name(kind)?);
    facts.show("id", u32::from_be_bytes([0, a, b, c]));
    if relayed > 0 {
        facts.show("relayed", relayed);
    }
    for (code, value) in options(rest) {
        option(code, value, &mut facts);
    }
    Some(facts.done())
}

fn option(code: u16, value: &[u8], facts: &mut Attributes) {
    let mut cursor = Cursor::new(value);
    match code {
        1 => facts.add("client_id", hexadecimal(value, None)),
        2 => facts.add("server_id", hexadecimal(value, None)),
        // Associations: identity, two times, then options.
        3 | 25 => {
            for (code, value) in options(value.get(12..).unwrap_or_default()) {
                match (code, value) {
                    (5, _) => facts.all("address", Cursor::new(value).array::<16>().map(Ipv6Addr::from)),
                    (26, [_, _, _, _, _, _, _, _, length, net @ ..]) => {
                        let net = Cursor::new(net).array::<16>().map(Ipv6Addr::from);
                        facts.all("prefix", net.map(|net| format!("{net}/{length}")));
                    }
                    _ => {}
                }
            }
        }
        6 => {
            let (codes, _) = value.as_chunks::<2>();
            let codes: Vec<String> = codes
                .iter()
                .map(|code| u16::from_be_bytes(*code).to_string())
                .collect();
            facts.add("fingerprint", codes.join(",").into());
        }
        16 => {
            // Enterprise number, then strings.
            cursor.take(4);
            let length = cursor.u16().unwrap_or(0);
            facts.maybe("vendor_class", cursor.take(usize::from(length)).map(name::text));
        }
        23 => {
            let (servers, _) = value.as_chunks::<16>();
            facts.all(
                "dns_server",
                servers.iter().take(4).map(|server| Ipv6Addr::from(*server)),
            );
        }
        24 => {
            let mut at = 0;
            while let Some(name) = (at < value.len()).then(|| Name::at(value, at)).flatten() {
                at = name.end;
                facts.add("domain", name.lower());
            }
        }
        39 => facts.maybe("client_fqdn", client_name(value)),
        _ => {}
    }
}

/// The client's name after a byte of flags; it may lack the root at its end (RFC 4704).
fn client_name(value: &[u8]) -> Option<Box<str>> {
    let mut labels = value.get(1..)?.to_vec();
    labels.push(0);
    Name::at(&labels, 0).map(Name::lower)
}

const fn kind_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "solicit",
        2 => "advertise",
        3 => "request",
        4 => "confirm",
        5 => "renew",
        6 => "rebind",
        7 => "reply",
        8 => "release",
        9 => "decline",
        10 => "reconfigure",
        11 => "information_request",
        _ => return None,
    })
}
