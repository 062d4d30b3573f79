//! A log file that is put aside before it grows too large or too old.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use atalaya_model::Time;

use super::options::{Rotation, Suffix};
use super::worker::Sink;

/// An append-only file of whole lines, 0600, never reached through a symbolic link.
#[derive(Debug)]
pub(super) struct LogFile {
    /// With `{host}` filled in, `{date}` not.
    template: PathBuf,
    rotation: Rotation,
    /// The first line of every file.
    header: Option<String>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    /// Bytes of whole lines.
    length: u64,
    born: Time,
    /// Device and inode: somebody may move or remove the file under us.
    identity: (u64, u64),
    /// It may end in half a line.
    is_torn: bool,
}

impl LogFile {
    /// A file by this template; nothing is opened yet.
    pub(super) fn new(template: PathBuf, rotation: Rotation) -> Self {
        Self {
            template,
            rotation,
            header: None,
            current: None,
        }
    }

    /// Every file is a table and begins with this line. One that begins otherwise is put aside.
    pub(super) fn begin_with(&mut self, header: Option<String>) {
        self.header = header;
    }

    /// Where lines of this time go.
    pub(super) fn path_at(&self, time: Time) -> PathBuf {
        let Some(name) = self.template.file_name().and_then(|name| name.to_str()) else {
            return self.template.clone();
        };
        let local = time.local();
        let date = local.split(' ').next().unwrap_or_default();
        self.template.with_file_name(name.replace("{date}", date))
    }

    /// Opens the file for lines of this time, and creates its folder where there is none.
    pub(super) fn open(&mut self, time: Time) -> io::Result<&mut File> {
        let path = self.path_at(time);
        if self
            .current
            .as_mut()
            .is_none_or(|current| current.path != path || current.is_astray())
        {
            let changed_name = self.current.take().is_some_and(|current| current.path != path);
            let mut current = Current::open(path, time)?;
            let path = current.path.clone();
            let belongs = current.belongs_to(self.header.as_deref())?;
            if !belongs && self.rotation.keep == 0 {
                return Err(io::Error::other("it holds another table; move it away"));
            }
            self.current = Some(current);
            if !belongs {
                self.rotate(time)?;
                self.current = Some(Current::open(path.clone(), time)?);
            }
            if changed_name {
                self.prune(&path)?;
            }
        }
        let Some(current) = &mut self.current else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Some(header) = self.header.as_deref().filter(|_| current.length == 0) {
            current.append(header.as_bytes())?;
        }
        Ok(&mut current.file)
    }

    fn is_due(&self, adding: usize, time: Time) -> bool {
        let empty = self.header.as_ref().map_or(0, String::len) as u64;
        self.current.as_ref().is_some_and(|current| {
            current.length > empty
                && (current.length.saturating_add(adding as u64) > self.rotation.size.0
                    || time.since(current.born) >= self.rotation.age.0)
        })
    }

    /// Puts the file aside and removes the oldest ones.
    fn rotate(&mut self, time: Time) -> io::Result<()> {
        let Some(Current { path, .. }) = self.current.take() else {
            return Ok(());
        };
        match self.rotation.suffix {
            _ if self.rotation.keep == 0 => fs::remove_file(&path)?,
            Suffix::Number => {
                for number in (1..self.rotation.keep).rev() {
                    let newer = with_suffix(&path, &number.to_string());
                    if fs::symlink_metadata(&newer).is_ok() {
                        fs::rename(newer, with_suffix(&path, &(number + 1).to_string()))?;
                    }
                }
                fs::rename(&path, with_suffix(&path, "1"))?;
            }
            Suffix::Date => {
                let stamp: String = time
                    .rfc3339()
                    .chars()
                    .filter(|c| !matches!(c, '-' | ':'))
                    .collect();
                // 20261120T212703.123456Z, without the fraction.
                let stamp = format!("{}Z", stamp.split('.').next().unwrap_or_default());
                let mut aside = with_suffix(&path, &stamp);
                let mut number = 1_u32;
                while fs::symlink_metadata(&aside).is_ok() {
                    number += 1;
                    aside = with_suffix(&path, &format!("{stamp}-{number}"));
                }
                fs::rename(&path, aside)?;
            }
        }
        self.prune(&path)
    }

