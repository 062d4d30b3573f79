//! The filter grammar as a program for the kernel's classic BPF: what cannot match is not copied into the ring.
//!
//! A filter is about connections, a packet is one way of one. So the program passes a packet where the connection from
//! its sender to its receiver would match, or the one from its receiver to its sender. It knows `source.ip`,
//! `destination.ip`, `source.port`, `destination.port`, `network.transport` and `network.type`; of every other field it
//! assumes whatever lets the packet pass (also under `!`). What it cannot decide always passes: fragments, extension
//! headers of IPv6, tunnels, and all that is neither IP nor ARP (MPLS, PPPoE). ARP has none of the fields. Of packets
//! without ports, a test on a port is assumed to be what lets them pass. VLAN tags that are still in the frame (the
//! kernel takes the outermost one out) are stepped over, as many as [`MOST_TAGS`]; a frame with more passes.
//!
//! Instructions from Steven McCanne and Van Jacobson, "The BSD Packet Filter" (1993), and
//! `Documentation/networking/filter.rst` of the kernel.

mod assemble;
mod condition;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use atalaya_model::filter::Expression;
use atalaya_wire::LinkType;

use assemble::{Assembler, Label};
use condition::{Class, Condition, End, Family, Reduction, Term};

/// Most VLAN tags inside a frame that are stepped over. Each makes the program longer by its whole length, as an offset
/// stands in the instruction; where that is too long for the kernel, it does with fewer.
const MOST_TAGS: u8 = 2;
/// Most instructions that the kernel takes.
const MOST_INSTRUCTIONS: usize = 4_096;

/// One instruction: `sock_filter` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip where a test holds.
    pub skip_true: u8,
    /// Instructions to skip where it does not.
    pub skip_false: u8,
    /// The number that it is done with.
    pub value: u32,
}

/// A program that says how many bytes of a frame are kept: 0 for one that is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
    is_exact: bool,
    /// VLAN tags inside a frame that it steps over.
    tags: u8,
}

impl Program {
    /// Keeps the first `snap_length` bytes of every frame.
    pub fn everything(snap_length: u32) -> Self {
        Self {
            instructions: vec![Instruction {
                code: assemble::RETURN,
                skip_true: 0,
                skip_false: 0,
                value: snap_length,
            }],
            is_exact: false,
            tags: 0,
        }
    }

    /// The program for a filter, for frames of this link. It passes everything where the link is neither Ethernet nor raw
    /// IP, and where it would be too long for the kernel.
    pub fn new(filter: &Expression, link: LinkType, snap_length: u32) -> Self {
        Self::stepping_over(MOST_TAGS, filter, link, snap_length)
    }

    /// The shortest program for a filter: frames with VLAN tags inside pass.
    pub fn short(filter: &Expression, link: LinkType, snap_length: u32) -> Self {
        Self::stepping_over(0, filter, link, snap_length)
    }

    fn stepping_over(most: u8, filter: &Expression, link: LinkType, snap_length: u32) -> Self {
        let is_ethernet = match link {
            LinkType::ETHERNET => true,
            LinkType::RAW => false,
            _ => return Self::everything(snap_length),
        };
        for tags in (0..=if is_ethernet { most } else { 0 }).rev() {
            let mut writer = Writer::new(filter);
            if is_ethernet {
                writer.ether_type(12, tags);
            } else {
                writer.raw();
            }
            if let Some(instructions) = writer.assembler.finish(writer.pass, writer.drop, snap_length) {
                return Self {
                    instructions,
                    is_exact: writer.reduction.is_exact,
                    tags,
                };
            }
        }
        Self::everything(snap_length)
    }

    /// The instructions, at least one.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// No packet passes of which it could be decided that it does not match. If not, some do: the engine must ask the
    /// filter itself.
    pub const fn is_exact(&self) -> bool {
        self.is_exact
    }
}

/// IP protocols: those with ports where we read them, and those that may carry another packet.
const PORTED: [u8; 3] = [6, 17, 132];
const UDP: u8 = 17;
/// IP in IP (4, 94), IPv6 (41), GRE (47), AH (51), Ethernet (97), L2TP (115), MPLS (137).
const CARRIERS_V4: [u8; 8] = [4, 41, 47, 51, 94, 97, 115, 137];
/// The same, and every extension header.
const CARRIERS_V6: [u8; 17] = [
    0, 4, 41, 43, 44, 47, 51, 60, 94, 97, 115, 135, 137, 139, 140, 253, 254,
];
/// UDP ports of L2TP, GTP, VXLAN (also Linux's old one), AYIYA, GENEVE and MPLS.
const TUNNEL_PORTS: [u16; 7] = [1701, 2152, 4789, 5072, 6081, 6635, 8472];

