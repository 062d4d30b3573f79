//! Questions over everything that is kept: each process once, and what all conversations come to, by process, address
//! and port. Rows are read once, in order; what is summed up on the way has limits.

use std::net::IpAddr;
use std::ops::Range;

use atalaya_model::process::Digest;
use atalaya_model::{Endpoint, ProcessKey, Side, Text, Time, Transport};
use foldhash::{HashMap, HashMapExt as _};
use rusqlite::{Connection, OptionalExtension};

use crate::codes::{self, uncounter};
use crate::dictionary::from_raw;
use crate::load::Loader;
use crate::{Reader, StoreError, identity};

/// A process as it is known last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProcess {
    /// Number of its boot, and its identity in it.
    pub identity: (i64, ProcessKey),
    /// Its name.
    pub name: Text,
    /// Path of the executable.
    pub path: Option<Text>,
    /// Digest of the executable.
    pub sha256: Option<Text>,
    /// Arguments.
    pub command_line: Option<Text>,
    /// The user's name, or else number.
    pub user: Option<Text>,
    /// The file is as its package brought it.
    pub is_packaged: bool,
    /// When it started.
    pub started: Time,
    /// When it was last known to live.
    pub last: Time,
}

/// What some conversations come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many opened.
    pub connections: u64,
    /// Payload bytes that this host's sockets sent.
    pub sent: u64,
    /// Payload bytes that they received.
    pub received: u64,
    /// When the first of them opened.
    pub first: Time,
    /// When the last of them opened.
    pub last: Time,
}

/// Of which conversations a sum is. The same key may come again; then both sums count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SumOf<'a> {
    /// All of them.
    All,
    /// Those of a process; `None` where it is not known.
    Process(Option<&'a SeenProcess>),
    /// Those with this remote address.
    Address(IpAddr),
    /// Those of processes with this name (empty where it is not known) with this remote address.
    Pair(&'a str, IpAddr),
    /// Those with this port of the side that was called.
    Port(Transport, u16),
    /// Those with this remote address and port of the side that was called.
    Endpoint(IpAddr, Transport, u16),
}

/// Keys of one kind that are summed up at once; then they are handed over, and summing begins anew. As many as a table of
/// 2^20 places takes.
const MOST: usize = (1 << 20) / 8 * 7;

/// A sum by row ids: they are times, and rows come in their order.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    connections: u64,
    sent: u64,
    received: u64,
    first: i64,
    last: i64,
}

impl Running {
    fn add(&mut self, id: i64, sent: u64, received: u64) {
        if self.connections == 0 {
            self.first = id;
        }
        self.connections += 1;
        self.sent = self.sent.saturating_add(sent);
        self.received = self.received.saturating_add(received);
        self.last = id;
    }

    fn sum(&self) -> Sum {
        Sum {
            connections: self.connections,
            sent: self.sent,
            received: self.received,
            first: identity::time(self.first),
            last: identity::time(self.last),
        }
    }
}

/// Transport and port, as numbers.
type Port = (u8, u16);

/// Sums under way.
#[derive(Default)]
struct Sums {
    all: Running,
    processes: HashMap<i64, Running>,
    /// By number of the address, which are dense.
    addresses: Vec<Running>,
    pairs: HashMap<(i64, i64), Running>,
    ports: HashMap<Port, Running>,
    endpoints: HashMap<(i64, Port), Running>,
}

/// Addresses beyond this number would make the list of them too long.
const MOST_ADDRESSES: i64 = 1 << 24;

impl Reader {
    /// Every process that lived within a range, each once as it is known last, in the order in which they were seen.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn seen_processes(
        &self,
        range: Range<Time>,
        each: &mut dyn FnMut(&SeenProcess),
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        let newest: Option<(i64, i64)> = connection
            .query_row("SELECT boot, seen FROM run ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let sql = format!("{SEEN} WHERE p.latest = 1 AND p.started < ?1 ORDER BY p.id");
        let mut statement = connection.prepare(&sql)?;
        let mut loader = Loader::default();
        let mut rows = statement.query([range.end.0])?;
        while let Some(row) = rows.next()? {
            let process = seen(connection, &mut loader, row, newest)?;
            if process.last >= range.start {
                each(&process);
            }
        }
        Ok(())
    }

