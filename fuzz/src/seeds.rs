//! Inputs to begin with: made from captures, and from a few words of protocols.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use atalaya_model::{Application, Process, ProcessKey, Time};
use atalaya_wire::capture::{Format, Interface, Reader, Whose, Writer};
use atalaya_wire::packet::{Options, Segment};
use atalaya_wire::{Decoder, Frame, LinkType, Over, protocols};

use crate::conversations::ANSWERS;
use crate::packets::LINKS;
use crate::push_piece;

/// Inputs of most bytes and pieces: what is longer teaches the fuzzer nothing that shorter ones do not.
const LONGEST: usize = 16 << 10;
const PIECES: usize = 40;
/// Conversations of one capture.
const CONVERSATIONS: usize = 60;

/// Writes seeds into the folder of each target.
pub struct Seeds {
    folder: PathBuf,
    count: u32,
}

impl Seeds {
    /// Seeds into folders under this one, each called as its target.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            count: 0,
        }
    }

    fn write(&mut self, target: &str, data: &[u8]) -> io::Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        self.count += 1;
        fs::write(
            folder.join(format!("seed-{}", self.count)),
            &data[..data.len().min(LONGEST)],
        )
    }

    /// What is in this capture: its begin, its first frames, and the payload of its conversations.
    ///
    /// # Errors
    /// It cannot be read, or a seed not written.
    pub fn capture(&mut self, path: &Path) -> io::Result<()> {
        self.write("capture", &fs::read(path)?)?;
        let Ok(mut reader) = Reader::open(Box::new(File::open(path)?)) else {
            return Ok(());
        };
        let mut decoder = Decoder::new(Options::default());
        let (mut frames, mut count) = (vec![0], 0);
        let mut said: HashMap<Key, Talk> = HashMap::new();
        while let Ok(Some(frame)) = reader.next() {
            let link = LINKS.iter().position(|link| *link == frame.link).unwrap_or(0);
            if count % PIECES == 0 && count > 0 && count < 20 * PIECES {
                self.frames(&frames)?;
                frames.truncate(1);
            }
            count += 1;
            push_piece(&mut frames, u8::try_from(link).unwrap_or(0), frame.data);
            let _ = decoder.decode(&frame, &mut |packet| {
                let (over, ports, payload) = match packet.segment {
                    Segment::Tcp {
                        source_port,
                        destination_port,
                        payload,
                        ..
                    } => (Over::Stream, (source_port, destination_port), payload),
                    Segment::Udp {
                        source_port,
                        destination_port,
                        payload,
                        ..
                    } => (Over::Datagrams, (source_port, destination_port), payload),
                    _ => return,
                };
                let ends = ((packet.ip.source, ports.0), (packet.ip.destination, ports.1));
                let key = (over as u8, ends.0.min(ends.1), ends.0.max(ends.1));
                if payload.is_empty() || (said.len() >= CONVERSATIONS && !said.contains_key(&key)) {
                    return;
                }
                let talk = said.entry(key).or_insert_with(|| Talk::new(over, ends.0, ports));
                talk.say(ends.0, payload);
            });
        }
        self.frames(&frames)?;
        for talk in said.values() {
            self.talk(talk)?;
        }
        Ok(())
    }

    fn frames(&mut self, frames: &[u8]) -> io::Result<()> {
        self.write("packets", frames)?;
        let mut opened = frames.to_vec();
        opened[0] = 0x14;
        self.write("decode", &opened)
    }

    fn talk(&mut self, talk: &Talk) -> io::Result<()> {
        let named = protocols::by_port(talk.over, talk.ports.0, talk.ports.1).unwrap_or(Application::Tls);
        let place = Application::ALL.iter().position(|it| *it == named).unwrap_or(0);
        let which = u8::try_from(place).unwrap_or(0) | if talk.over == Over::Stream { 0 } else { 0x80 };
        let (mut service, mut one) = (vec![which, 0], vec![0]);
        service.extend(&talk.pieces);
        one.extend(&talk.pieces);
        let two = |first: u8| [&[first][..], &one].concat();
        self.write("services", &service)?;
        match (named, talk.over) {
            (Application::Tls, _) => self.write("tls", &one)?,
            (Application::Dtls, _) => self.write("dtls", &one)?,
            (Application::Quic, _) => self.write("quic", &one)?,
            (Application::Http2, _) => self.write("http2", &one)?,
            (Application::Http, _) => self.write("http", &two(0))?,
            (Application::Sip, Over::Datagrams) => self.write("http", &two(2))?,
            (Application::Sip, Over::Stream) => self.write("http", &two(3))?,
            (Application::Rtsp, _) => self.write("http", &two(4))?,
            (Application::Ssdp, _) => self.write("http", &two(5))?,
            (Application::Dns, Over::Datagrams) => self.write("dns", &two(0))?,
            (Application::Dns, Over::Stream) => self.write("dns", &two(1))?,
            (Application::Mdns, _) => self.write("dns", &two(2))?,
            (Application::Llmnr, _) => self.write("dns", &two(3))?,
            (Application::NetbiosNs, _) => self.write("dns", &two(4))?,
            (Application::Dhcp, _) => self.write("dns", &two(5))?,
            (Application::Dhcpv6, _) => self.write("dns", &two(6))?,
            (Application::Snmp, _) => self.write("dns", &two(7))?,
            (Application::Ssh, _) => self.write("greetings", &two(0))?,
            (Application::Smtp, _) => self.write("greetings", &two(1))?,
            (Application::Ftp, _) => self.write("greetings", &two(2))?,
            (Application::Imap, _) => self.write("greetings", &two(3))?,
            (Application::Pop3, _) => self.write("greetings", &two(4))?,
            _ => {}
        }
        if talk.over == Over::Stream {
            let mut stream = vec![0];
            for (at, (_, piece)) in crate::pieces(&talk.pieces).enumerate().take(8) {
                let place = u16::try_from(at * 300).unwrap_or(0) ^ 300;
                push_piece(
                    &mut stream,
                    0,
                    &[&place.to_be_bytes(), &piece[..piece.len().min(300)]].concat(),
                );
            }
            self.write("stream", &stream)?;
        }
        Ok(())
    }

    /// Conversations of which the captures made here have none, and filters.
    ///
    /// # Errors
    /// A seed cannot be written.
    pub fn words(&mut self) -> io::Result<()> {
        for (application, over, port, lines) in TALKS {
            let mut talk = Talk::new(*over, (IpAddr::from([127, 0, 0, 1]), 40_000), (40_000, *port));
            for (side, line) in lines.iter() {
                push_piece(&mut talk.pieces, *side, line);
            }
            debug_assert!(protocols::by_port(*over, 40_000, *port) == Some(*application));
            self.talk(&talk)?;
        }
        for filter in FILTERS {
            self.write("filter", filter.as_bytes())?;
        }
        for log in LOGS {
            self.write("logs", log.as_bytes())?;
        }
        // The head of its metadata: nothing else leads the fuzzer there.
        self.write("atlas", b"\xab\xcd\xefMaxMind.com\xe1\x4anode_count\xc1\x01")?;
        self.write("capture", &named().map_err(io::Error::other)?)
    }
}

