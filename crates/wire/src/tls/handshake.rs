//! What both sides of a handshake say, put together: the same for TLS and DTLS.

use std::hash::BuildHasher;
use std::num::NonZero;

use atalaya_model::protocol::Tls;
use atalaya_model::protocol::tls::cipher_name;
use atalaya_model::{Message, Side, Span, Time};
use foldhash::fast::FixedState;

use super::certificate;
use super::cursor::Cursor;
use super::hello::{self, Carrier};
use crate::analyser::Said;

/// Letters of the history.
const HISTORY: usize = 32;
/// A handshake that has said nothing for so long is told as far as it came.
const PATIENCE: Span = Span(30_000_000);

/// A handshake in progress.
#[derive(Debug)]
pub(super) struct Handshake {
    carrier: Carrier,
    tls: Tls,
    began: Option<Time>,
    last: Time,
    client: Option<Side>,
    /// The session that the client would take up again.
    session: Option<NonZero<u64>>,
    history: History,
    /// Who has changed to encryption: source, destination.
    ready: [bool; 2],
    key_exchanged: bool,
    state: State,
}

/// What a session's number is known again by, `None` without one. Who makes up two numbers alike could as well say the
/// same number twice.
fn session(number: &[u8]) -> Option<NonZero<u64>> {
    NonZero::new(FixedState::default().hash_one(number)).filter(|_| !number.is_empty())
}

/// Letters, one for each message.
#[derive(Debug, Default)]
struct History {
    length: u8,
    letters: [u8; HISTORY],
}

impl History {
    fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(usize::from(self.length)) {
            *place = letter;
            self.length += 1;
        }
    }

    fn text(&self) -> &str {
        let letters = self.letters.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(letters).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// Nothing more can be learnt.
    Done,
    Told,
}

