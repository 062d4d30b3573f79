//! Conversations in, facts out.

use atalaya_model::protocol::Http;
use atalaya_model::{Application, Message, Side, Time};
use proptest::prelude::*;

use super::One;
use crate::analyser::{Appetite, Limits, Over, Piece, Said};
use crate::conversation::Conversation;

const CLIENT: Side = Side::Source;
const SERVER: Side = Side::Destination;

fn limits() -> Limits {
    Limits {
        query_strings: true,
        ..Limits::default()
    }
}

fn piece(side: Side, data: &[u8]) -> Piece<'_> {
    Piece {
        time: Time(0),
        side,
        data,
        cut: 0,
    }
}

fn https(said: Vec<Said>) -> Vec<Http> {
    said.into_iter()
        .map(|(_, message)| match message {
            Message::Http(http) => *http,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// What is said of a conversation, cut into pieces of at most `size` bytes.
fn said(pieces: &[(Side, &[u8])], size: usize, limits: &Limits) -> Vec<Http> {
    let mut analyser = One::boxed(limits);
    let mut out = Vec::new();
    'all: for (side, data) in pieces {
        for part in data.chunks(size) {
            if analyser.read(&piece(*side, part), &mut out) != Appetite::More {
                break 'all;
            }
        }
    }
    analyser.wait(Time(0), true, &mut out);
    https(out)
}

#[track_caller]
fn check(pieces: &[(Side, &str)], expected: &[Http]) {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|(side, text)| (*side, text.as_bytes()))
        .collect();
    for size in [usize::MAX, 1, 7] {
        assert_eq!(said(&pieces, size, &limits()), expected, "in pieces of {size}");
    }
}

fn some<T: for<'a> From<&'a str>>(text: &str) -> Option<T> {
    Some(text.into())
}

fn ok(depth: u32, path: &str) -> Http {
    Http {
        version: 11,
        response_version: Some(11),
        depth,
        method: some("GET"),
        host: some("a"),
        path: some(path),
        status: Some(200),
        reason: some("OK"),
        ..Http::default()
    }
}

const GET: &str = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
const GET2: &str = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
const OK5: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn ok5(depth: u32, path: &str) -> Http {
    Http {
        response_bytes: 5,
        ..ok(depth, path)
    }
}

#[test]
fn a_request_and_its_response() {
    let request = "POST /p?q=1 HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: curl/7\r\nReferer: http://u:p@r/x?y\r\n\
                   Authorization: Basic dXNlcjpwYXNz\r\nCookie: secret\r\nOrigin: http://o\r\nVia: 1.1 proxy\r\n\
                   Content-Type: application/json; charset=utf-8\r\nContent-Length: 17\r\n\r\n{\"a\": 1, \"b\": 22}";
    let response =
        "HTTP/1.0 201 Made it\r\nServer: s/1\r\nContent-Type: text/html\r\n\r\n<!doctype HTML><html></html>";
    let expected = Http {
        version: 11,
        response_version: Some(10),
        depth: 1,
        method: some("POST"),
        host: some("h:8080"),
        path: some("/p?q=1"),
        user_agent: some("curl/7"),
        referrer: some("http://r/x?y"),
        origin: some("http://o"),
        status: Some(201),
        reason: some("Made it"),
        server: some("s/1"),
        user: some("user"),
        proxied: Box::new(["VIA -> 1.1 proxy".into()]),
        request_type: some("application/json"),
        response_type: some("text/html"),
        request_mime: some("text/json"),
        response_mime: some("text/html"),
        request_bytes: 17,
        response_bytes: 28,
        ..Http::default()
    };
    check(
        &[(CLIENT, request), (SERVER, response)],
        std::slice::from_ref(&expected),
    );
    let pieces = [(CLIENT, request.as_bytes()), (SERVER, response.as_bytes())];
    let without = said(&pieces, usize::MAX, &Limits::default());
    let expected = Http {
        path: some("/p"),
        referrer: some("http://r/x"),
        query_left_out: true,
        ..expected
    };
    assert_eq!(without, [expected]);
}

#[test]
fn pipelining() {
    let two = [GET, GET2].concat();
    let answers = [OK5, OK5].concat();
    check(
        &[(CLIENT, &two), (SERVER, &answers)],
        &[ok5(1, "/1"), ok5(2, "/2")],
    );
}

#[test]
fn bodies_of_every_kind() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n";
    check(
        &[(CLIENT, GET), (SERVER, chunked), (CLIENT, GET2), (SERVER, OK5)],
        &[ok5(1, "/1"), ok5(2, "/2")],
    );
    let nothing = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
    let not_modified = Http {
        status: Some(304),
        reason: some("Not Modified"),
        ..ok(1, "/1")
    };
    check(
        &[(CLIENT, GET), (SERVER, nothing), (CLIENT, GET2), (SERVER, OK5)],
        &[not_modified, ok5(2, "/2")],
    );
    let head = "HEAD /1 HTTP/1.1\nHost: a\n\n";
    let answer = "HTTP/1.1 200 OK\nContent-Length: 5\n\n";
    let headed = Http {
        method: some("HEAD"),
        ..ok(1, "/1")
    };
    check(
        &[(CLIENT, head), (SERVER, answer), (CLIENT, GET2), (SERVER, OK5)],
        &[headed, ok5(2, "/2")],
    );
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    check(&[(CLIENT, GET), (SERVER, until_close)], &[ok5(1, "/1")]);
}

