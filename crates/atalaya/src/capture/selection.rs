//! Which packets are kept: the filter is asked of the conversation that a packet belongs to.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use atalaya_model::fields::{Field, Kind, Record};
use atalaya_model::filter::Expression;
use atalaya_model::{
    Attribution, Connection, Direction, Endpoint, Evidence, Networks, Process, Scope, Side, Time, Transport,
};
use atalaya_wire::capture::{Owner, Whose};
use atalaya_wire::packet::{Options, Undecoded};
use atalaya_wire::{Decoder, Frame, Packet, Segment};

use super::owners::Owners;

/// Conversations of which is remembered who began them; beyond, all are forgotten.
const CONVERSATIONS: usize = 262_144;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

pub(super) struct Selection {
    filter: Expression,
    networks: Networks,
    decoder: Decoder,
    known: HashMap<(Transport, Endpoint, Endpoint), Known>,
}

/// Who is asked whose a frame is.
pub(super) enum Asked<'a> {
    /// Those who observe sockets, where somebody does.
    Live {
        is_outgoing: bool,
        owners: Option<&'a mut Owners>,
    },
    /// The capture that holds it.
    Capture(Whose<'a>),
}

impl Asked<'_> {
    const fn is_outgoing(&self) -> Option<bool> {
        match self {
            Self::Live { is_outgoing, .. } => Some(*is_outgoing),
            Self::Capture(whose) => whose.sent,
        }
    }

    fn owner(&mut self, transport: Transport, sender: Endpoint, receiver: Endpoint) -> Option<Owner> {
        match self {
            Self::Live { is_outgoing, owners } => {
                owners.as_mut()?.of(transport, sender, receiver, *is_outgoing)
            }
            Self::Capture(whose) => Some(Owner {
                process: Arc::clone(whose.process?),
                sent: whose.sent.unwrap_or(true),
            }),
        }
    }
}

/// What was decided for a conversation.
struct Known {
    source: Endpoint,
    process: Option<Arc<Process>>,
    passes: bool,
}

impl Selection {
    pub(super) fn new(filter: Expression, networks: Networks) -> Self {
        Self {
            filter,
            networks,
            decoder: Decoder::new(Options::default()),
            known: HashMap::new(),
        }
    }

    /// Whether the frame is kept, and whose it is where that was looked for.
    pub(super) fn judge(&mut self, frame: &Frame<'_>, asked: &mut Asked<'_>) -> (bool, Option<Owner>) {
        let keeps_all = matches!(self.filter, Expression::All);
        if keeps_all && !matches!(asked, Asked::Live { owners: Some(_), .. }) {
            return (true, None);
        }
        let is_outgoing = asked.is_outgoing();
        let evidence = match asked {
            Asked::Capture(_) => Evidence::CaptureFile,
            Asked::Live { .. } => Evidence::KernelEvent,
        };
        let Self {
            filter,
            networks,
            decoder,
            known,
        } = self;
        let (mut passes, mut of) = (keeps_all, None);
        let decoded = decoder.decode(frame, &mut |packet| {
            let (transport, sender, receiver) = ends(packet);
            let owner = asked.owner(transport, sender, receiver);
            if !passes {
                let key = (transport, sender.min(receiver), sender.max(receiver));
                if known.len() >= CONVERSATIONS && !known.contains_key(&key) {
                    known.clear();
                }
                let found = known.entry(key).or_insert_with(|| {
                    let source = source(packet, sender, receiver);
                    let destination = if source == sender { receiver } else { sender };
                    let direction = is_outgoing.map(|is_outgoing| is_outgoing == (source == sender));
                    let connection =
                        connection(transport, source, destination, direction, networks, packet.time);
                    Known {
                        source,
                        process: None,
                        passes: filter.matches(&Record::Connection(&connection)),
                    }
                });
                let is_new = |owner: &&Owner| {
                    let known = found.process.as_ref();
                    known.is_none_or(|known| !Arc::ptr_eq(known, &owner.process))
                };
                if let Some(Owner { process, .. }) = owner.as_ref().filter(is_new) {
                    found.process = Some(Arc::clone(process));
                    let destination = if found.source == sender { receiver } else { sender };
                    let direction = is_outgoing.map(|is_outgoing| is_outgoing == (found.source == sender));
                    let connection = Connection {
                        process: Some(Arc::clone(process)),
                        attribution: Attribution::from(evidence),
                        ..connection(
                            transport,
                            found.source,
                            destination,
                            direction,
                            networks,
                            packet.time,
                        )
                    };
                    found.passes = filter.matches(&Record::Connection(&connection));
                }
                passes = found.passes;
            }
            of = of.take().or(owner);
        });
        // Nobody knows yet what a fragment belongs to: rather one too many than one too few.
        (passes || decoded == Err(Undecoded::Fragment), of)
    }
}

