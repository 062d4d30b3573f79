//! HTTP/2 in the clear (RFC 9113): heads of requests and responses, paired by stream. Bodies are counted only.

mod hpack;
mod huffman;

use atalaya_model::protocol::Http2Settings;
use atalaya_model::{Application, Message, Side, Text, Time};

use self::hpack::{Broken, Hpack};
use super::body::Body;
use super::exchange::Exchange;
use super::kept;
use crate::analyser::{Analyser, Appetite, Limits, Piece, Said};
use crate::shared::{shared, shared_text};
use crate::text::{number, text_as};

/// What a client says first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Most streams that are followed at a time: the oldest is told as far as it is known.
const STREAMS: usize = 128;
/// Longest block of header fields, and longest frame other than data, that is read; with a longer one reading ends.
const BLOCK: usize = 64 << 10;
/// Bytes of a frame's head.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// Reads HTTP/2 in one conversation.
pub(super) struct Two {
    query_strings: bool,
    client: Option<Side>,
    asking: Lane,
    answering: Lane,
    /// In the order of their begin.
    streams: Vec<Stream>,
    depth: u32,
    /// Time of the piece that is read.
    now: Time,
}

struct Stream {
    id: u32,
    exchange: Exchange,
    request: Body,
    response: Body,
}

/// One direction.
#[derive(Default)]
struct Lane {
    /// The preface was read, or is not to be expected.
    is_begun: bool,
    /// What came of a frame that must be whole to be read.
    held: Vec<u8>,
    /// The rest of a frame of data: its stream, bytes of data, bytes of padding after them, flags.
    data: Option<Rest>,
    /// A block of fields that goes on in the next frame: its stream, flags, and bytes.
    block: Option<(Frame, Vec<u8>)>,
    hpack: Hpack,
    told_settings: bool,
}

#[derive(Clone, Copy)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

#[derive(Clone, Copy)]
struct Rest {
    frame: Frame,
    /// Of the data.
    left: usize,
    /// Of the padding; where the frame is padded, unknown before its first byte.
    padding: Option<usize>,
}

impl Frame {
    fn read(head: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = head;
        Self {
            length: usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes(*stream) & 0x7fff_ffff,
        }
    }
}

impl Two {
    /// A reader.
    pub(super) fn boxed(limits: &Limits) -> Box<dyn Analyser> {
        Box::new(Self {
            query_strings: limits.query_strings,
            client: None,
            asking: Lane::default(),
            answering: Lane::default(),
            streams: Vec::new(),
            depth: 0,
            now: Time::default(),
        })
    }

    fn lane(&mut self, by_client: bool) -> &mut Lane {
        if by_client {
            &mut self.asking
        } else {
            &mut self.answering
        }
    }

