//! QUIC packets (RFC 9000 section 17), as far as they are in the clear, and frames of opened ones (section 19).

use crate::tls::cursor::Cursor;

/// Bytes of a connection id (RFC 9000 section 17.2).
const CONNECTION_ID: usize = 20;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    /// Application data before the handshake is over.
    Early,
    Handshake,
    Retry,
    /// A list of versions, or a version nobody here knows.
    Unknown,
}

/// One packet with a long head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long<'a> {
    pub(super) kind: Kind,
    pub(super) version: u32,
    pub(super) destination: &'a [u8],
    pub(super) source: &'a [u8],
    /// The whole packet.
    pub(super) bytes: &'a [u8],
    /// Where in it its protected number begins.
    pub(super) number_at: usize,
}

/// A number of variable length (RFC 9000 section 16).
pub(super) fn number(at: &mut Cursor<'_>) -> Option<usize> {
    let first = at.u8()?;
    let more = (1 << (first >> 6)) - 1;
    let rest = at
        .take(more)?
        .iter()
        .try_fold(u64::from(first & 0x3f), |value, &byte| {
            Some(value << 8 | u64::from(byte))
        })?;
    usize::try_from(rest).ok()
}

/// Reads a long head; what follows the packet in the datagram stays in `at`.
pub(super) fn long<'a>(at: &mut Cursor<'a>, is_known: fn(u32) -> bool) -> Option<Long<'a>> {
    let bytes = at.0;
    let (first, version) = (at.u8()?, at.u32()?);
    if first & 0x80 == 0 {
        return None;
    }
    let destination = at.short().filter(|id| id.len() <= CONNECTION_ID)?;
    let source = at.short().filter(|id| id.len() <= CONNECTION_ID)?;
    let kind = match (version, first >> 4 & 3) {
        _ if !is_known(version) => Kind::Unknown,
        (0x6b33_43cf, kind) => [Kind::Retry, Kind::Initial, Kind::Early, Kind::Handshake][usize::from(kind)],
        (_, kind) => [Kind::Initial, Kind::Early, Kind::Handshake, Kind::Retry][usize::from(kind)],
    };
    let mut packet = Long {
        kind,
        version,
        destination,
        source,
        bytes,
        number_at: 0,
    };
    if matches!(kind, Kind::Retry | Kind::Unknown) {
        at.0 = &[];
        return Some(packet);
    }
    if kind == Kind::Initial {
        let token = number(at)?;
        at.take(token)?;
    }
    let length = number(at)?;
    packet.number_at = bytes.len() - at.0.len();
    // A capture may have been cut; then the packet cannot be opened, but was there.
    at.take(length).unwrap_or_else(|| std::mem::take(&mut at.0));
    packet.bytes = bytes.get(..bytes.len() - at.0.len())?;
    Some(packet)
}

/// What is read of a frame.
pub(super) enum Frame<'a> {
    Crypto { offset: usize, data: &'a [u8] },
    Close,
    Other,
}

/// The next frame; `None` at the end, or where it is none that Initial packets may hold.
pub(super) fn frame<'a>(at: &mut Cursor<'a>) -> Option<Frame<'a>> {
    match at.u8()? {
        0 | 1 => Some(Frame::Other),
        kind @ (2 | 3) => {
            number(at)?;
            number(at)?;
            let ranges = number(at)?;
            number(at)?;
            for _ in 0..ranges {
                number(at)?;
                number(at)?;
            }
            if kind == 3 {
                number(at)?;
                number(at)?;
                number(at)?;
            }
            Some(Frame::Other)
        }
        // 8 is the number that Google gave it.
        6 | 8 => {
            let (offset, length) = (number(at)?, number(at)?);
            let data = at.take(length)?;
            Some(Frame::Crypto { offset, data })
        }
        0x1c | 0x1d => {
            at.0 = &[];
            Some(Frame::Close)
        }
        _ => None,
    }
}
