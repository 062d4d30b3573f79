//! What was not there before: executables, replaced executables, listeners, destinations.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use atalaya_model::{Listener, Text, Time, Transport, Value};
use atalaya_store::{AddressTotal, Ask, Executable, Reader, StoreError};

use super::{Column, Said, Shape, Table, column, number, text};

/// Rows of one kind that are compared, at most.
pub(super) const MOST: usize = 100_000;

/// Ports from which Linux gives clients theirs: a UDP socket there is hardly a service.
const EPHEMERAL: u16 = 32_768;

pub(super) const EXECUTABLES: &[Column] = &[
    column("path", "Path", Shape::Code),
    column("sha256", "SHA-256", Shape::Under),
    column("first_seen", "First seen", Shape::Time),
    column("last_seen", "Last seen", Shape::Time),
];

pub(super) const CHANGED: &[Column] = &[
    column("path", "Path", Shape::Code),
    column("sha256", "SHA-256 now", Shape::Under),
    column("previous_sha256", "SHA-256 before", Shape::Under),
    column("first_seen", "First seen", Shape::Time),
    column("last_seen", "Last seen", Shape::Time),
];

/// A path whose content is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) now: Executable,
    pub(super) before: Vec<Text>,
}

impl Changed {
    pub(super) fn row(&self) -> Vec<Option<Value>> {
        let before = self.before.iter().map(Value::from).collect();
        let [path, sha256, first, last] = executable(&self.now);
        vec![path, sha256, Some(Value::List(before)), first, last]
    }
}

pub(super) fn executable(it: &Executable) -> [Option<Value>; 4] {
    [
        text(it.path.as_ref()),
        text(it.sha256.as_ref()),
        Some(Value::Time(it.first_seen)),
        Some(Value::Time(it.last_seen)),
    ]
}

/// Of `now`, which paths (or contents without a path) `before` does not know, and which it knows with other contents
/// only. What was never hashed says nothing about a change. One row a path is new, however many contents it had.
pub(super) fn compare(before: &[Executable], now: &[Executable]) -> (Vec<Executable>, Vec<Changed>) {
    let mut paths: HashMap<&Text, HashSet<&Text>> = HashMap::new();
    let mut contents: HashSet<&Text> = HashSet::new();
    for it in before {
        contents.extend(&it.sha256);
        if let Some(path) = &it.path {
            paths.entry(path).or_default().extend(&it.sha256);
        }
    }
    let mut new: Vec<Executable> = Vec::new();
    let mut changed = Vec::new();
    let mut places: HashMap<&Text, usize> = HashMap::new();
    for it in now {
        let Some(path) = &it.path else {
            if it
                .sha256
                .as_ref()
                .is_some_and(|sha256| !contents.contains(sha256))
            {
                new.push(it.clone());
            }
            continue;
        };
        match (paths.get(path), &it.sha256) {
            (Some(known), Some(sha256)) if !known.is_empty() && !known.contains(sha256) => {
                let mut before: Vec<Text> = known.iter().map(|sha256| Text::clone(sha256)).collect();
                before.sort_unstable();
                changed.push(Changed {
                    now: it.clone(),
                    before,
                });
            }
            (Some(_), _) => {}
            (None, _) => match places.get(path).and_then(|place| new.get_mut(*place)) {
                Some(known) => {
                    known.first_seen = known.first_seen.min(it.first_seen);
                    known.last_seen = known.last_seen.max(it.last_seen);
                    if known.sha256.is_none() {
                        known.sha256.clone_from(&it.sha256);
                    }
                }
                None => {
                    places.insert(path, new.len());
                    new.push(it.clone());
                }
            },
        }
    }
    (new, changed)
}

/// A table of executables.
pub(super) fn executables_table(
    name: &'static str,
    title: &'static str,
    found: &[Executable],
    limit: usize,
) -> Table {
    Table::new(
        name,
        title,
        EXECUTABLES,
        found.iter().take(limit).map(|it| executable(it).into()).collect(),
        Some(found.len() as u64),
    )
}

