//! pcapng: sections of blocks. Read are the blocks of packets and interfaces, and our own of processes; all others are
//! passed over.

use atalaya_model::Time;

use super::error::Problem;
use super::interface::Interface;
use super::order::Order;
use super::reader::{Found, LARGEST};
use super::source::{LONGEST, Source};
use super::whose::{self, Processes, Whose};

/// The same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Interfaces that a file may have, all sections together: one more is taken for damage.
const INTERFACES: usize = 16_384;

/// Where a pcapng file's reader is.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    /// Number of the section's first interface among all of the file.
    first: usize,
    clocks: Vec<Clock>,
    /// The latest time seen: what packets without one get.
    time: Time,
    /// Of the section.
    processes: Processes,
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    unit: Unit,
    /// Seconds to add.
    offset: i64,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Microseconds,
    /// So many units are one microsecond.
    Finer(u64),
    /// So many units are one second, in whatever other way.
    Other(u128),
}

impl Pcapng {
    /// Reads the first section's header where it is one of pcapng.
    pub(super) fn open(source: &mut Source) -> Result<Option<Self>, Problem> {
        if !source.has(4)? || Order::Little.u32(source.bytes(), 0) != SECTION {
            return Ok(None);
        }
        let mut pcapng = Self {
            order: Order::Little,
            first: 0,
            clocks: Vec::new(),
            time: Time(0),
            processes: Processes::default(),
        };
        pcapng.section(source, 0)?;
        Ok(Some(pcapng))
    }

    /// Finds the next packet; its bytes are in the source then.
    #[inline]
    pub(super) fn next(
        &mut self,
        source: &mut Source,
        interfaces: &mut Vec<Interface>,
    ) -> Result<Option<Found>, Problem> {
        loop {
            if !source.has(8)? {
                if source.bytes().is_empty() {
                    return Ok(None);
                }
                source.need(12)?;
            }
            match self.order.u32(source.bytes(), 0) {
                ENHANCED_PACKET => return self.enhanced(source, interfaces).map(Some),
                SIMPLE_PACKET => return self.simple(source, interfaces).map(Some),
                PACKET => return self.old(source, interfaces).map(Some),
                SECTION => self.section(source, interfaces.len())?,
                INTERFACE => self.interface(source, interfaces)?,
                whose::BLOCK => self.custom(source)?,
                _ => self.other(source)?,
            }
        }
    }

    /// Length of the block that is next, which must have at least `least` bytes.
    fn length(&self, source: &Source, least: u32) -> Result<u32, Problem> {
        let length = self.order.u32(source.bytes(), 4);
        if length < least {
            return Err(Problem::Damaged(format!(
                "its block says that it has {length} bytes, and it must have {least} at least"
            )));
        }
        // Some writers leave the padding out of the length, and write it.
        Ok(length.saturating_add(3) & !3)
    }

    /// Length of the block that is next, of which all bytes are there then.
    #[inline]
    fn whole(&self, source: &mut Source, least: u32) -> Result<usize, Problem> {
        let length = self.length(source, least)? as usize;
        if length > LONGEST {
            return Err(Problem::Damaged(format!(
                "its block says that it has {length} bytes; such blocks have {LONGEST} at most"
            )));
        }
        source.need(length)?;
        let trailer = self.order.u32(source.bytes(), length - 4);
        self.trailer(trailer, length as u64)?;
        Ok(length)
    }

    /// Compares both lengths of a block.
    #[inline]
    fn trailer(&self, trailer: u32, length: u64) -> Result<(), Problem> {
        if u64::from(trailer.saturating_add(3) & !3) == length {
            return Ok(());
        }
        Err(Problem::Damaged(format!(
            "its block has {length} bytes as it says at its beginning, and {trailer} as it says at its end"
        )))
    }

    fn other(&self, source: &mut Source) -> Result<(), Problem> {
        let length = u64::from(self.length(source, 12)?);
        source.skip(length - 4)?;
        source.need(4)?;
        self.trailer(self.order.u32(source.bytes(), 0), length)?;
        source.pass(4);
        Ok(())
    }

