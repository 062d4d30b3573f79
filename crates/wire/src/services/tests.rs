use atalaya_model::{Application, Message, Side, Time};
use proptest::prelude::*;

use super::brief::hexadecimal;
use crate::analyser::{Limits, Opening, Over, Piece, Said};
use crate::{Conversation, protocols};

mod midway;

fn opening(over: Over, ports: (u16, u16), side: Side, data: &[u8]) -> Opening<'_> {
    Opening {
        over,
        source_port: ports.0,
        destination_port: ports.1,
        side,
        data,
        before: &[],
        earlier: &[],
    }
}

#[track_caller]
fn spoken(over: Over, port: u16, side: Side, data: &[u8], expected: Application) {
    let found = protocols::recognise(&opening(over, (40_001, port), side, data), None);
    assert_eq!(
        found.map(|speaker| speaker.application).ok(),
        Some(expected),
        "{:?}",
        hexadecimal(data)
    );
}

/// What is told when both sides have said this.
fn told(over: Over, port: u16, pieces: &[(Side, &[u8])]) -> Vec<(String, String)> {
    let mut conversation = Conversation::new(over, 40_001, port);
    let mut out: Vec<Said> = Vec::new();
    for (side, data) in pieces {
        let piece = Piece {
            time: Time(1),
            side: *side,
            data,
            cut: 0,
        };
        conversation.read(&piece, &Limits::default(), &mut out);
    }
    conversation.wait(Time(2), true, &mut out);
    let attributes = out.into_iter().flat_map(|(_, message)| match message {
        Message::Other(other) => other.attributes,
        _ => Vec::new(),
    });
    attributes
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[track_caller]
fn says(found: &[(String, String)], name: &str, value: &str) {
    let known = (name.to_owned(), value.to_owned());
    assert!(found.contains(&known), "{name} = {value} is not in {found:?}");
}

use Over::{Datagrams, Stream};
use Side::{Destination, Source};

/// A start of PostgreSQL: length, version 3.0, names and values.
fn postgresql_start() -> Vec<u8> {
    let rest = b"\0\x03\0\0user\0ana\0database\0shop\0application_name\0psql\0\0";
    let mut data = (rest.len() as u32 + 4).to_be_bytes().to_vec();
    data.extend_from_slice(rest);
    data
}

/// A server's greeting of MySQL.
fn mysql_greeting() -> Vec<u8> {
    let mut rest = vec![10];
    rest.extend_from_slice(b"8.0.36-0ubuntu\0");
    rest.extend_from_slice(&[1, 0, 0, 0]);
    rest.extend_from_slice(&[b'x'; 40]);
    let mut data = vec![rest.len() as u8, 0, 0, 0];
    data.extend_from_slice(&rest);
    data
}

#[test]
fn databases_introduce_themselves() {
    let start = postgresql_start();
    spoken(Stream, 9_999, Source, &start, Application::PostgreSql);
    let found = told(
        Stream,
        9_999,
        &[(Source, &start), (Destination, b"R\0\0\0\x08\0\0\0\0")],
    );
    says(&found, "user", "ana");
    says(&found, "database", "shop");
    let greeting = mysql_greeting();
    spoken(Stream, 9_999, Destination, &greeting, Application::MySql);
    says(
        &told(Stream, 3_306, &[(Destination, &greeting)]),
        "server_version",
        "8.0.36-0ubuntu",
    );
    spoken(
        Stream,
        7_777,
        Source,
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        Application::Redis,
    );
    let found = told(Stream, 7_777, &[(Source, b"*2\r\n$3\r\nGET\r\n$1\r\nsecret\r\n")]);
    assert_eq!(
        found,
        [("command".to_owned(), "get".to_owned())],
        "no keys, no values"
    );
    spoken(
        Stream,
        1_883,
        Source,
        b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd",
        Application::Mqtt,
    );
    let found = told(
        Stream,
        1_883,
        &[
            (Source, b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd"),
            (Destination, &[0x20, 2, 0, 0]),
        ],
    );
    says(&found, "version", "3.1.1");
    says(&found, "client_id", "abcd");
    says(&found, "return_code", "0");
    spoken(Stream, 5_672, Source, b"AMQP\0\0\x09\x01", Application::Amqp);
}

#[test]
fn a_postgresql_that_agrees_to_tls_becomes_tls() {
    let mut conversation = Conversation::new(Stream, 40_001, 5_432);
    let mut out = Vec::new();
    let wish = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
    for (side, data) in [(Source, &wish[..]), (Destination, b"S")] {
        let piece = Piece {
            time: Time(1),
            side,
            data,
            cut: 0,
        };
        conversation.read(&piece, &Limits::default(), &mut out);
    }
    // It is still called by what it began with.
    let application = |it: &Conversation| it.application().map(|(application, _)| application);
    assert_eq!(application(&conversation), Some(Application::PostgreSql));
    let hello = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    let piece = Piece {
        time: Time(2),
        side: Source,
        data: &hello,
        cut: 0,
    };
    conversation.read(&piece, &Limits::default(), &mut out);
    assert!(conversation.is_hungry(), "TLS is read");
    assert_eq!(application(&conversation), Some(Application::PostgreSql));
}

#[test]
fn tunnels_are_noticed_by_their_first_bytes() {
    let mut hello = vec![1, 0, 0, 0];
    hello.resize(148, 7);
    spoken(Datagrams, 12_345, Source, &hello, Application::WireGuard);
    hello.push(0);
    assert!(protocols::recognise(&opening(Datagrams, (40_001, 12_345), Source, &hello), None).is_err());
    let mut reset = vec![0x38];
    reset.extend_from_slice(&[9, 8, 7, 6, 5, 4, 3, 2]);
    reset.extend_from_slice(&[0, 0, 0, 0, 0]);
    spoken(Datagrams, 4_444, Source, &reset, Application::OpenVpn);
    let mut ike = vec![1, 2, 3, 4, 5, 6, 7, 8];
    ike.extend_from_slice(&[0; 8]);
    ike.extend_from_slice(&[33, 0x20, 34, 8, 0, 0, 0, 0, 0, 0, 0, 28]);
    spoken(Datagrams, 500, Source, &ike, Application::Ike);
    let found = told(Datagrams, 500, &[(Source, &ike)]);
    says(&found, "version", "2.0");
    says(&found, "exchange", "ike_sa_init");
    let mut inside = vec![0x60, 0, 0, 0, 0, 0, 59, 64, 0x20, 1, 0, 0];
    inside.resize(40, 7);
    spoken(Datagrams, 32_900, Source, &inside, Application::Teredo);
    let geneve = [&[0, 0, 0x86, 0xdd, 0, 0, 1, 0][..], &inside].concat();
    spoken(Datagrams, 6_081, Source, &geneve, Application::Geneve);
    let mut ayiya = vec![0x42, 0x52, 0x11, 41];
    ayiya.resize(8 + 16 + 20, 3);
    ayiya.extend_from_slice(&inside);
    spoken(Datagrams, 5_072, Source, &ayiya, Application::Ayiya);
}

#[test]
fn a_proxy_tells_where_it_is_asked_to_go_and_what_is_inside() {
    let mut conversation = Conversation::new(Stream, 40_001, 1_080);
    let mut out = Vec::new();
    let asked = [&[5, 1, 0, 3, 11][..], b"example.com", &[1, 187]].concat();
    let pieces: [(Side, &[u8]); 4] = [
        (Source, &[5, 1, 0]),
        (Destination, &[5, 0]),
        (Source, &asked),
        (Destination, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ];
    for (side, data) in pieces {
        let piece = Piece {
            time: Time(1),
            side,
            data,
            cut: 0,
        };
        conversation.read(&piece, &Limits::default(), &mut out);
    }
    let [(_, Message::Other(other))] = &out[..] else {
        panic!("{out:?}");
    };
    assert_eq!(other.get("target"), Some("example.com:443"));
    assert!(conversation.is_hungry(), "what is inside may be read");
}

#[test]
fn windows_and_peers() {
    let mut smb = vec![0, 0, 0, 100, 0xfe, b'S', b'M', b'B'];
    smb.resize(104, 0);
    spoken(Stream, 9_445, Source, &smb, Application::Smb);
    let mut answer = smb.clone();
    answer[4 + 68..4 + 70].copy_from_slice(&[0x11, 3]);
    says(
        &told(Stream, 445, &[(Source, &smb), (Destination, &answer)]),
        "dialect",
        "3.1.1",
    );
    let mut bind = vec![5, 0, 11, 3, 0x10, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0];
    bind.extend_from_slice(&[0; 16]);
    bind.extend_from_slice(&[
        0x78, 0x56, 0x34, 0x12, 0x34, 0x12, 0xcd, 0xab, 0xef, 0, 1, 0x23, 0x45, 0x67, 0x89, 0xac,
    ]);
    spoken(Stream, 49_152, Source, &bind, Application::Dcerpc);
    says(
        &told(Stream, 135, &[(Source, &bind)]),
        "interface",
        "12345678-1234-abcd-ef00-0123456789ac",
    );
    let rdp = b"\x03\0\0\x27\x22\xe0\0\0\0\0\0Cookie: mstshash=ana\r\n\x01\0\x08\0\x03\0\0\0";
    spoken(Stream, 3_390, Source, rdp, Application::Rdp);
    let found = told(
        Stream,
        3_390,
        &[
            (Source, rdp),
            (
                Destination,
                b"\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x02\0\x08\0\x01\0\0\0",
            ),
        ],
    );
    says(&found, "cookie", "ana");
    says(&found, "requested", "tls");
    says(&found, "chosen", "tls");
    let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    stun.resize(20, 3);
    spoken(Datagrams, 9, Source, &stun, Application::Stun);
    spoken(
        Stream,
        6_999,
        Source,
        b"\x13BitTorrent protocol........",
        Application::BitTorrent,
    );
    spoken(
        Datagrams,
        6_999,
        Source,
        b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa",
        Application::BitTorrent,
    );
}

#[test]
fn rdp_over_datagrams_begins_with_a_padded_syn() {
    let mut syn = vec![
        0xff, 0xff, 0xff, 0xff, 0, 64, 0x18, 1, 9, 9, 9, 9, 4, 0xd0, 4, 0xd0,
    ];
    syn.resize(1_232, 0);
    spoken(Datagrams, 5_555, Source, &syn, Application::Rdp);
    let known =
        |data: &[u8]| protocols::recognise(&opening(Datagrams, (40_001, 5_555), Source, data), None).is_ok();
    assert!(!known(&syn[..1_000]));
    syn[7] = 0;
    assert!(!known(&syn));
}

#[test]
fn sessions() {
    spoken(Stream, 5_999, Destination, b"RFB 003.008\n", Application::Rfb);
    spoken(
        Stream,
        9,
        Source,
        b"NICK ana\r\nUSER ana 0 * :Ana\r\n",
        Application::Irc,
    );
    let found = told(
        Stream,
        6_667,
        &[
            (Source, b"NICK ana\r\n"),
            (Destination, b":irc.example 001 ana :hi\r\n"),
        ],
    );
    says(&found, "nick", "ana");
    says(&found, "server", "irc.example");
    let offers = told(
        Stream,
        6_667,
        &[
            (
                Source,
                b"NICK ana\r\nPRIVMSG bo :a secret\r\nPRIVMSG bo :\x01DCC SE",
            ),
            (Source, b"ND \"a b.txt\" 3221225993 59130 7\x01\r\n"),
            (
                Destination,
                b":bo!b@x PRIVMSG ana :\x01DCC CHAT chat 2001:db8::1 5000\x01\r\n",
            ),
            (Destination, b":bo!b@x PRIVMSG ana :\x01DCC SEND c 1 0 7\x01\r\n"),
        ],
    );
    let offers: Vec<String> = offers
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        offers.join(" "),
        "command=DCC SEND path=a b.txt data_address=192.0.2.9 data_port=59130 \
         command=DCC CHAT data_address=2001:db8::1 data_port=5000 nick=ana server=bo!b@x"
    );
    spoken(
        Stream,
        9,
        Source,
        b"<?xml version='1.0'?><stream:stream to='x.example'",
        Application::Xmpp,
    );
    spoken(
        Stream,
        2_000,
        Destination,
        &[255, 253, 24, 255, 253, 32],
        Application::Telnet,
    );
}

proptest! {
    #[test]
    fn whatever_is_said_nothing_breaks_and_little_is_kept(
        port in prop::sample::select(vec![22, 135, 139, 445, 500, 502, 1080, 1883, 3306, 3389, 5222, 5432, 5900, 6379, 6667, 11_211, 40_000]),
        datagrams: bool,
        first in prop::collection::vec(any::<u8>(), 0..80),
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..6),
        seed in 0usize..8,
    ) {
        let begins: [Vec<u8>; 8] = [kerberos_request(), ldap(1, 0x60, &[2, 1, 3, 4, 0, 0x80, 0]), Vec::new(), postgresql_start(), mysql_greeting(), b"*2\r\n$3\r\n".to_vec(), b"\x10\x10\0\x04MQTT\x05".to_vec(), vec![5, 0, 11, 3, 0x10, 0, 0, 0, 72, 0]];
        let begin = [&begins[seed][..], &first].concat();
        let over = if datagrams { Datagrams } else { Stream };
        let side = |source: bool| if source { Source } else { Destination };
        let mut all: Vec<(Side, &[u8])> = vec![(side(seed != 4), &begin)];
        all.extend(pieces.iter().map(|(source, data)| (side(*source), &data[..])));
        let found = told(over, port, &all);
        prop_assert!(found.len() <= 64);
        prop_assert!(found.iter().all(|(_, value)| value.len() <= 2_048));
    }
}

/// An element of ASN.1 with a short length.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    if content.len() > 127 {
        bytes.push(0x81);
    }
    bytes.push(content.len() as u8);
    bytes.extend_from_slice(content);
    bytes
}

