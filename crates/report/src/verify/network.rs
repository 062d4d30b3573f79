//! *Who talks to whom?* Sums by process, address and port, what is rare, what listens, what goes outside, and what is
//! odd about who does it.

use std::net::IpAddr;

use atalaya_model::{Networks, Scope, Text, Time, Transport, Value};
use foldhash::{HashMap, HashMapExt as _};

use super::commands::Commands;
use super::counts::{Counts, Volume};
use super::programs::{Facts, Programs};
use super::{Found, Options, Sources};
use crate::document::{Document, Number};

mod lists;

/// Addresses that are kept, at most: as many as a table of 2^20 places takes.
const MOST_ADDRESSES: usize = (1 << 20) / 8 * 7;
/// Endpoints and pairs that are kept, at most, of each.
const MOST: usize = 2 * MOST_ADDRESSES;
/// Listeners that are kept, at most.
const MOST_LISTENERS: usize = 50_000;

/// A port of a transport; `None` where nobody said which.
pub(super) type Port = (Option<Transport>, u16);

/// A verification of network use under way.
///
/// A connection counts in each of its dimensions by a call of its own, so that sums that were kept elsewhere can be
/// handed over as they are.
#[derive(Debug)]
pub struct Network {
    options: Options,
    networks: Networks,
    commands: Commands,
    rows: u64,
    opened: u64,
    closed: u64,
    total: Volume,
    programs: Programs,
    addresses: Counts<IpAddr>,
    endpoints: Counts<(IpAddr, Port)>,
    ports: Counts<Port>,
    /// By number of the process's name.
    pairs: Counts<(u32, IpAddr)>,
    listeners: HashMap<(Port, Option<IpAddr>, Text), Listening>,
    /// Listeners that there was no room for.
    more_listeners: u64,
    /// Names of processes, each kept once, and their numbers.
    names: Vec<Text>,
    numbers: HashMap<Box<[u8]>, u32>,
}

/// A socket that listens.
#[derive(Clone, Debug)]
struct Listening {
    path: Option<Text>,
    pid: Option<u64>,
    user: Option<Text>,
    volume: Volume,
}

impl Network {
    /// Nothing seen yet.
    pub fn new(options: Options) -> Self {
        Self {
            networks: Networks(options.internal.clone()),
            options,
            commands: Commands::new(),
            rows: 0,
            opened: 0,
            closed: 0,
            total: Volume::default(),
            programs: Programs::new(),
            addresses: Counts::new(MOST_ADDRESSES),
            endpoints: Counts::new(MOST),
            ports: Counts::new(65_536 * 4),
            pairs: Counts::new(MOST),
            listeners: HashMap::new(),
            more_listeners: 0,
            names: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// Counts rows that were read, and how many openings and endings are among them.
    pub(super) const fn count_rows(&mut self, rows: u64, opened: u64, closed: u64) {
        self.rows += rows;
        self.opened += opened;
        self.closed += closed;
    }

    /// Adds to what the network carried in all.
    pub(super) fn total(&mut self, volume: &Volume) {
        self.total.add(volume);
    }

    /// Counts for a program.
    pub(super) fn program(&mut self, facts: &Facts<'_>, volume: &Volume) {
        self.programs.add(facts, volume);
    }

    /// Counts for a remote address.
    pub(super) fn address(&mut self, ip: IpAddr, volume: &Volume) {
        self.addresses.add(ip, volume);
    }

    /// Counts for a process by name and the address that it talks to.
    pub(super) fn pair(&mut self, process: &[u8], ip: IpAddr, volume: &Volume) {
        let number = self.number(process);
        self.pairs.add((number, ip), volume);
    }

    /// Counts for the port of the side that was called.
    pub(super) fn port(&mut self, port: Port, volume: &Volume) {
        self.ports.add(port, volume);
    }

    /// Counts for an address with the port of the side that was called.
    pub(super) fn endpoint(&mut self, ip: IpAddr, port: Port, volume: &Volume) {
        self.endpoints.add((ip, port), volume);
    }

    /// Notes that something listens.
    pub(super) fn listener(&mut self, facts: &Facts<'_>, ip: Option<IpAddr>, port: Port, time: Option<Time>) {
        let name: Text = super::columns::decoded(&facts.name[..facts.name.len().min(256)]).into();
        let key = (port, ip, name);
        if self.listeners.len() >= MOST_LISTENERS && !self.listeners.contains_key(&key) {
            self.more_listeners += 1;
            return;
        }
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| Text::from(super::columns::decoded(bytes)));
        let known = self.listeners.entry(key).or_insert_with(|| Listening {
            path: None,
            pid: None,
            user: None,
            volume: Volume::default(),
        });
        known.path = known.path.take().or_else(|| text(facts.path));
        known.pid = known.pid.or(facts.pid);
        known.user = known.user.take().or_else(|| text(facts.user));
        let once = Volume::of(1, 0, 0).between(time.map(|time| (time, time)));
        known.volume.add(&once);
    }

    /// The number of a process's name.
    fn number(&mut self, bytes: &[u8]) -> u32 {
        /// Names that are kept, at most; those beyond are one, without a name.
        const MOST_NAMES: usize = 200_000;
        if let Some(number) = self.numbers.get(bytes) {
            return *number;
        }
        let Ok(number) = u32::try_from(self.names.len()) else {
            return u32::MAX;
        };
        if self.names.len() >= MOST_NAMES {
            return u32::MAX;
        }
        let name = super::columns::decoded(&bytes[..bytes.len().min(256)]);
        self.names.push(name.into());
        self.numbers.insert(bytes.into(), number);
        number
    }

    /// What was found.
    pub fn finish(self, sources: Sources) -> Document {
        let lists = lists::all(&self);
        let notes = [
            (
                self.programs.shortened,
                "{0} sightings were counted without their command lines: there was no room for so many different ones",
            ),
            (
                self.programs.beyond,
                "{0} rows are of programs that there was no room for; they are not in the lists",
            ),
            (
                self.addresses.beyond + self.endpoints.beyond + self.pairs.beyond,
                "{0} rows are of addresses that there was no room for; lists of addresses may miss some",
            ),
            (self.more_listeners, "{0} listeners were left out"),
        ];
        let bytes = |name, label, bytes| Number {
            name,
            label,
            value: Value::Bytes(bytes),
        };
        let named = lists::by_name(&self.programs.ways).len() as u64;
        let mut numbers = vec![Number::count("rows", "Rows", self.rows)];
        if self.opened + self.closed > 0 {
            numbers.push(Number::count("opened", "Opened", self.opened));
            numbers.push(Number::count("closed", "Closed", self.closed));
        }
        numbers.extend([
            Number::count("connections", "Connections", self.total.connections),
            bytes("sent_bytes", "Sent", self.total.sent),
            bytes("received_bytes", "Received", self.total.received),
            Number::count("processes", "Process names", named),
            Number::count("addresses", "Remote addresses", self.addresses.len()),
            Number::count("endpoints", "Remote endpoints", self.endpoints.len()),
            Number::count("listeners", "Listeners", self.listeners.len() as u64),
        ]);
        let internal = self.options.internal.iter().copied().map(Value::Network);
        let method = [("Networks of one's own", Value::List(internal.collect()))];
        let found = Found {
            kind: "verify.network",
            title: "Verification of network use",
            times: self.total.times(),
            numbers,
            tables: lists,
        };
        found.document(&self.options, sources, &notes, method)
    }

    /// Where an address is, for this report.
    fn scope(&self, ip: IpAddr) -> Scope {
        self.networks.scope(ip)
    }
}
