//! Which package installed an executable, and whether the file at its path is still the one that was installed.

pub mod dpkg;
mod index;
pub mod rpm;

use std::collections::HashMap;
use std::path::Path;

use atalaya_model::process::Package;
use atalaya_model::{Process, Text};
use rustix::fs::{Stat, stat};

use self::dpkg::Dpkg;
use self::rpm::Rpm;
use super::hash::FileIdentity;
use super::process::files::ProcessFolder;

/// Most answers remembered; at the limit all are forgotten.
const MAX_ANSWERS: usize = 4096;

/// The answer to "whose is this file?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A package's.
    Found(Package),
    /// No package's.
    Unowned,
    /// The package manager is at work: file and records may not fit together right now. Ask again later.
    Busy,
}

/// The package databases of this host, read only, with a bounded memory of answers.
#[derive(Debug)]
pub struct Packages {
    dpkg: Option<Dpkg>,
    rpm: Option<Rpm>,
    /// By path and what the file there is now; valid for one state of the databases.
    answers: HashMap<(Text, Option<FileIdentity>), Lookup>,
}

impl Packages {
    /// The databases that exist on this host. Nothing is read yet.
    pub fn of_host() -> Self {
        Self {
            dpkg: Dpkg::at(Path::new("/var/lib/dpkg"), Path::new("/")),
            rpm: Rpm::at(Path::new("/usr/bin/rpm"), Path::new("/")),
            answers: HashMap::new(),
        }
    }

    /// Whose the executable of a process is. A process that sees other folders than we do (a container with its own
    /// root) runs no file of this host's packages, whatever its path says.
    pub fn of_process(&mut self, folder: &ProcessFolder, process: &Process) -> Lookup {
        match &process.executable {
            Some(path) if !process.flags.memfd && same_folder(folder, path) => self.of_path(path),
            _ => Lookup::Unowned,
        }
    }

    /// Whose the file at an absolute path is.
    pub fn of_path(&mut self, path: &Text) -> Lookup {
        if !path.starts_with('/') || path.contains('\n') {
            return Lookup::Unowned;
        }
        if self.changed() {
            self.answers.clear();
        }
        let there = stat(&**path).ok().as_ref().map(FileIdentity::of);
        let question = (path.clone(), there);
        if let Some(answer) = self.answers.get(&question) {
            return answer.clone();
        }
        let answer = self.ask(path);
        if answer != Lookup::Busy {
            if self.answers.len() >= MAX_ANSWERS {
                self.answers.clear();
            }
            self.answers.insert(question, answer.clone());
        }
        answer
    }

    /// Did a package manager change its database since this was last asked?
    fn changed(&mut self) -> bool {
        let dpkg = self.dpkg.as_mut().is_some_and(Dpkg::changed);
        let rpm = self.rpm.as_mut().is_some_and(Rpm::changed);
        dpkg || rpm
    }

    fn ask(&mut self, path: &str) -> Lookup {
        match self.dpkg.as_mut().map(|dpkg| dpkg.owner(path)) {
            None | Some(Lookup::Unowned) => {}
            Some(answer) => return answer,
        }
        self.rpm.as_mut().map_or(Lookup::Unowned, |rpm| rpm.owner(path))
    }
}

/// Is the folder of `path` the same for the process as for us? The file itself may be gone or replaced.
fn same_folder(process: &ProcessFolder, path: &str) -> bool {
    let parent = match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None => return false,
    };
    let theirs = process.stat(format!("root{parent}").as_bytes());
    let place = |stat: Stat| (stat.st_dev, stat.st_ino);
    match (theirs, stat(parent)) {
        (Ok(theirs), Ok(ours)) => place(theirs) == place(ours),
        _ => false,
    }
}

/// A signature of the databases' state, for noticing that programs were upgraded under running processes: it differs
/// after every installation, upgrade and removal. Costs a few `stat` calls.
pub fn database_state() -> u64 {
    let files = [
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/info",
        "/var/lib/rpm/rpmdb.sqlite",
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    ];
    files.iter().fold(0xcbf2_9ce4_8422_2325, |state, path| {
        let file = stat(*path).ok().map(|file| FileIdentity::of(&file));
        index::mix(state, format!("{file:?}").as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_hosts_own_tools_belong_to_somebody() {
        if !Path::new("/var/lib/dpkg/status").exists() {
            return;
        }
        let mut packages = Packages::of_host();
        let path: Text = std::fs::canonicalize("/bin/sleep")
            .unwrap()
            .to_str()
            .unwrap()
            .into();
        let Lookup::Found(package) = packages.of_path(&path) else {
            panic!("{path} belongs to nobody");
        };
        assert_eq!((&*package.manager, &*package.name), ("dpkg", "coreutils"));
        assert_eq!(package.digest, atalaya_model::process::Digest::Agrees);
        assert!(package.version.is_some());
        let own = std::env::current_exe().unwrap();
        assert_eq!(packages.of_path(&own.to_str().unwrap().into()), Lookup::Unowned);
        assert_eq!(packages.of_path(&"no/path".into()), Lookup::Unowned);
        assert_eq!(database_state(), database_state());
    }

    #[test]
    fn a_process_with_another_root_runs_none_of_our_packages() {
        let path = std::fs::canonicalize("/bin/sleep").unwrap();
        let proc_folder = tempfile::tempdir().unwrap();
        let image = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(image.path().join("usr/bin")).unwrap();
        for (pid, root) in [("7", Path::new("/")), ("8", image.path())] {
            let folder = proc_folder.path().join(pid);
            std::fs::create_dir(&folder).unwrap();
            std::os::unix::fs::symlink(root, folder.join("root")).unwrap();
        }
        let open = std::fs::File::open(proc_folder.path()).unwrap();
        let inside = |pid| {
            let folder = ProcessFolder::open(std::os::fd::AsFd::as_fd(&open), pid).unwrap();
            same_folder(&folder, path.to_str().unwrap())
        };
        assert!(inside(7));
        assert!(!inside(8));
    }
}
