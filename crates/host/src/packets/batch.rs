//! Frames on their way from a ring to the engine: one piece of memory for all their bytes, used again and again.

use atalaya_model::Time;
use atalaya_wire::{Frame, LinkType};
use crossbeam_channel::{Receiver, Sender, bounded};

/// Bytes at which a batch is full; one frame alone may be larger.
const MOST_BYTES: usize = 512 << 10;
/// Frames at which it is full.
const MOST_FRAMES: usize = 4_096;
/// Batches that wait to be used again; more are freed.
const MOST_SPARE: usize = 64;

/// A frame of a ring.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// This host sent it. On a loopback interface never, as only what arrives is taken there.
    pub is_outgoing: bool,
}

/// Some frames in the order in which they were captured, at most 4,096 of them or 512 KiB.
///
/// When it is dropped, its memory goes back to where it came from.
#[derive(Debug)]
pub struct Batch {
    content: Content,
    back: Sender<Content>,
}

/// The memory of a batch.
#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    frames: Vec<Place>,
}

/// One frame of a batch.
#[derive(Clone, Copy, Debug)]
struct Place {
    time: Time,
    /// Where its bytes begin.
    offset: usize,
    captured: u32,
    length: u32,
    interface: u32,
    link: LinkType,
    vlan: Option<u16>,
    is_outgoing: bool,
}

impl Batch {
    /// Copies a frame; `false`, and nothing is copied, where there is no room for it.
    pub fn push(&mut self, captured: &Captured<'_>) -> bool {
        let frame = &captured.frame;
        let Content { bytes, frames } = &mut self.content;
        let fits = bytes.len() + frame.data.len() <= MOST_BYTES && frames.len() < MOST_FRAMES;
        let Ok(length) = u32::try_from(frame.data.len()) else {
            return false;
        };
        if !fits && !frames.is_empty() {
            return false;
        }
        frames.push(Place {
            time: frame.time,
            offset: bytes.len(),
            captured: length,
            length: frame.length,
            interface: frame.interface,
            link: frame.link,
            vlan: frame.vlan,
            is_outgoing: captured.is_outgoing,
        });
        bytes.extend_from_slice(frame.data);
        true
    }

    /// The frames with their direction.
    pub fn captured(&self) -> impl ExactSizeIterator<Item = Captured<'_>> {
        self.content.frames.iter().map(|place| Captured {
            frame: Frame {
                time: place.time,
                link: place.link,
                interface: place.interface,
                length: place.length,
                data: &self.content.bytes[place.offset..][..place.captured as usize],
                vlan: place.vlan,
            },
            is_outgoing: place.is_outgoing,
        })
    }

    /// The frames.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.captured().map(|captured| captured.frame)
    }

    /// How many frames it holds.
    pub fn len(&self) -> usize {
        self.content.frames.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.content.frames.is_empty()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut content = std::mem::take(&mut self.content);
        content.bytes.clear();
        content.frames.clear();
        // Where enough of them wait already, or nobody will use them again, it is freed.
        drop(self.back.try_send(content));
    }
}

/// Where batches come from.
#[derive(Debug)]
pub struct Pool {
    back: Sender<Content>,
    spare: Receiver<Content>,
}

impl Default for Pool {
    fn default() -> Self {
        let (back, spare) = bounded(MOST_SPARE);
        Self { back, spare }
    }
}

impl Pool {
    /// An empty batch, of memory that was used before if there is any.
    pub fn batch(&self) -> Batch {
        Batch {
            content: self.spare.try_recv().unwrap_or_default(),
            back: self.back.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(data: &[u8]) -> Captured<'_> {
        Captured {
            frame: Frame {
                time: Time(7),
                link: LinkType::ETHERNET,
                interface: 3,
                length: 1_500,
                data,
                vlan: Some(5),
            },
            is_outgoing: true,
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let pool = Pool::default();
        let mut batch = pool.batch();
        assert!(
            batch.push(&captured(b"one")) && batch.push(&captured(b"")) && batch.push(&captured(b"three"))
        );
        let all: Vec<_> = batch
            .captured()
            .map(|it| (it.frame.data, it.is_outgoing))
            .collect();
        assert_eq!(all, [(&b"one"[..], true), (b"", true), (b"three", true)]);
        let frame = batch.frames().last().unwrap();
        assert_eq!(
            (frame.time, frame.interface, frame.length, frame.vlan),
            (Time(7), 3, 1_500, Some(5))
        );
    }

    #[test]
    fn it_has_limits_and_its_memory_is_used_again() {
        let pool = Pool::default();
        let mut batch = pool.batch();
        let large = vec![0; MOST_BYTES + 1];
        assert!(batch.push(&captured(&large)));
        assert!(!batch.push(&captured(b"x")));
        drop(batch);
        let mut batch = pool.batch();
        assert!(batch.is_empty() && batch.content.bytes.capacity() > MOST_BYTES);
        assert_eq!(
            (0..).take_while(|_| batch.push(&captured(b"x"))).count(),
            MOST_FRAMES
        );
        assert_eq!(batch.len(), MOST_FRAMES);
    }
}
