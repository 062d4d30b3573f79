//! The control socket's transport: who is at the other end, and frames of bytes. What they mean is said elsewhere.

mod frames;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use atalaya_model::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};

pub use self::frames::ControlStream;
use crate::{HostError, lock};

/// Who may connect: the owner and the group.
const MODE: u32 = 0o660;
/// Mode of a folder that is made for the socket.
const FOLDER_MODE: u32 = 0o750;

/// The process at the other end of a connection, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user id when it connected.
    pub user_id: u32,
    /// Its group id when it connected.
    pub group_id: u32,
    /// Its process id when it connected; 0 where it is not in our pid namespace.
    pub pid: u32,
}

impl Peer {
    /// Asked by `getsockopt` itself: a peer outside our pid namespace has pid 0, which `rustix` cannot express.
    #[expect(unsafe_code, reason = "the safe wrapper takes pid 0 for impossible")]
    fn of(stream: &UnixStream) -> io::Result<Self> {
        // SAFETY: `ucred` is three integers, for which all-zero bytes are valid.
        let mut peer: libc::ucred = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the descriptor is open, and the pointers are to a live value and its true size.
        let status = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            user_id: peer.uid,
            group_id: peer.gid,
            pid: u32::try_from(peer.pid).unwrap_or_default(),
        })
    }
}

/// A bound control socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlListener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, so that only our own is removed.
    place: (u64, u64),
}

impl ControlListener {
    /// Binds `path` with mode 0660, makes its folder where there is none, and replaces a socket that nobody serves
    /// any more. Accepting does not block.
    ///
    /// # Errors
    /// [`HostError::InUse`] with its process where another one serves it, [`HostError::Content`] where the file is no
    /// socket, else [`HostError::File`].
    pub fn bind(path: impl Into<PathBuf>) -> Result<Self, HostError> {
        let path = path.into();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
            .map_err(HostError::file("create the folder", folder))?;
        // Two that start at once take turns, so that neither replaces the other's fresh socket.
        let turn = std::fs::File::open(folder).map_err(HostError::file("open", folder))?;
        flock(&turn, FlockOperation::LockExclusive)
            .map_err(|error| HostError::file("lock", folder)(error.into()))?;
        make_way(&path)?;
        let bound = UnixListener::bind(&path).map_err(HostError::file("bind", &path))?;
        let prepared = std::fs::set_permissions(&path, Permissions::from_mode(MODE))
            .and_then(|()| bound.set_nonblocking(true))
            .and_then(|()| std::fs::symlink_metadata(&path));
        let about = prepared.map_err(HostError::file("prepare", &path))?;
        Ok(Self {
            listener: bound,
            place: (about.dev(), about.ino()),
            path,
        })
    }

    /// The next connection, `None` where nobody waits.
    ///
    /// # Errors
    /// When the system refuses, for example for want of descriptors.
    pub fn accept(&self) -> io::Result<Option<ControlStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                let peer = Peer::of(&stream)?;
                ControlStream::new(stream, peer).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sleeps until somebody waits to be accepted, or `span` has passed.
    pub fn wait(&self, span: Span) {
        let mut descriptors = [PollFd::new(&self.listener, PollFlags::IN)];
        let micros = u64::try_from(span.0).unwrap_or_default();
        let timeout = Timespec::try_from(std::time::Duration::from_micros(micros)).ok();
        // Interrupted or failed, the caller looks anyway.
        poll(&mut descriptors, timeout.as_ref()).ok();
    }

    /// The socket's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for ControlListener {
    /// Readable when somebody waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        let there = std::fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.place) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Connects to whoever serves `path`.
///
/// # Errors
/// When nobody does, or permission is missing.
pub fn connect(path: &Path) -> io::Result<ControlStream> {
    let stream = UnixStream::connect(path)?;
    let peer = Peer::of(&stream)?;
    ControlStream::new(stream, peer)
}

/// Removes a socket that nobody serves.
fn make_way(path: &Path) -> Result<(), HostError> {
    let about = match std::fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(HostError::file("look at", path)(error)),
    };
    if !about.file_type().is_socket() {
        return Err(HostError::Content {
            path: path.to_owned(),
            message: "there is a file that is no socket; choose another path or remove it".to_owned(),
        });
    }
    match UnixStream::connect(path) {
        Ok(stream) => Err(HostError::InUse {
            path: path.to_owned(),
            holder: Peer::of(&stream)
                .map_or_else(|_| "another process".to_owned(), |peer| lock::describe(peer.pid)),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(HostError::file("replace", path))
        }
        Err(error) => Err(HostError::file("try", path)(error)),
    }
}
