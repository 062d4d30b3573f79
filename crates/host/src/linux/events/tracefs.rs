//! The kernel's tracepoints by name. Where no tracefs is mounted, one of our own is, which nobody else sees.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::format::Format;
use crate::HostError;

/// Where it usually is.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Longest description of a tracepoint that is read.
const MOST_TEXT: u64 = 64 << 10;

/// A folder of tracepoints.
#[derive(Debug)]
pub(super) struct Tracefs(OwnedFd);

/// A tracepoint.
#[derive(Debug)]
pub(super) struct Tracepoint {
    /// The number by which events are opened.
    pub(super) id: u64,
    pub(super) format: Format,
}

impl Tracefs {
    /// Opens it where it is mounted, or mounts one that only this process has.
    ///
    /// # Errors
    /// When it may not be read, or is not mounted and may not be.
    pub(super) fn open() -> Result<Self, HostError> {
        Self::open_at(&PLACES.map(Path::new), detached)
    }

    fn open_at(places: &[&Path], mount: fn() -> Result<OwnedFd, Errno>) -> Result<Self, HostError> {
        for place in places {
            // Without a mount it is an empty folder, or none.
            match openat(
                CWD,
                place.join("events"),
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Ok(events) => return Ok(Self(events)),
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Err(HostError::file("open", place.join("events"))(error.into())),
            }
        }
        let events =
            mount().and_then(|root| openat(&root, "events", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()));
        events.map(Self).map_err(|error| {
            let reason = format!(
                "tracefs is not mounted (`sudo mount -t tracefs nodev {}`), and may not be mounted here: {}",
                PLACES[0],
                io::Error::from(error)
            );
            HostError::system("find the kernel's tracepoints")(io::Error::other(reason))
        })
    }

    /// One tracepoint, by a name such as `sock/inet_sock_set_state`.
    ///
    /// # Errors
    /// When this kernel has none of that name, or it may not be read.
    pub(super) fn tracepoint(&self, name: &str) -> Result<Tracepoint, HostError> {
        let id = self.read(name, "id")?;
        let id = id.trim().parse().map_err(|_| {
            let message = "the number of the tracepoint makes no sense".to_owned();
            HostError::Content {
                path: path(name, "id"),
                message,
            }
        })?;
        let format = Format::parse(&self.read(name, "format")?);
        Ok(Tracepoint { id, format })
    }

    fn read(&self, name: &str, file: &str) -> Result<String, HostError> {
        let failed = |error: io::Error| HostError::file("read", path(name, file))(error);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(self.0.as_fd(), format!("{name}/{file}"), flags, Mode::empty());
        let opened = std::fs::File::from(opened.map_err(|error| failed(error.into()))?);
        let mut text = String::new();
        opened.take(MOST_TEXT).read_to_string(&mut text).map_err(failed)?;
        Ok(text)
    }
}

/// The path as people know it, whichever mount is read.
fn path(name: &str, file: &str) -> PathBuf {
    Path::new(PLACES[0]).join("events").join(name).join(file)
}

/// A tracefs in no folder; it goes when it is closed.
fn detached() -> Result<OwnedFd, Errno> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_our_own_has_the_tracepoints_and_nobody_sees_it() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        let before = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let tracefs = Tracefs::open_at(&[], detached).unwrap();
        let tracepoint = tracefs.tracepoint("sock/inet_sock_set_state").unwrap();
        assert!(tracepoint.id > 0);
        assert!(tracepoint.format.number("newstate").is_ok());
        assert_eq!(std::fs::read_to_string("/proc/self/mounts").unwrap(), before);
        let error = tracefs.tracepoint("sock/no_such").unwrap_err().to_string();
        assert!(
            error.contains("/sys/kernel/tracing/events/sock/no_such/id"),
            "{error}"
        );
    }

    #[test]
    fn without_it_the_reason_says_how_to_mount_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = Tracefs::open_at(&[folder.path()], || Err(Errno::PERM)).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("sudo mount -t tracefs") && error.contains("not permitted"),
            "{error}"
        );
    }

    #[test]
    fn what_may_not_be_read_is_not_mounted_again() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("events", folder.path().join("events")).unwrap();
        // A link to itself stands for any other refusal.
        let error = Tracefs::open_at(&[folder.path()], || Err(Errno::IO)).unwrap_err();
        assert!(error.to_string().contains("events"), "{error}");
        assert!(!error.to_string().contains("mount"), "{error}");
    }
}