    /// With whom processes talked, of the newest `limit` conversations, the newest first: the number of the boot and the
    /// process's identity, and the remote end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn newest_talks(
        &self,
        limit: usize,
        each: &mut dyn FnMut((i64, ProcessKey), Transport, Endpoint),
    ) -> Result<(), StoreError> {
        /// Of one version of a process, at most.
        const EXAMPLES: u32 = 3;
        let connection = self.connection();
        let shapes = shapes(connection)?;
        let mut loader = Loader::default();
        let mut told: HashMap<i64, u32> = HashMap::new();
        let mut statement = connection.prepare(
            "SELECT process, shape, remote_ip, remote_port & 65535 FROM connection WHERE process IS NOT NULL \
             ORDER BY id DESC LIMIT ?1",
        )?;
        let mut identify = connection.prepare("SELECT boot, pid, start FROM process WHERE id = ?1")?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let process: i64 = row.get(0)?;
            let count = told.entry(process).or_default();
            if *count >= EXAMPLES {
                continue;
            }
            *count += 1;
            let key = identify.query_row([process], |row| {
                let start = uncounter(row.get(2)?);
                Ok((
                    row.get(0)?,
                    ProcessKey {
                        pid: row.get(1)?,
                        start,
                    },
                ))
            });
            let Some(key) = key.optional()? else { continue };
            let transport = shapes.get(&row.get(1)?).map_or(0, |(transport, _)| *transport);
            let remote = Endpoint {
                ip: loader.address(connection, row.get(2)?)?,
                port: row.get(3)?,
            };
            each(key, Transport::from_number(transport), remote);
        }
        Ok(())
    }

    /// What the conversations that opened within a range come to, in every dimension.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn network_sums(
        &self,
        range: Range<Time>,
        each: &mut dyn FnMut(SumOf<'_>, &Sum),
    ) -> Result<(), StoreError> {
        let connection = self.connection();
        // One view of the database from the first row to the last name, and one lock instead of millions.
        let _snapshot = connection.unchecked_transaction()?;
        let shapes = shapes(connection)?;
        let mut names = Names {
            connection,
            loader: Loader::default(),
            addresses: addresses(connection)?,
            processes: HashMap::new(),
        };
        let mut sums = Sums::default();
        let mut statement = connection.prepare(
            "SELECT id, shape, process, remote_ip, local_port & 65535, remote_port & 65535, sent_bytes, received_bytes \
             FROM connection WHERE id >= ?1 AND id < ?2 ORDER BY id",
        )?;
        let mut rows = statement.query([identity::first(range.start), identity::first(range.end)])?;
        // Rows of one shape mostly follow one another.
        let (mut shape, mut known) = (i64::MIN, (0, Side::Source));
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let of: i64 = row.get(1)?;
            if of != shape {
                (shape, known) = (of, shapes.get(&of).copied().unwrap_or((0, Side::Source)));
            }
            let (transport, side) = known;
            let process = row.get::<_, Option<i64>>(2)?.unwrap_or(0);
            let ip: i64 = row.get(3)?;
            let port: u16 = row.get(if side == Side::Source { 5 } else { 4 })?;
            let bytes = |place| -> Result<u64, StoreError> {
                Ok(row.get::<_, Option<i64>>(place)?.map_or(0, uncounter))
            };
            let (sent, received) = (bytes(6)?, bytes(7)?);
            sums.all.add(id, sent, received);
            sums.processes.entry(process).or_default().add(id, sent, received);
            sums.address(ip)?.add(id, sent, received);
            sums.pairs
                .entry((process, ip))
                .or_default()
                .add(id, sent, received);
            sums.ports
                .entry((transport, port))
                .or_default()
                .add(id, sent, received);
            let endpoint = (ip, (transport, port));
            sums.endpoints
                .entry(endpoint)
                .or_default()
                .add(id, sent, received);
            if sums.pairs.len() >= MOST || sums.endpoints.len() >= MOST {
                sums.hand_over_pairs(&mut names, each)?;
            }
        }
        sums.hand_over_pairs(&mut names, each)?;
        sums.hand_over(&mut names, each)
    }
}

impl Sums {
    fn address(&mut self, ip: i64) -> Result<&mut Running, StoreError> {
        let place = usize::try_from(ip).ok().filter(|_| ip < MOST_ADDRESSES);
        let place = place.ok_or_else(|| StoreError::Corrupt(format!("an address with the number {ip}")))?;
        if place >= self.addresses.len() {
            self.addresses.resize(place + 1, Running::default());
        }
        Ok(&mut self.addresses[place])
    }

    /// Hands over what has many keys.
    fn hand_over_pairs(
        &mut self,
        names: &mut Names<'_>,
        each: &mut dyn FnMut(SumOf<'_>, &Sum),
    ) -> Result<(), StoreError> {
        for ((process, ip), running) in self.pairs.drain() {
            let ip = names.address(ip)?;
            let process = names.process(process)?;
            let name = process.as_ref().map_or("", |process| &*process.name);
            each(SumOf::Pair(name, ip), &running.sum());
        }
        for ((ip, (transport, port)), running) in self.endpoints.drain() {
            let of = SumOf::Endpoint(names.address(ip)?, Transport::from_number(transport), port);
            each(of, &running.sum());
        }
        Ok(())
    }

    /// Hands over the rest.
    fn hand_over(
        self,
        names: &mut Names<'_>,
        each: &mut dyn FnMut(SumOf<'_>, &Sum),
    ) -> Result<(), StoreError> {
        if self.all.connections > 0 {
            each(SumOf::All, &self.all.sum());
        }
        for (process, running) in self.processes {
            let process = names.process(process)?;
            each(SumOf::Process(process.as_ref()), &running.sum());
        }
        for (ip, running) in (0..).zip(&self.addresses) {
            if running.connections > 0 {
                each(SumOf::Address(names.address(ip)?), &running.sum());
            }
        }
        for ((transport, port), running) in self.ports {
            each(
                SumOf::Port(Transport::from_number(transport), port),
                &running.sum(),
            );
        }
        Ok(())
    }
}

/// What the numbers in rows stand for.
struct Names<'a> {
    connection: &'a Connection,
    loader: Loader,
    /// By number.
    addresses: Vec<Option<IpAddr>>,
    processes: HashMap<i64, Option<SeenProcess>>,
}

impl Names<'_> {
    fn address(&self, ip: i64) -> Result<IpAddr, StoreError> {
        let address = usize::try_from(ip)
            .ok()
            .and_then(|place| *self.addresses.get(place)?);
        address.ok_or_else(|| StoreError::Corrupt(format!("no address {ip}")))
    }