/// A log of each kind, a row of it.
const LOGS: [&str; 5] = [
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\t\
     id.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tconn_state\thistory\n1.5\tC1\t10.0.0.1\t1\t::1\t\
     53\tudp\tdns,ssl\t0.1\t-\tSF\tDd\n",
    r#"{"_path":"dns","ts":1.5,"id.orig_h":"10.0.0.1","id.orig_p":1,"id.resp_h":"10.0.0.2","id.resp_p":53,"query":"a.b","qtype":1,"rcode":0,"rtt":0.1,"answers":["c.d","192.0.2.1","TXT 2 ab"],"TTLs":[1.0,2.0]}"#,
    r#"{"_path":"ssl","ts":1.5,"id.orig_h":"10.0.0.1","id.orig_p":1,"id.resp_h":"10.0.0.2","id.resp_p":443,"version":"TLSv12","cipher":"unknown-7","curve":"x25519","server_name":"a.b","cert_chain_fps":["ab"],"subject":"CN=a\\, b,C=US"}"#,
    r#"{"timestamp":"2026-11-20T21:27:03.123456+0000","flow_id":7,"event_type":"flow","src_ip":"10.0.0.1","src_port":1,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","app_proto":"http","flow":{"start":"2026-11-20T21:27:03.1+0000","end":"2026-11-20T21:27:04.1+0000","pkts_toserver":1,"bytes_toserver":9},"tcp":{"state":"closed","tcp_flags_ts":"1b"}}"#,
    r#"{"timestamp":"2026-11-20T21:27:03.123456+0000","flow_id":7,"event_type":"dns","src_ip":"10.0.0.1","src_port":1,"dest_ip":"10.0.0.2","dest_port":53,"proto":"UDP","dns":{"type":"response","id":7,"flags":"8180","rcode":"NOERROR","queries":[{"rrname":"a.b","rrtype":"A"}],"answers":[{"rrname":"a.b","rrtype":"A","ttl":1,"rdata":"192.0.2.1"}]}}"#,
];

