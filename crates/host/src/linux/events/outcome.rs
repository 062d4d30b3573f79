//! How a conversation went, by the state before its end, who ended it, and the error that its process was told.

use atalaya_model::{Outcome, SocketState};

use super::conversations::End;

pub(super) fn of(end: &End) -> Outcome {
    match end.from {
        SocketState::SynSent => match end.error {
            libc::ECONNREFUSED | libc::ECONNRESET => Outcome::Refused,
            libc::ETIMEDOUT => Outcome::Unanswered,
            0 if end.by_process => Outcome::Abandoned,
            0 => Outcome::Unknown,
            _ => Outcome::Unreachable,
        },
        SocketState::Listen | SocketState::Close => Outcome::Unknown,
        _ => match end.error {
            libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => Outcome::TimedOut,
            0 if !is_without_order(end.from) => Outcome::Finished,
            _ => Outcome::Reset,
        },
    }
}

/// Does a connection that ends in this state end without the consent of both?
pub(super) const fn is_without_order(from: SocketState) -> bool {
    matches!(
        from,
        SocketState::SynSent | SocketState::Established | SocketState::CloseWait | SocketState::FinWait1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_errors_and_who_it_was_make_the_outcome() {
        use SocketState::*;
        for (from, by_process, error, expected) in [
            (SynSent, false, libc::ECONNREFUSED, Outcome::Refused),
            (SynSent, false, libc::ETIMEDOUT, Outcome::Unanswered),
            (SynSent, false, libc::EHOSTUNREACH, Outcome::Unreachable),
            (SynSent, true, 0, Outcome::Abandoned),
            (SynSent, false, 0, Outcome::Unknown),
            (LastAck, false, 0, Outcome::Finished),
            (FinWait2, false, 0, Outcome::Finished),
            (Closing, false, 0, Outcome::Finished),
            (FinWait2, false, libc::ECONNRESET, Outcome::Reset),
            (Established, true, 0, Outcome::Reset),
            (Established, false, libc::ECONNRESET, Outcome::Reset),
            (CloseWait, false, libc::EPIPE, Outcome::Reset),
            (Established, false, libc::ETIMEDOUT, Outcome::TimedOut),
            (FinWait1, false, 0, Outcome::Reset),
            (Listen, true, 0, Outcome::Unknown),
        ] {
            let end = End {
                time: 0,
                from,
                by_process,
                has_fin: None,
                error,
            };
            assert_eq!(of(&end), expected, "{end:?}");
        }
    }
}
