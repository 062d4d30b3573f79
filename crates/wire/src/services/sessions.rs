//! Sessions that begin with words: IRC, XMPP, RFB (VNC), Telnet.

use atalaya_model::{Application, Side};

use super::brief::{Brief, Notes};
use crate::analyser::{Appetite, Guess, Opening, Over, Speaker};

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
        recognise: |opening| irc_guess(opening),
        analyser: Some(|_| Box::new(Brief::patient(Application::Irc, irc, PATIENCE))),
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

/// Lines of a client that introduces itself, or of a server that greets.
fn irc_guess(opening: &Opening<'_>) -> Guess {
    const WORDS: [&[u8]; 4] = [b"NICK ", b"USER ", b"PASS ", b"CAP LS"];
    let usual = (6_660..=7_000).contains(&opening.destination_port) || opening.destination_port == 194;
    match opening.side {
        Side::Source => {
            // `USER` and `PASS` are words of FTP and POP3, too: there only `NICK` tells.
            let begins = WORDS.into_iter().any(|word| opening.data.starts_with(word));
            let nick = contains(opening.data, b"NICK ") || opening.data.starts_with(b"CAP LS");
            let wish = usual && opening.data.starts_with(b"STARTTLS");
            guess((begins && (nick || usual)) || wish)
        }
        Side::Destination => {
            let notice = contains(opening.data.get(..200).unwrap_or(opening.data), b" NOTICE ")
                || opening.data.starts_with(b"NOTICE AUTH");
            guess(notice && (opening.data.starts_with(b":") || opening.data.starts_with(b"NOTICE")))
        }
    }
}

fn irc(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    for line in data.split(|byte| *byte == b'\n').take(16) {
        let line = line.trim_ascii();
        match side {
            Side::Source => {
                if let Some(nick) = line.strip_prefix(b"NICK ") {
                    notes.text("nick", nick);
                } else if let Some(user) = line.strip_prefix(b"USER ") {
                    let name = user.split(|byte| *byte == b' ').next();
                    notes.text("user", name.unwrap_or_default());
                } else if let Some(channel) = line.strip_prefix(b"JOIN ") {
                    let name = channel.split(|byte| *byte == b' ').next();
                    notes.text("channel", name.unwrap_or_default());
                } else if line == b"STARTTLS" {
                    notes.add("starttls", "true");
                }
            }
            Side::Destination => {
                // The yes to STARTTLS has a number of its own.
                if line.split(|byte| *byte == b' ').nth(1) == Some(b"670") {
                    return Appetite::Becomes {
                        application: Some(Application::Tls),
                        consumed: data.len(),
                    };
                }
                if let Some(rest) = line.strip_prefix(b":")
                    && !notes.has("server")
                {
                    let name = rest.split(|byte| *byte == b' ').next();
                    notes.text("server", name.unwrap_or_default());
                }
            }
        }
    }
    Appetite::More
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
