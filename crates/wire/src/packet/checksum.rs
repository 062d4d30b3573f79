//! The Internet checksum (RFC 1071).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A sum of 16-bit words, not yet folded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The addresses of IPv4's pseudo-header.
    pub(super) fn of_ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self::default().and(&source.octets()).and(&destination.octets())
    }

    /// The addresses of IPv6's pseudo-header.
    pub(super) fn of_ipv6(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self::default().and(&source.octets()).and(&destination.octets())
    }

    /// The rest of the pseudo-header.
    pub(super) fn of_transport(self, protocol: u8, length: u32) -> Self {
        Self(self.0 + u64::from(protocol) + u64::from(length))
    }

    /// These bytes, from an even place on.
    pub(super) fn and(self, data: &[u8]) -> Self {
        let (words, rest) = data.as_chunks::<4>();
        let sum: u64 = words
            .iter()
            .map(|word| u64::from(u32::from_be_bytes(*word)))
            .sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(self.0 + sum + u64::from(u32::from_be_bytes(last)))
    }

    /// Over a header and its checksum: whether the two fit.
    pub(super) fn fits(self) -> bool {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        sum == 0xffff
    }
}
