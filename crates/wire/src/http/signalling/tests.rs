//! Messages in, facts out.

use atalaya_model::protocol::Other;
use atalaya_model::{Message, Side, Time};
use proptest::prelude::*;

use super::{Reader, uri};
use crate::analyser::{Analyser, Limits, Piece};

const CLIENT: Side = Side::Source;
const SERVER: Side = Side::Destination;

fn said(mut reader: Box<dyn Analyser>, pieces: &[(Side, &[u8])], size: usize) -> Vec<Other> {
    let mut out = Vec::new();
    for (side, data) in pieces {
        for data in data.chunks(size) {
            let piece = Piece {
                time: Time(1),
                side: *side,
                data,
                cut: 0,
            };
            reader.read(&piece, &mut out);
        }
    }
    reader.wait(Time(2), true, &mut out);
    let others = out.into_iter().map(|(_, message)| match message {
        Message::Other(other) => *other,
        other => panic!("{other:?}"),
    });
    others.collect()
}

fn shown(other: &Other) -> Vec<String> {
    other
        .attributes
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

const INVITE: &[u8] = b"INVITE sip:bob:secret@b.example SIP/2.0\r\nFrom: \"A\" <sip:a@x>;tag=1\r\nt: sip:b@y;tag=2\r\n\
    Call-ID: 77\r\nCSeq: 1 INVITE\r\nUser-Agent: phone\r\nAuthorization: Digest secret\r\nContent-Length: 3\r\n\r\nv=0";
const TRYING: &[u8] = b"SIP/2.0 100 Trying\r\nCall-ID: 77\r\nCSeq: 1 INVITE\r\n\r\n";
const BUSY: &[u8] = b"SIP/2.0 486 Busy Here\r\nCall-ID: 77\r\nCSeq: 1 INVITE\r\nServer: pbx\r\n\r\n";

#[test]
fn calls() {
    let pieces = [
        (CLIENT, INVITE),
        (CLIENT, INVITE),
        (SERVER, TRYING),
        (SERVER, BUSY),
    ];
    let expected = [
        "method: INVITE",
        "uri: sip:bob@b.example",
        "from: \"A\" <sip:a@x>",
        "to: sip:b@y",
        "call_id: 77",
        "user_agent: phone",
        "status: 486",
        "reason: Busy Here",
        "server: pbx",
    ];
    let datagrams = said(Reader::sip(&Limits::default()), &pieces, usize::MAX);
    assert_eq!(datagrams.len(), 1);
    assert_eq!(shown(&datagrams[0]), expected);
    for size in [1, 10, 10_000] {
        let stream = said(Reader::sip_stream(&Limits::default()), &pieces, size);
        assert_eq!(stream, datagrams, "{size}");
    }
    assert_eq!(&*uri(b"rtsp://u:p@h/a?b"), b"rtsp://h/a");
    assert_eq!(&*uri(b"sips:a:p@h?x"), b"sips:a@h");
}

#[test]
fn addresses_say_no_password() {
    for (said, kept) in [
        ("sip:a;password=x@h;transport=tcp", "sip:a@h;transport=tcp"),
        ("sip:h;password=x;lr", "sip:h;lr"),
        ("sip:h:5060;Password=x;user=phone", "sip:h:5060;user=phone"),
        ("sip:a:p@q@h", "sip:"),
        ("\"A\" <sip:a:p@h;x=1?y>", "\"A\" <sip:a@h>"),
        ("\"A\" <sip:a:p@h;x=1>", "\"A\" <sip:a@h>"),
        ("SIP:h;password=x", "SIP:h"),
        ("SIP:a:p@h", "h"),
        ("rtsp://u:p@h/a;password=x", "rtsp://h/a"),
        ("tel:+34;phone-context=es", "tel:+34;phone-context=es"),
    ] {
        assert_eq!(String::from_utf8_lossy(&uri(said.as_bytes())), kept, "{said}");
    }
}

#[test]
fn streams_between_frames() {
    let request = b"DESCRIBE rtsp://u:p@h/a RTSP/1.0\r\nCSeq: 2\r\n\r\n";
    let response = b"$\x00\x00\x03\n\n\nRTSP/1.0 200 OK\r\nCSeq: 2\r\nServer: cam\r\nContent-Length: 2\r\n\r\nab$\x01\x00\x01x";
    for size in [1, 5, 1_000] {
        let said = said(
            Reader::rtsp(&Limits::default()),
            &[(CLIENT, request), (SERVER, response)],
            size,
        );
        assert_eq!(
            shown(&said[0]),
            [
                "method: DESCRIBE",
                "uri: rtsp://h/a",
                "status: 200",
                "reason: OK",
                "server: cam"
            ]
        );
    }
}

#[test]
fn discovery() {
    let search = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nST: ssdp:all\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1\r\nLOCATION: http://r/d.xml?k=1\r\nSERVER: s\r\n";
    let said = said(
        Reader::ssdp(&Limits::default()),
        &[(CLIENT, search), (SERVER, answer)],
        10_000,
    );
    assert_eq!(shown(&said[0]), ["method: M-SEARCH", "search_target: ssdp:all"]);
    assert_eq!(
        shown(&said[1])[2..],
        [
            "search_target: upnp:rootdevice",
            "name: uuid:1",
            "location: http://r/d.xml",
            "server: s"
        ]
    );
}

proptest! {
    #[test]
    fn anything_is_read(at in 0..INVITE.len(), byte in any::<u8>(), pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let mut damaged = INVITE.to_vec();
        damaged[at] = byte;
        let mut all = vec![(CLIENT, &damaged[..]), (SERVER, BUSY)];
        all.extend(pieces.iter().map(|data| (SERVER, &data[..])));
        for make in [Reader::sip, Reader::sip_stream, Reader::rtsp, Reader::ssdp] {
            for other in said(make(&Limits::default()), &all, 60) {
                prop_assert!(other.attributes.len() <= 32);
            }
        }
    }
}
