//! Conversations that packets told of, and one of each thing that can be said in them.

use std::sync::Arc;

use atalaya_model::protocol::dns::{Answer, Data, Question, Response};
use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello};
use atalaya_model::protocol::{Dns, Http, Http2Settings, Mail, Other, Quic, Ssh, Tls};
use atalaya_model::*;

use crate::samples::{self, START};

/// A conversation of 57 s with everything that packets tell.
pub(crate) fn connection() -> Connection {
    let mut connection = samples::connection(samples::process());
    connection.source = Endpoint::new("192.168.0.253".parse().unwrap(), 49_584);
    connection.destination = Endpoint::new("151.101.36.133".parse().unwrap(), 443);
    connection.seen = START.after(Span(57_574_000));
    connection.ended = Some(connection.seen);
    connection.state = SocketState::LastAck;
    connection.name = Some("raw.example.com".into());
    connection.name_source = Some(NameSource::Tls);
    connection.service = Some("https".into());
    connection.wire = Some(Box::new(Wire {
        source: Lane {
            packets: 10,
            frame_bytes: 1_584,
            ip_bytes: 1_444,
            payload_bytes: Some(900),
            tcp_flags: 0x1b,
            ..Lane::default()
        },
        destination: Lane {
            packets: 19,
            frame_bytes: 6_151,
            ip_bytes: 5_885,
            payload_bytes: None,
            missed_bytes: 12,
            retransmits: 2,
            out_of_order: 1,
            tcp_flags: 0x1b,
        },
        state: ConnectionState::SF,
        history: "ShADadfF".into(),
        application: Some((Application::Tls, Basis::Content)),
        interface: Some("eth0".into()),
        vlans: [1, 10, 0],
        tunnel: Some("vxlan 7".into()),
        unjoined: false,
        tls: Some(Arc::new(tls())),
        http: Some(Arc::new(http())),
        ssh: Some(Arc::new(ssh())),
    }));
    connection
}

/// A conversation of datagrams with a server of names, of which only packets tell.
pub(crate) fn asking() -> Connection {
    let mut connection = connection();
    connection.transport = Transport::Udp;
    connection.process = None;
    connection.attribution = Evidence::NotRecorded.into();
    connection.traffic = None;
    connection.source = Endpoint::new("192.168.42.150".parse().unwrap(), 55_597);
    connection.destination = Endpoint::new("192.168.42.129".parse().unwrap(), 53);
    connection.wire = Some(Box::new(Wire {
        source: Lane {
            packets: 1,
            frame_bytes: 83,
            ip_bytes: 69,
            payload_bytes: Some(41),
            ..Lane::default()
        },
        state: ConnectionState::S0,
        history: "D".into(),
        application: Some((Application::Dns, Basis::Content)),
        ..Wire::default()
    }));
    connection
}

fn answer(name: &str, kind: u16, ttl: u32, data: Data) -> Answer {
    Answer {
        name: name.into(),
        kind,
        class: 1,
        ttl,
        data,
    }
}

