//! What was said inside a conversation: facts that packets tell of the protocols above the transport.
//!
//! Nothing secret is among them: no payload, cookie, authorization, password or, unless the owner asks, query string.
//! Texts come from the wire: they are bounded where they are read, and escaped where they are shown.

pub mod dns;
pub mod http;
pub mod mail;
pub mod other;
pub mod quic;
pub mod ssh;
pub mod tls;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Connection, Side, Time};

pub use crate::application::{Application, Basis};
pub use dns::Dns;
pub use http::{Http, Http2Settings};
pub use mail::Mail;
pub use other::Other;
pub use quic::Quic;
pub use ssh::Ssh;
pub use tls::Tls;

/// One fact of a protocol, with the conversation in which it was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// When it began: the time of the question, of the first hello.
    pub time: Time,
    /// The conversation as it was then.
    pub connection: Arc<Connection>,
    /// What was said.
    pub message: Message,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A question and its answer, or one of them alone (DNS, mDNS, LLMNR, NetBIOS names).
    Dns(Box<Dns>),
    /// A TLS or DTLS handshake, as far as it can be read.
    Tls(Box<Tls>),
    /// A QUIC handshake.
    Quic(Box<Quic>),
    /// One HTTP request and its response.
    Http(Box<Http>),
    /// The settings with which an HTTP/2 side began.
    Http2Settings(Box<Http2Settings>),
    /// An SSH greeting of both sides.
    Ssh(Box<Ssh>),
    /// One mail as SMTP was told of it.
    Mail(Box<Mail>),
    /// Any other protocol: what it says of itself as names and values.
    Other(Box<Other>),
}

impl Message {
    /// The name of the kind in records: `dns`, `tls`, `quic`, `http`, `ssh`, `smtp`, or the protocol's own name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns",
            Self::Tls(_) => "tls",
            Self::Quic(_) => "quic",
            Self::Http(_) | Self::Http2Settings(_) => "http",
            Self::Ssh(_) => "ssh",
            Self::Mail(_) => "smtp",
            Self::Other(other) => other.application.name(),
        }
    }
}

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}
