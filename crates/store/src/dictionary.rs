//! Dictionaries: what repeats is kept once, and rows hold its number.
//!
//! Each has a bounded cache in memory. Rows carry the day they were last used, renewed at most once a day, so that
//! retention can tell which are needed no more.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use atalaya_model::process::Ancestor;
use atalaya_model::{Place, Process, ProcessKey, Text, Time};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::codes::counter;
use crate::shape::{COLUMNS, Numbers};
use crate::{StoreError, processes};

/// Entries of one cache; at the limit it is emptied and fills again from the tables.
const LIMIT: usize = 4_096;

/// Versions of one process that the cache tells apart.
const VERSIONS: usize = 4;

/// A row's number and the day it was last used.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: i64,
    day: i64,
}

/// What makes a program: path and script, and the name where no path is known.
type Program = (Option<Text>, Option<Text>, Option<Text>);

/// What one identity was seen as, oldest first.
type Versions<T> = Vec<(T, Entry)>;

/// The caches of every dictionary.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries {
    /// The row of this boot in `boot`.
    pub(crate) boot: i64,
    texts: HashMap<Text, Entry>,
    addresses: HashMap<IpAddr, Entry>,
    /// Addresses whose place is kept.
    placed: HashSet<IpAddr>,
    executables: HashMap<(Option<Text>, Option<Text>), Entry>,
    lineages: HashMap<(Option<i64>, ProcessKey), Versions<Ancestor>>,
    processes: HashMap<ProcessKey, Versions<Arc<Process>>>,
    shapes: HashMap<Numbers, Entry>,
    programs: HashMap<Program, i64>,
    /// The program of each version of a process.
    program_of: HashMap<i64, i64>,
}

/// The day of a time, since the epoch.
pub(crate) fn day(time: Time) -> i64 {
    time.seconds().div_euclid(86_400)
}

/// Room for one more entry.
fn make_room<K: Eq + Hash, V>(cache: &mut HashMap<K, V>) {
    if cache.len() >= LIMIT {
        cache.clear();
    }
}

/// Notes that a row was used on this day.
fn renew(connection: &Connection, table: &str, entry: &mut Entry, day: i64) -> Result<(), StoreError> {
    if day > entry.day {
        let sql = format!("UPDATE {table} SET day = ?2 WHERE id = ?1 AND day < ?2");
        connection.prepare_cached(&sql)?.execute([entry.id, day])?;
        entry.day = day;
    }
    Ok(())
}

impl Dictionaries {
    /// Empty caches, for processes of this row of `boot`.
    pub(crate) fn new(boot: i64) -> Self {
        Self {
            boot,
            ..Self::default()
        }
    }

