//! The flight recorder: the last packets in a ring of files, to be frozen when something happened.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atalaya_model::{Process, Span, Time};

use super::error::CaptureError;
use super::interface::Interface;
use super::reader::{Reader, Record};
use super::rotation::{create, remove};
use super::whose::Whose;
use super::writer::{Format, WriteError, Writer};
use crate::frame::Frame;

/// Parts of the ring: when it is full, the oldest part goes.
const SEGMENTS: u64 = 16;
/// Smallest part, in bytes.
const SMALLEST: u64 = 64 << 10;
/// What waits in memory is written out so often, by the times of frames.
const FLUSH: Span = Span::from_seconds(1);

const PREFIX: &str = "segment-";
const SUFFIX: &str = ".pcapng";

/// Keeps the last packets in files of one folder, of which it removes the oldest. Each file is a whole pcapng capture at
/// any time, whatever becomes of this process; up to a second and 256 KiB of frames wait in memory.
pub struct Recorder {
    folder: PathBuf,
    limit: u64,
    /// Full segments with their sizes, the oldest first.
    segments: VecDeque<(PathBuf, u64)>,
    current: Option<(PathBuf, Writer<File>)>,
    number: u64,
    flushed: Time,
}

/// What was in the ring at one moment: open files, which stay readable when the ring has moved on.
#[derive(Debug)]
pub struct Frozen {
    parts: Vec<(File, u64)>,
}

/// Whose a frame is, as it was found out later.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its process.
    pub process: Arc<Process>,
    /// It sent the frame; else it received it.
    pub sent: bool,
}

impl Recorder {
    /// Records into `folder`, which is made where it is missing, `limit` bytes at most. What an earlier run left there
    /// stays in the ring; a last block that was cut is taken off.
    ///
    /// # Errors
    /// The folder cannot be made or read, or a file in it cannot be mended or removed.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, WriteError> {
        let failed = |problem| WriteError::File {
            action: "record packets in",
            path: folder.to_owned(),
            problem,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some(number) = number(&path) {
                found.push((number, path));
            }
        }
        found.sort();
        let next = found.last().map_or(0, |(number, _)| number.saturating_add(1));
        if let Some((_, last)) = found.last() {
            mend(last).map_err(failed)?;
        }
        let mut segments = VecDeque::new();
        for (_, path) in found {
            let bytes = fs::metadata(&path).map_err(failed)?.len();
            segments.push_back((path, bytes));
        }
        let mut recorder = Self {
            folder: folder.to_owned(),
            limit: limit.max(2 * SMALLEST),
            segments,
            current: None,
            number: next,
            flushed: Time(i64::MIN),
        };
        recorder.make_room()?;
        Ok(recorder)
    }

    /// Bytes of a full segment.
    fn segment(&self) -> u64 {
        (self.limit / SEGMENTS).max(SMALLEST)
    }

    /// Removes the oldest segments until a new one fits.
    fn make_room(&mut self) -> Result<(), WriteError> {
        // A segment may be longer by its last record.
        let wanted = self.segment() + self.segment() / 8;
        let mut used: u64 = self.segments.iter().map(|(_, bytes)| bytes).sum();
        while used.saturating_add(wanted) > self.limit
            && let Some((oldest, bytes)) = self.segments.pop_front()
        {
            remove(&oldest)?;
            used -= bytes;
        }
        Ok(())
    }

    /// Records a frame.
    ///
    /// # Errors
    /// A file cannot be made, written or removed. The next frame tries again, with a new file.
    pub fn write(
        &mut self,
        frame: &Frame<'_>,
        interface: &Interface,
        whose: Whose<'_>,
    ) -> Result<(), WriteError> {
        let full = self.segment();
        if self
            .current
            .as_ref()
            .is_some_and(|(_, writer)| writer.bytes() >= full)
        {
            self.close()?;
        }
        if self.current.is_none() {
            self.make_room()?;
            let path = self.folder.join(format!("{PREFIX}{:010}{SUFFIX}", self.number));
            self.number = self.number.saturating_add(1);
            let writer = Writer::new(create(&path)?, Format::Pcapng);
            self.current = Some((path, writer));
        }
        let Some((_, writer)) = &mut self.current else {
            return Ok(());
        };
        let written = writer.write(frame, interface, whose);
        if written.is_err() {
            return self.close().and(written);
        }
        self.tick(frame.time)
    }

    /// Time passed: what waits in memory is written out once a second.
    ///
    /// # Errors
    /// As the file says.
    pub fn tick(&mut self, now: Time) -> Result<(), WriteError> {
        if now.since(self.flushed) < FLUSH && now >= self.flushed {
            return Ok(());
        }
        self.flushed = now;
        self.current.as_mut().map_or(Ok(()), |(_, writer)| writer.flush())
    }

    fn close(&mut self) -> Result<(), WriteError> {
        if let Some((path, writer)) = self.current.take() {
            let bytes = writer.bytes();
            self.segments.push_back((path, bytes));
            writer.finish()?;
        }
        Ok(())
    }

    /// Holds on to what is in the ring now. Quick: the copying is done by [`Frozen::save`], on any thread.
    ///
    /// # Errors
    /// A segment cannot be written out or opened.
    pub fn freeze(&mut self) -> Result<Frozen, WriteError> {
        let mut parts = Vec::new();
        if let Some((_, writer)) = &mut self.current {
            writer.flush()?;
        }
        let full = self.segments.iter().map(|(path, bytes)| (path, *bytes));
        let current = self.current.iter().map(|(path, writer)| (path, writer.bytes()));
        for (path, bytes) in full.chain(current) {
            let file = File::open(path).map_err(|problem| WriteError::File {
                action: "open",
                path: path.clone(),
                problem,
            })?;
            parts.push((file, bytes));
        }
        Ok(Frozen { parts })
    }

    /// Bytes in the ring.
    pub fn bytes(&self) -> u64 {
        let full: u64 = self.segments.iter().map(|(_, bytes)| bytes).sum();
        full + self.current.as_ref().map_or(0, |(_, writer)| writer.bytes())
    }

    /// Writes out what waits in memory.
    ///
    /// # Errors
    /// As the file says.
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.close()
    }
}

