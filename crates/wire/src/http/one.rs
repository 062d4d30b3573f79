//! HTTP/1 (RFC 9112) on a stream: requests and responses, paired in the order in which they come.
//!
//! Heads are read line by line, in place where a line is whole; bodies are skipped by arithmetic. After a gap that a
//! body's length does not cover, a side is lost until one of its pieces begins like a head.

use std::collections::VecDeque;

use atalaya_model::{Application, Side, Time};
use memchr::memchr;

use super::body::{Body, Sample};
use super::exchange::{Exchange, Method};
use super::head::{field, request_line, status_line};
use crate::analyser::{Analyser, Appetite, Limits, Piece, Said};
use crate::shared::shared;

/// Longest line that is kept, in bytes; the rest of a longer one is left out.
const LINE: usize = 8_192;
/// Most requests that wait for a response: the oldest is told without one.
const PENDING: usize = 64;

/// Reads HTTP/1 in one conversation. Most connections are idle most of the time: then it is small.
pub(super) struct One {
    /// Before the exchange in which it is.
    known: Known,
    /// In an exchange, or lost.
    busy: Option<Box<Reader>>,
}

/// What is known from one exchange to the next.
#[derive(Clone, Copy)]
struct Known {
    query_strings: bool,
    /// Who asks: found out by the first line.
    client: Option<Side>,
    /// Requests so far.
    depth: u32,
}

/// Reads exchanges.
struct Reader {
    known: Known,
    asking: Lane,
    answering: Lane,
    /// Requests whose responses have not ended, the oldest first.
    pending: VecDeque<Exchange>,
    is_websocket: bool,
    /// Time of the piece that is read.
    now: Time,
}

/// One direction.
#[derive(Default)]
struct Lane {
    phase: Phase,
    /// The begin of a line whose end has not come.
    held: Vec<u8>,
    body: Body,
    /// It was lost before: what comes next may not answer the oldest request.
    was_lost: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// A first line comes next.
    #[default]
    Start,
    /// Fields come next.
    Fields,
    /// So many bytes of body.
    Exactly(u64),
    /// Body until the connection closes.
    UntilClose,
    /// The line with a chunk's size.
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The empty line after a chunk.
    ChunkEnd,
    /// Fields after the last chunk.
    Trailers,
    /// Nobody knows where a head begins.
    Lost,
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

impl One {
    /// A reader.
    pub(super) fn boxed(limits: &Limits) -> Box<dyn Analyser> {
        let known = Known {
            query_strings: limits.query_strings,
            client: None,
            depth: 0,
        };
        Box::new(Self { known, busy: None })
    }

    /// The reader, which is made where there is none.
    fn wake(&mut self) -> &mut Reader {
        self.busy.get_or_insert_with(|| Box::new(Reader::new(self.known)))
    }

    /// Lets go of the reader where it keeps nothing.
    fn rest(&mut self) {
        if let Some(reader) = self.busy.take_if(|reader| reader.is_idle()) {
            self.known = reader.known;
        }
    }
}

impl Reader {
    fn new(known: Known) -> Self {
        Self {
            known,
            asking: Lane::default(),
            answering: Lane::default(),
            pending: VecDeque::new(),
            is_websocket: false,
            now: Time::default(),
        }
    }

    /// A new one would read what comes next as well.
    fn is_idle(&self) -> bool {
        let is_idle = |lane: &Lane| lane.phase == Phase::Start && lane.held.is_empty() && !lane.was_lost;
        self.pending.is_empty() && !self.is_websocket && is_idle(&self.asking) && is_idle(&self.answering)
    }

    /// What this side is. The first piece tells: only servers begin with a status line.
    fn role(&mut self, side: Side, data: &[u8]) -> Role {
        let client = *self.known.client.get_or_insert_with(|| {
            let is_status = data.starts_with(b"HTTP/") || data.starts_with(b"ICY ");
            if is_status { side.other() } else { side }
        });
        if side == client {
            Role::Client
        } else {
            Role::Server
        }
    }

    fn lane(&mut self, role: Role) -> &mut Lane {
        match role {
            Role::Client => &mut self.asking,
            Role::Server => &mut self.answering,
        }
    }

    /// A side that was lost finds its way where a piece begins like a head.
    fn resume(&mut self, role: Role, data: &[u8]) {
        let waits = self.pending.len();
        let lane = self.lane(role);
        let is_open = match lane.phase {
            Phase::Lost => true,
            // A server that goes on though it said nothing of the body's end.
            Phase::UntilClose => waits > 1,
            _ => false,
        };
        if !is_open {
            return;
        }
        let line = first_line(data);
        let is_head = match role {
            Role::Client => request_line(line).is_some_and(|line| line.version != 9),
            Role::Server => status_line(line).is_some(),
        };
        if is_head {
            lane.held = Vec::new();
            lane.phase = Phase::Start;
        }
    }

