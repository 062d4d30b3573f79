//! Payload of one conversation, given to its protocol's reader, or to whoever recognises it.
//!
//! The first byte says how the conversation is read (see [`play`]); the pieces follow. Of a piece's kind, bit 0 is the
//! side, bits 1–2 say what happens after it (nothing, cut, a gap, time passes).

use atalaya_model::{Application, Basis, Side, Span, Time};
use atalaya_wire::{Appetite, Conversation, Limits, Over, Piece, Said, protocols};

use crate::pieces;

/// The reader itself is given every piece, whatever its first bytes say.
pub const FORCED: u8 = 1;
/// The ports are not the protocol's.
pub const ELSEWHERE: u8 = 2;
/// Query strings are kept.
pub const QUERY_STRINGS: u8 = 4;

pub const ANSWERS: u8 = 1;
const AFTER: u8 = 6;
const CUT: u8 = 2;
const GAP: u8 = 4;
const WAIT: u8 = 6;

pub fn dns(data: &[u8]) {
    let names = [
        (Application::Dns, Over::Datagrams, 53),
        (Application::Dns, Over::Stream, 53),
        (Application::Mdns, Over::Datagrams, 5353),
        (Application::Llmnr, Over::Datagrams, 5355),
        (Application::NetbiosNs, Over::Datagrams, 137),
        (Application::Dhcp, Over::Datagrams, 67),
        (Application::Dhcpv6, Over::Datagrams, 547),
        (Application::Snmp, Over::Datagrams, 161),
    ];
    one_of(data, &names);
}

pub fn tls(data: &[u8]) {
    play(data, Application::Tls, Over::Stream, 443);
}

pub fn dtls(data: &[u8]) {
    play(data, Application::Dtls, Over::Datagrams, 4433);
}

pub fn quic(data: &[u8]) {
    play(data, Application::Quic, Over::Datagrams, 443);
}

pub fn http(data: &[u8]) {
    let signalling = [
        (Application::Http, Over::Stream, 80),
        (Application::Http, Over::Stream, 8080),
        (Application::Sip, Over::Datagrams, 5060),
        (Application::Sip, Over::Stream, 5060),
        (Application::Rtsp, Over::Stream, 554),
        (Application::Ssdp, Over::Datagrams, 1900),
    ];
    one_of(data, &signalling);
}

pub fn http2(data: &[u8]) {
    play(data, Application::Http2, Over::Stream, 50_051);
}

pub fn greetings(data: &[u8]) {
    let mail = [
        (Application::Ssh, Over::Stream, 22),
        (Application::Smtp, Over::Stream, 25),
        (Application::Ftp, Over::Stream, 21),
        (Application::Imap, Over::Stream, 143),
        (Application::Pop3, Over::Stream, 110),
    ];
    one_of(data, &mail);
}

/// Every protocol: the first byte says which, its highest bit over what.
pub fn services(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else {
        return;
    };
    let over = if which & 0x80 == 0 {
        Over::Stream
    } else {
        Over::Datagrams
    };
    let application = Application::ALL[usize::from(which & 0x7f) % Application::ALL.len()];
    let port = protocols::speaker(application, over).and_then(|speaker| speaker.ports.first().copied());
    play(data, application, over, port.unwrap_or(9));
}

fn one_of(data: &[u8], list: &[(Application, Over, u16)]) {
    if let Some((&which, data)) = data.split_first() {
        let (application, over, port) = list[usize::from(which) % list.len()];
        play(data, application, over, port);
    }
}

fn play(data: &[u8], application: Application, over: Over, port: u16) {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let limits = Limits {
        query_strings: how & QUERY_STRINGS != 0,
        ..Limits::default()
    };
    let mut out = Vec::new();
    let make = protocols::speaker(application, over).and_then(|speaker| speaker.analyser);
    match make {
        Some(make) if how & FORCED != 0 => {
            let mut reader = make(&limits);
            let mut wants = true;
            each(data, over, |what| {
                if !wants && !matches!(what, What::Wait(..)) {
                    return;
                }
                let appetite = match what {
                    What::Piece(piece) => reader.read(&piece, &mut out),
                    What::Gap(side, bytes, time) => reader.gap(side, bytes, time, &mut out),
                    What::Wait(now, over) => {
                        reader.wait(now, over, &mut out);
                        Appetite::More
                    }
                };
                wants &= appetite == Appetite::More;
            });
        }
        _ => {
            let port = if how & ELSEWHERE == 0 { port } else { 9_999 };
            let mut conversation = Conversation::new(over, 40_000, port);
            each(data, over, |what| match what {
                What::Piece(piece) => conversation.read(&piece, &limits, &mut out),
                What::Gap(side, bytes, time) => conversation.gap(side, bytes, time, &limits, &mut out),
                What::Wait(now, over) => conversation.wait(now, over, &mut out),
            });
            assert!(
                !matches!(conversation.application(), Some((_, Basis::Content))) || !data.is_empty(),
                "named by content without any"
            );
        }
    }
    judge(&out, data.len());
}

/// What was said is not more than the bytes could say.
fn judge(out: &[Said], bytes: usize) {
    assert!(out.len() <= bytes + 8, "{} facts of {bytes} bytes", out.len());
    let facts = serde_json::to_string(out).map_or(0, |text| text.len());
    assert!(
        facts <= bytes.saturating_mul(1_024) + (1 << 20),
        "{facts} bytes told of {bytes}"
    );
}

enum What<'a> {
    Piece(Piece<'a>),
    Gap(Side, u64, Time),
    Wait(Time, bool),
}

fn each(data: &[u8], over: Over, mut take: impl FnMut(What<'_>)) {
    let mut time = Time::from_seconds(1_700_000_000);
    for (kind, data) in pieces(data) {
        time = time.after(Span(i64::from(kind) * 100));
        let side = if kind & ANSWERS == 0 {
            Side::Source
        } else {
            Side::Destination
        };
        let cut = if kind & AFTER == CUT {
            u32::from(kind) << 3
        } else {
            0
        };
        take(What::Piece(Piece {
            time,
            side,
            data,
            cut,
        }));
        match kind & AFTER {
            CUT if over == Over::Stream => take(What::Gap(side, u64::from(cut), time)),
            GAP if over == Over::Stream => take(What::Gap(side, 1 << (kind >> 3), time)),
            WAIT => {
                time = time.after(Span(i64::from(kind) * 1_000_000));
                take(What::Wait(time, false));
            }
            _ => {}
        }
    }
    take(What::Wait(time, true));
}
