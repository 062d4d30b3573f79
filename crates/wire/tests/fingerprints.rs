//! The names and fingerprints of TLS, DTLS and QUIC clients in the captures of the corpora.
//!
//! Streams are put together here in the simplest way there is: the tracker's way is tested in its own room.

#![expect(
    clippy::let_underscore_must_use,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test"
)]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use atalaya_model::protocol::tls::{self, ClientHello};
use atalaya_model::{Message, Side, Time};
use atalaya_wire::capture::Reader;
use atalaya_wire::{Conversation, Decoder, Limits, Over, Packet, Piece, Said, Segment};
use serde_json::Value;

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("ATALAYA_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: no corpora");
    }
    folder
}

/// The ends of a conversation, the smaller one first.
type Ends = (bool, SocketAddr, SocketAddr);

fn ends(tcp: bool, a: SocketAddr, b: SocketAddr) -> Ends {
    (tcp, a.min(b), a.max(b))
}

/// One conversation: who began it, and what waits for earlier bytes on each side.
struct Open {
    source: SocketAddr,
    conversation: Conversation,
    next: [Option<u32>; 2],
    pending: [BTreeMap<u32, (Time, Vec<u8>)>; 2],
}

impl Open {
    fn new(over: Over, source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            conversation: Conversation::new(over, source.port(), destination.port()),
            next: [None; 2],
            pending: [BTreeMap::new(), BTreeMap::new()],
        }
    }

    fn say(&mut self, from: SocketAddr, time: Time, data: &[u8], out: &mut Vec<Said>) {
        let side = if from == self.source {
            Side::Source
        } else {
            Side::Destination
        };
        let piece = Piece {
            time,
            side,
            data,
            cut: 0,
        };
        self.conversation.read(&piece, &Limits::default(), out);
    }

    fn segment(&mut self, from: SocketAddr, sequence: u32, time: Time, data: &[u8], out: &mut Vec<Said>) {
        let lane = usize::from(from != self.source);
        self.next[lane].get_or_insert(sequence);
        self.pending[lane]
            .entry(sequence)
            .and_modify(|waits| {
                if data.len() > waits.1.len() {
                    *waits = (time, data.to_vec());
                }
            })
            .or_insert_with(|| (time, data.to_vec()));
        self.flow(lane, from, false, out);
    }

    /// Says what is in order; with `all` also what comes after a gap.
    fn flow(&mut self, lane: usize, from: SocketAddr, all: bool, out: &mut Vec<Said>) {
        loop {
            let next = self.next[lane].unwrap_or_default();
            let distance = |sequence: u32| i64::from(sequence.wrapping_sub(next).cast_signed());
            let Some(sequence) = self.pending[lane].keys().copied().min_by_key(|&at| distance(at)) else {
                return;
            };
            let ahead = distance(sequence);
            if ahead > 0 && !all && self.pending[lane].len() < 200 {
                return;
            }
            let (time, data) = self.pending[lane].remove(&sequence).unwrap();
            if ahead > 0 {
                let side = if lane == 0 {
                    Side::Source
                } else {
                    Side::Destination
                };
                let missing = u64::try_from(ahead).unwrap();
                self.conversation
                    .gap(side, missing, time, &Limits::default(), out);
                self.next[lane] = Some(sequence);
            }
            let old = usize::try_from(-ahead.min(0)).unwrap();
            if let Some(new) = data.get(old..)
                && !new.is_empty()
            {
                self.next[lane] = Some(sequence.wrapping_add(u32::try_from(data.len()).unwrap()));
                self.say(from, time, new, out);
            }
        }
    }

    fn end(&mut self, other: SocketAddr, out: &mut Vec<Said>) {
        self.flow(0, self.source, true, out);
        self.flow(1, other, true, out);
        self.conversation.wait(Time::default(), true, out);
    }
}

