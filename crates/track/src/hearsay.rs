//! What other sensors told: the lines of their logs become the events of a watch.
//!
//! A log tells of a conversation once, when it is over, and of what was said in it before; both name it by the same
//! word. Here the conversation opens and closes at its own times, and what is said in between belongs to it. What is
//! said in a conversation that no log tells of (or not yet) opens one by itself, which ends when nothing more is heard.

use std::sync::Arc;

use atalaya_model::{
    Connection, ConnectionState, Event, Fact, Gap, Message, NameSource, Outcome, Protocol, SocketState, Span,
    Stage, Time, Transport, Wire,
};
use foldhash::HashMap;

use crate::flows::{Talk, turn};
use crate::tracker::Tracker;

/// Conversations that are known by their words at once; what is said in more is told without them, and counted.
const MOST: usize = 262_144;
/// A conversation of which no log tells is over when nothing was heard for so long.
const SILENT: Span = Span::from_seconds(60);
/// The same where logs tell of conversations, and there is room: its line may come when it is over.
const EXPECTED: Span = Span::from_seconds(86_400);

/// Conversations that are open, by the words that name them.
#[derive(Debug, Default)]
pub(crate) struct Hearsay {
    open: HashMap<Box<str>, Known>,
    /// Logs tell of conversations, not only of what was said in them.
    is_told: bool,
    swept: Time,
    /// What was said without a place for its conversation, since the last gap.
    homeless: u64,
}

#[derive(Debug)]
struct Known {
    connection: Arc<Connection>,
    talk: Talk,
    /// When something was heard last, of one that no log told of.
    concluded: Option<Time>,
}

impl Tracker {
    /// Gives a conversation of another sensor a number, and what follows from its addresses.
    pub fn introduce(&mut self, connection: &mut Connection) {
        connection.id = self.next_id();
        let (side, direction, scope) = turn(
            connection.source.ip,
            connection.destination.ip,
            &self.options.networks,
        );
        if side != connection.side
            && let Some(traffic) = &mut connection.traffic
        {
            std::mem::swap(&mut traffic.sent_bytes, &mut traffic.received_bytes);
            std::mem::swap(&mut traffic.sent_packets, &mut traffic.received_packets);
        }
        (connection.side, connection.direction, connection.scope) = (side, direction, scope);
        self.atlas.note(connection);
        connection.service = self.service(connection.transport, connection.destination.port);
    }

    /// A conversation began: as it is known at its end.
    pub fn heard_opening(&mut self, time: Time, uid: &str, last: &Connection, out: &mut Vec<Event>) {
        self.hearsay.is_told = true;
        if let Some(known) = self.hearsay.open.get_mut(uid)
            && known.concluded.take().is_some()
        {
            return; // what was said in it came first
        }
        let connection = self.opening(last);
        let connection = Arc::new(connection);
        out.push(Event::new(time, Fact::ConnectionOpened(connection.clone())));
        self.remember(uid, connection, None);
    }

    /// Something was said; `time` is when it was over, `began` when it began.
    pub fn heard_saying(
        &mut self,
        (time, began): (Time, Time),
        uid: &str,
        mut connection: Connection,
        message: Message,
        out: &mut Vec<Event>,
    ) {
        if let Message::Dns(dns) = &message {
            self.names.learn(connection.source.ip, dns, time);
        }
        if !self.hearsay.open.contains_key(uid) {
            self.introduce(&mut connection);
            let opening = Arc::new(self.opening(&connection));
            if self.remember(uid, opening.clone(), Some(time)) {
                out.push(Event::new(time, Fact::ConnectionOpened(opening)));
            } else {
                self.hearsay.homeless += 1;
                connection = Arc::unwrap_or_clone(opening);
            }
        }
        let connection = match self.hearsay.open.get_mut(uid) {
            Some(known) => {
                known.talk.note(&message);
                if let Some(last) = &mut known.concluded {
                    *last = time.max(*last);
                }
                known.connection.clone()
            }
            None => Arc::new(connection),
        };
        let protocol = Protocol {
            time: began,
            connection,
            message,
        };
        out.push(Event::new(time, Fact::Protocol(Arc::new(protocol))));
    }

