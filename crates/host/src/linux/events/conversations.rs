//! The join: what the tracepoints told of a socket, and what the notice of its end says.
//!
//! A tracepoint knows the moment, the states and the process, but a socket only by its address in the kernel. The
//! notice knows cookie, namespace and counters. The last tracepoint of a socket knows both address and cookie. The two
//! come in different queues: the tracepoints first, almost always.

use std::collections::{HashMap, VecDeque};

use atalaya_model::{Endpoint, Outcome, Side, Socket, SocketState};

use super::outcome;
use super::samples::{Sample, What};
use crate::linux::owners::numbers::NumberMap;

/// Most conversations followed at a time. What begins beyond is told as tier `poll` would.
const MOST_OPEN: usize = 1 << 18;
/// Most ended ones that wait for their notice.
const MOST_ENDED: usize = 1 << 17;
/// How long an ended one waits for its notice, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// How long it is remembered that one was told without its notice, in nanoseconds.
const REMEMBERED: u64 = 30_000_000_000;
/// Most errors and broken connections that wait for each other.
const MOST_BROKEN: usize = 4_096;

/// Own end and peer.
type Ends = (Endpoint, Endpoint);

/// What is known of one socket. Times are nanoseconds of the monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conversation {
    pub(super) local: Endpoint,
    pub(super) remote: Endpoint,
    /// When it began, or was first heard of.
    pub(super) began: u64,
    /// It began before anybody listened, or that was lost.
    pub(super) began_before: bool,
    pub(super) side: Option<Side>,
    pub(super) is_listener: bool,
    /// The process that connected, listened, or, of an accepted one, was the first seen to use it, and when.
    pub(super) user: Option<(u32, u64)>,
    /// When and how it ended.
    pub(super) end: Option<End>,
    /// Its cookie, once it was told that it lives.
    pub(super) told: Option<u64>,
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) time: u64,
    /// The state before.
    pub(super) from: SocketState,
    /// A process did it, not the network.
    pub(super) by_process: bool,
    /// The peer's FIN is among the bytes received; `None` where that is not known.
    pub(super) has_fin: Option<bool>,
    /// The error that its process was told, by number; 0 for none.
    pub(super) error: i32,
}

impl Conversation {
    pub(super) fn outcome(&self) -> Outcome {
        self.end.as_ref().map_or(Outcome::Unknown, outcome::of)
    }

    /// Is it only the remains of a call of `connect` that found no way, or no port?
    fn never_left(&self) -> bool {
        !self.is_listener && (self.local.port == 0 || self.remote.port == 0)
    }
}

/// Every socket that is heard of.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    /// By the kernel's address.
    open: NumberMap<u64, Conversation>,
    /// The addresses of those that were told to live, by cookie.
    told: NumberMap<u64, u64>,
    /// Destroyed, waiting for the notice, by cookie. Of some nothing else is known.
    ended: NumberMap<u64, Option<Box<Conversation>>>,
    /// Their cookies, with the time at which the end was learnt, rising.
    waiting: VecDeque<(u64, u64)>,
    /// Told without their notice, by cookie, and with the time of that.
    unnoticed: NumberMap<u64, u64>,
    /// When the samples that are taken now were read.
    now: u64,
    /// Errors that were told before the end, by ends.
    errors: HashMap<Ends, i32>,
    /// Ends without order, whose error may still be told.
    broken: HashMap<Ends, u64>,
    /// What begins now is not followed: [`MOST_OPEN`]. Counted since this was asked last.
    refused: u64,
    /// Something was lost: some may have ended unheard.
    is_shaken: bool,
}

/// What the notice of an end finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Partner {
    /// What the tracepoints told.
    Conversation(Box<Conversation>),
    /// They told nothing but the end: it is as old as the watch, or was never connected.
    Nothing,
    /// They have not told its end yet.
    Late,
    /// It waited too long, and was told without its notice.
    Told,
}

