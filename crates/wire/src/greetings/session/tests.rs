//! Sessions in, facts out.

use atalaya_model::{Application, Message, Side, Time};
use proptest::prelude::*;

use super::Reader;
use crate::analyser::{Analyser, Appetite, Limits, Piece};

const CLIENT: Side = Side::Source;
const SERVER: Side = Side::Destination;

fn said(mut reader: Box<dyn Analyser>, pieces: &[(Side, &[u8])], size: usize) -> (Vec<String>, Appetite) {
    let (mut out, mut appetite) = (Vec::new(), Appetite::More);
    'all: for (side, data) in pieces {
        for data in data.chunks(size) {
            let piece = Piece {
                time: Time(1),
                side: *side,
                data,
                cut: 0,
            };
            appetite = reader.read(&piece, &mut out);
            if appetite != Appetite::More {
                break 'all;
            }
        }
    }
    reader.wait(Time(2), true, &mut out);
    let texts = out.into_iter().map(|(_, message)| match message {
        Message::Other(other) => {
            let attributes = other.attributes.iter();
            attributes
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        }
        other => panic!("{other:?}"),
    });
    (texts.collect(), appetite)
}

const FTP: [(Side, &[u8]); 8] = [
    (SERVER, b"220 FTP here\r\n"),
    (CLIENT, b"USER me\r\n"),
    (SERVER, b"331 password\r\n"),
    (CLIENT, b"PASS secret\r\n"),
    (SERVER, b"230-hello\r\n230 in\r\n"),
    (CLIENT, b"RETR /a b\r\n"),
    (SERVER, b"150 comes\r\n226 done\r\n"),
    (CLIENT, b"QUIT\r\n"),
];

#[test]
fn sessions() {
    for size in [1, 7, 1_000] {
        let (texts, _) = said(Reader::ftp(&Limits::default()), &FTP, size);
        assert_eq!(
            texts,
            [
                "greeting=FTP here user=me login=accepted",
                "command=RETR path=/a b code=226"
            ]
        );
        let imap: [(Side, &[u8]); 3] = [
            (SERVER, b"* OK ready\r\n"),
            (CLIENT, b"a1 LOGIN \"me\" secret\r\n"),
            (SERVER, b"* CAPABILITY x\r\na1 NO never\r\n"),
        ];
        let (texts, _) = said(Reader::imap(&Limits::default()), &imap, size);
        assert_eq!(texts, ["greeting=ready user=me login=refused"]);
        let pop3: [(Side, &[u8]); 5] = [
            (SERVER, b"+OK hello\r\n"),
            (CLIENT, b"USER me\r\n"),
            (SERVER, b"+OK\r\n"),
            (CLIENT, b"PASS secret\r\n"),
            (SERVER, b"+OK in\r\n"),
        ];
        let (texts, appetite) = said(Reader::pop3(&Limits::default()), &pop3, size);
        assert_eq!(texts, ["greeting=hello user=me login=accepted"]);
        assert!(size == 1 || appetite == Appetite::Enough);
    }
}

#[test]
fn connections_for_data_are_announced() {
    let session: [(Side, &[u8]); 13] = [
        (SERVER, b"220 FTP here\r\n"),
        (CLIENT, b"PASV\r\n"),
        (SERVER, b"227 Entering Passive Mode (192,0,2,7,221,90).\r\n"),
        (CLIENT, b"port 192,0,2,9,0,21\r\n"),
        (SERVER, b"200 well\r\n"),
        (CLIENT, b"EPSV\r\n"),
        (SERVER, b"229 Entering Extended Passive Mode (|||57086|)\r\n"),
        (CLIENT, b"EPRT |2|2001:db8::9|49189|\r\n"),
        (SERVER, b"200 well\r\n"),
        (CLIENT, b"PORT 192,0,2,9,0\r\n"),
        (SERVER, b"501 no\r\n"),
        (CLIENT, b"EPSV ALL\r\n"),
        (SERVER, b"200 so be it\r\n"),
    ];
    for size in [1, 9, 1_000] {
        let (texts, _) = said(Reader::ftp(&Limits::default()), &session, size);
        assert_eq!(
            texts,
            [
                "command=PASV data_address=192.0.2.7 data_port=56666 code=227",
                "command=PORT data_address=192.0.2.9 data_port=21 code=200",
                "command=EPSV data_port=57086 code=229",
                "command=EPRT data_address=2001:db8::9 data_port=49189 code=200",
                "greeting=FTP here",
            ]
        );
    }
}

#[test]
fn addresses_given_to_proxies_say_no_password() {
    let mut session = FTP;
    for (path, kept) in [
        (&b"RETR ftp://u:secret@h/a@b\r\n"[..], "ftp://h/a@b"),
        (b"RETR me@home\r\n", "me@home"),
    ] {
        session[5].1 = path;
        let (texts, _) = said(Reader::ftp(&Limits::default()), &session, 1_000);
        assert_eq!(texts[1], format!("command=RETR path={kept} code=226"));
    }
}

#[test]
fn tls_follows() {
    let becomes = |consumed| Appetite::Becomes {
        application: Some(Application::Tls),
        consumed,
    };
    let imap: [(Side, &[u8]); 3] = [
        (SERVER, b"* OK ready\r\n"),
        (CLIENT, b"a STARTTLS\r\n"),
        (SERVER, b"a OK go\r\n"),
    ];
    let (texts, appetite) = said(Reader::imap(&Limits::default()), &imap, 100);
    assert_eq!(
        (&*texts[0], appetite),
        ("greeting=ready starttls=true", becomes(9))
    );
    let pop3: [(Side, &[u8]); 3] = [
        (SERVER, b"+OK x\r\n"),
        (CLIENT, b"STLS\r\n"),
        (SERVER, b"+OK\r\n"),
    ];
    assert_eq!(said(Reader::pop3(&Limits::default()), &pop3, 100).1, becomes(5));
    let ftp: [(Side, &[u8]); 3] = [
        (SERVER, b"220 x\r\n"),
        (CLIENT, b"AUTH TLS\r\n"),
        (SERVER, b"234 go\r\n"),
    ];
    assert_eq!(said(Reader::ftp(&Limits::default()), &ftp, 100).1, becomes(8));
}

proptest! {
    #[test]
    fn anything_is_read(at in 0..FTP.len(), byte in any::<u8>(), pieces in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..6)) {
        let mut damaged = FTP[at].1.to_vec();
        damaged[0] = byte;
        let mut all = FTP.to_vec();
        all[at].1 = &damaged;
        all.extend(pieces.iter().map(|(client, data)| (if *client { CLIENT } else { SERVER }, &data[..])));
        for make in [Reader::ftp, Reader::imap, Reader::pop3] {
            let (texts, _) = said(make(&Limits::default()), &all, 60);
            prop_assert!(texts.iter().all(|text| !text.contains("secret")));
        }
    }
}
