//! A lock file: one process at a time, and whoever comes second is told who was first.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::HostError;

/// Longest description of a holder that is believed, in bytes.
const MAX_HOLDER: u64 = 200;

/// A held lock. It is given up when this is dropped, or the process ends in any way; the file stays.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock without waiting. Creates the file, readable by its owner only.
    ///
    /// # Errors
    /// [`HostError::InUse`] with the holder where another process has it, else [`HostError::File`].
    pub fn take(path: impl Into<PathBuf>) -> Result<Self, HostError> {
        let path = path.into();
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path)
            .map_err(HostError::file("open the lock file", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = holder(&mut file);
                return Err(HostError::InUse { path, holder });
            }
            Err(error) => return Err(HostError::file("lock", &path)(error.into())),
        }
        let own = describe(std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(own.as_bytes()))
            .map_err(HostError::file("write the lock file", &path))?;
        Ok(Self { file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is not removed: another process may have opened it already and would then lock a ghost.
        drop(self.file.set_len(0));
    }
}

/// `process 123 (atalaya)`.
pub(crate) fn describe(pid: u32) -> String {
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.trim_ascii_end());
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() {
        return format!("process {pid}");
    }
    format!("process {pid} ({name})")
}

fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    let read = file.take(MAX_HOLDER).read_to_string(&mut holder);
    let sound = read.is_ok() && !holder.is_empty() && !holder.contains(char::is_control);
    if sound {
        holder
    } else {
        "another process".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_about_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        assert_eq!(lock.path(), path);
        let error = Lock::take(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(lock);
        drop(Lock::take(&path).unwrap());
        std::fs::write(&path, "\x1b[31mnonsense").unwrap();
        let _lock = Lock::take(&path).unwrap();
        std::fs::write(&path, "\x1b[31mnonsense").unwrap();
        let error = Lock::take(&path).unwrap_err().to_string();
        assert!(error.ends_with("in use by another process"), "{error}");
    }

    #[test]
    fn links_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("target"), &link).unwrap();
        assert!(Lock::take(&link).is_err());
        assert!(Lock::take(folder.path().join("no/lock")).is_err());
    }
}