/// What was said in every conversation of a capture.
fn read(capture: &Path) -> HashMap<Ends, Vec<Message>> {
    let mut reader = Reader::open(Box::new(File::open(capture).unwrap())).unwrap();
    let mut decoder = Decoder::default();
    let mut open: HashMap<Ends, Open> = HashMap::new();
    let mut said: HashMap<Ends, Vec<Said>> = HashMap::new();
    let mut take = |packet: &Packet<'_>| {
        let address = |ip: IpAddr, port: u16| SocketAddr::new(ip, port);
        let (source, destination) = (packet.ip.source, packet.ip.destination);
        match packet.segment {
            Segment::Tcp {
                source_port,
                destination_port,
                sequence,
                flags,
                payload,
                ..
            } => {
                let (from, to) = (
                    address(source, source_port),
                    address(destination, destination_port),
                );
                let key = ends(true, from, to);
                let out = said.entry(key).or_default();
                let (syn, first) = (flags & 2 != 0, sequence.wrapping_add(u32::from(flags & 2 != 0)));
                let found = open
                    .entry(key)
                    .or_insert_with(|| Open::new(Over::Stream, from, to));
                let lane = usize::from(from != found.source);
                if syn && flags & 16 == 0 && found.next[lane].is_some_and(|next| next != first) {
                    let other = if lane == 0 { to } else { from };
                    found.end(other, out);
                    *found = Open::new(Over::Stream, from, to);
                }
                if syn {
                    found.next[usize::from(from != found.source)] = Some(first);
                }
                if !payload.is_empty() {
                    found.segment(from, first, packet.time, payload, out);
                }
            }
            Segment::Udp {
                source_port,
                destination_port,
                payload,
                ..
            } => {
                let (from, to) = (
                    address(source, source_port),
                    address(destination, destination_port),
                );
                let key = ends(false, from, to);
                let out = said.entry(key).or_default();
                let found = open
                    .entry(key)
                    .or_insert_with(|| Open::new(Over::Datagrams, from, to));
                found.say(from, packet.time, payload, out);
            }
            _ => {}
        }
    };
    while let Ok(Some(frame)) = reader.next() {
        let _ = decoder.decode(&frame, &mut take);
    }
    for (key, mut open) in open {
        let other = if open.source == key.1 { key.2 } else { key.1 };
        open.end(other, said.entry(key).or_default());
    }
    let messages = said.into_iter().map(|(key, said)| {
        let messages = said.into_iter().map(|(_, message)| message);
        (key, messages.collect())
    });
    messages.collect()
}

fn clients(messages: &[Message]) -> Vec<&ClientHello> {
    let clients = messages.iter().filter_map(|message| match message {
        Message::Tls(tls) => tls.client.as_ref(),
        Message::Quic(quic) => quic.client.as_ref(),
        _ => None,
    });
    clients.collect()
}

/// The rows of a table, by capture.
fn table(folder: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in fs::read_to_string(folder.join("expected.jsonl")).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let capture = row["capture"].as_str().unwrap().to_owned();
        rows.entry(capture).or_default().push(row);
    }
    rows
}

fn row_ends(row: &Value) -> Ends {
    let end = |name: &str| {
        let ip: IpAddr = row[name].as_str().unwrap().parse().unwrap();
        let port = row[format!("{name}_port")].as_u64().unwrap();
        SocketAddr::new(ip, u16::try_from(port).unwrap())
    };
    ends(row["transport"] == "tcp", end("source"), end("destination"))
}

/// Compared, right, and a line for each difference.
#[derive(Default)]
struct Tally {
    compared: usize,
    right: usize,
}

impl Tally {
    fn count(&mut self, what: &str, row: &Value, wanted: &str, found: &[&str]) {
        self.compared += 1;
        if found.contains(&wanted) {
            self.right += 1;
        } else {
            let capture = &row["capture"];
            let (from, to) = (&row["source_port"], &row["destination_port"]);
            let application = &row["application"];
            println!("{what}: {capture} {from} {to} {application}: wanted {wanted}, found {found:?}");
        }
    }

    fn show(&self, what: &str, share: f64) {
        let (right, compared) = (self.right, self.compared);
        println!("{what}: {right} of {compared}");
        assert!(compared > 0, "{what}");
        assert!(
            right as f64 >= share * compared as f64,
            "{what}: {right} of {compared}"
        );
    }
}

#[test]
fn ja4_as_published() {
    let Some(folder) = corpora().map(|folder| folder.join("ja4")) else {
        return;
    };
    let (mut agreed, mut streams, mut second, mut silent) =
        (Tally::default(), Tally::default(), Tally::default(), 0);
    let table = table(&folder);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains("pcap") {
            continue;
        }
        let said = read(&path);
        let Some(rows) = table.get(&name) else {
            let count: usize = said.values().map(|messages| clients(messages).len()).sum();
            assert_eq!(count, 0, "{name} holds no TLS");
            silent += 1;
            continue;
        };
        for row in rows {
            let empty = Vec::new();
            let clients = clients(said.get(&row_ends(row)).unwrap_or(&empty));
            let found: Vec<_> = clients.iter().map(|client| &*client.ja4).collect();
            let by = row["agreed_by"].as_array().unwrap();
            let wanted = row["ja4"].as_str().unwrap();
            if by.len() == 1 && by[0] == "python" {
                second.count("second hello", row, wanted, &found);
            } else {
                agreed.count("ja4", row, wanted, &found);
            }
            if let Some(wanted) = row["ja3"].as_str().filter(|_| by.len() > 1) {
                let found: Vec<_> = clients
                    .iter()
                    .filter_map(|client| client.ja3.as_deref())
                    .collect();
                streams.count("ja3", row, wanted, &found);
            }
        }
    }
    assert_eq!(silent, 3);
    agreed.show("ja4/ ja4", 1.0);
    streams.show("ja4/ ja3", 1.0);
    println!(
        "ja4/ of second hellos (optional): {} of {}",
        second.right, second.compared
    );
}

