//! Where the packets go: a file, several in turn, or standard output.

use std::ffi::OsString;
use std::io::Stdout;
use std::path::{Path, PathBuf};

use atalaya_model::Time;
use atalaya_wire::Frame;
use atalaya_wire::capture::{Format, Interface, Rotating, Rotation, Whose, WriteError, Writer};

use crate::cli::{CaptureArgs, CaptureFormat};
use crate::exit::Failure;

pub(super) struct Output {
    to: To,
    /// Whoever read standard output has had enough.
    is_closed: bool,
}

enum To {
    Files(Rotating),
    Stream(Writer<Stdout>),
}

impl Output {
    pub(super) fn open(args: &CaptureArgs) -> Self {
        let format = match args.format {
            CaptureFormat::Pcapng => Format::Pcapng,
            CaptureFormat::Pcap => Format::Pcap,
        };
        let to = if args.write.as_os_str() == "-" {
            To::Stream(Writer::new(std::io::stdout(), format))
        } else {
            let rotation = Rotation {
                size: args.rotate_size.map(|size| size.0),
                time: args.rotate_time,
                keep: args.keep.map(usize::from),
            };
            let (path, rotates) = (
                args.write.clone(),
                rotation.size.is_some() || rotation.time.is_some(),
            );
            let name = move |number, _| {
                if rotates {
                    numbered(&path, number)
                } else {
                    path.clone()
                }
            };
            To::Files(Rotating::new(format, rotation, name))
        };
        Self { to, is_closed: false }
    }

    pub(super) const fn packets(&self) -> u64 {
        match &self.to {
            To::Files(files) => files.packets(),
            To::Stream(writer) => writer.packets(),
        }
    }

    /// Whether there is room for one more of `count`, and somebody who wants it.
    pub(super) fn takes_more(&self, count: Option<u64>) -> bool {
        !self.is_closed && count.is_none_or(|count| self.packets() < count)
    }

    pub(super) fn write(
        &mut self,
        frame: &Frame<'_>,
        interface: &Interface,
        whose: Whose<'_>,
    ) -> Result<(), Failure> {
        let written = match &mut self.to {
            To::Files(files) => files.write(frame, interface, whose),
            To::Stream(writer) => writer.write(frame, interface, whose),
        };
        settle(written, &mut self.is_closed)
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = match &mut self.to {
            To::Files(files) => files.flush(),
            To::Stream(writer) => writer.flush(),
        };
        settle(flushed, &mut self.is_closed)
    }

    /// Ends it, and says how many packets were written.
    pub(super) fn finish(mut self, now: Time) -> Result<u64, Failure> {
        let packets = self.packets();
        if self.is_closed {
            return Ok(packets);
        }
        let finished = match self.to {
            To::Files(files) => files.finish(now),
            To::Stream(writer) => writer.finish().map(drop),
        };
        settle(finished, &mut self.is_closed)?;
        Ok(packets)
    }
}

fn settle(written: Result<(), WriteError>, is_closed: &mut bool) -> Result<(), Failure> {
    match written {
        Err(WriteError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            *is_closed = true;
            Ok(())
        }
        Err(error) => Err(Failure::Failed(error.to_string())),
        Ok(()) => Ok(()),
    }
}

/// `day.pcapng` → `day-00007.pcapng`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().map_or_else(OsString::new, OsString::from);
    name.push(format!("-{number:05}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_before_their_ending() {
        let name = |path: &str, number| numbered(Path::new(path), number).display().to_string();
        assert_eq!(name("a/day.pcapng", 7), "a/day-00007.pcapng");
        assert_eq!(name("day", 0), "day-00000");
    }
}
