//! The fast way and the list of fields write the same bytes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello};
use atalaya_model::protocol::{Http, Ssh, Tls};
use atalaya_model::{
    Application, Basis, ConnectionState, Direction, Endpoint, Event, Fact, Lane, NameSource, Place, Places,
    Process, ProcessKey, Scope, Side, SocketState, Text, Time, Transport,
};
use proptest::prelude::*;

use super::super::members;
use super::*;
use crate::Language;

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|ip| Ipv4Addr::from(ip).into()),
        any::<u128>().prop_map(|ip| Ipv6Addr::from(ip).into()),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| Endpoint { ip, port })
}

fn lane() -> impl Strategy<Value = Lane> {
    (
        any::<(u64, u64, u64, Option<u64>)>(),
        any::<(u64, u32, u32, u8)>(),
    )
        .prop_map(|(sent, odd)| Lane {
            packets: sent.0,
            frame_bytes: sent.1,
            ip_bytes: sent.2,
            payload_bytes: sent.3,
            missed_bytes: odd.0,
            retransmits: odd.1,
            out_of_order: odd.2,
            tcp_flags: odd.3,
        })
}

fn some_text<T: From<String> + std::fmt::Debug>() -> impl Strategy<Value = Option<T>> {
    prop::option::of(any::<String>().prop_map(T::from))
}

prop_compose! {
    fn tls()(
        version in prop::option::of(prop_oneof![Just(0x0303u16), any::<u16>()]),
        client in prop::option::of((some_text(), any::<String>(), some_text(), prop::collection::vec(any::<String>(), 0..3))),
        server in prop::option::of((any::<u16>(), some_text(), any::<String>())),
        subject in some_text(),
    ) -> Tls {
        Tls {
            version,
            client: client.map(|(server_name, ja4, ja3, protocols)| ClientHello {
                server_name,
                ja4: ja4.into(),
                ja3,
                protocols: protocols.into_iter().map(Text::from).collect(),
                ..ClientHello::default()
            }),
            server: server.map(|(cipher, protocol, ja3s)| ServerHello {
                cipher,
                protocol,
                ja3s: ja3s.into(),
                ..ServerHello::default()
            }),
            certificates: subject.into_iter().map(|subject| Certificate { subject, ..Certificate::default() }).collect(),
            ..Tls::default()
        }
    }
}

prop_compose! {
    fn http()(
        version in any::<u8>(),
        texts in prop::collection::vec(some_text(), 7),
        status in any::<Option<u16>>(),
        bytes in any::<(u64, u64)>(),
    ) -> Http {
        Http {
            version,
            method: texts[0].clone(),
            host: texts[1].clone(),
            path: texts[2].clone(),
            user_agent: texts[3].clone(),
            referrer: texts[4].clone(),
            request_mime: texts[5].clone(),
            response_mime: texts[6].clone(),
            status,
            request_bytes: bytes.0,
            response_bytes: bytes.1,
            ..Http::default()
        }
    }
}

prop_compose! {
    fn wire()(
        lanes in (lane(), lane()),
        state in prop::sample::select(&ConnectionState::ALL[..]),
        texts in (any::<String>(), prop::option::of(any::<String>()), prop::option::of(any::<String>())),
        application in prop::option::of((prop::sample::select(Application::ALL), prop::sample::select(&[Basis::Port, Basis::Content][..]))),
        vlans in prop::array::uniform3(0u16..5),
        said in (prop::option::of(tls()), prop::option::of(http()), prop::option::of((some_text(), some_text(), any::<Option<bool>>()))),
    ) -> Wire {
        Wire {
            source: lanes.0,
            destination: lanes.1,
            state,
            history: texts.0.into(),
            application,
            interface: texts.1.map(Into::into),
            vlans,
            tunnel: texts.2.map(Into::into),
            unjoined: false,
            tls: said.0.map(Arc::new),
            http: said.1.map(Arc::new),
            ssh: said.2.map(|(client, hassh, authenticated)| Arc::new(Ssh {
                client,
                hassh,
                authenticated,
                ..Ssh::default()
            })),
        }
    }
}

prop_compose! {
    fn place()(known in any::<bool>(), country in some_text::<Box<str>>(), asn in any::<Option<u32>>(), name in some_text::<Box<str>>()) -> Option<Arc<Place>> {
        known.then(|| Arc::new(Place {
            country: country.map(Into::into),
            asn,
            organization: name.map(Into::into),
        }))
    }
}

prop_compose! {
    fn connection()(
        times in (any::<i64>(), any::<i64>(), any::<Option<i64>>()),
        ends in (endpoint(), endpoint()),
        transport in any::<u8>().prop_map(Transport::from_number),
        side in prop::sample::select(&[Side::Source, Side::Destination][..]),
        direction in prop::sample::select(&[Direction::Outbound, Direction::Inbound, Direction::Local, Direction::Unknown][..]),
        state in prop::sample::select(&SocketState::ALL[..]),
        outcome in prop::sample::select(&Outcome::ALL[..]),
        numbers in any::<(u32, u64, Option<u32>, bool)>(),
        traffic in prop::option::of(any::<(u64, u64, u64, u64, u32, u32)>()),
        texts in prop::array::uniform3(prop::option::of(any::<String>())),
        process in any::<bool>(),
        wire in prop::option::of(wire()),
        places in (place(), place()),
    ) -> Connection {
        let named = |name: String| {
            let key = ProcessKey { pid: 7, start: 9 };
            let mut process = Process::bare(key, name.as_str().into(), Time(1));
            process.executable = Some(name.into());
            Arc::new(process)
        };
        let [name, service, program] = texts;
        Connection {id: 1,started_before: numbers.3,seen: Time(times.1),ended: times.2.map(Time),side,direction,scope: Scope::of(ends.1.ip),state,network_namespace: numbers.0,cookie: numbers.1,user_id: numbers.2,traffic: traffic.map(|counts| Traffic {
                sent_bytes: counts.0,
                received_bytes: counts.1,
                sent_packets: counts.2,
                received_packets: counts.3,
                round_trip: counts.4,
                retransmits: counts.5,
            }),outcome,name_source: name.is_some().then_some(NameSource::Dns),name: name.map(Into::into),service: service.map(Into::into),process: process.then(|| named(program.unwrap_or_default())),wire: wire.map(Box::new),places: Places { source: places.0, destination: places.1 },..Connection::bare(Time(times.0), transport, ends.0, ends.1)}
    }
}

proptest! {
    #[test]
    fn both_ways_give_the_same_bytes(connection in connection(), time in any::<i64>(), named in any::<bool>(), of_captures in any::<bool>()) {
        let context = Context {
            host_name: "ho\"st".into(),
            host_id: named.then(|| "id\u{1b}".into()),
            version: "0.1.0".into(),
            language: Language::English,
            of_captures,
        };
        let connection = Arc::new(connection);
        let mut subjects = vec![];
        for fact in [Fact::ConnectionOpened, Fact::ConnectionUpdated, Fact::ConnectionClosed] {
            subjects.push(Event::new(Time(time), fact(connection.clone())));
        }
        let mut subjects: Vec<_> = subjects.iter().map(Subject::Event).collect();
        subjects.push(Subject::Record(Record::Connection(&connection)));
        for subject in &subjects {
            let (mut fast, mut listed) = (String::new(), String::new());
            write(&mut fast, subject, &connection, &context);
            members::write(&mut listed, subject, &context);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&fast).is_ok(), "{}", fast);
            prop_assert_eq!(fast, listed);
        }
    }
}
