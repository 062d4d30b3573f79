//! What is known without its beginning, or by few bytes.

use atalaya_model::Application;

use super::{opening, says, spoken, told};
use crate::analyser::Over::{Datagrams, Stream};
use crate::protocols;
use atalaya_model::Side::Source;

#[test]
fn frames_of_amqp_tell_it_where_the_beginning_is_missing() {
    let heartbeat = b"\x01\0\x01\0\0\0\x04\0\x3c\0\x28\xce";
    spoken(Stream, 9_999, Source, heartbeat, Application::Amqp);
    let found = protocols::recognise(&opening(Stream, (40_001, 9_999), Source, &heartbeat[..11]), None);
    assert!(found.is_err(), "without the mark at its end");
}

#[test]
fn data_of_wireguard_tell_it_by_their_counters() {
    let data = |counter: u8| {
        let mut data = vec![4, 0, 0, 0, 0x15, 0x76, 0x49, 0x79, counter];
        data.resize(96, 0);
        data
    };
    let (first, second, far) = (data(19), data(20), data(90));
    let ask = |data: &[u8], earlier: &[u8], port| {
        let mut opening = opening(Datagrams, (40_001, port), Source, data);
        opening.earlier = earlier;
        protocols::recognise(&opening, None)
            .map(|speaker| speaker.application)
            .ok()
    };
    let head = first.get(..15).unwrap();
    assert_eq!(ask(&first, &[], 5_060), None);
    assert_eq!(ask(&second, head, 5_060), Some(Application::WireGuard));
    assert_eq!(ask(&far, head, 5_060), None);
    assert_eq!(ask(&second[..95], head, 5_060), None);
    assert_eq!(ask(&first, &[], 51_820), Some(Application::WireGuard));
}

#[test]
fn openvpn_is_told_by_its_answer_and_by_keyed_resets_of_streams() {
    let session = *b"\xd3\x1c\x3a\x69\x64\x60\x2f\xa0";
    let mut answer = vec![0x40];
    answer.extend_from_slice(&session);
    answer.extend_from_slice(&[1, 0, 0, 0, 0]);
    answer.extend_from_slice(&session);
    answer.extend_from_slice(&[0; 4]);
    spoken(Datagrams, 443, Source, &answer, Application::OpenVpn);
    let mut reset = vec![0, 42, 0x38];
    reset.extend_from_slice(&session);
    reset.resize(44, 7);
    spoken(Stream, 443, Source, &reset, Application::OpenVpn);
    reset.push(0);
    let found = protocols::recognise(&opening(Stream, (40_001, 443), Source, &reset), None);
    assert!(found.is_err(), "more than a reset");
}

#[test]
fn charging_has_a_short_head() {
    let record = [0x2e, 0xf0, 0, 4, 0, 4, 0x7e, 1, 0xfc, 0];
    spoken(Datagrams, 3_386, Source, &record, Application::Gtp);
}

#[test]
fn datagrams_of_netbios_say_who_calls_whom() {
    let mut data = vec![0x11, 0x0e, 0xc2, 0xf4, 192, 0, 2, 9, 0, 138, 0, 0, 0, 0];
    for name in [
        b"EOFGFCDJCACACACACACACACACACACACA",
        b"FHEPFCELEHFCEPFFFACACACACACACABN",
    ] {
        data.push(32);
        data.extend_from_slice(name);
        data.push(0);
    }
    data.extend_from_slice(b"\xffSMB");
    data[11] = data.len() as u8 - 14;
    spoken(Datagrams, 9_999, Source, &data, Application::NetbiosDgm);
    let found = told(Datagrams, 138, &[(Source, &data)]);
    says(&found, "calling", "NVR9");
    says(&found, "called", "WORKGROUP");
    data.pop();
    let found = protocols::recognise(&opening(Datagrams, (40_001, 9_999), Source, &data), None);
    assert!(found.is_err(), "the length does not fit");
}