/// nDPI writes two letters of a JA4 in its own way; this is ours written so.
///
/// It has `i` only where the server's name is an address (the rule is: where there is no such extension), and the first
/// two letters of the first protocol (the rule is: the first and the last), with 0 where only one protocol of two
/// letters is offered. Without extensions it hashes nothing (the rule is: twelve zeros).
fn as_ndpi(client: &ClientHello) -> Vec<String> {
    let mut ja4 = client.ja4.to_string();
    let is_address = client
        .server_name
        .as_ref()
        .is_some_and(|name| name.parse::<IpAddr>().is_ok());
    ja4.replace_range(3..4, if is_address { "i" } else { "d" });
    let ja4 = ja4.replace("_000000000000", "_e3b0c44298fc");
    let Some(protocol) = client.protocols.first().and_then(|name| name.get(..2)) else {
        return vec![ja4];
    };
    let with = |ends: &str| {
        let mut ja4 = ja4.clone();
        ja4.replace_range(8..10, ends);
        ja4
    };
    vec![with(protocol), with(&format!("{}0", &protocol[..1]))]
}

#[test]
fn names_and_fingerprints_of_flows() {
    let Some(folder) = corpora().map(|folder| folder.join("flows")) else {
        return;
    };
    let (mut names, mut ja3, mut ja4) = (Tally::default(), Tally::default(), Tally::default());
    let (mut same, mut upgraded) = (0, Tally::default());
    for (capture, rows) in table(&folder) {
        let is_ours = |row: &&Value| {
            let application = row["application"].as_str().unwrap_or_default();
            let secure = ["TLS", "DTLS", "QUIC"]
                .iter()
                .any(|name| application.starts_with(name));
            row["ja4"].is_string() || (secure && row["server_name"].is_string())
        };
        let rows: Vec<_> = rows.iter().filter(is_ours).collect();
        if rows.is_empty() {
            continue;
        }
        let said = read(&folder.join(&capture));
        for row in rows {
            let empty = Vec::new();
            let clients = clients(said.get(&row_ends(row)).unwrap_or(&empty));
            if [21, 25, 110, 143].contains(&row["destination_port"].as_u64().unwrap()) {
                // These began in the clear: whether they get here is up to the readers of mail and FTP.
                let found: Vec<_> = clients
                    .iter()
                    .filter_map(|client| client.ja3.as_deref())
                    .collect();
                upgraded.count("after STARTTLS", row, row["ja3"].as_str().unwrap(), &found);
                continue;
            }
            if let Some(wanted) = row["server_name"].as_str() {
                let found: Vec<_> = clients
                    .iter()
                    .filter_map(|client| client.server_name.as_deref())
                    .collect();
                names.count("server name", row, wanted, &found);
            }
            if let Some(wanted) = row["ja3"].as_str().filter(|_| row["transport"] == "tcp") {
                let found: Vec<_> = clients
                    .iter()
                    .filter_map(|client| client.ja3.as_deref())
                    .collect();
                ja3.count("ja3", row, wanted, &found);
            }
            if let Some(wanted) = row["ja4"].as_str() {
                same += usize::from(clients.iter().any(|client| &*client.ja4 == wanted));
                let found: Vec<_> = clients.iter().flat_map(|client| as_ndpi(client)).collect();
                let found: Vec<_> = found.iter().map(String::as_str).collect();
                ja4.count("ja4", row, wanted, &found);
            }
        }
    }
    println!(
        "flows/ after STARTTLS: {} of {}",
        upgraded.right, upgraded.compared
    );
    println!(
        "flows/ ja4 without nDPI's own letters: {same} of {}",
        ja4.compared
    );
    names.show("flows/ server names", 0.99);
    ja3.show("flows/ ja3", 0.99);
    ja4.show("flows/ ja4", 0.99);
}