    /// The exchange whose body or head this side is in.
    fn current(&mut self, role: Role) -> Option<&mut Exchange> {
        match role {
            Role::Client => self.pending.back_mut().filter(|exchange| !exchange.is_asked),
            Role::Server => self.pending.front_mut(),
        }
    }

    /// Reads a line without its line feed; what follows may be another protocol.
    fn line(
        &mut self,
        role: Role,
        line: &[u8],
        time: Time,
        out: &mut Vec<Said>,
    ) -> Option<Option<Application>> {
        let line = &line[..line.len().min(LINE)];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.lane(role).phase {
            Phase::Start if line.is_empty() => {}
            Phase::Start => match role {
                Role::Client => self.begin_request(line, time, out),
                Role::Server => self.begin_response(line, time, out),
            },
            Phase::Fields if line.is_empty() => match role {
                Role::Client => self.end_request_head(out),
                Role::Server => return self.end_response_head(out),
            },
            Phase::Fields => self.field(role, line),
            Phase::ChunkSize => self.chunk(role, line, out),
            Phase::ChunkEnd => self.lane(role).phase = Phase::ChunkSize,
            Phase::Trailers if line.is_empty() => self.end_body(role, out),
            _ => {}
        }
        None
    }

    fn begin_request(&mut self, line: &[u8], time: Time, out: &mut Vec<Said>) {
        let Some(line) = request_line(line) else {
            self.asking.lose();
            return;
        };
        if self.pending.len() >= PENDING {
            self.tell_oldest(out);
        }
        self.known.depth = self.known.depth.saturating_add(1);
        self.pending.push_back(Exchange::new(
            time,
            self.known.depth,
            &line,
            self.known.query_strings,
        ));
        self.asking.phase = Phase::Fields;
        self.asking.body = Body::default();
    }

    fn begin_response(&mut self, line: &[u8], time: Time, out: &mut Vec<Said>) {
        let Some(line) = status_line(line) else {
            self.answering.lose();
            return;
        };
        if std::mem::take(&mut self.answering.was_lost) {
            // Nobody knows how many responses are missing: who does not pipeline waits for the last only.
            while self.pending.len() > 1 {
                self.tell_oldest(out);
            }
        }
        if self.pending.front().is_some_and(|oldest| oldest.is_answering) {
            self.tell_oldest(out);
        }
        if self.pending.is_empty() {
            self.known.depth = self.known.depth.saturating_add(1);
            self.pending.push_back(Exchange::unasked(time, self.known.depth));
        }
        if let Some(oldest) = self.pending.front_mut() {
            oldest.answer(&line);
        }
        self.answering.phase = Phase::Fields;
        self.answering.body = Body::default();
    }

    fn field(&mut self, role: Role, line: &[u8]) {
        let Some((name, value)) = field(line) else {
            return;
        };
        let query_strings = self.known.query_strings;
        self.lane(role).body.field(name, value);
        match (role, self.current(role)) {
            (Role::Client, Some(exchange)) => exchange.request_field(name, value, query_strings),
            (Role::Server, Some(exchange)) if exchange.is_answering => exchange.response_field(name, value),
            _ => {}
        }
    }

    fn end_request_head(&mut self, out: &mut Vec<Said>) {
        let body = &mut self.asking.body;
        let request = self.pending.back();
        if request.is_some_and(|request| is_form(request.http.request_type.as_deref())) {
            body.sample = Sample::Done;
        }
        self.asking.phase = match (body.is_chunked, body.length) {
            (true, _) => Phase::ChunkSize,
            (false, Some(length @ 1..)) => Phase::Exactly(length),
            _ => return self.end_body(Role::Client, out),
        };
    }

    fn end_response_head(&mut self, out: &mut Vec<Said>) -> Option<Option<Application>> {
        let body = &self.answering.body;
        let Some(oldest) = self.pending.front() else {
            self.answering.lose();
            return None;
        };
        if !oldest.is_answering {
            // An interim response: the final one follows.
            self.answering.phase = Phase::Start;
            return None;
        }
        let status = oldest.http.status.unwrap_or_default();
        if oldest.method == Method::Connect && (200..300).contains(&status) {
            return self.change("connect", None, out);
        }
        if status == 101 {
            return match oldest.http.upgraded.as_deref() {
                Some(name) if name.eq_ignore_ascii_case("websocket") => {
                    self.is_websocket = true;
                    self.change("websocket", Some(Application::WebSocket), out)
                }
                Some(name) if name.eq_ignore_ascii_case("h2c") => {
                    self.change("h2c", Some(Application::Http2), out)
                }
                _ => self.change("other", None, out),
            };
        }
        let is_bodiless = oldest.method == Method::Head || matches!(status, 204 | 304);
        self.answering.phase = match (is_bodiless, body.is_chunked, body.length) {
            (true, ..) | (_, false, Some(0)) => {
                self.end_body(Role::Server, out);
                return None;
            }
            (_, true, _) => Phase::ChunkSize,
            (_, false, Some(length)) => Phase::Exactly(length),
            (_, false, None) => Phase::UntilClose,
        };
        None
    }

