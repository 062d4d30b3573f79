//! What is spoken in other projects' captures, beside the names that nDPI gives (`$ATALAYA_CORPORA`).
//!
//! Only names of protocols that are recognised here are compared: nDPI's names of companies, games and applications, and
//! protocols that are not on the list, are counted by themselves. Of `TLS.Google` the first part is the protocol.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that tells shares"
)]

#[path = "corpora/replay.rs"]
mod replay;

use std::collections::{BTreeMap, HashMap, HashSet};

use atalaya_model::Application::{self, *};
use atalaya_model::{Basis, Endpoint, Lane, Transport};
use atalaya_track::FlowOptions;
use serde_json::Value;

use replay::{expected, folder, replay};

/// nDPI's name, and the names here that mean the same.
const SAME: &[(&str, &[Application])] = &[
    ("AMQP", &[Amqp]),
    ("BitTorrent", &[BitTorrent]),
    ("COAP", &[Coap]),
    ("DCERPC", &[Dcerpc]),
    ("DHCP", &[Dhcp]),
    ("DHCPV6", &[Dhcpv6]),
    ("DNS", &[Dns]),
    ("DTLS", &[Dtls]),
    ("DoH_DoT", &[Tls, Quic]),
    // With STARTTLS: the protocol that asked for it; else TLS on the port of the protocol.
    ("FTPS", &[Ftp, Tls]),
    ("GTP", &[Gtp]),
    ("HTTP", &[Http, Http2, WebSocket]),
    ("HTTP_Connect", &[Http]),
    ("HTTP_Proxy", &[Http]),
    ("IMAPS", &[Imap, Tls]),
    ("IPSec", &[Ike]),
    ("Jabber", &[Xmpp]),
    ("Kerberos", &[Kerberos]),
    ("LDAP", &[Ldap]),
    ("LLMNR", &[Llmnr]),
    ("MDNS", &[Mdns]),
    ("MQTT", &[Mqtt]),
    ("Memcached", &[Memcached]),
    ("NTP", &[Ntp]),
    ("NetBIOS", &[NetbiosDgm, NetbiosNs, NetbiosSsn, Smb]),
    ("OpenVPN", &[OpenVpn]),
    ("POP3", &[Pop3]),
    ("POPS", &[Pop3, Tls]),
    ("PostgreSQL", &[PostgreSql]),
    ("QUIC", &[Quic]),
    ("RDP", &[Rdp]),
    ("RESP", &[Redis]),
    ("RTCP", &[Rtp]),
    ("RTP", &[Rtp]),
    ("RTSP", &[Rtsp]),
    ("SIP", &[Sip]),
    ("SMBv23", &[Smb]),
    ("SMTP", &[Smtp]),
    ("SMTPS", &[Smtp, Tls]),
    ("SNMP", &[Snmp]),
    ("SOCKS", &[Socks]),
    // The media that STUN opens the way for belong to the same conversation.
    ("SRTP", &[Rtp, Stun]),
    ("SSDP", &[Ssdp]),
    ("SSH", &[Ssh]),
    ("STUN", &[Stun]),
    ("TLS", &[Tls, Tor]),
    ("WireGuard", &[WireGuard]),
];

/// Of one of nDPI's names.
#[derive(Clone, Copy, Default)]
struct Count {
    expected: u32,
    content: u32,
    port: u32,
    unnamed: u32,
    otherwise: u32,
    /// No payload was captured: nDPI goes by the port, here nothing is named.
    silent: u32,
}

type Ends = (Transport, Endpoint, Endpoint);

fn ends(transport: Transport, a: Endpoint, b: Endpoint) -> Ends {
    (transport, a.min(b), a.max(b))
}

fn row_ends(row: &Value) -> Ends {
    let endpoint = |ip: &str, port: &str| {
        let port = u16::try_from(row[port].as_u64().unwrap()).unwrap();
        Endpoint::new(row[ip].as_str().unwrap().parse().unwrap(), port)
    };
    let transport = if row["transport"] == "tcp" {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    ends(
        transport,
        endpoint("source", "source_port"),
        endpoint("destination", "destination_port"),
    )
}

#[test]
fn protocols_are_those_that_ndpi_names() {
    let Some(folder) = folder("flows") else { return };
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in expected(&folder) {
        let capture = row["capture"].as_str().unwrap().to_owned();
        rows.entry(capture).or_default().push(row);
    }
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut others = Count::default();
    for (capture, rows) in rows {
        // What each pair of ends spoke first; what the content says before what the port does.
        let mut spoken: HashMap<Ends, (Application, Basis)> = HashMap::new();
        let mut heard: HashSet<Ends> = HashSet::new();
        for connection in replay(&folder.join(&capture), false, FlowOptions::default()) {
            let wire = connection.wire.as_ref().unwrap();
            let ends = ends(connection.transport, connection.source, connection.destination);
            let lanes = [&wire.source, &wire.destination];
            let is_heard = |lane: &Lane| lane.payload_bytes.is_some_and(|bytes| bytes > lane.missed_bytes);
            if lanes.into_iter().any(is_heard) {
                heard.insert(ends);
            }
            let Some(known) = wire.application else {
                continue;
            };
            let first = spoken.entry(ends).or_insert(known);
            if first.1 < known.1 {
                *first = known;
            }
        }
        for row in rows {
            let name = row["application"].as_str().unwrap_or("Unknown");
            let protocol = name.split('.').next().unwrap();
            let found = spoken.get(&row_ends(&row)).copied();
            let known = SAME.iter().find(|(known, _)| *known == protocol);
            let (count, same) = match known {
                Some((known, same)) => (counts.entry(known).or_default(), *same),
                None => (&mut others, &[][..]),
            };
            count.expected += 1;
            match found {
                Some((application, Basis::Content)) if same.contains(&application) => count.content += 1,
                Some((application, Basis::Port)) if same.contains(&application) => count.port += 1,
                Some((_, Basis::Content)) => count.otherwise += 1,
                _ if !heard.contains(&row_ends(&row)) => count.silent += 1,
                Some((_, Basis::Port)) | None => count.unnamed += 1,
            }
            let is_right = found.is_some_and(|(name, basis)| same.contains(&name) && basis == Basis::Content);
            if !is_right && heard.contains(&row_ends(&row)) {
                println!("{capture}: {name}: {found:?} of {:?}", row_ends(&row));
            }
        }
    }
    println!("{:13} expected content port unnamed otherwise silent", "nDPI");
    let mut all = Count::default();
    for (name, count) in &counts {
        tell(name, *count);
        all.expected += count.expected;
        all.content += count.content;
        all.port += count.port;
        all.unnamed += count.unnamed;
        all.otherwise += count.otherwise;
        all.silent += count.silent;
    }
    tell("all", all);
    tell("(not here)", others);
    assert!(all.content >= 1_862, "fewer are recognised than were");
    assert!(all.otherwise <= 2, "more are mistaken than were");
}

fn tell(name: &str, count: Count) {
    let Count {
        expected,
        content,
        port,
        unnamed,
        otherwise,
        silent,
    } = count;
    println!("{name:13} {expected:8} {content:7} {port:4} {unnamed:7} {otherwise:9} {silent:6}");
}
