//! Frames in, facts out.

use atalaya_model::protocol::Http;
use atalaya_model::{Message, Side, Time};
use proptest::prelude::*;

use super::{PREFACE, Two};
use crate::analyser::{Limits, Piece, Said};

const CLIENT: Side = Side::Source;
const SERVER: Side = Side::Destination;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    [&[0x40, name.len() as u8], name, &[value.len() as u8], value].concat()
}

fn said(pieces: &[(Side, Vec<u8>)], size: usize) -> Vec<Said> {
    let mut analyser = Two::boxed(&Limits::default());
    let mut out = Vec::new();
    for (number, (side, data)) in pieces.iter().enumerate() {
        let size = if number == 0 { size.max(3) } else { size };
        for data in data.chunks(size) {
            let piece = Piece {
                time: Time(7),
                side: *side,
                data,
                cut: 0,
            };
            analyser.read(&piece, &mut out);
        }
    }
    analyser.wait(Time(9), true, &mut out);
    out
}

fn conversation() -> Vec<(Side, Vec<u8>)> {
    let request = [
        b"\x83\x86".to_vec(),
        field(":path", "/package.Service/Call?secret"),
        field(":authority", "user@h:50051"),
        field("content-type", "application/grpc+proto"),
        field("user-agent", "grpc-go/1.5"),
    ]
    .concat();
    let (first, second) = request.split_at(20);
    let response = [b"\x88".to_vec(), field("content-type", "application/grpc")].concat();
    let settings = [0, 3, 0, 0, 0, 100];
    vec![
        (CLIENT, PREFACE.to_vec()),
        (CLIENT, frame(4, 0, 0, &[])),
        (SERVER, frame(4, 0, 0, &settings)),
        (CLIENT, frame(4, 1, 0, &[])),
        (CLIENT, frame(1, 32, 1, &[&[0, 0, 0, 0, 9], first].concat())),
        (CLIENT, frame(9, 4, 1, second)),
        (CLIENT, frame(0, 8 | 1, 1, b"\x03hello\0\0\0")),
        (SERVER, frame(1, 4, 1, &response)),
        (SERVER, frame(0, 0, 1, &[b'{'; 400])),
        (SERVER, frame(1, 4 | 1, 1, &field("grpc-status", "0"))),
        // The server refuses the second, and the third is left open.
        (CLIENT, frame(1, 4 | 1, 3, b"\x82\x86\x84\xbf")),
        (SERVER, frame(3, 0, 3, &[0, 0, 0, 8])),
        (CLIENT, frame(1, 4 | 1, 5, b"\x82\x86\x84")),
    ]
}

#[test]
fn requests_are_paired_by_stream() {
    let whole = said(&conversation(), usize::MAX);
    let https: Vec<_> = whole
        .iter()
        .filter_map(|(_, message)| match message {
            Message::Http(http) => Some(&**http),
            _ => None,
        })
        .collect();
    let first = Http {
        version: 20,
        response_version: Some(20),
        depth: 1,
        stream: Some(1),
        method: Some("POST".into()),
        host: Some("h:50051".into()),
        path: Some("/package.Service/Call".into()),
        query_left_out: true,
        user_agent: Some("grpc-go/1.5".into()),
        status: Some(200),
        request_type: Some("application/grpc+proto".into()),
        response_type: Some("application/grpc".into()),
        response_mime: Some("text/plain".into()),
        request_bytes: 5,
        response_bytes: 400,
        ..Http::default()
    };
    assert_eq!(https[0], &first);
    assert_eq!((https[1].stream, https[1].status), (Some(3), None));
    assert_eq!((https[2].stream, https[2].path.as_deref()), (Some(5), Some("/")));
    let settings: Vec<_> = whole
        .iter()
        .filter_map(|(_, message)| match message {
            Message::Http2Settings(settings) => Some((settings.by_client, settings.settings.to_vec())),
            _ => None,
        })
        .collect();
    assert_eq!(settings, [(true, vec![]), (false, vec![(3, 100)])]);
    for size in [1, 2, 9, 10, 50] {
        assert_eq!(said(&conversation(), size), whole, "in pieces of {size}");
    }
}

proptest! {
    #[test]
    fn anything_is_read(
        pieces in proptest::collection::vec((any::<bool>(), 0..10_u8, any::<u8>(), 0..8_u32, any::<Vec<u8>>()), 0..30),
        size in 1..40_usize,
    ) {
        let frames = pieces.into_iter().map(|(client, kind, flags, stream, payload)| {
            (if client { CLIENT } else { SERVER }, frame(kind, flags, stream, &payload))
        });
        let all: Vec<_> = std::iter::once((CLIENT, PREFACE.to_vec())).chain(frames).collect();
        let whole = said(&all, usize::MAX);
        prop_assert_eq!(said(&all, size), whole);
    }

    #[test]
    fn damaged_traffic_is_read(at in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut pieces = conversation();
        let at = at.index(pieces.len());
        let data = &mut pieces[at].1;
        let place = place.index(data.len());
        data[place] = byte;
        said(&pieces, 10);
    }
}
