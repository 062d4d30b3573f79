//! Numbers that stand for names in the tables. A number is a place in one of these lists: only ever append to them.

use atalaya_model::process::{Digest, Flags, Unread};
use atalaya_model::{
    Attribution, Certainty, Direction, Evidence, NameSource, Outcome, Scope, Side, SocketState, Stage, Tier,
};

use crate::StoreError;

pub(crate) const CERTAINTY: &[Certainty] = &[Certainty::Unknown, Certainty::Likely, Certainty::Exact];
pub(crate) const EVIDENCE: &[Evidence] = &[
    Evidence::KernelEvent,
    Evidence::Descriptor,
    Evidence::SharedDescriptor,
    Evidence::SeenBefore,
    Evidence::KernelOwned,
    Evidence::BetweenLooks,
    Evidence::NoPermission,
    Evidence::NotFound,
    Evidence::NotRecorded,
    Evidence::Listener,
    Evidence::CaptureFile,
];
pub(crate) const SIDE: &[Side] = &[Side::Source, Side::Destination];
pub(crate) const DIRECTION: &[Direction] = &[
    Direction::Outbound,
    Direction::Inbound,
    Direction::Local,
    Direction::Unknown,
];
pub(crate) const SCOPE: &[Scope] = &[
    Scope::Unspecified,
    Scope::Loopback,
    Scope::Private,
    Scope::Multicast,
    Scope::External,
];
/// The kernel's number minus one.
pub(crate) const STATE: &[SocketState] = &SocketState::ALL;
pub(crate) const STAGE: &[Stage] = &[
    Stage::KernelRing,
    Stage::SocketEvents,
    Stage::SocketTable,
    Stage::Processes,
    Stage::Hashes,
    Stage::EngineQueue,
    Stage::Tables,
    Stage::Store,
    Stage::Outlet,
    Stage::Subscriber,
    Stage::Watch,
    Stage::KernelTables,
    Stage::LateLookups,
    Stage::PacketRing,
    Stage::Packets,
    Stage::Streams,
];
pub(crate) const OUTCOME: &[Outcome] = &[
    Outcome::Unknown,
    Outcome::Finished,
    Outcome::Reset,
    Outcome::TimedOut,
    Outcome::Refused,
    Outcome::Unanswered,
    Outcome::Unreachable,
    Outcome::Abandoned,
];
pub(crate) const NAME_SOURCE: &[NameSource] = &[
    NameSource::Resolver,
    NameSource::Dns,
    NameSource::Tls,
    NameSource::Http,
];
pub(crate) const TIER: &[Tier] = &[Tier::Portable, Tier::Poll, Tier::Events, Tier::Ebpf];
pub(crate) const DIGEST: &[Digest] = &[Digest::Unknown, Digest::Agrees, Digest::Differs];
pub(crate) const UNREAD: &[Unread] = &[Unread::Gone, Unread::NoPermission, Unread::Failed];

/// The number of `value`: its place in `list`.
pub(crate) fn encode<T: PartialEq>(list: &[T], value: &T) -> i64 {
    list.iter()
        .position(|item| item == value)
        .map_or(-1, |place| place as i64)
}

/// What `code` stands for.
pub(crate) fn decode<T: Copy>(list: &[T], code: i64) -> Result<T, StoreError> {
    usize::try_from(code)
        .ok()
        .and_then(|place| list.get(place))
        .copied()
        .ok_or_else(|| StoreError::Corrupt(format!("unknown code {code}")))
}

/// Certainty and evidence in one small number.
pub(crate) fn encode_attribution(attribution: Attribution) -> i64 {
    encode(CERTAINTY, &attribution.certainty) << 5 | encode(EVIDENCE, &attribution.evidence)
}

pub(crate) fn decode_attribution(code: i64) -> Result<Attribution, StoreError> {
    Ok(Attribution {
        certainty: decode(CERTAINTY, code >> 5)?,
        evidence: decode(EVIDENCE, code & 31)?,
    })
}

/// Bits of [`Flags`], as the views test them.
pub(crate) const DELETED: i64 = 1;
pub(crate) const MEMFD: i64 = 2;
pub(crate) const SCRIPT: i64 = 4;
pub(crate) const KERNEL_THREAD: i64 = 8;
pub(crate) const PRELOAD: i64 = 16;
pub(crate) const STANDARD_SOCKET: i64 = 32;

pub(crate) fn encode_flags(flags: Flags) -> i64 {
    let bits = [
        (flags.deleted, DELETED),
        (flags.memfd, MEMFD),
        (flags.script, SCRIPT),
        (flags.kernel_thread, KERNEL_THREAD),
        (flags.preload, PRELOAD),
        (flags.standard_socket, STANDARD_SOCKET),
    ];
    bits.into_iter().map(|(set, bit)| i64::from(set) * bit).sum()
}

pub(crate) fn decode_flags(bits: i64) -> Flags {
    Flags {
        deleted: bits & DELETED != 0,
        memfd: bits & MEMFD != 0,
        script: bits & SCRIPT != 0,
        kernel_thread: bits & KERNEL_THREAD != 0,
        preload: bits & PRELOAD != 0,
        standard_socket: bits & STANDARD_SOCKET != 0,
    }
}

/// SQL that gives the name of a code.
pub(crate) fn names<T: Copy>(code: &str, list: &[T], name: fn(T) -> &'static str) -> String {
    let mut sql = format!("CASE {code}");
    for (place, item) in list.iter().enumerate() {
        sql.push_str(&format!(" WHEN {place} THEN '{}'", name(*item)));
    }
    sql.push_str(" END");
    sql
}

/// A counter as SQLite keeps it; what is above 2^63 - 1 becomes that.
pub(crate) fn counter(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A counter as it was kept.
pub(crate) fn uncounter(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_state_outcome_and_attribution_has_its_number() {
        for stage in Stage::ALL {
            assert_eq!(decode(STAGE, encode(STAGE, &stage)).unwrap(), stage);
        }
        for outcome in Outcome::ALL {
            assert_eq!(decode(OUTCOME, encode(OUTCOME, &outcome)).unwrap(), outcome);
        }
        for &certainty in CERTAINTY {
            for &evidence in EVIDENCE {
                let attribution = Attribution { certainty, evidence };
                assert_eq!(
                    decode_attribution(encode_attribution(attribution)).unwrap(),
                    attribution
                );
            }
        }
        assert!(decode(STATE, 11).is_err());
        assert!(decode(STATE, -1).is_err());
        assert_eq!(encode(STATE, &SocketState::Closing), 10);
    }

    #[test]
    fn flags_go_both_ways() {
        for bits in 0..64 {
            assert_eq!(encode_flags(decode_flags(bits)), bits);
        }
    }
}
