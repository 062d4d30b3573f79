//! Ids in time order: milliseconds since the epoch << 20 | microseconds within the millisecond << 10 | sequence.

use std::collections::HashMap;

use atalaya_model::Time;
use rusqlite::{Connection, OptionalExtension};

use crate::StoreError;

/// Rows of one microsecond that get ids of their own time; later ones get the next free ids and note how late they are.
const SEQUENCE: i64 = 1 << 10;

/// The first id of a time. Times before 1970 or after 2248 count as these limits.
pub(crate) fn first(time: Time) -> i64 {
    let micros = time.0.clamp(0, (1 << 43) * 1_000 - 1);
    (micros / 1_000) << 20 | (micros % 1_000) << 10
}

/// The time in an id.
pub(crate) fn time(id: i64) -> Time {
    Time((id >> 20) * 1_000 + ((id >> 10) & (SEQUENCE - 1)))
}

/// SQL for the time in the id of a row.
pub(crate) fn base_sql(table: &str) -> String {
    format!("(({table}.id >> 20) * 1000 + (({table}.id >> 10) & 1023))")
}

/// SQL for the time of the last event of a conversation, as the index on it says it; NULL where none came since it opened.
pub(crate) fn changed_sql(table: &str) -> String {
    format!("(({table}.id >> 20) * 1000 + (({table}.id >> 10) & 1023) + {table}.span)")
}

/// SQL for the time of an event from the id and lateness of its row.
pub(crate) fn time_sql(table: &str) -> String {
    format!("(({table}.id >> 20) * 1000 + (({table}.id >> 10) & 1023) + {table}.late)")
}

/// The tables whose ids tell time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    Connection,
    ProcessEvent,
    Listener,
    Gap,
    TierChange,
    Dns,
    Tls,
    Http,
    Protocol,
}

impl Table {
    pub(crate) const ALL: [Self; 9] = [
        Self::Dns,
        Self::Tls,
        Self::Http,
        Self::Protocol,
        Self::Connection,
        Self::ProcessEvent,
        Self::Listener,
        Self::Gap,
        Self::TierChange,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::ProcessEvent => "process_event",
            Self::Listener => "listener",
            Self::Gap => "gap",
            Self::TierChange => "tier_change",
            Self::Dns => "dns_exchange",
            Self::Tls => "tls_handshake",
            Self::Http => "http_request",
            Self::Protocol => "protocol_message",
        }
    }
}

/// Gives ids. Cloned before a transaction, so that a failed one gives its ids back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identities {
    last: HashMap<Table, Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    time: Time,
    id: i64,
    /// The same for rows that came later than rows of a later time.
    late: Option<(Time, i64)>,
}

impl Identities {
    /// A free id for a row of this time, and how late it is against the time in the id.
    pub(crate) fn next(
        &mut self,
        connection: &Connection,
        table: Table,
        event: Time,
    ) -> Result<(i64, i64), StoreError> {
        let wanted = first(event);
        let last = match self.last.get_mut(&table) {
            Some(last) => last,
            None => {
                let id = newest(connection, table, i64::MAX)?;
                let last = id.map_or(
                    Last {
                        time: Time(i64::MIN),
                        id: -1,
                        late: None,
                    },
                    |id| Last {
                        time: time(id),
                        id,
                        late: None,
                    },
                );
                self.last.entry(table).or_insert(last)
            }
        };
        let id = if event >= last.time {
            last.time = event;
            last.id = wanted.max(last.id + 1);
            last.id
        } else {
            let mut id = match last.late {
                Some((time, id)) if time == event => id + 1,
                _ => wanted,
            };
            if exists(connection, table, id)? {
                // After what else has this microsecond, and then wherever there is room.
                id = newest(connection, table, id + SEQUENCE)?.map_or(id, |id| id + 1);
                while exists(connection, table, id)? {
                    id += 1;
                }
            }
            last.late = Some((event, id));
            // A crowded microsecond may push a late row beyond the newest: the next must go after it.
            last.id = last.id.max(id);
            id
        };
        Ok((id, event.0.saturating_sub(time(id).0)))
    }
}

/// The highest id below `limit`.
fn newest(connection: &Connection, table: Table, limit: i64) -> Result<Option<i64>, StoreError> {
    let sql = format!("SELECT max(id) FROM {} WHERE id < ?1", table.name());
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([limit], |row| row.get(0))?)
}

fn exists(connection: &Connection, table: Table, id: i64) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM {} WHERE id = ?1", table.name());
    let found = connection
        .prepare_cached(&sql)?
        .query_row([id], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE gap (id INTEGER PRIMARY KEY, late INTEGER)")
            .unwrap();
        connection
    }

    fn insert(connection: &Connection, identities: &mut Identities, event: Time) -> i64 {
        let (id, late) = identities.next(connection, Table::Gap, event).unwrap();
        connection
            .execute("INSERT INTO gap VALUES (?1, ?2)", [id, late])
            .unwrap();
        assert_eq!(time(id).0 + late, event.0);
        id
    }

    #[test]
    fn ids_are_in_time_order_and_survive_a_restart() {
        let connection = database();
        let mut identities = Identities::default();
        let now = Time(1_763_674_023_123_456);
        let first_id = insert(&connection, &mut identities, now);
        assert_eq!(first_id >> 20, now.milliseconds());
        let mut previous = first_id;
        for _ in 0..3_000 {
            let id = insert(&connection, &mut identities, now);
            assert!(id > previous);
            previous = id;
        }
        let mut identities = Identities::default();
        let id = insert(&connection, &mut identities, now);
        assert!(id > previous || !(first_id..=previous).contains(&id));
        assert!(insert(&connection, &mut identities, Time(now.0 + 1_000)) > previous);
    }

    #[test]
    fn late_rows_keep_their_time() {
        let connection = database();
        let mut identities = Identities::default();
        insert(&connection, &mut identities, Time(2_000_000));
        let late = insert(&connection, &mut identities, Time(1_000_000));
        assert_eq!(time(late), Time(1_000_000));
        let second = insert(&connection, &mut identities, Time(1_000_000));
        assert_eq!(second, late + 1);
        for _ in 0..2_000 {
            insert(&connection, &mut identities, Time(1_000_000));
        }
        assert_eq!(
            time(insert(&connection, &mut identities, Time(2_000_000))),
            Time(2_000_000)
        );
    }
}
