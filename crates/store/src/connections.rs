//! Rows of conversations: inserted when they open, completed when they close, at most once a minute between.

use std::net::IpAddr;
use std::sync::LazyLock;

use atalaya_model::connection::Traffic;
use atalaya_model::{Connection as Conversation, Endpoint, ProcessKey, Time, Transport};
use rusqlite::{Connection, Row, named_params};

use crate::StoreError;
use crate::codes::{self, counter, decode, encode, uncounter};
use crate::dictionary::Dictionaries;
use crate::identity;
use crate::load::Loader;
use crate::wire;

/// What happened last to a conversation or listener since it appeared (phase 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Updated = 1,
    Closed = 2,
}

/// The columns that an opening and every later state write, in the order in which [`State::bind`] binds them; `true` for
/// those of which both are kept, the later one under `last_`.
const COLUMNS: [(&str, bool); 28] = [
    ("transport", false),
    ("source_ip", false),
    ("source_port", false),
    ("destination_ip", false),
    ("destination_port", false),
    ("side", false),
    ("direction", false),
    ("scope", false),
    ("network_namespace", false),
    ("cookie", false),
    ("user_id", false),
    ("cgroup_id", false),
    ("service", false),
    ("name", false),
    ("name_source", false),
    ("community", false),
    ("seen", true),
    ("state", true),
    ("sent_bytes", true),
    ("received_bytes", true),
    ("sent_packets", true),
    ("received_packets", true),
    ("round_trip", true),
    ("retransmits", true),
    ("outcome", true),
    ("process", true),
    ("attribution", true),
    ("shared_with", true),
];

fn insert_sql() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let columns = COLUMNS.map(|(column, _)| column).join(", ");
        let places: Vec<_> = (1..=COLUMNS.len() + 5).map(|place| format!("?{place}")).collect();
        let places = places.join(", ");
        format!(
            "INSERT INTO connection ({columns}, id, late, run, started, started_before, phase) VALUES ({places}, 0)"
        )
    });
    &SQL
}

fn update_sql() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let last = |kept: bool| if kept { "last_" } else { "" };
        let columns = COLUMNS.map(|(column, both)| format!("{}{column}", last(both)));
        let columns = columns.iter().map(String::as_str);
        let columns = columns.chain(["phase", "changed", "ended"]).enumerate();
        let sets: Vec<_> = columns
            .map(|(place, column)| format!("{column} = ?{}", place + 1))
            .collect();
        let id = sets.len() + 1;
        format!("UPDATE connection SET {} WHERE id = ?{id}", sets.join(", "))
    });
    &SQL
}

/// Inserts a conversation that opened at `time`.
pub(crate) fn insert(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    run: i64,
    (id, late): (i64, i64),
    time: Time,
    conversation: &Conversation,
) -> Result<(), StoreError> {
    let state = State::of(connection, dictionaries, time, conversation)?;
    let mut statement = connection.prepare_cached(insert_sql())?;
    let mut places = Places::of(&mut statement);
    state.bind(&mut places)?;
    places.bind(id)?;
    places.bind(late)?;
    places.bind(run)?;
    places.bind(conversation.started.0.saturating_sub(time.0))?;
    places.bind(conversation.started_before)?;
    statement.raw_execute()?;
    wire::write(connection, id, conversation)
}

/// Writes what is known of a conversation at `time`; false where the row is gone.
pub(crate) fn update(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    id: i64,
    phase: Phase,
    time: Time,
    conversation: &Conversation,
) -> Result<bool, StoreError> {
    let state = State::of(connection, dictionaries, time, conversation)?;
    let mut statement = connection.prepare_cached(update_sql())?;
    let mut places = Places::of(&mut statement);
    state.bind(&mut places)?;
    places.bind(phase as i64)?;
    places.bind(time.0)?;
    places.bind(conversation.ended.map(|ended| ended.0.saturating_sub(time.0)))?;
    places.bind(id)?;
    let found = statement.raw_execute()? > 0;
    if found {
        wire::write(connection, id, conversation)?;
    }
    Ok(found)
}

/// Binds values to a statement's parameters, one after the other.
struct Places<'a, 'b> {
    statement: &'a mut rusqlite::Statement<'b>,
    last: usize,
}

impl<'a, 'b> Places<'a, 'b> {
    fn of(statement: &'a mut rusqlite::Statement<'b>) -> Self {
        Self { statement, last: 0 }
    }

    fn bind(&mut self, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
        self.last += 1;
        Ok(self.statement.raw_bind_parameter(self.last, value)?)
    }
}

/// A conversation at a time, with its numbers in the dictionaries.
struct State<'a> {
    conversation: &'a Conversation,
    time: Time,
    source_ip: i64,
    destination_ip: i64,
    service: Option<i64>,
    name: Option<i64>,
    process: Option<i64>,
    community: [u8; 20],
}

