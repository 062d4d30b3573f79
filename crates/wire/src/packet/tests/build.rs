//! Frames made by hand, from the inside out.

/// Joins pieces.
pub(super) fn join(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

fn word(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

/// The Internet checksum of the pieces, of which all but the last have even lengths.
fn checksum(pieces: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0_u32;
    for pair in join(pieces).chunks(2) {
        sum += (u32::from(pair[0]) << 8) | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!(sum as u16)).to_be_bytes()
}

pub(super) const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub(super) const SERVER: [u8; 4] = [10, 0, 0, 2];
pub(super) const CLIENT_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub(super) const SERVER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

pub(super) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = [source.to_be_bytes(), destination.to_be_bytes()];
    join(&[&source, &destination, &word(payload.len() + 8), &[0, 0], payload])
}

/// UDP with its checksum, for IPv4 between client and server.
pub(super) fn summed_udp(payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp(4000, 4001, payload);
    let sum = checksum(&[&CLIENT, &SERVER, &[0, 17], &word(datagram.len()), &datagram]);
    datagram[6..8].copy_from_slice(&sum);
    datagram
}

pub(super) fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = u8::try_from((20 + options.len()) / 4).unwrap() << 4;
    join(&[
        &[0x9c, 0x40, 0x01, 0xbb],
        &[1, 2, 3, 4],
        &[5, 6, 7, 8],
        &[offset, 0x18, 0x72, 0x10, 0, 0, 0, 0],
        options,
        payload,
    ])
}

/// IPv4 from client to server, its place among fragments in `place`.
pub(super) fn fragment(place: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let place = place.to_be_bytes();
    let length = word(payload.len() + 20);
    let head = join(&[&[0x45, 0], &length, &[0xab, 0xcd], &place, &[64, protocol]]);
    let sum = checksum(&[&head, &CLIENT, &SERVER]);
    join(&[&head, &sum, &CLIENT, &SERVER, payload])
}

pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment(0x4000, protocol, payload)
}

pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let head = join(&[&[0x60, 0, 0, 0], &word(payload.len()), &[next, 63]]);
    join(&[&head, &CLIENT_V6, &SERVER_V6, payload])
}

/// IPv6 with a fragment header; `place` is the offset in bytes, its lowest bit says that more follow.
pub(super) fn fragment_v6(place: u16, next: u8, payload: &[u8]) -> Vec<u8> {
    let header = join(&[&[next, 0], &place.to_be_bytes(), &[0, 0, 0, 9], payload]);
    ipv6(44, &header)
}

pub(super) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
        &kind.to_be_bytes(),
        payload,
    ])
}

/// The packet that most tests look for: UDP from port 4000 to 4001 with `hello`.
pub(super) fn hello() -> Vec<u8> {
    ipv4(17, &udp(4000, 4001, b"hello"))
}

pub(super) fn hello_v6() -> Vec<u8> {
    ipv6(17, &udp(4000, 4001, b"hello"))
}

/// LLC with SNAP and a type of Ethernet.
pub(super) fn snap(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[0xaa, 0xaa, 3, 0, 0, 0], &kind.to_be_bytes(), payload])
}

/// An 802.11 data frame with these control bytes; `extra` follows the three addresses.
pub(super) fn wireless(control: [u8; 2], extra: &[u8], body: &[u8]) -> Vec<u8> {
    join(&[&control, &[0; 20], &[0x10, 0], extra, body])
}
