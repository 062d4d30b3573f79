//! TLS, DTLS and QUIC handshakes and their fingerprints.

mod certificate;
mod cursor;
mod datagram;
mod der;
mod fingerprint;
mod handshake;
mod hello;
mod messages;
mod pieces;
mod quic;
mod stream;
#[cfg(test)]
mod tests;

use atalaya_model::Application;

use crate::analyser::{Guess, Opening, Over, Speaker};

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[
    Speaker {
        application: Application::Tls,
        over: &[Over::Stream],
        ports: &[
            443, 8443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2376, 3269, 4433, 5061, 5223, 5349,
            5671, 6443, 6514, 6697, 8883, 9443,
        ],
        recognise: is_tls,
        analyser: Some(stream::make),
    },
    Speaker {
        application: Application::Dtls,
        over: &[Over::Datagrams],
        ports: &[2221, 4433, 4740, 5061, 5349, 5684, 10_161, 10_162],
        recognise: datagram::recognise,
        analyser: Some(datagram::make),
    },
    Speaker {
        application: Application::Quic,
        over: &[Over::Datagrams],
        ports: quic::PORTS,
        recognise: quic::recognise,
        analyser: Some(quic::make),
    },
];

/// A record with a hello, an alert or encrypted data in it; or a hello as SSL 2 began.
fn is_tls(opening: &Opening<'_>) -> Guess {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    const CERTIFICATE: u8 = 11;
    const DONE: u8 = 14;
    let data = opening.data;
    match data {
        [] => Guess::Maybe,
        [ALERT..=DATA] | [ALERT..=DATA, 3] | [ALERT..=DATA, 3, 0..=4] | [ALERT..=DATA, 3, 0..=4, _] => {
            Guess::Maybe
        }
        &[kind @ ALERT..=DATA, major, minor, high, low, ref rest @ ..] => {
            let Some((_, length)) = stream::head([kind, major, minor, high, low]) else {
                return Guess::No;
            };
            let length = usize::from(length);
            let is_whole = rest.len() == length;
            let fits = match (kind, rest) {
                (HANDSHAKE, [1 | 2, above, ..]) => *above == 0 && length >= 4,
                // The beginning was not seen: certificates, or the server's last words before keys are changed.
                (HANDSHAKE, [CERTIFICATE..=DONE, 0, high, low, ..]) => {
                    (4..=length).contains(&(4 + (usize::from(*high) << 8 | usize::from(*low))))
                }
                (ALERT, [level, ..]) if length == 2 => matches!(level, 1 | 2),
                // Encrypted, the last that is said.
                (ALERT, [_, ..]) => is_whole && (16..=80).contains(&length),
                (HANDSHAKE | ALERT, []) => return Guess::Maybe,
                // The beginning was not seen. Two records in a row are no chance.
                _ => {
                    length > 16
                        && rest
                            .get(length..)
                            .is_none_or(|after| after.is_empty() || after[0] == kind)
                }
            };
            if fits { Guess::Yes } else { Guess::No }
        }
        [0x80..=0x87, _, 1, ..] if data.len() >= 11 => match stream::old_hello(data) {
            Some(_) => Guess::Yes,
            None => Guess::No,
        },
        [0x80..=0x87] | [0x80..=0x87, _] | [0x80..=0x87, _, 1, ..] => Guess::Maybe,
        _ => Guess::No,
    }
}
