//! The bytes of one layer, and how many of them the capture left out.

use super::Undecoded;

/// A layer's bytes: what was captured of it, and how many more it had on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    /// What was captured.
    pub(super) data: &'a [u8],
    /// Bytes that followed on the wire and were not captured.
    pub(super) cut: u32,
}

impl<'a> Bytes<'a> {
    /// True length on the wire.
    #[inline]
    pub(super) fn length(&self) -> u32 {
        saturated(self.data.len()).saturating_add(self.cut)
    }

    #[inline]
    pub(super) fn u8(&self, at: usize) -> Result<u8, Undecoded> {
        self.data.get(at).copied().ok_or(Undecoded::Damaged)
    }

    /// In network byte order.
    #[inline]
    pub(super) fn u16(&self, at: usize) -> Result<u16, Undecoded> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// In network byte order.
    #[inline]
    pub(super) fn u32(&self, at: usize) -> Result<u32, Undecoded> {
        self.array(at).map(u32::from_be_bytes)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Undecoded> {
        let found = self.data.get(at..).and_then(|rest| rest.first_chunk::<N>());
        found.copied().ok_or(Undecoded::Damaged)
    }

    /// What follows the first `count` bytes, which must have been captured.
    #[inline]
    pub(super) fn after(self, count: usize) -> Result<Self, Undecoded> {
        let data = self.data.get(count..).ok_or(Undecoded::Damaged)?;
        Ok(Self { data, cut: self.cut })
    }

    /// Takes off what is beyond `length`: padding, trailers.
    #[inline]
    pub(super) fn limit(self, length: u32) -> Self {
        match self.data.get(..length as usize) {
            Some(data) => Self { data, cut: 0 },
            None => Self {
                data: self.data,
                cut: self.cut.min(length.saturating_sub(saturated(self.data.len()))),
            },
        }
    }
}

/// A length as the wire counts.
#[inline]
pub(super) fn saturated(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