const IPV4: u32 = 0x0800;
const ARP: u32 = 0x0806;
const IPV6: u32 = 0x86dd;
/// 802.1Q, 802.1ad, and the numbers used before that.
const TAGS: [u32; 5] = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];

struct Writer<'a> {
    filter: &'a Expression,
    reduction: Reduction,
    assembler: Assembler,
    /// Where the IP header begins.
    network: u32,
    pass: Label,
    drop: Label,
}

impl<'a> Writer<'a> {
    fn new(filter: &'a Expression) -> Self {
        let mut assembler = Assembler::default();
        Self {
            filter,
            reduction: Reduction::default(),
            network: 0,
            pass: assembler.label(),
            drop: assembler.label(),
            assembler,
        }
    }

    /// What follows Ethernet's addresses, or a VLAN tag: a type at `offset`, and what it says.
    fn ether_type(&mut self, offset: u32, tags: u8) {
        let (v4, v6) = (self.assembler.label(), self.assembler.label());
        let (arp, tagged) = (self.assembler.label(), self.assembler.label());
        self.assembler.load_short(offset);
        for (number, label) in [(IPV4, v4), (IPV6, v6), (ARP, arp)] {
            self.assembler.equal_or_next(number, label);
        }
        if tags > 0 {
            for number in TAGS {
                self.assembler.equal_or_next(number, tagged);
            }
        }
        self.assembler.go_to(self.pass);
        self.assembler.place(arp);
        let condition = self.reduction.without_fields(self.filter);
        self.condition(&condition, Family::V4, self.pass, self.drop);
        self.network = offset + 2;
        self.internet(v4, v6);
        if tags > 0 {
            self.assembler.place(tagged);
            self.ether_type(offset + 4, tags - 1);
        }
    }

    /// IP without anything before it.
    fn raw(&mut self) {
        let (v4, v6) = (self.assembler.label(), self.assembler.label());
        self.assembler.load_byte(0);
        self.assembler.and(0xf0);
        for (number, label) in [(0x40, v4), (0x60, v6)] {
            self.assembler.equal_or_next(number, label);
        }
        self.assembler.go_to(self.pass);
        self.internet(v4, v6);
    }

    fn internet(&mut self, v4: Label, v6: Label) {
        self.assembler.place(v4);
        self.assembler.load_short(self.network + 6);
        let whole = self.assembler.label();
        // An offset, or "more fragments".
        self.assembler.any_bit(0x3fff, self.pass, whole);
        self.assembler.place(whole);
        self.packet(Family::V4, &CARRIERS_V4);
        self.assembler.place(v6);
        for offset in [8, 24] {
            self.pass_mapped(self.network + offset);
        }
        self.packet(Family::V6, &CARRIERS_V6);
    }

    /// IPv4 inside an IPv6 address: the rest of the program knows only one of them.
    fn pass_mapped(&mut self, address: u32) {
        let other = self.assembler.label();
        for (offset, value) in [(0, 0), (4, 0), (8, 0xffff)] {
            let next = if offset == 8 {
                self.pass
            } else {
                self.assembler.label()
            };
            self.assembler.load_long(address + offset);
            self.assembler.equal(value, next, other);
            if offset < 8 {
                self.assembler.place(next);
            }
        }
        self.assembler.place(other);
    }

    fn packet(&mut self, family: Family, carriers: &[u8]) {
        let (ported, udp) = (self.assembler.label(), self.assembler.label());
        self.load_protocol(family);
        self.assembler.equal_or_next(u32::from(UDP), udp);
        for number in PORTED {
            self.assembler.equal_or_next(u32::from(number), ported);
        }
        for number in carriers {
            self.assembler.equal_or_next(u32::from(*number), self.pass);
        }
        let with_ports = self.either_way(Class::ported(family));
        let portless = self.either_way(Class::portless(family));
        // The index register is only for ports: where they do not matter, both are one.
        let shared = self.assembler.label();
        if portless == with_ports {
            self.assembler.go_to(shared);
        } else {
            self.condition(&portless, family, self.pass, self.drop);
        }
        self.assembler.place(udp);
        if family == Family::V4 {
            self.assembler.load_header_length(self.network);
        }
        for end in [End::Sender, End::Receiver] {
            self.load_port(family, end);
            for port in TUNNEL_PORTS {
                self.assembler.equal_or_next(u32::from(port), self.pass);
            }
        }
        self.pass_teredo(family);
        self.assembler.place(ported);
        if family == Family::V4 {
            self.assembler.load_header_length(self.network);
        }
        self.assembler.place(shared);
        self.condition(&with_ports, family, self.pass, self.drop);
    }

