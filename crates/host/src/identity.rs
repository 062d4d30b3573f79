//! Who this host is, and the key that keeps its redacted secrets comparable.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use atalaya_model::Text;

use crate::HostError;
use crate::linux::redact::{hexadecimal, hmac};

/// What names this host in records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The host's name.
    pub name: Text,
    /// A stable id: 32 hexadecimal digits derived from the machine id, which itself must not be told to others
    /// (machine-id(5)). `None` where the host has no machine id.
    pub id: Option<Text>,
    /// The id of this boot.
    pub boot: Option<Text>,
}

impl Identity {
    /// This host's.
    pub fn of_host() -> Self {
        let machine = read_id("/etc/machine-id").or_else(|| read_id("/var/lib/dbus/machine-id"));
        Self {
            name: read_small("/proc/sys/kernel/hostname")
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "localhost".to_owned())
                .into(),
            id: machine.as_deref().map(|machine| derive(machine).into()),
            boot: read_small("/proc/sys/kernel/random/boot_id").map(Into::into),
        }
    }
}

/// Inode number of the network namespace that this process is in.
pub fn network_namespace() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let data = std::fs::metadata("/proc/self/ns/net").ok()?;
    u32::try_from(data.ino()).ok()
}

/// The key for hashing unredacted command lines, kept in a file that only its owner can read. Made at first use.
///
/// # Errors
/// When it cannot be made or read, is not a key, or others could have read it.
pub fn redaction_key(path: &Path) -> Result<[u8; 32], HostError> {
    match read_key(path) {
        Err(HostError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => make_key(path),
        answer => answer,
    }
}

fn read_key(path: &Path) -> Result<[u8; 32], HostError> {
    let content = |message: &str| HostError::Content {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(HostError::file("read the key", path))?;
    let about = file.metadata().map_err(HostError::file("read the key", path))?;
    if about.mode() & 0o077 != 0 {
        return Err(content(
            "others may read it; `chmod 600` it if nobody did, else delete it and a new key is made",
        ));
    }
    let mut bytes = Vec::new();
    file.take(33)
        .read_to_end(&mut bytes)
        .map_err(HostError::file("read the key", path))?;
    bytes
        .try_into()
        .map_err(|_| content("it is not a key of 32 bytes; delete it and a new key is made"))
}

/// Writes a whole key under another name first, so that nobody ever reads half of one, and never replaces a key.
fn make_key(path: &Path) -> Result<[u8; 32], HostError> {
    let mut key = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut key))
        .map_err(HostError::file("read", "/dev/urandom"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::create_dir_all(folder.unwrap_or(Path::new(".")))
        .map_err(HostError::file("create the folder of", path))?;
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::hard_link(&draft, path));
    let removed = std::fs::remove_file(&draft);
    match written {
        Ok(()) => removed.map_err(HostError::file("remove", draft)).map(|()| key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => read_key(path),
        Err(error) => Err(HostError::file("create the key", path)(error)),
    }
}

fn read_small(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(256).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

fn read_id(path: &str) -> Option<String> {
    read_small(path).filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn derive(machine: &str) -> String {
    let mut key = [0; 32];
    key.copy_from_slice(&hmac(&[0; 32], machine.as_bytes()));
    hexadecimal(&hmac(&key, b"atalaya host id")[..16])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn this_host_has_a_name() {
        let identity = Identity::of_host();
        assert!(!identity.name.is_empty() && !identity.name.contains('\n'));
        assert_eq!(identity.boot.as_deref().map(str::len), Some(36));
        assert_eq!(identity, Identity::of_host());
    }

    #[test]
    fn the_machine_id_is_not_told() {
        let machine = "0123456789abcdef0123456789abcdef";
        let derived = derive(machine);
        assert_eq!(derived.len(), 32);
        assert_ne!(derived, machine);
        assert_eq!(derived, derive(machine));
    }

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/key");
        let key = redaction_key(&path).unwrap();
        assert_ne!(key, [0; 32]);
        assert_eq!(redaction_key(&path).unwrap(), key);
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(make_key(&path).unwrap(), key, "a key is never replaced");
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        redaction_key(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = redaction_key(&path).unwrap_err().to_string();
        assert!(error.contains("others may read it"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(redaction_key(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
