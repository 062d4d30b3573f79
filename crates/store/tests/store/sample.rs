//! Records to write, and strategies that make any of them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::alert::Technique;
use atalaya_model::connection::Traffic;
use atalaya_model::process::{Ancestor, Container, Digest, Flags, Package, Unread};
use atalaya_model::protocol::tls::ClientHello;
use atalaya_model::protocol::{Http, Ssh, Tls};
use atalaya_model::*;
use atalaya_store::{Options, Writer};
use proptest::option;
use proptest::prelude::*;

pub(crate) const NOW: Time = Time(1_795_123_456_789_012);

pub(crate) fn open(path: &Path) -> Writer {
    Writer::open(path, &Options::new("boot-1", "0.1.0", NOW)).unwrap()
}

/// Few different texts, so that filters and dictionaries find something; some of them hostile.
pub(crate) fn text() -> BoxedStrategy<Text> {
    prop_oneof![
        4 => "[abAB]{0,3}",
        1 => prop::sample::select(vec![
            "nc", "/usr/bin/nc", "NC", "ssh.service", "Ábc", "ábc", "10.1.2.3", "::1", "a%b_c", "it's", "\u{1b}[31m\n",
            "100%", "\"q\"", "[1]",
        ]).prop_map(str::to_owned),
    ]
    .prop_map(Text::from)
    .boxed()
}

pub(crate) fn key() -> BoxedStrategy<ProcessKey> {
    (1_u32..6, 0_u64..3)
        .prop_map(|(pid, start)| ProcessKey { pid, start })
        .boxed()
}

fn ancestor() -> BoxedStrategy<Ancestor> {
    (key(), text(), option::of(text()))
        .prop_map(|(key, name, executable)| Ancestor {
            key,
            name,
            executable,
        })
        .boxed()
}

/// Any process that lives.
pub(crate) fn process() -> BoxedStrategy<Arc<Process>> {
    let texts = prop::collection::vec(option::of(text()), 10);
    let flags = any::<[bool; 6]>().prop_map(
        |[deleted, memfd, script, kernel_thread, preload, standard_socket]| Flags {
            deleted,
            memfd,
            script,
            kernel_thread,
            preload,
            standard_socket,
        },
    );
    let container = option::of((text(), text()).prop_map(|(runtime, id)| Container { runtime, id }));
    let digest = prop::sample::select(vec![Digest::Unknown, Digest::Agrees, Digest::Differs]);
    let package = option::of((text(), text(), option::of(text()), digest).prop_map(
        |(manager, name, version, digest)| Package {
            manager,
            name,
            version,
            digest,
        },
    ));
    let unread = option::of(prop::sample::select(vec![
        Unread::Gone,
        Unread::NoPermission,
        Unread::Failed,
    ]));
    (
        (key(), -5_i64..5, text(), texts, option::of(0_u32..3)),
        (
            option::of(key()),
            prop::collection::vec(ancestor(), 0..3),
            container,
            option::of(any::<u32>()),
            flags,
        ),
        (package, unread),
    )
        .prop_map(
            |(
                (key, started, name, texts, user_id),
                (parent, ancestors, container, network_namespace, flags),
                (package, unread),
            )| {
                let mut texts = texts.into_iter();
                let mut next = || texts.next().flatten();
                Arc::new(Process {
                    started: Time(NOW.0 + started),
                    executable: next(),
                    command_line: next(),
                    command_line_hash: next(),
                    working_directory: next(),
                    user_id,
                    user_name: next(),
                    parent,
                    ancestors: ancestors.into(),
                    cgroup: next(),
                    container,
                    unit: next(),
                    network_namespace,
                    flags,
                    script: next(),
                    script_sha256: next(),
                    preload: next(),
                    sha256: None,
                    package,
                    unread,
                    ..Process::bare(key, name, NOW)
                })
            },
        )
        .boxed()
}

fn address() -> BoxedStrategy<IpAddr> {
    prop_oneof![
        prop::sample::select(vec!["10.1.2.3", "10.1.2.4", "192.0.2.1", "::1", "2001:db8::7"])
            .prop_map(|text| text.parse().unwrap()),
        any::<[u8; 4]>().prop_map(Into::into),
    ]
    .boxed()
}

fn endpoint() -> BoxedStrategy<Endpoint> {
    (address(), prop::sample::select(vec![0, 22, 53, 443, 65_535]))
        .prop_map(|(ip, port)| Endpoint::new(ip, port))
        .boxed()
}

