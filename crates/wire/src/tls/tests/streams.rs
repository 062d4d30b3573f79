use atalaya_model::protocol::Tls;
use atalaya_model::{Application, Basis, Side, Time};
use sha2::{Digest, Sha256};

use super::build::{self, exchange, message, record, server_name};
use super::{handshake, read};
use crate::tls::certificate;
use crate::{Conversation, Limits, Over, Piece};

/// Cuts every piece into pieces of `size` bytes.
fn cut(said: &[(Side, Vec<u8>)], size: usize) -> Vec<(Side, Vec<u8>)> {
    said.iter()
        .flat_map(|(side, data)| data.chunks(size).map(|part| (*side, part.to_vec())))
        .collect()
}

#[test]
fn tls_1_2_tells_names_and_certificates_in_pieces_of_any_size() {
    let (said, certificate) = exchange(&rustls::version::TLS12);
    let whole = handshake(Over::Stream, &said);
    let client = whole.client.as_ref().unwrap();
    assert_eq!(client.server_name.as_deref(), Some("a.example"));
    assert_eq!(*client.protocols, ["h2".into(), "http/1.1".into()]);
    assert!(client.ja4.starts_with("t12d"), "{}", client.ja4);
    assert!(client.ja3_text.as_ref().unwrap().starts_with("771,"));
    assert_eq!(client.ja3.as_ref().unwrap().len(), 32);
    let server = whole.server.as_ref().unwrap();
    assert_eq!((whole.version, server.version), (Some(0x0303), 0x0303));
    assert_eq!(server.protocol.as_deref(), Some("http/1.1"));
    assert_eq!(whole.curve, Some(29));
    assert!(whole.established && !whole.resumed && !whole.retried);
    assert_eq!(&*whole.history, "CsxknGIi");
    let [first] = &*whole.certificates else {
        panic!("{:?}", whole.certificates);
    };
    assert_eq!(&*first.subject, "C=ES, O=Example, S.L., CN=a.example");
    assert_eq!(first.issuer, first.subject);
    assert!(first.self_signed);
    assert_eq!(&*first.serial, "0A:BC");
    assert_eq!(Some(first.not_before), Time::parse("2024-02-29T00:00:00Z"));
    assert_eq!(Some(first.not_after), Time::parse("2051-01-01T00:00:00Z"));
    assert_eq!(*first.names, ["a.example".into(), "192.0.2.7".into()]);
    let hash: String = Sha256::digest(&certificate)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(*first.sha256, hash);
    for size in [1, 7, 100, 1400] {
        assert_eq!(handshake(Over::Stream, &cut(&said, size)), whole, "{size}");
    }
}

#[test]
fn tls_1_3_is_established_when_both_speak_in_secret() {
    let (said, _) = exchange(&rustls::version::TLS13);
    let tls = handshake(Over::Stream, &said);
    assert_eq!(tls.version, Some(0x0304));
    assert!(tls.established && tls.certificates.is_empty());
    assert_eq!(&*tls.history, "CsiI");
    assert_eq!(tls.curve, Some(29));
    assert!(tls.client.unwrap().ja4.starts_with("t13d"));
    let (_, application) = read(Over::Stream, (40_000, 50_000), &said);
    assert_eq!(application, Some((Application::Tls, Basis::Content)));
}

