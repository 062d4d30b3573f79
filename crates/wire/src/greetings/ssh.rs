//! SSH (RFC 4253): banners and the algorithms that both sides offer, before they encrypt.
//!
//! HASSH is the MD5 of a side's lists of key exchange, encryption, authentication and compression, as its authors at
//! Salesforce describe it.

use atalaya_model::protocol::Ssh;
use atalaya_model::{Application, Message, Side, Time};
use md5::{Digest, Md5};
use memchr::memchr;

use crate::analyser::{Analyser, Appetite, Guess, Limits, Opening, Piece, Said};
use crate::text::text;

/// Most bytes of a side that are kept until its algorithms are read: banners are at most 255 bytes, offers 1 to 3 KiB.
const LARGEST: usize = 16 << 10;
/// Number of the message with the algorithms.
const KEXINIT: u8 = 20;

/// Reads SSH in one conversation.
#[derive(Default)]
pub(super) struct Reader {
    began: Option<Time>,
    ssh: Box<Ssh>,
    sides: [Half; 2],
    is_told: bool,
}

#[derive(Default)]
struct Half {
    held: Vec<u8>,
    is_done: bool,
}

impl Reader {
    /// A reader.
    pub(super) fn boxed(_: &Limits) -> Box<dyn Analyser> {
        Box::new(Self::default())
    }

    fn tell(&mut self, out: &mut Vec<Said>) {
        if let Some(began) = self.began
            && !std::mem::replace(&mut self.is_told, true)
        {
            out.push((began, Message::Ssh(std::mem::take(&mut self.ssh))));
        }
    }
}

/// Only SSH begins so.
pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    const BEGIN: &[u8] = b"SSH-";
    if opening.data.starts_with(BEGIN) {
        Guess::Yes
    } else if !opening.data.is_empty() && BEGIN.starts_with(opening.data) {
        Guess::Maybe
    } else {
        Guess::No
    }
}

impl Half {
    /// Banner and HASSH, once both have come; the second is `None` where there is none to come.
    fn read(&mut self, data: &[u8], by_client: bool, banner: &mut Option<Box<str>>) -> Option<Box<str>> {
        self.held.extend_from_slice(data);
        let mut begin = 0;
        while banner.is_none() {
            let Some(length) = memchr(b'\n', &self.held[begin..]) else {
                self.held.drain(..begin);
                return None;
            };
            let line = self.held[begin..begin + length].trim_ascii_end();
            begin += length + 1;
            // Servers may say other lines first.
            if line.starts_with(b"SSH-") {
                *banner = Some(text(line, 255));
                self.is_done = line.starts_with(b"SSH-1.") && !line.starts_with(b"SSH-1.99");
            }
        }
        self.held.drain(..begin);
        if self.is_done {
            return None;
        }
        let (head, rest) = self.held.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length > LARGEST {
            self.is_done = true;
            return None;
        }
        let packet = rest.get(..length)?;
        self.is_done = true;
        hassh(packet, by_client)
    }
}

