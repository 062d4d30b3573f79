//! DER, as far as certificates need it (X.690).

use std::fmt::Write;

use atalaya_model::Time;

use super::cursor::Cursor;

pub(super) const INTEGER: u8 = 2;
pub(super) const OCTETS: u8 = 4;
pub(super) const OID: u8 = 6;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// One element: its tag and content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// The next element. Tags of more than one byte and lengths without end do not occur in certificates.
pub(super) fn next<'a>(at: &mut Cursor<'a>) -> Option<Element<'a>> {
    let tag = at.u8()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let length = match at.u8()? {
        length @ 0..=0x7f => length.into(),
        0x81 => at.u8()?.into(),
        0x82 => at.u16()?.into(),
        0x83 => at.u24()?,
        _ => return None,
    };
    let content = at.take(length)?;
    Some(Element { tag, content })
}

/// The content of the next element if it has this tag.
pub(super) fn expect<'a>(at: &mut Cursor<'a>, tag: u8) -> Option<&'a [u8]> {
    next(at)
        .filter(|element| element.tag == tag)
        .map(|element| element.content)
}

/// An object identifier as dotted numbers.
pub(super) fn dotted(oid: &[u8]) -> String {
    let mut out = String::new();
    let mut value = 0_u64;
    for &byte in oid.iter().take(32) {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        let result = if out.is_empty() {
            let first = (value / 40).min(2);
            write!(out, "{first}.{}", value - first * 40)
        } else {
            write!(out, ".{value}")
        };
        if result.is_err() {
            break;
        }
        value = 0;
    }
    out
}

/// The text of an element in whichever of the many ways it is written, at most `limit` letters.
pub(super) fn text(element: Element<'_>, limit: usize) -> String {
    const UTF8: u8 = 12;
    const BMP: u8 = 30;
    const UNIVERSAL: u8 = 28;
    let content = element.content;
    match element.tag {
        UTF8 => String::from_utf8_lossy(content).chars().take(limit).collect(),
        BMP => {
            let units = content.as_chunks().0.iter().copied().map(u16::from_be_bytes);
            char::decode_utf16(units)
                .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
                .take(limit)
                .collect()
        }
        UNIVERSAL => {
            let units = content.as_chunks().0.iter().copied().map(u32::from_be_bytes);
            units
                .map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
                .take(limit)
                .collect()
        }
        // PrintableString and IA5String are ASCII, TeletexString is Latin 1 in practice; UTF-8 occurs in all.
        _ => match std::str::from_utf8(content) {
            Ok(text) => text.chars().take(limit).collect(),
            Err(_) => content.iter().copied().map(char::from).take(limit).collect(),
        },
    }
}

/// A UTCTime (`690101000000Z`) or GeneralizedTime (`20380101000000Z`); without seconds, too.
pub(super) fn time(element: Element<'_>) -> Option<Time> {
    const UTC: u8 = 23;
    const GENERALIZED: u8 = 24;
    let digits = match element.tag {
        UTC | GENERALIZED => element.content,
        _ => return None,
    };
    let mut pairs = digits
        .chunks(2)
        .map_while(|pair| match *pair {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
            }
            _ => None,
        })
        .take(7);
    let year = match (element.tag, pairs.next()?) {
        (UTC, year @ 50..) => 1900 + year,
        (UTC, year) => 2000 + year,
        (_, century) => century * 100 + pairs.next()?,
    };
    let (month, day) = (pairs.next()?, pairs.next()?);
    let (hour, minute) = (pairs.next()?, pairs.next()?);
    let second = pairs.next().unwrap_or(0);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Time::from_seconds(seconds))
}

/// Days since 1970-01-01, in years that begin in March so that the odd day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}
