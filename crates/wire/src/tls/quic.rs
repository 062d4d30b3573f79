//! QUIC (RFC 9000, 9001, 9369; drafts from 21 on; Google's own before): Initial packets are opened, and the hellos in
//! them read. The rest of a conversation is only counted.

mod google;
mod keys;
mod packet;

use atalaya_model::protocol::Quic;
use atalaya_model::{Application, Message, Side, Span, Time};

use self::keys::Keys;
use self::packet::{Frame, Kind, Long};
use super::cursor::Cursor;
use super::fingerprint::hexadecimal;
use super::hello::{self, Carrier};
use super::pieces::Pieces;
use crate::analyser::{Analyser, Appetite, Guess, Limits, Opening, Over, Piece, Said};

const Q050: u32 = u32::from_be_bytes(*b"Q050");
const T050: u32 = u32::from_be_bytes(*b"T050");
const T051: u32 = u32::from_be_bytes(*b"T051");

/// Bytes of one side's handshake.
const HANDSHAKE: usize = 32 << 10;
/// Letters of the history.
const HISTORY: usize = 100;
/// Short packets of one side after which it is told: until then its history grows.
const SHORT: u32 = 512;
/// Time after which it is told.
const PATIENCE: Span = Span(5_000_000);

/// Reads one QUIC conversation.
struct Reader {
    quic: Quic,
    began: Option<Time>,
    client: Option<Side>,
    state: State,
    lanes: [Lane; 2],
    history: String,
}

enum State {
    /// Hellos may still come; keys as soon as an Initial packet could be opened.
    Opening(Option<Box<Keys>>),
    /// Both have said hello, or their hellos cannot be read.
    Open,
    Told,
}

/// What one side sends.
#[derive(Default)]
struct Lane {
    handshake: Pieces,
    /// Bytes of it that have been read.
    read: usize,
    short: u32,
}

pub(super) fn make(_: &Limits) -> Box<dyn Analyser> {
    Box::new(Reader {
        quic: Quic::default(),
        began: None,
        client: None,
        state: State::Opening(None),
        lanes: [Lane::default(), Lane::default()],
        history: String::new(),
    })
}

/// Versions whose packets look like those of RFC 9000.
fn is_known(version: u32) -> bool {
    matches!(
        version,
        1 | 0x6b33_43cf | 0xff00_0015..=0xff00_0022 | 0xface_b001..=0xface_b013 | Q050 | T050 | T051
    )
}

