//! Puts handshake messages together that come in pieces.

/// Bytes of one message that are kept until the rest comes: chains of certificates are the longest.
const LIMIT: u32 = 64 << 10;

/// One side's handshake messages over a stream.
#[derive(Debug, Default)]
pub(super) struct Messages {
    head: [u8; 4],
    head_filled: u8,
    /// The message that is being read.
    body: Option<Box<Body>>,
    /// Bytes of a message that nobody wants.
    skip: u32,
}

#[derive(Debug)]
struct Body {
    data: Vec<u8>,
    /// How long it gets.
    length: usize,
}

impl Body {
    const fn missing(&self) -> usize {
        self.length.saturating_sub(self.data.len())
    }
}

/// Fills a head with the next bytes, and hands back what follows them.
pub(super) fn fill<'a>(head: &mut [u8], filled: &mut u8, data: &'a [u8]) -> &'a [u8] {
    let mut taken = 0;
    for (place, &byte) in head.iter_mut().skip(usize::from(*filled)).zip(data) {
        *place = byte;
        taken += 1;
        *filled += 1;
    }
    data.get(taken..).unwrap_or_default()
}

/// Kinds of messages with something to read: the hellos, certificates, the server's key exchange, and in drafts of
/// TLS 1.3 the retry.
pub(super) const fn is_wanted(kind: u8) -> bool {
    matches!(kind, 1 | 2 | 11 | 12)
}

impl Messages {
    /// Takes the next bytes; gives each message's kind, and its body where it is wanted and not too long.
    pub(super) fn push(&mut self, mut data: &[u8], take: &mut dyn FnMut(u8, Option<&[u8]>)) {
        while !data.is_empty() {
            if self.skip > 0 {
                let count = u32::try_from(data.len()).unwrap_or(u32::MAX).min(self.skip);
                self.skip -= count;
                data = data.get(count as usize..).unwrap_or_default();
            } else if let Some(mut body) = self.body.take() {
                let (part, rest) = data.split_at(body.missing().min(data.len()));
                body.data.extend_from_slice(part);
                data = rest;
                if body.missing() == 0 {
                    take(self.head[0], Some(&body.data));
                } else {
                    self.body = Some(body);
                }
            } else {
                data = self.begin(data, take);
            }
        }
    }

    /// Reads a message's head, and all of it if it is there.
    fn begin<'a>(&mut self, data: &'a [u8], take: &mut dyn FnMut(u8, Option<&[u8]>)) -> &'a [u8] {
        let rest = fill(&mut self.head, &mut self.head_filled, data);
        if usize::from(self.head_filled) < self.head.len() {
            return rest;
        }
        self.head_filled = 0;
        let [kind, a, b, c] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        if !is_wanted(kind) || length > LIMIT {
            take(kind, None);
            self.skip = length;
            return rest;
        }
        let length = length as usize;
        if let Some((body, rest)) = rest.split_at_checked(length) {
            take(kind, Some(body));
            return rest;
        }
        self.body = Some(Box::new(Body {
            data: rest.to_vec(),
            length,
        }));
        &[]
    }

    /// So many bytes will not come: the message they belong to is given up.
    pub(super) fn lose(&mut self, count: u32, take: &mut dyn FnMut(u8, Option<&[u8]>)) -> bool {
        let missing = if let Some(body) = self.body.take() {
            take(self.head[0], None);
            u32::try_from(body.missing()).unwrap_or(u32::MAX)
        } else {
            self.skip
        };
        self.skip = missing.saturating_sub(count);
        missing >= count && self.head_filled == 0
    }
}
