//! IRC (RFC 1459): who comes to which server, and the files and talks that users offer each other (DCC). Nothing of what
//! is said is kept.
//!
//! Attributes: `nick`, `user`, `channel`, `server`, `starttls`; of an offer, one fact each: `command` (`DCC SEND`,
//! `DCC CHAT`), `path`, `data_address`, `data_port`.

use std::net::{IpAddr, Ipv4Addr};

use atalaya_model::protocol::Other;
use atalaya_model::{Application, Message, Side, Time};
use memchr::memmem;

use super::super::brief::{Brief, Notes};
use super::{PATIENCE, contains, guess};
use crate::analyser::{Analyser, Appetite, Guess, Opening, Piece, Said};
use crate::lines::Lines;
use crate::text::{number, text};

/// Reads IRC in one conversation.
pub(super) struct Irc {
    /// Who reads the introductions, until they are over.
    introductions: Option<Brief>,
    lines: [Lines; 2],
}

impl Default for Irc {
    fn default() -> Self {
        Self {
            introductions: Some(Brief::patient(Application::Irc, look, PATIENCE)),
            lines: [Lines::default(), Lines::default()],
        }
    }
}

impl Analyser for Irc {
    fn application(&self) -> Application {
        Application::Irc
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        if let Some(introductions) = &mut self.introductions {
            match introductions.read(piece, out) {
                Appetite::More => {}
                becomes @ Appetite::Becomes { .. } => return becomes,
                Appetite::Enough | Appetite::NotMine => self.introductions = None,
            }
        }
        let lines = &mut self.lines[piece.side as usize];
        let mut rest = piece.data;
        while let Some(line) = lines.next(&mut rest) {
            if let Some(offer) = offer(line.bytes()) {
                out.push((piece.time, Message::Other(Box::new(offer))));
            }
        }
        Appetite::More
    }

    fn gap(&mut self, side: Side, bytes: u64, time: Time, out: &mut Vec<Said>) -> Appetite {
        if let Some(mut introductions) = self.introductions.take() {
            introductions.gap(side, bytes, time, out);
        }
        // The line that the gap is in is lost, and the end of it is no offer.
        self.lines[side as usize] = Lines::default();
        Appetite::More
    }

    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        if let Some(introductions) = &mut self.introductions {
            introductions.wait(now, over, out);
        }
    }
}

/// An offer inside a line: `PRIVMSG ana :\x01DCC SEND file 3221225993 59130 1320211\x01`. The address is a number, or
/// that of IPv6 in its usual form; a port of 0 asks the other side to wait.
fn offer(line: &[u8]) -> Option<Other> {
    let begin = memmem::find(line, b":\x01DCC ")?;
    let words = line.get(begin + 6..)?;
    let words = words.strip_suffix(b"\x01").unwrap_or(words);
    let (command, rest) = match (words.strip_prefix(b"SEND "), words.strip_prefix(b"CHAT ")) {
        (Some(rest), _) => ("DCC SEND", rest),
        (_, Some(rest)) => ("DCC CHAT", rest),
        _ => return None,
    };
    // A name with blanks stands in quotation marks.
    let (name, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => {
            let end = quoted.iter().position(|byte| *byte == b'"')?;
            (&quoted[..end], quoted.get(end + 1..)?.trim_ascii_start())
        }
        None => {
            let end = rest.iter().position(|byte| *byte == b' ')?;
            (&rest[..end], rest.get(end + 1..)?)
        }
    };
    let mut fields = rest.split(|byte| *byte == b' ');
    let (address, port) = (fields.next()?, number(fields.next()?)?);
    let address = match number(address) {
        Some(bits) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).ok()?)),
        None => std::str::from_utf8(address).ok()?.parse().ok()?,
    };
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let mut offer = Other::new(Application::Irc);
    offer.attributes.push(("command".into(), command.into()));
    if command == "DCC SEND" {
        offer.attributes.push(("path".into(), text(name, 512)));
    }
    let address = address.to_string().into();
    offer.attributes.push(("data_address".into(), address));
    offer
        .attributes
        .push(("data_port".into(), port.to_string().into()));
    Some(offer)
}

/// Lines of a client that introduces itself, or of a server that greets.
pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
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

fn look(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
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