    /// What follows is another protocol.
    fn change(
        &mut self,
        name: &str,
        application: Option<Application>,
        out: &mut Vec<Said>,
    ) -> Option<Option<Application>> {
        if let Some(oldest) = self.pending.front_mut() {
            oldest.http.upgraded.get_or_insert_with(|| name.into());
        }
        self.tell_all(out);
        Some(application)
    }

    fn chunk(&mut self, role: Role, line: &[u8], out: &mut Vec<Said>) {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&line[..digits]).unwrap_or_default();
        match u64::from_str_radix(size, 16) {
            Ok(0) => self.lane(role).phase = Phase::Trailers,
            Ok(size) => self.lane(role).phase = Phase::Chunk(size),
            Err(_) => self.lose(role, out),
        }
    }

    /// Counts the next bytes of a body.
    fn body(&mut self, role: Role, data: &[u8]) {
        let bytes = data.len() as u64;
        let sniffed = self.lane(role).body.read(data);
        let Some(exchange) = self.current(role) else {
            return;
        };
        let http = &mut exchange.http;
        match role {
            Role::Client => http.request_bytes += bytes,
            Role::Server => http.response_bytes += bytes,
        }
        if let Some(name) = sniffed {
            match role {
                Role::Client => http.request_mime = Some(shared(name)),
                Role::Server => http.response_mime = Some(shared(name)),
            }
        }
    }

    /// A message has ended.
    fn end_body(&mut self, role: Role, out: &mut Vec<Said>) {
        self.close_body(role);
        let lane = self.lane(role);
        lane.phase = Phase::Start;
        if let Some(exchange) = self.current(role) {
            match role {
                Role::Client => exchange.is_asked = true,
                Role::Server => exchange.is_answered = true,
            }
        }
        while self
            .pending
            .front()
            .is_some_and(|oldest| oldest.is_asked && oldest.is_answered)
        {
            self.tell_oldest(out);
        }
    }

    /// What a body's end, or its loss, says of it.
    fn close_body(&mut self, role: Role) {
        let lane = self.lane(role);
        let message = lane.body.message();
        let (sniffed, decoded) = (lane.body.end(), lane.body.decoded());
        let now = self.now;
        let Some(exchange) = self.current(role) else {
            return;
        };
        if let Some(message) = message {
            exchange.name(&message, now);
        }
        let http = &mut exchange.http;
        match role {
            Role::Client => http.request_mime = http.request_mime.take().or(sniffed.map(shared)),
            Role::Server => {
                http.response_mime = http.response_mime.take().or(sniffed.map(shared));
                if http.response_missed == 0 && http.response_bytes > 0 {
                    http.response_decoded = decoded;
                }
            }
        }
    }

    /// This side cannot be followed.
    fn lose(&mut self, role: Role, out: &mut Vec<Said>) {
        self.close_body(role);
        self.lane(role).lose();
        match role {
            Role::Client => {
                if let Some(request) = self.current(role) {
                    request.is_asked = true;
                }
            }
            Role::Server => {
                if self.pending.front().is_some_and(|oldest| oldest.is_answering) {
                    self.tell_oldest(out);
                }
            }
        }
    }

    fn tell_oldest(&mut self, out: &mut Vec<Said>) {
        if let Some(oldest) = self.pending.pop_front() {
            oldest.tell(out);
        }
        if self.pending.is_empty() {
            // It may be long until the next request.
            self.pending = VecDeque::new();
        }
    }

    fn tell_all(&mut self, out: &mut Vec<Said>) {
        for exchange in self.pending.drain(..) {
            exchange.tell(out);
        }
    }
}

impl Lane {
    fn lose(&mut self) {
        self.phase = Phase::Lost;
        self.held = Vec::new();
        self.was_lost = true;
    }

    /// Keeps the begin of a line.
    fn hold(&mut self, begin: &[u8]) {
        let room = LINE - self.held.len().min(LINE);
        self.held.extend_from_slice(&begin[..begin.len().min(room)]);
    }
}

impl Analyser for One {
    fn application(&self) -> Application {
        self.busy
            .as_ref()
            .map_or(Application::Http, |reader| reader.application())
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let appetite = self.wake().read(piece, out);
        self.rest();
        appetite
    }