#[test]
fn interim_responses() {
    let request = "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let expected = Http {
        interim: Some((100, "Continue".into())),
        request_bytes: 2,
        ..ok5(1, "/1")
    };
    check(
        &[
            (CLIENT, request),
            (SERVER, interim),
            (CLIENT, "ab"),
            (SERVER, interim),
            (SERVER, OK5),
        ],
        &[expected],
    );
}

#[test]
fn no_version_no_head() {
    let expected = Http {
        version: 9,
        depth: 1,
        method: some("GET"),
        path: some("/HTTP/1.1"),
        response_bytes: 24,
        response_mime: some("text/plain"),
        ..Http::default()
    };
    check(
        &[
            (CLIENT, "GET /HTTP/1.1\r\n\r\n"),
            (SERVER, "HTTP/1.0 403 Forbidden\r\n"),
        ],
        &[expected],
    );
    let half = Http {
        version: 9,
        depth: 1,
        method: some("GET"),
        path: some("/"),
        ..Http::default()
    };
    check(&[(CLIENT, "GET /"), (SERVER, "<html>hi</html>")], &[half]);
}

#[test]
fn a_response_alone_and_a_request_alone() {
    let alone = Http {
        method: None,
        host: None,
        path: None,
        ..ok5(1, "/1")
    };
    for size in [usize::MAX, 7] {
        // The first piece is never shorter: it was recognised by.
        let said = said(&[(SERVER, OK5.as_bytes())], size, &limits());
        assert_eq!(said, std::slice::from_ref(&alone));
    }
    check(&[(CLIENT, "GET/ HTTP/1.1\r\n\r\n"), (SERVER, OK5)], &[alone]);
    let unanswered = Http {
        response_version: None,
        status: None,
        reason: None,
        ..ok(1, "/1")
    };
    check(&[(CLIENT, GET)], &[unanswered]);
}

#[test]
fn gzip_says_what_is_in_it() {
    // "hello hello hello hello" and its length, by gzip(1).
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.extend([0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0x00]);
    body.extend([1, 2, 3, 4, 23, 0, 0, 0]);
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend(&body);
    for size in [usize::MAX, 1, 5] {
        let said = said(&[(CLIENT, GET.as_bytes()), (SERVER, &response)], size, &limits());
        assert_eq!(said[0].response_bytes, 28);
        assert_eq!(said[0].response_decoded, Some(23));
        assert_eq!(said[0].response_mime.as_deref(), Some("text/plain"));
    }
}