/// A field that the filter asks for, and that no packet answers: what is asked of them are ends, direction and process.
pub(super) fn unanswered(filter: &Expression) -> Option<&'static Field> {
    match filter {
        Expression::All => None,
        Expression::And(items) | Expression::Or(items) => items.iter().find_map(unanswered),
        Expression::Not(item) => unanswered(item),
        Expression::Compare { fields, .. } => {
            let end = |port| Endpoint {
                ip: Ipv4Addr::LOCALHOST.into(),
                port,
            };
            let networks = Networks::default();
            let known = connection(Transport::Tcp, end(1), end(443), Some(true), &networks, Time(0));
            let known = Record::Connection(&known);
            let answers =
                |field: &&'static Field| field.of.contains(&Kind::Process) || field.value(&known).is_some();
            if fields.iter().any(answers) {
                return None;
            }
            fields.first().copied()
        }
    }
}

pub(crate) fn ends(packet: &Packet<'_>) -> (Transport, Endpoint, Endpoint) {
    let (source_port, destination_port) = match packet.segment {
        Segment::Tcp {
            source_port,
            destination_port,
            ..
        }
        | Segment::Udp {
            source_port,
            destination_port,
            ..
        }
        | Segment::Sctp {
            source_port,
            destination_port,
            ..
        } => (source_port, destination_port),
        _ => (0, 0),
    };
    (
        Transport::from_number(packet.ip.protocol),
        Endpoint::new(packet.ip.source, source_port),
        Endpoint::new(packet.ip.destination, destination_port),
    )
}

/// Who began: as the handshake says, else whoever talks to the lower port.
fn source(packet: &Packet<'_>, sender: Endpoint, receiver: Endpoint) -> Endpoint {
    match packet.segment {
        Segment::Tcp { flags, .. } if flags & SYN != 0 => match flags & ACK {
            0 => sender,
            _ => receiver,
        },
        _ if sender.port < receiver.port => receiver,
        _ => sender,
    }
}

/// The conversation, as far as one packet tells it. `outbound` where it is known which end is this host.
fn connection(
    transport: Transport,
    source: Endpoint,
    destination: Endpoint,
    outbound: Option<bool>,
    networks: &Networks,
    time: Time,
) -> Connection {
    let (from, to) = (networks.scope(source.ip), networks.scope(destination.ip));
    let direction = match (from, to, outbound) {
        (Scope::Loopback, Scope::Loopback, _) => Direction::Local,
        (_, _, Some(true)) | (Scope::Private, Scope::External, None) => Direction::Outbound,
        (_, _, Some(false)) | (Scope::External, Scope::Private, None) => Direction::Inbound,
        _ => Direction::Unknown,
    };
    let (side, scope) = match direction {
        Direction::Inbound => (Side::Destination, from),
        _ => (Side::Source, to),
    };
    Connection {
        side,
        direction,
        scope,
        ..Connection::bare(time, transport, source, destination)
    }
}
