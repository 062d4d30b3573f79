//! Tables of a monitor, ours or another's, row by row into a verification.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use atalaya_model::{Text, Time, Transport, Value};

use super::cells::{self, Times};
use super::columns::{Column, Layout, Question};
use super::counts::Volume;
use super::network::{Network, Port};
use super::processes::Processes;
use super::programs::Facts;
use super::records::{Flaw, Next, Records, Row, TableError};
use crate::document::Said;

/// Why a file cannot be verified. The text begins with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read as a table.
    #[error("{name}: {source}")]
    Table {
        /// The file.
        name: Text,
        /// Why.
        source: TableError,
    },
    /// Its columns do not answer the question.
    #[error("{name}: {missing}")]
    Columns {
        /// The file.
        name: Text,
        /// What is missing, what there is, and what to do.
        missing: String,
    },
}

/// Rows that were left out of a file: how many, and the first few.
#[derive(Debug, Default)]
struct LeftOut {
    count: u64,
    first: Vec<(u64, Flaw)>,
}

/// Bad rows that are named by their line.
const NAMED: usize = 3;

impl LeftOut {
    fn add(&mut self, line: u64, flaw: Flaw) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push((line, flaw));
        }
    }

    fn notes(self, name: &str) -> Vec<Said> {
        let more = self.count - self.first.len() as u64;
        let name = Value::from(name);
        let mut notes: Vec<Said> = self
            .first
            .into_iter()
            .map(|(line, flaw)| {
                let line = Value::from(line.to_string());
                match flaw {
                    Flaw::TooLong => Said::new(
                        "{0}, line {1}: left out, for it is longer than a row may be, or a quote in it is never closed",
                        vec![name.clone(), line],
                    ),
                    Flaw::Columns { found, expected } => Said::new(
                        "{0}, line {1}: left out, for it has {2} columns and the header {3}",
                        vec![name.clone(), line, (found as u64).into(), (expected as u64).into()],
                    ),
                }
            })
            .collect();
        if more > 0 {
            notes.push(Said::new("{0}: {1} more rows left out", vec![name, more.into()]));
        }
        notes
    }
}

/// Reads every row of a table that answers the question; gives what was left out.
fn read(
    input: impl Read,
    name: &str,
    question: Question,
    mut take: impl FnMut(&Layout, &Row<'_>),
) -> Result<Vec<Said>, InputError> {
    let failed = |source| InputError::Table {
        name: name.into(),
        source,
    };
    let mut records = Records::new(input);
    let header = records.header().map_err(failed)?;
    let layout = Layout::of(&header);
    layout
        .answers(question, &header)
        .map_err(|missing| InputError::Columns {
            name: name.into(),
            missing,
        })?;
    let mut left_out = LeftOut::default();
    loop {
        match records.next().map_err(failed)? {
            Next::Row(row) => take(&layout, &row),
            Next::Bad { line, flaw } => left_out.add(line, flaw),
            Next::End => return Ok(left_out.notes(name)),
        }
    }
}

/// The cell of a column; empty where there is no such column.
fn cell<'a>(layout: &Layout, row: &Row<'a>, column: Column) -> &'a [u8] {
    layout
        .place(column)
        .map(|place| row.cell(place))
        .unwrap_or_default()
}

/// What is told of a process in a row, with the guards of its texts taken off.
struct Told<'a> {
    name: Cow<'a, [u8]>,
    path: Cow<'a, [u8]>,
    command_line: Cow<'a, [u8]>,
    sha256: &'a [u8],
    user: Cow<'a, [u8]>,
    pid: Option<u64>,
    connections: Cow<'a, [u8]>,
}

impl<'a> Told<'a> {
    fn of(layout: &Layout, row: &Row<'a>) -> Self {
        let cell = |column| cell(layout, row, column);
        let said = |column| cells::said(cell(column), layout.is_ours);
        let mut user = said(Column::User);
        if user.is_empty() {
            user = cells::user_in(cell(Column::Details)).into();
        }
        Self {
            name: cells::name(cell(Column::Name), layout.is_ours),
            path: said(Column::Path),
            command_line: said(Column::CommandLine),
            sha256: cells::digest(cell(Column::Sha256)),
            user,
            pid: cells::number(cell(Column::Pid)),
            connections: said(Column::Connections),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            // A process can take its name away, but not its file.
            name: match &*self.name {
                b"" => cells::base(&self.path),
                name => name,
            },
            path: &self.path,
            command_line: &self.command_line,
            sha256: self.sha256,
            user: &self.user,
            pid: self.pid,
            connections: &self.connections,
            is_packaged: false,
        }
    }
}

/// Reads a table of processes; gives what was left out.
///
/// # Errors
/// When it is no table, or has no column for what is needed.
pub fn read_processes(
    input: impl Read,
    name: &str,
    processes: &mut Processes,
) -> Result<Vec<Said>, InputError> {
    let mut times = Times::default();
    read(input, name, Question::Processes, |layout, row| {
        let time = times.read(cell(layout, row, Column::Time));
        processes.add(&Told::of(layout, row).facts(), 1, time.map(|time| (time, time)));
    })
}

