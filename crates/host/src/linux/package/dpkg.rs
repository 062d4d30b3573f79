//! Debian's package database: `info/*.list` (paths), `info/*.md5sums` (digests), `status` (versions), `diversions`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use atalaya_model::Text;
use atalaya_model::process::{Digest, Package};
use md5::{Digest as _, Md5};
use rustix::fs::stat;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::Lookup;
use super::index::PathIndex;
use crate::linux::hash::{FileIdentity, MAX_FILE};
use crate::linux::memory;
use crate::linux::redact::hexadecimal;

/// Most of one list or digest file that is read, in bytes.
const MAX_LIST: u64 = 16 << 20;
/// Most of the status file that is read, in bytes.
const MAX_STATUS: u64 = 256 << 20;
/// Most packages.
const MAX_PACKAGES: usize = 100_000;

/// The database, and an index of its paths that is built at the first question and after every change.
#[derive(Debug)]
pub struct Dpkg {
    folder: PathBuf,
    root: PathBuf,
    state: State,
    index: Option<Index>,
}

/// What tells that something was installed: `status` is replaced at the end, `info` while it happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State([Option<FileIdentity>; 3]);

#[derive(Debug, Default)]
struct Index {
    paths: PathIndex,
    /// The names of the list files: `coreutils`, `libc6:amd64`.
    packages: Vec<Box<str>>,
    diversions: Vec<Diversion>,
}

/// One package's file that was moved aside for another's.
#[derive(Debug, PartialEq, Eq)]
struct Diversion {
    original: String,
    moved_to: String,
    /// The package for which it was moved; `:` for the administrator.
    by: String,
}

impl Dpkg {
    /// The database in `folder`, of files below `root`; `None` where there is none.
    pub fn at(folder: &Path, root: &Path) -> Option<Self> {
        folder.join("status").exists().then(|| Self {
            folder: folder.to_owned(),
            root: root.to_owned(),
            state: State::default(),
            index: None,
        })
    }

    /// Did it change since this was last asked? If so, the index is dropped.
    pub(super) fn changed(&mut self) -> bool {
        let look = |name: &str| stat(self.folder.join(name)).ok().as_ref().map(FileIdentity::of);
        let state = State([look("status"), look("info"), look("diversions")]);
        let changed = state != self.state;
        if changed {
            self.state = state;
            self.index = None;
        }
        changed
    }

    /// The package of the file at `path`, and whether that file agrees with the digest.
    pub(super) fn owner(&mut self, path: &str) -> Lookup {
        if self.index.is_none() {
            match self.build() {
                Ok(index) => {
                    self.index = Some(index);
                    memory::give_back();
                }
                Err(_) => return Lookup::Unowned,
            }
        }
        let found = self.find(path);
        let digest = found
            .as_ref()
            .map(|(package, recorded)| self.compare(package, recorded, path));
        match (found, digest) {
            (Some((package, _)), Some(digest)) if digest != Digest::Differs || !self.is_busy() => {
                let (name, version) = self.describe(&package);
                Lookup::Found(Package {
                    manager: "dpkg".into(),
                    name,
                    version,
                    digest,
                })
            }
            (None, _) if !is_packaged_folder(path) || !self.is_busy() => Lookup::Unowned,
            _ => Lookup::Busy,
        }
    }

    fn build(&self) -> io::Result<Index> {
        let mut index = Index::default();
        let mut content = Vec::new();
        for entry in std::fs::read_dir(self.folder.join("info"))?.take(MAX_PACKAGES * 16) {
            let name = entry?.file_name();
            let Some(package) = name.to_str().and_then(|name| name.strip_suffix(".list")) else {
                continue;
            };
            if index.packages.len() >= MAX_PACKAGES {
                index.paths.truncated = true;
                break;
            }
            content.clear();
            let file = File::open(self.info(package, "list"));
            if file
                .and_then(|file| file.take(MAX_LIST).read_to_end(&mut content))
                .is_ok()
            {
                index.paths.add(index.packages.len() as u32, &content);
                index.packages.push(package.into());
            }
        }
        index.paths.finish();
        let lines: Vec<String> = self.lines("diversions", MAX_LIST).collect();
        index.diversions = lines
            .chunks_exact(3)
            .map(|triple| Diversion {
                original: triple[0].clone(),
                moved_to: triple[1].clone(),
                by: triple[2].clone(),
            })
            .collect();
        Ok(index)
    }