/// A table of replaced executables.
pub(super) fn changed_table(found: &[Changed], limit: usize) -> Table {
    Table::new(
        "changed_executables",
        "Executables with another content",
        CHANGED,
        found.iter().take(limit).map(Changed::row).collect(),
        Some(found.len() as u64),
    )
    .about(Said::plain(
        "The same path with another SHA-256 than before: an update, or a replaced program.",
    ))
}

/// From where a listener can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reach {
    Everywhere,
    OneAddress,
    ThisHost,
}

impl Reach {
    const fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "on every address",
            Self::OneAddress => "on one address",
            Self::ThisHost => "on this host only",
        }
    }
}

/// What makes two listeners the same service; the port is `None` for datagrams on a port that the system chose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Service {
    transport: Transport,
    port: Option<u16>,
    reach: Reach,
    program: Text,
}

impl Service {
    fn of(listener: &Listener) -> Self {
        let port = listener.local.port;
        let is_client = listener.transport != Transport::Tcp && port >= EPHEMERAL;
        Self {
            transport: listener.transport,
            port: (!is_client).then_some(port),
            reach: match () {
                () if listener.is_loopback() => Reach::ThisHost,
                () if listener.is_wildcard() => Reach::Everywhere,
                () => Reach::OneAddress,
            },
            program: listener
                .process
                .as_ref()
                .map_or_else(|| "".into(), |process| process.program().into()),
        }
    }
}

/// One service: its newest listener, and since when it is there.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) service: Service,
    pub(super) newest: Arc<Listener>,
    pub(super) since: Time,
    pub(super) sockets: u64,
}

/// The services of listeners, which are given newest first; in order of their ports.
pub(super) fn services(listeners: &[Arc<Listener>]) -> Vec<Standing> {
    let mut found: HashMap<Service, Standing> = HashMap::new();
    for listener in listeners {
        let service = Service::of(listener);
        let standing = found.entry(service.clone()).or_insert_with(|| Standing {
            service,
            newest: Arc::clone(listener),
            since: listener.started,
            sockets: 0,
        });
        standing.since = standing.since.min(listener.started);
        standing.sockets += 1;
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by(|a, b| (a.service.port.is_none(), &a.service).cmp(&(b.service.port.is_none(), &b.service)));
    found
}

pub(super) const LISTENERS: &[Column] = &[
    column("transport", "Protocol", Shape::Word),
    column("address", "Address", Shape::Code),
    column("port", "Port", Shape::Number),
    column("reach", "Reachable", Shape::Term),
    column("program", "Program", Shape::Code),
    column("pid", "Pid", Shape::Number),
    column("user", "User", Shape::Word),
    column("since", "Since", Shape::Time),
    column("ended", "Ended", Shape::Time),
    column("sockets", "Sockets", Shape::Number),
];

/// A table of services.
pub(super) fn listeners_table<'a>(
    name: &'static str,
    title: &'static str,
    found: impl Iterator<Item = &'a Standing> + Clone,
    limit: usize,
) -> Table {
    let rows = found.clone().take(limit).map(|it| {
        let process = it.newest.process.as_ref();
        vec![
            Some(Value::from(it.service.transport.name())),
            Some(Value::Address(it.newest.local.ip)),
            it.service.port.and_then(|port| number(port.into())),
            Some(Value::from(it.service.reach.name())),
            (!it.service.program.is_empty()).then(|| Value::from(&it.service.program)),
            process.and_then(|process| number(process.key.pid.into())),
            process.and_then(|process| text(process.user_name.as_ref())),
            Some(Value::Time(it.since)),
            it.newest.ended.map(Value::Time),
            number(it.sockets),
        ]
    });
    Table::new(name, title, LISTENERS, rows.collect(), Some(found.count() as u64)).about(Said::plain("One row a service: protocol, port, reach and program; without a port: datagram sockets on ports that the \
                system chose."))
}

