//! Records in the form that zone files write them in, for types that have no words of their own in the model.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use atalaya_model::protocol::dns::type_name;

use super::cursor::{Cursor, hexadecimal};
use super::name;
use super::record::Place;

/// Bytes of unknown data that are kept.
const MOST_UNKNOWN: usize = 64;
/// Bytes that a text of a record takes at most; what is longer ends there.
const LONGEST: usize = 1_024;
/// Names in a list of types.
const MOST_KINDS: usize = 64;

/// The data of a type as text; `None` where the type is not known here or the data is not what it demands.
pub(super) fn text(kind: u16, place: Place<'_>) -> Option<Box<str>> {
    let mut cursor = Cursor::new(place.bytes());
    let text = match kind {
        11 => wks(&mut cursor)?,
        13 => format!("{} {}", quoted(&mut cursor)?, quoted(&mut cursor)?),
        17 => two_names(place)?,
        18 | 21 | 36 => format!("{} {}", cursor.u16()?, dotted(&place.name(2)?.0)),
        29 => location(&mut cursor)?,
        35 => naptr(place)?,
        50 => nsec3(&mut cursor)?,
        51 => hash(&mut cursor)?,
        52 | 53 => {
            let (usage, selector, matching) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
            format!(
                "{usage} {selector} {matching} {}",
                hexadecimal(first(cursor.rest()), None)
            )
        }
        64 | 65 => service(place)?,
        250 => signature(place)?,
        256 => {
            let (priority, weight) = (cursor.u16()?, cursor.u16()?);
            format!("{priority} {weight} \"{}\"", name::text(cursor.rest()))
        }
        _ => return None,
    };
    Some(cut(text))
}

/// Data of which nothing is known (RFC 3597).
pub(super) fn unknown(data: &[u8]) -> Box<str> {
    format!("\\# {} {}", data.len(), hexadecimal(first(data), None)).into_boxed_str()
}

fn first(data: &[u8]) -> &[u8] {
    data.get(..MOST_UNKNOWN).unwrap_or(data)
}

/// Everything here is ASCII.
fn cut(mut text: String) -> Box<str> {
    if text.is_char_boundary(LONGEST.min(text.len())) {
        text.truncate(LONGEST);
    }
    text.into_boxed_str()
}

/// A name inside a text, where the root must be seen.
fn dotted(name: &str) -> &str {
    if name.is_empty() { "." } else { name }
}

fn quoted(cursor: &mut Cursor<'_>) -> Option<String> {
    Some(format!("\"{}\"", name::text(cursor.short_string()?)))
}

fn two_names(place: Place<'_>) -> Option<String> {
    let (first, rest) = place.name(0)?;
    let (second, _) = place.name(place.bytes().len() - rest.rest().len())?;
    Some(format!("{} {}", dotted(&first), dotted(&second)))
}

/// Well known services: address, protocol, ports.
fn wks(cursor: &mut Cursor<'_>) -> Option<String> {
    let address = Ipv4Addr::from(cursor.array::<4>()?);
    let mut text = format!("{address} {}", cursor.u8()?);
    for port in set_bits(cursor.rest()).take(MOST_KINDS) {
        push(&mut text, format_args!(" {port}"));
    }
    Some(text)
}

fn set_bits(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.iter().enumerate().flat_map(|(index, &byte)| {
        (0..8)
            .filter(move |bit| byte & (0x80 >> bit) != 0)
            .map(move |bit| index * 8 + bit)
    })
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    text.write_fmt(what).unwrap_or_default();
}

/// The types of a bit map (RFC 4034, 4.1.2) by name.
pub(super) fn kinds(mut cursor: Cursor<'_>) -> Option<Box<str>> {
    let mut text = String::new();
    let mut count = 0;
    while !cursor.is_empty() && count < MOST_KINDS {
        let window = cursor.u8()?;
        let bits = cursor.short_string()?;
        if bits.len() > 32 {
            return None;
        }
        for low in set_bits(bits).take(MOST_KINDS - count) {
            let kind = u16::from(window) << 8 | u16::try_from(low).ok()?;
            let between = if text.is_empty() { "" } else { " " };
            match type_name(kind) {
                Some(name) => push(&mut text, format_args!("{between}{name}")),
                None => push(&mut text, format_args!("{between}TYPE{kind}")),
            }
            count += 1;
        }
    }
    Some(text.into_boxed_str())
}