    /// The list name of the package that put the file at `path`, and the path as the package records it.
    fn find(&self, path: &str) -> Option<(Box<str>, String)> {
        let index = self.index.as_ref()?;
        for path in self.aliases(path) {
            // A file that was moved aside is recorded under its original path by the package that lost the place.
            let moved = index
                .diversions
                .iter()
                .find(|diversion| diversion.moved_to == path);
            let here = index
                .diversions
                .iter()
                .find(|diversion| diversion.original == path);
            let recorded = moved.map_or(&*path, |moved| &*moved.original);
            for number in index.paths.candidates(recorded.as_bytes()) {
                let Some(package) = index.packages.get(number as usize) else {
                    continue;
                };
                let bare = package.split(':').next().unwrap_or_default();
                let fits = match (moved, here) {
                    (Some(moved), _) => moved.by != bare,
                    (None, Some(here)) => here.by == bare,
                    (None, None) => true,
                };
                if fits && self.lists(package, recorded) {
                    return Some((package.clone(), recorded.to_owned()));
                }
            }
        }
        None
    }

    /// The path itself, and what it was called before `/bin` and its like became links into `/usr`.
    fn aliases(&self, path: &str) -> Vec<String> {
        let mut paths = vec![path.to_owned()];
        if let Some(short) = path.strip_prefix("/usr").filter(|short| short.starts_with('/'))
            && let Some((parent, _)) = short[1..].split_once('/')
            && ["bin", "sbin", "lib", "lib32", "lib64", "libx32"].contains(&parent)
        {
            let place = |path: String| stat(self.root.join(path)).map(|file| (file.st_dev, file.st_ino));
            let (merged, plain) = (place(parent.to_owned()), place(format!("usr/{parent}")));
            if merged.is_ok() && merged == plain {
                paths.push(short.to_owned());
            }
        }
        paths
    }

    /// Does the package's list name the path? Hashes in the index may collide.
    fn lists(&self, package: &str, path: &str) -> bool {
        self.lines(&format!("info/{package}.list"), MAX_LIST)
            .any(|line| line == path)
    }

    fn compare(&self, package: &str, recorded: &str, path: &str) -> Digest {
        let bare = recorded.trim_start_matches('/');
        let expected = self
            .lines(&format!("info/{package}.md5sums"), MAX_LIST)
            .find_map(|line| {
                let (digest, file) = line.split_once("  ")?;
                (file == bare).then(|| digest.to_owned())
            });
        let Some(expected) = expected else {
            return Digest::Unknown;
        };
        match md5_of(&self.root.join(path.trim_start_matches('/'))) {
            Ok(Some(digest)) if digest == expected => Digest::Agrees,
            Ok(None) => Digest::Unknown,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Digest::Unknown,
            Ok(Some(_)) | Err(_) => Digest::Differs,
        }
    }

    /// Name and installed version of a package by the name of its list.
    fn describe(&self, list: &str) -> (Text, Option<Text>) {
        let (name, architecture) = match list.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (list, None),
        };
        let (mut here, mut right, mut version) = (false, true, None);
        for line in self.lines("status", MAX_STATUS) {
            if let Some(package) = line.strip_prefix("Package: ") {
                here = package == name;
                (right, version) = (true, None);
            } else if !here {
            } else if let Some(found) = line.strip_prefix("Architecture: ") {
                right = architecture.is_none_or(|wanted| wanted == found);
            } else if let Some(found) = line.strip_prefix("Version: ") {
                version = Some(Text::from(found));
            } else if line.is_empty() {
                if right && version.is_some() {
                    break;
                }
                here = false;
            }
        }
        (name.into(), version.filter(|_| here && right))
    }

    /// Does somebody hold dpkg's lock?
    fn is_busy(&self) -> bool {
        let held = |name: &str| {
            let file = File::open(self.folder.join(name)).ok()?;
            fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))
                .ok()
                .flatten()
        };
        held("lock").is_some() || held("lock-frontend").is_some()
    }

    fn info(&self, package: &str, kind: &str) -> PathBuf {
        self.folder.join("info").join(format!("{package}.{kind}"))
    }

    /// Lines of a file of the database that are text; none where it cannot be read.
    fn lines(&self, name: &str, limit: u64) -> impl Iterator<Item = String> + use<> {
        let file = File::open(self.folder.join(name)).ok();
        file.into_iter()
            .flat_map(move |file| BufReader::new(file.take(limit)).lines().map_while(Result::ok))
    }
}

/// Do packages install into this path's folder? What lies elsewhere is nobody's, whatever is being installed.
fn is_packaged_folder(path: &str) -> bool {
    let local = path.starts_with("/usr/local/");
    !local
        && ["/usr/", "/bin/", "/sbin/", "/lib", "/opt/"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

/// The MD5 of a regular file, `None` where it is too large.
fn md5_of(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if about.len() > MAX_FILE {
        return Ok(None);
    }
    let mut hash = Md5::new();
    let mut buffer = vec![0; 64 << 10];
    let mut left = MAX_FILE as usize;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(Some(hexadecimal(&hash.finalize())));
        }
        hash.update(&buffer[..count]);
        left = match left.checked_sub(count) {
            Some(left) => left,
            None => return Ok(None),
        };
    }
}

#[cfg(test)]
mod tests;
