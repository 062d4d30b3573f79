//! Anything that both a sensor's log and our records can say.

use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::protocol::Http;
use atalaya_model::protocol::dns::{Answer, Data, Dns, Question, Response};
use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello, Tls};
use atalaya_model::*;
use proptest::option;
use proptest::prelude::*;

pub(crate) const START: Time = Time(1_795_210_023_123_456);

pub(crate) fn plain() -> Connection {
    let end = |text: &str, port| Endpoint::new(text.parse().unwrap(), port);
    Connection {
        scope: Scope::External,
        ..Connection::bare(
            START,
            Transport::Tcp,
            end("10.0.0.1", 45_123),
            end("192.0.2.7", 53),
        )
    }
}

fn word() -> impl Strategy<Value = Box<str>> {
    prop_oneof![4 => "[a-z]{1,8}", 1 => "[ -~]{1,12}", 1 => "\\PC{1,6}"].prop_map(Into::into)
}

fn some() -> impl Strategy<Value = Option<Box<str>>> {
    option::of(word())
}

fn name() -> impl Strategy<Value = Box<str>> {
    "[a-z0-9-]{1,9}\\.[a-z]{2,5}".prop_map(Into::into)
}

fn process() -> impl Strategy<Value = Arc<Process>> {
    (1_u32..99, word(), some(), option::of("[0-9a-f]{64}")).prop_map(|(pid, name, executable, hash)| {
        let mut process = Process::bare(ProcessKey { pid, start: 1 }, (&*name).into(), START);
        process.executable = executable.map(|path| (&*path).into());
        process.sha256 = hash.map(Into::into);
        Arc::new(process)
    })
}

prop_compose! {
    fn lane()(packets in 0_u64..9_000, frame_bytes in any::<u32>(), ip_bytes in any::<u32>(), payload in option::of(any::<u32>()), tcp_flags in any::<u8>()) -> Lane {
        Lane {
            packets,
            frame_bytes: frame_bytes.into(),
            ip_bytes: ip_bytes.into(),
            payload_bytes: payload.map(Into::into),
            tcp_flags,
            ..Lane::default()
        }
    }
}

prop_compose! {
    fn wire()(
        lanes in (lane(), lane()),
        state in prop::sample::select(&ConnectionState::ALL[..]),
        history in "\\^?[ShADFRad]{0,9}",
        application in option::of(prop::sample::select(vec![Application::Dns, Application::Http, Application::Ssh, Application::Smtp, Application::BitTorrent])),
        texts in (option::of("[a-z]{2,4}[0-9]"), option::of("[a-z]{3,5}")),
        vlans in (0_u16..9, 0_u16..9).prop_map(|(one, two)| [one, if one > 0 { two } else { 0 }, 0]),
    ) -> Wire {
        Wire {
            source: lanes.0,
            destination: lanes.1,
            state,
            history: history.into(),
            application: application.map(|it| (it, Basis::Content)),
            interface: texts.0.map(Into::into),
            tunnel: texts.1.map(Into::into),
            vlans,
            ..Wire::default()
        }
    }
}

