//! pcap: a header of 24 bytes, then records with a head of 16 (or 24) bytes each.

use atalaya_model::Time;

use super::error::Problem;
use super::interface::Interface;
use super::order::Order;
use super::reader::{Found, LARGEST};
use super::source::Source;

/// What a pcap file's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Times in nanoseconds rather than microseconds.
    nanoseconds: bool,
    /// Bytes of a record's head.
    head: usize,
    minor: u16,
}

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Kuznetzov's: microseconds, and eight more bytes in each head (interface, protocol, kind of packet).
const MODIFIED: u32 = 0xa1b2_cd34;

const HEADER: usize = 24;

impl Pcap {
    /// Reads the header where it is one of pcap.
    pub(super) fn open(source: &mut Source) -> Result<Option<(Self, Interface)>, Problem> {
        if !source.has(4)? {
            return Ok(None);
        }
        let magic = |order: Order| order.u32(source.bytes(), 0);
        let known = |magic: &u32| matches!(*magic, MICROSECONDS | NANOSECONDS | MODIFIED);
        let orders = [Order::Little, Order::Big];
        let Some(order) = orders.into_iter().find(|order| known(&magic(*order))) else {
            return Ok(None);
        };
        let magic = magic(order);
        source.need(HEADER)?;
        let bytes = source.bytes();
        let (major, minor) = (order.u16(bytes, 4), order.u16(bytes, 6));
        if major != 2 {
            return Err(Problem::Version {
                format: "pcap",
                major: u32::from(major),
                minor: u32::from(minor),
                known: "2.0 to 2.4",
            });
        }
        // The upper half holds the length of a checksum after each frame, which the layers within do not need.
        let [low, high] = [order.u32(bytes, 20) & 0xffff, order.u32(bytes, 16)];
        let interface = Interface {
            name: String::new(),
            link: Interface::link(u16::try_from(low).unwrap_or_default()),
            snap_length: high,
        };
        source.pass(HEADER);
        let pcap = Self {
            order,
            nanoseconds: magic == NANOSECONDS,
            head: if magic == MODIFIED { 24 } else { 16 },
            minor,
        };
        Ok(Some((pcap, interface)))
    }

    /// Finds the next record; its bytes are in the source then.
    #[inline]
    pub(super) fn next(&self, source: &mut Source) -> Result<Option<Found>, Problem> {
        if !source.has(self.head)? {
            if source.bytes().is_empty() {
                return Ok(None);
            }
            source.need(self.head)?;
        }
        let head = source.bytes();
        let number = |at: usize| self.order.u32(head, at);
        let (seconds, fraction) = (number(0), number(4));
        let (mut captured, mut length) = (number(8), number(12));
        // Before 2.3 the two were the other way round, in 2.3 it depends on who wrote it.
        if self.minor < 3 || self.minor == 3 && captured > length {
            std::mem::swap(&mut captured, &mut length);
        }
        if captured > LARGEST {
            return Err(Problem::Damaged(format!(
                "its head says that {captured} bytes of a packet of {length} follow, and no packet has more than {LARGEST}"
            )));
        }
        let fraction = if self.nanoseconds {
            fraction / 1_000
        } else {
            fraction
        };
        let captured = captured as usize;
        let whole = self.head + captured;
        source.need(whole)?;
        Ok(Some(Found {
            time: Time(i64::from(seconds) * 1_000_000 + i64::from(fraction)),
            interface: 0,
            length,
            from: self.head,
            captured,
            whole,
        }))
    }
}