#[test]
fn gaps() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let mut analyser = One::boxed(&limits());
    let mut out = Vec::new();
    analyser.read(&piece(CLIENT, GET.as_bytes()), &mut out);
    analyser.read(&piece(SERVER, head.as_bytes()), &mut out);
    analyser.gap(SERVER, 4_000, Time(0), &mut out);
    analyser.read(&piece(CLIENT, GET2.as_bytes()), &mut out);
    analyser.read(&piece(SERVER, &[b'a'; 1_000]), &mut out);
    analyser.read(&piece(SERVER, head.as_bytes()), &mut out);
    // Beyond the body: the response is over, and so is the next one.
    analyser.gap(SERVER, 6_000, Time(0), &mut out);
    analyser.read(&piece(SERVER, b"in the middle"), &mut out);
    analyser.read(&piece(CLIENT, GET.as_bytes()), &mut out);
    analyser.read(&piece(CLIENT, GET2.as_bytes()), &mut out);
    analyser.read(&piece(SERVER, OK5.as_bytes()), &mut out);
    let said = https(out);
    let known: Vec<_> = said
        .iter()
        .map(|http| (http.depth, http.status, http.response_bytes, http.response_missed))
        .collect();
    assert_eq!(
        known,
        [
            (1, Some(200), 1_000, 4_000),
            (2, Some(200), 0, 5_000),
            (3, None, 0, 0),
            (4, Some(200), 5, 0),
        ]
    );
}

