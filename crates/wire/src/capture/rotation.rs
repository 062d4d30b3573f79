//! One capture after another: a new file when one is full or old, and a number of them kept.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use atalaya_model::{Span, Time};

use super::interface::Interface;
use super::whose::Whose;
use super::writer::{Format, WriteError, Writer};
use crate::frame::Frame;

/// When a new file begins, and how many are kept. Without limits there is one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// A file with so many bytes is full.
    pub size: Option<u64>,
    /// A file that began so long ago, by the times of its frames, is old.
    pub time: Option<Span>,
    /// So many files are kept, with the one that is written; older ones of this run are removed.
    pub keep: Option<usize>,
}

/// Writes frames to files, of which only their owner may read what is in them.
pub struct Rotating {
    format: Format,
    rotation: Rotation,
    /// Names the file of this number (from 0) that begins at this time.
    name: Box<dyn FnMut(u32, Time) -> PathBuf + Send>,
    files: VecDeque<PathBuf>,
    current: Option<(Writer<File>, Time)>,
    number: u32,
    packets: u64,
}

impl Rotating {
    /// Nothing is created before the first frame, whose time is in its file's name where `name` puts it there.
    pub fn new(
        format: Format,
        rotation: Rotation,
        name: impl FnMut(u32, Time) -> PathBuf + Send + 'static,
    ) -> Self {
        Self {
            format,
            rotation,
            name: Box::new(name),
            files: VecDeque::new(),
            current: None,
            number: 0,
            packets: 0,
        }
    }

    /// Writes a frame, into a new file where the current one is full or old.
    ///
    /// # Errors
    /// As [`Writer::write`], and where a file cannot be created or removed.
    pub fn write(
        &mut self,
        frame: &Frame<'_>,
        interface: &Interface,
        whose: Whose<'_>,
    ) -> Result<(), WriteError> {
        let is_over = self.current.as_ref().is_some_and(|(writer, began)| {
            let is_full = self.rotation.size.is_some_and(|size| writer.bytes() >= size);
            is_full
                || self
                    .rotation
                    .time
                    .is_some_and(|time| frame.time.since(*began) >= time)
        });
        if is_over {
            self.close()?;
        }
        let (writer, _) = match &mut self.current {
            Some(current) => current,
            none => none.insert(Self::create(
                &mut self.files,
                (self.name)(self.number, frame.time),
                self.format,
                self.rotation.keep,
                frame.time,
            )?),
        };
        writer.write(frame, interface, whose)?;
        self.packets += 1;
        Ok(())
    }

    fn create(
        files: &mut VecDeque<PathBuf>,
        path: PathBuf,
        format: Format,
        keep: Option<usize>,
        time: Time,
    ) -> Result<(Writer<File>, Time), WriteError> {
        let file = create(&path)?;
        files.push_back(path);
        while keep.is_some_and(|keep| files.len() > keep.max(1)) {
            if let Some(oldest) = files.pop_front() {
                remove(&oldest)?;
            }
        }
        Ok((Writer::new(file, format), time))
    }

    fn close(&mut self) -> Result<(), WriteError> {
        if let Some((writer, _)) = self.current.take() {
            writer.finish()?;
            self.number = self.number.saturating_add(1);
        }
        Ok(())
    }

    /// Gives the file all that was written.
    ///
    /// # Errors
    /// As the file says.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.current.as_mut().map_or(Ok(()), |(writer, _)| writer.flush())
    }

    /// Ends the last file; where no frame came, a capture without frames is made, named for `now`.
    ///
    /// # Errors
    /// As the file says.
    pub fn finish(mut self, now: Time) -> Result<(), WriteError> {
        if self.packets == 0 {
            let file = create(&(self.name)(0, now))?;
            Writer::new(file, self.format).finish()?;
        }
        self.close()
    }

    /// Frames written so far.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// The files that are there, the oldest first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }
}

/// Creates a file that only its owner may read, in place of one that is there.
pub(super) fn create(path: &Path) -> Result<File, WriteError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|problem| WriteError::File {
        action: "create",
        path: path.to_owned(),
        problem,
    })
}

/// Removes a file; that it is gone already is no error.
pub(super) fn remove(path: &Path) -> Result<(), WriteError> {
    match fs::remove_file(path) {
        Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => Err(WriteError::File {
            action: "remove",
            path: path.to_owned(),
            problem,
        }),
        _ => Ok(()),
    }
}