fn name(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<u8> = parts
        .iter()
        .flat_map(|part| element(0x1b, part.as_bytes()))
        .collect();
    element(
        0x30,
        &[element(0xa0, &[2, 1, 1]), element(0xa1, &element(0x30, &parts))].concat(),
    )
}

/// A request for a first ticket.
fn kerberos_request() -> Vec<u8> {
    let body = [
        element(0xa1, &name(&["ana"])),
        element(0xa2, &element(0x1b, b"EXAMPLE.COM")),
        element(0xa3, &name(&["krbtgt", "EXAMPLE.COM"])),
    ]
    .concat();
    let fields = [
        element(0xa1, &[2, 1, 5]),
        element(0xa2, &[2, 1, 10]),
        element(0xa4, &element(0x30, &body)),
    ]
    .concat();
    element(0x6a, &element(0x30, &fields))
}

fn kerberos_error() -> Vec<u8> {
    let fields = [
        element(0xa0, &[2, 1, 5]),
        element(0xa1, &[2, 1, 30]),
        element(0xa6, &[2, 1, 25]),
        element(0xa9, &element(0x1b, b"EXAMPLE.COM")),
    ]
    .concat();
    element(0x7e, &element(0x30, &fields))
}

#[test]
fn kerberos_says_who_asks_for_what() {
    let (request, error) = (kerberos_request(), kerberos_error());
    spoken(Datagrams, 9_088, Source, &request, Application::Kerberos);
    let framed = |message: &[u8]| [&(message.len() as u32).to_be_bytes()[..], message].concat();
    let (whole, answer) = (framed(&request), framed(&error));
    spoken(Stream, 9_088, Source, &whole, Application::Kerberos);
    let (begin, end) = whole.split_at(30);
    for found in [
        told(Datagrams, 88, &[(Source, &request), (Destination, &error)]),
        told(
            Stream,
            88,
            &[(Source, begin), (Source, end), (Destination, &answer)],
        ),
    ] {
        says(&found, "request", "as");
        says(&found, "response", "error");
        says(&found, "realm", "EXAMPLE.COM");
        says(&found, "client", "ana");
        says(&found, "service", "krbtgt/EXAMPLE.COM");
        says(&found, "error", "25");
    }
    let cut = &request[..request.len() - 5];
    assert!(told(Datagrams, 88, &[(Source, cut)]).is_empty());
}

