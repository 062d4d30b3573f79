//! How many HTTP transactions a CPU second reads: `cargo run --release -p atalaya-wire --example http_rate`.

use std::hint::black_box;
use std::time::Instant;

use atalaya_model::{Side, Time};
use atalaya_wire::{Conversation, Limits, Over, Piece};

const REQUEST: &[u8] = b"GET /skins/monobook/main.css?revision=77 HTTP/1.1\r\nHost: bits.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n\
    Accept: text/css,*/*;q=0.1\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\
    Connection: keep-alive\r\nReferer: http://www.example.org/start\r\nCookie: session=0123456789abcdef\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Mon, 12 Sep 2011 03:57:36 GMT\r\nServer: nginx/1.22.1\r\n\
    Content-Type: text/css; charset=utf-8\r\nContent-Length: 400\r\nLast-Modified: Sun, 11 Sep 2011 03:57:36 GMT\r\n\
    Connection: keep-alive\r\nETag: \"5f0c4a2e-1c8\"\r\nAccept-Ranges: bytes\r\n\r\n";

fn main() {
    let limits = Limits::default();
    let response = [RESPONSE, &b"body{margin:0 ;}\n/**/".repeat(20)].concat();
    let mut out = Vec::new();
    let mut measure = |name: &str, transactions: usize, times: usize, chunk: usize, body: usize| {
        let mut bytes = 0;
        let begin = started();
        for _ in 0..times {
            let mut conversation = Conversation::new(Over::Stream, 40_000, 80);
            for _ in 0..transactions {
                let mut say = |side, data: &[u8]| {
                    for data in data.chunks(chunk) {
                        bytes += data.len();
                        let piece = Piece {
                            time: Time(1),
                            side,
                            data,
                            cut: 0,
                        };
                        conversation.read(&piece, &limits, &mut out);
                    }
                };
                say(Side::Source, REQUEST);
                if body == 0 {
                    say(Side::Destination, &response);
                } else {
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
                    say(Side::Destination, head.as_bytes());
                    let part = vec![7; 1_460];
                    for _ in 0..body / part.len() {
                        say(Side::Destination, &part);
                    }
                }
            }
            conversation.wait(Time(2), true, &mut out);
            black_box(&out);
            out.clear();
        }
        let seconds = begin.elapsed().as_secs_f64();
        let count = (transactions * times) as f64;
        let line = format!(
            "{name}: {:.2} µs a transaction, {:.0} MB/s\n",
            seconds / count * 1e6,
            bytes as f64 / seconds / 1e6
        );
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap_or_default();
    };
    measure("one a connection", 1, 500_000, 1_460, 0);
    measure("twenty a connection", 20, 50_000, 1_460, 0);
    measure("in pieces of 100", 20, 20_000, 100, 0);
    measure("downloads of 14.6 MB", 1, 200, 1_460, 14_600_000);
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn started() -> Instant {
    Instant::now()
}