    /// Forgets what is cached: after a failed transaction, or when rows were deleted.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.boot);
    }

    /// The number of a text.
    pub(crate) fn text(
        &mut self,
        connection: &Connection,
        value: &Text,
        time: Time,
    ) -> Result<i64, StoreError> {
        let day = day(time);
        if let Some(entry) = self.texts.get_mut(value) {
            renew(connection, "text", entry, day)?;
            return Ok(entry.id);
        }
        let found = connection
            .prepare_cached("SELECT id, day FROM text WHERE value = ?1")?
            .query_row([&**value], entry)
            .optional()?;
        let entry = match found {
            Some(mut entry) => {
                renew(connection, "text", &mut entry, day)?;
                entry
            }
            None => {
                connection
                    .prepare_cached("INSERT INTO text (day, value) VALUES (?1, ?2)")?
                    .execute(params![day, &**value])?;
                Entry {
                    id: connection.last_insert_rowid(),
                    day,
                }
            }
        };
        make_room(&mut self.texts);
        self.texts.insert(value.clone(), entry);
        Ok(entry.id)
    }

    /// The number of a text that may be unset.
    pub(crate) fn text_of(
        &mut self,
        connection: &Connection,
        value: Option<&Text>,
        time: Time,
    ) -> Result<Option<i64>, StoreError> {
        value.map(|value| self.text(connection, value, time)).transpose()
    }

    /// The number of an address.
    pub(crate) fn address(
        &mut self,
        connection: &Connection,
        ip: IpAddr,
        time: Time,
    ) -> Result<i64, StoreError> {
        let day = day(time);
        if let Some(entry) = self.addresses.get_mut(&ip) {
            renew(connection, "ip", entry, day)?;
            return Ok(entry.id);
        }
        let raw = raw(ip);
        let found = connection
            .prepare_cached("SELECT id, day FROM ip WHERE raw = ?1")?
            .query_row([&raw], entry)
            .optional()?;
        let entry = match found {
            Some(mut entry) => {
                renew(connection, "ip", &mut entry, day)?;
                entry
            }
            None => {
                connection
                    .prepare_cached("INSERT INTO ip (day, raw, address) VALUES (?1, ?2, ?3)")?
                    .execute(params![day, raw, ip.to_string()])?;
                Entry {
                    id: connection.last_insert_rowid(),
                    day,
                }
            }
        };
        make_room(&mut self.addresses);
        self.addresses.insert(ip, entry);
        Ok(entry.id)
    }

    /// Keeps where an address is, unless that was known before: what was true at first sight stays.
    pub(crate) fn place(
        &mut self,
        connection: &Connection,
        ip: IpAddr,
        place: Option<&Place>,
        time: Time,
    ) -> Result<(), StoreError> {
        let Some(place) = place.filter(|place| !place.is_empty() && !self.placed.contains(&ip)) else {
            return Ok(());
        };
        let id = self.address(connection, ip, time)?;
        let organization = self.text_of(connection, place.organization.as_ref(), time)?;
        connection
            .prepare_cached(
                "UPDATE ip SET country = ?2, asn = ?3, organization = ?4 WHERE id = ?1 \
                 AND country IS NULL AND asn IS NULL AND organization IS NULL",
            )?
            .execute(params![id, place.country.as_deref(), place.asn, organization])?;
        if self.placed.len() >= LIMIT {
            self.placed.clear();
        }
        self.placed.insert(ip);
        Ok(())
    }

    /// The number of the shape of a conversation.
    pub(crate) fn shape(
        &mut self,
        connection: &Connection,
        numbers: &Numbers,
        time: Time,
    ) -> Result<i64, StoreError> {
        let day = day(time);
        if let Some(entry) = self.shapes.get_mut(numbers) {
            renew(connection, "shape", entry, day)?;
            return Ok(entry.id);
        }
        let found = connection
            .prepare_cached(shape_sql().0)?
            .query_row(params_from_iter(numbers), entry)
            .optional()?;
        let entry = match found {
            Some(mut entry) => {
                renew(connection, "shape", &mut entry, day)?;
                entry
            }
            None => {
                connection
                    .prepare_cached(shape_sql().1)?
                    .execute(params_from_iter(numbers.iter().chain([&day])))?;
                Entry {
                    id: connection.last_insert_rowid(),
                    day,
                }
            }
        };
        make_room(&mut self.shapes);
        self.shapes.insert(*numbers, entry);
        Ok(entry.id)
    }

    /// The number of an executable; `None` where neither path nor content is known.
    pub(crate) fn executable(
        &mut self,
        connection: &Connection,
        process: &Process,
        time: Time,
    ) -> Result<Option<i64>, StoreError> {
        if process.executable.is_none() && process.sha256.is_none() {
            return Ok(None);
        }
        let day = day(time);
        let identity = (process.executable.clone(), process.sha256.clone());
        if let Some(cached) = self.executables.get_mut(&identity)
            && cached.day >= day
        {
            return Ok(Some(cached.id));
        }
        let found = connection
            .prepare_cached("SELECT id, day FROM executable WHERE path IS ?1 AND sha256 IS ?2")?
            .query_row(params![identity.0.as_deref(), identity.1.as_deref()], entry)
            .optional()?;
        let entry = match found {
            Some(Entry { id, day: before }) => {
                connection
                    .prepare_cached(
                        "UPDATE executable SET day = max(day, ?2), last_seen = max(last_seen, ?3), \
                         first_seen = min(first_seen, ?3) WHERE id = ?1",
                    )?
                    .execute([id, day, time.0])?;
                Entry {
                    id,
                    day: day.max(before),
                }
            }
            None => {
                connection
                    .prepare_cached(
                        "INSERT INTO executable (day, first_seen, last_seen, path, sha256) \
                         VALUES (?1, ?2, ?2, ?3, ?4)",
                    )?
                    .execute(params![day, time.0, identity.0.as_deref(), identity.1.as_deref()])?;
                Entry {
                    id: connection.last_insert_rowid(),
                    day,
                }
            }
        };
        make_room(&mut self.executables);
        self.executables.insert(identity, entry);
        Ok(Some(entry.id))
    }

    /// The number of the program that a process runs.
    pub(crate) fn program(&mut self, connection: &Connection, process: &Process) -> Result<i64, StoreError> {
        let path = process.executable.clone();
        let name = path.is_none().then(|| process.name.clone());
        let identity = (path, process.script.clone(), name);
        if let Some(id) = self.programs.get(&identity) {
            return Ok(*id);
        }
        let (path, script, name) = &identity;
        let values = params![
            path.as_deref(),
            script.as_deref(),
            name.as_deref(),
            &*process.name
        ];
        let found = connection
            .prepare_cached(
                "SELECT id FROM program WHERE path IS ?1 AND script IS ?2 AND (?3 IS NULL OR name = ?4) AND id > 0",
            )?
            .query_row(values, |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => {
                connection
                    .prepare_cached("INSERT INTO program (path, script, name) VALUES (?1, ?2, ?3)")?
                    .execute(params![path.as_deref(), script.as_deref(), &*process.name])?;
                connection.last_insert_rowid()
            }
        };
        make_room(&mut self.programs);
        self.programs.insert(identity, id);
        Ok(id)
    }

    /// The number of the program of a version of a process; 0 where that is unknown.
    pub(crate) fn program_of(&mut self, connection: &Connection, process: i64) -> Result<i64, StoreError> {
        if let Some(id) = self.program_of.get(&process) {
            return Ok(*id);
        }
        let found: Option<i64> = connection
            .prepare_cached("SELECT program FROM process WHERE id = ?1")?
            .query_row([process], |row| row.get(0))
            .optional()?
            .flatten();
        let id = found.unwrap_or(0);
        make_room(&mut self.program_of);
        self.program_of.insert(process, id);
        Ok(id)
    }

    /// The number of the first node of a parent chain.
    pub(crate) fn lineage(
        &mut self,
        connection: &Connection,
        ancestors: &[Ancestor],
        time: Time,
    ) -> Result<Option<i64>, StoreError> {
        let day = day(time);
        let mut next = None;
        for ancestor in ancestors.iter().rev() {
            let place = (next, ancestor.key);
            let cached = self
                .lineages
                .get_mut(&place)
                .and_then(|nodes| nodes.iter_mut().find(|(known, _)| known == ancestor));
            if let Some((_, entry)) = cached {
                renew(connection, "lineage", entry, day)?;
                next = Some(entry.id);
                continue;
            }
            let (pid, start) = (ancestor.key.pid, counter(ancestor.key.start));
            let (name, executable) = (&*ancestor.name, ancestor.executable.as_deref());
            let found = connection
                .prepare_cached(
                    "SELECT id, day FROM lineage WHERE pid = ?1 AND start = ?2 AND next IS ?3 \
                     AND name = ?4 AND executable IS ?5",
                )?
                .query_row(params![pid, start, next, name, executable], entry)
                .optional()?;
            let entry = match found {
                Some(mut entry) => {
                    renew(connection, "lineage", &mut entry, day)?;
                    entry
                }
                None => {
                    connection
                        .prepare_cached(
                            "INSERT INTO lineage (pid, start, next, name, executable, day) \
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        )?
                        .execute(params![pid, start, next, name, executable, day])?;
                    Entry {
                        id: connection.last_insert_rowid(),
                        day,
                    }
                }
            };
            make_room(&mut self.lineages);
            let nodes = self.lineages.entry(place).or_default();
            if nodes.len() >= VERSIONS {
                nodes.remove(0);
            }
            nodes.push((ancestor.clone(), entry));
            next = Some(entry.id);
        }
        Ok(next)
    }

    /// The number of this version of a process; a version that was not seen before becomes the newest.
    pub(crate) fn process(
        &mut self,
        connection: &Connection,
        process: &Arc<Process>,
        time: Time,
    ) -> Result<i64, StoreError> {
        let day = day(time);
        if !self.processes.contains_key(&process.key) {
            let versions = processes::versions(connection, self.boot, process.key, VERSIONS)?
                .into_iter()
                .map(|(id, day, process)| (process, Entry { id, day }))
                .collect();
            make_room(&mut self.processes);
            self.processes.insert(process.key, versions);
        }
        let cached = self
            .processes
            .get_mut(&process.key)
            .and_then(|versions| versions.iter_mut().find(|(known, _)| same(known, process)));
        if let Some((known, entry)) = cached {
            if day > entry.day {
                renew(connection, "process", entry, day)?;
                // What it points at is in use as well.
                let (id, process) = (entry.id, known.clone());
                processes::renew(connection, self, id, &process, time)?;
                return Ok(id);
            }
            *known = process.clone(); // the next comparison is one of pointers
            return Ok(entry.id);
        }
        let id = processes::insert(connection, self, process, time, day)?;
        let versions = self.processes.entry(process.key).or_default();
        if versions.len() >= VERSIONS {
            versions.remove(0);
        }
        versions.push((process.clone(), Entry { id, day }));
        Ok(id)
    }

    /// The number of a process that may be unknown.
    pub(crate) fn process_of(
        &mut self,
        connection: &Connection,
        process: Option<&Arc<Process>>,
        time: Time,
    ) -> Result<Option<i64>, StoreError> {
        process
            .map(|process| self.process(connection, process, time))
            .transpose()
    }
}

