//! What can go wrong at the edge to the operating system.

use std::io;
use std::path::PathBuf;

/// A failure of the operating system, said so that a person can act on it. The text fits "failed to {error}".
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file or folder could not be used.
    #[error("{action} `{}`: {source}", path.display())]
    File {
        /// What was tried, in the infinitive: `read`, `create`, `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A call of the system failed.
    #[error("{action}: {source}")]
    System {
        /// What was tried, in the infinitive.
        action: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// Another process holds what only one may hold.
    #[error("take `{}`: it is in use by {holder}", path.display())]
    InUse {
        /// The lock file or socket.
        path: PathBuf,
        /// Who holds it, as far as that can be known: `process 123 (atalaya)`.
        holder: String,
    },
    /// A file has a content that this program did not write.
    #[error("use `{}`: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Something is refused or not there, and it is known what would change that.
    #[error("{action}: {reason}; {remedy}")]
    Refused {
        /// What was tried, in the infinitive: "capture packets on `eth0`".
        action: String,
        /// Why it did not work.
        reason: String,
        /// The exact command, or change, that would grant it.
        remedy: String,
    },
}

impl HostError {
    /// Names the file of an I/O error.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// Names the attempt of an I/O error.
    pub fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }
}