prop_compose! {
    pub(crate) fn connection()(
        v4 in any::<bool>(),
        hosts in (any::<u32>(), any::<u32>()),
        ports in any::<(u16, u16)>(),
        transport in prop::sample::select(vec![Transport::Tcp, Transport::Udp, Transport::Icmp, Transport::Icmpv6]),
        times in (0_i64..4_000_000_000_000_000, 0_i64..9_000_000_000),
        state in prop::sample::select(vec![
            SocketState::Established, SocketState::SynSent, SocketState::Close, SocketState::FinWait2, SocketState::CloseWait,
        ]),
        counts in option::of(any::<(u32, u32, u32, u32)>()),
        process in option::of(process()),
        wire in option::of(wire()),
        outcome in prop::sample::select(vec![Outcome::Refused, Outcome::Unanswered, Outcome::Finished, Outcome::TimedOut]),
    ) -> Connection {
        let ip = |host: u32| match v4 {
            true => std::net::Ipv4Addr::from(host).into(),
            false => std::net::Ipv6Addr::from(u128::from(host) << 64 | 7).into(),
        };
        let transport = match (transport, v4) {
            (Transport::Icmp, false) => Transport::Icmpv6,
            (Transport::Icmpv6, true) => Transport::Icmp,
            (other, _) => other,
        };
        let started = Time(times.0);
        let ended = started.after(Span(times.1));
        // Without packets, the kernel tells of sockets.
        let (transport, wire) = match wire {
            Some(wire) => (transport, Some(Box::new(wire))),
            None => (Transport::Tcp, None),
        };
        let evidence = if process.is_some() { Evidence::CaptureFile } else { Evidence::NotRecorded };
        let state = match (transport, outcome, &wire) {
            (_, Outcome::Refused | Outcome::Unanswered, None) => SocketState::SynSent,
            (_, Outcome::Finished, None) => SocketState::Close,
            (_, _, None) => SocketState::Established,
            _ => state,
        };
        Connection {
            started,
            seen: ended,
            ended: Some(ended),
            transport,
            source: Endpoint::new(ip(hosts.0), ports.0),
            destination: Endpoint::new(ip(hosts.1), ports.1),
            state,
            traffic: counts.map(|(sent_bytes, received_bytes, sent_packets, received_packets)| Traffic {
                sent_bytes: sent_bytes.into(),
                received_bytes: received_bytes.into(),
                sent_packets: sent_packets.into(),
                received_packets: received_packets.into(),
                ..Traffic::default()
            }),
            outcome,
            process,
            attribution: evidence.into(),
            wire,
            ..plain()
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let data = prop_oneof![
        any::<u32>().prop_map(|ip| (1, Data::Address(std::net::Ipv4Addr::from(ip).into()))),
        any::<u128>().prop_map(|ip| (28, Data::Address(std::net::Ipv6Addr::from(ip).into()))),
        name().prop_map(|name| (5, Data::Name(name))),
        (name(), any::<u16>()).prop_map(|(name, preference)| (15, Data::Mx { preference, name })),
        "[ -\\[\\]-~]{0,9}".prop_map(|text| (16, Data::Text([text.into()].into()))),
        (any::<u16>(), name()).prop_map(|(port, name)| (
            33,
            Data::Srv {
                priority: 1,
                weight: 2,
                port,
                name
            }
        )),
        (name(), name(), any::<u32>()).prop_map(|(mname, rname, serial)| {
            (
                6,
                Data::Soa {
                    mname,
                    rname,
                    serial,
                    refresh: 1,
                    retry: 2,
                    expire: 3,
                    minimum: 4,
                },
            )
        }),
        any::<u8>().prop_map(|flags| (
            257,
            Data::Caa {
                flags,
                tag: "issue".into(),
                value: "a.example".into()
            }
        )),
    ];
    (name(), any::<u32>(), data).prop_map(|(name, ttl, (kind, data))| Answer {
        name,
        kind,
        class: 1,
        ttl,
        data,
    })
}

prop_compose! {
    pub(crate) fn dns()(
        id in any::<u16>(),
        question in (name(), prop::sample::select(vec![1_u16, 2, 5, 6, 12, 15, 16, 28, 33, 65, 255, 4_711])),
        capitals in any::<bool>(),
        asked in 0..3_u8,
        flags in any::<(bool, bool)>(),
        answer in (any::<u16>(), 0_u16..25, prop::collection::vec(answer(), 0..4), prop::collection::vec(answer(), 0..2), 0_i64..5_000_000),
    ) -> Dns {
        let (code, wait) = (answer.1, answer.4);
        let capitals = capitals.then(|| question.0.to_ascii_uppercase());
        let as_sent = capitals.filter(|sent| **sent != *question.0).map(Into::into);
        let is_alone = asked == 2;
        let flags = u16::from(flags.0) << 8 | u16::from(flags.1) << 9;
        Dns {
            id,
            opcode: 0,
            asked: (!is_alone).then_some(START),
            flags: if is_alone { 0 } else { flags },
            questions: [Question { as_sent, name: question.0, kind: question.1, class: 1 }].into(),
            sent: None,
            response: (asked > 0).then(|| Response {
                time: if is_alone { START } else { START.after(Span(wait)) },
                flags: 0x8000 | flags | answer.0 & 0x0480,
                code,
                answers: answer.2.into(),
                authorities: answer.3.into(),
                ..Response::default()
            }),
        }
    }
}

fn certificate() -> impl Strategy<Value = Certificate> {
    let subject = "[a-z .,+#]{1,9}";
    (
        subject,
        subject,
        "[0-9a-f]{2}(:[0-9a-f]{2}){0,9}",
        "[0-9a-f]{64}",
        "[0-9a-f]{40}",
        prop::collection::vec(name(), 0..3),
    )
        .prop_map(|(subject, issuer, serial, sha256, sha1, names)| {
            // No part of a value looks like an attribute.
            let name =
                |text: String| format!("C=US, CN={}", text.trim_matches(|c| c == ' ' || c == ',')).into();
            let (subject, issuer): (Box<str>, Box<str>) = (name(subject), name(issuer));
            Certificate {
                self_signed: subject == issuer,
                subject,
                issuer,
                serial: serial.into(),
                not_before: Time::from_seconds(1_700_000_000),
                not_after: Time::from_seconds(1_900_000_000),
                sha256: sha256.into(),
                sha1: sha1.into(),
                names: names.into(),
            }
        })
}

prop_compose! {
    pub(crate) fn tls()(
        version in prop::sample::select(vec![0x0301_u16, 0x0303, 0x0304]),
        client in option::of((name(), "t13d[0-9]{4}h2", option::of("[0-9a-f]{32}"), option::of(name()))),
        server in option::of((prop::sample::select(vec![0x1301_u16, 0xc02f, 0x0a0a]), "[0-9a-f]{32}", option::of(Just("h2")))),
        certificates in prop::collection::vec(certificate(), 0..2),
        curve in option::of(prop::sample::select(vec![29_u16, 23, 0x0a0a])),
        truths in any::<(bool, bool)>(),
        alert in option::of(prop::sample::select(vec![(1_u8, 0_u8), (2, 40), (2, 250)])),
        history in "[CSVhcs]{0,5}",
    ) -> Tls {
        Tls {
            version: Some(version),
            client: client.map(|(name, ja4, ja3, protocol)| ClientHello {
                version,
                server_name: Some(name.into()),
                protocols: protocol.into_iter().map(Into::into).collect(),
                ja4: ja4.into(),
                ja3_text: ja3.as_ref().map(|_| "771,1,2".into()),
                ja3: ja3.map(Into::into),
                ..ClientHello::default()
            }),
            server: server.map(|(cipher, ja3s, protocol)| ServerHello {
                version,
                cipher,
                protocol: protocol.map(Into::into),
                ja3s: ja3s.into(),
                ja3s_text: "771,1".into(),
            }),
            certificates: certificates.into(),
            curve,
            resumed: truths.0,
            established: truths.1,
            alert,
            history: history.into(),
            ..Tls::default()
        }
    }
}

prop_compose! {
    pub(crate) fn http()(
        version in prop::sample::select(vec![10_u8, 11]),
        depth in 1_u32..9,
        texts in (option::of("[A-Z]{3,5}"), option::of(name()), option::of(0_u16..9_999), option::of("/[a-z/ %?=]{0,12}"), some(), option::of("http://[a-z]{2}/"), some(), some()),
        status in option::of((100_u16..600, some())),
        counts in any::<(u32, u32)>(),
        interim in option::of((100_u16..200, word())),
        proxied in prop::collection::vec("[A-Z-]{2,5} -> [a-z0-9.]{1,9}", 0..3),
        kinds in (option::of(Just("text/html")), option::of(Just("application/zip")), option::of(Just("text/plain"))),
    ) -> Http {
        let host = texts.1.map(|name| match texts.2 {
            Some(port) => format!("{name}:{port}").into(),
            None => name,
        });
        Http {
            version,
            depth,
            method: texts.0.map(Into::into),
            host: host.map(Into::into),
            path: texts.3.map(|path| path.replace('%', "%25").into()),
            user_agent: texts.4.map(Into::into),
            referrer: texts.5.map(Into::into),
            origin: texts.6,
            user: texts.7,
            reason: status
                .as_ref()
                .and_then(|(_, reason)| reason.clone())
                .map(Into::into),
            status: status.map(|(code, _)| code),
            request_bytes: counts.0.into(),
            response_bytes: counts.1.into(),
            interim,
            proxied: proxied.into_iter().map(Into::into).collect(),
            request_mime: kinds.0.map(Into::into),
            response_mime: kinds.1.map(Into::into),
            response_type: kinds.2.map(Into::into),
            ..Http::default()
        }
    }
}
