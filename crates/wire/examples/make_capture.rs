//! Makes captures for the benches: the same bytes for the same arguments.
//!
//! ```text
//! make_capture short FLOWS > short.pcap     many short flows: a third DNS, a tenth TLS hellos, a seventh HTTP
//! make_capture dns PAIRS > dns.pcap         questions and answers, each from a port of its own
//! make_capture large FLOWS > large.pcap     few flows that carry 4 MB each
//! make_capture flood SOURCES > flood.pcap   a SYN from each of so many addresses, to one that does not answer
//! make_capture concurrent FLOWS > many.pcap connections that are opened and stay open, all within 8 seconds
//! make_capture hellos FLOWS > hellos.pcap   the same, and in each a client says hello by TLS
//! make_capture requests FLOWS > requests.pcap    the same, with an HTTP request and its answer each
//! make_capture lookups FLOWS > lookups.pcap questions and answers of DNS, each a conversation, all within 8 seconds
//! make_capture replicate BYTES FILE… > mixed.pcap    the frames of other captures (Ethernet), again and again, each
//!                                           time from other addresses, until it is that long
//! ```

#![expect(clippy::print_stderr, reason = "what was made is said beside it")]

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use atalaya_wire::capture::Reader;
use atalaya_wire::{Frame, LinkType};

/// Seconds since the epoch at which every capture begins.
const BEGIN: u64 = 1_700_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = Capture::new(BufWriter::with_capacity(1 << 20, io::stdout().lock()))?;
    let number = |place: usize| -> Result<u64, Box<dyn Error>> {
        Ok(arguments.get(place).ok_or("a number is missing")?.parse()?)
    };
    match arguments.first().map(String::as_str) {
        Some("short") => short(&mut out, number(1)?)?,
        Some("dns") => dns(&mut out, number(1)?)?,
        Some("large") => large(&mut out, number(1)?)?,
        Some("flood") => flood(&mut out, number(1)?)?,
        Some("concurrent") => concurrent(&mut out, number(1)?, |out, flow| open(out, Ends::new(flow, 443)))?,
        Some("hellos") => concurrent(&mut out, number(1)?, |out, flow| {
            say_hello(out, Ends::new(flow, 443), flow).map(drop)
        })?,
        Some("requests") => concurrent(&mut out, number(1)?, |out, flow| {
            exchange(out, Ends::new(flow, 80), flow).map(drop)
        })?,
        Some("lookups") => concurrent(&mut out, number(1)?, |out, flow| lookup(out, Ends::new(flow, 53), flow))?,
        Some("replicate") => replicate(&mut out, number(1)?, arguments.get(2..).unwrap_or_default())?,
        _ => return Err("short FLOWS | dns PAIRS | large FLOWS | flood SOURCES | concurrent FLOWS | hellos FLOWS | requests FLOWS | \
                    lookups FLOWS | replicate BYTES FILE…".into()),
    }
    out.to.flush()?;
    eprintln!("{} packets, {} bytes", out.packets, out.bytes);
    Ok(())
}

/// A pcap file under way.
struct Capture<W: Write> {
    to: W,
    /// Microseconds since the begin.
    now: u64,
    packets: u64,
    bytes: u64,
}

impl<W: Write> Capture<W> {
    fn new(mut to: W) -> io::Result<Self> {
        to.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        to.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        to.write_all(&262_144_u32.to_le_bytes())?;
        to.write_all(&1_u32.to_le_bytes())?;
        Ok(Self {
            to,
            now: 0,
            packets: 0,
            bytes: 0,
        })
    }

    fn frame(&mut self, data: &[u8]) -> io::Result<()> {
        let seconds = BEGIN + self.now / 1_000_000;
        for word in [
            seconds as u32,
            (self.now % 1_000_000) as u32,
            data.len() as u32,
            data.len() as u32,
        ] {
            self.to.write_all(&word.to_le_bytes())?;
        }
        self.to.write_all(data)?;
        self.packets += 1;
        self.bytes += data.len() as u64 + 16;
        Ok(())
    }

    /// An IPv4 packet in Ethernet.
    fn packet(&mut self, ends: Ends, protocol: u8, transport: &[u8]) -> io::Result<()> {
        let mut data = Vec::with_capacity(34 + transport.len());
        data.extend_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        let total = (20 + transport.len()) as u16;
        data.extend_from_slice(&[0x45, 0]);
        data.extend_from_slice(&total.to_be_bytes());
        data.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
        data.extend_from_slice(&ends.source);
        data.extend_from_slice(&ends.destination);
        let sum = checksum(&data[14..34]);
        data[24..26].copy_from_slice(&sum.to_be_bytes());
        data.extend_from_slice(transport);
        self.frame(&data)
    }

