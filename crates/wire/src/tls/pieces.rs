//! Puts bytes together that come in any order, each with its offset.

/// Ranges that do not touch, of one side; more than that is no honest order.
const RANGES: usize = 64;

/// Bytes from offset 0 on, with holes.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// What has come: begin and end, in order, none touching another.
    ranges: Vec<(usize, usize)>,
}

impl Pieces {
    /// Adds bytes; what lies beyond `limit` is left out, what was there stays.
    pub(super) fn add(&mut self, offset: usize, data: &[u8], limit: usize) {
        let end = offset.saturating_add(data.len()).min(limit);
        let Some(data) = end.checked_sub(offset).and_then(|count| data.get(..count)) else {
            return;
        };
        if data.is_empty() || self.ranges.iter().any(|&(from, to)| from <= offset && end <= to) {
            return;
        }
        if self.ranges.len() >= RANGES {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(offset..end) {
            place.copy_from_slice(data);
        }
        self.ranges.push((offset, end));
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
    }

    /// Everything from the beginning up to the first hole.
    pub(super) fn whole(&self) -> &[u8] {
        match self.ranges.first() {
            Some(&(0, end)) => self.bytes.get(..end).unwrap_or_default(),
            _ => &[],
        }
    }
}
