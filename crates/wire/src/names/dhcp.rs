//! DHCP over IPv4 (RFC 2131, 2132): one message of each datagram.
//!
//! Names of the facts, in this order, those that were said:
//! `op` (`request`, `reply`), `type` (`discover`, `offer`, …), `id` (decimal), `client_mac`, `client_ip` (the address
//! that the client has), `assigned_ip`, `next_server_ip`, `relay_ip`, `hostname`, `client_fqdn`, `client_id`
//! (hexadecimal with colons), `vendor_class`, `user_class`, `requested_ip`, `server_ip` (the server's identifier),
//! `lease_time`, `renewal_time`, `rebinding_time` (seconds), `subnet_mask`, `router` (each), `dns_server` (each),
//! `ntp_server` (each), `domain`, `proxy_url`, `tftp_server`, `boot_file`, `route` (each, `NET/PREFIX via ROUTER`),
//! `fingerprint` (the numbers of the options asked for, with commas between), `parameter` (each of them by name, or by
//! number).

use std::net::Ipv4Addr;

use atalaya_model::protocol::{Message, Other};
use atalaya_model::{Application, Side, Time};

use super::attributes::Attributes;
use super::cursor::{Cursor, hexadecimal};
use super::name;
use crate::analyser::{Analyser, Appetite, Guess, Opening, Piece, Said};
use crate::http::kept::without_userinfo;

/// Where the options begin, after the cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Values of one list that are kept.
const MOST_OF_LIST: usize = 4;

pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    let &[op, _, hardware, ..] = opening.data else {
        return Guess::No;
    };
    let cookie = opening.data.get(OPTIONS - COOKIE.len()..OPTIONS);
    let is_head = matches!(op, 1 | 2) && hardware <= 16;
    if is_head && cookie == Some(&COOKIE) {
        Guess::Yes
    } else {
        Guess::No
    }
}

/// Reads datagrams.
pub(super) struct Dhcp;

impl Analyser for Dhcp {
    fn application(&self) -> Application {
        Application::Dhcp
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        if let Some(other) = message(piece.data) {
            out.push((piece.time, Message::Other(Box::new(other))));
        }
        Appetite::More
    }

    fn gap(&mut self, _: Side, _: u64, _: Time, _: &mut Vec<Said>) -> Appetite {
        Appetite::More
    }
}

/// Options by number; the first of each counts.
struct Options<'a>([&'a [u8]; 256]);

impl<'a> Options<'a> {
    /// Those after the cookie, and those in the fields for file and server name where option 52 says so.
    fn read(data: &'a [u8]) -> Self {
        let mut options = Self([&[]; 256]);
        options.add(data.get(OPTIONS..).unwrap_or_default());
        let overload = options.number(52).unwrap_or(0);
        if overload & 1 != 0 {
            options.add(data.get(108..236).unwrap_or_default());
        }
        if overload & 2 != 0 {
            options.add(data.get(44..108).unwrap_or_default());
        }
        options
    }

    fn add(&mut self, data: &'a [u8]) {
        let mut cursor = Cursor::new(data);
        while let Some(code) = cursor.u8() {
            match code {
                0 => {}
                255 => break,
                _ => {
                    let Some(value) = cursor.short_string() else { break };
                    if let Some(slot) = self.0.get_mut(usize::from(code))
                        && slot.is_empty()
                    {
                        *slot = value;
                    }
                }
            }
        }
    }

    fn get(&self, code: u8) -> Option<&'a [u8]> {
        let value = self.0.get(usize::from(code)).copied()?;
        (!value.is_empty()).then_some(value)
    }

    fn text(&self, code: u8) -> Option<Box<str>> {
        let value = self.get(code)?;
        // Some end their texts with a zero.
        let end = value.iter().rposition(|byte| *byte != 0)?;
        Some(name::text(value.get(..=end)?))
    }

    /// An address of the web, or a name; without user and password.
    fn address(&self, code: u8) -> Option<Box<str>> {
        let value = self.get(code)?;
        let end = value.iter().rposition(|byte| *byte != 0)?;
        Some(name::text(&without_userinfo(value.get(..=end)?)))
    }

    fn number(&self, code: u8) -> Option<u32> {
        let value = self.get(code)?;
        (value.len() <= 4).then(|| {
            value
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte))
        })
    }

    fn addresses(&self, code: u8) -> impl Iterator<Item = Ipv4Addr> {
        let (addresses, _) = self.get(code).unwrap_or_default().as_chunks::<4>();
        addresses
            .iter()
            .map(|address| Ipv4Addr::from(*address))
            .take(MOST_OF_LIST)
    }
}

