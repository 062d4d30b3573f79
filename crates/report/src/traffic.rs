//! What is in a capture: a summary of connections, names and alerts, for a person.

mod text;

use std::hash::Hash;
use std::net::IpAddr;

use atalaya_model::{Alert, Application, Basis, Connection, Lane, Message, Protocol, Severity, Text, Time};
use foldhash::{HashMap, HashMapExt as _};

pub use text::Labels;

/// Different keys that one ranking counts, at most; what comes after that is counted together.
const MOST: usize = 200_000;

/// A summary under way: every connection is counted as it ends.
#[derive(Debug, Default)]
pub struct Traffic {
    /// It is of other sensors' logs: no frame is seen here, what the logs counted is counted.
    pub is_hearsay: bool,
    /// Captures or logs that were read, at least in part.
    pub files: u64,
    /// Frames.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Times of the first and the last frame.
    pub times: Option<(Time, Time)>,
    /// What could not be read, or was left out: words and a number.
    pub left_out: Vec<(Text, u64)>,
    connections: u64,
    protocols: Ranking<(Option<Application>, Option<Basis>), Volume>,
    sources: Ranking<IpAddr, Volume>,
    destinations: Ranking<IpAddr, Volume>,
    /// By program and user, where the capture names processes.
    processes: Ranking<(Text, Option<Text>), Volume>,
    names: Ranking<Box<str>, u64>,
    rules: Vec<(Text, Severity, u64)>,
}

/// What went over some connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many they were.
    pub connections: u64,
    /// Packets of both sides.
    pub packets: u64,
    /// Bytes of whole frames, or of payload where frames are not known.
    pub bytes: u64,
}

impl Volume {
    fn of(connection: &Connection) -> Self {
        let (packets, bytes) = match &connection.wire {
            Some(wire) => (
                wire.source.packets + wire.destination.packets,
                whole(&wire.source).saturating_add(whole(&wire.destination)),
            ),
            None => {
                let (packets, bytes) = (connection.packets(), connection.bytes());
                let sum = |pair: Option<(u64, u64)>| pair.map_or(0, |(a, b)| a.saturating_add(b));
                (sum(packets), sum(bytes))
            }
        };
        Self {
            connections: 1,
            packets,
            bytes,
        }
    }

    const fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// Bytes of frames; of packets, where another sensor counted no more.
const fn whole(lane: &Lane) -> u64 {
    if lane.frame_bytes > 0 {
        lane.frame_bytes
    } else {
        lane.ip_bytes
    }
}

/// Counts by key, bounded.
#[derive(Debug)]
struct Ranking<K, V> {
    rows: HashMap<K, V>,
    /// What came when there was no room for another key.
    others: V,
}

impl<K, V: Default> Default for Ranking<K, V> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            others: V::default(),
        }
    }
}

impl<K: Hash + Eq, V: Default> Ranking<K, V> {
    /// The count of a key.
    fn at(&mut self, key: K) -> &mut V {
        if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
            return &mut self.others;
        }
        self.rows.entry(key).or_default()
    }

    /// The largest, at most `count`, by `weight`; ties by key.
    fn top<W: Ord>(&self, count: usize, weight: impl Fn(&V) -> W) -> Vec<(&K, &V)>
    where
        K: Ord,
    {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by(|(a, left), (b, right)| weight(right).cmp(&weight(left)).then(a.cmp(b)));
        rows.truncate(count);
        rows
    }
}

impl Traffic {
    /// Counts a frame.
    pub fn frame(&mut self, time: Time, length: u32) {
        self.frames += 1;
        self.bytes += u64::from(length);
        self.times = Some(match self.times {
            Some((first, last)) => (first.min(time), last.max(time)),
            None => (time, time),
        });
    }

    /// Counts a connection that has ended.
    pub fn connection(&mut self, connection: &Connection) {
        let volume = Volume::of(connection);
        self.connections += 1;
        if self.is_hearsay {
            self.frames = self.frames.saturating_add(volume.packets);
            self.bytes = self.bytes.saturating_add(volume.bytes);
            let end = connection.ended.unwrap_or(connection.seen);
            self.times = Some(match self.times {
                Some((first, last)) => (first.min(connection.started), last.max(end)),
                None => (connection.started, end),
            });
        }
        let application = connection.wire.as_ref().and_then(|wire| wire.application);
        let key = (
            application.map(|(application, _)| application),
            application.map(|(_, basis)| basis),
        );
        self.protocols.at(key).add(volume);
        self.sources.at(connection.source.ip).add(volume);
        self.destinations.at(connection.destination.ip).add(volume);
        if let Some(process) = &connection.process {
            let program = process.executable.as_ref().unwrap_or(&process.name);
            let key = (Text::clone(program), process.user_name.clone());
            self.processes.at(key).add(volume);
        }
        let tls = connection.wire.as_ref().and_then(|wire| wire.tls.as_ref());
        let name = tls.and_then(|tls| tls.client.as_ref()?.server_name.as_ref());
        if let Some(name) = name {
            self.name(name);
        }
    }

    /// Counts the names of what was said.
    pub fn protocol(&mut self, protocol: &Protocol) {
        match &protocol.message {
            Message::Dns(dns) => {
                if let Some(question) = dns.questions.first() {
                    self.name(&question.name);
                }
            }
            Message::Http(http) => {
                if let Some(host) = &http.host {
                    self.name(host);
                }
            }
            _ => {}
        }
    }

    fn name(&mut self, name: &str) {
        // Most are known, or there is no room for more: a text of its own is made for few.
        if let Some(count) = self.names.rows.get_mut(name) {
            *count += 1;
        } else if self.names.rows.len() >= MOST {
            self.names.others += 1;
        } else {
            self.names.rows.insert(name.into(), 1);
        }
    }

    /// Counts an alert.
    pub fn alert(&mut self, alert: &Alert) {
        let (rule, severity) = (&alert.finding.rule, alert.finding.severity);
        let known = self
            .rules
            .iter_mut()
            .find(|(known, worst, _)| known == rule && *worst == severity);
        match known {
            Some((_, _, count)) => *count += 1,
            None => self.rules.push((rule.clone(), severity, 1)),
        }
    }
}
