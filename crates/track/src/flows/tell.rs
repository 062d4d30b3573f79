//! Rows become connections, and what happens to them events.

use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{
    Attribution, Connection, ConnectionState, Direction, Event, Evidence, Fact, Gap, Message, Networks,
    Outcome, Protocol, Scope, Side, Stage, Time,
};

use atalaya_model::connection::Traffic;

use super::row::Row;
use super::{Flows, Ground, account, tcp, timeouts};

/// Says how many conversations were ended early.
pub(super) fn hurried(time: Time, count: u64) -> Event {
    let gap = Gap {
        time,
        stage: Stage::Tables,
        count,
        reason: "the table of conversations is nearly full: some were ended early".into(),
    };
    Event::new(time, Fact::Gap(gap))
}

/// Which side is ours, and which way it goes.
pub(crate) fn turn(source: IpAddr, destination: IpAddr, networks: &Networks) -> (Side, Direction, Scope) {
    let [source, destination] = [source, destination].map(|ip| networks.scope(ip));
    let is_own = |scope| matches!(scope, Scope::Private | Scope::Loopback | Scope::Unspecified);
    match (is_own(source), is_own(destination)) {
        (true, true) if source == Scope::Loopback || destination == Scope::Loopback => {
            (Side::Source, Direction::Local, destination)
        }
        (true, true) | (false, false) => (Side::Source, Direction::Unknown, destination),
        (true, false) => (Side::Source, Direction::Outbound, destination),
        (false, true) => (Side::Destination, Direction::Inbound, source),
    }
}

/// How a conversation that is over went.
fn outcome(row: &Row) -> Outcome {
    use ConnectionState as State;
    match row.state() {
        State::REJ => Outcome::Refused,
        State::S0 if row.is_tcp() => Outcome::Unanswered,
        State::RSTO | State::RSTR => Outcome::Reset,
        State::RSTOS0 | State::SH => Outcome::Abandoned,
        State::SF => Outcome::Finished,
        State::S1 | State::S2 | State::S3 => Outcome::TimedOut,
        _ if row.is_tcp() => Outcome::Unknown,
        _ => Outcome::Finished,
    }
}

impl Flows {
    /// The conversation as it is now.
    pub(super) fn connection(&self, row: &Row, ground: &mut Ground<'_>, ended: Option<Time>) -> Connection {
        let (side, direction, scope) = row.turn;
        let source = row.key.endpoint(row.source);
        let destination = row.key.endpoint(!row.source);
        let (own, other) = match side {
            Side::Source => (0, 1),
            Side::Destination => (1, 0),
        };
        let (sent, received) = (&row.lanes[own], &row.lanes[other]);
        let began = side == Side::Source;
        let name = row.talk.as_ref().and_then(|talk| talk.name.clone());
        let name = ground.names.seen(source.ip, destination.ip, row.started).or(name);
        let (name, name_source) = name.unzip();
        let process = self.owners.of(row);
        let evidence = process
            .as_ref()
            .map_or(Evidence::NotRecorded, |_| Evidence::CaptureFile);
        Connection {
            id: row.id,
            started: row.started,
            started_before: false,
            seen: row.seen,
            ended,
            transport: row.transport(),
            source,
            destination,
            side,
            direction,
            scope,
            state: tcp::socket_state(&sent.sender, &received.sender, began),
            network_namespace: 0,
            cookie: 0,
            user_id: None,
            cgroup_id: None,
            traffic: Some(Traffic {
                sent_bytes: sent.payload,
                received_bytes: received.payload,
                sent_packets: sent.packets,
                received_packets: received.packets,
                round_trip: 0,
                retransmits: sent.retransmits,
            }),
            outcome: if ended.is_some() {
                outcome(row)
            } else {
                Outcome::Unknown
            },
            name,
            name_source,
            service: ground.services.name(row.transport(), destination.port),
            process,
            attribution: Attribution::from(evidence),
            shared_with: Box::default(),
            wire: Some(Box::new(self.wire_of(row))),
            places: ground.atlas.places(source.ip, destination.ip),
        }
    }

    /// Tells that a conversation began.
    pub(super) fn tell_opened(&mut self, slot: u32, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        if let Some(row) = self.table.get_mut(slot) {
            row.is_told = true;
        }
        if let Some(row) = self.table.get(slot) {
            let connection = Arc::new(self.connection(row, ground, None));
            out.push(Event::new(self.clock, Fact::ConnectionOpened(connection)));
        }
    }

    /// Tells of a conversation that lasts, at certain ages, and of what waits in it for an answer.
    pub(super) fn tell_progress(&mut self, slot: u32, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        let now = self.clock;
        let Some(row) = self.table.get_mut(slot) else {
            return;
        };
        let age = now.since(row.started);
        let mut is_long = false;
        while age >= timeouts::progress(row.progress) && row.progress < u16::MAX {
            row.progress += 1;
            is_long = true;
        }
        if let Some(talk) = &mut row.talk
            && let Some(conversation) = &mut talk.conversation
            && conversation.is_waiting()
        {
            conversation.wait(now, false, &mut self.said);
        }
        self.tell_said(slot, ground, out);
        if let Some(row) = self.table.get(slot)
            && is_long
        {
            let connection = Arc::new(self.connection(row, ground, None));
            out.push(Event::new(now, Fact::ConnectionUpdated(connection)));
        }
    }

    /// Tells what was said, and learns from it.
    pub(super) fn tell_said(&mut self, slot: u32, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        if self.said.is_empty() {
            return;
        }
        let mut said = std::mem::take(&mut self.said);
        if let Some(row) = self.table.get_mut(slot) {
            let client = row.key.endpoint(row.source).ip;
            for (time, message) in &said {
                match message {
                    Message::Dns(dns) => ground.names.learn(client, dns, *time),
                    Message::Other(other) => {
                        let server = row.key.endpoint(!row.source).ip;
                        self.expected.learn(other, client, server, *time);
                    }
                    _ => row.talk.get_or_insert_default().note(message),
                }
            }
        }
        if let Some(row) = self.table.get(slot) {
            let connection = Arc::new(self.connection(row, ground, None));
            for (time, message) in said.drain(..) {
                let protocol = Protocol {
                    time,
                    connection: connection.clone(),
                    message,
                };
                out.push(Event::new(self.clock, Fact::Protocol(Arc::new(protocol))));
            }
        }
        said.clear();
        self.said = said;
    }

    /// Takes a row out, and tells that it is over.
    pub(super) fn end(&mut self, slot: u32, ground: &mut Ground<'_>, out: &mut Vec<Event>) {
        let Some(row) = self.table.get_mut(slot) else {
            return;
        };
        let missed = row.missed();
        account::drain(row, &self.options.limits, &mut self.said);
        self.lost.count(self.clock, row.missed() - missed, false);
        if !row.is_told {
            self.tell_opened(slot, ground, out);
        }
        self.tell_said(slot, ground, out);
        if let Some(row) = self.remove(slot) {
            let connection = self.connection(&row, ground, Some(row.seen));
            self.owners.forget(&row);
            out.push(Event::new(
                self.clock,
                Fact::ConnectionClosed(Arc::new(connection)),
            ));
        }
    }
}
