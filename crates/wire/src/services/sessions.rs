//! Sessions that begin with words: IRC, XMPP, RFB (VNC), Telnet.

mod irc;

use atalaya_model::{Application, Side};

use super::brief::{Brief, Notes};
use crate::analyser::{Appetite, Guess, Over, Speaker};

const STREAM: &[Over] = &[Over::Stream];
/// Pieces in which IRC and XMPP may still ask for TLS.
const PATIENCE: u8 = 8;

pub(crate) static SPEAKERS: [Speaker; 4] = [
    Speaker {
        application: Application::Irc,
        over: STREAM,
        ports: &[
            194, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 7000,
        ],
        recognise: irc::recognise,
        analyser: Some(|_| Box::<irc::Irc>::default()),
    },
    Speaker {
        application: Application::Xmpp,
        over: STREAM,
        ports: &[5222, 5269, 5280],
        recognise: |opening| {
            guess(contains(
                opening.data.get(..300).unwrap_or(opening.data),
                b"<stream:stream",
            ))
        },
        analyser: Some(|_| Box::new(Brief::patient(Application::Xmpp, xmpp, PATIENCE))),
    },
    Speaker {
        application: Application::Rfb,
        over: STREAM,
        ports: &[5900, 5901, 5902],
        recognise: |opening| {
            guess(matches!(
                opening.data,
                [b'R', b'F', b'B', b' ', b'0', b'0', _, b'.', ..]
            ))
        },
        analyser: Some(|_| Box::new(Brief::new(Application::Rfb, rfb))),
    },
    Speaker {
        application: Application::Telnet,
        over: STREAM,
        ports: &[23, 2323],
        // An offer or a wish of an option: IAC, WILL to DONT, the option.
        recognise: |opening| guess(matches!(opening.data, [255, 251..=254, option, ..] if *option < 50)),
        analyser: None,
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}

fn contains(data: &[u8], word: &[u8]) -> bool {
    data.windows(word.len()).any(|window| window == word)
}

fn xmpp(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source && !notes.has("to") {
        for begin in [&b" to='"[..], b" to=\""] {
            let place = data.windows(begin.len()).position(|window| window == begin);
            if let Some(rest) = place.and_then(|place| data.get(place + begin.len()..)) {
                let name = rest.split(|byte| matches!(byte, b'\'' | b'"')).next();
                notes.text("to", name.unwrap_or_default());
            }
        }
    }
    if side == Side::Source && contains(data, b"<starttls") {
        notes.add("starttls", "true");
    }
    if side == Side::Destination && contains(data, b"<proceed") {
        return Appetite::Becomes {
            application: Some(Application::Tls),
            consumed: data.len(),
        };
    }
    Appetite::More
}

fn rfb(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if let Some(version) = data.strip_prefix(b"RFB ") {
        let name = match side {
            Side::Source => "client_version",
            Side::Destination => "server_version",
        };
        notes.text(name, version.get(..7).unwrap_or(version).trim_ascii());
    }
    Appetite::More
}
