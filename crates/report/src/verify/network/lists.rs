//! The lists of a verification of network use.

use std::collections::BTreeMap;
use std::net::IpAddr;

use atalaya_model::{Scope, Severity, Text, Value};

use super::super::counts::Volume;
use super::super::programs::Way;
use super::{Network, Port};
use crate::document::{Column, Said, Shape, Table, column};

const SEEN: [Column; 5] = [
    column("connections", "Connections", Shape::Number),
    column("sent_bytes", "Sent", Shape::Bytes),
    column("received_bytes", "Received", Shape::Bytes),
    column("first_seen", "First seen", Shape::Time),
    column("last_seen", "Last seen", Shape::Time),
];

/// Columns of a key, and then those of [`SEEN`].
macro_rules! counted {
    ($($column:expr),+) => {
        &[$($column,)+ SEEN[0], SEEN[1], SEEN[2], SEEN[3], SEEN[4]]
    };
}

const SEVERITY: Column = column("severity", "Severity", Shape::Severity);
const PROCESS: Column = column("process", "Process", Shape::Word);
const ADDRESS: Column = column("address", "Address", Shape::Code);
const SCOPE: Column = column("scope", "Where", Shape::Term);
const PROTOCOL: Column = column("protocol", "Protocol", Shape::Word);
const PORT: Column = column("port", "Port", Shape::Number);
const PID: Column = column("pid", "Pid", Shape::Number);
const USER: Column = column("user", "User", Shape::Word);
const PATH: Column = column("path", "Path", Shape::Under);
const COMMAND_LINE: Column = column("command_line", "Command line", Shape::Under);

/// Every list.
pub(super) fn all(network: &Network) -> Vec<Table> {
    let names = by_name(&network.programs.ways);
    vec![
        commands(network),
        suspicious(network),
        scopes(network),
        top_processes(network, &names),
        top_addresses(network),
        top_ports(network),
        top_bytes(network),
        rare_processes(network, &names),
        rare_addresses(network),
        rare_endpoints(network),
        listening(network),
    ]
}

fn seen(volume: &Volume) -> [Option<Value>; 5] {
    [
        Some(volume.connections.into()),
        Some(Value::Bytes(volume.sent)),
        Some(Value::Bytes(volume.received)),
        volume.first().map(Value::from),
        volume.last().map(Value::from),
    ]
}

fn row<const N: usize>(key: [Option<Value>; N], volume: &Volume) -> Vec<Option<Value>> {
    key.into_iter().chain(seen(volume)).collect()
}

fn list(
    name: &'static str,
    (title, about): (&'static str, &'static str),
    columns: &'static [Column],
    rows: Vec<Vec<Option<Value>>>,
    total: u64,
) -> Table {
    Table::new(name, title, columns, rows, Some(total)).about(Said::plain(about))
}

/// What each name of a process did, whatever its path and arguments; the unknown one is empty.
pub(super) fn by_name(ways: &[Way]) -> BTreeMap<&Text, Volume> {
    let mut names: BTreeMap<&Text, Volume> = BTreeMap::new();
    for way in ways.iter().filter(|way| way.volume.connections > 0) {
        names.entry(&way.name).or_default().add(&way.volume);
    }
    names
}

/// A name of a process; nothing where it is unknown.
fn named(name: &Text) -> Option<Value> {
    (!name.is_empty()).then(|| name.into())
}

fn protocol(port: &Port) -> Option<Value> {
    port.0.map(|transport| transport.name().into())
}

fn scopes(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(SCOPE, column("addresses", "Remote addresses", Shape::Number));
    let mut sums: BTreeMap<Scope, (u64, Volume)> = BTreeMap::new();
    for (ip, volume) in network.addresses.iter() {
        let sum = sums.entry(network.scope(*ip)).or_default();
        sum.0 += 1;
        sum.1.add(volume);
    }
    let rows: Vec<_> = sums
        .iter()
        .map(|(scope, (addresses, volume))| {
            row([Some(called(*scope).into()), Some((*addresses).into())], volume)
        })
        .collect();
    let total = rows.len() as u64;
    let words = (
        "Internal and external",
        "Internal are the private ranges, those of `networks.internal`, and those of `--internal`.",
    );
    list("scopes", words, COLUMNS, rows, total)
}