/// The example of FoxIO's description, put together from its parts.
#[test]
fn ja4_as_described() {
    let ciphers = [
        0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x009c, 0x009d, 0x002f, 0x0035,
    ];
    let empty = [
        0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x0005, 0x0023, 0x0012, 0xff01, 0x000b, 0x000a, 0x0015,
    ];
    let mut extensions: Vec<_> = empty.into_iter().map(|kind| (kind, Vec::new())).collect();
    extensions.insert(0, (0x3a3a, Vec::new()));
    extensions.push(server_name("x"));
    extensions.push((16, b"\x00\x03\x02h2".to_vec()));
    extensions.push((43, vec![4, 0x2a, 0x2a, 3, 4]));
    let signatures = [0x0403_u16, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    let signatures: Vec<u8> = signatures
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    extensions.push((13, build::with_length(&signatures)));
    let body = build::hello(0x0303, &ciphers, &extensions, false);
    let tls = handshake(Over::Stream, &[(Side::Source, record(22, &message(1, &body)))]);
    let client = tls.client.unwrap();
    assert_eq!(&*client.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(
        client.ja3_text.as_deref(),
        Some(
            "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,\
             27-51-17513-23-45-5-35-18-65281-11-10-21-0-16-43-13,,"
        )
    );
}

#[test]
fn a_hello_without_anything_has_zeros() {
    let mut body = build::hello(0x0301, &[0x002f], &[], false);
    body.truncate(body.len() - 2);
    let tls = handshake(Over::Stream, &[(Side::Source, record(22, &message(1, &body)))]);
    assert_eq!(&*tls.client.unwrap().ja4, "t10i010000_ba72b8082249_000000000000");
}

fn refused(alert: [u8; 2]) -> Tls {
    let body = build::hello(0x0303, &[0xc02f], &[server_name("B.example")], false);
    let hello = record(22, &message(1, &body));
    handshake(
        Over::Stream,
        &[(Side::Source, hello), (Side::Destination, record(21, &alert))],
    )
}

#[test]
fn an_alert_ends_it() {
    let tls = refused([2, 40]);
    assert_eq!(tls.alert, Some((2, 40)));
    assert!(!tls.established);
    assert_eq!(&*tls.history, "Cl");
}

#[test]
fn who_answers_may_be_the_client() {
    let body = build::hello(0x0303, &[0xc02f], &[], false);
    let tls = handshake(
        Over::Stream,
        &[(Side::Destination, record(22, &message(1, &body)))],
    );
    assert_eq!(&*tls.history, "^C");
}

#[test]
fn ssl_2_is_known_by_its_version() {
    let mut hello = vec![1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80];
    hello.extend([7; 16]);
    hello.splice(0..0, [0x80, 28]);
    let tls = handshake(Over::Stream, &[(Side::Source, hello)]);
    assert_eq!((tls.version, &*tls.history), (Some(2), "C"));
}

#[test]
fn what_is_missing_in_a_certificate_is_passed_over() {
    use crate::{Conversation, Limits, Piece};
    let (said, _) = exchange(&rustls::version::TLS12);
    let mut conversation = Conversation::new(Over::Stream, 40_000, 443);
    let mut out = Vec::new();
    let limits = Limits::default();
    let piece = |side, data| Piece {
        time: Time(5),
        side,
        data,
        cut: 0,
    };
    conversation.read(&piece(Side::Source, &said[0].1), &limits, &mut out);
    let answer = &said[1].1;
    let hello = 160; // the certificate has begun
    conversation.read(
        &piece(Side::Destination, &answer[..hello + 40]),
        &limits,
        &mut out,
    );
    conversation.gap(Side::Destination, 100, Time(6), &limits, &mut out);
    conversation.read(
        &piece(Side::Destination, &answer[hello + 140..]),
        &limits,
        &mut out,
    );
    for (side, data) in &said[2..] {
        conversation.read(&piece(*side, data), &limits, &mut out);
    }
    conversation.wait(Time(7), true, &mut out);
    let [(_, atalaya_model::Message::Tls(tls))] = &out[..] else {
        panic!("{out:?}");
    };
    assert!(tls.established && tls.certificates.is_empty());
    assert_eq!(&*tls.history, "CsxknGIi");
}

#[test]
fn damaged_certificates_are_none() {
    let (certificate, _) = build::certificate();
    for end in 0..certificate.len() {
        assert!(certificate::read(&certificate[..end]).is_none(), "{end}");
    }
}

/// What a stream is named for after this, said by its source; with `gap` bytes missing before it.
fn named(data: &[u8], gap: u64) -> Option<Application> {
    let mut conversation = Conversation::new(Over::Stream, 40_001, 9_999);
    let (mut out, limits) = (Vec::new(), Limits::default());
    if gap > 0 {
        conversation.gap(Side::Source, gap, Time(1), &limits, &mut out);
    }
    let piece = Piece {
        time: Time(1),
        side: Side::Source,
        data,
        cut: 0,
    };
    conversation.read(&piece, &limits, &mut out);
    conversation.application().map(|(name, _)| name)
}

#[test]
fn records_without_their_beginning_are_known() {
    let record = |kind: u8, message: &[u8]| {
        let mut data = vec![kind, 3, 3, 0, message.len() as u8];
        data.extend_from_slice(message);
        data
    };
    let alert = record(21, &[7; 26]);
    assert_eq!(named(&alert, 0), Some(Application::Tls), "an encrypted alert");
    assert_eq!(named(&alert[..30], 0), None, "a part of one");
    assert_eq!(named(&record(21, &[2, 40]), 0), Some(Application::Tls));
    let certificates = record(22, &[11, 0, 0, 3, 0, 0, 0]);
    assert_eq!(named(&certificates, 0), Some(Application::Tls));
    assert_eq!(
        named(&record(22, &[11, 0, 0, 9, 0, 0, 0]), 0),
        None,
        "longer than its record"
    );
    assert_eq!(
        named(&record(23, &[7; 40]), 1),
        Some(Application::Tls),
        "after a gap"
    );
}
