//! One record of each conversation: what the kernel told of it and what packets told of it, put together.
//!
//! Both tell in their own time. The kernel's word comes in batches, a moment late; packets come when the ring's block is
//! full, later still where many wait. So a conversation seen in packets waits a little for its socket, and one that the
//! kernel ended waits until its last packets are read. What finds no partner is told alone.
//!
//! The same ends may belong to several rows: the two sides of a conversation that stays on this host, and
//! conversations that used the same ports one after the other. Which packets are whose, the times tell.

mod owners;
mod parts;
mod rows;
mod tuple;

use std::collections::VecDeque;
use std::sync::Arc;

use atalaya_model::live::Joined;
use atalaya_model::{
    Connection, Direction, Event, Fact, Gap, Protocol, Side, Span, Stage, Time, Transport, Wire,
};
use foldhash::{HashMap, HashSet};

use self::owners::Ended;
use self::parts::{together, turned};
use self::rows::{Known, asker, learn, share};
use self::tuple::Tuple;

/// How long a conversation seen in packets waits for a socket at least, and until a look was complete meanwhile.
const PATIENCE: Span = Span::from_seconds(2);
/// How long it waits at most, however rarely looks are taken.
const LONGEST_PATIENCE: Span = Span::from_seconds(30);
/// How long a conversation that the kernel ended waits for its last packets.
const LINGER: Span = Span::from_seconds(1);
/// Facts of one conversation that wait for its socket, at most; what comes beyond is told without a process.
const MOST_FACTS: usize = 64;
/// Conversations that wait, at most; the oldest are told alone.
const MOST_WAITING: usize = 65_536;
/// Of them, those that one socket could be meant by, at most: all are looked at for it. The oldest is told alone.
const MOST_ALIKE: usize = 64;
/// How long the last packets of an ended conversation are known for what they are.
const ECHO: Span = Span::from_seconds(120);
/// Ended conversations that are remembered so, at most.
const MOST_ENDED: usize = 65_536;
/// How far the kernel's times and those of packets may be apart.
const SLACK: Span = Span(20_000);
/// How long before a row begins its first packet may have been seen: the answering side begins when its peer has
/// shaken hands.
const HANDSHAKE: Span = Span::from_seconds(1);

/// A conversation seen in packets.
#[derive(Debug)]
enum Follow {
    /// No socket is known for it yet.
    Waiting(Box<Waiting>),
    /// It is the kernel's conversation of this tuple.
    Joined(Tuple),
    /// It is told by itself: forwarded, or of another host.
    Alone,
    /// It was told alone when its socket was found after all: what it tells counts for both.
    Late(Tuple),
}

#[derive(Debug)]
struct Waiting {
    tuple: Tuple,
    since: Time,
    opened: Option<Event>,
    facts: Vec<Event>,
    closed: Option<Event>,
}

impl Waiting {
    /// When its last packet was seen, if it is over.
    fn until(&self) -> Option<Time> {
        match &self.closed.as_ref()?.fact {
            Fact::ConnectionClosed(connection) => Some(connection.seen.max(self.since)),
            _ => None,
        }
    }
}

/// Puts the two together.
#[derive(Debug, Default)]
pub(crate) struct Join {
    /// The network namespace in which packets are read.
    namespace: Option<u32>,
    known: HashMap<Tuple, Vec<Known>>,
    follows: HashMap<u64, Follow>,
    /// Conversations that wait, by all forms of their tuples.
    waiting: HashMap<Tuple, Vec<u64>>,
    /// How many wait.
    waits: usize,
    /// How many could not wait as long as they should, since the last gap, and when there was no room last.
    hurried: (u64, Time),
    /// When a conversation has waited long enough.
    patience: VecDeque<(Time, Tuple, u64)>,
    /// When a conversation that the kernel ended is told.
    closing: VecDeque<(Time, Tuple, u64)>,
    /// Those that are told alone.
    alone: HashMap<Tuple, u64>,
    /// Conversations that were told as ended, and until when they are remembered.
    ended: HashMap<Tuple, Ended>,
    ended_order: VecDeque<(Time, Tuple)>,
    /// Rows that were told before they had a port.
    portless: HashSet<u64>,
    /// When a look was complete last.
    looked: Option<Time>,
    /// Records that were told.
    counts: Joined,
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

    /// What was told together and what alone, so far.
    pub(crate) fn counts(&self) -> Joined {
        Joined {
            waiting: self.waits as u64,
            ..self.counts
        }
    }