impl<'a> State<'a> {
    fn of(
        connection: &Connection,
        dictionaries: &mut Dictionaries,
        time: Time,
        conversation: &'a Conversation,
    ) -> Result<Self, StoreError> {
        let id = atalaya_model::community_id::community_id(
            conversation.transport,
            conversation.source,
            conversation.destination,
        );
        Ok(Self {
            conversation,
            time,
            source_ip: dictionaries.address(connection, conversation.source.ip, time)?,
            destination_ip: dictionaries.address(connection, conversation.destination.ip, time)?,
            service: dictionaries.text_of(connection, conversation.service.as_ref(), time)?,
            name: dictionaries.text_of(connection, conversation.name.as_ref(), time)?,
            process: dictionaries.process_of(connection, conversation.process.as_ref(), time)?,
            community: digest(&id),
        })
    }

    /// Binds the first parameters, in the order of [`COLUMNS`].
    fn bind(&self, places: &mut Places<'_, '_>) -> Result<(), StoreError> {
        let it = self.conversation;
        let count = |get: fn(&Traffic) -> u64| it.traffic.as_ref().map(|traffic| counter(get(traffic)));
        places.bind(it.transport.number())?;
        places.bind(self.source_ip)?;
        places.bind(it.source.port)?;
        places.bind(self.destination_ip)?;
        places.bind(it.destination.port)?;
        places.bind(encode(codes::SIDE, &it.side))?;
        places.bind(encode(codes::DIRECTION, &it.direction))?;
        places.bind(encode(codes::SCOPE, &it.scope))?;
        places.bind(it.network_namespace)?;
        places.bind(counter(it.cookie))?;
        places.bind(it.user_id)?;
        places.bind(it.cgroup_id.map(counter))?;
        places.bind(self.service)?;
        places.bind(self.name)?;
        places.bind(it.name_source.map(|source| encode(codes::NAME_SOURCE, &source)))?;
        places.bind(self.community)?;
        places.bind(it.seen.0.saturating_sub(self.time.0))?;
        places.bind(encode(codes::STATE, &it.state))?;
        places.bind(count(|t| t.sent_bytes))?;
        places.bind(count(|t| t.received_bytes))?;
        places.bind(count(|t| t.sent_packets))?;
        places.bind(count(|t| t.received_packets))?;
        places.bind(count(|t| t.round_trip.into()))?;
        places.bind(count(|t| t.retransmits.into()))?;
        places.bind(codes::encode_outcome(it.outcome))?;
        places.bind(self.process)?;
        places.bind(codes::encode_attribution(it.attribution))?;
        places.bind(keys(&it.shared_with))
    }
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

/// The 20 bytes of a Community ID (`1:` and their base64).
fn digest(community_id: &str) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (mut bits, mut count, mut place) = (0_u32, 0, 0);
    for character in community_id.bytes().skip(2) {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 && place < bytes.len() {
            count -= 8;
            bytes[place] = (bits >> count) as u8;
            place += 1;
        }
    }
    bytes
}

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

/// The columns of the table in its own order, the same in every database: made by the migrations, one after the other.
const ROW: [&str; 48] = [
    "id",
    "late",
    "run",
    "phase",
    "started",
    "started_before",
    "transport",
    "source_ip",
    "source_port",
    "destination_ip",
    "destination_port",
    "side",
    "direction",
    "scope",
    "network_namespace",
    "cookie",
    "user_id",
    "cgroup_id",
    "service",
    "community",
    "seen",
    "state",
    "sent_bytes",
    "received_bytes",
    "sent_packets",
    "received_packets",
    "round_trip",
    "retransmits",
    "process",
    "attribution",
    "shared_with",
    "changed",
    "ended",
    "last_seen",
    "last_state",
    "last_sent_bytes",
    "last_received_bytes",
    "last_sent_packets",
    "last_received_packets",
    "last_round_trip",
    "last_retransmits",
    "last_process",
    "last_attribution",
    "last_shared_with",
    "outcome",
    "last_outcome",
    "name",
    "name_source",
];

/// The place of a column, found by the compiler: to look names up in every row costs more than to read it.
const fn place(name: &str) -> usize {
    let name = name.as_bytes();
    let mut place = 0;
    loop {
        let column = ROW[place].as_bytes();
        let mut same = 0;
        while same < name.len() && same < column.len() && name[same] == column[same] {
            same += 1;
        }
        if same == name.len() && same == column.len() {
            return place;
        }
        place += 1;
    }
}

