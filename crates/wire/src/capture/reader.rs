//! Frame after frame of a capture file.

use std::io::Read;

use atalaya_model::Time;

use super::error::{CaptureError, Problem};
use super::interface::Interface;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::snoop;
use super::source::Source;
use super::whose::Whose;
use crate::frame::{Frame, LinkType};

/// Most bytes of a frame that a record may hold, whatever its file says of the snap length: 256 KiB, as other tools.
pub(super) const LARGEST: u32 = 256 << 10;

/// Reads a capture file, packed or not. Frames are lent: a frame's bytes are in the reader's buffer (1 MiB at most,
/// used again) until the next one is asked for.
pub struct Reader {
    source: Source,
    format: Format,
    interfaces: Vec<Interface>,
    records: u64,
    over: bool,
}

/// A frame, and what its file says of it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Record<'a> {
    pub frame: Frame<'a>,
    pub interface: &'a Interface,
    /// Anybody can have written that.
    pub whose: Whose<'a>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Snoop,
}

/// A frame's place in the source, and what its record says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) time: Time,
    pub(super) interface: u32,
    pub(super) length: u32,
    /// Where in the record its bytes begin, how many there are, and how long the record is.
    pub(super) from: usize,
    pub(super) captured: usize,
    pub(super) whole: usize,
}

impl Reader {
    /// Finds out what kind of file it is, and reads its header.
    ///
    /// # Errors
    /// It is empty, is no capture, of an unknown version, ends within its header, or cannot be read.
    pub fn open(read: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let mut source = Source::open(read).map_err(|problem| problem.at(1, 0))?;
        let opened = Self::format(&mut source);
        let (format, interface) = opened.map_err(|problem| problem.at(1, source.offset()))?;
        Ok(Self {
            source,
            format,
            interfaces: interface.into_iter().collect(),
            records: 0,
            over: false,
        })
    }

    fn format(source: &mut Source) -> Result<(Format, Option<Interface>), Problem> {
        if let Some((pcap, interface)) = Pcap::open(source)? {
            return Ok((Format::Pcap(pcap), Some(interface)));
        }
        if let Some(pcapng) = Pcapng::open(source)? {
            return Ok((Format::Pcapng(pcapng), None));
        }
        if let Some(interface) = snoop::open(source)? {
            return Ok((Format::Snoop, Some(interface)));
        }
        match source.bytes() {
            [] => Err(Problem::Empty),
            begin => Err(Problem::NotACapture(begin.iter().take(8).copied().collect())),
        }
    }

    /// The next frame, `None` at the end and after an error.
    ///
    /// # Errors
    /// The file ends within a record, contradicts itself, or cannot be read or unpacked. All before was given.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a frame is lent")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let Some(found) = self.find()? else {
            return Ok(None);
        };
        Ok(Some(lend(&mut self.source, &self.interfaces, &found)))
    }

    /// As [`Reader::next`], with all that the file says of the frame.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        static UNKNOWN: Interface = Interface {
            name: String::new(),
            link: LinkType::NULL,
            snap_length: 0,
        };
        let Some(found) = self.find()? else {
            return Ok(None);
        };
        let whose = match &self.format {
            Format::Pcapng(pcapng) => pcapng.whose(&self.source, &found),
            Format::Pcap(_) | Format::Snoop => Whose::default(),
        };
        Ok(Some(Record {
            frame: lend(&mut self.source, &self.interfaces, &found),
            interface: self.interfaces.get(found.interface as usize).unwrap_or(&UNKNOWN),
            whose,
        }))
    }

    #[inline]
    fn find(&mut self) -> Result<Option<Found>, CaptureError> {
        if self.over {
            return Ok(None);
        }
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.source),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.source, &mut self.interfaces),
            Format::Snoop => snoop::next(&mut self.source),
        };
        match found {
            Ok(Some(found)) => {
                self.records += 1;
                Ok(Some(found))
            }
            Ok(None) => {
                self.over = true;
                Ok(None)
            }
            Err(problem) => {
                self.over = true;
                Err(problem.at(self.records.saturating_add(1), self.source.offset()))
            }
        }
    }

    /// The interfaces described so far; a frame's number counts in this list, over all sections.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Frames given so far.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Bytes taken from the file so far, as it is packed: what a progress bar shows.
    pub fn bytes(&self) -> u64 {
        self.source.taken()
    }
}

/// Uses up the record that was found, and gives its frame.
#[inline]
fn lend<'a>(source: &'a mut Source, interfaces: &[Interface], found: &Found) -> Frame<'a> {
    let link = interfaces
        .get(found.interface as usize)
        .map_or(LinkType::NULL, |interface| interface.link);
    let data = source.take(found.from, found.captured, found.whole);
    Frame {
        time: found.time,
        link,
        interface: found.interface,
        length: found.length.max(u32::try_from(data.len()).unwrap_or(u32::MAX)),
        data,
        vlan: None,
    }
}