    /// A conversation ended.
    pub fn heard_end(&mut self, time: Time, uid: &str, last: &Connection, out: &mut Vec<Event>) {
        let mut connection = last.clone();
        if let Some(known) = self.hearsay.open.remove(uid) {
            connection.id = known.connection.id;
            name(&mut connection, &known);
            let Known { talk, .. } = known;
            let said = talk.tls.is_some() || talk.http.is_some() || talk.ssh.is_some();
            if said && let Some(wire) = &mut connection.wire {
                (wire.tls, wire.ssh) = (talk.tls, talk.ssh);
                wire.http = talk.http.map(|asked| Arc::new(asked.http()));
            }
        }
        out.push(Event::new(time, Fact::ConnectionClosed(Arc::new(connection))));
    }

    /// Time passes: conversations of which nothing more is heard end. With `None`, all of them.
    pub fn heard_nothing(&mut self, time: Option<Time>, out: &mut Vec<Event>) {
        if let Some(time) = time {
            if time.since(self.hearsay.swept) < SILENT {
                return;
            }
            self.hearsay.swept = time;
        }
        let silent = match self.hearsay.is_told && self.hearsay.open.len() < MOST / 2 {
            true => EXPECTED,
            false => SILENT,
        };
        let is_over = |last: Time| time.is_none_or(|time| time.since(last) >= silent);
        let over = self
            .hearsay
            .open
            .extract_if(|_, known| known.concluded.is_some_and(is_over));
        let mut ended: Vec<_> = over
            .filter_map(|(_, known)| Some((known.concluded?, known)))
            .map(|(last, known)| {
                let mut connection = Connection::clone(&known.connection);
                name(&mut connection, &known);
                let Talk { tls, http, ssh, .. } = known.talk;
                connection.wire = Some(Box::new(Wire {
                    state: ConnectionState::OTH,
                    tls,
                    http: http.map(|asked| Arc::new(asked.http())),
                    ssh,
                    ..Wire::default()
                }));
                (connection.seen, connection.ended) = (last, Some(last));
                Event::new(last, Fact::ConnectionClosed(Arc::new(connection)))
            })
            .collect();
        ended.sort_by_key(|event| event.time);
        let homeless = std::mem::take(&mut self.hearsay.homeless);
        let now = time
            .or_else(|| ended.last().map(|event| event.time))
            .unwrap_or(self.last_tick);
        out.append(&mut ended);
        if homeless > 0 {
            let gap = Gap {
                time: now,
                stage: Stage::Tables,
                count: homeless,
                reason: "the table of conversations is full: what was said in more stands alone".into(),
            };
            out.push(Event::new(now, Fact::Gap(gap)));
        }
    }

    /// A conversation as it was when it began.
    fn opening(&self, last: &Connection) -> Connection {
        let name = self.names.seen(last.source.ip, last.destination.ip, last.started);
        let (name, name_source) = name.unzip();
        Connection {
            seen: last.started,
            ended: None,
            state: match last.transport {
                Transport::Tcp if last.outcome.is_failure() => SocketState::SynSent,
                _ => SocketState::Established,
            },
            traffic: last.traffic.map(|_| Default::default()),
            outcome: Outcome::Unknown,
            name,
            name_source,
            wire: None,
            ..last.clone()
        }
    }

    /// False where there is no room, or nothing to remember it by.
    fn remember(&mut self, uid: &str, connection: Arc<Connection>, concluded: Option<Time>) -> bool {
        if uid.is_empty() || self.hearsay.open.len() >= MOST {
            return false;
        }
        let known = Known {
            connection,
            talk: Talk::default(),
            concluded,
        };
        self.hearsay.open.insert(uid.into(), known);
        true
    }
}

/// Calls a conversation by the name that was known when it began, or by what was said in it.
fn name(connection: &mut Connection, known: &Known) {
    let asked = known.connection.name.clone().zip(known.connection.name_source);
    let (name, source): (Option<_>, Option<NameSource>) = asked.or_else(|| known.talk.name.clone()).unzip();
    connection.name = name;
    connection.name_source = source;
}