impl Conversations {
    /// Samples that were read at this time follow.
    pub(super) fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    pub(super) fn take(&mut self, sample: Sample) {
        let Sample { time, process, what } = sample;
        match what {
            What::State {
                socket,
                from,
                to,
                local,
                remote,
                by_fin,
            } => {
                let user = process.map(|process| (process, time));
                let ends = (local, remote);
                match to {
                    SocketState::SynSent => self.begin(socket, time, ends, Some(Side::Source), user),
                    SocketState::Listen => self.begin(socket, time, ends, None, user),
                    SocketState::Established if from == SocketState::SynReceived => {
                        if !self.lives(socket) {
                            // Who was interrupted, or sent the last segment of the handshake, is not who accepts.
                            self.begin(socket, time, ends, Some(Side::Destination), None);
                        }
                    }
                    SocketState::Close if from == SocketState::SynReceived => self.forget(socket),
                    SocketState::Close => {
                        let end = End {
                            time,
                            from,
                            by_process: user.is_some(),
                            has_fin: fin(from).or(by_fin),
                            error: 0,
                        };
                        self.end(socket, ends, user, end);
                    }
                    _ => {
                        let conversation = self.heard(socket, time, ends);
                        if let Some(conversation) = conversation {
                            (conversation.local, conversation.remote) = ends;
                            conversation.user = conversation.user.or(user);
                        }
                    }
                }
            }
            What::Destroyed { socket, cookie } => self.destroyed(socket, cookie, time, process),
            What::Failed { local, remote, error } => self.failed((local, remote), error),
            // Not about a socket.
            What::Executed { .. } => {}
        }
    }

    fn begin(
        &mut self,
        socket: u64,
        time: u64,
        (local, remote): Ends,
        side: Option<Side>,
        user: Option<(u32, u64)>,
    ) {
        self.forget(socket);
        if self.open.len() >= MOST_OPEN {
            self.refused += 1;
            return;
        }
        let conversation = Conversation {
            local,
            remote,
            began: time,
            began_before: false,
            side,
            is_listener: side.is_none(),
            user,
            end: None,
            told: None,
        };
        self.open.insert(socket, conversation);
    }

    /// The conversation of a socket; a new one where its beginning was not heard.
    fn heard(&mut self, socket: u64, time: u64, ends: Ends) -> Option<&mut Conversation> {
        if !self.lives(socket) {
            self.begin(socket, time, ends, None, None);
            let conversation = self.open.get_mut(&socket)?;
            conversation.began_before = true;
            conversation.is_listener = false;
        }
        self.open.get_mut(&socket)
    }

    /// After a loss an address may have passed on to another socket unheard.
    fn lives(&self, socket: u64) -> bool {
        self.open
            .get(&socket)
            .is_some_and(|conversation| conversation.end.is_none())
    }

    fn forget(&mut self, socket: u64) {
        if let Some(cookie) = self.open.remove(&socket).and_then(|before| before.told) {
            self.told.remove(&cookie);
        }
    }

    fn end(&mut self, socket: u64, ends: Ends, user: Option<(u32, u64)>, mut end: End) {
        let early = self.errors.remove(&ends);
        let Some(conversation) = self.heard(socket, end.time, ends) else {
            return;
        };
        conversation.user = conversation.user.or(user);
        conversation.is_listener |= end.from == SocketState::Listen;
        if !conversation.is_listener {
            (conversation.local, conversation.remote) = ends;
        }
        end.error = early.unwrap_or(0);
        conversation.end = Some(end);
        if end.error == 0 && outcome::is_without_order(end.from) && self.broken.len() < MOST_BROKEN {
            self.broken.insert(ends, socket);
        }
    }

    fn failed(&mut self, ends: Ends, error: i32) {
        if let Some(socket) = self.broken.remove(&ends) {
            if let Some(conversation) = self.open.get_mut(&socket)
                && let Some(end) = &mut conversation.end
            {
                end.error = error;
            }
        } else if self.errors.len() < MOST_BROKEN {
            self.errors.insert(ends, error);
        }
    }

    fn destroyed(&mut self, socket: u64, cookie: u64, time: u64, process: Option<u32>) {
        let conversation = self.open.remove(&socket).map(|mut conversation| {
            if let Some(cookie) = conversation.told {
                self.told.remove(&cookie);
            }
            self.broken.remove(&(conversation.local, conversation.remote));
            conversation.user = conversation.user.or(process.map(|process| (process, time)));
            conversation.end.get_or_insert(End {
                time,
                from: SocketState::Close,
                by_process: process.is_some(),
                has_fin: None,
                error: 0,
            });
            Box::new(conversation)
        });
        let conversation = conversation.filter(|conversation| !conversation.never_left());
        if self.ended.len() < MOST_ENDED {
            self.ended.insert(cookie, conversation);
            self.waiting.push_back((self.now.max(time), cookie));
        } else {
            self.refused += 1;
        }
    }

