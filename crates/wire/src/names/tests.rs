//! Messages made here, told as facts.

use atalaya_model::protocol::dns::{Data, Dns};
use atalaya_model::protocol::{Message, Other};
use atalaya_model::{Application, Side, Time};
use proptest::prelude::*;

use crate::analyser::{Limits, Over, Piece, Said};
use crate::conversation::Conversation;

const QR: u16 = 0x8000;

/// A message of DNS. Names are written without compression unless they are given so.
#[derive(Clone)]
struct Builder {
    bytes: Vec<u8>,
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

impl Builder {
    fn new(id: u16, flags: u16) -> Self {
        let mut bytes = [id.to_be_bytes(), flags.to_be_bytes()].concat();
        bytes.extend([0; 8]);
        Self { bytes }
    }

    fn count(&mut self, section: usize) {
        self.bytes[5 + 2 * section] += 1;
    }

    fn question(mut self, name: &str, kind: u16) -> Self {
        self.count(0);
        self.bytes.extend(labels(name));
        self.bytes.extend([kind.to_be_bytes(), [0, 1]].concat());
        self
    }

    fn record(mut self, section: usize, name: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]) -> Self {
        self.count(section);
        self.bytes.extend(name);
        self.bytes
            .extend([kind.to_be_bytes(), class.to_be_bytes()].concat());
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend((data.len() as u16).to_be_bytes());
        self.bytes.extend(data);
        self
    }

    /// A record of the first question's name.
    fn answer(self, kind: u16, data: &[u8]) -> Self {
        self.record(1, b"\xc0\x0c", kind, 1, 60, data)
    }

    fn framed(&self) -> Vec<u8> {
        [&(self.bytes.len() as u16).to_be_bytes(), self.bytes.as_slice()].concat()
    }
}

fn asked(id: u16) -> Builder {
    Builder::new(id, 0x100).question("www.Example.org", 1)
}

fn answered(id: u16) -> Builder {
    Builder::new(id, QR | 0x180).question("www.example.org", 1)
}

fn piece(side: Side, time: i64, data: &[u8]) -> Piece<'_> {
    Piece {
        time: Time::from_seconds(time),
        side,
        data,
        cut: 0,
    }
}

struct Talk {
    conversation: Conversation,
    out: Vec<Said>,
}

impl Talk {
    fn new(over: Over, port: u16) -> Self {
        Self {
            conversation: Conversation::new(over, 40_000, port),
            out: Vec::new(),
        }
    }

    fn say(&mut self, side: Side, time: i64, data: &[u8]) {
        self.conversation
            .read(&piece(side, time, data), &Limits::default(), &mut self.out);
    }

    fn dns(&self) -> Vec<&Dns> {
        let each = self.out.iter().filter_map(|(_, message)| match message {
            Message::Dns(dns) => Some(&**dns),
            _ => None,
        });
        each.collect()
    }

    fn other(&self) -> &Other {
        match &self.out[..] {
            [(_, Message::Other(other))] => other,
            said => panic!("{said:?}"),
        }
    }
}

#[test]
fn a_question_and_its_answer_are_one() {
    let mut talk = Talk::new(Over::Datagrams, 53);
    talk.say(Side::Source, 1, &asked(7).bytes);
    assert!(talk.out.is_empty() && talk.conversation.is_waiting());
    let options = Builder::record(
        answered(7).answer(1, &[192, 0, 2, 9]),
        3,
        b"\0",
        41,
        1_232,
        0x0100_0000,
        b"",
    );
    talk.say(Side::Destination, 2, &options.bytes);
    let [dns] = talk.dns()[..] else {
        panic!("{:?}", talk.out)
    };
    assert_eq!(
        (dns.id, dns.flags, dns.asked),
        (7, 0x100, Some(Time::from_seconds(1)))
    );
    assert_eq!(&*dns.questions[0].name, "www.example.org");
    assert_eq!(dns.questions[0].as_sent.as_deref(), Some("www.Example.org"));
    let response = dns.response.as_ref().unwrap();
    assert_eq!((response.code, response.time), (16, Time::from_seconds(2)));
    assert_eq!(
        response.answers[0].data,
        Data::Address("192.0.2.9".parse().unwrap())
    );
    assert!(response.additionals.is_empty());
    assert!(!talk.conversation.is_waiting());
    assert_eq!(
        talk.conversation.application().map(|(name, _)| name),
        Some(Application::Dns)
    );
}

