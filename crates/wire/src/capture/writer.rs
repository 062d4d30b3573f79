//! Writes captures: pcapng with the process of each packet, or plain pcap. [`super::whose`] says how.

use std::collections::HashMap;
use std::io::{self, Write};

use atalaya_model::{Process, ProcessKey};

use super::interface::Interface;
use super::pcapng::SECTION;
use super::whose::{self, ENTERPRISE, LONGEST_BLOCK, Whose};
use crate::frame::{Frame, LinkType};

/// Bytes that are collected before they are written.
const CHUNK: usize = 256 << 10;
/// Longest comment, in bytes.
const COMMENT: usize = 1_024;

/// The format of a written capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Any number of interfaces, and processes.
    #[default]
    Pcapng,
    /// One kind of link, frames only.
    Pcap,
}

/// Why a capture cannot be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum WriteError {
    #[error("cannot write the capture: {0}")]
    Output(#[from] io::Error),
    #[error("cannot {action} `{}`: {problem}", path.display())]
    File {
        action: &'static str,
        path: std::path::PathBuf,
        problem: io::Error,
    },
    #[error(
        "pcap holds frames of one kind of link only: the file has {}, and now {} comes; write pcapng, or choose one \
         interface", first.0, other.0
    )]
    Link { first: LinkType, other: LinkType },
}

/// Writes frames to `W`, which need not be buffered: it gets whole records in large pieces, so that what is written is
/// a readable capture at any time.
pub struct Writer<W: Write> {
    output: W,
    format: Format,
    /// What was not yet given to `output`.
    pending: Vec<u8>,
    /// Described interfaces: their number in the source and their link type. Their place is their number in the file.
    interfaces: Vec<(u32, LinkType)>,
    processes: HashMap<ProcessKey, Told, foldhash::fast::RandomState>,
    numbers: u32,
    /// Bytes in which processes were told since they were forgotten last.
    told_bytes: usize,
    bytes: u64,
    packets: u64,
}