/// A message of LDAP with this operation.
fn ldap(number: u8, operation: u8, content: &[u8]) -> Vec<u8> {
    element(0x30, &[vec![2, 1, number], element(operation, content)].concat())
}

#[test]
fn ldap_says_who_binds_and_what_is_sought_but_no_password() {
    let bind = [
        vec![2, 1, 3],
        element(4, b"cn=ana,dc=example"),
        element(0x80, b"secret"),
    ]
    .concat();
    let bind = ldap(1, 0x60, &bind);
    spoken(Stream, 9_389, Source, &bind, Application::Ldap);
    let search = ldap(2, 0x63, &[element(4, b"dc=example"), vec![0x0a, 1, 2]].concat());
    let found = told(
        Stream,
        9_389,
        &[
            (Source, &bind),
            (Destination, &ldap(1, 0x61, &[0x0a, 1, 0, 4, 0, 4, 0])),
            (Source, &search),
            (Destination, &ldap(2, 0x65, &[0x0a, 1, 32, 4, 0, 4, 0])),
        ],
    );
    says(&found, "bind", "cn=ana,dc=example");
    says(&found, "authentication", "simple");
    says(&found, "result", "0");
    says(&found, "search", "dc=example");
    says(&found, "found", "32");
    assert!(found.iter().all(|(_, value)| !value.contains("secret")));
}