impl Handshake {
    pub(super) fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            tls: Tls {
                datagram: carrier == Carrier::Datagrams,
                ..Tls::default()
            },
            began: None,
            last: Time::default(),
            client: None,
            session: None,
            history: History::default(),
            ready: [false; 2],
            key_exchanged: false,
            state: State::Reading,
        }
    }

    /// Nothing more can be learnt.
    pub(super) fn is_done(&self) -> bool {
        self.state != State::Reading
    }

    /// Something was learnt and not told.
    pub(super) fn is_pending(&self) -> bool {
        self.began.is_some() && self.state != State::Told
    }

    /// Nothing was learnt.
    pub(super) fn is_empty(&self) -> bool {
        self.began.is_none()
    }

    /// What follows says nothing more.
    pub(super) fn give_up(&mut self) {
        if self.state == State::Reading {
            self.state = State::Done;
        }
    }

    /// Tells it if it is done.
    pub(super) fn tell(&mut self, out: &mut Vec<Said>) {
        if self.state != State::Done {
            return;
        }
        self.state = State::Told;
        let mut tls = std::mem::take(&mut self.tls);
        tls.history = self.history.text().into();
        if let Some(began) = self.began {
            out.push((began, Message::Tls(Box::new(tls))));
        }
    }

    /// Tells it if it is over, or was silent for too long.
    pub(super) fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if over || now.since(self.last) > PATIENCE {
            if self.is_pending() {
                self.give_up();
            }
            self.tell(out);
        }
    }

    fn note(&mut self, side: Side, letter: u8, time: Time) {
        self.began.get_or_insert(time);
        self.last = time;
        if usize::from(self.history.length) >= HISTORY {
            self.give_up();
            return;
        }
        let by_client = self.client.unwrap_or(Side::Source) == side;
        self.history.push(if by_client {
            letter
        } else {
            letter.to_ascii_lowercase()
        });
    }

    fn is_encrypted_at_once(&self) -> bool {
        let version = self.tls.server.as_ref().map_or(0, |server| server.version);
        is_version_13(version)
    }

    /// Handshake messages of this side are encrypted.
    pub(super) fn hides_messages(&self, side: Side) -> bool {
        self.ready[index(side)] && !self.is_encrypted_at_once()
    }

    /// One side changes to encryption.
    pub(super) fn change_cipher(&mut self, side: Side, time: Time) {
        if self.is_done() {
            return;
        }
        self.note(side, b'I', time);
        let by_server = self.client.is_some_and(|client| client != side);
        if by_server && !self.key_exchanged && !self.is_encrypted_at_once() && self.tls.server.is_some() {
            self.tls.resumed = true; // a full handshake would have exchanged keys before
        }
        self.ready[index(side)] = true;
    }

    /// One side sends an encrypted record.
    pub(super) fn encrypted(&mut self, side: Side) {
        if self.ready == [true; 2] && self.tls.server.is_some() {
            self.tls.established = true;
            self.give_up();
        } else if self.is_encrypted_at_once() {
            self.ready[index(side)] = true;
        }
    }

    /// An alert in the clear.
    pub(super) fn alert(&mut self, side: Side, level: u8, description: u8, time: Time) {
        if self.is_done() {
            return;
        }
        self.note(side, b'L', time);
        self.tls.alert = Some((level, description));
        if level == 2 {
            self.give_up();
        }
    }

    /// A message of the handshake, its body where it is wanted and was not too long.
    pub(super) fn message(&mut self, side: Side, kind: u8, body: Option<&[u8]>, time: Time) {
        if self.is_done() {
            return;
        }
        match kind {
            1 => self.turn(side),
            2 | 3 => self.turn(side.other()),
            _ => {}
        }
        let Some(letter) = letter(kind) else {
            self.give_up(); // no message of a handshake: the change to encryption was not seen
            return;
        };
        self.note(side, letter, time);
        match (kind, body) {
            (1, Some(body)) => self.client_hello(body),
            (2, Some(body)) => self.server_hello(body),
            (11, Some(body)) => self.certificates(side, body),
            (12, Some(body)) => self.server_key_exchange(body),
            (16, _) => self.key_exchanged = true,
            _ => {}
        }
    }

    /// A hello as SSL 2 began.
    pub(super) fn old_hello(&mut self, side: Side, body: &[u8], time: Time) {
        self.turn(side);
        self.note(side, b'C', time);
        self.tls.client = hello::old_client(body);
        self.tls.version = self.tls.client.as_ref().map(|client| client.version);
        if self.tls.version == Some(2) {
            self.give_up();
        }
    }

    /// Now it is known who is the client.
    fn turn(&mut self, client: Side) {
        if self.client.is_some() {
            return;
        }
        self.client = Some(client);
        if client == Side::Destination && self.history.length == 0 {
            self.history.push(b'^');
        }
    }

    fn client_hello(&mut self, body: &[u8]) {
        if self.tls.client.is_some() {
            self.tls.retried = true;
            return;
        }
        if let Some(client) = hello::client(body, self.carrier) {
            self.session = session(client.session);
            self.tls.version.get_or_insert(client.hello.version);
            self.tls.client = Some(client.hello);
        }
    }

    fn server_hello(&mut self, body: &[u8]) {
        let Some(server) = hello::server(body) else {
            return;
        };
        let version = server.hello.version;
        self.tls.version = Some(version);
        self.tls.curve = server.group;
        if server.is_retry {
            self.ready = [false; 2];
            self.tls.retried = true;
        } else if is_version_13(version) {
            self.tls.resumed = server.takes_key;
        } else {
            self.tls.resumed = self.session.is_some() && self.session == session(server.session);
        }
        self.tls.server = Some(server.hello);
    }

    fn certificates(&mut self, side: Side, body: &[u8]) {
        let chain = certificate::chain(body);
        if self.client.unwrap_or(Side::Source) == side {
            self.tls.client_certificates = chain;
        } else {
            self.tls.certificates = chain;
        }
    }

    /// RFC 8422 section 5.4: a named curve comes first.
    fn server_key_exchange(&mut self, body: &[u8]) {
        let cipher = self
            .tls
            .server
            .as_ref()
            .and_then(|server| cipher_name(server.cipher));
        if !cipher.is_some_and(|name| name.contains("ECDH")) {
            return;
        }
        let mut at = Cursor(body);
        if at.u8() == Some(3) {
            self.tls.curve = at.u16();
        }
    }
}

/// TLS 1.3 or one of its drafts: what follows the server's hello is encrypted.
const fn is_version_13(version: u16) -> bool {
    matches!(version, 0x0304 | 0x7f00..=0x7fff | 0xfb00..=0xfbff | 0xfefc)
}

const fn index(side: Side) -> usize {
    match side {
        Side::Source => 0,
        Side::Destination => 1,
    }
}

/// The letter of a kind of message in the history: those of Zeek's `ssl_history`.
const fn letter(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => b'H',
        1 => b'C',
        2 => b'S',
        3 => b'V',
        4 => b'T',
        5 => b'E',
        6 => b'J',
        8 => b'O',
        11 => b'X',
        12 => b'K',
        13 => b'R',
        14 => b'N',
        15 => b'Y',
        16 => b'G',
        20 => b'F',
        21 => b'W',
        22 => b'U',
        23 => b'A',
        24 => b'P',
        25 => b'Z',
        67 => b'Z',
        254 => b'M',
        _ => return None,
    })
}
