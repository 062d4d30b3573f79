//! Tables of listeners and connections.

use std::io;

use atalaya_format::catalogue::Language;
use atalaya_format::escape;
use atalaya_model::{Attribution, Connection, Listener, Process};

use super::layout::Page;
use crate::snapshot::labels::{label, reason};
use crate::snapshot::{listener_state, state_name};

/// Longest name beside an address, in characters.
const NAME: usize = 28;
/// Listeners shown when not all are asked for.
const SHOWN: usize = 50;

/// Every listener, or the first ones by port.
pub(super) fn listeners<'a>(
    page: &mut Page<'_>,
    listeners: impl Iterator<Item = &'a Listener>,
    all: bool,
) -> io::Result<()> {
    let language = page.language;
    page.heading("Listeners")?;
    let mut rows: Vec<&Listener> = listeners.collect();
    rows.sort_unstable_by_key(|listener| (listener.transport, listener.local.port, listener.local.ip));
    if rows.is_empty() {
        return page.calm("No listeners.");
    }
    let shown = if all { rows.len() } else { rows.len().min(SHOWN) };
    let locals = rows[..shown]
        .iter()
        .map(|listener| listener.local.to_string().len());
    let table = Table {
        local: locals
            .max()
            .unwrap_or(0)
            .max(label("Local", language).chars().count()),
        remote: 0,
        state: 8,
        width: page.width,
    };
    page.columns(&table.row(
        [
            label("Protocol", language),
            label("Local", language),
            "",
            label("State", language),
        ],
        label("Process", language),
    ))?;
    for listener in &rows[..shown] {
        let process = holder(
            listener.process.as_deref(),
            listener.attribution,
            language,
            table.process(),
        );
        let cells = [
            listener.transport.name(),
            &listener.local.to_string(),
            "",
            listener_state(listener),
        ];
        page.line(&format!("  {}", table.row(cells, &process)))?;
    }
    if shown < rows.len() {
        page.note(&format!(
            "{} {}",
            rows.len() - shown,
            label("more; `--all` lists them", language)
        ))?;
    }
    Ok(())
}

/// Every connection, by process and remote address. Keeps one reference a connection for the sorting.
pub(super) fn connections<'a>(
    page: &mut Page<'_>,
    connections: impl Iterator<Item = &'a Connection>,
) -> io::Result<()> {
    let language = page.language;
    page.heading("Connections")?;
    let mut rows: Vec<&Connection> = connections.collect();
    if rows.is_empty() {
        return page.calm("No connections.");
    }
    rows.sort_unstable_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    let width = |endpoint: atalaya_model::Endpoint| {
        if endpoint.ip.is_ipv6() {
            endpoint.to_string().len()
        } else {
            21
        }
    };
    let mut table = Table {
        local: 21,
        remote: 21,
        state: 11,
        width: page.width,
    };
    for connection in &rows {
        table.local = table.local.max(width(connection.local()));
        table.remote = table.remote.max(match connection.name {
            Some(_) => remote(connection).chars().count(),
            None => width(connection.remote()),
        });
    }
    page.columns(&table.row(
        [
            label("Protocol", language),
            label("Local", language),
            label("Remote", language),
            label("State", language),
        ],
        label("Process", language),
    ))?;
    for connection in rows {
        let process = holder(
            connection.process.as_deref(),
            connection.attribution,
            language,
            table.process(),
        );
        let cells = [
            connection.transport.name(),
            &connection.local().to_string(),
            &remote(connection),
            state_name(connection.transport, connection.state),
        ];
        page.line(&format!("  {}", table.row(cells, &process)))?;
    }
    Ok(())
}

/// The other end, with the end of the name by which it was asked for.
fn remote(connection: &Connection) -> String {
    let remote = connection.remote();
    match &connection.name {
        Some(name) if connection.is_initiator() => format!("{remote} {}", escape::end(name, NAME)),
        _ => remote.to_string(),
    }
}

fn sort_key(connection: &Connection) -> (bool, &str, u32, atalaya_model::Endpoint, u16) {
    let process = connection.process.as_deref();
    (
        process.is_none(),
        process.map_or("", |process| process.label()),
        process.map_or(0, |process| process.key.pid),
        connection.remote(),
        connection.local().port,
    )
}

/// Widths of the columns.
struct Table {
    local: usize,
    /// 0 leaves the column out.
    remote: usize,
    state: usize,
    width: usize,
}

const PROTOCOL: usize = 9;

impl Table {
    /// Columns left for the process, at least enough for a name.
    fn process(&self) -> usize {
        let remote = if self.remote > 0 { self.remote + 2 } else { 0 };
        let used = 2 + PROTOCOL + 1 + self.local + 2 + remote + self.state + 2;
        self.width.saturating_sub(used).max(24)
    }

    fn row(&self, [protocol, local, remote, state]: [&str; 4], process: &str) -> String {
        let remote = if self.remote > 0 {
            format!("{remote:<width$}  ", width = self.remote)
        } else {
            String::new()
        };
        format!(
            "{protocol:<PROTOCOL$} {local:<local_width$}  {remote}{state:<state_width$}  {process}",
            local_width = self.local,
            state_width = self.state,
        )
    }
}

/// `/usr/sbin/nginx (80)`, the path cut at its beginning; or why nobody is named.
fn holder(process: Option<&Process>, attribution: Attribution, language: Language, room: usize) -> String {
    match process {
        Some(process) => {
            let pid = format!(" ({})", process.key.pid);
            format!(
                "{}{pid}",
                escape::end(process.label(), room.saturating_sub(pid.len()))
            )
        }
        None => format!("- {}", reason(attribution.evidence, language)),
    }
}
