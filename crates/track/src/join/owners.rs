//! Which processes have the two ends of a conversation: those that the kernel names now, or named before it ended.

use std::sync::Arc;

use atalaya_model::{Connection, Endpoint, Process, Side, Text, Time, Transport};

use super::Join;
use super::tuple::Tuple;

/// A conversation that was told as ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Until when it is remembered.
    pub(super) until: Time,
    /// Was there a socket at the lower end, at the higher one, and whose?
    owners: [Option<Option<Arc<Process>>>; 2],
}

impl Ended {
    /// Remembers whose this row was.
    pub(super) fn note(&mut self, tuple: Tuple, connection: &Connection) {
        let is_high = connection.local() == tuple.ends()[1];
        self.owners[usize::from(is_high)] = Some(connection.process.clone());
    }
}

/// A socket of this host at one end of a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// Its process, where known.
    pub(crate) process: Option<&'a Arc<Process>>,
    /// What it calls the other end.
    pub(crate) name: Option<&'a Text>,
}

impl Join {
    /// The sockets at the source and at the destination of a conversation, as far as they are known.
    pub(crate) fn owners(
        &self,
        transport: Transport,
        source: Endpoint,
        destination: Endpoint,
    ) -> [Option<Owner<'_>>; 2] {
        let mut owners = [None, None];
        for form in Tuple::new(transport, source, destination).forms() {
            let side = |remote: Endpoint| {
                if remote == destination {
                    Side::Source
                } else {
                    Side::Destination
                }
            };
            if self.may_be_here(form) {
                // Of several that used the same ends the last one.
                let mut rows: Vec<_> = self.known.get(&form).into_iter().flatten().collect();
                rows.sort_by_key(|row| row.connection.started);
                for row in rows {
                    let connection = &row.connection;
                    owners[side(connection.remote()) as usize] = Some(Owner {
                        process: connection.process.as_ref(),
                        name: connection.name.as_ref(),
                    });
                }
            }
            let Some(ended) = self.ended.get(&form) else {
                continue;
            };
            let [low, high] = form.ends();
            for (remote, owner) in [high, low].into_iter().zip(&ended.owners) {
                let place = &mut owners[side(remote) as usize];
                if let (None, Some(process)) = (&place, owner) {
                    *place = Some(Owner {
                        process: process.as_ref(),
                        name: None,
                    });
                }
            }
        }
        owners
    }
}
