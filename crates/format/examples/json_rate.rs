//! How long one record takes in each format of JSON: `cargo run --release -p atalaya-format --example json_rate`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints what it measured with a clock, and stops at what it did not expect"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/formats/said.rs"]
mod said;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/formats/samples.rs"]
mod samples;

use std::sync::Arc;
use std::time::Instant;

use atalaya_format::{Context, Language, ecs, eve, zeek};
use atalaya_model::protocol::Dns;
use atalaya_model::protocol::dns::Response;
use atalaya_model::{Event, Fact, Message};

/// Records in a part, and parts: the fastest part counts, so that what else runs does not.
const ROUNDS: u32 = 10_000;
const PARTS: u32 = 20;

fn measure(name: &str, mut write: impl FnMut(&mut String)) {
    let mut out = String::with_capacity(1 << 16);
    let part = || {
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            out.clear();
            write(&mut out);
        }
        begin.elapsed() / ROUNDS
    };
    let best = std::iter::repeat_with(part)
        .take(PARTS as usize)
        .min()
        .unwrap_or_default();
    println!("{name:32} {:>6} ns {:>6} bytes", best.as_nanos(), out.len());
}

fn main() {
    let context = Context {
        host_name: "bastion".into(),
        host_id: Some("f81d4fae".into()),
        version: "0.1.0".into(),
        language: Language::English,
        of_captures: false,
    };
    let event = |fact| Event::new(samples::START, fact);
    let mut bare = said::connection();
    bare.process = None;
    bare.traffic = None;
    let mut quiet = bare.clone();
    let wire = quiet.wire.as_mut().unwrap();
    (wire.tls, wire.http, wire.ssh) = (None, None, None);
    let mut kernel = samples::connection(samples::process());
    kernel.process = None;
    let mut events = vec![
        (
            "closed, kernel, no process".to_owned(),
            event(Fact::ConnectionClosed(Arc::new(kernel))),
        ),
        (
            "closed, wire".to_owned(),
            event(Fact::ConnectionClosed(Arc::new(quiet))),
        ),
        (
            "closed, wire, tls+http+ssh".to_owned(),
            event(Fact::ConnectionClosed(Arc::new(bare.clone()))),
        ),
        (
            "closed, wire, with process".to_owned(),
            event(Fact::ConnectionClosed(Arc::new(said::connection()))),
        ),
    ];
    let bare = Arc::new(bare);
    for mut protocol in said::protocols() {
        protocol.connection = bare.clone();
        if let Message::Dns(dns) = &protocol.message {
            let response = dns.response.clone().unwrap();
            protocol.message = Message::Dns(Box::new(Dns {
                response: Some(Response {
                    answers: response.answers[..2].into(),
                    authorities: Box::default(),
                    ..response
                }),
                ..(**dns).clone()
            }));
        }
        let name = protocol.message.kind().to_owned();
        events.push((name, event(Fact::Protocol(Arc::new(protocol)))));
    }
    for (name, event) in &events {
        measure(&format!("ecs  {name}"), |out| ecs::event(out, event, &context));
        measure(&format!("eve  {name}"), |out| eve::event(out, event));
        measure(&format!("zeek {name}"), |out| zeek::lines(out, event, |_, _| {}));
    }
}