    /// The process of a version's number; `None` for 0 and where retention took it.
    fn process(&mut self, id: i64) -> Result<&Option<SeenProcess>, StoreError> {
        /// Processes that are remembered; at the limit they are forgotten.
        const LIMIT: usize = 65_536;
        if !self.processes.contains_key(&id) {
            if self.processes.len() >= LIMIT {
                self.processes.clear();
            }
            let found = match id {
                0 => None,
                id => {
                    let sql = format!("{SEEN} WHERE p.id = ?1");
                    let mut statement = self.connection.prepare_cached(&sql)?;
                    let mut rows = statement.query([id])?;
                    match rows.next()? {
                        Some(row) => Some(seen(self.connection, &mut self.loader, row, None)?),
                        None => None,
                    }
                }
            };
            self.processes.insert(id, found);
        }
        Ok(self.processes.entry(id).or_default())
    }
}

const SEEN: &str = "SELECT p.boot, p.pid, p.start, p.name, x.path, x.sha256, p.command_line, p.user_name, p.user_id, \
    p.package_digest, p.started, p.ended FROM process p LEFT JOIN executable x ON x.id = p.executable";

/// A row of [`SEEN`]. `newest`: boot of the newest run, and when it last showed life.
fn seen(
    connection: &Connection,
    loader: &mut Loader,
    row: &rusqlite::Row<'_>,
    newest: Option<(i64, i64)>,
) -> Result<SeenProcess, StoreError> {
    let text = |place: usize| -> Result<Option<Text>, StoreError> {
        Ok(row.get::<_, Option<String>>(place)?.map(Text::from))
    };
    let boot: i64 = row.get(0)?;
    let started: i64 = row.get(10)?;
    let lives = newest.filter(|(newest, _)| *newest == boot).map(|(_, seen)| seen);
    let last = row.get::<_, Option<i64>>(11)?.or(lives).unwrap_or(started);
    let digest = row
        .get::<_, Option<i64>>(9)?
        .map(|code| codes::decode(codes::DIGEST, code))
        .transpose()?;
    let user = loader.text(connection, row.get(7)?)?;
    Ok(SeenProcess {
        identity: (
            boot,
            ProcessKey {
                pid: row.get(1)?,
                start: uncounter(row.get(2)?),
            },
        ),
        name: row.get::<_, String>(3)?.into(),
        path: text(4)?,
        sha256: text(5)?,
        command_line: text(6)?,
        user: match user {
            Some(user) => Some(user),
            None => row.get::<_, Option<u32>>(8)?.map(|id| id.to_string().into()),
        },
        is_packaged: digest == Some(Digest::Agrees),
        started: Time(started),
        last: Time(last.max(started)),
    })
}

/// Every address, by its number.
fn addresses(connection: &Connection) -> Result<Vec<Option<IpAddr>>, StoreError> {
    let mut statement = connection.prepare("SELECT id, raw FROM ip WHERE id BETWEEN 0 AND ?1")?;
    let mut rows = statement.query([MOST_ADDRESSES - 1])?;
    let mut addresses = Vec::new();
    while let Some(row) = rows.next()? {
        let place = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
        if place >= addresses.len() {
            addresses.resize(place + 1, None);
        }
        let raw = row.get_ref(1)?.as_blob().unwrap_or_default();
        addresses[place] = Some(from_raw(raw)?);
    }
    Ok(addresses)
}

/// Transport and side of each shape.
fn shapes(connection: &Connection) -> Result<HashMap<i64, (u8, Side)>, StoreError> {
    let mut statement = connection.prepare("SELECT id, transport, side FROM shape")?;
    let mut rows = statement.query([])?;
    let mut shapes = HashMap::new();
    while let Some(row) = rows.next()? {
        shapes.insert(
            row.get(0)?,
            (row.get(1)?, codes::decode(codes::SIDE, row.get(2)?)?),
        );
    }
    Ok(shapes)
}
