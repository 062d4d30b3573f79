//! Naming a program that was over before it could be read, by the path that it was called by.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use atalaya_model::{Process, Text};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use crate::linux::process::arguments::text;

/// The kernel's limit for a name.
const MOST_NAME: usize = 15;

/// Gives a process the program of this path, if that is whole. One that is called by a script is its interpreter, whose
/// path was not told.
pub(super) fn name(process: &mut Process, path: &[u8]) {
    let Some(file) = path
        .rsplit(|byte| *byte == b'/')
        .next()
        .filter(|file| !file.is_empty())
    else {
        return;
    };
    process.name = Text::from(text(file.get(..MOST_NAME).unwrap_or(file)));
    // A descriptor, or relative to a folder that is not known any more.
    if !path.starts_with(b"/") || path.starts_with(b"/dev/fd/") || path.starts_with(b"/proc/") {
        return;
    }
    let path_text = Text::from(text(path));
    if is_script(path) {
        process.script = Some(path_text);
        process.flags.script = true;
    } else {
        process.executable = Some(path_text);
    }
}

/// Does the file, if it is still there, begin as scripts do?
fn is_script(path: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = open(Path::new(OsStr::from_bytes(path)), flags, Mode::empty()) else {
        return false;
    };
    if !fstat(&file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file()) {
        return false;
    }
    let mut begin = [0; 2];
    std::fs::File::from(file).read_exact(&mut begin).is_ok() && begin == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_model::{ProcessKey, Time};

    fn named(path: &[u8]) -> Process {
        let key = ProcessKey { pid: 1, start: 1 };
        let mut process = Process::bare(key, "?".into(), Time(0));
        name(&mut process, path);
        process
    }

    #[test]
    fn a_path_is_a_program_or_a_script() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("a-script-with-a-long-name");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let process = named(script.as_os_str().as_bytes());
        assert_eq!((process.executable, process.flags.script), (None, true));
        assert_eq!(process.script.as_deref(), script.to_str());
        assert_eq!(&*process.name, "a-script-with-a");
        let gone = named(b"/nowhere/program");
        assert_eq!(gone.executable.as_deref(), Some("/nowhere/program"));
        assert_eq!(named(b"/dev/null").label(), "/dev/null");
    }

    #[test]
    fn what_is_not_a_whole_path_is_only_a_name() {
        for path in [&b"./run"[..], b"/dev/fd/run", b"/proc/self/fd/run"] {
            let process = named(path);
            assert_eq!((process.label(), process.executable.as_deref()), ("run", None));
        }
        assert_eq!(named(b"/").label(), "?");
        assert_eq!(named(b"").label(), "?");
    }
}
