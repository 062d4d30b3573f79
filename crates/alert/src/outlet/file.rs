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
}

impl LogFile {
    /// A file by this template; nothing is opened yet.
    pub(super) fn new(template: PathBuf, rotation: Rotation) -> Self {
        Self {
            template,
            rotation,
            current: None,
        }
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
            let current = Current::open(path, time)?;
            let path = current.path.clone();
            self.current = Some(current);
            if changed_name {
                self.prune(&path)?;
            }
        }
        match &mut self.current {
            Some(current) => Ok(&mut current.file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_due(&self, adding: usize, time: Time) -> bool {
        self.current.as_ref().is_some_and(|current| {
            current.length > 0
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
        if let Err(error) = current.file.write_all(lines) {
            // A disk that fills up takes half a line: cut it off, or the next line would be glued to it.
            if current.file.set_len(current.length).is_err() {
                self.current = None;
            }
            return Err(error);
        }
        current.length += lines.len() as u64;
        Ok(())
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
        let mut file = OpenOptions::new()
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
        let mut length = metadata.len();
        if length > 0 && !ends_in_newline(&file, length)? {
            // A crash left half a line; it stays, on a line of its own.
            file.write_all(b"\n")?;
            length += 1;
        }
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
        })
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

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
pub(in crate::outlet) mod tests;
