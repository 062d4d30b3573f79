//! From both halves to what the tracker is told.

use std::collections::HashMap;

use atalaya_model::connection::Traffic;
use atalaya_model::observation::{Change, SocketEvent};
use atalaya_model::{
    Endpoint, Evidence, Observation, Owners, ProcessKey, Socket, SocketState, Stage, Time, Transport,
};

use super::EventsCollector;
use super::conversations::{Conversation, Conversations, Partner};
use super::lives::Lives;
use crate::clock::KernelClock;
use crate::collector::Sink;
use crate::linux::owners::numbers::NumberSet;

/// How long a notice waits for the tracepoints, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// Most notices that wait.
const MOST_LATE: usize = 1 << 16;
/// Most events in one message.
const CHUNK: usize = 1_024;

/// What a look asks.
pub(super) struct Joined<'a> {
    pub(super) conversations: &'a mut Conversations,
    pub(super) lives: &'a mut Lives,
    pub(super) by_ends: HashMap<(Endpoint, Endpoint), Option<u64>>,
    /// Cookies of what the look met.
    pub(super) met: NumberSet<u64>,
    pub(super) clock: KernelClock,
}

impl Joined<'_> {
    /// The process that uses a socket, by the tracepoints.
    pub(super) fn user_of(&mut self, socket: &Socket) -> Option<ProcessKey> {
        if socket.transport != Transport::Tcp {
            return None;
        }
        let (_, conversation) = self.conversations.meet(socket, &self.by_ends)?;
        let (pid, time) = conversation.user?;
        self.lives.key_at(pid, time)
    }

    /// What is to be told of sockets that a look meets, and that were not told before.
    pub(super) fn meet(&mut self, time: Time, sockets: &[Socket]) -> Vec<SocketEvent> {
        let mut events = Vec::new();
        for socket in sockets.iter().filter(|socket| socket.transport == Transport::Tcp) {
            self.met.insert(socket.cookie);
            let Some((address, _)) = self.conversations.meet(socket, &self.by_ends) else {
                continue;
            };
            if let Some(conversation) = self.conversations.tell(address, socket.cookie) {
                events.push(SocketEvent {
                    time,
                    change: Change::Alive,
                    started: self.clock.time_of(conversation.began),
                    started_before: conversation.began_before,
                    side: conversation.side,
                    socket: socket.clone(),
                });
            }
        }
        events
    }
}

impl EventsCollector {
    /// Tells of closed sockets: those whose both halves are there, and those that waited too long for the other.
    pub(super) fn join(&mut self, notices: Vec<(u64, Socket)>, clock: &KernelClock, sink: &mut Sink<'_>) {
        let mut closed = Vec::new();
        let mut alone = 0;
        for (since, mut socket) in notices {
            match self.conversations.partner(&socket) {
                Partner::Conversation(conversation) => closed.push((*conversation, socket)),
                Partner::Late
                    if clock.monotonic.saturating_sub(since) < PATIENCE && self.late.len() < MOST_LATE =>
                {
                    self.late.push((since, socket));
                }
                Partner::Told => {}
                other => {
                    alone += u64::from(other == Partner::Late);
                    self.poll.remembered.complete(&mut socket);
                    sink(Observation::SocketClosed(clock.time, socket));
                }
            }
        }
        let mut unnoticed = 0;
        for (cookie, conversation) in self.conversations.expired(clock.monotonic) {
            let namespace = self.namespace_of(&conversation);
            let is_observed = namespace.is_none_or(|namespace| self.poll.namespaces.observes(namespace));
            unnoticed += u64::from(is_observed);
            let socket = without_notice(&conversation, cookie, namespace.unwrap_or(0));
            closed.push((conversation, socket));
        }
        for (stage, count, reason) in [
            (
                Stage::KernelRing,
                alone,
                "of a closed connection the tracepoints told nothing: its process may not be known",
            ),
            (
                Stage::SocketEvents,
                unnoticed,
                "no notice came of a connection's end: its bytes are not known",
            ),
        ] {
            if count > 0 {
                self.poll.incomplete(clock.time, stage, count, reason, sink);
            }
        }
        self.tell_closed(closed, clock, sink);
    }