fn read(conversation: &mut Conversation, side: Side, data: &[u8], out: &mut Vec<Said>) {
    let piece = Piece {
        time: Time(1),
        side,
        data,
        cut: 0,
    };
    conversation.read(&piece, &Limits::default(), out);
}

fn known(conversation: &Conversation) -> Option<Application> {
    let (application, basis) = conversation.application()?;
    (basis == atalaya_model::Basis::Content).then_some(application)
}

/// A refusal of TLS is understood as such.
fn reads_tls(conversation: &mut Conversation) -> bool {
    let mut out = Vec::new();
    read(conversation, Destination, &[21, 3, 3, 0, 2, 2, 40], &mut out);
    conversation.wait(Time(2), true, &mut out);
    matches!(&out[..], [(_, Message::Tls(_))])
}

#[test]
fn ldap_and_irc_become_tls_when_both_agree() {
    let mut out = Vec::new();
    let mut conversation = Conversation::new(Stream, 40_001, 389);
    let wish = ldap(1, 0x77, &element(0x80, b"1.3.6.1.4.1.1466.20037"));
    read(&mut conversation, Source, &wish, &mut out);
    assert_eq!(known(&conversation), Some(Application::Ldap));
    read(
        &mut conversation,
        Destination,
        &ldap(1, 0x78, &[0x0a, 1, 0, 4, 0, 4, 0]),
        &mut out,
    );
    assert!(reads_tls(&mut conversation));
    let mut conversation = Conversation::new(Stream, 40_001, 6_667);
    read(&mut conversation, Source, b"CAP LS\r\nNICK ana\r\n", &mut out);
    read(
        &mut conversation,
        Destination,
        b":irc.example CAP * LS :tls\r\n",
        &mut out,
    );
    read(&mut conversation, Source, b"STARTTLS\r\n", &mut out);
    read(
        &mut conversation,
        Destination,
        b":irc.example 670 ana :STARTTLS successful\r\n",
        &mut out,
    );
    assert!(reads_tls(&mut conversation));
}

