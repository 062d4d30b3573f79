//! One record of each conversation: what the kernel told of it and what packets told of it, put together.
//!
//! Both tell in their own time. The kernel's word comes in batches, a moment late; packets come when the ring's block is
//! full. So a conversation seen in packets waits a little for its socket, and one that the kernel ended waits a little for
//! its last packets. What finds no partner is told alone.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{
    Connection, Direction, Endpoint, Event, Fact, Message, NameSource, Protocol, Side, Span, Time, Transport,
    Wire,
};
use foldhash::HashMap;

/// How long a conversation seen in packets waits for a socket.
const PATIENCE: Span = Span::from_seconds(2);
/// How long a conversation that the kernel ended waits for its last packets.
const LINGER: Span = Span::from_seconds(1);
/// Facts of one conversation that wait for its socket, at most; what comes beyond is told without a process.
const MOST_FACTS: usize = 64;
/// Conversations that wait, at most; the oldest are told alone.
const MOST_WAITING: usize = 65_536;
/// How long the last packets of an ended conversation are known for what they are.
const ECHO: Span = Span::from_seconds(120);
/// Ended conversations that are remembered so, at most.
const MOST_ENDED: usize = 65_536;

/// The two ends, the lower first, so that both directions are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tuple(Transport, Endpoint, Endpoint);

impl Tuple {
    fn of(connection: &Connection) -> Self {
        Self::new(connection.transport, connection.source, connection.destination)
    }

    fn new(transport: Transport, one: Endpoint, other: Endpoint) -> Self {
        Self(transport, one.min(other), one.max(other))
    }

    /// As a socket has it that is bound to no address: its own end is told by its port alone.
    fn without(self, end: Endpoint) -> Self {
        let unbound = |ip: IpAddr| match ip {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let bare = Endpoint {
            ip: unbound(end.ip),
            port: end.port,
        };
        let other = if self.1 == end { self.2 } else { self.1 };
        Self::new(self.0, bare, other)
    }
}

/// A conversation of the kernel's.
#[derive(Debug)]
struct Known {
    connection: Arc<Connection>,
    /// What packets told of it that are over, for instance because they paused for long.
    past: Option<Box<Wire>>,
    /// Its conversation in the table of packets.
    flow: Option<u64>,
    /// The kernel ended it: when this is told.
    closes: Option<(Time, Time)>,
}

/// A conversation seen in packets.
#[derive(Debug)]
enum Follow {
    /// No socket is known for it yet.
    Waiting(Box<Waiting>),
    /// It is the kernel's conversation of this tuple.
    Joined(Tuple),
    /// It is told by itself: forwarded, or of another host.
    Alone,
}

#[derive(Debug, Default)]
struct Waiting {
    opened: Option<Event>,
    facts: Vec<Event>,
    closed: Option<Event>,
}

/// Puts the two together.
#[derive(Debug, Default)]
pub(crate) struct Join {
    /// The network namespace in which packets are read.
    namespace: Option<u32>,
    known: HashMap<Tuple, Vec<Known>>,
    follows: HashMap<u64, Follow>,
    /// Conversations that wait, by their tuples.
    waiting: HashMap<Tuple, Vec<u64>>,
    /// When a conversation has waited long enough.
    patience: VecDeque<(Time, Tuple, u64)>,
    /// When a conversation that the kernel ended is told.
    closing: VecDeque<(Time, Tuple, u64)>,
    /// Conversations that were told as ended, and until when they are remembered.
    ended: HashMap<Tuple, Time>,
    ended_order: VecDeque<(Time, Tuple)>,
}

/// Ends a conversation in the table of packets, and appends what that tells.
pub(crate) type EndFlow<'a> = &'a mut dyn FnMut(u64, &mut Vec<Event>);

impl Join {
    pub(crate) fn new(namespace: Option<u32>) -> Self {
        Self {
            namespace,
            ..Self::default()
        }
    }

