//! The two tables that a watch writes as it goes: every process of each scan, and every connection as it opens and
//! closes. Rows are lines; what a row is about stands in columns of its own, so that a spreadsheet or pandas can group
//! by it.

use std::sync::Arc;

use atalaya_model::{Connection, Direction, Event, Fact, Listener, Process, Text, Time, Value};

use super::cell;
use crate::catalogue::Language;
use crate::text;

/// The columns of the table of processes.
pub const PROCESSES: [&str; 10] = [
    "timestamp",
    "pid",
    "name",
    "user",
    "path",
    "command_line",
    "sha256",
    "connections",
    "connection_count",
    "parent_pid",
];

/// The columns of the table of connections. Addresses and ports are those of the socket's own side and of the other one;
/// bytes are payload so far.
pub const CONNECTIONS: [&str; 18] = [
    "timestamp",
    "event",
    "pid",
    "process",
    "path",
    "command_line",
    "protocol",
    "local_address",
    "local_port",
    "remote_address",
    "remote_port",
    "state",
    "sent_bytes",
    "received_bytes",
    "user",
    "direction",
    "outcome",
    "name",
];

/// Sockets of one process that its row names, at most; all are counted.
pub const MAX_SOCKETS: usize = 100;

/// A process that runs, with its sockets.
#[derive(Clone, Debug)]
pub struct Running {
    /// The process.
    pub process: Arc<Process>,
    /// Its open connections, at most [`MAX_SOCKETS`].
    pub connections: Vec<Arc<Connection>>,
    /// Its listeners, at most [`MAX_SOCKETS`].
    pub listeners: Vec<Arc<Listener>>,
    /// All its connections and listeners.
    pub count: u64,
}

/// The header of a table, as a line.
pub fn header(columns: &[&str]) -> String {
    line(columns.iter().map(|column| (*column).to_owned()))
}

/// A process as it was at the time of a scan, as a line.
pub fn process(out: &mut String, time: Time, running: &Running) {
    let it = &running.process;
    let sockets = sockets(running);
    let values = [
        Some(time.into()),
        Some(it.key.pid.into()),
        Some((&it.name).into()),
        user(it.user_name.as_ref(), it.user_id),
        it.executable.as_ref().map(Value::from),
        it.command_line.as_ref().map(Value::from),
        it.sha256.as_ref().map(Value::from),
        (!sockets.is_empty()).then(|| sockets.as_str().into()),
        Some(running.count.into()),
        it.parent.map(|parent| parent.pid.into()),
    ];
    push(out, &values);
}

/// The beginning or end of a connection or listener as a line; nothing for other events.
pub fn event(out: &mut String, event: &Event) {
    match &event.fact {
        Fact::ConnectionOpened(it) => connection(out, begun(event.time, it.started), "opened", it),
        Fact::ConnectionClosed(it) => connection(out, it.ended.unwrap_or(event.time), "closed", it),
        Fact::ListenerAppeared(it) => listener(out, begun(event.time, it.started), "opened", it),
        Fact::ListenerGone(it) => listener(out, it.ended.unwrap_or(event.time), "closed", it),
        _ => {}
    }
}

/// When it began: it may be noticed a little later, never earlier.
fn begun(noticed: Time, started: Time) -> Time {
    started.min(noticed)
}

fn connection(out: &mut String, time: Time, event: &str, it: &Connection) {
    let (local, remote) = (it.local(), it.remote());
    let state = it.state.name();
    let mut values = row(time, event, it.process.as_deref(), it.user_id);
    values[6] = Some(it.transport.name().into());
    values[7] = Some(Value::Address(local.ip));
    values[8] = Some(local.port.into());
    values[9] = Some(Value::Address(remote.ip));
    values[10] = Some(remote.port.into());
    values[11] = Some(state.into());
    values[12] = it.traffic.map(|traffic| Value::Bytes(traffic.sent_bytes));
    values[13] = it.traffic.map(|traffic| Value::Bytes(traffic.received_bytes));
    values[15] = (it.direction != Direction::Unknown).then(|| it.direction.name().into());
    values[16] = Some(it.outcome.name().into());
    values[17] = it.name.as_ref().map(Value::from);
    push(out, &values);
}

fn listener(out: &mut String, time: Time, event: &str, it: &Listener) {
    let mut values = row(time, event, it.process.as_deref(), it.user_id);
    values[6] = Some(it.transport.name().into());
    values[7] = Some(Value::Address(it.local.ip));
    values[8] = Some(it.local.port.into());
    values[11] = Some("LISTEN".into());
    push(out, &values);
}

/// What connections and listeners have alike.
fn row(
    time: Time,
    event: &str,
    process: Option<&Process>,
    user_id: Option<u32>,
) -> [Option<Value>; CONNECTIONS.len()] {
    let mut values = [const { None }; CONNECTIONS.len()];
    values[0] = Some(time.into());
    values[1] = Some(event.into());
    if let Some(it) = process {
        values[2] = Some(it.key.pid.into());
        values[3] = Some((&it.name).into());
        values[4] = it.executable.as_ref().map(Value::from);
        values[5] = it.command_line.as_ref().map(Value::from);
    }
    let name = process.and_then(|it| it.user_name.as_ref());
    values[14] = user(name, process.and_then(|it| it.user_id).or(user_id));
    values
}

/// The user's name, or else the number.
fn user(name: Option<&Text>, id: Option<u32>) -> Option<Value> {
    name.map(Value::from)
        .or_else(|| Some(id?.to_string().as_str().into()))
}

/// `tcp 192.0.2.5:40000 -> 203.0.113.9:443 (ESTABLISHED); tcp 0.0.0.0:22 (LISTEN); and 3 more`.
fn sockets(running: &Running) -> String {
    let connections = running.connections.iter().take(MAX_SOCKETS);
    let mut named: Vec<String> = connections
        .map(|it| text::connection(it, Language::English))
        .collect();
    let room = MAX_SOCKETS - named.len();
    named.extend(running.listeners.iter().take(room).map(|it| text::listener(it)));
    let more = running.count.saturating_sub(named.len() as u64);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join("; ")
}

fn push(out: &mut String, values: &[Option<Value>]) {
    let cells = values.iter();
    out.push_str(&line(
        cells.map(|value| value.as_ref().map(cell).unwrap_or_default()),
    ));
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    let mut writer = ::csv::WriterBuilder::new()
        .buffer_capacity(1 << 10)
        .from_writer(Vec::new());
    let written = writer.write_record(cells);
    // Memory takes everything, and every cell is text.
    let bytes = written.ok().and_then(|()| writer.into_inner().ok());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}