fn message(data: &[u8]) -> Option<Other> {
    let mut head = Cursor::new(data.get(..OPTIONS)?);
    let [op, hardware, length, _] = head.array()?;
    let id = head.u32()?;
    head.take(4)?;
    let [client, assigned, next, relay] = [head.array::<4>()?, head.array()?, head.array()?, head.array()?];
    let address = head.take(16)?;
    let options = Options::read(data);

    let mut facts = Attributes::new(Application::Dhcp);
    facts.text("op", if op == 1 { "request" } else { "reply" });
    if let Some(kind) = options.number(53) {
        match kind_name(kind) {
            Some(name) => facts.text("type", name),
            None => facts.show("type", kind),
        }
    }
    facts.show("id", id);
    if hardware == 1 && length == 6 {
        facts.add("client_mac", hexadecimal(address.get(..6)?, Some(':')));
    }
    let fields = [
        ("client_ip", client),
        ("assigned_ip", assigned),
        ("next_server_ip", next),
        ("relay_ip", relay),
    ];
    for (name, address) in fields {
        if address != [0; 4] {
            facts.show(name, Ipv4Addr::from(address));
        }
    }
    facts.maybe("hostname", options.text(12));
    facts.maybe("client_fqdn", options.get(81).and_then(full_name));
    facts.maybe("client_id", options.get(61).map(|id| hexadecimal(id, Some(':'))));
    facts.maybe("vendor_class", options.text(60));
    facts.maybe("user_class", options.text(77));
    facts.all("requested_ip", options.addresses(50));
    facts.all("server_ip", options.addresses(54));
    facts.all("lease_time", options.number(51));
    facts.all("renewal_time", options.number(58));
    facts.all("rebinding_time", options.number(59));
    facts.all("subnet_mask", options.addresses(1));
    facts.all("router", options.addresses(3));
    facts.all("dns_server", options.addresses(6));
    facts.all("ntp_server", options.addresses(42));
    facts.maybe("domain", options.text(15));
    facts.maybe("proxy_url", options.address(252));
    facts.maybe("tftp_server", options.text(66));
    facts.maybe("boot_file", options.address(67));
    facts.all("route", options.get(121).into_iter().flat_map(routes));
    if let Some(wanted) = options.get(55) {
        let numbers: Vec<String> = wanted.iter().map(u8::to_string).collect();
        facts.add("fingerprint", numbers.join(",").into());
        for &code in wanted {
            match parameter_name(code) {
                Some(name) => facts.text("parameter", name),
                None => facts.show("parameter", code),
            }
        }
    }
    Some(facts.done())
}

/// The client's full name: three bytes of flags, then text, or labels where the flag says so (RFC 4702).
fn full_name(value: &[u8]) -> Option<Box<str>> {
    let (&[flags, _, _], rest) = value.split_first_chunk()?;
    if flags & 4 == 0 {
        return Some(name::text(rest));
    }
    name::Name::at(rest, 0).map(name::Name::lower)
}

/// Classless static routes (RFC 3442).
fn routes(value: &[u8]) -> impl Iterator<Item = String> {
    let mut cursor = Cursor::new(value);
    let next = move || {
        let prefix = cursor.u8().filter(|prefix| *prefix <= 32)?;
        let mut net = [0; 4];
        let significant = cursor.take(usize::from(prefix.div_ceil(8)))?;
        for (byte, said) in net.iter_mut().zip(significant) {
            *byte = *said;
        }
        let router = Ipv4Addr::from(cursor.array::<4>()?);
        Some(format!("{}/{prefix} via {router}", Ipv4Addr::from(net)))
    };
    std::iter::from_fn(next).take(MOST_OF_LIST)
}

const fn kind_name(kind: u32) -> Option<&'static str> {
    Some(match kind {
        1 => "discover",
        2 => "offer",
        3 => "request",
        4 => "decline",
        5 => "ack",
        6 => "nak",
        7 => "release",
        8 => "inform",
        9 => "force_renew",
        10 => "lease_query",
        _ => return None,
    })
}

const fn parameter_name(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "subnet_mask",
        2 => "time_offset",
        3 => "router",
        4 => "time_server",
        6 => "dns_server",
        12 => "hostname",
        15 => "domain",
        26 => "interface_mtu",
        28 => "broadcast",
        31 => "router_discovery",
        33 => "static_route",
        35 => "arp_timeout",
        42 => "ntp_server",
        43 => "vendor_specific",
        44 => "netbios_name_server",
        46 => "netbios_node_type",
        47 => "netbios_scope",
        51 => "lease_time",
        54 => "server_id",
        58 => "renewal_time",
        59 => "rebinding_time",
        66 => "tftp_server_name",
        67 => "boot_file",
        119 => "domain_search",
        121 => "classless_route",
        150 => "tftp_server_ip",
        252 => "proxy_url",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use atalaya_model::Message;

    use super::*;
    use crate::{Conversation, Limits, Over};

    #[test]
    fn addresses_say_no_password() {
        let mut data = vec![2, 1, 6, 0];
        data.resize(OPTIONS - 4, 0);
        data.extend_from_slice(&COOKIE);
        data.extend_from_slice(&[53, 1, 5]);
        for (code, value) in [
            (252, "http://u:secret@proxy.example/wpad.dat"),
            (67, "http://u:secret@h/a"),
        ] {
            data.extend_from_slice(&[code, value.len() as u8]);
            data.extend_from_slice(value.as_bytes());
        }
        data.push(255);
        let piece = Piece {
            time: Time(1),
            side: Side::Source,
            data: &data,
            cut: 0,
        };
        let mut out = Vec::new();
        Conversation::new(Over::Datagrams, 67, 68).read(&piece, &Limits::default(), &mut out);
        let [(_, Message::Other(told))] = &out[..] else {
            panic!("{out:?}");
        };
        assert_eq!(told.get("type"), Some("ack"));
        assert_eq!(told.get("proxy_url"), Some("http://proxy.example/wpad.dat"));
        assert_eq!(told.get("boot_file"), Some("http://h/a"));
    }
}