/// A question with answers of many types.
pub(crate) fn dns() -> Dns {
    let name = "static.example.net";
    Dns {
        id: 59_165,
        opcode: 0,
        asked: Some(START),
        flags: 0x0100,
        sent: None,
        questions: [Question {
            name: name.into(),
            as_sent: Some("Static.Example.net".into()),
            kind: 1,
            class: 1,
        }]
        .into(),
        response: Some(Response {
            time: START.after(Span(4_605)),
            flags: 0x8180,
            code: 0,
            answers: [
                answer(name, 5, 630, Data::Name("a1859.example.org".into())),
                answer(
                    "a1859.example.org",
                    1,
                    14,
                    Data::Address("90.84.55.48".parse().unwrap()),
                ),
                answer(
                    "a1859.example.org",
                    1,
                    14,
                    Data::Address("90.84.55.64".parse().unwrap()),
                ),
                answer(name, 28, 14, Data::Address("2001:db8::7".parse().unwrap())),
                answer(
                    name,
                    16,
                    5,
                    Data::Text(["hello".into(), "a\\027b\\252".into()].into()),
                ),
                answer(
                    name,
                    33,
                    5,
                    Data::Srv {
                        priority: 20,
                        weight: 1,
                        port: 5_060,
                        name: "sip.example.com".into(),
                    },
                ),
                answer(
                    name,
                    15,
                    5,
                    Data::Mx {
                        preference: 10,
                        name: "mx.example.com".into(),
                    },
                ),
                answer(
                    name,
                    44,
                    5,
                    Data::Sshfp {
                        algorithm: 1,
                        kind: 1,
                        fingerprint: "19:8c:34".into(),
                    },
                ),
                answer(
                    name,
                    48,
                    5,
                    Data::Dnskey {
                        flags: 257,
                        protocol: 3,
                        algorithm: 5,
                        key_bytes: 128,
                    },
                ),
                answer(
                    name,
                    43,
                    5,
                    Data::Ds {
                        key_tag: 12_345,
                        algorithm: 5,
                        digest_kind: 2,
                        digest: "49fd46".into(),
                    },
                ),
                answer(
                    name,
                    46,
                    5,
                    Data::Rrsig {
                        covered: 48,
                        algorithm: 5,
                        labels: 2,
                        original_ttl: 3_600,
                        expiration: 1_795_000_000,
                        inception: 1_790_000_000,
                        key_tag: 1,
                        signer: "example.edu".into(),
                    },
                ),
                answer(name, 65_534, 0, Data::Other("05AB".into())),
                answer(name, 11, 0, Data::Unreadable),
            ]
            .into(),
            authorities: [answer(
                "example.org",
                6,
                1_000,
                Data::Soa {
                    mname: "n0.example.org".into(),
                    rname: "hostmaster.example.com".into(),
                    serial: 1_372_967_523,
                    refresh: 1_000,
                    retry: 1_000,
                    expire: 1_000,
                    minimum: 1_800,
                },
            )]
            .into(),
            additionals: Box::default(),
            left_out: 0,
        }),
    }
}

pub(crate) fn tls() -> Tls {
    Tls {
        version: Some(0x0303),
        client: Some(client()),
        server: Some(ServerHello {
            version: 0x0303,
            cipher: 0xc030,
            protocol: Some("h2".into()),
            ja3s_text: "771,49200,65281-0".into(),
            ja3s: "ae4edc6faf64d08308082ad26be60767".into(),
        }),
        certificates: [Certificate {
            subject: "C=US, ST=California, O=Git, Inc., CN=www.example.com".into(),
            issuer: "C=US, O=DigiCert Inc, CN=DigiCert".into(),
            serial: "08:3a:84".into(),
            not_before: Time::from_seconds(1_490_227_200),
            not_after: Time::from_seconds(1_589_371_200),
            sha256: "ab".repeat(32).into(),
            sha1: "ccaa484866460e91532c9c7c232ab1744d299d33".into(),
            self_signed: false,
            names: ["www.example.com".into()].into(),
        }]
        .into(),
        curve: Some(23),
        established: true,
        alert: Some((2, 40)),
        history: "CsxknGIi".into(),
        ..Tls::default()
    }
}

fn client() -> ClientHello {
    ClientHello {
        version: 0x0303,
        server_name: Some("raw.example.com".into()),
        protocols: ["h2".into(), "http/1.1".into()].into(),
        ja4: "t12d1516h2_8daaf6152771_e5627efa2ab1".into(),
        ja3_text: Some("771,49195-49199,0-23,23-24,0".into()),
        ja3: Some("65825469c473e48f3ee2571129256ab0".into()),
        encrypted_hello: false,
        grease: None,
    }
}