    /// Takes an event that the kernel's word led to.
    pub(crate) fn kernel(&mut self, event: Event, out: &mut Vec<Event>) {
        match &event.fact {
            Fact::ConnectionOpened(connection) => {
                let connection = Arc::clone(connection);
                out.push(event);
                self.opened(connection, out);
            }
            Fact::ConnectionUpdated(connection) => {
                if let Some(known) = self.find(connection) {
                    known.connection = Arc::clone(connection);
                }
                out.push(event);
            }
            Fact::ConnectionClosed(connection) => {
                let due = event.time.after(LINGER);
                let (tuple, id) = (Tuple::of(connection), connection.id);
                match self.find(connection) {
                    Some(known) => {
                        known.connection = Arc::clone(connection);
                        known.closes = Some((due, event.time));
                        self.closing.push_back((due, tuple, id));
                    }
                    None => out.push(event),
                }
            }
            _ => out.push(event),
        }
    }

    fn find(&mut self, connection: &Connection) -> Option<&mut Known> {
        let known = self.known.get_mut(&Tuple::of(connection))?;
        known
            .iter_mut()
            .find(|known| known.connection.id == connection.id)
    }

    /// The kernel's conversation is new: perhaps packets of it were seen before.
    fn opened(&mut self, connection: Arc<Connection>, out: &mut Vec<Event>) {
        let tuple = Tuple::of(&connection);
        let local = connection.local();
        let rows = self.known.entry(tuple).or_default();
        // The other end of a loopback conversation may have come before.
        let flow = rows.iter().find_map(|known| known.flow);
        rows.push(Known {
            connection,
            past: None,
            flow,
            closes: None,
        });
        let seen = if local.ip.is_unspecified() {
            // Whoever waits has the true address; it is found by what the socket has.
            let same = |waiting: &&Tuple| {
                **waiting != tuple
                    && [waiting.1, waiting.2]
                        .iter()
                        .any(|end| waiting.without(*end) == tuple)
            };
            self.waiting.keys().find(same).copied()
        } else {
            Some(tuple)
        };
        if let Some(seen) = seen
            && self.candidates(seen) == Some(tuple)
            && self.knows_asker(tuple)
        {
            self.promote(tuple, seen, out);
        }
    }

    /// Of a conversation within this host, the end that asked is known, too: it is the one to tell facts with.
    fn knows_asker(&self, tuple: Tuple) -> bool {
        let rows = self.known.get(&tuple).map(Vec::as_slice).unwrap_or_default();
        let tells = |known: &Known| {
            known.connection.side == Side::Source || known.connection.direction != Direction::Local
        };
        rows.iter().any(tells)
    }

    /// Conversations that waited as `seen` are those of the kernel's rows of `tuple`.
    fn promote(&mut self, tuple: Tuple, seen: Tuple, out: &mut Vec<Event>) {
        for flow in self.waiting.remove(&seen).unwrap_or_default() {
            let Some(Follow::Waiting(waiting)) = self.follows.remove(&flow) else {
                continue;
            };
            self.follows.insert(flow, Follow::Joined(tuple));
            self.adopt(tuple, flow);
            for fact in waiting.facts {
                self.flow(fact, out);
            }
            if let Some(closed) = waiting.closed {
                self.flow(closed, out);
            }
        }
    }

    /// The kernel's rows of a tuple that packets can belong to: those of the namespace in which packets are read; of
    /// others only where addresses tell hosts apart.
    fn candidates(&self, tuple: Tuple) -> Option<Tuple> {
        let fits = |tuple: &Tuple| {
            let known = self.known.get(tuple)?;
            let here = |known: &Known| {
                self.namespace
                    .is_none_or(|namespace| namespace == known.connection.network_namespace)
            };
            let elsewhere = !tuple.1.ip.is_loopback();
            (elsewhere || known.iter().any(here)).then_some(*tuple)
        };
        fits(&tuple)
            .or_else(|| fits(&tuple.without(tuple.1)))
            .or_else(|| fits(&tuple.without(tuple.2)))
    }

    /// Notes at the kernel's rows which conversation of packets is theirs.
    fn adopt(&mut self, tuple: Tuple, flow: u64) {
        for known in self.known.get_mut(&tuple).into_iter().flatten() {
            known.flow = Some(flow);
        }
    }