/// `42 21 54 N 71 6 18 W -24m 30m` with size and precisions (RFC 1876, 3).
fn location(cursor: &mut Cursor<'_>) -> Option<String> {
    if cursor.u8()? != 0 {
        return None;
    }
    let [size, horizontal, vertical] = cursor.array()?;
    let (latitude, longitude, altitude) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let mut text = String::new();
    for (angle, positive, negative) in [(latitude, 'N', 'S'), (longitude, 'E', 'W')] {
        let offset = i64::from(angle) - (1 << 31);
        let side = if offset < 0 { negative } else { positive };
        let thousandths = offset.unsigned_abs();
        let (seconds, rest) = (thousandths / 1_000, thousandths % 1_000);
        let (degrees, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        push(
            &mut text,
            format_args!("{degrees} {minutes} {seconds}.{rest:03} {side} "),
        );
    }
    let centimetres = i64::from(altitude) - 10_000_000;
    let sign = if centimetres < 0 { "-" } else { "" };
    let centimetres = centimetres.unsigned_abs();
    push(
        &mut text,
        format_args!("{sign}{}.{:02}m", centimetres / 100, centimetres % 100),
    );
    for byte in [size, horizontal, vertical] {
        // A digit and a power of ten, of centimetres.
        let (digit, power) = (u64::from(byte >> 4), u32::from(byte & 15));
        if digit > 9 || power > 9 {
            return None;
        }
        let centimetres = digit * 10_u64.pow(power);
        push(
            &mut text,
            format_args!(" {}.{:02}m", centimetres / 100, centimetres % 100),
        );
    }
    Some(text)
}

fn naptr(place: Place<'_>) -> Option<String> {
    let mut cursor = Cursor::new(place.bytes());
    let (order, preference) = (cursor.u16()?, cursor.u16()?);
    let (flags, services, expression) = (quoted(&mut cursor)?, quoted(&mut cursor)?, quoted(&mut cursor)?);
    let (replacement, _) = place.name(place.bytes().len() - cursor.rest().len())?;
    let replacement = dotted(&replacement);
    Some(format!(
        "{order} {preference} {flags} {services} {expression} {replacement}"
    ))
}

/// Algorithm, flags, iterations and salt (RFC 5155, 4).
fn hash(cursor: &mut Cursor<'_>) -> Option<String> {
    let (algorithm, flags, iterations) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let salt = cursor.short_string()?;
    let salt = if salt.is_empty() {
        "-".into()
    } else {
        hexadecimal(first(salt), None)
    };
    Some(format!("{algorithm} {flags} {iterations} {salt}"))
}

fn nsec3(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut text = hash(cursor)?;
    cursor.short_string()?;
    let kinds = kinds(*cursor)?;
    if !kinds.is_empty() {
        push(&mut text, format_args!(" {kinds}"));
    }
    Some(text)
}

/// SVCB and HTTPS (RFC 9460): priority, target, parameters.
fn service(place: Place<'_>) -> Option<String> {
    let priority = Cursor::new(place.bytes()).u16()?;
    let (target, mut cursor) = place.name(2)?;
    let mut text = format!("{priority} {}", dotted(&target));
    while !cursor.is_empty() && text.len() < LONGEST {
        let key = cursor.u16()?;
        let length = cursor.u16()?;
        let value = cursor.take(usize::from(length))?;
        parameter(key, value, &mut text)?;
    }
    Some(text)
}

fn parameter(key: u16, value: &[u8], text: &mut String) -> Option<()> {
    let mut cursor = Cursor::new(value);
    let mut values: Vec<String> = Vec::new();
    let mut named = |name| {
        text.push(' ');
        text.push_str(name);
    };
    match key {
        0 => {
            named("mandatory");
            while !cursor.is_empty() {
                values.push(format!("key{}", cursor.u16()?));
            }
        }
        1 => {
            named("alpn");
            while !cursor.is_empty() {
                values.push(name::text(cursor.short_string()?).into());
            }
        }
        2 => named("no-default-alpn"),
        3 => {
            named("port");
            values.push(cursor.u16()?.to_string());
        }
        4 => {
            named("ipv4hint");
            while !cursor.is_empty() {
                values.push(Ipv4Addr::from(cursor.array::<4>()?).to_string());
            }
        }
        // The key of encrypted hellos is long and random.
        5 => named("ech"),
        6 => {
            named("ipv6hint");
            while !cursor.is_empty() {
                values.push(Ipv6Addr::from(cursor.array::<16>()?).to_string());
            }
        }
        _ => push(text, format_args!(" key{key}")),
    }
    if !values.is_empty() {
        push(text, format_args!("={}", values.join(",")));
    }
    Some(())
}

/// TSIG (RFC 8945): algorithm, time, fudge, error.
fn signature(place: Place<'_>) -> Option<String> {
    let (algorithm, mut cursor) = place.name(0)?;
    let [high, low] = [cursor.u16()?, cursor.u16()?];
    let time = u64::from(high) << 32 | u64::from(low) << 16 | u64::from(cursor.u16()?);
    let fudge = cursor.u16()?;
    let length = cursor.u16()?;
    cursor.take(usize::from(length))?;
    cursor.u16()?;
    let error = cursor.u16()?;
    Some(format!("{} {time} {fudge} {error}", dotted(&algorithm)))
}