/// What people call it: the local network is internal.
const fn called(scope: Scope) -> &'static str {
    match scope {
        Scope::Private => "internal",
        other => other.name(),
    }
}

fn top_processes(network: &Network, names: &BTreeMap<&Text, Volume>) -> Table {
    const COLUMNS: &[Column] = counted!(PROCESS);
    let mut sums: Vec<_> = names.iter().collect();
    sums.sort_by(|a, b| b.1.connections.cmp(&a.1.connections).then(a.0.cmp(b.0)));
    let total = sums.len() as u64;
    let rows = sums.into_iter().take(network.options.limit);
    let rows = rows.map(|(name, volume)| row([named(name)], volume)).collect();
    let words = ("Processes with the most connections", "");
    list("top_processes", words, COLUMNS, rows, total)
}

fn addresses(network: &Network, found: Vec<(&IpAddr, &Volume)>) -> Vec<Vec<Option<Value>>> {
    let found = found.into_iter();
    found
        .map(|(ip, volume)| {
            let scope = called(network.scope(*ip));
            row([Some((*ip).into()), Some(scope.into())], volume)
        })
        .collect()
}

fn top_addresses(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(ADDRESS, SCOPE);
    let top = network
        .addresses
        .most(network.options.limit, |volume| volume.connections);
    let rows = addresses(network, top);
    let words = ("Addresses with the most connections", "");
    list("top_addresses", words, COLUMNS, rows, network.addresses.len())
}

fn top_ports(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(PROTOCOL, PORT);
    let top = network
        .ports
        .most(network.options.limit, |volume| volume.connections);
    let rows = top
        .into_iter()
        .map(|(port, volume)| row([protocol(port), Some(port.1.into())], volume));
    let words = (
        "Ports with the most connections",
        "The port of the side that was called.",
    );
    list("top_ports", words, COLUMNS, rows.collect(), network.ports.len())
}

fn top_bytes(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(PROCESS, ADDRESS, SCOPE);
    let top = network.pairs.most(network.options.limit, Volume::bytes);
    let rows = top
        .into_iter()
        .map(|((name, ip), volume)| {
            row(
                [
                    network.names.get(*name as usize).and_then(named),
                    Some((*ip).into()),
                    Some(called(network.scope(*ip)).into()),
                ],
                volume,
            )
        })
        .collect();
    let total = network
        .pairs
        .iter()
        .filter(|(_, volume)| volume.bytes() > 0)
        .count() as u64;
    let words = ("Processes and addresses with the most bytes", "");
    list("top_bytes", words, COLUMNS, rows, total)
}

/// With how often is rarely.
fn rare(network: &Network, table: Table) -> Table {
    table.about(Said::new(
        "Seen with {0} connections or less.",
        vec![network.options.rare.into()],
    ))
}

fn rare_processes(network: &Network, names: &BTreeMap<&Text, Volume>) -> Table {
    const COLUMNS: &[Column] = counted!(PROCESS);
    let is_rare = |volume: &Volume| volume.connections <= network.options.rare;
    let mut found: Vec<_> = names.iter().filter(|(_, volume)| is_rare(volume)).collect();
    found.sort_by_key(|(name, volume)| (volume.connections, std::cmp::Reverse(volume.last()), **name));
    let total = found.len() as u64;
    let rows = found.into_iter().take(network.options.limit);
    let rows = rows.map(|(name, volume)| row([named(name)], volume)).collect();
    let words = ("Processes that hardly ever connect", "");
    rare(network, list("rare_processes", words, COLUMNS, rows, total))
}

fn rare_addresses(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(ADDRESS, SCOPE);
    let (found, total) = network
        .addresses
        .rare(network.options.rare, network.options.limit);
    let rows = addresses(network, found);
    let words = ("Addresses hardly ever seen", "");
    rare(network, list("rare_addresses", words, COLUMNS, rows, total))
}

fn rare_endpoints(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(ADDRESS, PROTOCOL, PORT);
    let (found, total) = network
        .endpoints
        .rare(network.options.rare, network.options.limit);
    let rows = found
        .into_iter()
        .map(|((ip, port), volume)| row([Some((*ip).into()), protocol(port), Some(port.1.into())], volume))
        .collect();
    let words = ("Addresses and ports hardly ever seen", "");
    rare(network, list("rare_endpoints", words, COLUMNS, rows, total))
}