#[test]
fn connect_becomes_what_is_in_the_tunnel() {
    let mut analyser = One::boxed(&limits());
    let mut out = Vec::new();
    analyser.read(
        &piece(CLIENT, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
        &mut out,
    );
    let answer = b"HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0-x";
    let appetite = analyser.read(&piece(SERVER, answer), &mut out);
    let consumed = answer.len() - 9;
    assert_eq!(
        appetite,
        Appetite::Becomes {
            application: None,
            consumed
        }
    );
    let said = https(out);
    assert_eq!(said[0].upgraded.as_deref(), Some("connect"));
    assert_eq!(said[0].status, Some(200));
    assert_eq!(said[0].path.as_deref(), Some("h:443"));
}

#[test]
fn websockets_are_followed_no_further() {
    let mut conversation = Conversation::new(Over::Stream, 40_000, 80);
    let mut out = Vec::new();
    let request = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n\x01\x02";
    conversation.read(&piece(CLIENT, request.as_bytes()), &limits(), &mut out);
    conversation.read(&piece(SERVER, answer.as_bytes()), &limits(), &mut out);
    assert!(!conversation.is_hungry());
    let (application, _) = conversation.application().unwrap();
    assert_eq!(application, Application::WebSocket);
    assert_eq!(https(out)[0].upgraded.as_deref(), Some("WebSocket"));
}

#[test]
fn an_upgrade_to_http2() {
    let mut conversation = Conversation::new(Over::Stream, 40_000, 80);
    let mut out = Vec::new();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88";
    conversation.read(&piece(CLIENT, request.as_bytes()), &limits(), &mut out);
    conversation.read(&piece(SERVER, answer), &limits(), &mut out);
    conversation.read(
        &piece(CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        &limits(),
        &mut out,
    );
    conversation.wait(Time(0), true, &mut out);
    let kinds: Vec<_> = out
        .iter()
        .map(|(_, message)| match message {
            Message::Http(http) => (http.stream, http.status),
            _ => (Some(0), None),
        })
        .collect();
    assert_eq!(kinds, [(None, Some(101)), (Some(0), None), (Some(1), Some(200))]);
    let (application, _) = conversation.application().unwrap();
    assert_eq!(application, Application::Http2);
}

#[test]
fn kept_things_are_bounded() {
    let long = "x".repeat(100_000);
    let request = format!("GET /{long} HTTP/1.1\r\nHost: {long}\r\nUser-Agent: {long}\r\nX: {long}\r\n\r\n");
    let requests = request.repeat(3);
    for size in [usize::MAX, 1_400] {
        let said = said(&[(CLIENT, requests.as_bytes())], size, &limits());
        // The version lies beyond what is kept of a line.
        assert_eq!(said.len(), 3);
        assert_eq!(said[2].path.as_ref().unwrap().len(), 2_048);
        assert_eq!(said[2].host.as_ref().unwrap().len(), 255);
        assert_eq!(said[2].user_agent.as_ref().unwrap().len(), 512);
    }
    let many = GET.repeat(1_000);
    let mut analyser = One::boxed(&limits());
    let mut out = Vec::new();
    analyser.read(&piece(CLIENT, many.as_bytes()), &mut out);
    assert_eq!(out.len(), 1_000 - 64);
}

/// One exchange as both sides say it.
fn exchange() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let request = (
        any::<bool>(),
        "[a-z]{0,12}",
        proptest::collection::vec(any::<u8>(), 0..300),
    );
    let response = (
        0..4_u8,
        200..600_u16,
        proptest::collection::vec(any::<u8>(), 0..600),
    );
    (request, response).prop_map(|((posts, path, body), (kind, status, answer))| {
        let mut request = if posts {
            format!(
                "POST /{path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes()
        } else {
            format!("GET /{path}?q HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\n\r\n").into_bytes()
        };
        if posts {
            request.extend(body);
        }
        let mut response = format!("HTTP/1.1 {status} x\r\nServer: s\r\n").into_bytes();
        match kind {
            _ if matches!(status, 204 | 304) => response.extend(b"\r\n"),
            0 => {
                response.extend(format!("Content-Length: {}\r\n\r\n", answer.len()).as_bytes());
                response.extend(answer);
            }
            1 => {
                response.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in answer.chunks(100) {
                    response.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                    response.extend(chunk);
                    response.extend(b"\r\n");
                }
                response.extend(b"0\r\n\r\n");
            }
            _ => {
                let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
                response = [interim, response].concat();
                response.extend(b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
            }
        }
        (request, response)
    })
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        exchanges in proptest::collection::vec(exchange(), 1..5),
        cuts in proptest::collection::vec(1..200_usize, 1..8),
    ) {
        let pieces: Vec<(Side, &[u8])> = exchanges
            .iter()
            .flat_map(|(request, response)| [(CLIENT, &request[..]), (SERVER, &response[..])])
            .collect();
        let whole = said(&pieces, usize::MAX, &limits());
        prop_assert_eq!(whole.len(), exchanges.len());
        let mut sizes = cuts.iter().cycle();
        let mut cut = Vec::new();
        for (side, mut data) in pieces {
            while !data.is_empty() {
                let (now, later) = data.split_at(data.len().min(*sizes.next().unwrap()));
                cut.push((side, now));
                data = later;
            }
        }
        prop_assert_eq!(said(&cut, usize::MAX, &limits()), whole);
    }

    #[test]
    fn anything_is_read(pieces in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>(), 0..3_u8), 0..20)) {
        let mut analyser = One::boxed(&limits());
        let mut out = Vec::new();
        for (client, data, what) in pieces {
            let side = if client { CLIENT } else { SERVER };
            let data = match what {
                0 => data,
                1 => [GET.as_bytes(), &data].concat(),
                _ => [&OK5.as_bytes()[..OK5.len() - 9], &data].concat(),
            };
            analyser.read(&piece(side, &data), &mut out);
            analyser.gap(side, data.len() as u64, Time(0), &mut out);
        }
        analyser.wait(Time(0), true, &mut out);
        prop_assert!(!analyser.is_waiting());
    }

    #[test]
    fn damaged_traffic_is_read((request, response) in exchange(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut request = request;
        let at = at.index(request.len());
        request[at] = byte;
        for side in [CLIENT, SERVER] {
            said(&[(side, &request[..]), (side.other(), &response[..])], 100, &limits());
            said(&[(side, &response[..]), (side.other(), &request[..])], 100, &limits());
        }
    }
}
