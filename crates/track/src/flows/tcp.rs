//! What TCP segments do to a conversation: how far each side came, what is written into its history, and how much
//! each side said.
//!
//! The meanings are those of Zeek's documentation of `conn_state` and `history`; what happens where that is silent was
//! found by comparing with its published logs.

use atalaya_model::{ConnectionState, SocketState};
use atalaya_wire::stream::distance;

use super::history::{History, Often, Once};

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// A SYN or RST whose number is further away is not believed.
const FAR: i32 = 1 << 20;

/// How far one side came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It said nothing yet.
    #[default]
    Inactive,
    SynSent,
    /// It speaks, and its beginning was not seen.
    Partial,
    Established,
    Closed,
    Reset,
}

impl Stage {
    /// Nothing was heard of it, or not its beginning.
    const fn is_vague(self) -> bool {
        matches!(self, Self::Inactive | Self::Partial)
    }
}

/// One side in sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) stage: Stage,
    /// It closed before the other did.
    pub(super) closed_first: bool,
    /// The other side has its FIN.
    pub(super) close_acknowledged: bool,
    /// One past the last byte it said, or the other says to have.
    high: u32,
    /// The last SYN, SYN-ACK, FIN and RST: written again only where their numbers differ.
    marks: [u32; 2],
    has_mark: u8,
}

/// A segment without its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) flags: u8,
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
    pub(super) window: u16,
    pub(super) length: u32,
}

impl Head {
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Sequence number of its first byte of payload.
    pub(super) const fn data_begins(&self) -> u32 {
        self.sequence.wrapping_add(self.has(SYN) as u32)
    }
}

/// Takes a segment of `own`, whose peer is `other`; says how many bytes of payload are new.
pub(super) fn take(
    own: &mut Sender,
    other: &mut Sender,
    head: &Head,
    answers: bool,
    history: &mut History,
) -> u64 {
    write(own, head, answers, history);
    let before = own.stage;
    let said = count(own, head, answers, history);
    step(own, other, head);
    if before != Stage::Closed && own.stage == Stage::Closed {
        own.closed_first = other.stage != Stage::Closed;
    }
    said
}

/// Writes what is seen in the flags.
fn write(own: &mut Sender, head: &Head, answers: bool, history: &mut History) {
    let (syn, fin, rst) = (head.has(SYN), head.has(FIN), head.has(RST));
    if syn && (fin || rst) {
        history.once(answers, Once::MultipleFlags);
    }
    if fin && rst {
        history.once(answers, Once::Inconsistent);
    }
    if syn {
        let letter = if head.has(ACK) { b'H' } else { b'S' };
        own.mark(0, head.sequence, letter, answers, history);
    }
    if head.length > 0 {
        history.once(answers, Once::Data);
    } else if head.has(ACK) && !syn && !fin && !rst {
        history.once(answers, Once::Acknowledgment);
    }
    if fin {
        let last = head.sequence.wrapping_add(head.length);
        own.mark(1, last, b'F', answers, history);
    }
    if rst {
        own.mark(2, 0, b'R', answers, history);
    }
    if head.window == 0 && head.has(ACK) && !rst && !syn && !fin {
        history.often(answers, Often::ZeroWindow);
    }
}

impl Sender {
    fn mark(&mut self, which: u8, sequence: u32, letter: u8, answers: bool, history: &mut History) {
        let bit = 1 << which;
        let old = self.marks.get_mut(usize::from(which));
        let same = old.as_ref().is_none_or(|old| **old == sequence);
        if self.has_mark & bit == 0 || !same {
            history.write(answers, letter);
        }
        if let Some(old) = old {
            *old = sequence;
        }
        self.has_mark |= bit;
    }

    /// Its SYN was seen.
    const fn has_begun(&self) -> bool {
        self.has_mark & 1 != 0
    }

    /// One past the last byte it said.
    pub(super) const fn high(&self) -> u32 {
        self.high
    }