/// A process that has its block, and the options of its packets but for the end of them.
struct Told {
    number: u32,
    with_hash: bool,
    options: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A capture without frames. The head is written at once.
    pub fn new(output: W, format: Format) -> Self {
        let mut writer = Self {
            output,
            format,
            pending: Vec::new(),
            interfaces: Vec::new(),
            processes: HashMap::default(),
            numbers: 0,
            told_bytes: 0,
            bytes: 0,
            packets: 0,
        };
        if format == Format::Pcapng {
            let mut body = Vec::new();
            put(&mut body, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
            option(&mut body, 4, b"atalaya");
            put(&mut body, &[0]);
            writer.block(SECTION, &body);
        }
        writer
    }

    /// Writes a frame of this interface. Its number and link type tell whether the interface is described already.
    ///
    /// # Errors
    /// The output fails, or the format cannot hold frames of this kind beside the earlier ones.
    pub fn write(
        &mut self,
        frame: &Frame<'_>,
        interface: &Interface,
        whose: Whose<'_>,
    ) -> Result<(), WriteError> {
        match self.format {
            Format::Pcapng => self.enhanced(frame, interface, whose),
            Format::Pcap => self.record(frame, interface)?,
        }
        self.packets += 1;
        if self.pending.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    fn enhanced(&mut self, frame: &Frame<'_>, interface: &Interface, whose: Whose<'_>) {
        let key = (frame.interface, frame.link);
        let known = self.interfaces.iter().position(|known| *known == key);
        let number = known.unwrap_or_else(|| self.describe(key, interface));
        if let Some(process) = whose.process {
            self.tell(process);
        }
        let told = whose.process.and_then(|process| self.processes.get(&process.key));
        let marks = told.map_or(&[][..], |told| &told.options);
        let way = whose::way(whose.sent);
        let end = if way.is_empty() && marks.is_empty() { 0 } else { 4 };
        let options = way.len() + marks.len() + end;
        let (before, tag, after) = split(frame);
        let captured = before.len() + tag.len() + after.len();
        let padding = captured.next_multiple_of(4) - captured;
        let length = size(32 + captured + padding + options);
        let stamp = frame.time.0.max(0).cast_unsigned();
        let out = &mut self.pending;
        let at = out.len();
        put(
            out,
            &[6, length, size(number), high(stamp), low(stamp), size(captured)],
        );
        put(out, &[frame.length.saturating_add(size(tag.len()))]);
        out.extend_from_slice(before);
        out.extend_from_slice(&tag);
        out.extend_from_slice(after);
        out.extend_from_slice(&[0; 3][..padding.min(3)]);
        out.extend_from_slice(way);
        out.extend_from_slice(marks);
        out.extend_from_slice(&[0; 4][..end]);
        put(out, &[length]);
        self.bytes += (self.pending.len() - at) as u64;
    }

    fn record(&mut self, frame: &Frame<'_>, interface: &Interface) -> Result<(), WriteError> {
        let at = self.pending.len();
        match self.interfaces.first() {
            None => {
                self.interfaces.push((frame.interface, frame.link));
                self.header(frame.link, interface.snap_length);
            }
            Some((_, first)) if *first != frame.link => {
                return Err(WriteError::Link {
                    first: *first,
                    other: frame.link,
                });
            }
            Some(_) => {}
        }
        let (before, tag, after) = split(frame);
        let captured = before.len() + tag.len() + after.len();
        let seconds = u32::try_from(frame.time.0.div_euclid(1_000_000).max(0)).unwrap_or(u32::MAX);
        let micros = u32::try_from(frame.time.0.rem_euclid(1_000_000)).unwrap_or(0);
        let out = &mut self.pending;
        let length = frame.length.saturating_add(size(tag.len()));
        put(out, &[seconds, micros, size(captured), length]);
        out.extend_from_slice(before);
        out.extend_from_slice(&tag);
        out.extend_from_slice(after);
        self.bytes += (self.pending.len() - at) as u64;
        Ok(())
    }

    /// The header of a pcap file.
    fn header(&mut self, link: LinkType, snap_length: u32) {
        let snap_length = if snap_length == 0 { 256 << 10 } else { snap_length };
        let link = u32::from(link.0);
        put(
            &mut self.pending,
            &[0xa1b2_c3d4, 0x0004_0002, 0, 0, snap_length, link],
        );
    }

    fn describe(&mut self, key: (u32, LinkType), interface: &Interface) -> usize {
        let mut body = Vec::new();
        put(&mut body, &[u32::from(key.1.0), interface.snap_length]);
        if !interface.name.is_empty() {
            let name = interface.name.as_bytes();
            option(&mut body, 2, name.get(..Interface::NAME).unwrap_or(name));
        }
        option(&mut body, 9, &[6]);
        put(&mut body, &[0]);
        self.block(1, &body);
        self.interfaces.push(key);
        self.interfaces.len() - 1
    }

    /// Writes the process's block where it is new, or its hash is.
    fn tell(&mut self, process: &Process) {
        let with_hash = process.sha256.is_some();
        let known = self.processes.get(&process.key);
        if known.is_some_and(|told| told.with_hash || !with_hash) {
            return;
        }
        let known = known.map(|told| told.number);
        let number = known.unwrap_or_else(|| {
            self.numbers += 1;
            self.numbers - 1
        });
        let mut body = Vec::new();
        put(&mut body, &[ENTERPRISE]);
        body.extend_from_slice(whose::block(number, process).as_bytes());
        // Whoever reads forgets by the same rule, and passes over what is longer.
        if whose::is_full(self.processes.len(), known.is_some(), self.told_bytes) {
            self.processes.clear();
            self.told_bytes = 0;
        }
        let told = body.len().next_multiple_of(4) - 4;
        if told + 16 <= LONGEST_BLOCK {
            self.told_bytes += told;
        }
        self.block(whose::BLOCK, &body);

        let mut comment = format!("{} (pid {})", process.name, process.key.pid);
        if let Some(executable) = &process.executable {
            comment = format!("{comment} {executable}");
        }
        let mut options = Vec::new();
        let end = comment.floor_char_boundary(COMMENT);
        option(&mut options, 1, comment.get(..end).unwrap_or_default().as_bytes());
        let mark = whose::mark(number);
        option(
            &mut options,
            whose::OPTION,
            &[&ENTERPRISE.to_le_bytes(), mark.as_bytes()].concat(),
        );
        let told = Told {
            number,
            with_hash,
            options,
        };
        self.processes.insert(process.key, told);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let length = size(padded + 12);
        let out = &mut self.pending;
        put(out, &[kind, length]);
        out.extend_from_slice(body);
        out.resize(out.len() + padded - body.len(), 0);
        put(out, &[length]);
        self.bytes += u64::from(length);
    }

    /// Gives the output all that was written.
    ///
    /// # Errors
    /// As the output says.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.output.write_all(&self.pending)?;
        self.pending.clear();
        self.output.flush()?;
        Ok(())
    }

    /// Ends the capture, which is readable even without a frame, and gives the output back.
    ///
    /// # Errors
    /// As the output says.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.format == Format::Pcap && self.interfaces.is_empty() {
            self.header(LinkType::ETHERNET, 0);
        }
        self.flush()?;
        Ok(self.output)
    }

    /// Bytes written so far, with those that wait.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Frames written so far.
    pub const fn packets(&self) -> u64 {
        self.packets
    }
}

/// The frame's bytes around the place of the VLAN tag that the network card took out, and that tag.
fn split<'a>(frame: &Frame<'a>) -> (&'a [u8], Tag, &'a [u8]) {
    match (frame.vlan, frame.data.split_at_checked(12)) {
        (Some(tag), Some((addresses, rest))) if frame.link == LinkType::ETHERNET => {
            let [first, second] = tag.to_be_bytes();
            (addresses, Tag::Some([0x81, 0x00, first, second]), rest)
        }
        _ => (frame.data, Tag::None, &[]),
    }
}

enum Tag {
    None,
    Some([u8; 4]),
}

impl std::ops::Deref for Tag {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Some(tag) => tag,
        }
    }
}

fn put(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = value.get(..usize::from(length)).unwrap_or_default();
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value);
    let padding = value.len().next_multiple_of(4) - value.len();
    out.resize(out.len() + padding, 0);
}

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

const fn high(stamp: u64) -> u32 {
    (stamp >> 32) as u32
}

const fn low(stamp: u64) -> u32 {
    (stamp & 0xffff_ffff) as u32
}