pub(super) const DESTINATIONS: &[Column] = &[
    column("address", "Address", Shape::Code),
    column("name", "Name", Shape::Word),
    column("program", "Program", Shape::Code),
    column("country", "Country", Shape::Word),
    column("organization", "Network", Shape::Word),
    column("first_seen", "First seen", Shape::Time),
    column("connections", "Connections", Shape::Number),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
];

/// A table of destinations, each with a name by which it was asked for and a program that talked to it.
pub(super) fn destinations_table(
    name: &'static str,
    title: &'static str,
    reader: &Reader,
    (found, total): (&[AddressTotal], u64),
    limit: usize,
) -> Result<Table, StoreError> {
    let mut rows = Vec::new();
    for it in found.iter().take(limit) {
        let address = &it.address;
        let (domain, program) = known_of(reader, address.ip)?;
        rows.push(vec![
            Some(Value::Address(address.ip)),
            text(domain.as_ref()),
            text(program.as_ref()),
            text(address.country.as_ref()),
            text(address.organization.as_ref()),
            address.seen.map(|(first, _)| Value::Time(first)),
            number(it.total.connections),
            Some(Value::Bytes(it.total.received_bytes)),
            Some(Value::Bytes(it.total.sent_bytes)),
        ]);
    }
    Ok(
        Table::new(name, title, DESTINATIONS, rows, Some(total)).about(Said::plain(
            "Counted over all that is kept, the most bytes first.",
        )),
    )
}

/// The name in the newest conversation with an address, and the program that exchanged most bytes with it.
pub(super) fn known_of(reader: &Reader, ip: IpAddr) -> Result<(Option<Text>, Option<Text>), StoreError> {
    let everything: Range<Time> = Time(0)..Time(i64::MAX);
    let ask = Ask {
        // Nobody waits for the near end of conversations.
        is_over: &|| true,
        ..Ask::all(everything, 4)
    };
    let history = reader.address_history(ip, &ask)?;
    let name = history.newest.iter().find_map(|it| it.name.clone());
    let program = history
        .programs
        .first()
        .and_then(|(total, _)| total.program.as_ref());
    Ok((name, program.map(program_name)))
}

/// What a program is recognised by: its script, else its executable, else its name.
pub(super) fn program_name(program: &atalaya_store::Program) -> Text {
    let name = program.script.as_ref().or(program.executable.as_ref());
    name.unwrap_or(&program.name).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, sha256: Option<&str>, first: i64) -> Executable {
        Executable {
            path: Some(path.into()),
            sha256: sha256.map(Text::from),
            first_seen: Time(first),
            last_seen: Time(first + 5),
        }
    }

    #[test]
    fn a_new_path_is_new_and_a_new_content_of_an_old_path_a_change() {
        let before = [
            seen("/bin/a", Some("aa"), 1),
            seen("/bin/b", None, 1),
            seen("/bin/c", Some("cc"), 1),
        ];
        let now = [
            seen("/bin/a", Some("ab"), 11),
            seen("/bin/a", Some("aa"), 1),
            seen("/bin/b", Some("bb"), 11), // hashed at last
            seen("/bin/c", None, 12),       // could not be hashed
            seen("/bin/d", None, 20),
            seen("/bin/d", Some("dd"), 13),
        ];
        let (new, changed) = compare(&before, &now);
        assert_eq!(
            new,
            [Executable {
                last_seen: Time(25),
                ..seen("/bin/d", Some("dd"), 13)
            }]
        );
        assert_eq!(
            changed,
            [Changed {
                now: seen("/bin/a", Some("ab"), 11),
                before: vec!["aa".into()],
            }]
        );
        assert_eq!(compare(&before, &before), (vec![], vec![]));
    }
}
