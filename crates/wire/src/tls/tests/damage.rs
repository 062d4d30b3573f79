use atalaya_model::{Message, Side};
use proptest::prelude::*;

use super::build::{self, exchange, message, record, server_name};
use super::read;
use crate::tls::{certificate, hello};
use crate::{Over, Said};

/// What is told stays within its limits.
fn is_bounded(said: &[Said]) -> bool {
    said.iter().all(|(_, message)| match message {
        Message::Tls(tls) => {
            let client = tls.client.as_ref();
            tls.history.len() <= 33
                && tls.certificates.len() <= 8
                && client.is_none_or(|client| {
                    client.protocols.len() <= 16
                        && client
                            .server_name
                            .as_ref()
                            .is_none_or(|name| name.len() <= 3 * 255)
                        && client.ja4.len() <= 36
                })
        }
        Message::Quic(quic) => quic.history.len() <= 100,
        _ => true,
    })
}

fn pieces() -> impl Strategy<Value = Vec<(Side, Vec<u8>)>> {
    let side = prop_oneof![Just(Side::Source), Just(Side::Destination)];
    let data = prop::collection::vec(any::<u8>(), 0..300);
    prop::collection::vec((side, data), 1..8)
}

/// Beginnings that bring what follows to a reader.
fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        vec![22, 3, 1, 1, 0, 1, 0],
        vec![22, 3, 3, 0, 90, 2, 0, 0, 86],
        vec![
            22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80, 1, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0, 68,
        ],
        vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x40, 100],
        b"\x098 bytes!Q043\x01".to_vec(),
        b"\xc3Q046\x508 bytes!".to_vec(),
        vec![0x80, 46, 1, 3, 1],
    ])
}

proptest! {
    #[test]
    fn nothing_panics(mut said in pieces(), begin in beginnings(), datagrams: bool, on_port: bool) {
        said[0].1.splice(0..0, begin);
        let over = if datagrams { Over::Datagrams } else { Over::Stream };
        let (out, _) = read(over, (40_000, if on_port { 443 } else { 9 }), &said);
        prop_assert!(is_bounded(&out));
    }

    #[test]
    fn bodies_of_hellos_and_certificates_may_be_anything(data in prop::collection::vec(any::<u8>(), 0..400)) {
        for carrier in [hello::Carrier::Stream, hello::Carrier::Datagrams, hello::Carrier::Quic] {
            let _ = hello::client(&data, carrier);
        }
        let _ = (hello::server(&data), certificate::read(&data), certificate::chain(&data));
    }

    #[test]
    fn a_hello_with_wrong_bytes_is_survived(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let extensions = [server_name("a.example"), (16, b"\x00\x03\x02h2".to_vec()), (43, vec![2, 3, 4])];
        let body = build::hello(0x0303, &[0x1301, 0xc02f], &extensions, false);
        let mut data = record(22, &message(1, &body));
        for (index, byte) in at {
            let index = index.index(data.len());
            data[index] = byte;
        }
        data.truncate(end.index(data.len()) + 1);
        let (out, _) = read(Over::Stream, (40_000, 443), &[(Side::Source, data)]);
        prop_assert!(is_bounded(&out));
    }
}

#[test]
fn a_handshake_with_one_wrong_byte_is_survived() {
    let (said, _) = exchange(&rustls::version::TLS12);
    for at in 0..said[1].1.len() {
        let mut said = said.clone();
        said[1].1[at] ^= 0x55;
        let (out, _) = read(Over::Stream, (40_000, 443), &said);
        assert!(is_bounded(&out) && out.len() == 1, "{at}");
    }
}
