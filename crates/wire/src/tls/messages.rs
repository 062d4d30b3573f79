//! Puts handshake messages together that come in pieces.

/// Bytes of one message that are kept until the rest comes: chains of certificates are the longest.
const LIMIT: usize = 64 << 10;

/// One side's handshake messages over a stream.
#[derive(Debug, Default)]
pub(super) struct Messages {
    head: [u8; 4],
    head_filled: usize,
    /// Body of the message that is being read, and how long it gets; 0 while there is none.
    body: Vec<u8>,
    length: usize,
    /// Bytes of a message that nobody wants.
    skip: usize,
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
                let count = self.skip.min(data.len());
                self.skip -= count;
                data = data.get(count..).unwrap_or_default();
            } else if self.length > 0 {
                let missing = self.length.saturating_sub(self.body.len());
                let (part, rest) = data.split_at(missing.min(data.len()));
                self.body.extend_from_slice(part);
                data = rest;
                if self.body.len() >= self.length {
                    let body = std::mem::take(&mut self.body);
                    self.length = 0;
                    take(self.head[0], Some(&body));
                }
            } else {
                data = self.begin(data, take);
            }
        }
    }

    /// Reads a message's head, and all of it if it is there.
    fn begin<'a>(&mut self, data: &'a [u8], take: &mut dyn FnMut(u8, Option<&[u8]>)) -> &'a [u8] {
        let missing = self.head.len() - self.head_filled;
        let (part, rest) = data.split_at(missing.min(data.len()));
        let places = self.head.iter_mut().skip(self.head_filled);
        for (place, &byte) in places.zip(part) {
            *place = byte;
        }
        self.head_filled += part.len();
        if self.head_filled < self.head.len() {
            return rest;
        }
        self.head_filled = 0;
        let [kind, a, b, c] = self.head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if !is_wanted(kind) || length > LIMIT {
            take(kind, None);
            self.skip = length;
            return rest;
        }
        if let Some((body, rest)) = rest.split_at_checked(length) {
            take(kind, Some(body));
            return rest;
        }
        self.length = length;
        self.body.extend_from_slice(rest);
        &[]
    }

    /// So many bytes will not come: the message they belong to is given up.
    pub(super) fn lose(&mut self, count: usize, take: &mut dyn FnMut(u8, Option<&[u8]>)) -> bool {
        let missing = if self.length > 0 {
            let missing = self.length - self.body.len();
            self.body = Vec::new();
            self.length = 0;
            take(self.head[0], None);
            missing
        } else {
            self.skip
        };
        self.skip = missing.saturating_sub(count);
        missing >= count && self.head_filled == 0
    }
}