    /// Teredo comes on any port: an IPv6 packet of its addresses or of local ones, perhaps with a proof or the origin
    /// before it. What is too short for that is not looked into, as a look beyond the end drops the frame.
    fn pass_teredo(&mut self, family: Family) {
        let (no, ipv6, long) = (
            self.assembler.label(),
            self.assembler.label(),
            self.assembler.label(),
        );
        let payload = 8 + if family == Family::V6 { 40 } else { 0 };
        self.assembler.load_frame_length();
        if family == Family::V4 {
            self.assembler.subtract_index();
        }
        self.assembler.at_least(self.network + payload + 40, long, no);
        self.assembler.place(long);
        self.load_transport(family, 8, false);
        self.assembler.equal_or_next(0, self.pass);
        self.assembler.equal_or_next(1, self.pass);
        self.assembler.and(0xf000);
        self.assembler.equal(0x6000, ipv6, no);
        self.assembler.place(ipv6);
        for address in [8 + 8, 8 + 24] {
            self.load_transport(family, address, true);
            self.assembler.equal_or_next(0x2001_0000, self.pass);
            self.load_transport(family, address, false);
            self.assembler.equal_or_next(0xfe80, self.pass);
        }
        self.assembler.place(no);
    }

    /// The packet as one of its connection's source, or of its destination.
    fn either_way(&mut self, class: Class) -> Condition {
        let there = self.reduction.of(self.filter, class, true);
        let back = self.reduction.of(self.filter, class, false);
        Condition::any(vec![there, back])
    }

    fn condition(&mut self, condition: &Condition, family: Family, yes: Label, no: Label) {
        match condition {
            Condition::Always => self.assembler.go_to(yes),
            Condition::Never => self.assembler.go_to(no),
            Condition::Not(inner) => self.condition(inner, family, no, yes),
            Condition::All(items) | Condition::Any(items) => {
                let is_any = matches!(condition, Condition::Any(_));
                for (place, item) in items.iter().enumerate() {
                    if place + 1 == items.len() {
                        self.condition(item, family, yes, no);
                        return;
                    }
                    let next = self.assembler.label();
                    let (yes, no) = if is_any { (yes, next) } else { (next, no) };
                    self.condition(item, family, yes, no);
                    self.assembler.place(next);
                }
            }
            Condition::Term(term) => self.term(term, family, yes, no),
        }
    }

    fn term(&mut self, term: &Term, family: Family, yes: Label, no: Label) {
        match term {
            Term::Protocol(number) => {
                self.load_protocol(family);
                self.assembler.equal(u32::from(*number), yes, no);
            }
            Term::Ports { end, low, high } => {
                self.load_port(family, *end);
                if low == high {
                    self.assembler.equal(u32::from(*low), yes, no);
                    return;
                }
                let next = self.assembler.label();
                self.assembler.at_least(u32::from(*low), next, no);
                self.assembler.place(next);
                self.assembler.more(u32::from(*high), no, yes);
            }
            Term::Network { end, words } => {
                let base = match (family, end) {
                    (Family::V4, End::Sender) => 12,
                    (Family::V4, End::Receiver) => 16,
                    (Family::V6, End::Sender) => 8,
                    (Family::V6, End::Receiver) => 24,
                };
                for (place, (value, mask)) in words.iter().enumerate() {
                    self.assembler
                        .load_long(self.network + base + 4 * u32::try_from(place).unwrap_or(0));
                    if *mask != u32::MAX {
                        self.assembler.and(*mask);
                    }
                    if place + 1 == words.len() {
                        self.assembler.equal(*value, yes, no);
                    } else {
                        let next = self.assembler.label();
                        self.assembler.equal(*value, next, no);
                        self.assembler.place(next);
                    }
                }
            }
        }
    }

    fn load_protocol(&mut self, family: Family) {
        let offset = if family == Family::V4 { 9 } else { 6 };
        self.assembler.load_byte(self.network + offset);
    }

    fn load_port(&mut self, family: Family, end: End) {
        self.load_transport(family, if end == End::Sender { 0 } else { 2 }, false);
    }

    /// Two or four bytes behind the IP header; for IPv4, its length is in the index register.
    fn load_transport(&mut self, family: Family, offset: u32, is_long: bool) {
        let offset = self.network + offset;
        match (family, is_long) {
            (Family::V4, false) => self.assembler.load_short_indexed(offset),
            (Family::V4, true) => self.assembler.load_long_indexed(offset),
            (Family::V6, false) => self.assembler.load_short(offset + 40),
            (Family::V6, true) => self.assembler.load_long(offset + 40),
        }
    }
}