impl Frozen {
    /// Copies everything into one capture. `owner` says what is known by now of whose a frame is; where it knows nothing,
    /// what the ring says stays. The capture is there whole or not at all. Gives its size in bytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(
        self,
        path: &Path,
        owner: impl FnMut(&Record<'_>) -> Option<Owner>,
    ) -> Result<u64, WriteError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let copied = self.copy(create(&partial)?, owner).and_then(|bytes| {
            fs::rename(&partial, path).map_err(WriteError::Output)?;
            Ok(bytes)
        });
        copied.map_err(|error| {
            drop(remove(&partial));
            match error {
                WriteError::Output(problem) => WriteError::File {
                    action: "write",
                    path: path.to_owned(),
                    problem,
                },
                other => other,
            }
        })
    }

    fn copy(
        self,
        file: File,
        mut owner: impl FnMut(&Record<'_>) -> Option<Owner>,
    ) -> Result<u64, WriteError> {
        let mut writer = Writer::new(file, Format::Pcapng);
        // Each part counts its interfaces anew.
        let mut interfaces: Vec<Interface> = Vec::new();
        for (part, length) in self.parts {
            let Ok(mut reader) = Reader::open(Box::new(part.take(length))) else {
                continue;
            };
            // What cannot be read ends its part: it was cut when somebody was killed, and the others are whole.
            while let Ok(Some(record)) = reader.next_record() {
                let found = owner(&record);
                let whose = found.as_ref().map_or(record.whose, |found| Whose {
                    sent: Some(found.sent),
                    process: Some(&found.process),
                });
                let known = interfaces.iter().position(|known| known == record.interface);
                let number = known.unwrap_or_else(|| {
                    interfaces.push(record.interface.clone());
                    interfaces.len() - 1
                });
                let frame = Frame {
                    interface: u32::try_from(number).unwrap_or(u32::MAX),
                    ..record.frame
                };
                writer.write(&frame, record.interface, whose)?;
            }
        }
        let bytes = writer.bytes();
        writer.finish()?.sync_all()?;
        Ok(bytes)
    }
}

/// The number in a segment's name.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// Takes off a last block that was cut, so that what is joined behind it can be read.
fn mend(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut reader = match Reader::open(Box::new(file.try_clone()?)) {
        Ok(reader) => reader,
        Err(_) => return file.set_len(0),
    };
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(CaptureError::Truncated { offset, .. } | CaptureError::Damaged { offset, .. }) => {
                file.seek(SeekFrom::Start(offset))?;
                return file.set_len(offset);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}
