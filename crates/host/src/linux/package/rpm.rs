//! rpm's database, through the `rpm` program, as its format is rpm's own business.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use atalaya_model::process::{Digest, Package};
use atalaya_model::{Span, Text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::stat;

use super::Lookup;
use crate::clock::Deadline;
use crate::linux::hash::{FileIdentity, MAX_FILE, sha256};
use crate::linux::redact::hexadecimal;

/// Most bytes of an answer; the largest packages have some 50,000 files.
const MAX_ANSWER: usize = 16 << 20;
/// How long the program may take.
const PATIENCE: Span = Span::from_seconds(10);
/// Name, version and SHA-256 of every file of the package.
const QUERY: &str =
    "%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{FILEDIGESTALGO}\n[%{FILEDIGESTS}\t%{FILENAMES}\n]";

/// The database, as the program tells it.
#[derive(Debug)]
pub struct Rpm {
    program: PathBuf,
    root: PathBuf,
    state: Option<FileIdentity>,
}

impl Rpm {
    /// The database that `program` knows, of files below `root`; `None` where there is no such program, or no database.
    pub fn at(program: &Path, root: &Path) -> Option<Self> {
        let rpm = Self {
            program: program.to_owned(),
            root: root.to_owned(),
            state: None,
        };
        (program.exists() && rpm.database().is_some()).then_some(rpm)
    }

    fn database(&self) -> Option<FileIdentity> {
        ["usr/lib/sysimage/rpm", "var/lib/rpm"]
            .iter()
            .flat_map(|folder| ["rpmdb.sqlite", "Packages", "Packages.db"].map(|file| (folder, file)))
            .find_map(|(folder, file)| stat(self.root.join(folder).join(file)).ok())
            .map(|file| FileIdentity::of(&file))
    }

    /// Did it change since this was last asked?
    pub(super) fn changed(&mut self) -> bool {
        let state = self.database();
        std::mem::replace(&mut self.state, state) != state
    }

    /// The package of the file at `path`, and whether that file agrees with the digest.
    pub(super) fn owner(&mut self, path: &str) -> Lookup {
        let Ok(Some(answer)) = self.ask(path) else {
            return Lookup::Unowned;
        };
        let Some((name, version, expected)) = read_answer(&answer, path) else {
            return Lookup::Unowned;
        };
        let digest = match expected {
            None => Digest::Unknown,
            Some(expected) => match File::open(self.root.join(path.trim_start_matches('/'))) {
                Ok(file) => match sha256(&file, &mut vec![0; 64 << 10], MAX_FILE) {
                    Ok((_, digest)) if hexadecimal(&digest) == expected => Digest::Agrees,
                    Ok(_) => Digest::Differs,
                    Err(_) => Digest::Unknown,
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => Digest::Differs,
                Err(_) => Digest::Unknown,
            },
        };
        Lookup::Found(Package {
            manager: "rpm".into(),
            name,
            version: Some(version),
            digest,
        })
    }

    /// Runs the query with a limit on time and bytes. `None` where it failed: the file belongs to no package.
    #[expect(clippy::disallowed_methods, reason = "rpm's database is read by rpm")]
    fn ask(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut child = Command::new(&self.program)
            .args(["-qf", "--qf", QUERY, "--", path])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let answer = match child.stdout.take() {
            Some(output) => read_until(&output, Deadline::after(PATIENCE)),
            None => Ok(None),
        };
        if !matches!(answer, Ok(Some(_))) {
            child.kill()?;
        }
        let status = child.wait()?;
        Ok(answer?.filter(|_| status.success()))
    }
}

/// All that comes until the end; `None` when it takes too long or is too much.
fn read_until(output: impl std::os::fd::AsFd, deadline: Deadline) -> io::Result<Option<Vec<u8>>> {
    let mut answer = Vec::new();
    let mut chunk = [0; 16 << 10];
    while let Some(left) = deadline.left() {
        let wait = Timespec::try_from(left).ok();
        let mut ready = [PollFd::new(&output, PollFlags::IN)];
        match poll(&mut ready, wait.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let count = rustix::io::read(&output, &mut chunk)?;
        if count == 0 {
            return Ok(Some(answer));
        }
        if answer.len() + count > MAX_ANSWER {
            return Ok(None);
        }
        answer.extend_from_slice(&chunk[..count]);
    }
    Ok(None)
}

/// Name, version, and the SHA-256 of `path` where the package has one.
fn read_answer(answer: &[u8], path: &str) -> Option<(Text, Text, Option<String>)> {
    const SHA256: &str = "8";
    let answer = std::str::from_utf8(answer).ok()?;
    let mut lines = answer.lines();
    let mut head = lines.next()?.split('\t');
    let (name, version, algorithm) = (head.next()?, head.next()?, head.next()?);
    let digest = lines
        .filter_map(|line| line.split_once('\t'))
        .find(|(_, file)| *file == path)
        .map(|(digest, _)| digest.to_owned())
        .filter(|digest| algorithm == SHA256 && digest.len() == 64);
    Some((name.into(), version.into(), digest))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A host with a stand-in for the `rpm` program.
    fn host(script: &str) -> (tempfile::TempDir, Option<Rpm>) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/rpm")).unwrap();
        std::fs::write(root.path().join("var/lib/rpm/rpmdb.sqlite"), "x").unwrap();
        std::fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        std::fs::write(root.path().join("usr/bin/tool"), "abc").unwrap();
        let program = root.path().join("usr/bin/rpm");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let rpm = Rpm::at(&program, root.path());
        (root, rpm)
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_file_that_agrees_and_one_that_differs() {
        let answer = format!("printf 'tool\\t1.2-3.fc40\\t8\\n\\t/usr\\n{ABC}\\t/usr/bin/tool\\n'");
        let (root, rpm) = host(&answer);
        let mut rpm = rpm.unwrap();
        assert!(rpm.changed() && !rpm.changed());
        let expected = |digest| {
            Lookup::Found(Package {
                manager: "rpm".into(),
                name: "tool".into(),
                version: Some("1.2-3.fc40".into()),
                digest,
            })
        };
        assert_eq!(rpm.owner("/usr/bin/tool"), expected(Digest::Agrees));
        std::fs::write(root.path().join("usr/bin/tool"), "abd").unwrap();
        assert_eq!(rpm.owner("/usr/bin/tool"), expected(Digest::Differs));
        assert_eq!(rpm.owner("/usr/bin/other"), expected(Digest::Unknown));
    }

    #[test]
    fn refusal_and_nonsense() {
        let (_root, rpm) = host("echo 'file /x is not owned by any package'; exit 1");
        assert_eq!(rpm.unwrap().owner("/usr/bin/tool"), Lookup::Unowned);
        let (_root, rpm) = host("echo nonsense");
        assert_eq!(rpm.unwrap().owner("/usr/bin/tool"), Lookup::Unowned);
    }

    #[test]
    fn an_endless_answer_ends() {
        let (_root, rpm) = host("exec cat /dev/zero");
        assert_eq!(rpm.unwrap().owner("/usr/bin/tool"), Lookup::Unowned);
    }

    #[test]
    fn a_silent_program_is_not_waited_for() {
        let (reader, _writer) = io::pipe().unwrap();
        let deadline = Deadline::after(Span(1_000));
        assert_eq!(read_until(&reader, deadline).unwrap(), None);
    }

    #[test]
    fn no_program_no_database() {
        assert!(Rpm::at(Path::new("/nonexistent/rpm"), Path::new("/")).is_none());
    }
}
