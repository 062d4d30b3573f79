//! snoop, as Solaris writes it (RFC 1761): a header of 16 bytes, records with a head of 24, all big-endian.

use atalaya_model::Time;

use super::error::Problem;
use super::interface::Interface;
use super::order::Order;
use super::reader::{Found, LARGEST};
use super::source::{LONGEST, Source};
use crate::frame::LinkType;

const MAGIC: &[u8] = b"snoop\0\0\0";
const HEADER: usize = 16;
const HEAD: usize = 24;

/// Reads the header where it is one of snoop.
pub(super) fn open(source: &mut Source) -> Result<Option<Interface>, Problem> {
    source.has(MAGIC.len())?;
    if !source.bytes().starts_with(MAGIC) {
        return Ok(None);
    }
    source.need(HEADER)?;
    let number = |at: usize| Order::Big.u32(source.bytes(), at);
    if number(8) != 2 {
        return Err(Problem::Version {
            format: "snoop",
            major: number(8),
            minor: 0,
            known: "2",
        });
    }
    let link = match number(12) {
        4 => LinkType::ETHERNET,
        other => {
            let what = format!("its link type {other} is not known; known is 4 (Ethernet)");
            return Err(Problem::Damaged(what));
        }
    };
    source.pass(HEADER);
    Ok(Some(Interface {
        name: String::new(),
        link,
        snap_length: 0,
    }))
}

/// Finds the next record; its bytes are in the source then.
pub(super) fn next(source: &mut Source) -> Result<Option<Found>, Problem> {
    if !source.has(HEAD)? {
        if source.bytes().is_empty() {
            return Ok(None);
        }
        source.need(HEAD)?;
    }
    let number = |at: usize| Order::Big.u32(source.bytes(), at);
    let (length, captured, whole) = (number(0), number(4), number(8) as usize);
    let (seconds, fraction) = (number(16), number(20));
    if captured > LARGEST || whole > LONGEST || (captured as usize).saturating_add(HEAD) > whole {
        let what = format!("a record of {whole} bytes cannot hold {captured} bytes of a packet");
        return Err(Problem::Damaged(what));
    }
    source.need(whole)?;
    Ok(Some(Found {
        time: Time(i64::from(seconds) * 1_000_000 + i64::from(fraction)),
        interface: 0,
        length,
        from: HEAD,
        captured: captured as usize,
        whole,
    }))
}
