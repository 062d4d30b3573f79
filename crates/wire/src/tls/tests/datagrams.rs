use atalaya_model::Side;
use rustls::quic::Version;

use super::build::{self, crypto, initial, quic_flights, server_name};
use super::{handshake, quic};
use crate::Over;

/// One handshake fragment of DTLS 1.2 in a record of its own.
fn fragment(kind: u8, number: u16, body: &[u8], from: usize, to: usize) -> Vec<u8> {
    let three = |value: usize| u32::try_from(value).unwrap().to_be_bytes()[1..].to_vec();
    let mut content = vec![kind];
    content.extend(three(body.len()));
    content.extend(number.to_be_bytes());
    content.extend(three(from));
    content.extend(three(to - from));
    content.extend(&body[from..to]);
    let mut record = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];
    record.extend(build::with_length(&content));
    record
}

#[test]
fn dtls_in_fragments_out_of_order() {
    let extensions = [server_name("d.example"), (13, vec![0, 2, 4, 3])];
    let body = build::hello(0xfefd, &[0xc02b, 0xc02f], &extensions, true);
    let half = body.len() / 2;
    let said = [
        (Side::Source, fragment(1, 0, &body, half, body.len())),
        (Side::Source, fragment(1, 0, &body, half, body.len())),
        (Side::Source, fragment(1, 0, &body, 0, half + 3)),
        (Side::Destination, fragment(3, 0, &[0xfe, 0xff, 1, 7], 0, 4)),
        (Side::Source, fragment(1, 1, &body, 0, body.len())),
    ];
    let tls = handshake(Over::Datagrams, &said);
    let client = tls.client.unwrap();
    assert!(tls.datagram && tls.retried);
    assert_eq!((tls.version, client.version), (Some(0xfefd), 0xfefd));
    assert_eq!(client.server_name.as_deref(), Some("d.example"));
    assert!(client.ja4.starts_with("dd2d020200_"), "{}", client.ja4);
    assert_eq!(client.ja3, None);
    assert_eq!(&*tls.history, "CvC");
}

const IDS: [&[u8]; 3] = [b"8 bytes!", b"8 bytes!", b"cl"];

fn check(version: Version, number: u32) {
    let (hello, answer) = quic_flights();
    let version = (version, number);
    let client = rustls::Side::Client;
    // The second half first, in two packets of one datagram; then the first half in a second datagram.
    let third = hello.len() / 3;
    let late = [crypto(2 * third, &hello[2 * third..]), vec![0; 400]].concat();
    let middle = [crypto(third, &hello[third..2 * third]), vec![1], vec![0; 300]].concat();
    let early = [crypto(0, &hello[..third + 9]), vec![0; 900]].concat();
    let first = [
        initial(version, client, IDS, 0, &late),
        initial(version, client, IDS, 1, &middle),
    ]
    .concat();
    let answer = [vec![2, 0, 0, 0, 0], crypto(0, &answer), vec![0; 40]].concat();
    let said = [
        (Side::Source, first),
        (Side::Source, initial(version, client, IDS, 2, &early)),
        (
            Side::Destination,
            initial(
                version,
                rustls::Side::Server,
                [IDS[0], b"cl", b"srv1"],
                0,
                &answer,
            ),
        ),
        (Side::Source, [0x40; 60].to_vec()),
    ];
    let quic = quic(&said);
    assert_eq!(quic.version, number);
    assert_eq!(&*quic.client_initial_destination, "3820627974657321");
    assert_eq!(
        (&*quic.client_connection, &*quic.server_connection),
        ("636c", "73727631")
    );
    let client = quic.client.unwrap();
    assert_eq!(client.server_name.as_deref(), Some("q.example"));
    assert!(client.ja4.starts_with("q13d"), "{}", client.ja4);
    assert_eq!(quic.server.unwrap().version, 0x0304);
    assert_eq!(&*quic.history, "IIISisO");
}

#[test]
fn quic_of_all_versions_is_opened() {
    check(Version::V1, 1);
    check(Version::V2, 0x6b33_43cf);
    check(Version::V1Draft, 0xff00_001d);
}

#[test]
fn after_a_retry_the_keys_change() {
    let (hello, _) = quic_flights();
    let frames = [crypto(0, &hello), vec![0; 900]].concat();
    let version = (Version::V1, 1);
    let part = [crypto(0, &hello[..40]), vec![0; 1100]].concat();
    let client = rustls::Side::Client;
    let retry = [&[0xf0, 0, 0, 0, 1, 2][..], b"cl", &[4], b"next", &[5; 40]].concat();
    let said = [
        (Side::Source, initial(version, client, IDS, 0, &part)),
        (Side::Destination, retry),
        (
            Side::Source,
            initial(version, client, [b"next", b"next", b"cl"], 1, &frames),
        ),
    ];
    let quic = quic(&said);
    assert_eq!(&*quic.history, "IrIS");
    assert_eq!(&*quic.client_initial_destination, "3820627974657321");
    assert_eq!(quic.client.unwrap().server_name.as_deref(), Some("q.example"));
}

#[test]
fn a_hello_of_google() {
    let mut packet = vec![0x09];
    packet.extend(b"8 bytes!Q043");
    packet.extend([1]);
    packet.extend([6; 12]);
    packet.extend([0xa0, 1, 0, 60]);
    packet.extend(b"CHLO\x03\x00\x00\x00");
    for (tag, end) in [(b"PAD\0", 4_u32), (b"SNI\0", 13), (b"VER\0", 17)] {
        packet.extend(tag);
        packet.extend(end.to_le_bytes());
    }
    packet.extend(b"----G.exampleQ043");
    let quic = quic(&[(Side::Source, packet)]);
    assert_eq!(quic.client.unwrap().server_name.as_deref(), Some("g.example"));
    assert_eq!(&*quic.cyu.unwrap().0, "43,PAD-SNI-VER");
    assert_eq!(&*quic.history, "IS");
}
