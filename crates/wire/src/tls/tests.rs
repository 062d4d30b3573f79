//! Hellos made here, and whole handshakes that rustls makes in memory.

mod build;
mod damage;
mod datagrams;
mod streams;

use atalaya_model::protocol::{Quic, Tls};
use atalaya_model::{Application, Basis, Message, Side, Time};

use crate::{Conversation, Limits, Over, Piece, Said};

/// Reads what both sides say, and ends it.
fn read(
    over: Over,
    ports: (u16, u16),
    pieces: &[(Side, Vec<u8>)],
) -> (Vec<Said>, Option<(Application, Basis)>) {
    let mut conversation = Conversation::new(over, ports.0, ports.1);
    let mut out = Vec::new();
    for (index, (side, data)) in pieces.iter().enumerate() {
        let piece = Piece {
            time: Time(i64::try_from(index).unwrap()),
            side: *side,
            data,
            cut: 0,
        };
        conversation.read(&piece, &Limits::default(), &mut out);
    }
    conversation.wait(Time(1_000), true, &mut out);
    (out, conversation.application())
}

/// The one handshake that was said.
#[track_caller]
fn handshake(over: Over, pieces: &[(Side, Vec<u8>)]) -> Tls {
    let (mut said, _) = read(over, (40_000, 50_000), pieces);
    assert_eq!(said.len(), 1, "{said:?}");
    match said.remove(0).1 {
        Message::Tls(tls) => *tls,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn quic(pieces: &[(Side, Vec<u8>)]) -> Quic {
    let (mut said, application) = read(Over::Datagrams, (40_000, 50_000), pieces);
    assert_eq!(application, Some((Application::Quic, Basis::Content)));
    assert_eq!(said.len(), 1, "{said:?}");
    match said.remove(0).1 {
        Message::Quic(quic) => *quic,
        other => panic!("{other:?}"),
    }
}