    fn gap(&mut self, side: Side, bytes: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        self.wake().gap(side, bytes, out);
        self.rest();
        Appetite::More
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if over && let Some(reader) = &mut self.busy {
            reader.end(now, out);
        }
    }

    fn is_waiting(&self) -> bool {
        self.busy
            .as_ref()
            .is_some_and(|reader| !reader.pending.is_empty())
    }
}

impl Reader {
    fn application(&self) -> Application {
        if self.is_websocket {
            Application::WebSocket
        } else {
            Application::Http
        }
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        self.now = piece.time;
        let role = self.role(piece.side, piece.data);
        self.resume(role, piece.data);
        let mut rest = piece.data;
        while !rest.is_empty() {
            let phase = self.lane(role).phase;
            match phase {
                Phase::Lost => return Appetite::More,
                Phase::UntilClose => {
                    self.body(role, rest);
                    return Appetite::More;
                }
                Phase::Exactly(left) | Phase::Chunk(left) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (now, later) = rest.split_at(length);
                    self.body(role, now);
                    self.advance(role, length as u64, out);
                    rest = later;
                }
                Phase::Start if role == Role::Server && self.answers_plainly() => {}
                _ => {
                    let Some(end) = memchr(b'\n', rest) else {
                        self.lane(role).hold(rest);
                        return Appetite::More;
                    };
                    let held = std::mem::take(&mut self.lane(role).held);
                    let changed = if held.is_empty() {
                        self.line(role, &rest[..end], piece.time, out)
                    } else {
                        let room = LINE - held.len().min(LINE);
                        let line = [&held[..], &rest[..end.min(room)]].concat();
                        self.line(role, &line, piece.time, out)
                    };
                    rest = &rest[end + 1..];
                    match changed {
                        None => {}
                        Some(Some(Application::WebSocket)) => return Appetite::Enough,
                        Some(application) => {
                            return Appetite::Becomes {
                                application,
                                consumed: piece.data.len() - rest.len(),
                            };
                        }
                    }
                }
            }
        }
        Appetite::More
    }

    /// Bytes are missing.
    fn gap(&mut self, side: Side, bytes: u64, out: &mut Vec<Said>) {
        let role = match self.known.client {
            Some(client) if client != side => Role::Server,
            _ => Role::Client,
        };
        let phase = self.lane(role).phase;
        let covered = match phase {
            Phase::Exactly(left) | Phase::Chunk(left) => bytes.min(left),
            Phase::UntilClose => bytes,
            _ => 0,
        };
        self.lane(role).body.miss();
        if let Some(exchange) = self.current(role) {
            match role {
                Role::Client => exchange.http.request_missed += covered,
                Role::Server => exchange.http.response_missed += covered,
            }
        }
        if covered < bytes {
            self.lose(role, out);
        } else {
            self.advance(role, covered, out);
        }
    }

    /// Nothing follows.
    fn end(&mut self, now: Time, out: &mut Vec<Said>) {
        for role in [Role::Client, Role::Server] {
            let held = std::mem::take(&mut self.lane(role).held);
            if role == Role::Client && self.asking.phase == Phase::Start && request_line(&held).is_some() {
                self.line(role, &held, now, out);
            }
            self.close_body(role);
        }
        self.tell_all(out);
    }
}

impl Reader {
    /// So many bytes of a body are over.
    fn advance(&mut self, role: Role, bytes: u64, out: &mut Vec<Said>) {
        let lane = self.lane(role);
        match &mut lane.phase {
            Phase::Exactly(left) => {
                *left -= bytes.min(*left);
                if *left == 0 {
                    self.end_body(role, out);
                }
            }
            Phase::Chunk(left) => {
                *left -= bytes.min(*left);
                if *left == 0 {
                    lane.phase = Phase::ChunkEnd;
                }
            }
            _ => {}
        }
    }

    /// The oldest request said no version, so that its response is a body without head (HTTP/0.9).
    fn answers_plainly(&mut self) -> bool {
        let Some(oldest) = self.pending.front_mut() else {
            return false;
        };
        let is_plain = oldest.http.version == 9 && !oldest.is_answering;
        if is_plain {
            oldest.is_answering = true;
            self.answering.body = Body::default();
            self.answering.phase = Phase::UntilClose;
        }
        is_plain
    }
}

/// A body of several parts: its first bytes say nothing of them.
fn is_form(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|name| name.starts_with("multipart/"))
}

fn first_line(data: &[u8]) -> &[u8] {
    let end = memchr(b'\n', data).unwrap_or(data.len());
    &data[..end.min(LINE)]
}

#[cfg(test)]
mod tests;