/// The statements that find and that insert a shape.
fn shape_sql() -> (&'static str, &'static str) {
    static SQL: LazyLock<(String, String)> = LazyLock::new(|| {
        let tests: Vec<_> = (1..)
            .zip(COLUMNS)
            .map(|(place, column)| format!("{column} = ?{place}"))
            .collect();
        let places: Vec<_> = (1..=COLUMNS.len() + 1).map(|place| format!("?{place}")).collect();
        (
            format!("SELECT id, day FROM shape WHERE {}", tests.join(" AND ")),
            format!(
                "INSERT INTO shape ({}, day) VALUES ({})",
                COLUMNS.join(", "),
                places.join(", ")
            ),
        )
    });
    (&SQL.0, &SQL.1)
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        day: row.get(1)?,
    })
}

/// The same version? The end of a process and its exit code belong to its identity, not to a version.
fn same(known: &Arc<Process>, process: &Arc<Process>) -> bool {
    if Arc::ptr_eq(known, process) || known == process {
        return true;
    }
    known.ended != process.ended && {
        let known = Process {
            ended: process.ended,
            exit_code: process.exit_code,
            ..Process::clone(known)
        };
        known == **process
    }
}

/// An address as 4 or 16 bytes in network order: blobs of one length compare as addresses do.
pub(crate) fn raw(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The address of such bytes.
pub(crate) fn from_raw(bytes: &[u8]) -> Result<IpAddr, StoreError> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        Ok(octets.into())
    } else if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
        Ok(octets.into())
    } else {
        Err(StoreError::Corrupt(format!(
            "an address of {} bytes",
            bytes.len()
        )))
    }
}
