//! Names of users: `/etc/passwd` first, then whatever the name service knows.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use atalaya_model::Text;

use super::process::arguments::text;

/// Most of a passwd file that is read, in bytes.
const MAX_PASSWD: u64 = 4 << 20;
/// Most names remembered; at the limit all are forgotten and asked again.
const MAX_NAMES: usize = 8192;

/// A cache of user names, read again when the passwd file changes.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    changed: Option<SystemTime>,
    names: HashMap<u32, Option<Text>>,
}

impl Default for Users {
    fn default() -> Self {
        Self::from_file("/etc/passwd")
    }
}

impl Users {
    /// A cache over another passwd file.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            changed: None,
            names: HashMap::new(),
        }
    }

    /// The name of a user on this host, `None` where there is none.
    pub fn name(&mut self, uid: u32) -> Option<Text> {
        if let Some(Some(name)) = self.names.get(&uid) {
            return Some(name.clone());
        }
        self.read_if_changed();
        if let Some(name) = self.names.get(&uid) {
            return name.clone();
        }
        let name = from_name_service(uid);
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
            self.changed = None;
        }
        self.names.insert(uid, name.clone());
        name
    }

    fn read_if_changed(&mut self) {
        let changed = std::fs::metadata(&self.path)
            .and_then(|file| file.modified())
            .ok();
        if changed.is_some() && changed == self.changed {
            return;
        }
        self.changed = changed;
        self.names.clear();
        for (uid, name) in read_passwd(&self.path).unwrap_or_default() {
            if self.names.len() < MAX_NAMES {
                self.names.entry(uid).or_insert(Some(name));
            }
        }
    }
}

fn read_passwd(path: &Path) -> std::io::Result<Vec<(u32, Text)>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_PASSWD).read_to_end(&mut content)?;
    Ok(content
        .split(|byte| *byte == b'\n')
        .filter_map(passwd_line)
        .collect())
}

/// `name:password:uid:…`
fn passwd_line(line: &[u8]) -> Option<(u32, Text)> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next().filter(|name| !name.is_empty() && name[0] != b'#')?;
    let uid = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    Some((uid, text(name).into()))
}

/// Asks the C library, which may ask a directory server.
#[expect(unsafe_code, reason = "getpwuid_r has no safe wrapper among our libraries")]
fn from_name_service(uid: u32) -> Option<Text> {
    let mut buffer = [0 as libc::c_char; 4096];
    // SAFETY: `passwd` is plain data for which all-zero bytes are a valid value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    // SAFETY: all pointers are to live, writable locals, and the length is that of the buffer.
    let status = unsafe {
        libc::getpwuid_r(
            uid,
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    if status != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: on success `pw_name` points to a NUL-terminated string inside `buffer`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Some(text(name.to_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_notices_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwd");
        std::fs::write(
            &path,
            "root:x:0:0::/root:/bin/sh\nbad line\n:x:5:\nana:x:4000001:1:::\n",
        )
        .unwrap();
        let mut users = Users::from_file(&path);
        assert_eq!(users.name(4_000_001).as_deref(), Some("ana"));
        assert_eq!(users.name(0).as_deref(), Some("root"));
        assert_eq!(users.name(4_000_002), None);
        std::fs::write(&path, "root:x:0:0::/root:/bin/sh\neva:x:4000002:1:::\n").unwrap();
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(5);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_eq!(users.name(4_000_002).as_deref(), Some("eva"));
    }

    #[test]
    fn asks_the_name_service_where_the_file_does_not_know() {
        let mut users = Users::from_file("/nonexistent/passwd");
        assert_eq!(users.name(0).as_deref(), Some("root"));
        assert_eq!(users.name(3_999_999_999), None);
    }
}