fn attribution() -> BoxedStrategy<Attribution> {
    prop::sample::select(vec![
        Evidence::KernelEvent,
        Evidence::SharedDescriptor,
        Evidence::BetweenLooks,
        Evidence::NotRecorded,
    ])
    .prop_map(Attribution::from)
    .boxed()
}

fn traffic() -> BoxedStrategy<Option<Traffic>> {
    let counts = (
        0_u64..5_000,
        0_u64..5,
        0..u64::MAX >> 1,
        0_u64..5,
        any::<u32>(),
        0_u32..3,
    );
    option::of(counts.prop_map(
        |(sent_bytes, received_bytes, sent_packets, received_packets, rtt, again)| Traffic {
            sent_bytes,
            received_bytes,
            sent_packets,
            received_packets,
            round_trip: rtt % 3,
            retransmits: again,
        },
    ))
    .boxed()
}

fn transport() -> BoxedStrategy<Transport> {
    prop_oneof![
        Just(Transport::Tcp),
        Just(Transport::Udp),
        any::<u8>().prop_map(Transport::from_number)
    ]
    .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    prop::sample::select(Outcome::ALL.to_vec()).boxed()
}

/// A name and where it was learnt.
fn name() -> BoxedStrategy<(Option<Text>, Option<NameSource>)> {
    option::of(text())
        .prop_map(|name| (name.clone(), name.map(|_| NameSource::Resolver)))
        .boxed()
}

/// Any open conversation with this id.
pub(crate) fn connection(id: u64) -> BoxedStrategy<Connection> {
    let states = prop::sample::select(SocketState::ALL.to_vec());
    let directions = prop::sample::select(vec![
        Direction::Outbound,
        Direction::Inbound,
        Direction::Local,
        Direction::Unknown,
    ]);
    let scopes = prop::sample::select(vec![Scope::Loopback, Scope::Private, Scope::External]);
    let sides = prop::sample::select(vec![Side::Source, Side::Destination]);
    (
        (-50_i64..1, any::<bool>(), transport(), endpoint(), endpoint()),
        (sides, directions, scopes, states, 0_u32..3),
        (0_u64..4, option::of(0_u32..3), option::of(0_u64..9), traffic()),
        (
            option::of(text()),
            option::of(process()),
            attribution(),
            prop::collection::vec(key(), 0..3),
            outcome(),
            name(),
        ),
    )
        .prop_map(
            move |(
                (started, started_before, transport, source, destination),
                (side, direction, scope, state, network_namespace),
                (cookie, user_id, cgroup_id, traffic),
                (service, process, attribution, shared_with, outcome, (name, name_source)),
            )| Connection {
                id,
                started: Time(NOW.0 + started),
                started_before,
                seen: NOW,
                ended: None,
                transport,
                source,
                destination,
                side,
                direction,
                scope,
                state,
                network_namespace,
                cookie,
                user_id,
                cgroup_id,
                traffic,
                outcome,
                name,
                name_source,
                service,
                process,
                attribution,
                shared_with: shared_with.into(),
                wire: None,
                places: Places {
                    source: place(source.ip),
                    destination: place(destination.ip),
                },
            },
        )
        .boxed()
}

/// Where an address is: the same each time, and nothing of every other one.
pub(crate) fn place(ip: IpAddr) -> Option<Arc<Place>> {
    let last = match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    };
    (last % 2 == 0).then(|| {
        Arc::new(Place {
            country: (last % 4 == 0).then(|| "ES".into()),
            asn: Some(64_496 + u32::from(last)),
            organization: (last % 8 == 0).then(|| "Example S.A.".into()),
        })
    })
}

