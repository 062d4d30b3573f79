//! Conversations from their rows.

use atalaya_model::connection::Traffic;
use atalaya_model::{Connection as Conversation, Endpoint, Places, ProcessKey, Side, Time};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::codes::uncounter;
use crate::extra::Extra;
use crate::load::Loader;
use crate::shape::{Condition, OpeningProcess, OpeningSeen, OpeningTraffic};
use crate::{StoreError, identity, wire};

/// The columns that [`read`] wants, in its order.
pub(crate) const ROW: &str = "id, shape, process, local_ip, local_port, remote_ip, remote_port, name, started, span, \
    sent_bytes, received_bytes, sent_packets, received_packets, round_trip, retransmits, cookie, extra";

/// Which of a row's two moments is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// How it was when it opened.
    Opened,
    /// How it was when last written.
    Last,
    /// The same, its process with all that is known of it now.
    Now,
}

impl Moment {
    /// Up to when the end of a process is told, for a row of this time.
    pub(crate) const fn known_at(self, time: Time) -> Time {
        match self {
            Self::Opened | Self::Last => time,
            Self::Now => Time(i64::MAX),
        }
    }
}

/// What differs between the two moments of a row.
struct Then {
    time: Time,
    seen: Time,
    ended: Option<Time>,
    traffic: Option<Traffic>,
    condition: Condition,
    process: Option<i64>,
    shared_with: Box<[ProcessKey]>,
}

/// The time of a moment, the phase of the row, and the conversation as it was then, from its row ([`ROW`]).
pub(crate) fn read(
    connection: &Connection,
    loader: &mut Loader,
    row: &Row<'_>,
    moment: Moment,
) -> Result<(Time, i64, Conversation), StoreError> {
    let id: i64 = row.get(0)?;
    let shape = loader.shape(connection, row.get(1)?)?;
    let process: Option<i64> = row.get(2)?;
    let base = identity::time(id);
    let after = |time: Time, offset: i64| Time(time.0.saturating_add(offset));
    let extra = Extra::decode(row.get_ref(17)?)?;
    let traffic = match row.get::<_, Option<i64>>(10)? {
        Some(sent_bytes) => {
            let count = |column| {
                row.get::<_, Option<i64>>(column)
                    .map(|n| uncounter(n.unwrap_or(0)))
            };
            Some(Traffic {
                sent_bytes: uncounter(sent_bytes),
                received_bytes: count(11)?,
                sent_packets: count(12)?,
                received_packets: count(13)?,
                round_trip: count(14)? as u32,
                retransmits: count(15)? as u32,
            })
        }
        None => None,
    };
    let opened = after(base, extra.late);
    let changed = row.get::<_, Option<i64>>(9)?.map(|span| after(base, span));
    let last = Then {
        time: changed.unwrap_or(opened),
        seen: after(changed.unwrap_or(opened), extra.seen),
        ended: match (extra.ended, changed) {
            (Some(offset), Some(time)) => Some(after(time, offset)),
            (None, Some(time)) if shape.phase == 2 && !extra.endless => Some(time),
            _ => None,
        },
        traffic,
        condition: shape.last,
        process,
        shared_with: extra.shared_with,
    };
    let is_last = moment != Moment::Opened || changed.is_none();
    let then = if is_last {
        last
    } else {
        Then {
            time: opened,
            seen: match shape.opening_seen {
                OpeningSeen::AtOpening => opened,
                OpeningSeen::AsLast => last.seen,
                OpeningSeen::InExtra => after(opened, extra.opening_seen.unwrap_or(0)),
            },
            ended: None,
            traffic: match shape.opening_traffic {
                OpeningTraffic::NotCounted => None,
                OpeningTraffic::Nothing => Some(Traffic::default()),
                OpeningTraffic::AsLast => traffic,
                OpeningTraffic::InExtra => extra.opening_traffic,
            },
            condition: shape.opening,
            process: match shape.opening_process {
                OpeningProcess::AsLast => process,
                OpeningProcess::Unknown => None,
                OpeningProcess::InExtra => extra.opening_process,
            },
            shared_with: extra.opening_shared_with.unwrap_or(last.shared_with),
        }
    };
    let mut end = |ip: usize, port: usize| {
        let (ip, place) = loader.placed(connection, row.get(ip)?)?;
        let port = row.get::<_, i16>(port)?.cast_unsigned();
        Ok::<_, StoreError>((Endpoint { ip, port }, place))
    };
    let (local, remote) = (end(3, 4)?, end(5, 6)?);
    let ((source, source_place), (destination, destination_place)) = match shape.side {
        Side::Source => (local, remote),
        Side::Destination => (remote, local),
    };
    let conversation = Conversation {
        id: id.cast_unsigned(),
        started: after(base, row.get(8)?),
        started_before: shape.started_before,
        seen: then.seen,
        ended: then.ended,
        transport: shape.transport,
        source,
        destination,
        side: shape.side,
        direction: shape.direction,
        scope: shape.scope,
        state: then.condition.state,
        network_namespace: shape.network_namespace,
        cookie: uncounter(row.get(16)?),
        user_id: shape.user_id,
        cgroup_id: shape.cgroup_id,
        traffic: then.traffic,
        outcome: then.condition.outcome,
        name: loader.text(connection, row.get(7)?)?,
        name_source: shape.name_source,
        service: loader.text(connection, shape.service)?,
        process: loader.process_at(connection, then.process, moment.known_at(then.time))?,
        attribution: then.condition.attribution,
        shared_with: then.shared_with,
        // Only the last of it is kept: of the opening it would tell what came later.
        wire: if is_last {
            wire::read(connection, id)?
        } else {
            None
        },
        places: Places {
            source: source_place,
            destination: destination_place,
        },
    };
    Ok((then.time, shape.phase, conversation))
}

/// What a row points at in the dictionaries.
#[derive(Debug, Default)]
pub(crate) struct References {
    pub(crate) shape: Option<i64>,
    pub(crate) processes: Vec<i64>,
    pub(crate) addresses: Vec<i64>,
    pub(crate) texts: Vec<i64>,
}

/// What the row of a conversation points at; nothing where there is no such row.
pub(crate) fn references(connection: &Connection, id: i64) -> Result<References, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT c.shape, c.process, c.extra, c.local_ip, c.remote_ip, c.name, nullif(s.service, 0) \
             FROM connection c LEFT JOIN shape s ON s.id = c.shape WHERE c.id = ?1",
        )?
        .query_row([id], |row| {
            let opening = Extra::decode(row.get_ref(2)?).unwrap_or_default().opening_process;
            let texts: [Option<i64>; 2] = [row.get(5)?, row.get(6)?];
            Ok(References {
                shape: row.get(0)?,
                processes: row.get::<_, Option<i64>>(1)?.into_iter().chain(opening).collect(),
                addresses: vec![row.get(3)?, row.get(4)?],
                texts: texts.into_iter().flatten().collect(),
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}
