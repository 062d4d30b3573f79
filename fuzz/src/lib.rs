//! What the fuzzer calls: one function for each target, bytes in, nothing out, a panic where something is wrong.
//!
//! The input of targets that take several pieces (frames, segments, payload of either side) is a row of pieces, each
//! after three bytes: what it is, and its length in network byte order (see [`pieces`]); the last one may be shorter.

mod conversations;
mod packets;
pub mod seeds;

use std::io::Cursor;
use std::sync::Arc;

use atalaya_format::told::{self, What};
use atalaya_format::{eve, zeek};
use atalaya_model::{Event, Fact, Protocol, filter};
use atalaya_track::Atlas;
use atalaya_wire::capture::Reader;

pub use conversations::{dns, dtls, greetings, http, http2, quic, services, tls};
pub use packets::{decode, packets, stream};

/// A capture file: as many frames as fit in it, and one error at most.
pub fn capture(data: &[u8]) {
    let Ok(mut reader) = Reader::open(Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                assert!(record.frame.length as usize >= record.frame.data.len());
                let name = record.whose.process.map_or("", |process| &process.name);
                assert!(name.len() <= 256, "a capture's word is bounded");
            }
            Ok(None) => break,
            Err(error) => {
                let _ = error.to_string();
                assert!(matches!(reader.next(), Ok(None)), "an error is the end");
                break;
            }
        }
    }
    assert!(reader.interfaces().len() <= 65_536);
}

/// Lines of other sensors' logs: each is read or refused, and what it tells is written as JSON.
pub fn logs(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let options = told::Options::default();
    let mut zeek = zeek::read::Reader::new("conn.log", options);
    let mut eve = eve::read::Reader::new(options);
    let mut all = Vec::new();
    for line in text.lines() {
        all.extend(zeek.line(line).ok().flatten());
        drop(eve.line(line, &mut all));
    }
    eve.finish(&mut all);
    assert!(all.len() <= 2 * text.lines().count(), "a line tells one thing");
    for told in all {
        let event = match told.what {
            What::Ended(it) => Event::new(told.written, Fact::ConnectionClosed(Arc::from(it))),
            What::Said(time, connection, message) => {
                let connection = Arc::from(connection);
                let message = *message;
                let said = Protocol {
                    time,
                    connection,
                    message,
                };
                Event::new(told.written, Fact::Protocol(Arc::new(said)))
            }
            What::Odd(_) => continue,
        };
        zeek::lines(&mut String::new(), &event, |_, line| {
            serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
        });
    }
}

/// A database of addresses, and look-ups in it.
pub fn atlas(data: &[u8]) {
    let mut atlas = Atlas::default();
    if atlas.add(data.to_vec()).is_ok() {
        for ip in ["1.0.0.1", "198.51.100.7", "255.255.255.255", "::", "2001:db8::1"] {
            if let Some(place) = ip.parse().ok().and_then(|ip| atlas.find(ip)) {
                assert!(place.country.is_none_or(|country| country.len() == 2));
                assert!(place.organization.is_none_or(|name| name.chars().count() <= 128));
            }
        }
    }
}

/// A filter as typed: what is understood is written, and read again, as the same.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match filter::parse(text) {
        Ok(expression) => {
            let written = expression.to_string();
            if let Ok(again) = filter::parse(&written) {
                assert_eq!(again.to_string(), written);
            } else {
                assert!(written.len() > text.len(), "{text:?} became {written:?}");
            }
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

/// The pieces in `data`: what each is, and its bytes.
pub(crate) fn pieces(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let [kind, high, low, after @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (piece, behind) = after.split_at(length);
        rest = behind;
        Some((*kind, piece))
    })
}

/// Puts a piece at the end of `out`, as [`pieces`] reads it; what is too long is left out.
pub fn push_piece(out: &mut Vec<u8>, kind: u8, piece: &[u8]) {
    let piece = &piece[..piece.len().min(usize::from(u16::MAX))];
    out.push(kind);
    out.extend(u16::try_from(piece.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(piece);
}
