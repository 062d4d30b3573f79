//! SNMP 1, 2c and 3 (RFC 1157, 3416, 3412): the first messages of a conversation. The community string, a password in
//! all but name, is never kept.
//!
//! Names of the facts: `version` (`1`, `2c`, `3`), `pdu` (`get`, `get_next`, `response`, `set`, `trap`, `get_bulk`,
//! `inform`, `trap2`, `report`), `error` (its number, where it is not 0), `oid` (each, at most 8), and of version 3
//! `security_level` (`none`, `authenticated`, `encrypted`).

use atalaya_model::Application;
use atalaya_model::protocol::{Message, Other};

use super::attributes::Attributes;
use super::ber::{self, Ber};
use crate::analyser::{Analyser, Appetite, Guess, Opening, Piece, Said};

/// Messages of one conversation that are told: a walk through a tree has thousands.
const MOST_MESSAGES: u8 = 16;
/// Objects of a message that are told.
const MOST_OBJECTS: usize = 8;

pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    // Where names are asked for, something odd is still more likely to be followed by names.
    let is_other = [opening.source_port, opening.destination_port].contains(&53);
    if !is_other && message(opening.data).is_some() {
        Guess::Yes
    } else {
        Guess::No
    }
}

/// Reads datagrams.
#[derive(Default)]
pub(super) struct Snmp {
    told: u8,
}

impl Analyser for Snmp {
    fn application(&self) -> Application {
        Application::Snmp
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        if let Some(other) = message(piece.data) {
            self.told += 1;
            out.push((piece.time, Message::Other(Box::new(other))));
        }
        if self.told >= MOST_MESSAGES {
            Appetite::Enough
        } else {
            Appetite::More
        }
    }
}

fn message(data: &[u8]) -> Option<Other> {
    let mut whole = Ber::new(data).inside(ber::SEQUENCE)?;
    let mut facts = Attributes::new(Application::Snmp);
    match whole.integer()? {
        0 => facts.text("version", "1"),
        1 => facts.text("version", "2c"),
        3 => {
            facts.text("version", "3");
            secured(&mut whole, &mut facts)?;
            return Some(facts.done());
        }
        _ => return None,
    }
    whole.tagged(ber::OCTETS)?;
    unit(&mut whole, &mut facts)?;
    Some(facts.done())
}

/// Version 3: global data, security parameters, then the scoped unit, mostly encrypted.
fn secured(whole: &mut Ber<'_>, facts: &mut Attributes) -> Option<()> {
    let mut global = whole.inside(ber::SEQUENCE)?;
    global.integer()?;
    global.integer()?;
    let flags = global.tagged(ber::OCTETS)?.first()?;
    let level = match flags & 3 {
        0 => "none",
        1 => "authenticated",
        _ => "encrypted",
    };
    facts.text("security_level", level);
    whole.tagged(ber::OCTETS)?;
    if let Some(mut scoped) = whole.inside(ber::SEQUENCE) {
        scoped.tagged(ber::OCTETS)?;
        scoped.tagged(ber::OCTETS)?;
        unit(&mut scoped, facts)?;
    }
    Some(())
}

/// A protocol data unit.
fn unit(outside: &mut Ber<'_>, facts: &mut Attributes) -> Option<()> {
    let (tag, content) = outside.any()?;
    facts.text("pdu", unit_name(tag)?);
    let mut unit = Ber::new(content);
    if tag == 0xa4 {
        // A trap of version 1 begins with the object that sends it.
        facts.all("oid", ber::object(unit.tagged(ber::OBJECT)?));
        return Some(());
    }
    unit.integer()?;
    let error = unit.integer()?;
    // In get_bulk this is another number.
    if error != 0 && tag != 0xa5 {
        facts.show("error", error);
    }
    unit.integer()?;
    let mut bindings = unit.inside(ber::SEQUENCE)?;
    for _ in 0..MOST_OBJECTS {
        let Some(mut binding) = bindings.inside(ber::SEQUENCE) else {
            break;
        };
        facts.all("oid", ber::object(binding.tagged(ber::OBJECT)?));
    }
    Some(())
}

const fn unit_name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        0xa0 => "get",
        0xa1 => "get_next",
        0xa2 => "response",
        0xa3 => "set",
        0xa4 => "trap",
        0xa5 => "get_bulk",
        0xa6 => "inform",
        0xa7 => "trap2",
        0xa8 => "report",
        _ => return None,
    })
}