    /// The network namespace of the process that used a socket.
    fn namespace_of(&mut self, conversation: &Conversation) -> Option<u32> {
        let (pid, time) = conversation.user?;
        let key = self.lives.key_at(pid, time)?;
        self.poll.describer.told(key)?.network_namespace
    }

    fn tell_closed(&mut self, closed: Vec<(Conversation, Socket)>, clock: &KernelClock, sink: &mut Sink<'_>) {
        let mut events = Vec::with_capacity(closed.len().min(CHUNK));
        for (conversation, mut socket) in closed {
            socket.owners = self.owner(&conversation, &socket);
            if let Owners::Used(key) = socket.owners {
                self.poll.describer.need(key);
            }
            complete(&mut socket, &conversation);
            let ended = conversation.end.map_or(clock.time, |end| clock.time_of(end.time));
            let event = SocketEvent {
                time: ended,
                change: Change::Closed(conversation.outcome()),
                started: clock.time_of(conversation.began),
                started_before: conversation.began_before,
                side: conversation.side,
                socket,
            };
            if conversation.is_listener && conversation.told.is_none() {
                // An end alone would say nothing of a listener that no look had met.
                events.push(SocketEvent {
                    time: event.started,
                    change: Change::Alive,
                    ..event.clone()
                });
            }
            events.push(event);
            if events.len() + 1 >= CHUNK {
                self.flush(&mut events, clock, sink);
            }
        }
        self.flush(&mut events, clock, sink);
    }

    /// Passes on what has gathered, after the processes that it names.
    fn flush(&mut self, events: &mut Vec<SocketEvent>, clock: &KernelClock, sink: &mut Sink<'_>) {
        if events.is_empty() {
            return;
        }
        self.poll.describer.describe_needed(clock.time, sink);
        for event in events.iter_mut() {
            // A thread of the kernel uses sockets of its own, and lets go those of others.
            if let Owners::Used(key) = event.socket.owners
                && self
                    .poll
                    .describer
                    .told(key)
                    .is_some_and(|process| process.flags.kernel_thread)
            {
                event.socket.owners = Owners::Unknown(Evidence::KernelOwned);
            }
        }
        sink(Observation::SocketEvents(std::mem::take(events)));
    }

    fn owner(&mut self, conversation: &Conversation, socket: &Socket) -> Owners {
        let used = conversation
            .user
            .and_then(|(pid, time)| self.lives.key_at(pid, time))
            .map(Owners::Used);
        used.or_else(|| self.poll.remembered.owners(socket).cloned())
            .unwrap_or(Owners::Unknown(Evidence::BetweenLooks))
    }
}

/// Gives a closed socket what only the tracepoints know.
fn complete(socket: &mut Socket, conversation: &Conversation) {
    (socket.local, socket.remote) = (conversation.local, conversation.remote);
    if conversation.is_listener {
        socket.state = SocketState::Listen;
        socket.traffic = None;
    }
    // A process that cuts its connection off (SO_LINGER of 0) has the kernel clear the counters. Whoever was connected
    // has sent something.
    let was_connected = conversation
        .end
        .is_some_and(|end| end.from != SocketState::SynSent);
    socket
        .traffic
        .take_if(|traffic| was_connected && *traffic == Traffic::default());
    let has_fin = conversation.end.and_then(|end| end.has_fin);
    if has_fin == Some(true)
        && let Some(traffic) = &mut socket.traffic
    {
        traffic.received_bytes = traffic.received_bytes.saturating_sub(1);
    }
}

/// A socket of whose end no notice came: what went over it is not known.
fn without_notice(conversation: &Conversation, cookie: u64, namespace: u32) -> Socket {
    Socket {
        transport: Transport::Tcp,
        state: SocketState::Close,
        local: conversation.local,
        remote: conversation.remote,
        namespace,
        cookie,
        inode: 0,
        user_id: Socket::NO_USER,
        cgroup_id: 0,
        traffic: None,
        owners: Owners::Unknown(Evidence::BetweenLooks),
    }
}