    /// A look is complete: sockets that lived before are known.
    pub(crate) fn looked(&mut self, time: Time) {
        self.looked = Some(time);
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
                self.find_its_port(connection, out);
                if let Some(known) = self.find(connection) {
                    known.take(connection);
                }
                out.push(event);
            }
            Fact::ConnectionClosed(connection) => {
                self.find_its_port(connection, out);
                let due = event.time.after(LINGER);
                let (tuple, id) = (Tuple::of(connection), connection.id);
                match self.find(connection) {
                    Some(known) => {
                        known.take(connection);
                        known.ended = Some(event.time);
                        self.closing.push_back((due, tuple, id));
                    }
                    None => {
                        self.portless.remove(&id);
                        self.counts.kernel_only += u64::from(self.is_here(connection));
                        out.push(event);
                    }
                }
            }
            _ => out.push(event),
        }
    }

    /// A row that was told before it had a port has one now.
    fn find_its_port(&mut self, connection: &Arc<Connection>, out: &mut Vec<Event>) {
        if connection.local().port != 0 && self.portless.remove(&connection.id) {
            self.opened(Arc::clone(connection), out);
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
        let has_ports = matches!(connection.transport, Transport::Tcp | Transport::Udp);
        if has_ports && connection.local().port == 0 && self.portless.len() < MOST_WAITING {
            self.portless.insert(connection.id);
            return;
        }
        let tuple = Tuple::of(&connection);
        let (seen, started) = (connection.seen.max(connection.started), connection.started);
        let mut known = Known {
            connection,
            past: None,
            flow: None,
            is_shared: false,
            ended: None,
        };
        let began = known.began();
        let rows = self.known.entry(tuple).or_default();
        // The other side of the same conversation may have its packets already.
        let siblings = rows.iter().filter(|row| {
            if row.is_place_of(&known.connection) {
                // Datagrams have no beginning: packets are one conversation for as long as the ends are used.
                tuple.is_of_datagrams() && row.flow.is_some()
            } else {
                row.ended.is_none_or(|ended| ended >= began)
            }
        });
        if let Some(sibling) = siblings.max_by_key(|row| row.connection.started) {
            known.flow = sibling.flow;
            let is_whole = |past: &&(Time, Box<Wire>)| {
                known.connection.started_before || past.0.after(HANDSHAKE) >= started
            };
            let past = sibling.past.as_ref().filter(is_whole);
            known.past = past.map(|(since, wire)| (*since, wire.clone()));
        }
        rows.push(known);
        if !self.may_be_here(tuple) {
            return;
        }
        if let Some(flow) = self.alone.remove(&tuple)
            && let Some(follow @ Follow::Alone) = self.follows.get_mut(&flow)
        {
            *follow = Follow::Late(tuple);
            self.adopt(tuple, flow, started, None);
        }
        if self.knows_asker(tuple) {
            self.promote(tuple, began, seen, out);
        }
    }

    /// It is one of the network namespace whose packets are read.
    fn is_here(&self, connection: &Connection) -> bool {
        self.namespace
            .is_none_or(|namespace| namespace == connection.network_namespace)
    }

    /// Whom to tell facts with is known: the side that asked, or that of this host if the asker is another one. Of a
    /// conversation between two processes here, the one that answers may be told of first.
    fn knows_asker(&self, tuple: Tuple) -> bool {
        let here = |known: &Known| self.is_here(&known.connection);
        let tells = |known: &Known| {
            let connection = &known.connection;
            connection.side == Side::Source || (connection.direction != Direction::Local && here(known))
        };
        self.known.get(&tuple).is_some_and(|rows| rows.iter().any(tells))
    }

    /// What waited is that of the kernel's rows of `tuple`, one of which was seen from `began` to `seen`.
    fn promote(&mut self, tuple: Tuple, began: Time, seen: Time, out: &mut Vec<Event>) {
        for flow in self.own_of_waiting(tuple, began, seen) {
            let Some(waiting) = self.stop_waiting(flow) else {
                continue;
            };
            self.follows.insert(flow, Follow::Joined(tuple));
            let is_fitting = self.adopt(tuple, flow, waiting.since, waiting.until());
            if !is_fitting && let Some(row) = self.known.get_mut(&tuple).and_then(|rows| rows.last_mut()) {
                // Looks know no times.
                row.flow = Some((flow, waiting.since));
            }
            for event in waiting.facts.into_iter().chain(waiting.closed) {
                self.flow(event, out);
            }
        }
    }

    /// Which of the conversations that wait under a tuple are those of a socket that was seen from `began` to `seen`.
    fn own_of_waiting(&self, tuple: Tuple, began: Time, seen: Time) -> Vec<u64> {
        let Some(flows) = self.waiting.get(&tuple) else {
            return Vec::new();
        };
        let is_own = |flow: &&u64| match self.follows.get(*flow) {
            Some(Follow::Waiting(waiting)) => {
                waiting.since <= seen && waiting.until().is_none_or(|until| until >= began)
            }
            _ => false,
        };
        let own: Vec<u64> = flows.iter().filter(is_own).copied().collect();
        match flows.last() {
            // A look knows no times: the last one it is.
            Some(last) if own.is_empty() => vec![*last],
            _ => own,
        }
    }

    /// Takes a conversation out of those that wait.
    fn stop_waiting(&mut self, flow: u64) -> Option<Box<Waiting>> {
        match self.follows.remove(&flow) {
            Some(Follow::Waiting(waiting)) => {
                self.waits -= 1;
                for form in waiting.tuple.forms() {
                    if let Some(flows) = self.waiting.get_mut(&form) {
                        flows.retain(|other| *other != flow);
                        if flows.is_empty() {
                            self.waiting.remove(&form);
                        }
                    }
                }
                Some(waiting)
            }
            Some(other) => {
                self.follows.insert(flow, other);
                None
            }
            None => None,
        }
    }

    /// The kernel's rows of a tuple may be those of packets that are read here: those of the namespace in which packets
    /// are read; of others only where addresses tell hosts apart.
    fn may_be_here(&self, tuple: Tuple) -> bool {
        let here = |known: &Known| self.is_here(&known.connection);
        self.known
            .get(&tuple)
            .is_some_and(|rows| !tuple.is_loopback() || rows.iter().any(here))
    }

    /// Gives a conversation of packets to the kernel's rows that it belongs to: of each side of each host one.
    /// False where there is none.
    fn adopt(&mut self, tuple: Tuple, flow: u64, since: Time, until: Option<Time>) -> bool {
        let Some(rows) = self.known.get_mut(&tuple) else {
            return false;
        };
        let mut own: Vec<usize> = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            // The end of an earlier socket says nothing of datagrams that go on.
            if !row.fits(since, until, SLACK) {
                continue;
            }
            let distance = |place: usize| {
                let row = rows.get(place);
                row.map_or(i64::MAX, |row| {
                    row.connection.started.since(since).0.saturating_abs()
                })
            };
            let rival = |other: &&mut usize| {
                !tuple.is_of_datagrams()
                    && rows
                        .get(**other)
                        .is_some_and(|other| other.is_place_of(&row.connection))
            };
            match own.iter_mut().find(rival) {
                // The same ends were used before: the one that began when the packets began.
                Some(other) if distance(place) < distance(*other) => *other = place,
                Some(_) => {}
                None => own.push(place),
            }
        }
        for place in &own {
            if let Some(row) = rows.get_mut(*place) {
                row.flow = Some((flow, since));
            }
        }
        !own.is_empty()
    }

    /// Takes an event that packets led to.
    pub(crate) fn flow(&mut self, event: Event, out: &mut Vec<Event>) {
        let Some(connection) = connection_of(&event) else {
            out.push(event);
            return;
        };
        let (id, tuple, since) = (connection.id, Tuple::of(connection), connection.started);
        match self.follows.get_mut(&id) {
            None => self.begins(id, tuple, since, event, out),
            Some(Follow::Joined(tuple)) => {
                let tuple = *tuple;
                self.joined(id, tuple, event, out);
            }
            Some(Follow::Late(row)) => {
                let row = *row;
                if matches!(event.fact, Fact::ConnectionClosed(_)) {
                    self.counts.packets_only += 1;
                    out.push(alone(event.clone()));
                }
                self.joined(id, row, event, out);
            }
            Some(Follow::Alone) => {
                if matches!(event.fact, Fact::ConnectionClosed(_)) {
                    self.follows.remove(&id);
                    // In another VLAN or tunnel the same ends may have a conversation that goes on.
                    if self.alone.get(&tuple) == Some(&id) {
                        self.alone.remove(&tuple);
                    }
                    self.counts.packets_only += 1;
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

    fn begins(&mut self, id: u64, tuple: Tuple, since: Time, event: Event, out: &mut Vec<Event>) {
        let mut is_expected = false;
        for form in tuple.forms() {
            if !self.may_be_here(form) {
                continue;
            }
            if !self.knows_asker(form) {
                let rows = self.known.get(&form).map(Vec::as_slice).unwrap_or_default();
                is_expected |= rows.iter().any(|row| row.fits(since, None, SLACK));
            } else if self.adopt(form, id, since, None) {
                self.follows.insert(id, Follow::Joined(form));
                if !matches!(event.fact, Fact::ConnectionOpened(_)) {
                    self.joined(id, form, event, out);
                }
                return;
            }
        }
        let mut forms = tuple.forms();
        let is_over = forms.any(|form| self.ended.contains_key(&form) || self.known.contains_key(&form));
        if is_over && !is_expected && !begins_anew(&event) {
            // What comes after the end, as a reset for a socket that is gone, is no conversation of its own.
            self.follows.insert(id, Follow::Joined(tuple));
            return;
        }
        let mut waiting = Waiting {
            tuple,
            since,
            opened: None,
            facts: Vec::new(),
            closed: None,
        };
        match &event.fact {
            Fact::ConnectionClosed(_) => waiting.closed = Some(event),
            Fact::Protocol(_) => waiting.facts.push(event),
            _ => waiting.opened = Some(event),
        }
        self.follows.insert(id, Follow::Waiting(Box::new(waiting)));
        for form in tuple.forms() {
            self.waiting.entry(form).or_default().push(id);
        }
        self.waits += 1;
        self.patience.push_back((since, tuple, id));
        while self.waits > MOST_WAITING
            && let Some((_, tuple, id)) = self.patience.pop_front()
        {
            self.hurry(tuple, id, since, out);
        }
        for form in tuple.forms() {
            if let Some([oldest, others @ ..]) = self.waiting.get(&form).map(Vec::as_slice)
                && others.len() >= MOST_ALIKE
                && let Some(Follow::Waiting(waiting)) = self.follows.get(oldest)
            {
                self.hurry(waiting.tuple, *oldest, since, out);
            }
        }
    }

    /// Gives up before its time, for want of room.
    fn hurry(&mut self, tuple: Tuple, id: u64, now: Time, out: &mut Vec<Event>) {
        let before = self.waits;
        self.give_up(tuple, id, out);
        if self.waits < before {
            self.hurried = (self.hurried.0 + 1, now);
        }
    }

    fn joined(&mut self, id: u64, tuple: Tuple, event: Event, out: &mut Vec<Event>) {
        let rows = self
            .known
            .get_mut(&tuple)
            .map(Vec::as_mut_slice)
            .unwrap_or_default();
        match event.fact {
            Fact::Protocol(protocol) => {
                learn(rows, id, &protocol);
                let row = asker(rows, id).map(|known| Arc::clone(&known.connection));
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
                if tuple.is_of_datagrams() {
                    share(rows, id);
                }
                for known in rows {
                    if let Some((_, since)) = known.flow.take_if(|(flow, _)| *flow == id) {
                        known.name_by(&connection);
                        let last = turned(&connection, &known.connection);
                        let (since, past) = match known.past.take() {
                            Some((before, wire)) => (before, Some(wire)),
                            None => (since, None),
                        };
                        known.past = together(past, last).map(|wire| (since, wire));
                    }
                }
            }
            _ => {}
        }
    }

    /// Nobody's socket: it is told by itself from now on.
    fn give_up(&mut self, tuple: Tuple, id: u64, out: &mut Vec<Event>) {
        // The end that asked was never told of: the other one has the facts.
        let rows = tuple.forms().find(|form| self.may_be_here(*form));
        if let (Some(rows), Some(Follow::Waiting(waiting))) = (rows, self.follows.get(&id)) {
            let (since, until) = (waiting.since, waiting.until());
            let mut own = self.known.get(&rows).into_iter().flatten();
            if own.any(|row| row.fits(since, until, SLACK)) {
                self.promote(rows, Time(i64::MIN), Time(i64::MAX), out);
            }
        }
        let Some(waiting) = self.stop_waiting(id) else {
            return;
        };
        if waiting.closed.is_none() {
            self.follows.insert(id, Follow::Alone);
            self.alone.insert(tuple, id);
        } else {
            self.counts.packets_only += 1;
        }
        let told = waiting
            .opened
            .into_iter()
            .chain(waiting.facts)
            .chain(waiting.closed);
        out.extend(told.map(alone));
    }

    /// Time passes: everything that was captured before `now` has been read.
    pub(crate) fn tick(&mut self, now: Time, end: EndFlow<'_>, out: &mut Vec<Event>) {
        let (count, time) = std::mem::take(&mut self.hurried);
        if count > 0 {
            let gap = Gap {
                time,
                stage: Stage::Tables,
                count,
                reason: "too many conversations waited for their sockets: some were told without".into(),
            };
            out.push(Event::new(time, Fact::Gap(gap)));
        }
        // Where nobody looks, nobody needs to be waited for.
        let looked = self.looked;
        let is_late = |since: Time| {
            since.after(PATIENCE) <= now
                && (looked.is_none_or(|looked| looked >= since.after(LINGER))
                    || since.after(LONGEST_PATIENCE) <= now)
        };
        while let Some((_, tuple, id)) = self.patience.pop_front_if(|(since, ..)| is_late(*since)) {
            self.give_up(tuple, id, out);
        }
        while let Some((_, tuple, id)) = self.closing.pop_front_if(|(due, ..)| *due <= now) {
            self.tell_closed(tuple, id, end, out);
        }
        // Ends that are used again and again are many in the order and one in the map.
        let mut excess = self.ended_order.len().saturating_sub(MOST_ENDED);
        while let Some((until, tuple)) = self
            .ended_order
            .pop_front_if(|(until, _)| *until <= now || excess > 0)
        {
            excess = excess.saturating_sub(1);
            if self.ended.get(&tuple).is_some_and(|ended| ended.until == until) {
                self.ended.remove(&tuple);
            }
        }
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self, end: EndFlow<'_>, out: &mut Vec<Event>) {
        self.tick(Time(i64::MAX), end, out);
    }

    fn tell_closed(&mut self, tuple: Tuple, id: u64, end: EndFlow<'_>, out: &mut Vec<Event>) {
        let place = |rows: &[Known]| rows.iter().position(|known| known.connection.id == id);
        let row = self.known.get(&tuple).and_then(|rows| rows.get(place(rows)?));
        let life = row.map(|row| (row.began(), row.ended.unwrap_or(row.connection.seen)));
        if let Some((began, ended)) = life
            && self.may_be_here(tuple)
        {
            self.promote(tuple, began, ended, out);
        }
        let flow = self
            .known
            .get(&tuple)
            .and_then(|rows| rows.get(place(rows)?)?.flow);
        if let Some((flow, _)) = flow {
            let mut ended = Vec::new();
            end(flow, &mut ended);
            ended.into_iter().for_each(|event| self.flow(event, out));
        }
        let may_be_here = self.may_be_here(tuple);
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
        if known.past.is_some() {
            self.counts.together += 1;
        } else {
            self.counts.kernel_only += u64::from(self.is_here(&connection));
        }
        if let Some((_, mut wire)) = known.past {
            if known.is_shared {
                parts::count_by_kernel(&mut wire, &connection);
            }
            Arc::make_mut(&mut connection).wire = Some(wire);
        }
        let time = known.ended.unwrap_or(connection.seen);
        let until = time.after(ECHO);
        let ended = self.ended.entry(tuple).or_default();
        ended.until = until;
        if may_be_here {
            ended.note(tuple, &connection);
        }
        self.ended_order.push_back((until, tuple));
        out.push(Event::new(time, Fact::ConnectionClosed(connection)));
    }
}

/// The connection that an event is about.
fn connection_of(event: &Event) -> Option<&Arc<Connection>> {
    match &event.fact {
        Fact::ConnectionOpened(connection)
        | Fact::ConnectionUpdated(connection)
        | Fact::ConnectionClosed(connection) => Some(connection),
        Fact::Protocol(protocol) => Some(&protocol.connection),
        _ => None,
    }
}

/// Is it the beginning of a conversation, not the rest of one?
fn begins_anew(event: &Event) -> bool {
    let Fact::ConnectionOpened(connection) = &event.fact else {
        return false;
    };
    let is_tcp = connection.transport == Transport::Tcp;
    let history = connection.wire.as_ref().map(|wire| &*wire.history);
    // Of datagrams, an answer alone is late.
    history.is_some_and(|history| {
        if is_tcp {
            history.starts_with(['S', 's'])
        } else {
            !history.starts_with('^')
        }
    })
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

#[cfg(test)]
mod tests;