/// Anything that packets may tell.
pub(crate) fn wire() -> BoxedStrategy<Wire> {
    let boxed = || option::of(text().prop_map(|text| Box::<str>::from(&*text)));
    let applications = prop::sample::select(vec![
        (Application::BitTorrent, Basis::Port),
        (Application::Tls, Basis::Content),
    ]);
    (
        (
            0_u64..4,
            0_u64..4,
            prop::array::uniform3(0_u16..3),
            option::of(applications),
        ),
        (text(), option::of(text()), option::of(text())),
        option::of((
            option::of(0x0302_u16..0x0306),
            boxed(),
            text(),
            prop::collection::vec(text(), 0..3),
            boxed(),
        )),
        option::of((boxed(), boxed(), boxed(), option::of(200_u16..203))),
        option::of((boxed(), boxed(), any::<Option<bool>>())),
    )
        .prop_map(
            |((bytes, missed, vlans, application), (history, interface, tunnel), tls, http, ssh)| Wire {
                source: Lane {
                    ip_bytes: bytes,
                    missed_bytes: missed,
                    retransmits: 1,
                    ..Lane::default()
                },
                history: history.to_string().into(),
                application,
                interface,
                vlans,
                tunnel,
                tls: tls.map(|(version, server_name, ja4, names, ja3)| {
                    let client = ClientHello {
                        server_name: server_name.map(Text::from),
                        ja3: ja3.map(Text::from),
                        ja4: ja4.to_string().into(),
                        protocols: names.iter().map(|name| name.to_string().into()).collect(),
                        ..ClientHello::default()
                    };
                    Arc::new(Tls {
                        version,
                        client: Some(client),
                        ..Tls::default()
                    })
                }),
                http: http.map(|(method, host, path, status)| {
                    Arc::new(Http {
                        method: method.map(Text::from),
                        host: host.map(Text::from),
                        path: path.map(Text::from),
                        status,
                        ..Http::default()
                    })
                }),
                ssh: ssh.map(|(client, hassh, authenticated)| {
                    Arc::new(Ssh {
                        client,
                        hassh,
                        authenticated,
                        ..Ssh::default()
                    })
                }),
                ..Wire::default()
            },
        )
        .boxed()
}

pub(crate) fn listener(id: u64) -> BoxedStrategy<Listener> {
    (
        (
            -50_i64..1,
            any::<bool>(),
            transport(),
            endpoint(),
            0_u32..3,
            0_u64..4,
        ),
        (
            option::of(0_u32..3),
            option::of(text()),
            option::of(process()),
            attribution(),
            prop::collection::vec(key(), 0..3),
        ),
    )
        .prop_map(
            move |(
                (started, started_before, transport, local, network_namespace, cookie),
                (user_id, service, process, attribution, shared_with),
            )| Listener {
                id,
                started: Time(NOW.0 + started),
                started_before,
                ended: None,
                transport,
                local,
                network_namespace,
                cookie,
                user_id,
                service,
                process,
                attribution,
                shared_with: shared_with.into(),
            },
        )
        .boxed()
}

pub(crate) fn gap() -> BoxedStrategy<Gap> {
    let stages = prop::sample::select(Stage::ALL.to_vec());
    (stages, 0_u64..9, text(), -5_i64..5)
        .prop_map(|(stage, count, reason, offset)| Gap {
            time: Time(NOW.0 + offset),
            stage,
            count,
            reason,
        })
        .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>()
            .prop_filter("JSON has no such number", |n| n.is_finite())
            .prop_map(Value::Float),
        any::<u64>().prop_map(Value::Bytes),
        text().prop_map(Value::Text),
        address().prop_map(Value::Address),
        any::<i64>().prop_map(|time| Value::Time(Time(time))),
        any::<i64>().prop_map(|span| Value::Span(Span(span))),
    ];
    prop_oneof![
        3 => leaf.clone(),
        1 => prop::collection::vec(leaf, 0..3).prop_map(Value::List),
    ]
    .boxed()
}

pub(crate) fn alert(id: u64) -> BoxedStrategy<Alert> {
    let technique = (text(), text(), text()).prop_map(|(id, name, tactic)| Technique { id, name, tactic });
    (
        (text(), prop::sample::select(Severity::ALL.to_vec()), text()),
        prop::collection::vec((text(), value()), 0..4),
        (
            option::of(process()),
            prop::collection::vec(connection(1), 0..2),
            option::of(listener(2)),
        ),
        (prop::collection::vec(technique, 0..3), 0_u32..3),
    )
        .prop_map(
            move |(
                (rule, severity, key),
                values,
                (process, connections, listener),
                (techniques, recurrence),
            )| Alert {
                id,
                finding: Finding {
                    rule,
                    time: NOW,
                    severity,
                    key,
                    values,
                    process,
                    connections: connections.into_iter().map(Arc::new).collect(),
                    listener: listener.map(Arc::new),
                },
                techniques,
                recurrence,
            },
        )
        .boxed()
}

/// How often a writer is killed.
pub(crate) fn rounds() -> u64 {
    let count = std::env::var("ATALAYA_SOAK_COUNT").ok();
    count.and_then(|text| text.parse().ok()).unwrap_or(50)
}