/// The time of a moment, and the conversation as it was then, from its row (`SELECT * FROM connection`).
pub(crate) fn read(
    connection: &Connection,
    loader: &mut Loader,
    row: &Row<'_>,
    moment: Moment,
) -> Result<(Time, Conversation), StoreError> {
    let id: i64 = row.get(const { place("id") })?;
    let opened = Time(
        identity::time(id)
            .0
            .saturating_add(row.get(const { place("late") })?),
    );
    let last = moment != Moment::Opened && row.get::<_, i64>(const { place("phase") })? > 0;
    let time = if last {
        Time(row.get(const { place("changed") })?)
    } else {
        opened
    };
    let now = |(opened, updated): (usize, usize)| if last { updated } else { opened };
    let endpoint = |ip: IpAddr, port: u16| Endpoint { ip, port };
    let number = |column: usize| row.get::<_, Option<i64>>(column);
    let traffic = match number(now(const { (place("sent_bytes"), place("last_sent_bytes")) }))? {
        Some(sent_bytes) => {
            let count = |column| number(column).map(|value| uncounter(value.unwrap_or(0)));
            Some(Traffic {
                sent_bytes: uncounter(sent_bytes),
                received_bytes: count(now(
                    const { (place("received_bytes"), place("last_received_bytes")) },
                ))?,
                sent_packets: count(now(const { (place("sent_packets"), place("last_sent_packets")) }))?,
                received_packets: count(now(const {
                    (place("received_packets"), place("last_received_packets"))
                }))?,
                round_trip: count(now(const { (place("round_trip"), place("last_round_trip")) }))? as u32,
                retransmits: count(now(const { (place("retransmits"), place("last_retransmits")) }))? as u32,
            })
        }
        None => None,
    };
    let offset = |column: usize| row.get::<_, i64>(column);
    let conversation = Conversation {
        id: id.cast_unsigned(),
        started: Time(opened.0.saturating_add(offset(const { place("started") })?)),
        started_before: row.get(const { place("started_before") })?,
        seen: Time(
            time.0
                .saturating_add(offset(now(const { (place("seen"), place("last_seen")) }))?),
        ),
        ended: if last {
            number(const { place("ended") })?.map(|offset| Time(time.0.saturating_add(offset)))
        } else {
            None
        },
        transport: Transport::from_number(row.get(const { place("transport") })?),
        source: endpoint(
            loader.address(connection, row.get(const { place("source_ip") })?)?,
            row.get(const { place("source_port") })?,
        ),
        destination: endpoint(
            loader.address(connection, row.get(const { place("destination_ip") })?)?,
            row.get(const { place("destination_port") })?,
        ),
        side: decode(codes::SIDE, row.get(const { place("side") })?)?,
        direction: decode(codes::DIRECTION, row.get(const { place("direction") })?)?,
        scope: decode(codes::SCOPE, row.get(const { place("scope") })?)?,
        state: decode(
            codes::STATE,
            row.get(now(const { (place("state"), place("last_state")) }))?,
        )?,
        network_namespace: row.get(const { place("network_namespace") })?,
        cookie: uncounter(row.get(const { place("cookie") })?),
        user_id: row.get(const { place("user_id") })?,
        cgroup_id: number(const { place("cgroup_id") })?.map(uncounter),
        traffic,
        outcome: codes::decode_outcome(number(now(const { (place("outcome"), place("last_outcome")) }))?)?,
        name: loader.text(connection, number(const { place("name") })?)?,
        name_source: number(const { place("name_source") })?
            .map(|code| decode(codes::NAME_SOURCE, code))
            .transpose()?,
        service: loader.text(connection, number(const { place("service") })?)?,
        process: loader.process_at(
            connection,
            number(now(const { (place("process"), place("last_process")) }))?,
            moment.known_at(time),
        )?,
        attribution: codes::decode_attribution(
            row.get(now(const { (place("attribution"), place("last_attribution")) }))?,
        )?,
        shared_with: from_keys(row.get(now(const { (place("shared_with"), place("last_shared_with")) }))?),
        // Only the last of it is kept: of the opening it would tell what came later.
        wire: match last || row.get::<_, i64>(const { place("phase") })? == 0 {
            true => wire::read(connection, id)?,
            false => None,
        },
    };
    Ok((time, conversation))
}

/// Notes the processes of these rows, which live, as used on this day.
pub(crate) fn processes_of(connection: &Connection, table: &str, id: i64) -> Result<Vec<i64>, StoreError> {
    let sql = format!("SELECT process, last_process FROM {table} WHERE id = :id");
    let found = connection
        .prepare_cached(&sql)?
        .query_row(named_params! { ":id": id }, |row| {
            Ok([row.get::<_, Option<i64>>(0)?, row.get(1)?])
        });
    match found {
        Ok(ids) => Ok(ids.into_iter().flatten().collect()),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
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

    #[test]
    fn the_table_has_its_columns_in_this_order() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in crate::open::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        let statement = connection.prepare("SELECT * FROM connection").unwrap();
        assert!(
            statement.column_names().eq(ROW),
            "the migrations made another order"
        );
    }

    #[test]
    fn the_digest_of_a_community_id() {
        // SHA-1 of nothing in base64.
        let bytes = digest("1:2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
        assert_eq!(bytes[..4], [0xda, 0x39, 0xa3, 0xee]);
        assert_eq!(bytes[18..], [0x07, 0x09]);
    }
}
