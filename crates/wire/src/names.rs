//! DNS and its kin (mDNS, LLMNR, NetBIOS names), and how hosts get their addresses.
//!
//! Messages are read by our own parser in one pass: a question and its answer must cost well under a microsecond, also
//! where each is a conversation of its own. Measured on two million pairs (an alias and two addresses each,
//! `examples/dns_rate.rs`): 163 ns a message, 189 ns with a conversation made and recognised for each pair; the crate
//! `domain`, made to give the same texts, took 566 ns a message, and gave no data of what it does not know. It is not
//! used.

pub(crate) mod attributes;
pub(crate) mod ber;
pub(crate) mod cursor;
mod dhcp;
mod dhcpv6;
mod dns;
mod message;
mod name;
mod netbios;
mod ntp;
mod pairs;
mod presentation;
mod record;
mod snmp;
#[cfg(test)]
mod tests;

use atalaya_model::Application;
use atalaya_model::Time;
use atalaya_model::protocol::Dns;

use crate::analyser::{Over, Speaker};

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[
    Speaker {
        application: Application::Dns,
        over: &[Over::Datagrams],
        ports: &[53],
        recognise: |opening| dns::recognise(Kin::Dns, opening),
        analyser: Some(|_| Box::new(dns::Datagrams::new(Kin::Dns))),
    },
    Speaker {
        application: Application::Dns,
        over: &[Over::Stream],
        ports: &[53],
        recognise: |opening| dns::recognise(Kin::Dns, opening),
        analyser: Some(|_| Box::new(dns::Streams::new(Kin::Dns))),
    },
    Speaker {
        application: Application::Mdns,
        over: &[Over::Datagrams],
        ports: &[5353],
        recognise: |opening| dns::recognise(Kin::Mdns, opening),
        analyser: Some(|_| Box::new(dns::Datagrams::new(Kin::Mdns))),
    },
    Speaker {
        application: Application::Llmnr,
        over: &[Over::Datagrams],
        ports: &[5355],
        recognise: |opening| dns::recognise(Kin::Llmnr, opening),
        analyser: Some(|_| Box::new(dns::Datagrams::new(Kin::Llmnr))),
    },
    Speaker {
        application: Application::Llmnr,
        over: &[Over::Stream],
        ports: &[5355],
        recognise: |opening| dns::recognise(Kin::Llmnr, opening),
        analyser: Some(|_| Box::new(dns::Streams::new(Kin::Llmnr))),
    },
    Speaker {
        application: Application::NetbiosNs,
        over: &[Over::Datagrams],
        ports: &[137],
        recognise: |opening| dns::recognise(Kin::Netbios, opening),
        analyser: Some(|_| Box::new(dns::Datagrams::new(Kin::Netbios))),
    },
    Speaker {
        application: Application::Dhcp,
        over: &[Over::Datagrams],
        ports: &[67, 68],
        recognise: dhcp::recognise,
        analyser: Some(|_| Box::new(dhcp::Dhcp)),
    },
    Speaker {
        application: Application::Dhcpv6,
        over: &[Over::Datagrams],
        ports: &[546, 547],
        recognise: dhcpv6::recognise,
        analyser: Some(|_| Box::new(dhcpv6::Dhcpv6)),
    },
    Speaker {
        application: Application::Ntp,
        over: &[Over::Datagrams],
        ports: &[123],
        recognise: ntp::recognise,
        analyser: Some(|_| Box::<ntp::Ntp>::default()),
    },
    Speaker {
        application: Application::Snmp,
        over: &[Over::Datagrams],
        ports: &[161, 162],
        recognise: snmp::recognise,
        analyser: Some(|_| Box::<snmp::Snmp>::default()),
    },
];

/// What one DNS message alone says, such as the body of a DNS-over-HTTPS request or answer; `None` where it is none.
pub fn message(bytes: &[u8], time: Time) -> Option<Dns> {
    pairs::alone(bytes, time)
}

/// The protocols that have DNS's form of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    Dns,
    Mdns,
    Llmnr,
    Netbios,
}

impl Kin {
    const fn application(self) -> Application {
        match self {
            Self::Dns => Application::Dns,
            Self::Mdns => Application::Mdns,
            Self::Llmnr => Application::Llmnr,
            Self::Netbios => Application::NetbiosNs,
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Dns => 53,
            Self::Mdns => 5353,
            Self::Llmnr => 5355,
            Self::Netbios => 137,
        }
    }

    /// Questions go to a group, and whoever knows answers from an address of their own.
    const fn asks_everybody(self) -> bool {
        matches!(self, Self::Mdns | Self::Llmnr)
    }

    /// The class of a question or record; mDNS uses its top bit for something else.
    const fn class(self, bytes: [u8; 2]) -> u16 {
        let class = u16::from_be_bytes(bytes);
        match self {
            Self::Mdns => class & 0x7fff,
            _ => class,
        }
    }

    const fn knows_class(self, bytes: [u8; 2]) -> bool {
        matches!(self.class(bytes), 1 | 3 | 4 | 254 | 255)
    }
}
