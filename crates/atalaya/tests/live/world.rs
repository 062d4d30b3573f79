//! A world of its own for each test: network, process and mount namespaces, so that nothing else on the machine can
//! interfere, and nothing that the test does can be seen outside.
//!
//! Its first process reads a pipe that the test holds. When the test ends, however it ends, the pipe closes, that
//! process ends, and the kernel ends everything else in the world and takes the interfaces away.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::program::Program;
use crate::{children, run, skip};

/// Laid over the machine's own folders, so that a test may install packages and write configurations.
const OVERLAID: &str = "/etc /opt /usr /var";

/// A host of the test's own.
pub(crate) struct World {
    init: Child,
    /// The first process of the world, by its pid outside.
    pid: u32,
    folder: TempDir,
}

impl World {
    /// A new world with only a loopback interface, or `None`, said aloud, where the machine does not allow one.
    pub(crate) fn new() -> Option<Self> {
        if run("id", &["-u"]) != "0\n" {
            skip("network namespaces need root (sudo -E ./test)");
            return None;
        }
        for program in ["unshare", "nsenter", "ip", "ss", "python3", "cc"] {
            if !Path::new("/usr/bin").join(program).exists() && !Path::new("/usr/sbin").join(program).exists()
            {
                skip(&format!("{program} is not installed"));
                return None;
            }
        }
        let folder = tempfile::Builder::new().prefix("atalaya-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let layers = folder.path().join("layers");
        fs::create_dir(&layers).unwrap();
        let script = format!(
            "set -e
             ip link set lo up
             mount -t tmpfs tmpfs {layers}
             for folder in {OVERLAID}; do
               mkdir -p {layers}$folder/upper {layers}$folder/work
               mount -t overlay overlay \
                 -o lowerdir=$folder,upperdir={layers}$folder/upper,workdir={layers}$folder/work $folder
             done
             mount -t tmpfs tmpfs /run
             mount -t tmpfs tmpfs /dev/shm
             mkdir -p /run/lock
             echo ready
             cat >/dev/null",
            layers = layers.display(),
        );
        let mut init = Command::new("unshare")
            .args([
                "--net",
                "--pid",
                "--mount",
                "--fork",
                "--mount-proc",
                "--kill-child",
                "sh",
                "-c",
                &script,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(init.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "the world did not come up");
        let pid = children(init.id())[0];
        Some(Self { init, pid, folder })
    }

    /// A folder that exists inside and outside under the same path.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in that folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path of the world as it can be opened from outside.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// A command that will run inside, in the world's folder.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--pid", "--mount", "--target", &self.pid.to_string()])
            .arg(format!("--wd={}", self.folder.path().display()))
            .arg("--")
            .arg(program)
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env_remove("NO_COLOR")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("NOTIFY_SOCKET")
            .current_dir(self.folder.path());
        command
    }

    /// Runs a shell script inside and gives what it printed.
    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> String {
        let output = self.command("sh").args(["-ec", script]).output().unwrap();
        assert!(
            output.status.success(),
            "{script}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a program inside that ends with the world at the latest.
    pub(crate) fn start(&self, command: Command) -> Program {
        Program::start(command)
    }

    /// A wire to another world, without addresses and down: an interface of this name on both sides.
    pub(crate) fn wire(&self, name: &str, there: &Self) {
        let (here, there) = (self.pid.to_string(), there.pid.to_string());
        run(
            "ip",
            &[
                "link", "add", name, "netns", &here, "type", "veth", "peer", "name", name, "netns", &there,
            ],
        );
    }

    /// Joins two worlds by a wire: `198.51.100.1` and `2001:db8::1` here, `.2` and `::2` there. Both are
    /// documentation ranges, and so external.
    pub(crate) fn join(&self, there: &Self) {
        let (here, there) = (self.pid.to_string(), there.pid.to_string());
        run(
            "ip",
            &[
                "link", "add", "eth0", "netns", &here, "type", "veth", "peer", "name", "eth0", "netns",
                &there,
            ],
        );
        for (pid, host) in [(&here, 1), (&there, 2)] {
            let script = format!(
                "ip addr add 198.51.100.{host}/24 dev eth0
                 ip addr add 203.0.113.{host}/24 dev eth0
                 ip addr add 2001:db8::{host}/64 dev eth0 nodad
                 ip link set eth0 up"
            );
            run("nsenter", &["--net", "--target", pid, "--", "sh", "-ec", &script]);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The pipe closes, the world ends. `unshare` follows.
        drop(self.init.stdin.take());
        _ = self.init.wait();
    }
}