    fn udp(&mut self, ends: Ends, payload: &[u8]) -> io::Result<()> {
        let mut data = Vec::with_capacity(8 + payload.len());
        data.extend_from_slice(&ends.source_port.to_be_bytes());
        data.extend_from_slice(&ends.destination_port.to_be_bytes());
        data.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        data.extend_from_slice(&[0, 0]);
        data.extend_from_slice(payload);
        self.packet(ends, 17, &data)
    }

    fn tcp(&mut self, ends: Ends, flags: u8, numbers: (u32, u32), payload: &[u8]) -> io::Result<()> {
        let mut data = Vec::with_capacity(20 + payload.len());
        data.extend_from_slice(&ends.source_port.to_be_bytes());
        data.extend_from_slice(&ends.destination_port.to_be_bytes());
        data.extend_from_slice(&numbers.0.to_be_bytes());
        data.extend_from_slice(&numbers.1.to_be_bytes());
        data.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        data.extend_from_slice(payload);
        self.packet(ends, 6, &data)
    }
}

#[derive(Clone, Copy)]
struct Ends {
    source: [u8; 4],
    destination: [u8; 4],
    source_port: u16,
    destination_port: u16,
}

impl Ends {
    /// The ends of flow number `flow`: a client of 10/8 that is different for each, one of 4,096 servers.
    fn new(flow: u64, destination_port: u16) -> Self {
        let client = (flow / 28_000) as u32;
        let server = (mix(flow) % 4_096) as u16;
        Self {
            source: [10, (client >> 16) as u8, (client >> 8) as u8, client as u8 | 1],
            destination: [198, 18, (server >> 8) as u8, server as u8],
            source_port: 32_768 + (flow % 28_000) as u16,
            destination_port,
        }
    }

    fn turned(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }
}

/// A number that looks like chance, the same for the same input (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
const PUSH: u8 = 8;
const RESET: u8 = 4;

/// A name that looks like many others.
fn name(flow: u64) -> String {
    const WORDS: [&str; 8] = ["api", "cdn", "mail", "www", "img", "static", "login", "data"];
    let chance = mix(flow ^ 0x5eed);
    let word = WORDS[(chance % 8) as usize];
    format!(
        "{word}{}.site{}.example",
        chance >> 8 & 0xff,
        chance >> 16 & 0x3fff
    )
}

fn short(out: &mut Capture<impl Write>, flows: u64) -> io::Result<()> {
    for flow in 0..flows {
        out.now += 60;
        match flow % 60 {
            0..20 => lookup(out, Ends::new(flow, 53), flow)?,
            20..26 => hello(out, Ends::new(flow, 443), flow)?,
            26..35 => request(out, Ends::new(flow, 80), flow)?,
            35..45 => {
                // Refused.
                let ends = Ends::new(flow, 8_443);
                out.tcp(ends, SYN, (1, 0), &[])?;
                out.tcp(ends.turned(), RESET | ACK, (0, 2), &[])?;
            }
            // Nobody answers.
            _ => out.tcp(Ends::new(flow, 22), SYN, (1, 0), &[])?,
        }
    }
    Ok(())
}

fn dns(out: &mut Capture<impl Write>, pairs: u64) -> io::Result<()> {
    for pair in 0..pairs {
        out.now += 20;
        lookup(out, Ends::new(pair, 53), pair)?;
    }
    Ok(())
}

/// A question for an address, and the answer.
fn lookup(out: &mut Capture<impl Write>, ends: Ends, flow: u64) -> io::Result<()> {
    let id = mix(flow) as u16;
    let mut message = Vec::with_capacity(96);
    message.extend_from_slice(&id.to_be_bytes());
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name(flow).split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    out.udp(ends, &message)?;
    message[2] = 0x81;
    message[3] = 0x80;
    message[7] = 1;
    message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
    let address = mix(flow ^ 1) as u32;
    message.extend_from_slice(&[203, 0, (address >> 8) as u8, address as u8]);
    out.now += 5;
    out.udp(ends.turned(), &message)
}