/// A capture of one packet, with its process.
fn named() -> Result<Vec<u8>, atalaya_wire::capture::WriteError> {
    let key = ProcessKey { pid: 7, start: 70 };
    let mut process = Process::bare(key, "curl".into(), Time::from_seconds(1_000));
    process.executable = Some("/usr/bin/curl".into());
    process.user_name = Some("mia".into());
    let frame = Frame {
        time: Time::from_seconds(2_000),
        link: LinkType::RAW,
        interface: 0,
        length: 20,
        data: &[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
        vlan: None,
    };
    let interface = Interface {
        name: "tun0".to_owned(),
        link: LinkType::RAW,
        snap_length: 0,
    };
    let whose = Whose {
        sent: Some(true),
        process: Some(&process.into()),
    };
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    writer.write(&frame, &interface, whose)?;
    writer.finish()
}

type End = (IpAddr, u16);
type Key = (u8, End, End);

struct Talk {
    over: Over,
    first: End,
    ports: (u16, u16),
    pieces: Vec<u8>,
    count: usize,
}

impl Talk {
    fn new(over: Over, first: End, ports: (u16, u16)) -> Self {
        Self {
            over,
            first,
            ports,
            pieces: Vec::new(),
            count: 0,
        }
    }

    fn say(&mut self, from: End, payload: &[u8]) {
        if self.count < PIECES && self.pieces.len() + payload.len() < LONGEST {
            self.count += 1;
            push_piece(
                &mut self.pieces,
                if from == self.first { 0 } else { ANSWERS },
                payload,
            );
        }
    }
}

type Line = (u8, &'static [u8]);

/// What the two sides say, in protocols whose begin is text or a few bytes.
const TALKS: &[(Application, Over, u16, &[Line])] = &[
    (Application::Ssh, Over::Stream, 22, &[
        (1, b"SSH-2.0-OpenSSH_9.6\r\n"),
        (0, b"SSH-2.0-client\r\n"),
        (0, b"\x00\x00\x00\x54\x04\x14kkkkkkkkkkkkkkkk\x00\x00\x00\x03a,b\x00\x00\x00\x03rsa\x00\x00\x00\x03aes\x00\x00\x00\x03aes\x00\x00\x00\x04sha1\x00\x00\x00\x04sha1\x00\x00\x00\x04none\x00\x00\x00\x04none\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00pppp"),
    ]),
    (Application::Smtp, Over::Stream, 25, &[
        (1, b"220 mail.example ESMTP\r\n"),
        (0, b"EHLO client.example\r\n"),
        (1, b"250-mail.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
        (0, b"MAIL FROM:<a@client.example>\r\n"),
        (1, b"250 ok\r\n"),
        (0, b"RCPT TO:<b@mail.example>\r\n"),
        (1, b"250 ok\r\n"),
        (0, b"DATA\r\n"),
        (1, b"354 go on\r\n"),
        (0, b"Subject: hello\r\nFrom: a\r\n\r\nbody\r\n.\r\n"),
        (1, b"250 ok\r\n"),
        (0, b"STARTTLS\r\n"),
        (1, b"220 go on\r\n"),
        (0, b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x00\x04\x13\x01\xc0\x2f\x01\x00"),
    ]),
    (Application::Ftp, Over::Stream, 21, &[
        (1, b"220 ready\r\n"),
        (0, b"USER anonymous\r\n"),
        (1, b"331 password\r\n"),
        (0, b"PASS x\r\n"),
        (1, b"230 in\r\n"),
        (0, b"PASV\r\n"),
        (1, b"227 Entering Passive Mode (127,0,0,1,4,1)\r\n"),
        (0, b"RETR file\r\n"),
        (0, b"AUTH TLS\r\n"),
    ]),
    (Application::Imap, Over::Stream, 143, &[
        (1, b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        (0, b"a1 LOGIN user {4}\r\n"),
        (1, b"+ go on\r\n"),
        (0, b"word\r\n"),
        (1, b"a1 OK in\r\n"),
        (0, b"a2 STARTTLS\r\n"),
        (1, b"a2 OK begin\r\n"),
    ]),
    (Application::Pop3, Over::Stream, 110, &[
        (1, b"+OK ready\r\n"),
        (0, b"CAPA\r\n"),
        (1, b"+OK\r\nSTLS\r\n.\r\n"),
        (0, b"USER a\r\n"),
        (1, b"+OK\r\n"),
        (0, b"STLS\r\n"),
        (1, b"+OK\r\n"),
    ]),
    (Application::Http, Over::Stream, 80, &[
        (0, b"POST /a?b=c HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (1, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\n\r\nok"),
        (0, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
        (1, b"HTTP/1.1 200 OK\r\n\r\n"),
        (0, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        (1, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"),
    ]),
    (Application::Http2, Over::Stream, 50_051, &[
        (0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
        (1, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        (0, b"\x00\x00\x0d\x01\x05\x00\x00\x00\x01\x82\x87\x85\x41\x08\x61\x2e\x65\x78\x61\x6d\x70\x6c\x65"),
        (1, b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88"),
    ]),
    (Application::Sip, Over::Datagrams, 5060, &[
        (0, b"INVITE sip:b@example.org SIP/2.0\r\nVia: SIP/2.0/UDP host\r\nFrom: <sip:a@example.org>\r\nTo: <sip:b@example.org>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"),
        (1, b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"),
    ]),
    (Application::Rtsp, Over::Stream, 554, &[(0, b"OPTIONS rtsp://example.org/a RTSP/1.0\r\nCSeq: 1\r\n\r\n")]),
    (Application::Ssdp, Over::Datagrams, 1900, &[(0, b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nST: ssdp:all\r\n\r\n")]),
    (Application::Tls, Over::Stream, 443, &[
        (0, b"\x16\x03\x01\x00\x43\x01\x00\x00\x3f\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x00\x04\x13\x01\xc0\x2f\x01\x00\x00\x12\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example"),
        (1, b"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\xc0\x2f\x00"),
    ]),
    (Application::Dtls, Over::Datagrams, 4433, &[
        (0, b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x38\x01\x00\x00\x2c\x00\x00\x00\x00\x00\x00\x00\x2c\xfe\xfdrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x00\x00\x04\xc0\x2b\xc0\x2f\x01\x00"),
    ]),
    (Application::Dns, Over::Datagrams, 53, &[
        (0, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"),
        (1, b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04"),
    ]),
    (Application::Dns, Over::Stream, 53, &[
        (0, b"\x00\x1b\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"),
    ]),
];

const FILTERS: &[&str] = &[
    "process.name:ssh destination.port:443",
    "(a b) or !(c d) and not e",
    "2001:db8::/32 or ip:10.0.0.5 dst:203.0.*",
    "exe:/SSH$/i cmdline~\"-p 443\" dport:80,443",
    "bytes>10k duration<=5m port:1024-2048",
    "dns.question.name:*.example user:* !user:root",
];