/// The columns of Zeek's `ssl.log` and `quic.log` that are compared.
fn columns(message: &Message) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::from(text);
    let or_null = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let tls = match message {
        Message::Tls(tls) => (**tls).clone(),
        Message::Quic(quic) => quic.tls(),
        _ => return Vec::new(),
    };
    let (server, client) = (tls.server.as_ref(), tls.client.as_ref());
    let version = tls.version.map(|version| tls::zeek_version(version).into_owned());
    let mut columns = Vec::new();
    if let Message::Quic(quic) = message {
        columns.extend([
            ("client_initial_dcid", text(&quic.client_initial_destination)),
            ("client_scid", text(&quic.client_connection)),
            (
                "server_scid",
                or_null(Some(&*quic.server_connection).filter(|id| !id.is_empty())),
            ),
            (
                "client_protocol",
                or_null(
                    client
                        .and_then(|client| client.protocols.first())
                        .map(|name| &**name),
                ),
            ),
            ("history", text(&quic.history)),
            ("version", quic.version_name().into()),
        ]);
    }
    let name = |name: &str| Value::from(tls::zeek_name(name));
    let subject =
        |chain: &[tls::Certificate]| chain.first().map_or(Value::Null, |first| name(&first.subject));
    let issuer = |chain: &[tls::Certificate]| chain.first().map_or(Value::Null, |first| name(&first.issuer));
    if server.is_some() {
        columns.extend([
            (
                "cipher",
                or_null(server.and_then(|server| tls::cipher_name(server.cipher))),
            ),
            ("curve", or_null(tls.curve.and_then(tls::curve_name))),
            (
                "server_name",
                or_null(client.and_then(|client| client.server_name.as_deref())),
            ),
            ("resumed", tls.resumed.into()),
            (
                "last_alert",
                or_null(tls.alert.and_then(|(_, alert)| tls::alert_name(alert))),
            ),
            (
                "next_protocol",
                or_null(server.and_then(|server| server.protocol.as_deref())),
            ),
            ("tls_version", or_null(version.as_deref())),
            ("established", tls.established.into()),
            ("ssl_history", text(&tls.history)),
            ("subject", subject(&tls.certificates)),
            ("issuer", issuer(&tls.certificates)),
            ("client_subject", subject(&tls.client_certificates)),
            ("client_issuer", issuer(&tls.client_certificates)),
        ]);
    }
    columns
}

/// One row is left out: Zeek takes a question of DNS on port 443 for an unknown version of QUIC.
#[test]
fn handshakes_as_zeek_logs_them() {
    let Some(folder) = corpora().map(|folder| folder.join("conn")) else {
        return;
    };
    let (mut tally, mut upgraded) = (Tally::default(), Tally::default());
    for (capture, rows) in table(&folder) {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| row["log"] == "ssl" || row["log"] == "quic")
            .collect();
        if rows.is_empty() || capture == "quic-vector-max-size-crash.pcap" {
            continue;
        }
        let said = read(&folder.join(&capture));
        for row in rows {
            let fields = &row["fields"];
            let end = |ip: &str, port: &str| {
                let port = u16::try_from(fields[port].as_u64().unwrap()).unwrap();
                SocketAddr::new(fields[ip].as_str().unwrap().parse().unwrap(), port)
            };
            let (from, to) = (end("id.orig_h", "id.orig_p"), end("id.resp_h", "id.resp_p"));
            let messages = [true, false].map(|tcp| said.get(&ends(tcp, from, to)));
            let columns: Vec<_> = messages.into_iter().flatten().flatten().map(columns).collect();
            for (name, wanted) in fields.as_object().unwrap() {
                let name = if row["log"] == "ssl" && name == "version" {
                    "tls_version"
                } else {
                    name
                };
                let of = |columns: &Vec<(&'static str, Value)>| {
                    columns
                        .iter()
                        .find(|column| column.0 == name)
                        .map(|column| column.1.to_string())
                };
                let found: Vec<_> = columns.iter().filter_map(of).collect();
                if !columns
                    .iter()
                    .any(|columns| columns.iter().any(|column| column.0 == name))
                    && !columns.is_empty()
                {
                    continue;
                }
                let found: Vec<_> = found.iter().map(String::as_str).collect();
                let tally = if [143, 6667].contains(&to.port()) {
                    &mut upgraded
                } else {
                    &mut tally
                };
                tally.count(name, row, &wanted.to_string(), &found);
            }
        }
    }
    println!(
        "conn/ after STARTTLS: {} of {}",
        upgraded.right, upgraded.compared
    );
    tally.show("conn/ columns of ssl and quic", 1.0);
}

