//! Rows of conversations: one when they open, completed when they close, at most once a minute between. What opens and
//! closes within one batch is one row at once.

mod read;

use atalaya_model::connection::Traffic;
use atalaya_model::{Connection as Conversation, ProcessKey, Time};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Statement};

use crate::StoreError;
use crate::codes::counter;
use crate::dictionary::Dictionaries;
use crate::extra::Extra;
use crate::identity;
use crate::shape::{Condition, OpeningProcess, OpeningSeen, OpeningTraffic, Shape};
use crate::wire;

pub(crate) use read::{Moment, ROW, read, references};

/// Microseconds from its opening after which a conversation is found by an index on its last event.
pub(crate) const LONG: i64 = 3_600_000_000;

/// Those that this index holds: those, and the ones whose last event was before the time in the id.
pub(crate) const LONG_SQL: &str = "(c.span > 3600000000 OR c.span < 0)";

/// What happened last to a conversation or listener since it appeared (phase 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Updated = 1,
    Closed = 2,
}

/// A conversation in the table that still lives: what of its opening is needed to complete its row.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) row: i64,
    /// Whose it is.
    pub(crate) process: Option<i64>,
    pub(crate) ends: Ends,
    opening: Opening,
}

/// How a conversation was when it opened, as far as that may change.
#[derive(Clone, Debug)]
struct Opening {
    time: Time,
    seen: Time,
    traffic: Option<Traffic>,
    condition: Condition,
    process: Option<i64>,
    shared_with: Box<[ProcessKey]>,
}

/// Numbers of the addresses, and the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    local_ip: i64,
    local_port: u16,
    pub(crate) remote_ip: i64,
    remote_port: u16,
}

/// A row but for its id and ends.
struct Values {
    shape: i64,
    process: Option<i64>,
    name: Option<i64>,
    started: i64,
    span: Option<i64>,
    traffic: Option<Traffic>,
    cookie: i64,
    extra: Sql,
}

impl Ends {
    /// As they are in the row.
    fn numbers(&self) -> [i64; 4] {
        let port = |port: u16| i64::from(port.cast_signed());
        [
            self.local_ip,
            port(self.local_port),
            self.remote_ip,
            port(self.remote_port),
        ]
    }
}

impl Values {
    /// Binds the id and all of it, in the order of the fields: the first 14 parameters of a statement.
    fn bind(&self, statement: &mut Statement<'_>, row: i64) -> rusqlite::Result<()> {
        let count = |get: fn(&Traffic) -> u64| self.traffic.as_ref().map(|traffic| counter(get(traffic)));
        let numbers = [
            Some(row),
            Some(self.shape),
            self.process,
            self.name,
            Some(self.started),
            self.span,
            count(|t| t.sent_bytes),
            count(|t| t.received_bytes),
            count(|t| t.sent_packets),
            count(|t| t.received_packets),
            count(|t| t.round_trip.into()),
            count(|t| t.retransmits.into()),
            Some(self.cookie),
        ];
        for (place, number) in (1..).zip(numbers) {
            statement.raw_bind_parameter(place, number)?;
        }
        statement.raw_bind_parameter(14, &self.extra)
    }
}

