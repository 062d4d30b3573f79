//! How long a conversation is waited for.

use atalaya_model::Span;

/// Times after which a conversation is over if nothing more comes. The defaults are Zeek's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOuts {
    /// A SYN that nobody answered, from its first one on.
    pub tcp_attempt: Span,
    /// An open TCP conversation in which nothing is said.
    pub tcp: Span,
    /// After both sides closed.
    pub tcp_closed: Span,
    /// After one side closed and nothing was heard of the other, or not its beginning.
    pub tcp_half_closed: Span,
    /// After a reset.
    pub tcp_reset: Span,
    /// UDP.
    pub udp: Span,
    /// Questions to port 53 over UDP, and their answers.
    pub dns: Span,
    /// ICMP.
    pub icmp: Span,
    /// Every other protocol.
    pub other: Span,
}

impl Default for TimeOuts {
    fn default() -> Self {
        Self {
            tcp_attempt: Span::from_seconds(5),
            tcp: Span::from_seconds(300),
            tcp_closed: Span::from_seconds(5),
            tcp_half_closed: Span::from_seconds(3),
            tcp_reset: Span(100_000),
            udp: Span::from_seconds(60),
            dns: Span::from_seconds(10),
            icmp: Span::from_seconds(60),
            other: Span::from_seconds(60),
        }
    }
}

impl TimeOuts {
    /// Where the table is nearly full: what is unanswered or silent goes sooner.
    pub(super) const fn hurried(self) -> Self {
        const fn cut(span: Span, part: i64) -> Span {
            Span(span.0 / part)
        }
        Self {
            tcp_attempt: cut(self.tcp_attempt, 5),
            tcp: cut(self.tcp, 5),
            tcp_closed: cut(self.tcp_closed, 5),
            tcp_half_closed: cut(self.tcp_half_closed, 5),
            tcp_reset: self.tcp_reset,
            udp: cut(self.udp, 6),
            dns: cut(self.dns, 5),
            icmp: cut(self.icmp, 6),
            other: cut(self.other, 6),
        }
    }
}

/// When a conversation that still lives is told of again: its age.
const PROGRESS: [Span; 5] = [
    Span::from_seconds(600),
    Span::from_seconds(1_800),
    Span::from_seconds(3_600),
    Span::from_seconds(43_200),
    Span::from_seconds(86_400),
];

/// The age at which it is told of for the next time, after so many; daily in the end.
pub(super) fn progress(told: u16) -> Span {
    let told = usize::from(told);
    match PROGRESS.get(told) {
        Some(age) => *age,
        None => Span::from_seconds(86_400 * (told + 2 - PROGRESS.len()) as i64),
    }
}