    fn stream(&mut self, id: u32) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }

    /// The next bytes of data, as far as they belong to the frame that is being read: how many those are.
    fn data(&mut self, by_client: bool, rest: Rest, piece: &[u8], out: &mut Vec<Said>) -> usize {
        let Some(padding) = rest.padding else {
            let padding = usize::from(piece[0]).min(rest.left - 1);
            let rest = Rest {
                left: rest.left - 1 - padding,
                padding: Some(padding),
                ..rest
            };
            self.advance(by_client, rest, out);
            return 1;
        };
        let (data, skipped) = if rest.left > 0 {
            (rest.left.min(piece.len()), 0)
        } else {
            (0, padding.min(piece.len()))
        };
        if let Some(stream) = self.stream(rest.frame.stream) {
            stream.read(by_client, &piece[..data]);
        }
        let rest = Rest {
            left: rest.left - data,
            padding: Some(padding - skipped),
            ..rest
        };
        self.advance(by_client, rest, out);
        data + skipped
    }

    /// So much of a frame of data is left.
    fn advance(&mut self, by_client: bool, rest: Rest, out: &mut Vec<Said>) {
        let is_over = rest.left == 0 && rest.padding == Some(0);
        self.lane(by_client).data = (!is_over).then_some(rest);
        if is_over && rest.frame.flags & END_STREAM != 0 {
            self.end(rest.frame.stream, by_client, out);
        }
    }

    /// One side has said everything on this stream.
    fn end(&mut self, id: u32, by_client: bool, out: &mut Vec<Said>) {
        let now = self.now;
        let Some(stream) = self.stream(id) else { return };
        stream.close(by_client, now);
        if stream.exchange.is_asked && stream.exchange.is_answered {
            self.tell(id, out);
        }
    }

    fn tell(&mut self, id: u32, out: &mut Vec<Said>) {
        if let Some(place) = self.streams.iter().position(|stream| stream.id == id) {
            self.streams.remove(place).exchange.tell(out);
        }
    }

    /// A whole frame other than data.
    fn frame(
        &mut self,
        by_client: bool,
        frame: Frame,
        payload: &[u8],
        time: Time,
        out: &mut Vec<Said>,
    ) -> Result<(), Broken> {
        match frame.kind {
            HEADERS | PUSH_PROMISE => {
                let mut block = payload;
                if frame.flags & PADDED != 0 {
                    let (padding, rest) = block.split_first().ok_or(Broken)?;
                    let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Broken)?;
                    block = &rest[..length];
                }
                let before = match frame.kind {
                    PUSH_PROMISE => 4,
                    _ if frame.flags & PRIORITY != 0 => 5,
                    _ => 0,
                };
                let block = block.get(before..).ok_or(Broken)?;
                if frame.flags & END_HEADERS != 0 {
                    return self.block(by_client, frame, block, time, out);
                }
                self.lane(by_client).block = Some((frame, block.to_vec()));
            }
            CONTINUATION => {
                let (begun, mut block) = self.lane(by_client).block.take().ok_or(Broken)?;
                if block.len() + payload.len() > BLOCK {
                    return Err(Broken);
                }
                block.extend_from_slice(payload);
                if frame.flags & END_HEADERS != 0 {
                    return self.block(by_client, begun, &block, time, out);
                }
                self.lane(by_client).block = Some((begun, block));
            }
            RST_STREAM => {
                if let Some(stream) = self.stream(frame.stream) {
                    stream.close(true, time);
                    stream.close(false, time);
                }
                self.tell(frame.stream, out);
            }
            SETTINGS if frame.flags & ACK == 0 && !self.lane(by_client).told_settings => {
                self.lane(by_client).told_settings = true;
                let settings = payload.chunks_exact(6).take(16).map(|setting| {
                    let number = u16::from_be_bytes([setting[0], setting[1]]);
                    (
                        number,
                        u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]),
                    )
                });
                let settings = Http2Settings {
                    by_client,
                    settings: settings.collect(),
                };
                out.push((time, Message::Http2Settings(Box::new(settings))));
            }
            _ => {}
        }
        Ok(())
    }

    /// A whole block of fields.
    fn block(
        &mut self,
        by_client: bool,
        frame: Frame,
        block: &[u8],
        time: Time,
        out: &mut Vec<Said>,
    ) -> Result<(), Broken> {
        let query_strings = self.query_strings;
        let is_new = frame.kind == HEADERS && frame.stream != 0 && self.stream(frame.stream).is_none();
        if is_new {
            if self.streams.len() >= STREAMS {
                let oldest = self.streams.remove(0);
                oldest.exchange.tell(out);
            }
            self.depth = self.depth.saturating_add(1);
            let mut exchange = Exchange::unasked(time, self.depth);
            exchange.is_asked = !by_client;
            exchange.http.version = 20;
            exchange.http.stream = Some(frame.stream);
            self.streams.push(Stream {
                id: frame.stream,
                exchange,
                request: Body::default(),
                response: Body::default(),
            });
        }
        let lane = if by_client {
            &mut self.asking
        } else {
            &mut self.answering
        };
        let mut stream = self
            .streams
            .iter_mut()
            .find(|stream| stream.id == frame.stream && frame.kind == HEADERS);
        lane.hpack.decode(block, &mut |name, value| {
            if let Some(stream) = &mut stream {
                stream.field(by_client, name, value, query_strings);
            }
        })?;
        if frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
            self.end(frame.stream, by_client, out);
        }
        Ok(())
    }

    /// Reads what came, as far as whole frames go.
    fn frames(&mut self, by_client: bool, piece: &Piece<'_>, out: &mut Vec<Said>) -> Result<(), Broken> {
        let mut rest = piece.data;
        while !rest.is_empty() {
            let lane = self.lane(by_client);
            if let Some(data) = lane.data {
                let length = self.data(by_client, data, rest, out);
                rest = &rest[length..];
                continue;
            }
            if !lane.is_begun {
                let wanted = PREFACE.len() - lane.held.len().min(PREFACE.len());
                let (now, later) = rest.split_at(wanted.min(rest.len()));
                lane.held.extend_from_slice(now);
                rest = later;
                if !PREFACE.starts_with(&lane.held) {
                    return Err(Broken);
                }
                if lane.held.len() == PREFACE.len() {
                    lane.is_begun = true;
                    lane.held = Vec::new();
                }
                continue;
            }
            // Read in place where the frame is whole.
            if lane.held.is_empty()
                && let Some((head, payload)) = rest.split_first_chunk()
            {
                let frame = Frame::read(head);
                if frame.kind == DATA {
                    self.begin_data(by_client, frame, out);
                    rest = payload;
                    continue;
                }
                if let Some((payload, later)) = payload.split_at_checked(frame.length) {
                    self.frame(by_client, frame, payload, piece.time, out)?;
                    rest = later;
                    continue;
                }
            }
            let wanted = match lane.held.first_chunk() {
                Some(head) => HEAD + Frame::read(head).length,
                None => HEAD,
            };
            if wanted > BLOCK {
                return Err(Broken);
            }
            let (now, later) = rest.split_at((wanted - lane.held.len()).min(rest.len()));
            lane.held.extend_from_slice(now);
            rest = later;
            if let Some((head, payload)) = lane.held.split_first_chunk() {
                let frame = Frame::read(head);
                let is_data = frame.kind == DATA;
                if is_data || payload.len() >= frame.length {
                    let held = std::mem::take(&mut lane.held);
                    if is_data {
                        self.begin_data(by_client, frame, out);
                    } else {
                        self.frame(by_client, frame, &held[HEAD..], piece.time, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn begin_data(&mut self, by_client: bool, frame: Frame, out: &mut Vec<Said>) {
        let is_padded = frame.flags & PADDED != 0 && frame.length > 0;
        let rest = Rest {
            frame,
            left: frame.length,
            padding: (!is_padded).then_some(0),
        };
        self.advance(by_client, rest, out);
    }

    fn tell_all(&mut self, out: &mut Vec<Said>) {
        let now = self.now;
        for mut stream in self.streams.drain(..) {
            stream.close(true, now);
            stream.close(false, now);
            stream.exchange.tell(out);
        }
    }
}

impl Stream {
    fn field(&mut self, by_client: bool, name: &[u8], value: &[u8], query_strings: bool) {
        let http = &mut self.exchange.http;
        match (by_client, name) {
            (true, b":method") if http.method.is_none() => http.method = Some(shared_text(value, 32)),
            (true, b":path") if http.path.is_none() => {
                self.exchange.target(value, query_strings);
            }
            (true, b":authority") if http.host.is_none() => http.host = Some(text_as(kept::host(value), 255)),
            (false, b":status") => {
                let status = number(value).and_then(|status| u16::try_from(status).ok());
                match status {
                    Some(status @ 100..=199) => http.interim = Some((status, "".into())),
                    status => http.status = http.status.or(status),
                }
                http.response_version = Some(20);
            }
            (true, name) => {
                self.request.field(name, value);
                self.exchange.request_field(name, value, query_strings);
            }
            (false, name) => {
                self.response.field(name, value);
                self.exchange.response_field(name, value);
            }
        }
    }

    fn read(&mut self, by_client: bool, data: &[u8]) {
        let http = &mut self.exchange.http;
        let bytes = data.len() as u64;
        if by_client {
            http.request_bytes += bytes;
            keep(&mut http.request_mime, self.request.read(data));
        } else {
            http.response_bytes += bytes;
            keep(&mut http.response_mime, self.response.read(data));
        }
    }

    fn close(&mut self, by_client: bool, now: Time) {
        let body = if by_client {
            &mut self.request
        } else {
            &mut self.response
        };
        if let Some(message) = body.message() {
            self.exchange.name(&message, now);
        }
        let http = &mut self.exchange.http;
        if by_client {
            self.exchange.is_asked = true;
            keep(&mut http.request_mime, self.request.end());
        } else {
            self.exchange.is_answered = true;
            keep(&mut http.response_mime, self.response.end());
            if http.response_missed == 0 && http.response_bytes > 0 {
                http.response_decoded = self.response.decoded();
            }
        }
    }
}

fn keep(place: &mut Option<Text>, name: Option<&'static str>) {
    if let Some(name) = name {
        *place = Some(shared(name));
    }
}

impl Analyser for Two {
    fn application(&self) -> Application {
        Application::Http2
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        self.now = piece.time;
        let is_preface = piece.data.starts_with(b"PRI");
        let client = *self.client.get_or_insert(if is_preface {
            piece.side
        } else {
            piece.side.other()
        });
        self.answering.is_begun = true;
        match self.frames(piece.side == client, piece, out) {
            Ok(()) => Appetite::More,
            Err(Broken) => {
                self.tell_all(out);
                Appetite::Enough
            }
        }
    }

    fn gap(&mut self, side: Side, bytes: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        let by_client = self.client == Some(side);
        let lane = self.lane(by_client);
        if let Some(rest) = lane.data
            && let Ok(bytes) = usize::try_from(bytes)
            && bytes <= rest.left
            && rest.padding.is_some()
        {
            if let Some(stream) = self.stream(rest.frame.stream) {
                let http = &mut stream.exchange.http;
                if by_client {
                    http.request_missed += bytes as u64;
                    stream.request.miss();
                } else {
                    http.response_missed += bytes as u64;
                    stream.response.miss();
                }
            }
            let left = rest.left - bytes;
            self.advance(by_client, Rest { left, ..rest }, out);
            return Appetite::More;
        }
        self.tell_all(out);
        Appetite::Enough
    }

    fn wait(&mut self, _: Time, over: bool, out: &mut Vec<Said>) {
        if over {
            self.tell_all(out);
        }
    }

    fn is_waiting(&self) -> bool {
        !self.streams.is_empty()
    }
}

#[cfg(test)]
mod tests;