/// Opens a connection; both sides' next sequence number is 101.
fn open(out: &mut Capture<impl Write>, ends: Ends) -> io::Result<()> {
    out.tcp(ends, SYN, (100, 0), &[])?;
    out.tcp(ends.turned(), SYN | ACK, (100, 101), &[])?;
    out.tcp(ends, ACK, (101, 101), &[])
}

/// A hello of a client; gives its next sequence number.
fn say_hello(out: &mut Capture<impl Write>, ends: Ends, flow: u64) -> io::Result<u32> {
    let hello = client_hello(flow);
    open(out, ends)?;
    out.tcp(ends, ACK | PUSH, (101, 101), &hello)?;
    Ok(101 + hello.len() as u32)
}

/// A hello of a client, after which both give up.
fn hello(out: &mut Capture<impl Write>, ends: Ends, flow: u64) -> io::Result<()> {
    let next = say_hello(out, ends, flow)?;
    out.tcp(ends.turned(), FIN | ACK, (101, next), &[])?;
    out.tcp(ends, FIN | ACK, (next, 102), &[])?;
    out.tcp(ends.turned(), ACK, (102, next + 1), &[])
}

/// A TLS record with the ClientHello of a browser of today.
fn client_hello(flow: u64) -> Vec<u8> {
    fn extension(to: &mut Vec<u8>, kind: u16, data: &[u8]) {
        to.extend_from_slice(&kind.to_be_bytes());
        to.extend_from_slice(&(data.len() as u16).to_be_bytes());
        to.extend_from_slice(data);
    }
    let mut extensions = Vec::with_capacity(400);
    let host = name(flow);
    let mut list = ((host.len() + 3) as u16).to_be_bytes().to_vec();
    list.push(0);
    list.extend_from_slice(&(host.len() as u16).to_be_bytes());
    list.extend_from_slice(host.as_bytes());
    extension(&mut extensions, 0x0a0a, &[]);
    extension(&mut extensions, 0, &list);
    extension(&mut extensions, 23, &[]);
    extension(&mut extensions, 0xff01, &[0]);
    extension(&mut extensions, 10, &[0, 8, 0x0a, 0x0a, 0, 29, 0, 23, 0, 24]);
    extension(&mut extensions, 11, &[1, 0]);
    extension(&mut extensions, 35, &[]);
    extension(&mut extensions, 16, b"\0\x0c\x02h2\x08http/1.1");
    extension(&mut extensions, 5, &[1, 0, 0, 0, 0]);
    extension(
        &mut extensions,
        13,
        &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1],
    );
    extension(&mut extensions, 18, &[]);
    let mut share = vec![0, 41, 0x0a, 0x0a, 0, 1, 0, 0, 29, 0, 32];
    share.extend_from_slice(&[7; 32]);
    extension(&mut extensions, 51, &share);
    extension(&mut extensions, 45, &[1, 1]);
    extension(&mut extensions, 43, &[6, 0x0a, 0x0a, 3, 4, 3, 3]);
    extension(&mut extensions, 27, &[2, 0, 2]);
    extension(&mut extensions, 21, &[0; 120]);
    let ciphers: [u16; 16] = [
        0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c,
        0x9d, 0x2f, 0x35,
    ];
    let mut body = vec![3, 3];
    for part in 0..4 {
        body.extend_from_slice(&mix(flow + part).to_be_bytes());
    }
    body.push(32);
    body.extend_from_slice(&[9; 32]);
    body.extend_from_slice(&(ciphers.len() as u16 * 2).to_be_bytes());
    ciphers
        .iter()
        .for_each(|cipher| body.extend_from_slice(&cipher.to_be_bytes()));
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
    record.extend_from_slice(&[1, 0, (body.len() >> 8) as u8, body.len() as u8]);
    record.extend_from_slice(&body);
    record
}

/// An HTTP request and its response; gives both sides' next sequence numbers.
fn exchange(out: &mut Capture<impl Write>, ends: Ends, flow: u64) -> io::Result<(u32, u32)> {
    let asked = format!(
        "GET /item/{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n\
         Accept: */*\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        mix(flow) & 0xffff,
        name(flow)
    );
    let answered = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 200\r\nConnection: close\r\n\
         \r\n{}",
        "<p>x</p>".repeat(25)
    );
    let (there, back) = (101 + asked.len() as u32, 101 + answered.len() as u32);
    open(out, ends)?;
    out.tcp(ends, ACK | PUSH, (101, 101), asked.as_bytes())?;
    out.tcp(ends.turned(), ACK | PUSH, (101, there), answered.as_bytes())?;
    Ok((there, back))
}