    /// A block that may be ours.
    fn custom(&mut self, source: &mut Source) -> Result<(), Problem> {
        let length = self.length(source, 12)? as usize;
        if !(16..=whose::LONGEST_BLOCK).contains(&length) {
            return self.other(source);
        }
        let length = self.whole(source, 16)?;
        let block = source.bytes().get(..length - 4).unwrap_or_default();
        if self.order.u32(block, 8) == whose::ENTERPRISE {
            self.processes.learn(block.get(12..).unwrap_or_default());
        }
        source.pass(length);
        Ok(())
    }

    /// Whose the packet is that was found; its block is still in the source.
    pub(super) fn whose(&self, source: &Source, found: &Found) -> Whose<'_> {
        /// Options that are looked at.
        const MOST: usize = 32;
        let mut whose = Whose::default();
        let begin = found.from + found.captured.next_multiple_of(4);
        let Some(mut options) = source.bytes().get(begin..found.whole.saturating_sub(4)) else {
            return whose;
        };
        for _ in 0..MOST {
            let Some((code, value, rest)) = self.option(options) else {
                break;
            };
            options = rest;
            match code {
                0 => break,
                2 if value.len() == 4 => whose.sent = whose::sent(self.order.u32(value, 0)),
                whose::OPTION if value.len() > 4 && self.order.u32(value, 0) == whose::ENTERPRISE => {
                    let number = whose::marked(value.get(4..).unwrap_or_default());
                    whose.process = number.and_then(|number| self.processes.get(number));
                }
                _ => {}
            }
        }
        whose
    }

    fn section(&mut self, source: &mut Source, interfaces: usize) -> Result<(), Problem> {
        source.need(28)?;
        let bytes = source.bytes();
        self.order = match bytes.get(8..12) {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
            _ => {
                let what = "its section does not say its byte order";
                return Err(Problem::Damaged(what.to_owned()));
            }
        };
        let (major, minor) = (self.order.u16(bytes, 12), self.order.u16(bytes, 14));
        // 1.2 was written by some and is the same as 1.0.
        if (major, minor) != (1, 0) && (major, minor) != (1, 2) {
            return Err(Problem::Version {
                format: "pcapng",
                major: u32::from(major),
                minor: u32::from(minor),
                known: "1.0",
            });
        }
        self.length(source, 28)?;
        self.other(source)?;
        self.first = interfaces;
        self.clocks.clear();
        self.processes.clear();
        Ok(())
    }

    fn interface(&mut self, source: &mut Source, interfaces: &mut Vec<Interface>) -> Result<(), Problem> {
        let length = self.whole(source, 20)?;
        if interfaces.len() >= INTERFACES {
            let what = format!("more than {INTERFACES} interfaces");
            return Err(Problem::Damaged(what));
        }
        let block = source.bytes().get(..length - 4).unwrap_or_default();
        let mut interface = Interface {
            name: String::new(),
            link: Interface::link(self.order.u16(block, 8)),
            snap_length: self.order.u32(block, 12),
        };
        let mut clock = Clock {
            unit: Unit::Microseconds,
            offset: 0,
        };
        let mut options = block.get(16..).unwrap_or_default();
        while let Some((code, value, rest)) = self.option(options) {
            options = rest;
            match (code, value) {
                (0, _) => break,
                (2, name) => {
                    let name = name.get(..Interface::NAME).unwrap_or(name);
                    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                    interface.name = String::from_utf8_lossy(name).into_owned();
                }
                (9, [resolution]) => clock.unit = Unit::new(*resolution)?,
                (14, offset) if offset.len() == 8 => clock.offset = self.order.u64(offset, 0).cast_signed(),
                _ => {}
            }
        }
        interfaces.push(interface);
        self.clocks.push(clock);
        source.pass(length);
        Ok(())
    }

    /// The first option: its code, its value, and what follows.
    fn option<'a>(&self, options: &'a [u8]) -> Option<(u16, &'a [u8], &'a [u8])> {
        let (head, rest) = options.split_at_checked(4)?;
        let length = usize::from(self.order.u16(head, 2));
        let value = rest.get(..length)?;
        let rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((self.order.u16(head, 0), value, rest))
    }

    #[inline]
    fn enhanced(&mut self, source: &mut Source, interfaces: &[Interface]) -> Result<Found, Problem> {
        let whole = self.whole(source, 32)?;
        let block = source.bytes();
        let interface = self.order.u32(block, 8);
        let number = |at: usize| self.order.u32(block, at);
        let (high, low) = (number(12), number(16));
        let (captured, length) = (number(20), number(24));
        self.found(
            interfaces,
            interface,
            Some((high, low)),
            length,
            captured,
            28,
            whole,
        )
    }

    fn old(&mut self, source: &mut Source, interfaces: &[Interface]) -> Result<Found, Problem> {
        let whole = self.whole(source, 32)?;
        let block = source.bytes();
        let interface = u32::from(self.order.u16(block, 8));
        let number = |at: usize| self.order.u32(block, at);
        let (high, low) = (number(12), number(16));
        let (captured, length) = (number(20), number(24));
        self.found(
            interfaces,
            interface,
            Some((high, low)),
            length,
            captured,
            28,
            whole,
        )
    }

    fn simple(&mut self, source: &mut Source, interfaces: &[Interface]) -> Result<Found, Problem> {
        let whole = self.whole(source, 16)?;
        let length = self.order.u32(source.bytes(), 8);
        let snap_length = match interfaces.get(self.first).map(|first| first.snap_length) {
            None | Some(0) => u32::MAX,
            Some(limit) => limit,
        };
        let room = u32::try_from(whole - 16).unwrap_or(u32::MAX);
        let captured = length.min(snap_length).min(room);
        self.found(interfaces, 0, None, length, captured, 12, whole)
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "the fields of a block, in their order")]
    fn found(
        &mut self,
        interfaces: &[Interface],
        interface: u32,
        stamp: Option<(u32, u32)>,
        length: u32,
        captured: u32,
        from: usize,
        whole: usize,
    ) -> Result<Found, Problem> {
        let number = self.first.saturating_add(interface as usize);
        let Some(clock) = self
            .clocks
            .get(interface as usize)
            .filter(|_| number < interfaces.len())
        else {
            return Err(Problem::Damaged(format!(
                "its packet is of interface {interface}, and its section has described {}",
                self.clocks.len()
            )));
        };
        let captured = captured as usize;
        if captured > LARGEST as usize || from + captured + 4 > whole {
            return Err(Problem::Damaged(format!(
                "its block of {whole} bytes cannot hold {captured} bytes of a packet"
            )));
        }
        if let Some((high, low)) = stamp {
            self.time = clock.time(u64::from(high) << 32 | u64::from(low));
        }
        Ok(Found {
            time: self.time,
            interface: u32::try_from(number).unwrap_or(u32::MAX),
            length,
            from,
            captured,
            whole,
        })
    }
}

impl Clock {
    #[inline]
    fn time(self, stamp: u64) -> Time {
        let micros = match self.unit {
            Unit::Microseconds => stamp,
            Unit::Finer(units) => stamp / units,
            Unit::Other(units) => {
                let micros = u128::from(stamp).saturating_mul(1_000_000) / units;
                u64::try_from(micros).unwrap_or(u64::MAX)
            }
        };
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Time(micros.saturating_add(self.offset.saturating_mul(1_000_000)))
    }
}

impl Unit {
    /// From `if_tsresol`: a negative power of ten, or of two where the highest bit is set.
    fn new(resolution: u8) -> Result<Self, Problem> {
        let power = u32::from(resolution & 0x7f);
        let units = if resolution & 0x80 == 0 { 10_u128 } else { 2 }.checked_pow(power);
        match (resolution, units) {
            (6, _) => Ok(Self::Microseconds),
            (9, _) => Ok(Self::Finer(1_000)),
            (_, Some(units)) => Ok(Self::Other(units)),
            (_, None) => {
                let what = format!("the resolution of its interface's times, {resolution:#04x}, is too fine");
                Err(Problem::Damaged(what))
            }
        }
    }
}