    /// Takes an event that packets led to.
    pub(crate) fn flow(&mut self, event: Event, out: &mut Vec<Event>) {
        let connection = match &event.fact {
            Fact::ConnectionOpened(connection)
            | Fact::ConnectionUpdated(connection)
            | Fact::ConnectionClosed(connection) => connection,
            Fact::Protocol(protocol) => &protocol.connection,
            _ => {
                out.push(event);
                return;
            }
        };
        let (id, tuple) = (connection.id, Tuple::of(connection));
        match self.follows.get_mut(&id) {
            None => self.begins(id, tuple, event, out),
            Some(Follow::Joined(tuple)) => {
                let tuple = *tuple;
                self.joined(id, tuple, event, out);
            }
            Some(Follow::Alone) => {
                if matches!(event.fact, Fact::ConnectionClosed(_)) {
                    self.follows.remove(&id);
                }
                out.push(alone(event));
            }
            Some(Follow::Waiting(waiting)) => match &event.fact {
                Fact::ConnectionClosed(_) => waiting.closed = Some(event),
                Fact::Protocol(_) if waiting.facts.len() < MOST_FACTS => waiting.facts.push(event),
                Fact::Protocol(_) => out.push(alone(event)),
                _ => {}
            },
        }
    }

    fn begins(&mut self, id: u64, tuple: Tuple, event: Event, out: &mut Vec<Event>) {
        if let Some(tuple) = self.candidates(tuple)
            && self.knows_asker(tuple)
        {
            self.follows.insert(id, Follow::Joined(tuple));
            self.adopt(tuple, id);
            if !matches!(event.fact, Fact::ConnectionOpened(_)) {
                self.joined(id, tuple, event, out);
            }
            return;
        }
        if self.ended.contains_key(&tuple) && !begins_anew(&event) {
            // What comes after the end, as a reset for a socket that is gone, is no conversation of its own.
            self.follows.insert(id, Follow::Joined(tuple));
            return;
        }
        let since = event.time;
        let mut waiting = Waiting::default();
        match &event.fact {
            Fact::ConnectionClosed(_) => waiting.closed = Some(event),
            Fact::Protocol(_) => waiting.facts.push(event),
            _ => waiting.opened = Some(event),
        }
        self.follows.insert(id, Follow::Waiting(Box::new(waiting)));
        self.waiting.entry(tuple).or_default().push(id);
        self.patience.push_back((since.after(PATIENCE), tuple, id));
        if self.patience.len() > MOST_WAITING
            && let Some((_, tuple, id)) = self.patience.pop_front()
        {
            self.give_up(tuple, id, out);
        }
    }

    fn joined(&mut self, id: u64, tuple: Tuple, event: Event, out: &mut Vec<Event>) {
        match event.fact {
            Fact::Protocol(protocol) => {
                let rows = self
                    .known
                    .get_mut(&tuple)
                    .map(Vec::as_mut_slice)
                    .unwrap_or_default();
                learn(rows, &protocol);
                let row = asker(rows).map(|known| Arc::clone(&known.connection));
                let Protocol {
                    time,
                    connection,
                    message,
                } = Arc::unwrap_or_clone(protocol);
                let connection = row.unwrap_or(connection);
                let protocol = Protocol {
                    time,
                    connection,
                    message,
                };
                out.push(Event::new(event.time, Fact::Protocol(Arc::new(protocol))));
            }
            Fact::ConnectionClosed(connection) => {
                self.follows.remove(&id);
                for known in self.known.get_mut(&tuple).into_iter().flatten() {
                    if known.flow == Some(id) {
                        known.flow = None;
                        known.past = together(known.past.take(), connection.wire.clone());
                    }
                }
            }
            _ => {}
        }
    }

    /// Nobody's socket: it is told by itself from now on.
    fn give_up(&mut self, tuple: Tuple, id: u64, out: &mut Vec<Event>) {
        if !matches!(self.follows.get(&id), Some(Follow::Waiting(_))) {
            return;
        }
        if let Some(row) = self.candidates(tuple) {
            self.promote(row, tuple, out);
            return;
        }
        if let Some(flows) = self.waiting.get_mut(&tuple) {
            flows.retain(|flow| *flow != id);
            if flows.is_empty() {
                self.waiting.remove(&tuple);
            }
        }
        let Some(Follow::Waiting(waiting)) = self.follows.insert(id, Follow::Alone) else {
            return;
        };
        if waiting.closed.is_some() {
            self.follows.remove(&id);
        }
        let told = waiting
            .opened
            .into_iter()
            .chain(waiting.facts)
            .chain(waiting.closed);
        out.extend(told.map(alone));
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Time, end: EndFlow<'_>, out: &mut Vec<Event>) {
        while let Some((_, tuple, id)) = self.patience.pop_front_if(|(due, ..)| *due <= now) {
            self.give_up(tuple, id, out);
        }
        while let Some((_, tuple, id)) = self.closing.pop_front_if(|(due, ..)| *due <= now) {
            self.tell_closed(tuple, id, end, out);
        }
        while let Some((_, tuple)) = self
            .ended_order
            .pop_front_if(|(until, _)| *until <= now || self.ended.len() > MOST_ENDED)
        {
            if self.ended.get(&tuple).is_some_and(|until| *until <= now) || self.ended.len() > MOST_ENDED {
                self.ended.remove(&tuple);
            }
        }
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self, end: EndFlow<'_>, out: &mut Vec<Event>) {
        self.tick(Time(i64::MAX), end, out);
    }

