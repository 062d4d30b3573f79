//! NTP (RFC 5905; control messages: RFC 9327): the first message of each side of a conversation.
//!
//! Names of the facts: `version`, `mode` (`client`, `server`, `symmetric_active`, `symmetric_passive`, `broadcast`,
//! `control`, `private`), `stratum`, `reference` (an address, or the name of a clock), `leap` (where it is not 0),
//! `request_code` (of private messages: 42 is the list that amplifies attacks), `operation` (of control messages).

use std::net::Ipv4Addr;

use atalaya_model::protocol::{Message, Other};
use atalaya_model::{Application, Side};

use super::attributes::Attributes;
use super::name;
use crate::analyser::{Analyser, Appetite, Guess, Opening, Piece, Said};

const PORT: u16 = 123;
/// Bytes of a message without extensions.
const HEADER: usize = 48;

pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    let is_usual = [opening.source_port, opening.destination_port].contains(&PORT);
    if is_usual && message(opening.data).is_some() {
        Guess::Yes
    } else {
        Guess::No
    }
}

/// Reads datagrams.
#[derive(Default)]
pub(super) struct Ntp {
    source: bool,
    destination: bool,
}

impl Analyser for Ntp {
    fn application(&self) -> Application {
        Application::Ntp
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        let told = match piece.side {
            Side::Source => &mut self.source,
            Side::Destination => &mut self.destination,
        };
        if !*told && let Some(other) = message(piece.data) {
            *told = true;
            out.push((piece.time, Message::Other(Box::new(other))));
        }
        if self.source && self.destination {
            Appetite::Enough
        } else {
            Appetite::More
        }
    }
}

fn message(data: &[u8]) -> Option<Other> {
    let &[first, second, _, fourth, ..] = data else {
        return None;
    };
    let (leap, version, mode) = (first >> 6, first >> 3 & 7, first & 7);
    if !(1..=4).contains(&version) {
        return None;
    }
    let mut facts = Attributes::new(Application::Ntp);
    facts.show("version", version);
    facts.text("mode", mode_name(mode)?);
    match mode {
        // Eight bytes of head at least, else it is something else.
        6 if data.len() >= 12 => facts.show("operation", second & 31),
        7 if data.len() >= 8 => facts.show("request_code", fourth),
        1..=5 if data.len() >= HEADER => {
            if leap != 0 {
                facts.show("leap", leap);
            }
            facts.show("stratum", second);
            let reference: [u8; 4] = *data.get(12..)?.first_chunk()?;
            if reference != [0; 4] {
                facts.add("reference", reference_name(second, reference));
            }
        }
        _ => return None,
    }
    Some(facts.done())
}

/// A clock or a reason in ASCII beside strata 0 and 1, else the address of the server above.
fn reference_name(stratum: u8, reference: [u8; 4]) -> Box<str> {
    if stratum > 1 {
        return Ipv4Addr::from(reference).to_string().into_boxed_str();
    }
    let end = reference
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    name::text(reference.get(..end).unwrap_or_default())
}

const fn mode_name(mode: u8) -> Option<&'static str> {
    Some(match mode {
        1 => "symmetric_active",
        2 => "symmetric_passive",
        3 => "client",
        4 => "server",
        5 => "broadcast",
        6 => "control",
        7 => "private",
        _ => return None,
    })
}
