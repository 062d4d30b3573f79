//! How many DNS messages a second are read, each question and answer in a conversation of its own:
//! `cargo run --release -p atalaya-wire --example dns_rate`.
#![expect(clippy::print_stdout, reason = "it tells what it measured")]

use std::hint::black_box;
use std::time::Instant;

use atalaya_model::{Message, Side, Time};
use atalaya_wire::{Conversation, Limits, Over, Piece, names};

const PAIRS: u32 = 2_000_000;
const TAIL: &[u8] = b"\x06static\x07example\x03org\x00\x00\x01\x00\x01";

fn question(number: u32) -> Vec<u8> {
    let [_, _, id @ ..] = number.to_be_bytes();
    let label = format!("host-{:05}", number % 65_536);
    let head = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a";
    [&id, head.as_slice(), label.as_bytes(), TAIL].concat()
}

/// An alias, and two addresses for it.
fn answer(question: &[u8]) -> Vec<u8> {
    let [i, j, ..] = *question else { return Vec::new() };
    let rest = question.get(12..).unwrap_or_default();
    let head = [i, j, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0];
    let alias = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x2c\x00\x07\x04edge\xc0\x1e";
    let at = u16::try_from(12 + rest.len() + 12).unwrap_or(0) | 0xc000;
    let mut message = [&head, rest, alias.as_slice()].concat();
    for last in [1, 2] {
        message.extend(at.to_be_bytes());
        message.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    }
    message
}

fn main() {
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = (0..4_096)
        .map(|number| {
            let question = question(number * 7);
            let answer = answer(&question);
            (question, answer)
        })
        .collect();
    let limits = Limits::default();
    let rate = |name: &str, begin: Instant, told: usize| {
        let nanoseconds = begin.elapsed().as_nanos() / u128::from(2 * PAIRS);
        println!("{name}: {nanoseconds} ns a message, {told} told");
    };

    let begin = started();
    let mut told = 0;
    let mut out = Vec::new();
    for (_, (question, answer)) in (0..PAIRS).zip(pairs.iter().cycle()) {
        let mut conversation = Conversation::new(Over::Datagrams, 40_000, 53);
        for (side, data) in [(Side::Source, question), (Side::Destination, answer)] {
            let piece = Piece {
                time: Time(1),
                side,
                data,
                cut: 0,
            };
            conversation.read(&piece, &limits, &mut out);
        }
        told += out
            .iter()
            .filter(|(_, message)| matches!(message, Message::Dns(_)))
            .count();
        out.clear();
        black_box(&conversation);
    }
    rate("conversations of one pair", begin, told);

    let begin = started();
    let mut told = 0;
    for (_, (question, answer)) in (0..PAIRS).zip(pairs.iter().cycle()) {
        for data in [question, answer] {
            told += usize::from(black_box(names::message(data, Time(1))).is_some());
        }
    }
    rate("messages alone", begin, told);
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn started() -> Instant {
    Instant::now()
}