    /// A notice came: what had been told of its socket?
    pub(super) fn partner(&mut self, notice: &Socket) -> Partner {
        match self.ended.remove(&notice.cookie) {
            // A notice of a failed attempt has lost the ends. Other ends are of an earlier socket, whose end was lost.
            Some(Some(conversation))
                if notice.remote.port == 0
                    || (notice.local, notice.remote) == (conversation.local, conversation.remote) =>
            {
                Partner::Conversation(conversation)
            }
            Some(_) => Partner::Nothing,
            None if self.unnoticed.remove(&notice.cookie).is_some() => Partner::Told,
            None => Partner::Late,
        }
    }

    /// Those that waited too long for their notice, with their cookies. `now` is in nanoseconds of the monotonic clock.
    pub(super) fn expired(&mut self, now: u64) -> Vec<(u64, Conversation)> {
        let mut expired = Vec::new();
        while let Some((time, cookie)) = self.waiting.front().copied()
            && now.saturating_sub(time) > PATIENCE
        {
            self.waiting.pop_front();
            if let Some(Some(conversation)) = self.ended.remove(&cookie) {
                expired.push((cookie, *conversation));
                if self.unnoticed.len() < MOST_ENDED {
                    self.unnoticed.insert(cookie, now);
                }
            }
        }
        expired
    }

    /// Those that live, by their ends, for [`meet`](Self::meet). Ends that two of them share are in two namespaces, and
    /// say nothing.
    pub(super) fn by_ends(&self) -> HashMap<Ends, Option<u64>> {
        let mut by_ends = HashMap::new();
        for (socket, conversation) in &self.open {
            if conversation.told.is_none() && conversation.end.is_none() {
                by_ends
                    .entry((conversation.local, conversation.remote))
                    .and_modify(|known| *known = None)
                    .or_insert(Some(*socket));
            }
        }
        by_ends
    }

    /// A look met this socket: what was told of it, if anything.
    pub(super) fn meet(
        &self,
        socket: &Socket,
        by_ends: &HashMap<Ends, Option<u64>>,
    ) -> Option<(u64, &Conversation)> {
        let address = match self.told.get(&socket.cookie) {
            Some(address) => *address,
            None if socket.state == SocketState::TimeWait => return None,
            None => (*by_ends.get(&(socket.local, socket.remote))?)?,
        };
        let conversation = self.open.get(&address)?;
        let is_same = conversation.is_listener == (socket.state == SocketState::Listen)
            && conversation.told.is_none_or(|cookie| cookie == socket.cookie);
        is_same.then_some((address, conversation))
    }

    /// It is told now that the conversation of this address lives; not again.
    pub(super) fn tell(&mut self, address: u64, cookie: u64) -> Option<&Conversation> {
        let conversation = self.open.get_mut(&address)?;
        if conversation.told.is_some() {
            return None;
        }
        conversation.told = Some(cookie);
        self.told.insert(cookie, address);
        Some(conversation)
    }

    /// Something was lost.
    pub(super) fn shake(&mut self) {
        self.is_shaken = true;
    }

    /// After a complete look at all namespaces that are observed: of those that had been told to live and that it did
    /// not meet (`met` knows the cookies), the end was lost.
    pub(super) fn settle(&mut self, is_met: impl Fn(u64) -> bool) {
        self.errors.clear();
        let now = self.now;
        self.unnoticed
            .retain(|_, told| now.saturating_sub(*told) < REMEMBERED);
        if !std::mem::take(&mut self.is_shaken) {
            return;
        }
        let told = &mut self.told;
        self.open.retain(|_, conversation| match conversation.told {
            Some(cookie) if !is_met(cookie) => {
                told.remove(&cookie);
                false
            }
            _ => true,
        });
    }

    /// Was something lost since the last look settled it?
    pub(super) const fn is_shaken(&self) -> bool {
        self.is_shaken
    }

    /// How many were not followed since this was asked last.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

/// Was the peer's FIN received, by the state before the end?
const fn fin(from: SocketState) -> Option<bool> {
    match from {
        SocketState::CloseWait | SocketState::LastAck | SocketState::Closing | SocketState::TimeWait => {
            Some(true)
        }
        SocketState::FinWait2 | SocketState::Close => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests;