fn listening(network: &Network) -> Table {
    const COLUMNS: &[Column] = &[
        PROTOCOL,
        ADDRESS,
        PORT,
        PROCESS,
        PID,
        USER,
        column("count", "Seen", Shape::Number),
        SEEN[3],
        SEEN[4],
        column("path", "Path", Shape::Code),
    ];
    let mut found: Vec<_> = network.listeners.iter().collect();
    found.sort_by(|(a, _), (b, _)| (a.0.1, a.0.0, a.1, &a.2).cmp(&(b.0.1, b.0.0, b.1, &b.2)));
    let total = found.len() as u64;
    let rows = found
        .into_iter()
        .take(network.options.limit.max(LISTENERS))
        .map(|((port, ip, name), it)| {
            vec![
                protocol(port),
                ip.map(Value::from),
                Some(port.1.into()),
                named(name),
                it.pid.map(Value::from),
                it.user.as_ref().map(Value::from),
                Some(it.volume.connections.into()),
                it.volume.first().map(Value::from),
                it.volume.last().map(Value::from),
                it.path.as_ref().map(Value::from),
            ]
        })
        .collect();
    list("listening", ("What listens", ""), COLUMNS, rows, total)
}

/// Listeners are shown in such a number at least: an unexpected one is nowhere in particular.
const LISTENERS: usize = 100;

/// The programs that used the network, the ones with the most connections first.
fn programs(network: &Network) -> Vec<&Way> {
    let mut ways: Vec<&Way> = network
        .programs
        .ways
        .iter()
        .filter(|way| way.volume.connections > 0)
        .collect();
    ways.sort_by(|a, b| {
        b.volume
            .connections
            .cmp(&a.volume.connections)
            .then(a.path.cmp(&b.path))
    });
    ways
}

fn suspicious(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(
        SEVERITY,
        PROCESS,
        PID,
        USER,
        column("pattern", "Pattern", Shape::Word),
        PATH,
        COMMAND_LINE
    );
    let mut rows = Vec::new();
    let mut total = 0;
    for way in programs(network) {
        let found = network
            .options
            .suspicion(&way.name, way.path.as_deref(), way.command_line.as_deref());
        let Some((path, pattern)) = found else { continue };
        total += 1;
        if rows.len() < network.options.limit {
            let key = [
                Some(Severity::Medium.name().into()),
                named(&way.name),
                way.pid.map(Value::from),
                way.user.as_ref().map(Value::from),
                Some(pattern.into()),
                Some(path.into()),
                way.command_line.as_ref().map(Value::from),
            ];
            rows.push(row(key, &way.volume));
        }
    }
    let words = (
        "Connections of programs in suspicious folders",
        "Installed programs do not live there; downloaded and dropped ones do.",
    );
    list("suspicious_paths", words, COLUMNS, rows, total)
}

fn commands(network: &Network) -> Table {
    const COLUMNS: &[Column] = counted!(
        SEVERITY,
        column("pattern", "Pattern", Shape::Word),
        column("meaning", "Meaning", Shape::Term),
        PROCESS,
        PID,
        USER,
        COMMAND_LINE
    );
    let mut found: Vec<_> = programs(network)
        .into_iter()
        .filter_map(|way| Some((network.commands.find(way.command_line.as_deref()?)?, way)))
        .collect();
    // Stable: within a severity the busiest stay first.
    found.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.severity));
    let total = found.len() as u64;
    let rows = found
        .into_iter()
        .take(network.options.limit)
        .map(|(pattern, way)| {
            let key = [
                Some(pattern.severity.name().into()),
                Some(pattern.name.into()),
                Some(pattern.meaning.into()),
                named(&way.name),
                way.pid.map(Value::from),
                way.user.as_ref().map(Value::from),
                way.command_line.as_ref().map(Value::from),
            ];
            row(key, &way.volume)
        });
    let words = (
        "Command lines that tell of network use",
        "Of programs that had connections; the gravest first.",
    );
    list("command_lines", words, COLUMNS, rows.collect(), total)
}