#[test]
fn small_services() {
    let file = b"\0\x01pxelinux.0\0octet\0";
    spoken(Datagrams, 69, Source, file, Application::Tftp);
    let found = told(Datagrams, 69, &[(Source, file)]);
    says(&found, "file", "pxelinux.0");
    says(&found, "mode", "octet");
    let line = b"<34>Oct 11 22:14:15 host su: failed for ana";
    spoken(Datagrams, 9_514, Source, line, Application::Syslog);
    let found = told(Datagrams, 514, &[(Source, line)]);
    says(&found, "facility", "4");
    says(&found, "severity", "2");
    assert_eq!(found.len(), 2, "nothing of the line itself");
    let attributes = b"\x01\x05ana\x02\x12aaaaaaaaaaaaaaaa\x20\x04ap";
    let mut request = vec![1, 7, 0, 20 + attributes.len() as u8];
    request.extend_from_slice(&[9; 16]);
    request.extend_from_slice(attributes);
    spoken(Datagrams, 9_812, Source, &request, Application::Radius);
    let found = told(Datagrams, 1812, &[(Source, &request)]);
    says(&found, "request", "access_request");
    says(&found, "user", "ana");
    assert!(found.iter().all(|(_, value)| !value.contains("aaaa")));
}

#[test]
fn media_is_known_by_two_packets_in_a_row() {
    let mut conversation = Conversation::new(Datagrams, 40_000, 40_002);
    let mut out = Vec::new();
    let packet = |number: u8, sender: u8| {
        let mut packet = vec![0x80, 0, 0, number, 0, 0, 0, number, 1, 2, 3, sender];
        packet.resize(172, 0x55);
        packet
    };
    read(&mut conversation, Source, &packet(1, 4), &mut out);
    assert_eq!(known(&conversation), None);
    read(&mut conversation, Source, &packet(2, 5), &mut out);
    assert_eq!(known(&conversation), None, "another sender");
    read(&mut conversation, Source, &packet(3, 5), &mut out);
    assert_eq!(known(&conversation), Some(Application::Rtp));
}

#[test]
fn an_unknown_conversation_is_given_up() {
    let mut out = Vec::new();
    let mut conversation = Conversation::new(Datagrams, 40_000, 40_003);
    for _ in 0..6 {
        assert!(conversation.is_hungry());
        read(&mut conversation, Source, &[0xf7; 40], &mut out);
    }
    assert!(!conversation.is_hungry());
    assert!(size_of::<Conversation>() <= 64);
}

#[test]
fn a_logon_tells_user_domain_and_host() {
    let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
    message.resize(64, 0);
    for (place, text) in [(28, "D\0O\0"), (36, "a\0n\0"), (44, "h\0")] {
        message[place] = text.len() as u8;
        message[place + 4] = message.len() as u8;
        message.extend_from_slice(text.as_bytes());
    }
    message[60] = 1;
    let mut smb = vec![0, 0, 0, 200, 0xfe, b'S', b'M', b'B'];
    smb.resize(72, 0);
    smb.extend_from_slice(&message);
    let found = told(Stream, 445, &[(Source, &smb)]);
    says(&found, "domain", "DO");
    says(&found, "user", "an");
    says(&found, "host", "h");
}
