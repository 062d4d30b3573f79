//! ARP of IPv4 over Ethernet-like links.

use std::net::Ipv4Addr;

use super::Undecoded;
use super::bytes::Bytes;

/// Who claims which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Hardware address of the sender, as it says itself.
    pub sender: [u8; 6],
    /// Its IP address.
    pub sender_ip: Ipv4Addr,
    /// Hardware address of the one asked or answered; zeros in a question.
    pub target: [u8; 6],
    /// The IP address asked for.
    pub target_ip: Ipv4Addr,
}

pub(super) fn read(bytes: &Bytes<'_>) -> Undecoded {
    try_read(bytes).unwrap_or_else(|reason| reason)
}

fn try_read(bytes: &Bytes<'_>) -> Result<Undecoded, Undecoded> {
    // IPv4 with addresses of six and four bytes
    if bytes.u16(2)? != 0x0800 || bytes.u16(4)? != 0x0604 {
        return Err(Undecoded::NotIp);
    }
    Ok(Undecoded::Arp(Arp {
        operation: bytes.u16(6)?,
        sender: bytes.array(8)?,
        sender_ip: Ipv4Addr::from(bytes.array::<4>(14)?),
        target: bytes.array(18)?,
        target_ip: Ipv4Addr::from(bytes.array::<4>(24)?),
    }))
}