/// The fields of Suricata's `tls` and `quic` events.
fn eve(message: &Message) -> Option<BTreeMap<&'static str, String>> {
    let mut fields = BTreeMap::new();
    let (kind, tls) = match message {
        Message::Tls(tls) => ("tls", (**tls).clone()),
        Message::Quic(quic) => ("quic", quic.tls()),
        _ => return None,
    };
    fields.insert("event_type", kind.to_owned());
    if let Message::Quic(quic) = message
        && let Some((text, hash)) = &quic.cyu
    {
        fields.insert("quic.cyu[0].string", text.to_string());
        fields.insert("quic.cyu[0].hash", hash.to_string());
    }
    if let Some(version) = tls.version {
        fields.insert("tls.version", tls::eve_version(version).into_owned());
    }
    if let Some(client) = &tls.client {
        fields.insert("tls.ja4", client.ja4.to_string());
        fields.insert("quic.ja4", client.ja4.to_string());
        let texts = [
            ("tls.sni", &client.server_name),
            ("tls.ja3.hash", &client.ja3),
            ("tls.ja3.string", &client.ja3_text),
        ];
        fields.extend(
            texts
                .into_iter()
                .filter_map(|(name, text)| Some((name, text.as_deref()?.to_owned()))),
        );
        let names = ["tls.client_alpns[0]", "tls.client_alpns[1]"];
        fields.extend(
            names
                .into_iter()
                .zip(client.protocols.iter().map(|name| name.to_string())),
        );
        let extensions = client
            .ja3_text
            .as_ref()
            .and_then(|text| text.split(',').nth(2).map(str::to_owned));
        let numbers = extensions
            .iter()
            .flat_map(|list| list.split('-'))
            .flat_map(str::parse::<u16>);
        let named = numbers.filter_map(tls::extension_name).map(str::to_owned);
        fields.extend(
            ["quic.extensions[0].name", "quic.extensions[1].name"]
                .into_iter()
                .zip(named),
        );
    }
    if let Some(first) = tls.certificates.first() {
        let pairs = first.sha1.as_bytes().chunks(2).map(String::from_utf8_lossy);
        fields.insert("tls.fingerprint", pairs.collect::<Vec<_>>().join(":"));
        fields.insert("tls.subject", first.subject.to_string());
        fields.insert("tls.issuerdn", first.issuer.to_string());
        fields.insert("tls.serial", first.serial.to_string());
        let stamp = |time: Time| time.rfc3339().split('.').next().unwrap_or_default().to_owned();
        fields.insert("tls.notbefore", stamp(first.not_before));
        fields.insert("tls.notafter", stamp(first.not_after));
    }
    Some(fields)
}

/// Three rows differ, and shall: Suricata hashes an underscore into a JA4 without signature algorithms (the description
/// has none), counts grease among the names of extensions, and tells the server's Initial as an event of its own.
#[test]
fn handshakes_as_suricata_tells_them() {
    let Some(folder) = corpora().map(|folder| folder.join("app")) else {
        return;
    };
    let mut tally = Tally::default();
    for (capture, rows) in table(&folder) {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| row["event_type"] == "tls" || row["event_type"] == "quic")
            .collect();
        if rows.is_empty() {
            continue;
        }
        let said: Vec<_> = read(&folder.join(&capture))
            .into_values()
            .flatten()
            .filter_map(|said| eve(&said))
            .collect();
        for row in rows {
            let wanted = row["match"].as_object().unwrap();
            let wanted: Vec<_> = wanted
                .iter()
                .filter(|(name, _)| name.starts_with("tls.") || name.starts_with("quic."))
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            let fits = |fields: &&BTreeMap<&'static str, String>| {
                row["event_type"] == fields["event_type"].as_str()
                    && wanted
                        .iter()
                        .all(|(name, value)| fields.get(name).is_some_and(|found| found == value))
            };
            let count = u64::try_from(said.iter().filter(fits).count()).unwrap();
            let least = row["count"].as_u64().unwrap();
            tally.compared += 1;
            if count == least || (row["compare"] == "at_least" && count >= least) {
                tally.right += 1;
            } else {
                println!("{capture}: {count} of {least} {wanted:?}\n{said:#?}");
            }
        }
    }
    tally.show("app/ rows of tls and quic", 0.9);
}
