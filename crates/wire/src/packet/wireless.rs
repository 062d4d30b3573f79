//! Data frames of 802.11, with the heads that drivers put before them.

use super::Undecoded;
use super::bytes::Bytes;
use super::walk::{Around, Walk};

impl Walk<'_> {
    /// Radiotap: the head's length, and in its flags whether the header after it is padded to four bytes.
    pub(super) fn radiotap(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let length = usize::from(u16::from_le_bytes(bytes.array(2)?));
        if bytes.u8(0)? != 0 || length < 8 {
            return Err(Undecoded::Damaged);
        }
        let padding = if radiotap_flags(&bytes)? & 0x20 == 0 { 1 } else { 4 };
        self.wireless(bytes.after(length)?, padding, around)
    }

    /// Prism's head of 144 bytes; some drivers write AVS's under its name.
    pub(super) fn prism(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        if bytes.u32(0)? >> 4 == 0x0802_1100 {
            return self.avs(bytes, around);
        }
        let words = [bytes.array(0)?, bytes.array(4)?];
        let length = match words.map(u32::from_le_bytes) {
            [0x44 | 0x41, length] => length,
            _ => u32::from_be_bytes(words[1]),
        };
        self.wireless(bytes.after(length.max(8) as usize)?, 1, around)
    }

    pub(super) fn avs(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let length = bytes.u32(4)?;
        self.wireless(bytes.after(length.max(8) as usize)?, 1, around)
    }

    /// A frame of 802.11; `padding`: its header's length is filled up to a multiple of this.
    pub(super) fn wireless(
        &mut self,
        bytes: Bytes<'_>,
        padding: usize,
        around: &Around<'_>,
    ) -> Result<(), Undecoded> {
        self.step()?;
        let [control, flags] = bytes.array(0)?;
        let [data, quality, null] = [control & 0x0c == 0x08, control & 0x80 != 0, control & 0x40 != 0];
        let encrypted = flags & 0x40 != 0;
        if control & 0x03 != 0 || !data || null || encrypted {
            return Err(Undecoded::NotIp);
        }
        let fragment = flags & 0x04 != 0 || bytes.u8(22)? & 0x0f != 0;
        if fragment {
            return Err(Undecoded::NotIp);
        }
        // three addresses; a fourth between stations that relay
        let mut header = if flags & 0x03 == 0x03 { 30 } else { 24 };
        let mut aggregated = false;
        if quality {
            aggregated = bytes.u8(header)? & 0x80 != 0;
            header += if flags & 0x80 != 0 { 6 } else { 2 };
        }
        let body = bytes.after(header.next_multiple_of(padding))?;
        if aggregated {
            self.aggregate(body, around)
        } else {
            self.llc(body, around)
        }
    }

    /// A-MSDU: frames one behind the other, each two addresses, a length, a body, and filled up to four bytes.
    fn aggregate(&mut self, bytes: Bytes<'_>, around: &Around<'_>) -> Result<(), Undecoded> {
        let mut rest = bytes;
        let mut result = Err(Undecoded::Damaged);
        while let Ok(length) = rest.u16(12) {
            let inner = rest.after(14)?;
            let one = self.llc(inner.limit(u32::from(length)), around);
            result = result.or(one);
            match rest.after((14 + usize::from(length)).next_multiple_of(4)) {
                Ok(next) if length > 0 => rest = next,
                _ => break,
            }
        }
        result
    }
}

/// The field of flags: second of the fields, after a time of eight bytes on a multiple of eight.
fn radiotap_flags(bytes: &Bytes<'_>) -> Result<u8, Undecoded> {
    const MORE: u32 = 1 << 31;
    let present = u32::from_le_bytes(bytes.array(4)?);
    if present & 0b10 == 0 {
        return Ok(0);
    }
    let mut at: usize = 8;
    let mut word = present;
    // further words of presence; at most as many as a head has space for
    while word & MORE != 0 {
        word = u32::from_le_bytes(bytes.array(at)?);
        at += 4;
    }
    if present & 0b01 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    bytes.u8(at)
}
