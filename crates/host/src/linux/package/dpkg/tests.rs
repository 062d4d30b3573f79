//! Small databases, made by the test.

use std::fs;

use super::*;

struct Host(tempfile::TempDir);

impl Host {
    /// A usr-merged root with a package `tool` that owns `/bin/tool` and `/usr/bin/other`.
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for folder in ["usr/bin", "db/info"] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink("usr/bin", host.path("bin")).unwrap();
        host.write("usr/bin/tool", "abc");
        host.write("usr/bin/other", "abc");
        host.write(
            "db/info/tool:amd64.list",
            "/.\n/bin\n/bin/tool\n/usr\n/usr/bin\n/usr/bin/other\n",
        );
        host.write(
            "db/info/tool:amd64.md5sums",
            "900150983cd24fb0d6963f7d28e17f72  bin/tool\n00000000000000000000000000000000  usr/bin/other\n",
        );
        host.write(
            "db/status",
            "Package: tool\nStatus: install ok installed\nArchitecture: i386\nVersion: 9\n\n\
             Package: tool\nArchitecture: amd64\nVersion: 1.2-3\nDepends: x\n\nPackage: zoo\nVersion: 7\n",
        );
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn open(&self) -> Dpkg {
        let mut dpkg = Dpkg::at(&self.path("db"), self.0.path()).unwrap();
        assert!(dpkg.changed() && !dpkg.changed());
        dpkg
    }
}

fn found(name: &str, version: Option<&str>, digest: Digest) -> Lookup {
    Lookup::Found(Package {
        manager: "dpkg".into(),
        name: name.into(),
        version: version.map(Into::into),
        digest,
    })
}

#[test]
fn merged_folders_and_digests() {
    let host = Host::new();
    let mut dpkg = host.open();
    let agrees = found("tool", Some("1.2-3"), Digest::Agrees);
    assert_eq!(dpkg.owner("/usr/bin/tool"), agrees);
    assert_eq!(dpkg.owner("/bin/tool"), agrees);
    let differs = found("tool", Some("1.2-3"), Digest::Differs);
    assert_eq!(dpkg.owner("/usr/bin/other"), differs);
    assert_eq!(dpkg.owner("/usr/bin/nothing"), Lookup::Unowned);
    host.write("usr/bin/tool", "abd");
    assert_eq!(dpkg.owner("/usr/bin/tool"), differs);
    fs::remove_file(host.path("usr/bin/tool")).unwrap();
    assert_eq!(dpkg.owner("/usr/bin/tool"), differs);
}

#[test]
fn without_merging_the_folders_are_two() {
    let host = Host::new();
    fs::remove_file(host.path("bin")).unwrap();
    fs::create_dir(host.path("bin")).unwrap();
    assert_eq!(host.open().owner("/usr/bin/tool"), Lookup::Unowned);
}

#[test]
fn an_upgrade_is_noticed() {
    let host = Host::new();
    let mut dpkg = host.open();
    assert_eq!(
        dpkg.owner("/usr/bin/other"),
        found("tool", Some("1.2-3"), Digest::Differs)
    );
    host.write(
        "db/info/tool:amd64.md5sums",
        "900150983cd24fb0d6963f7d28e17f72  usr/bin/other\n",
    );
    host.write(
        "db/status",
        "Package: tool\nArchitecture: amd64\nVersion: 1.2-4\n\n",
    );
    assert!(dpkg.changed());
    assert_eq!(
        dpkg.owner("/usr/bin/other"),
        found("tool", Some("1.2-4"), Digest::Agrees)
    );
}

#[test]
fn diversions() {
    let host = Host::new();
    host.write("db/info/wrap.list", "/usr/bin/other\n");
    host.write(
        "db/info/wrap.md5sums",
        "900150983cd24fb0d6963f7d28e17f72  usr/bin/other\n",
    );
    host.write("db/diversions", "/usr/bin/other\n/usr/bin/other.real\nwrap\n");
    host.write("usr/bin/other.real", "abd");
    let mut dpkg = host.open();
    assert_eq!(dpkg.owner("/usr/bin/other"), found("wrap", None, Digest::Agrees));
    let moved = found("tool", Some("1.2-3"), Digest::Differs);
    assert_eq!(dpkg.owner("/usr/bin/other.real"), moved);
    host.write("db/diversions", "/usr/bin/other\n/usr/bin/other.real\n:\n");
    assert!(dpkg.changed());
    assert_eq!(dpkg.owner("/usr/bin/other"), Lookup::Unowned);
}

#[test]
fn no_digest_is_no_opinion() {
    let host = Host::new();
    fs::remove_file(host.path("db/info/tool:amd64.md5sums")).unwrap();
    let unknown = found("tool", Some("1.2-3"), Digest::Unknown);
    assert_eq!(host.open().owner("/usr/bin/tool"), unknown);
}

#[test]
fn broken_databases_do_no_harm() {
    let host = Host::new();
    host.write("db/diversions", "/usr/bin/tool\n");
    fs::write(host.path("db/status"), b"Package: tool\n\xff\xfe\n").unwrap();
    fs::write(host.path("db/info/tool:amd64.md5sums"), b"\xff\n").unwrap();
    assert_eq!(
        host.open().owner("/usr/bin/tool"),
        found("tool", None, Digest::Unknown)
    );
    fs::remove_dir_all(host.path("db/info")).unwrap();
    assert_eq!(host.open().owner("/usr/bin/tool"), Lookup::Unowned);
    assert!(Dpkg::at(Path::new("/nonexistent"), Path::new("/")).is_none());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a lock counts only when another process holds it"
)]
fn a_package_manager_at_work_is_waited_for() {
    let host = Host::new();
    host.write("db/lock", "");
    let script = "use Fcntl; open(F,'>',$ARGV[0]) or die; \
                  my $lock=pack('s s x![q] q q i x![q]',F_WRLCK,0,0,0,0); fcntl(F,F_SETLK,$lock) or die; $|=1; \
                  print \"held\\n\"; <STDIN>;";
    let Ok(mut child) = std::process::Command::new("perl")
        .args(["-e", script])
        .arg(host.path("db/lock"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return; // no perl to hold the lock
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "held\n");
    let mut dpkg = host.open();
    assert_eq!(dpkg.owner("/usr/bin/other"), Lookup::Busy);
    assert_eq!(dpkg.owner("/usr/bin/unowned"), Lookup::Busy);
    assert_eq!(dpkg.owner("/tmp/unowned"), Lookup::Unowned);
    let agrees = found("tool", Some("1.2-3"), Digest::Agrees);
    assert_eq!(dpkg.owner("/usr/bin/tool"), agrees);
    drop(child.stdin.take());
    child.wait().unwrap();
    let differs = found("tool", Some("1.2-3"), Digest::Differs);
    assert_eq!(dpkg.owner("/usr/bin/other"), differs);
}