    fn tell_closed(&mut self, tuple: Tuple, id: u64, end: EndFlow<'_>, out: &mut Vec<Event>) {
        // The end that asked may never have been seen.
        self.promote(tuple, tuple, out);
        let place = |rows: &[Known]| rows.iter().position(|known| known.connection.id == id);
        let flow = self
            .known
            .get(&tuple)
            .and_then(|rows| rows.get(place(rows)?)?.flow);
        if let Some(flow) = flow {
            let mut ended = Vec::new();
            end(flow, &mut ended);
            ended.into_iter().for_each(|event| self.flow(event, out));
        }
        let Some(rows) = self.known.get_mut(&tuple) else {
            return;
        };
        let Some(place) = place(rows) else {
            return;
        };
        let known = rows.swap_remove(place);
        if rows.is_empty() {
            self.known.remove(&tuple);
        }
        let mut connection = known.connection;
        if let Some(wire) = known.past {
            Arc::make_mut(&mut connection).wire = Some(wire);
        }
        let time = known.closes.map_or(connection.seen, |(_, time)| time);
        let until = time.after(ECHO);
        self.ended.insert(tuple, until);
        self.ended_order.push_back((until, tuple));
        out.push(Event::new(time, Fact::ConnectionClosed(connection)));
    }
}

/// Is it the beginning of a conversation, not the rest of one?
fn begins_anew(event: &Event) -> bool {
    let Fact::ConnectionOpened(connection) = &event.fact else {
        return false;
    };
    let is_tcp = connection.transport == Transport::Tcp;
    let history = connection.wire.as_ref().map(|wire| &*wire.history);
    !is_tcp || history.is_some_and(|history| history.starts_with(['S', 's']))
}

/// The row of the side that began; that of a loopback conversation whose process asked.
fn asker(rows: &[Known]) -> Option<&Known> {
    rows.iter()
        .find(|known| known.connection.side == Side::Source)
        .or(rows.first())
}

/// Rows learn the name by which their process called the server.
fn learn(rows: &mut [Known], protocol: &Protocol) {
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
    for known in rows.iter_mut().filter(|known| known.connection.name.is_none()) {
        let connection = Arc::make_mut(&mut known.connection);
        connection.name = Some((**name).into());
        connection.name_source = Some(source);
    }
}

/// A conversation of which no socket is known.
fn alone(mut event: Event) -> Event {
    let mark = |connection: &mut Arc<Connection>| {
        if let Some(wire) = &mut Arc::make_mut(connection).wire {
            wire.unjoined = true;
        }
    };
    match &mut event.fact {
        Fact::ConnectionOpened(connection)
        | Fact::ConnectionUpdated(connection)
        | Fact::ConnectionClosed(connection) => mark(connection),
        _ => {}
    }
    event
}

/// Two parts of one conversation, between which packets paused: counts are added, the later words win.
fn together(past: Option<Box<Wire>>, last: Option<Box<Wire>>) -> Option<Box<Wire>> {
    let (mut past, mut last) = match (past, last) {
        (Some(past), Some(last)) => (past, last),
        (past, last) => return past.or(last),
    };
    last.source.add(&past.source);
    last.destination.add(&past.destination);
    last.tls = last.tls.or(past.tls.take());
    last.http = last.http.or(past.http.take());
    last.ssh = last.ssh.or(past.ssh.take());
    last.application = last.application.max(past.application);
    Some(last)
}

#[cfg(test)]
mod tests;