/// What a row says has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happened {
    Opened,
    Closed,
    /// Something else in between.
    Changed,
    /// The table does not say: a connection that was there.
    There,
}

fn happened(event: &[u8]) -> Happened {
    let has = |word: &str| {
        let windows = event.windows(word.len());
        windows
            .into_iter()
            .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    if event.is_empty() {
        Happened::There
    } else if has("open") || has("abiert") || has("apert") || has("start") || has("new") {
        Happened::Opened
    } else if has("close") || has("cerrad") || has("cierre") || has("end") {
        Happened::Closed
    } else if has("updat") || has("actualiz") || has("chang") || has("camb") {
        Happened::Changed
    } else {
        Happened::There
    }
}

/// The transport by the names that monitors use: `tcp`, `TCP6`, `SOCK_STREAM`.
fn transport(protocol: &[u8]) -> Option<Transport> {
    const OTHERS: [Transport; 5] = [
        Transport::Icmp,
        Transport::Icmpv6,
        Transport::Sctp,
        Transport::Dccp,
        Transport::UdpLite,
    ];
    let is = |word: &str| protocol.eq_ignore_ascii_case(word.as_bytes());
    if ["tcp", "tcp4", "tcp6", "SOCK_STREAM"].into_iter().any(is) {
        Some(Transport::Tcp)
    } else if ["udp", "udp4", "udp6", "SOCK_DGRAM"].into_iter().any(is) {
        Some(Transport::Udp)
    } else {
        OTHERS.into_iter().find(|transport| is(transport.name()))
    }
}

/// Ports on which something is known to listen, at most.
const MOST_PORTS: usize = 100_000;

/// Reads a table of connections; gives what was left out.
///
/// # Errors
/// When it is no table, or has no column for what is needed.
pub fn read_network(input: impl Read, name: &str, network: &mut Network) -> Result<Vec<Said>, InputError> {
    let mut times = Times::default();
    // What listens is called, not the other side: where the table does not tell the direction.
    let mut called: HashSet<Port> = HashSet::new();
    read(input, name, Question::Network, |layout, row| {
        let cell = |column| cell(layout, row, column);
        let said = |column| cells::said(cell(column), layout.is_ours);
        let told = Told::of(layout, row);
        let facts = told.facts();
        let time = times.read(cell(Column::Time));
        let happened = happened(&said(Column::Event));
        let counts = |it| u64::from(happened == it);
        network.count_rows(1, counts(Happened::Opened), counts(Happened::Closed));
        if happened == Happened::Changed {
            return;
        }
        let transport = transport(&said(Column::Protocol));
        let local = end(layout, row, Column::LocalAddress, Column::LocalPort);
        let remote = end(layout, row, Column::RemoteAddress, Column::RemotePort);
        let is_listening = said(Column::State).eq_ignore_ascii_case(b"LISTEN");
        let Some((ip, remote_port)) = remote.filter(|_| !is_listening) else {
            if let Some((ip, local_port)) = local
                && happened != Happened::Closed
                && (is_listening || transport == Some(Transport::Udp))
            {
                if called.len() < MOST_PORTS {
                    called.insert((transport, local_port));
                }
                network.listener(&facts, Some(ip), (transport, local_port), time);
            }
            return;
        };
        let volume = volume(layout, row, happened, time);
        let local_port = local.map_or(0, |(_, port)| port);
        let is_called = match &*said(Column::Direction) {
            b"outbound" => false,
            b"inbound" => true,
            _ => called.contains(&(transport, local_port)),
        };
        let port = (transport, if is_called { local_port } else { remote_port });
        network.total(&volume);
        network.program(&facts, &volume);
        network.address(ip, &volume);
        network.pair(facts.name, ip, &volume);
        network.port(port, &volume);
        network.endpoint(ip, port, &volume);
    })
}

/// One opening is one connection; its bytes are known when it closes.
fn volume(layout: &Layout, row: &Row<'_>, happened: Happened, time: Option<Time>) -> Volume {
    let bytes = |column| match happened {
        Happened::Opened => 0,
        _ => cells::number(cell(layout, row, column)).unwrap_or(0),
    };
    Volume::of(
        u64::from(happened != Happened::Closed),
        bytes(Column::SentBytes),
        bytes(Column::ReceivedBytes),
    )
    .between(time.map(|time| (time, time)))
}

/// One end: with the port in a column of its own, or behind the address.
fn end(layout: &Layout, row: &Row<'_>, address: Column, port: Column) -> Option<(std::net::IpAddr, u16)> {
    let text = cell(layout, row, address);
    match layout.place(port) {
        Some(_) => {
            let ip = cells::address(text)?;
            Some((ip, cells::port(cell(layout, row, port)).unwrap_or(0)))
        }
        None => cells::endpoint(text).or_else(|| Some((cells::address(text)?, 0))),
    }
}
