//! The kernel's rows of one pair of ends, and what packets tell each of them.

use std::sync::Arc;

use atalaya_model::{Connection, Message, NameSource, Protocol, Side, Span, Time, Wire};

/// A conversation of the kernel's.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) connection: Arc<Connection>,
    /// What packets told of it that are over, for instance because they paused for long, and when that began.
    pub(super) past: Option<(Time, Box<Wire>)>,
    /// Its conversation in the table of packets, and when that began.
    pub(super) flow: Option<(u64, Time)>,
    /// Earlier or later sockets used the same ends while packets were one conversation.
    pub(super) is_shared: bool,
    /// When the kernel ended it.
    pub(super) ended: Option<Time>,
}

impl Known {
    /// When it began, as far as is known.
    pub(super) fn began(&self) -> Time {
        if self.connection.started_before {
            Time(i64::MIN)
        } else {
            self.connection.started
        }
    }

    /// Packets of this time may be its own.
    pub(super) fn fits(&self, since: Time, until: Option<Time>, slack: Span) -> bool {
        self.ended.is_none_or(|ended| since <= ended.after(slack))
            && until.is_none_or(|until| until.after(slack) >= self.began())
    }

    pub(super) fn is_of(&self, flow: u64) -> bool {
        self.flow.is_some_and(|(own, _)| own == flow)
    }

    /// Takes the kernel's later word; the name that packets gave stays where it has none.
    pub(super) fn take(&mut self, connection: &Arc<Connection>) {
        let before = std::mem::replace(&mut self.connection, Arc::clone(connection));
        if self.connection.name.is_none() && before.name.is_some() {
            let connection = Arc::make_mut(&mut self.connection);
            connection.name.clone_from(&before.name);
            connection.name_source = before.name_source;
        }
    }

    /// Calls it as packets call it, where the kernel knows no name.
    pub(super) fn name_by(&mut self, flow: &Connection) {
        if self.connection.name.is_none() && flow.name.is_some() {
            let connection = Arc::make_mut(&mut self.connection);
            connection.name.clone_from(&flow.name);
            connection.name_source = flow.name_source;
        }
    }

    /// The same side of the same host: another of these rows is an earlier or a later conversation.
    pub(super) fn is_place_of(&self, other: &Connection) -> bool {
        self.connection.side == other.side && self.connection.network_namespace == other.network_namespace
    }
}

/// Marks rows of one place that have the same conversation of packets.
pub(super) fn share(rows: &mut [Known], flow: u64) {
    let place = |row: &Known| (row.connection.side, row.connection.network_namespace);
    let own: Vec<_> = rows.iter().filter(|row| row.is_of(flow)).map(place).collect();
    if own.len() < 2 {
        return;
    }
    for row in rows.iter_mut().filter(|row| row.is_of(flow)) {
        row.is_shared |= own.iter().filter(|other| **other == place(row)).count() > 1;
    }
}

/// The row of the side that began; that of a loopback conversation whose process asked.
pub(super) fn asker(rows: &[Known], flow: u64) -> Option<&Known> {
    let own = || rows.iter().filter(|known| known.is_of(flow));
    own()
        .find(|known| known.connection.side == Side::Source)
        .or(own().next())
}

/// Rows learn the name by which their process called the server.
pub(super) fn learn(rows: &mut [Known], flow: u64, protocol: &Protocol) {
    let (name, source) = match &protocol.message {
        Message::Tls(tls) => (
            tls.client.as_ref().and_then(|client| client.server_name.as_ref()),
            NameSource::Tls,
        ),
        Message::Quic(quic) => (
            quic.client
                .as_ref()
                .and_then(|client| client.server_name.as_ref()),
            NameSource::Tls,
        ),
        Message::Http(http) => (http.host.as_ref(), NameSource::Http),
        _ => return,
    };
    let Some(name) = name else { return };
    for known in rows
        .iter_mut()
        .filter(|known| known.is_of(flow) && known.connection.name.is_none())
    {
        let connection = Arc::make_mut(&mut known.connection);
        connection.name = Some(name.clone());
        connection.name_source = Some(source);
    }
}