/// Versions that may be offered only to keep servers tolerant (RFC 9000 section 15).
const fn is_grease(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

const fn lane_of(lanes: &mut [Lane; 2], side: Side) -> &mut Lane {
    let [source, destination] = lanes;
    match side {
        Side::Source => source,
        Side::Destination => destination,
    }
}

impl Reader {
    fn note(&mut self, side: Side, letter: char) {
        if self.history.len() < HISTORY {
            let by_client = self.client.unwrap_or(Side::Source) == side;
            self.history.push(if by_client {
                letter
            } else {
                letter.to_ascii_lowercase()
            });
        }
    }

    const fn lane(&mut self, side: Side) -> &mut Lane {
        lane_of(&mut self.lanes, side)
    }

    fn datagram(&mut self, side: Side, data: &[u8]) {
        let mut at = Cursor(data);
        while let Some(&first) = at.0.first() {
            let is_first = at.0.len() == data.len();
            if is_first && let Some((version, id)) = google::head(at.0) {
                self.google(side, version, id, at.0);
                return;
            }
            if let Some((version, id)) = google::long_head(at.0) {
                self.google(side, version, id, at.0);
                return;
            }
            if first & 0x80 == 0 || (first & 0x40 == 0 && !is_first) {
                if first & 0x40 == 0 {
                    self.note(side, 'X');
                } else {
                    self.short(side);
                }
                return;
            }
            let Some(packet) = packet::long(&mut at, is_known) else {
                return;
            };
            self.long(side, &packet);
        }
    }

    /// Short packets are noted when they are the first, second, fourth and so on: so does Zeek.
    fn short(&mut self, side: Side) {
        let lane = self.lane(side);
        lane.short = lane.short.saturating_add(1);
        if lane.short.is_power_of_two() {
            self.note(side, 'O');
        }
    }

    fn long(&mut self, side: Side, packet: &Long<'_>) {
        match packet.kind {
            Kind::Unknown => {
                if self.quic.version == 0 && packet.version != 0 {
                    self.begin(packet);
                }
                self.note(side, 'U');
            }
            Kind::Early => self.note(side, 'Z'),
            Kind::Handshake => self.note(side, 'H'),
            Kind::Retry => self.note(side, 'R'),
            Kind::Initial => self.initial(side, packet),
        }
    }

    /// The first packet of the client.
    fn begin(&mut self, packet: &Long<'_>) {
        self.quic.version = packet.version;
        self.quic.client_initial_destination = hexadecimal(packet.destination);
        self.quic.client_connection = hexadecimal(packet.source);
    }

    fn initial(&mut self, side: Side, packet: &Long<'_>) {
        if self.client.is_none() || (self.quic.client.is_none() && self.client == Some(side)) {
            // A client's first packet, or one that says hello again in another version.
            if self.client.is_none() || self.quic.version != packet.version {
                self.begin(packet);
            }
            self.client = Some(side);
        }
        self.note(side, 'I');
        let by_client = self.client == Some(side);
        if !by_client && self.quic.server_connection.is_empty() {
            self.quic.server_connection = hexadecimal(packet.source);
        }
        let State::Opening(keys) = &mut self.state else {
            return;
        };
        let mut bytes = packet.bytes.to_vec();
        let own = |keys: &mut Keys, bytes: &mut Vec<u8>| {
            let key = if by_client { &keys.client } else { &keys.server };
            key.open(bytes, packet.number_at).map(<[u8]>::to_vec)
        };
        let mut payload = keys.as_mut().and_then(|keys| own(keys, &mut bytes));
        if payload.is_none() && by_client {
            // The first one; or the server asked for another destination (Retry).
            bytes = packet.bytes.to_vec();
            if let Some(mut made) = Keys::new(packet.version, packet.destination) {
                payload = own(&mut made, &mut bytes);
                if payload.is_some() {
                    *keys = Some(Box::new(made));
                }
            }
        }
        if let Some(payload) = payload {
            self.frames(side, packet.version, &payload);
        }
    }

    fn frames(&mut self, side: Side, version: u32, payload: &[u8]) {
        if version == Q050 {
            self.google_hello(side, version, payload);
            return;
        }
        let mut at = Cursor(payload);
        while let Some(frame) = packet::frame(&mut at) {
            match frame {
                Frame::Crypto { offset, data } => {
                    self.lane(side).handshake.add(offset, data, HANDSHAKE);
                }
                Frame::Close => self.note(side, 'C'),
                Frame::Other => {}
            }
        }
        self.messages(side);
    }

    /// Reads the messages that are whole now.
    fn messages(&mut self, side: Side) {
        loop {
            let Self { quic, lanes, .. } = self;
            let lane = lane_of(lanes, side);
            let mut at = Cursor(lane.handshake.whole().get(lane.read..).unwrap_or_default());
            let (Some(kind), Some(body)) = (at.u8(), at.longer()) else {
                return;
            };
            lane.read += body.len() + 4;
            let done = match kind {
                1 if quic.client.is_none() => {
                    quic.client = hello::client(body, Carrier::Quic).map(|client| client.hello);
                    false
                }
                2 => {
                    let server = hello::server(body);
                    let done = server.as_ref().is_some_and(|server| !server.is_retry);
                    if let Some(server) = server {
                        quic.curve = server.group;
                        quic.resumed = server.takes_key;
                        quic.server = Some(server.hello);
                    }
                    done
                }
                _ => false,
            };
            if matches!(kind, 1 | 2) {
                self.note(side, 'S');
            }
            if done {
                self.state = State::Open;
                self.lanes
                    .iter_mut()
                    .for_each(|lane| lane.handshake = Pieces::default());
                return;
            }
        }
    }

    fn google(&mut self, side: Side, version: u32, id: &[u8], bytes: &[u8]) {
        if self.quic.version == 0 {
            self.quic.version = version;
            self.quic.client_initial_destination = hexadecimal(id);
        }
        self.note(side, 'I');
        self.google_hello(side, version, bytes);
    }

    fn google_hello(&mut self, side: Side, version: u32, payload: &[u8]) {
        if self.quic.client.is_none()
            && let Some(hello) = google::hello(version, payload)
        {
            self.client = Some(side);
            self.quic.client = Some(hello.client);
            self.quic.cyu = Some(hello.cyu);
            self.note(side, 'S');
        }
    }

    fn tell(&mut self, out: &mut Vec<Said>) {
        if let (Some(began), false) = (self.began, matches!(self.state, State::Told)) {
            let mut quic = std::mem::take(&mut self.quic);
            quic.history = std::mem::take(&mut self.history).into_boxed_str();
            if quic.version != 0 {
                out.push((began, Message::Quic(Box::new(quic))));
            }
        }
        self.state = State::Told;
    }

    fn is_late(&self, now: Time) -> bool {
        self.began.is_some_and(|began| now.since(began) > PATIENCE)
    }
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        Application::Quic
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        if matches!(self.state, State::Told) {
            return Appetite::Enough;
        }
        self.began.get_or_insert(piece.time);
        self.datagram(piece.side, piece.data);
        if self.is_late(piece.time) || self.lanes.iter().any(|lane| lane.short >= SHORT) {
            self.tell(out);
            return Appetite::Enough;
        }
        Appetite::More
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if over || self.is_late(now) {
            self.tell(out);
        }
    }

    fn is_waiting(&self) -> bool {
        self.began.is_some() && !matches!(self.state, State::Told)
    }
}

/// Ports of HTTP/3 and DNS.
pub(super) const PORTS: &[u16] = &[443, 784, 853, 4433, 4443, 8443, 8853];

/// Bytes that a client's first datagram has at least (RFC 9000 section 14.1).
const FIRST: usize = 1200;

/// A long head of a version that is known, or of another on QUIC's own ports; or one of Google's.
pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    let data = opening.data;
    if opening.over != Over::Datagrams {
        return Guess::No;
    }
    if google::head(data).is_some() {
        return Guess::Yes;
    }
    let &[first @ 0x80..=0xff, a, b, c, d, ..] = data else {
        return Guess::No;
    };
    let version = u32::from_be_bytes([a, b, c, d]);
    if google::long_head(data).is_some() {
        return Guess::Yes;
    }
    let known = is_known(version) || is_grease(version);
    // DNSCrypt is on the same ports; its first question is plain DNS: one question, no answer.
    let is_dns = matches!(data, [_, _, _, _, 0, 1, 0, 0, ..]);
    let usual = PORTS.contains(&opening.destination_port) && opening.side == Side::Source;
    let plausible = usual && first & 0x40 != 0 && data.len() >= FIRST && !is_dns;
    let fits = (known && version != 1) || (version == 1 && first & 0x40 != 0) || plausible;
    let reads = || {
        packet::long(&mut Cursor(data), is_known).is_some_and(|long| version != 1 || !long.bytes.is_empty())
    };
    if fits && version != 0 && reads() {
        Guess::Yes
    } else {
        Guess::No
    }
}
