//! What is said in a conversation: its payload goes to whoever reads it, and what that tells is kept for the record.

use std::sync::Arc;

use atalaya_model::protocol::{Ssh, Tls};
use atalaya_model::{Application, Basis, Message, NameSource, Side, Text, Time};
use atalaya_wire::stream::Delivery;
use atalaya_wire::{Conversation, Limits, Piece, Said};

use super::shown::{self, Request};

/// What a row needs beside its counters once something was said in it.
#[derive(Default)]
pub(crate) struct Talk {
    /// Who reads; `None` when nothing more is to be read.
    pub(super) conversation: Option<Conversation>,
    /// Bytes of each side that were offered to it.
    offered: [u64; 2],
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) http: Option<Box<Request>>,
    pub(crate) ssh: Option<Arc<Ssh>>,
    pub(super) tunnel: Option<Text>,
    /// The name by which the client called the server.
    pub(crate) name: Option<(Text, NameSource)>,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk").finish_non_exhaustive()
    }
}

impl Talk {
    /// Nothing is kept between the datagrams.
    pub(super) fn is_at_rest(&self) -> bool {
        self.conversation.as_ref().is_some_and(Conversation::is_at_rest)
    }

    /// What is spoken, while it is still read.
    pub(super) fn application(&self) -> Option<(Application, Basis)> {
        self.conversation.as_ref().and_then(Conversation::application)
    }

    /// Nothing is kept that the record needs.
    pub(super) const fn is_empty(&self) -> bool {
        self.conversation.is_none()
            && self.tls.is_none()
            && self.http.is_none()
            && self.ssh.is_none()
            && self.tunnel.is_none()
            && self.name.is_none()
    }

    /// Reads what comes next in the stream.
    pub(super) fn hear(&mut self, side: Side, delivery: Delivery<'_>, limits: &Limits, out: &mut Vec<Said>) {
        match delivery {
            Delivery::Data { time, data, cut } => {
                let piece = Piece {
                    time,
                    side,
                    data,
                    cut,
                };
                self.read(&piece, limits, out);
                if cut > 0 {
                    self.miss(side, cut, time, limits, out);
                }
            }
            Delivery::Gap { time, bytes } => self.miss(side, bytes, time, limits, out),
        }
    }

    fn miss(&mut self, side: Side, bytes: u32, time: Time, limits: &Limits, out: &mut Vec<Said>) {
        if let Some(conversation) = &mut self.conversation {
            conversation.gap(side, bytes.into(), time, limits, out);
        }
    }

    /// Reads a piece of a stream, or a datagram.
    pub(super) fn read(&mut self, piece: &Piece<'_>, limits: &Limits, out: &mut Vec<Said>) {
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        let offered = &mut self.offered[piece.side as usize];
        if limits.depth > 0 && *offered >= limits.depth {
            return;
        }
        *offered = offered.saturating_add(piece.data.len() as u64);
        conversation.read(piece, limits, out);
    }

    /// Both sides were read as far as the limit allows, or nothing more is to be learnt.
    pub(super) fn is_sated(&self, limits: &Limits) -> bool {
        let is_deep = |offered: u64| limits.depth > 0 && offered >= limits.depth;
        let hungry = self.conversation.as_ref().is_some_and(Conversation::is_hungry);
        !hungry || self.offered.into_iter().all(is_deep)
    }

    /// Keeps what the record of the connection shows: the first of each kind.
    pub(crate) fn note(&mut self, message: &Message) {
        match message {
            Message::Tls(tls) => {
                let name = tls.client.as_ref().and_then(|client| client.server_name.as_ref());
                self.call(name, NameSource::Tls);
                self.tls.get_or_insert_with(|| Arc::new(shown::tls(tls)));
            }
            Message::Quic(quic) => {
                let client = quic.client.as_ref();
                let name = client.and_then(|client| client.server_name.as_ref());
                self.call(name, NameSource::Tls);
                self.tls.get_or_insert_with(|| {
                    Arc::new(Tls {
                        version: client.map(|client| client.version),
                        client: client.map(shown::hello),
                        ..Tls::default()
                    })
                });
            }
            Message::Http(http) => {
                self.call(http.host.as_ref(), NameSource::Http);
                self.http.get_or_insert_with(|| Box::new(Request::new(http)));
            }
            Message::Ssh(ssh) => {
                self.ssh.get_or_insert_with(|| Arc::new((**ssh).clone()));
            }
            Message::Dns(_) | Message::Http2Settings(_) | Message::Mail(_) | Message::Other(_) => {}
        }
    }

    /// The client called the server so; addresses are no names.
    fn call(&mut self, host: Option<&Text>, source: NameSource) {
        let Some(host) = host.filter(|_| self.name.is_none()) else {
            return;
        };
        let name = if source == NameSource::Http {
            without_port(host)
        } else {
            host
        };
        if !name.is_empty() && name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err() {
            let name = if name.len() == host.len() {
                host.clone()
            } else {
                name.into()
            };
            self.name = Some((name, source));
        }
    }
}

/// A host as in a head, without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    }
}
