//! Google's QUIC before it took over TLS (versions Q0xx): its hello is a table of tags.

use atalaya_model::protocol::tls::ClientHello;

use crate::tls::cursor::Cursor;
use crate::tls::fingerprint;

/// How far into a packet the hello may begin.
const SEARCHED: usize = 96;
/// Tags that are read.
const TAGS: usize = 64;

/// What a packet with a head of its own says: its version and connection id. Versions up to Q043.
pub(super) fn head(data: &[u8]) -> Option<(u32, &[u8])> {
    let mut at = Cursor(data);
    // Flags: a version follows, after a connection id of eight bytes.
    if at.u8()? & 0xc9 != 0x09 {
        return None;
    }
    let id = at.take(8)?;
    let version = at.u32()?;
    is_google(version).then_some((version, id))
}

/// The same of Q044 to Q049, whose heads are long and put the lengths of both connection ids into one byte.
pub(super) fn long_head(data: &[u8]) -> Option<(u32, &[u8])> {
    let mut at = Cursor(data);
    let (first, version, lengths) = (at.u8()?, at.u32()?, at.u8()?);
    let fits = first & 0x80 != 0 && is_google(version) && version != super::Q050;
    let id = at.take(if lengths >> 4 == 0 {
        0
    } else {
        usize::from(lengths >> 4) + 3
    })?;
    fits.then_some((version, id))
}

/// `Q0` and two digits.
fn is_google(version: u32) -> bool {
    matches!(version.to_be_bytes(), [b'Q', b'0', b'0'..=b'9', b'0'..=b'9'])
}

/// What a hello says.
pub(super) struct Hello {
    pub(super) client: ClientHello,
    /// Version and tags as text (`46,PAD-SNI-VER`), and its MD5.
    pub(super) cyu: (Box<str>, Box<str>),
}

/// Looks for a hello in the bytes of a packet: it begins with the word `CHLO`.
pub(super) fn hello(version: u32, payload: &[u8]) -> Option<Hello> {
    let searched = payload.get(..SEARCHED).unwrap_or(payload);
    let from = searched.windows(4).position(|word| word == b"CHLO")?;
    let mut at = Cursor(payload.get(from + 4..)?);
    let &[low, high, ..] = at.take(4)? else {
        return None;
    };
    let count = usize::from(u16::from_le_bytes([low, high]));
    if count > TAGS {
        return None;
    }
    let table = at.take(count * 8)?;
    let digits = version.to_be_bytes();
    let mut text = String::with_capacity(count * 5 + 3);
    for digit in digits.iter().skip_while(|digit| !matches!(digit, b'1'..=b'9')) {
        text.push(char::from(*digit));
    }
    let mut client = ClientHello::default();
    let mut begin = 0;
    for (index, &[a, b, c, d, end @ ..]) in table.as_chunks::<8>().0.iter().enumerate() {
        let end = usize::try_from(u32::from_le_bytes(end)).ok()?;
        let value = at.0.get(begin..end);
        begin = end;
        text.push(if index == 0 { ',' } else { '-' });
        let tag = [a, b, c, d];
        let letters = tag.iter().filter(|letter| letter.is_ascii_graphic());
        text.extend(letters.map(|&letter| char::from(letter)));
        if tag == *b"SNI\0"
            && let Some(name) = value.filter(|name| !name.is_empty() && name.len() <= 255)
        {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            client.server_name = Some(name.into());
        }
    }
    let hash = fingerprint::md5(&text);
    Some(Hello {
        client,
        cyu: (text.into_boxed_str(), (&*hash).into()),
    })
}