/// What happened to a conversation: that it opened, and perhaps what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life<'a> {
    pub(crate) opened: (Time, &'a Conversation),
    pub(crate) last: Option<(Phase, Time, &'a Conversation)>,
}

/// Inserts a conversation.
pub(crate) fn insert(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    run: i64,
    row: i64,
    life: Life<'_>,
) -> Result<Kept, StoreError> {
    let (time, opened) = life.opened;
    let (_, changed, it) = life.last.unwrap_or((Phase::Updated, time, opened));
    let mut kept = Kept {
        row,
        process: None,
        opening: Opening {
            time,
            seen: opened.seen,
            traffic: opened.traffic,
            condition: Condition::of(opened),
            process: dictionaries.process_of(connection, opened.process.as_ref(), time)?,
            shared_with: opened.shared_with.clone(),
        },
        ends: ends(connection, dictionaries, changed, it)?,
    };
    let last = life.last.map(|(phase, time, _)| (phase, time));
    let values = values(connection, dictionaries, run, &kept, last, it)?;
    kept.process = values.process;
    let mut statement = connection.prepare_cached(
        "INSERT INTO connection (id, shape, process, name, started, span, sent_bytes, received_bytes, sent_packets, \
         received_packets, round_trip, retransmits, cookie, extra, local_ip, local_port, remote_ip, remote_port) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    values.bind(&mut statement, row)?;
    for (place, end) in (15..).zip(kept.ends.numbers()) {
        statement.raw_bind_parameter(place, end)?;
    }
    statement.raw_execute()?;
    wire::write(connection, row, it)?;
    Ok(kept)
}

/// Writes what is known of a conversation at `time`; false where the row is gone.
pub(crate) fn update(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    run: i64,
    kept: &mut Kept,
    (phase, time): (Phase, Time),
    it: &Conversation,
) -> Result<bool, StoreError> {
    let ends = ends(connection, dictionaries, time, it)?;
    if ends != kept.ends {
        // Hardly ever, and what is indexed costs to be set.
        let [local_ip, local_port, remote_ip, remote_port] = ends.numbers();
        connection
            .prepare_cached(
                "UPDATE connection SET local_ip = ?2, local_port = ?3, remote_ip = ?4, remote_port = ?5 WHERE id = ?1",
            )?
            .execute([kept.row, local_ip, local_port, remote_ip, remote_port])?;
        kept.ends = ends;
    }
    let values = values(connection, dictionaries, run, kept, Some((phase, time)), it)?;
    kept.process = values.process;
    let mut statement = connection.prepare_cached(
        "UPDATE connection SET shape = ?2, process = ?3, name = ?4, started = ?5, span = ?6, sent_bytes = ?7, \
         received_bytes = ?8, sent_packets = ?9, received_packets = ?10, round_trip = ?11, retransmits = ?12, \
         cookie = ?13, extra = ?14 WHERE id = ?1",
    )?;
    values.bind(&mut statement, kept.row)?;
    let changed = statement.raw_execute()?;
    if changed > 0 {
        wire::write(connection, kept.row, it)?;
    }
    Ok(changed > 0)
}

fn ends(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    time: Time,
    it: &Conversation,
) -> Result<Ends, StoreError> {
    let (local, remote) = (it.local(), it.remote());
    for (ip, place) in [
        (it.source.ip, &it.places.source),
        (it.destination.ip, &it.places.destination),
    ] {
        dictionaries.place(connection, ip, place.as_deref(), time)?;
    }
    Ok(Ends {
        local_ip: dictionaries.address(connection, local.ip, time)?,
        local_port: local.port,
        remote_ip: dictionaries.address(connection, remote.ip, time)?,
        remote_port: remote.port,
    })
}

/// The row of a conversation that is as `it` since the last event of it, if there was one since it opened.
fn values(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    run: i64,
    kept: &Kept,
    last: Option<(Phase, Time)>,
    it: &Conversation,
) -> Result<Values, StoreError> {
    let opening = &kept.opening;
    let base = identity::time(kept.row);
    let offset = |time: Time, from: Time| time.0.saturating_sub(from.0);
    let time = last.map_or(opening.time, |(_, time)| time);
    let process = dictionaries.process_of(connection, it.process.as_ref(), time)?;
    let mut extra = Extra {
        late: offset(opening.time, base),
        seen: offset(it.seen, time),
        shared_with: it.shared_with.clone(),
        ..Extra::default()
    };
    match (last, it.ended) {
        (Some((Phase::Closed, _)), None) => extra.endless = true,
        (Some((Phase::Closed, _)), Some(ended)) if ended == time => {}
        (Some(_), Some(ended)) => extra.ended = Some(offset(ended, time)),
        _ => {}
    }
    let (mut opening_traffic, mut opening_seen, mut opening_process) = (
        OpeningTraffic::AsLast,
        OpeningSeen::AsLast,
        OpeningProcess::AsLast,
    );
    if last.is_some() {
        opening_traffic = match opening.traffic {
            None => OpeningTraffic::NotCounted,
            Some(traffic) if traffic == Traffic::default() => OpeningTraffic::Nothing,
            traffic if traffic == it.traffic => OpeningTraffic::AsLast,
            traffic => {
                extra.opening_traffic = traffic;
                OpeningTraffic::InExtra
            }
        };
        opening_seen = if opening.seen == opening.time {
            OpeningSeen::AtOpening
        } else if opening.seen == it.seen {
            OpeningSeen::AsLast
        } else {
            extra.opening_seen = Some(offset(opening.seen, opening.time));
            OpeningSeen::InExtra
        };
        opening_process = if opening.process == process {
            OpeningProcess::AsLast
        } else if opening.process.is_none() {
            OpeningProcess::Unknown
        } else {
            extra.opening_process = opening.process;
            OpeningProcess::InExtra
        };
        if opening.shared_with != it.shared_with {
            extra.opening_shared_with = Some(opening.shared_with.clone());
        }
    }
    let shape = Shape {
        run,
        transport: it.transport,
        side: it.side,
        direction: it.direction,
        scope: it.scope,
        network_namespace: it.network_namespace,
        user_id: it.user_id,
        cgroup_id: it.cgroup_id,
        service: dictionaries.text_of(connection, it.service.as_ref(), time)?,
        started_before: it.started_before,
        name_source: it.name_source,
        phase: last.map_or(0, |(phase, _)| phase as i64),
        last: Condition::of(it),
        opening: opening.condition,
        opening_traffic,
        opening_seen,
        opening_process,
    };
    let is_closed = last.is_some_and(|(phase, _)| phase == Phase::Closed);
    Ok(Values {
        shape: dictionaries.shape(connection, &shape.numbers(), time)?,
        process,
        name: dictionaries.text_of(connection, it.name.as_ref(), time)?,
        started: offset(it.started, base),
        span: last.map(|(_, time)| offset(time, base)),
        traffic: it.traffic,
        cookie: counter(it.cookie),
        extra: extra.encode(!is_closed),
    })
}

/// Process keys as bytes: pid and start, little-endian, one after the other; `None` where there are none.
pub(crate) fn keys(keys: &[ProcessKey]) -> Option<Vec<u8>> {
    let bytes = keys
        .iter()
        .flat_map(|key| key.pid.to_le_bytes().into_iter().chain(key.start.to_le_bytes()));
    (!keys.is_empty()).then(|| bytes.collect())
}

/// The process keys of such bytes.
pub(crate) fn from_keys(bytes: Option<Vec<u8>>) -> Box<[ProcessKey]> {
    let (entries, _) = bytes.as_deref().unwrap_or_default().as_chunks::<12>();
    entries
        .iter()
        .map(|[a, b, c, d, start @ ..]| ProcessKey {
            pid: u32::from_le_bytes([*a, *b, *c, *d]),
            start: u64::from_le_bytes(*start),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_both_ways() {
        let list = [
            ProcessKey { pid: 1, start: 2 },
            ProcessKey {
                pid: u32::MAX,
                start: u64::MAX,
            },
        ];
        assert_eq!(*from_keys(keys(&list)), list);
        assert_eq!(keys(&[]), None);
        assert!(from_keys(None).is_empty());
    }
}