    /// Removes all but the newest files that were put aside.
    fn prune(&self, current: &Path) -> io::Result<()> {
        let Some(folder) = self.template.parent() else {
            return Ok(());
        };
        let mut aside = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if entry.path() != current && self.is_ours(&name.to_string_lossy()) {
                let modified = entry.metadata().and_then(|metadata| metadata.modified())?;
                aside.push((modified, name));
            }
        }
        aside.sort_unstable();
        let excess = aside.len().saturating_sub(self.rotation.keep as usize);
        for (_, name) in aside.into_iter().take(excess) {
            fs::remove_file(folder.join(name))?;
        }
        Ok(())
    }

    /// Is it a name that this file has, or had before it was put aside? What others left in the folder is not ours.
    fn is_ours(&self, name: &str) -> bool {
        let Some(template) = self.template.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        let is_suffix = |rest: &str| {
            rest.is_empty()
                || rest.strip_prefix('.').is_some_and(|rest| {
                    !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || "TZ-".contains(c))
                })
        };
        match template.split_once("{date}") {
            None => name.strip_prefix(template).is_some_and(is_suffix),
            Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
                let is_date = |c: char| c.is_ascii_digit() || c == '-';
                let Some((date, rest)) = rest.split_at_checked("2026-11-20".len()) else {
                    return false;
                };
                date.chars().all(is_date) && rest.strip_prefix(after).is_some_and(is_suffix)
            }),
        }
    }
}

impl Sink for LogFile {
    fn write(&mut self, lines: &[u8], time: Time) -> io::Result<()> {
        self.open(time)?;
        if self.is_due(lines.len(), time) {
            self.rotate(time)?;
            self.open(time)?;
        }
        let Some(current) = &mut self.current else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let appended = current.append(lines);
        if appended.is_err() && current.is_torn {
            self.current = None;
        }
        appended
    }

    fn place(&self) -> String {
        self.template.display().to_string()
    }
}

impl Current {
    fn open(path: PathBuf, time: Time) -> io::Result<Self> {
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
            && !folder.exists()
        {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            // Not blocking: a pipe in the place of the file must not hang the outlet.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let length = metadata.len();
        let is_torn = length > 0 && !ends_in_newline(&file, length)?;
        let created = metadata.created().or_else(|_| metadata.modified()).ok();
        let born = created
            .and_then(|created| created.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_micros()).ok())
            .filter(|_| length > 0)
            .map_or(time, Time);
        Ok(Self {
            file,
            path,
            length,
            born,
            identity: (metadata.dev(), metadata.ino()),
            is_torn,
        })
    }

    /// Does the file go on as a table with this header? One that a crash left torn is mended first: of a log, half a
    /// line stays, on a line of its own; of a table it goes, for an open quote in it would swallow what follows.
    fn belongs_to(&mut self, header: Option<&str>) -> io::Result<bool> {
        use std::os::unix::fs::FileExt;
        let Some(header) = header else {
            if std::mem::take(&mut self.is_torn) {
                self.append(b"\n")?;
            }
            return Ok(true);
        };
        let mut first = vec![
            0;
            header
                .len()
                .min(usize::try_from(self.length).unwrap_or(usize::MAX))
        ];
        self.file.read_exact_at(&mut first, 0)?;
        if !header.as_bytes().starts_with(&first) {
            return Ok(false);
        }
        if std::mem::take(&mut self.is_torn) {
            self.length = whole_lines(&self.file, self.length)?;
            self.file.set_len(self.length)?;
        }
        Ok(true)
    }

    /// Writes all of it, or nothing.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines);
        match written {
            Ok(()) => self.length += lines.len() as u64,
            // A disk that fills up takes half a line: cut it off, or the next line would be glued to it.
            Err(_) => self.is_torn = self.file.set_len(self.length).is_err(),
        }
        written
    }

    /// Was the file moved or removed under us? One that was emptied in place (`copytruncate`) is as long as it is.
    fn is_astray(&mut self) -> bool {
        let Ok(metadata) = fs::symlink_metadata(&self.path) else {
            return true;
        };
        self.length = self.length.min(metadata.len());
        (metadata.dev(), metadata.ino()) != self.identity
    }
}

fn ends_in_newline(file: &File, length: u64) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last == *b"\n")
}

/// How much of a file of this length are whole lines.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0; 64 << 10];
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(buffer.len() as u64);
        let part = &mut buffer[..usize::try_from(end - begin).unwrap_or(0)];
        file.read_exact_at(part, begin)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + newline as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
pub(in crate::outlet) mod tests;
