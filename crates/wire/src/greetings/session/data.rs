//! What FTP says of the connections over which files and lists go: `PORT` and `PASV` (RFC 959), `EPRT` and `EPSV`
//! (RFC 2428).

use std::net::{IpAddr, Ipv4Addr};

use atalaya_model::Application;
use atalaya_model::protocol::Other;

use crate::lines::after;
use crate::text::number;

/// The announcement that a command makes, or asks for.
pub(super) fn command(line: &[u8]) -> Option<Other> {
    let (name, place) = if let Some(numbers) = after(line, b"PORT ") {
        ("PORT", Some(comma_separated(numbers)?))
    } else if let Some(fields) = after(line, b"EPRT ") {
        ("EPRT", Some(delimited(fields)?))
    } else if after(line, b"PASV") == Some(b"") {
        ("PASV", None)
    } else if after(line, b"EPSV").is_some_and(|which| matches!(which, b"" | b"1" | b"2")) {
        ("EPSV", None)
    } else {
        return None;
    };
    let mut announcement = Other::new(Application::Ftp);
    announcement.attributes.push(("command".into(), name.into()));
    if let Some(place) = place {
        put(&mut announcement, place);
    }
    Some(announcement)
}

/// What the server's answer adds: where it waits.
pub(super) fn answer(code: u16, words: &[u8], announcement: &mut Other) {
    let inside = || {
        let begin = words.iter().position(|byte| *byte == b'(')? + 1;
        let rest = words.get(begin..)?;
        rest.get(..rest.iter().position(|byte| *byte == b')')?)
    };
    let place = match (announcement.get("command"), code) {
        (Some("PASV"), 227) => inside()
            .or_else(|| words.rsplit(|byte| *byte == b' ').next())
            .and_then(comma_separated),
        (Some("EPSV"), 229) => inside().and_then(delimited),
        _ => None,
    };
    if let Some(place) = place {
        put(announcement, place);
    }
}

fn put(announcement: &mut Other, (address, port): (Option<IpAddr>, u16)) {
    let attributes = &mut announcement.attributes;
    if let Some(address) = address {
        attributes.push(("data_address".into(), address.to_string().into()));
    }
    attributes.push(("data_port".into(), port.to_string().into()));
}

/// `192,0,2,9,234,10`: four bytes of the address, two of the port.
fn comma_separated(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let mut bytes = [0; 6];
    let mut numbers = text.trim_ascii_end().split(|byte| *byte == b',');
    for byte in &mut bytes {
        *byte = u8::try_from(number(numbers.next()?.trim_ascii())?).ok()?;
    }
    let [a, b, c, d, high, low] = bytes;
    let port = u16::from_be_bytes([high, low]);
    let is_whole = numbers.next().is_none() && port != 0;
    is_whole.then_some((Some(Ipv4Addr::new(a, b, c, d).into()), port))
}

/// `|2|2001:db8::9|49189|`, or of a server `|||49189|`; whatever stands first separates.
fn delimited(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (separator, rest) = text.split_first()?;
    let mut fields = rest.split(|byte| byte == separator);
    let (_family, address, port) = (fields.next()?, fields.next()?, fields.next()?);
    let address = match address {
        b"" => None,
        address => Some(std::str::from_utf8(address).ok()?.parse().ok()?),
    };
    let port = u16::try_from(number(port)?).ok().filter(|port| *port != 0)?;
    Some((address, port))
}