pub(crate) fn http() -> Http {
    Http {
        version: 11,
        depth: 1,
        method: Some("GET".into()),
        host: Some("www.example.com:8080".into()),
        path: Some("/a\"b?q=1".into()),
        user_agent: Some("curl/7.50.1".into()),
        referrer: Some("http://example.com/".into()),
        status: Some(200),
        reason: Some("OK".into()),
        interim: Some((100, "Continue".into())),
        user: Some("ana".into()),
        proxied: ["VIA -> proxy".into()].into(),
        response_type: Some("text/html; charset=utf-8".into()),
        response_mime: Some("text/html".into()),
        response_bytes: 1_270,
        request_bytes: 5,
        request_mime: Some("text/plain".into()),
        ..Http::default()
    }
}

pub(crate) fn ssh() -> Ssh {
    Ssh {
        client: Some("SSH-2.0-OpenSSH_9.2p1 Debian-2".into()),
        server: Some("SSH-2.0-dropbear".into()),
        hassh: Some("ec7378c1a92f5a8dde7e8b7a1ddf33d1".into()),
        hassh_server: Some("b12d2871a1189eff20364cf5333619ee".into()),
        authenticated: Some(true),
    }
}

pub(crate) fn messages() -> Vec<Message> {
    let dhcp = [
        ("op", "request"),
        ("type", "offer"),
        ("id", "3759982360"),
        ("client_mac", "00:00:6c:82:dc:4e"),
        ("parameter", "subnet_mask"),
        ("parameter", "router"),
        ("dns_server", "10.100.0.2"),
        ("lease_time", "3600"),
        ("hostname", "evil\u{1b}[2J\n"),
    ];
    let mut dhcp_words = Other::new(Application::Dhcp);
    dhcp_words.attributes = dhcp.map(|(name, value)| (name.into(), value.into())).into();
    vec![
        Message::Dns(Box::new(dns())),
        Message::Tls(Box::new(tls())),
        Message::Quic(Box::new(Quic {
            version: 1,
            client_initial_destination: "ceef7990f5bb4071".into(),
            client_connection: "1e6dc7".into(),
            server_connection: "eeef7990f5bb4071".into(),
            client: Some(ClientHello {
                ja4: "q13d0310h3_55b375c5d22e_cd85d2d88918".into(),
                ..client()
            }),
            history: "IiSs".into(),
            cyu: Some(("46,PAD-SNI".into(), "a46560d4".into())),
            ..Quic::default()
        })),
        Message::Http(Box::new(http())),
        Message::Http(Box::new(Http {
            version: 20,
            stream: Some(1),
            method: Some("POST".into()),
            ..Http::default()
        })),
        Message::Http2Settings(Box::new(Http2Settings {
            by_client: true,
            settings: [(1, 65_536), (2, 0), (77, 1)].into(),
        })),
        Message::Ssh(Box::new(ssh())),
        Message::Mail(Box::new(Mail {
            helo: Some("linuxbox".into()),
            from: Some("<toto@example.com>".into()),
            to: ["<172.16.92.2@linuxbox>".into()].into(),
            code: Some(250),
            greeting: None,
            starttls: false,
            head_from: Some("toto <toto@example.com>".into()),
            head_to: ["172.16.92.2@linuxbox".into()].into(),
            complete: true,
        })),
        Message::Other(Box::new(dhcp_words)),
        Message::Other(Box::new(Other::new(Application::PostgreSql))),
    ]
}

pub(crate) fn protocols() -> Vec<Protocol> {
    let (asking, talking) = (Arc::new(asking()), Arc::new(connection()));
    let protocol = |message: Message| Protocol {
        time: START,
        connection: match message {
            Message::Dns(_) => asking.clone(),
            _ => talking.clone(),
        },
        message,
    };
    messages().into_iter().map(protocol).collect()
}

pub(crate) fn events() -> Vec<Event> {
    let closed = [connection(), asking()].map(|it| Fact::ConnectionClosed(Arc::new(it)));
    let said = protocols().into_iter().map(|it| Fact::Protocol(Arc::new(it)));
    closed
        .into_iter()
        .chain(said)
        .map(|fact| Event::new(START, fact))
        .collect()
}
