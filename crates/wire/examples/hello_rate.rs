//! How long a ClientHello takes, with its fingerprints: `cargo run --release --example hello_rate`.
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::io::Read;

use atalaya_model::{Message, Side, Time};
use atalaya_wire::{Conversation, Limits, Over, Piece};

/// Rounds that are timed.
const ROUNDS: u32 = 1_000_000;

fn hello() -> Vec<u8> {
    let name = b"www.example.com";
    let ciphers: [u16; 16] = [
        0x8a8a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x009c, 0x009d, 0x002f, 0x0035,
    ];
    let mut extensions: Vec<(u16, Vec<u8>)> = vec![(0x3a3a, Vec::new())];
    let mut list = vec![0, 18, 0, 0, 15];
    list.extend_from_slice(name);
    extensions.push((0, list));
    extensions.extend([
        (23, vec![]),
        (0xff01, vec![0]),
        (35, vec![]),
        (5, vec![1, 0, 0, 0, 0]),
        (18, vec![]),
    ]);
    extensions.push((10, vec![0, 8, 0x8a, 0x8a, 0, 29, 0, 23, 0, 24]));
    extensions.push((11, vec![1, 0]));
    extensions.push((16, b"\x00\x0c\x02h2\x08http/1.1".to_vec()));
    extensions.push((13, vec![0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]));
    extensions.push((43, vec![6, 0x3a, 0x3a, 3, 4, 3, 3]));
    extensions.push((45, vec![1, 1]));
    extensions.push((51, [&[0, 36, 0, 29, 0, 32][..], &[7; 32]].concat()));
    extensions.push((27, vec![2, 0, 2]));
    extensions.push((17_513, vec![0, 3, 2, b'h', b'2']));
    extensions.push((21, vec![0; 150]));

    let with_length = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], bytes].concat()
    };
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.push(32);
    body.extend([5; 32]);
    let suites: Vec<u8> = ciphers.iter().flat_map(|cipher| cipher.to_be_bytes()).collect();
    body.extend(with_length(&suites));
    body.extend([1, 0]);
    let all: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &with_length(data)].concat())
        .collect();
    body.extend(with_length(&all));
    let mut message = vec![1, 0];
    message.extend(with_length(&body));
    let mut record = vec![22, 3, 1];
    record.extend(with_length(&message));
    record
}

/// Nanoseconds of CPU that this process has used.
fn used() -> u64 {
    let mut text = String::new();
    let read =
        std::fs::File::open("/proc/self/schedstat").and_then(|mut file| file.read_to_string(&mut text));
    let first = text.split(' ').next().filter(|_| read.is_ok());
    first.and_then(|first| first.parse().ok()).unwrap_or_default()
}

fn main() {
    let record = hello();
    let limits = Limits::default();
    let mut out = Vec::new();
    let mut last = None;
    let before = used();
    for _ in 0..ROUNDS {
        let mut conversation = Conversation::new(Over::Stream, 40_000, 443);
        let piece = Piece {
            time: Time(0),
            side: Side::Source,
            data: &record,
            cut: 0,
        };
        conversation.read(&piece, &limits, &mut out);
        conversation.wait(Time(0), true, &mut out);
        last = out.pop();
    }
    let spent = used() - before;
    if let Some((_, Message::Tls(tls))) = last
        && let Some(client) = tls.client
    {
        println!("{} {:?}", client.ja4, client.ja3);
    }
    println!("{} bytes, {} ns each", record.len(), spent / u64::from(ROUNDS));
}