#[cfg(test)]
mod tests {
    use atalaya_model::protocol::Http;
    use atalaya_model::{Direction, Endpoint, Scope, Side, connection::Traffic};

    use super::*;
    use crate::Options;

    fn at(seconds: i64) -> Time {
        Time::from_seconds(1_700_000_000 + seconds)
    }

    fn conversation(source: &str, destination: &str, seconds: i64) -> Connection {
        let end = |text: &str, port| Endpoint::new(text.parse().unwrap(), port);
        Connection {
            seen: at(seconds),
            ended: Some(at(seconds)),
            scope: Scope::External,
            state: SocketState::Close,
            traffic: Some(Traffic {
                sent_bytes: 7,
                received_bytes: 9,
                ..Traffic::default()
            }),
            outcome: Outcome::Finished,
            wire: Some(Box::default()),
            ..Connection::bare(at(0), Transport::Tcp, end(source, 40_000), end(destination, 80))
        }
    }

    fn request() -> Message {
        Message::Http(Box::new(Http {
            host: Some("shop.example:80".into()),
            ..Http::default()
        }))
    }

    fn kinds(events: &[Event]) -> Vec<&'static str> {
        events.iter().map(|event| event.fact.action()).collect()
    }

    #[test]
    fn a_line_that_comes_late_belongs_to_what_was_said() {
        let mut tracker = Tracker::new(Options::new(at(0)));
        let mut events = Vec::new();
        let other = conversation("10.0.0.2", "198.51.100.7", 1);
        tracker.heard_opening(at(0), "other", &other, &mut events);
        events.clear();
        let carrier = conversation("10.0.0.1", "198.51.100.7", 0);
        tracker.heard_saying((at(1), at(1)), "C1", carrier, request(), &mut events);
        tracker.heard_nothing(Some(at(3_600)), &mut events);
        let mut last = conversation("10.0.0.1", "198.51.100.7", 3_500);
        tracker.introduce(&mut last);
        tracker.heard_opening(at(3_600), "C1", &last, &mut events);
        tracker.heard_end(at(3_600), "C1", &last, &mut events);
        tracker.heard_nothing(None, &mut events);
        assert_eq!(
            kinds(&events),
            ["connection_opened", "protocol_spoken", "connection_closed"]
        );
        let (Fact::ConnectionOpened(opened), Fact::ConnectionClosed(closed)) =
            (&events[0].fact, &events[2].fact)
        else {
            panic!()
        };
        assert_eq!(opened.id, closed.id);
        assert_eq!(closed.name.as_deref(), Some("shop.example"));
        assert!(closed.wire.as_ref().unwrap().http.is_some());
        assert_eq!(closed.direction, Direction::Outbound);
    }

    #[test]
    fn what_is_said_alone_ends_when_it_falls_silent() {
        let mut tracker = Tracker::new(Options::new(at(0)));
        let mut events = Vec::new();
        let carrier = conversation("10.0.0.1", "198.51.100.7", 0);
        tracker.heard_saying((at(1), at(1)), "C1", carrier.clone(), request(), &mut events);
        tracker.heard_saying((at(50), at(50)), "C1", carrier, request(), &mut events);
        tracker.heard_nothing(Some(at(100)), &mut events);
        assert_eq!(events.len(), 3);
        tracker.heard_nothing(Some(at(200)), &mut events);
        assert_eq!(events[3].fact.action(), "connection_closed");
        assert_eq!(events[3].time, at(50));
    }

    #[test]
    fn bytes_turn_with_the_side() {
        let mut tracker = Tracker::new(Options::new(at(0)));
        let mut inbound = conversation("198.51.100.7", "10.0.0.1", 1);
        tracker.introduce(&mut inbound);
        assert_eq!(
            (inbound.side, inbound.direction),
            (Side::Destination, Direction::Inbound)
        );
        // The source sent 7 bytes, whoever observes it.
        assert_eq!(inbound.bytes(), Some((7, 9)));
        assert_eq!(inbound.service.as_deref(), Some("http"));
    }
}