#[test]
fn what_is_not_answered_is_told_after_a_while() {
    let mut talk = Talk::new(Over::Datagrams, 53);
    talk.say(Side::Source, 1, &asked(7).bytes);
    talk.say(Side::Source, 8, &asked(8).bytes);
    let (conversation, out) = (&mut talk.conversation, &mut talk.out);
    conversation.wait(Time::from_seconds(10), false, out);
    assert!(out.is_empty());
    conversation.wait(Time::from_seconds(11), false, out);
    assert_eq!(out.len(), 1);
    conversation.wait(Time::from_seconds(11), true, out);
    assert_eq!(talk.dns().iter().map(|dns| dns.id).collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn answers_find_their_questions_among_many() {
    let mut talk = Talk::new(Over::Datagrams, 53);
    for id in 0..70 {
        talk.say(Side::Source, 1, &asked(id).bytes);
    }
    // The oldest made room.
    assert_eq!(
        talk.dns().iter().map(|dns| dns.id).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
    talk.out.clear();
    for id in [40, 6, 69, 40] {
        talk.say(Side::Destination, 1, &answered(id).bytes);
    }
    let told = talk.dns();
    assert!(
        told[..3]
            .iter()
            .all(|dns| dns.asked.is_some() && dns.response.is_some())
    );
    assert_eq!(told[3].asked, None, "its question was answered before");
    assert_eq!(told.iter().map(|dns| dns.id).collect::<Vec<_>>(), [40, 6, 69, 40]);
}

#[test]
fn streams_cut_anywhere() {
    let said = [asked(1).framed(), asked(2).framed()].concat();
    let heard = [
        answered(1).answer(1, &[192, 0, 2, 1]).framed(),
        answered(2).framed(),
    ]
    .concat();
    for size in 1..=said.len() {
        let mut talk = Talk::new(Over::Stream, 53);
        for part in said.chunks(size) {
            talk.say(Side::Source, 1, part);
        }
        for part in heard.chunks(size) {
            talk.say(Side::Destination, 2, part);
        }
        let told = talk.dns();
        assert_eq!(told.len(), 2, "parts of {size}");
        assert!(
            told.iter()
                .all(|dns| dns.asked.is_some() && dns.response.is_some())
        );
    }
}

#[test]
fn streams_with_gaps_go_on() {
    let mut talk = Talk::new(Over::Stream, 53);
    talk.say(Side::Source, 1, &asked(1).framed());
    let limits = Limits::default();
    talk.conversation
        .gap(Side::Source, 35, Time(0), &limits, &mut talk.out);
    talk.say(Side::Source, 1, &asked(3).framed());
    let whole = answered(1).answer(1, &[192, 0, 2, 1]).framed();
    talk.say(Side::Destination, 2, &whole[..40]);
    // The rest of that message and no more.
    talk.conversation.gap(
        Side::Destination,
        (whole.len() - 40) as u64,
        Time(0),
        &limits,
        &mut talk.out,
    );
    talk.say(Side::Destination, 2, &answered(3).framed());
    let told = talk.dns();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].response.as_ref().unwrap().left_out, 1);
    assert_eq!((told[1].id, told[1].response.as_ref().unwrap().left_out), (3, 0));
}

#[test]
fn a_transfer_is_one() {
    let soa = [labels("ns.example.org"), labels("root.example.org"), vec![0; 20]].concat();
    let mut talk = Talk::new(Over::Stream, 53);
    talk.say(
        Side::Source,
        1,
        &Builder::new(9, 0).question("example.org", 252).framed(),
    );
    let first = Builder::new(9, QR).question("example.org", 252).answer(6, &soa);
    talk.say(Side::Destination, 1, &first.framed());
    for _ in 0..10 {
        let mut more = Builder::new(9, QR).question("example.org", 252);
        for host in 0..20 {
            more = more.answer(1, &[192, 0, 2, host]);
        }
        talk.say(Side::Destination, 1, &more.framed());
    }
    assert!(talk.out.is_empty());
    talk.say(Side::Destination, 1, &first.framed());
    let [dns] = talk.dns()[..] else {
        panic!("{:?}", talk.out)
    };
    let response = dns.response.as_ref().unwrap();
    assert_eq!((response.answers.len(), response.left_out), (64, 138));
}

#[test]
fn updates_and_truncated_messages() {
    let zone = Builder::new(5, 5 << 11).question("example.org", 6);
    let update = zone.record(1, &labels("a.example.org"), 5, 254, 0, b"").record(
        2,
        &labels("a.example.org"),
        1,
        1,
        1_200,
        &[192, 0, 2, 1],
    );
    let mut talk = Talk::new(Over::Datagrams, 53);
    talk.say(Side::Source, 1, &update.bytes);
    talk.conversation.wait(Time(0), true, &mut talk.out);
    let sent = talk.dns()[0].sent.as_ref().unwrap();
    assert_eq!(
        (sent.answers[0].class, &sent.answers[0].data),
        (254, &Data::Empty)
    );
    assert_eq!(sent.authorities[0].ttl, 1_200);

    let whole = answered(1)
        .answer(1, &[192, 0, 2, 1])
        .answer(1, &[192, 0, 2, 2])
        .bytes;
    let cut = whole.len() - 3;
    let dns = super::pairs::alone(&whole, Time(0)).unwrap();
    assert_eq!(dns.response.unwrap().answers.len(), 2);
    let mut talk = Talk::new(Over::Datagrams, 53);
    talk.say(Side::Destination, 1, &whole);
    let short = Piece {
        cut: 3,
        ..piece(Side::Destination, 1, &whole[..cut])
    };
    talk.conversation.read(&short, &Limits::default(), &mut talk.out);
    let response = talk.dns()[1].response.as_ref().unwrap();
    assert_eq!((response.answers.len(), response.left_out), (1, 1));
}

#[track_caller]
fn presents(kind: u16, data: &[u8], expected: Data) {
    let message = answered(1).answer(kind, data).bytes;
    let dns = super::pairs::alone(&message, Time(0)).unwrap();
    assert_eq!(dns.response.unwrap().answers[0].data, expected);
}

#[test]
fn records() {
    let other = |text: &str| Data::Other(text.into());
    presents(13, b"\x03x86\x05Linux", other(r#""x86" "Linux""#));
    presents(
        16,
        b"\x05hello\x01;",
        Data::Text(["hello".into(), ";".into()].into()),
    );
    presents(
        15,
        b"\x00\x0a\xc0\x0c",
        Data::Mx {
            preference: 10,
            name: "www.example.org".into(),
        },
    );
    presents(
        65,
        b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x20\xfb",
        other("1 . alpn=h2,h3 port=8443"),
    );
    presents(11, &[192, 0, 2, 1, 6, 0, 0, 0x40], other("192.0.2.1 6 17"));
    let location = [
        0, 0x12, 0x16, 0x13, 0x89, 0x17, 0x2d, 0xd0, 0x70, 0xbe, 0x15, 0xf0, 0, 0x98, 0x8d, 0x20,
    ];
    presents(
        29,
        &location,
        other("42 21 54.000 N 71 6 18.000 W -24.00m 1.00m 10000.00m 10.00m"),
    );
    presents(
        47,
        b"\x01b\0\0\x02\x40\x01",
        Data::Nsec {
            next: "b".into(),
            kinds: "A MX".into(),
        },
    );
    presents(
        257,
        b"\0\x05issueca.example",
        Data::Caa {
            flags: 0,
            tag: "issue".into(),
            value: "ca.example".into(),
        },
    );
    presents(999, &[1, 2], other(r"\# 2 0102"));
    presents(1, &[1, 2], Data::Unreadable);
    presents(
        43,
        b"\x01\x02\x05\x01\xab",
        Data::Ds {
            key_tag: 258,
            algorithm: 5,
            digest_kind: 1,
            digest: "ab".into(),
        },
    );
}

#[test]
fn neighbours_and_others_on_their_ports() {
    let mut talk = Talk::new(Over::Datagrams, 5353);
    talk.say(
        Side::Source,
        1,
        &Builder::new(0, 0).question("printer.local", 1).bytes,
    );
    assert_eq!(talk.out.len(), 1, "nobody waits for answers of a group");
    assert_eq!(
        talk.conversation.application().map(|(name, _)| name),
        Some(Application::Mdns)
    );

    let mut talk = Talk::new(Over::Datagrams, 137);
    let name = "FHEPFCELEHFCEPFFFACACACACACACABN";
    talk.say(Side::Source, 1, &Builder::new(1, 0x110).question(name, 32).bytes);
    let answer = Builder::new(1, QR).record(1, &labels(name), 32, 1, 0, &[0, 0, 192, 0, 2, 1]);
    talk.say(Side::Destination, 1, &answer.bytes);
    assert_eq!(&*talk.dns()[0].questions[0].name, "workgroup<1d>");
    assert_eq!(
        talk.dns()[0].response.as_ref().unwrap().answers[0].data,
        Data::Other("0x0000 192.0.2.1".into())
    );

    // On any other port DNS must be quite plain.
    for (port, message, is_dns) in [
        (9_999, asked(1), true),
        (9_999, Builder::new(1, 0x7800).question("a.b", 1), false),
        (9_999, Builder::new(1, 0x100).question("a.b", 4_000), false),
        (53, Builder::new(1, 0x100).question("a.b", 4_000), true),
    ] {
        let mut talk = Talk::new(Over::Datagrams, port);
        talk.say(Side::Source, 1, &message.bytes);
        assert_eq!(talk.conversation.is_waiting(), is_dns);
    }
}

#[test]
fn addresses_of_hosts_and_their_clocks() {
    let mut request = vec![1, 1, 6, 0, 0, 0, 0, 42];
    request.resize(28, 0);
    request.extend([2, 0, 0, 0, 0, 1]);
    request.resize(236, 0);
    request.extend(
        b"\x63\x82\x53\x63\x35\x01\x03\x0c\x04host\x32\x04\xc0\x00\x02\x05\x34\x01\x01\x37\x02\x01\x06\xff",
    );
    // In the field for a file.
    request[108..115].copy_from_slice(b"\x33\x04\0\0\x0e\x10\xff");
    let mut talk = Talk::new(Over::Datagrams, 67);
    talk.say(Side::Source, 1, &request);
    let other = talk.other();
    let all = [
        "op",
        "type",
        "id",
        "client_mac",
        "hostname",
        "requested_ip",
        "lease_time",
        "fingerprint",
    ];
    let values = all.map(|name| other.get(name).unwrap());
    assert_eq!(
        values,
        [
            "request",
            "request",
            "42",
            "02:00:00:00:00:01",
            "host",
            "192.0.2.5",
            "3600",
            "1,6"
        ]
    );

    let mut talk = Talk::new(Over::Datagrams, 547);
    talk.say(
        Side::Source,
        1,
        b"\x01\0\0\x07\0\x01\0\x02\xab\xcd\0\x06\0\x02\0\x17\0\x27\0\x05\0\x03pc1",
    );
    let values = ["type", "id", "client_id", "fingerprint", "client_fqdn"].map(|name| talk.other().get(name));
    assert_eq!(
        values,
        [Some("solicit"), Some("7"), Some("abcd"), Some("23"), Some("pc1")]
    );

    let mut talk = Talk::new(Over::Datagrams, 123);
    let mut clock = vec![0x24, 1, 6, 0xec];
    clock.resize(48, 0);
    clock[12..15].copy_from_slice(b"GPS");
    talk.say(Side::Destination, 1, &clock);
    let values = ["version", "mode", "stratum", "reference"].map(|name| talk.other().get(name));
    assert_eq!(values, [Some("4"), Some("server"), Some("1"), Some("GPS")]);

    let mut talk = Talk::new(Over::Datagrams, 161);
    let get = b"\x30\x26\x02\x01\x01\x04\x06secret\xa0\x19\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0";
    talk.say(Side::Source, 1, get);
    let values = ["version", "pdu", "oid"].map(|name| talk.other().get(name));
    assert_eq!(values, [Some("2c"), Some("get"), Some("1.3.6.1.2.1.1.1.0")]);
    assert!(!format!("{:?}", talk.other()).contains("secret"));
}

/// Whatever is said: it ends, and stays within the limits.
fn withstands(port: u16, over: Over, parts: &[Vec<u8>]) {
    let mut talk = Talk::new(over, port);
    for (index, part) in parts.iter().enumerate() {
        let side = if index % 2 == 0 {
            Side::Source
        } else {
            Side::Destination
        };
        talk.say(side, index as i64, part);
    }
    talk.conversation.wait(Time(0), true, &mut talk.out);
    for (_, message) in &talk.out {
        match message {
            Message::Dns(dns) => {
                assert!(
                    dns.questions.len() <= 16 && dns.questions.iter().all(|one| one.name.len() <= 4 * 255)
                );
                let response = dns.response.iter();
                assert!(
                    response
                        .clone()
                        .all(|one| one.answers.len() <= 64 && one.additionals.len() <= 16)
                );
            }
            Message::Other(other) => {
                assert!(other.attributes.len() <= 32);
                assert!(other.attributes.iter().all(|(_, value)| value.len() <= 512));
            }
            _ => {}
        }
    }
}

const PORTS: [u16; 9] = [53, 5_353, 5_355, 137, 67, 547, 123, 161, 9_999];

proptest! {
    #[test]
    fn arbitrary_bytes(port in 0..PORTS.len(), parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..6)) {
        for over in [Over::Datagrams, Over::Stream] {
            withstands(PORTS[port], over, &parts);
        }
    }

    /// Plausible heads, then anything, with pointers anywhere.
    #[test]
    fn arbitrary_records(
        counts in prop::array::uniform4(0..6_u8),
        flags in any::<u16>(),
        words in prop::collection::vec(prop_oneof![any::<[u8; 2]>(), (0..250_u8).prop_map(|to| [0xc0, to])], 0..200),
        port in 0..4_usize,
    ) {
        let mut message = Builder::new(1, flags).bytes;
        for (section, count) in counts.into_iter().enumerate() {
            message[5 + 2 * section] = count;
        }
        message.extend(words.concat());
        let framed = [&(message.len() as u16).to_be_bytes(), message.as_slice()].concat();
        withstands(PORTS[port], Over::Datagrams, &[asked(1).bytes, message.clone()]);
        withstands(PORTS[port], Over::Stream, &[asked(1).framed(), framed]);
        let _told = super::pairs::alone(&message, Time(0));
    }

    #[test]
    fn mutated_messages(kind in prop_oneof![Just(6_u16), Just(16), Just(29), Just(33), Just(35), Just(46), Just(50), Just(65), Just(250), 0..300_u16],
        data in prop::collection::vec(any::<u8>(), 0..80), at in 0..200_usize, to in any::<u8>(), cut in 0..200_usize,
    ) {
        let mut message = answered(1).answer(kind, &data).answer(1, &[192, 0, 2, 1]).bytes;
        if let Some(byte) = message.get_mut(at) {
            *byte = to;
        }
        message.truncate(message.len().saturating_sub(cut / 4));
        withstands(53, Over::Datagrams, &[asked(1).bytes, message]);
    }
}