/// HASSH of an unencrypted packet with the algorithms.
fn hassh(packet: &[u8], by_client: bool) -> Option<Box<str>> {
    // Length of the padding, number of the message, cookie.
    let (head, mut rest) = packet.split_at_checked(18)?;
    if head[1] != KEXINIT {
        return None;
    }
    let mut lists = [&[][..]; 8];
    for list in &mut lists {
        let (length, later) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        (*list, rest) = later.split_at_checked(length)?;
    }
    let [
        kex,
        _,
        encryption,
        encryption_back,
        mac,
        mac_back,
        compression,
        compression_back,
    ] = lists;
    let chosen = if by_client {
        [kex, encryption, mac, compression]
    } else {
        [kex, encryption_back, mac_back, compression_back]
    };
    let digest = Md5::digest(chosen.join(&b';'));
    Some(
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into(),
    )
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        Application::Ssh
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        self.began.get_or_insert(piece.time);
        let by_client = piece.side == Side::Source;
        let half = &mut self.sides[usize::from(!by_client)];
        let ssh = &mut *self.ssh;
        if !half.is_done {
            let banner = if by_client {
                &mut ssh.client
            } else {
                &mut ssh.server
            };
            let hassh = half.read(piece.data, by_client, banner);
            half.is_done |= half.held.len() > LARGEST;
            if half.is_done {
                half.held = Vec::new();
            }
            if by_client {
                ssh.hassh = hassh;
            } else {
                ssh.hassh_server = hassh;
            }
        }
        if self.sides.iter().all(|half| half.is_done) {
            self.tell(out);
            return Appetite::Enough;
        }
        Appetite::More
    }

    fn gap(&mut self, side: Side, _: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        let half = &mut self.sides[usize::from(side == Side::Destination)];
        half.is_done = true;
        half.held = Vec::new();
        if self.sides.iter().all(|half| half.is_done) {
            self.tell(out);
            return Appetite::Enough;
        }
        Appetite::More
    }

    fn wait(&mut self, _: Time, over: bool, out: &mut Vec<Said>) {
        if over {
            self.tell(out);
        }
    }

    fn is_waiting(&self) -> bool {
        self.began.is_some() && !self.is_told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(lists: [&str; 10]) -> Vec<u8> {
        let mut payload = vec![4, KEXINIT];
        payload.extend([7; 16]);
        for list in lists {
            payload.extend((list.len() as u32).to_be_bytes());
            payload.extend(list.as_bytes());
        }
        payload.extend([0; 5 + 4]);
        [&(payload.len() as u32).to_be_bytes()[..], &payload].concat()
    }

    fn said(pieces: &[(Side, &[u8])], size: usize) -> Vec<Said> {
        let mut reader = Reader::boxed(&Limits::default());
        let mut out = Vec::new();
        for (side, data) in pieces {
            for data in data.chunks(size) {
                let piece = Piece {
                    time: Time(1),
                    side: *side,
                    data,
                    cut: 0,
                };
                reader.read(&piece, &mut out);
            }
        }
        reader.wait(Time(2), true, &mut out);
        out
    }

    #[test]
    fn both_sides_are_named() {
        let offer = offer(["k1,k2", "h", "e>", "e<", "m>", "m<", "c>", "c<", "", ""]);
        let client = [b"SSH-2.0-OpenSSH_9.2p1\r\n", &offer[..]].concat();
        let server = [b"Welcome\r\nSSH-2.0-dropbear\n", &offer[..]].concat();
        let md5 = |text: &str| -> Option<Box<str>> {
            let digest = Md5::digest(text.as_bytes());
            Some(
                digest
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
                    .into(),
            )
        };
        let expected = Ssh {
            client: Some("SSH-2.0-OpenSSH_9.2p1".into()),
            server: Some("SSH-2.0-dropbear".into()),
            hassh: md5("k1,k2;e>;m>;c>"),
            hassh_server: md5("k1,k2;e<;m<;c<"),
            authenticated: None,
        };
        for size in [usize::MAX, 1, 100] {
            let said = said(&[(Side::Destination, &server), (Side::Source, &client)], size);
            assert_eq!(
                said,
                [(Time(1), Message::Ssh(Box::new(expected.clone())))],
                "{size}"
            );
        }
        let old = said(
            &[
                (Side::Destination, b"SSH-1.5-old\n"),
                (Side::Source, b"SSH-1.5-x\n"),
            ],
            9,
        );
        assert_eq!(old.len(), 1);
    }

    proptest! {
        #[test]
        fn anything_is_read(pieces in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..10), at in 0..300_usize, byte in any::<u8>()) {
            let mut client = [b"SSH-2.0-OpenSSH_9.2p1\r\n", &offer(["k"; 10])[..]].concat();
            let at = at % client.len();
            client[at] = byte;
            let mut all: Vec<(Side, &[u8])> = vec![(Side::Source, &client)];
            all.extend(pieces.iter().map(|(client, data)| {
                (if *client { Side::Source } else { Side::Destination }, &data[..])
            }));
            prop_assert_eq!(said(&all, 50).len(), 1);
        }
    }
}