/// An HTTP request and its response, after which both close.
fn request(out: &mut Capture<impl Write>, ends: Ends, flow: u64) -> io::Result<()> {
    let (there, back) = exchange(out, ends, flow)?;
    out.tcp(ends.turned(), FIN | ACK, (back, there), &[])?;
    out.tcp(ends, FIN | ACK, (there, back + 1), &[])?;
    out.tcp(ends.turned(), ACK, (back + 1, there + 1), &[])
}

fn large(out: &mut Capture<impl Write>, flows: u64) -> io::Result<()> {
    const SEGMENTS: u32 = 2_900;
    let payload = vec![0x5a; 1_448];
    for flow in 0..flows {
        let ends = Ends::new(flow, 443);
        open(out, ends)?;
        for segment in 0..SEGMENTS {
            out.now += 12;
            let sent = 101 + segment * 1_448;
            out.tcp(ends.turned(), ACK, (sent, 101), &payload)?;
            if segment % 2 == 1 {
                out.tcp(ends, ACK, (101, sent + 1_448), &[])?;
            }
        }
    }
    Ok(())
}

fn flood(out: &mut Capture<impl Write>, sources: u64) -> io::Result<()> {
    for source in 0..sources {
        out.now += 10;
        // An odd multiplier meets every address once before any comes again.
        let source = (source as u32).wrapping_mul(0x9e37_79b1);
        let ends = Ends {
            source: source.to_be_bytes(),
            destination: [10, 0, 0, 1],
            source_port: 1_024 + (source % 60_000) as u16,
            destination_port: 443,
        };
        out.tcp(ends, SYN, (source, 0), &[])?;
    }
    Ok(())
}

fn concurrent<W: Write>(
    out: &mut Capture<W>,
    flows: u64,
    speak: impl Fn(&mut Capture<W>, u64) -> io::Result<()>,
) -> io::Result<()> {
    for flow in 0..flows {
        out.now = flow * 8_000_000 / flows;
        speak(out, flow)?;
    }
    Ok(())
}

fn replicate(out: &mut Capture<impl Write>, bytes: u64, files: &[String]) -> Result<(), Box<dyn Error>> {
    let mut frames: Vec<(i64, Vec<u8>)> = Vec::new();
    for file in files {
        let Ok(mut reader) = Reader::open(Box::new(File::open(file)?)) else {
            continue;
        };
        while let Ok(Some(Frame { time, link, data, .. })) = reader.next() {
            if link == LinkType::ETHERNET {
                frames.push((time.0, data.to_vec()));
            }
        }
    }
    if frames.is_empty() {
        return Err("no Ethernet frames in these files".into());
    }
    for round in 0.. {
        let mut last = None;
        for (time, data) in &frames {
            // Time goes on as it did in the capture, but never back and never more than a millisecond at once.
            let step = last.map_or(1, |last: i64| (time - last).clamp(1, 1_000));
            last = Some(*time);
            out.now += step as u64;
            let mut data = data.clone();
            move_addresses(&mut data, round);
            out.frame(&data)?;
            if out.bytes >= bytes {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Gives both ends other addresses in each round: the bits of the round are added to the second and third byte.
fn move_addresses(data: &mut [u8], round: u16) {
    let mut place = 12;
    while data.get(place..place + 2) == Some(&[0x81, 0]) {
        place += 4;
    }
    let [high, low] = round.to_be_bytes();
    match data.get(place..place + 2) {
        Some([8, 0]) => {
            for address in [place + 2 + 12, place + 2 + 16] {
                if let Some(bytes) = data.get_mut(address..address + 4)
                    && bytes[0] < 224
                {
                    bytes[1] = bytes[1].wrapping_add(low);
                    bytes[2] = bytes[2].wrapping_add(high);
                }
            }
        }
        Some([0x86, 0xdd]) => {
            for address in [place + 2 + 8, place + 2 + 24] {
                if let Some(bytes) = data.get_mut(address..address + 16)
                    && bytes[0] != 0xff
                {
                    bytes[5] = bytes[5].wrapping_add(low);
                    bytes[6] = bytes[6].wrapping_add(high);
                }
            }
        }
        _ => {}
    }
}