    /// The other side says it has everything before `sequence`: how many bytes nobody here saw.
    pub(super) fn acknowledged(&mut self, sequence: u32) -> u64 {
        if matches!(self.stage, Stage::Inactive) {
            return 0;
        }
        let ahead = distance(self.high, sequence);
        if ahead >= 0 && self.stage == Stage::Closed {
            self.close_acknowledged = true;
        }
        if ahead <= 0 || ahead > FAR || self.stage == Stage::Reset {
            return 0;
        }
        self.high = sequence;
        u64::from(ahead.unsigned_abs())
    }
}

/// Follows the sequence numbers.
fn count(own: &mut Sender, head: &Head, answers: bool, history: &mut History) -> u64 {
    let begins = head.data_begins();
    let closes = u32::from(head.has(FIN));
    let end = begins.wrapping_add(head.length).wrapping_add(closes);
    if own.stage == Stage::Inactive {
        own.high = end;
        return head.length.into();
    }
    let ahead = distance(own.high, end);
    if own.stage == Stage::Reset
        || (head.flags & (SYN | RST) != 0 && ahead.unsigned_abs() > FAR.unsigned_abs())
    {
        return 0;
    }
    if ahead > 0 {
        own.high = end;
        return u64::from(ahead.unsigned_abs()).saturating_sub(closes.into());
    }
    if head.length > 0 {
        history.often(answers, Often::Retransmission);
    }
    0
}

/// How far the sides come by this segment.
fn step(own: &mut Sender, other: &mut Sender, head: &Head) {
    let (syn, fin, rst) = (head.has(SYN), head.has(FIN), head.has(RST));
    own.stage = match own.stage {
        Stage::Closed | Stage::Reset => return,
        _ if rst => Stage::Reset,
        _ if fin => Stage::Closed,
        Stage::Inactive | Stage::SynSent if syn && head.has(ACK) => {
            if other.stage == Stage::SynSent {
                other.stage = Stage::Established;
            }
            Stage::Established
        }
        Stage::Inactive if syn => Stage::SynSent,
        Stage::Inactive if other.stage == Stage::Established => Stage::Established,
        Stage::Inactive => Stage::Partial,
        same => same,
    };
}

/// Zeek's `conn_state` of two senders; `silent` says that neither sent a byte of payload.
pub(super) fn state(source: &Sender, destination: &Sender, silent: bool) -> ConnectionState {
    use ConnectionState as State;
    let (from, to) = (source.stage, destination.stage);
    match (from, to) {
        (Stage::SynSent, Stage::Reset) => State::REJ,
        (Stage::Reset, Stage::Reset) if silent => State::REJ,
        (_, Stage::Reset) if from.is_vague() => State::RSTRH,
        (_, Stage::Reset) => State::RSTR,
        (Stage::Reset, Stage::Inactive) if !source.has_begun() => State::OTH,
        (Stage::Reset, _) if to.is_vague() => State::RSTOS0,
        (Stage::Reset, _) => State::RSTO,
        (Stage::Closed, Stage::Closed) => State::SF,
        (Stage::Closed, _) if to.is_vague() => State::SH,
        (Stage::Closed, _) => State::S2,
        (_, Stage::Closed) if from.is_vague() => State::SHR,
        (_, Stage::Closed) => State::S3,
        (Stage::SynSent, Stage::Inactive) => State::S0,
        (Stage::Established, Stage::Established) => State::S1,
        _ => State::OTH,
    }
}

/// The state of `own`'s socket.
pub(super) const fn socket_state(own: &Sender, other: &Sender, began: bool) -> SocketState {
    use Stage::{Closed, Established, Inactive, Reset, SynSent};
    match (own.stage, other.stage) {
        (Reset, _) | (_, Reset) => SocketState::Close,
        (Closed, Closed) if own.closed_first => {
            if own.close_acknowledged {
                SocketState::TimeWait
            } else {
                SocketState::Closing
            }
        }
        (Closed, Closed) if own.close_acknowledged => SocketState::Close,
        (Closed, Closed) => SocketState::LastAck,
        (Closed, _) if own.close_acknowledged => SocketState::FinWait2,
        (Closed, _) => SocketState::FinWait1,
        (_, Closed) => SocketState::CloseWait,
        (SynSent, _) => SocketState::SynSent,
        (Inactive, SynSent) if !began => SocketState::SynReceived,
        (Established, _) | (_, _) => SocketState::Established,
    }
}
