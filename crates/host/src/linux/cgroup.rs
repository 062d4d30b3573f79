//! What `/proc/PID/cgroup` says: the control group, the container in it, the systemd unit.

use atalaya_model::process::Container;
use atalaya_model::{Process, Text};

use super::process::arguments::{cut, text};

/// Most of the file that is read, in bytes.
pub const MAX_CGROUP: usize = 16 << 10;
/// Longest path that is kept, in bytes.
const MAX_PATH: usize = 1024;
/// Longest container id or name that is believed, in bytes.
const MAX_ID: usize = 255;

/// A process's place among the control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The unified hierarchy's path, or systemd's where the unified one is not in use.
    pub path: Option<Text>,
    /// The container, by the names its runtime gives to control groups.
    pub container: Option<Container>,
    /// The systemd unit; inside a user's own service manager that manager's unit.
    pub unit: Option<Text>,
}

impl Group {
    /// Puts a process into this group.
    pub fn give(&self, process: &mut Process) {
        process.cgroup.clone_from(&self.path);
        process.container.clone_from(&self.container);
        process.unit.clone_from(&self.unit);
    }
}

/// Reads the file: lines of `hierarchy:controllers:path` (version 1), `0::path` (version 2), or both.
pub fn parse(content: &[u8]) -> Group {
    let mut unified = None;
    let mut systemd = None;
    let mut container = None;
    for line in content.split(|byte| *byte == b'\n') {
        let Some((controllers, path)) = split_line(line) else {
            continue;
        };
        let path = text(path);
        container = container.or_else(|| find_container(&path));
        match controllers {
            b"" => unified = Some(path),
            b"name=systemd" => systemd = Some(path),
            _ => {}
        }
    }
    let at_home = |path: &std::borrow::Cow<'_, str>| path != "/";
    let unit = [&unified, &systemd]
        .into_iter()
        .flatten()
        .find_map(|path| find_unit(path));
    let path = match (unified, systemd) {
        (Some(unified), _) if at_home(&unified) => Some(unified),
        (_, Some(systemd)) if at_home(&systemd) => Some(systemd),
        (unified, systemd) => unified.or(systemd),
    };
    Group {
        path: path.map(|path| cut(&path, MAX_PATH).into()),
        container,
        unit,
    }
}

fn split_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    path.starts_with(b"/").then_some((controllers, path))
}

/// How a runtime names a scope: `PREFIX-ID.scope`, or as a part of another name after a colon.
const SCOPES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("libpod-", "podman"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
];

/// How a runtime names a folder whose children are its containers.
const FOLDERS: &[(&str, &str)] = &[
    ("docker", "docker"),
    ("libpod_parent", "podman"),
    ("k8s.io", "containerd"),
    ("moby", "docker"),
    ("default", "containerd"),
    ("lxc", "lxc"),
    ("lxc.payload", "lxc"),
];

fn find_container(path: &str) -> Option<Container> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).take(64).collect();
    let in_pod = parts.iter().any(|part| part.starts_with("kubepods"));
    // The innermost container counts: docker in docker, kind.
    for (index, part) in parts.iter().enumerate().rev() {
        let outer = index.checked_sub(1).and_then(|outer| parts.get(outer)).copied();
        if let Some(found) = named_scope(part).or_else(|| child_of_folder(outer, part)) {
            return Some(found);
        }
        let pod = outer.is_some_and(|outer| outer.starts_with("pod") || outer.contains("-pod"));
        if in_pod && pod && is_hash(part) {
            return container("kubernetes", part);
        }
    }
    None
}

fn named_scope(part: &str) -> Option<Container> {
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, runtime) in SCOPES {
        if let Some(id) = bare.strip_prefix(prefix)
            && is_hash(id)
        {
            return container(runtime, id);
        }
    }
    // cgroupfs driver below containerd: `kubepods-burstable-podUID.slice:cri-containerd:ID`.
    if let Some((front, id)) = bare.rsplit_once(':')
        && is_hash(id)
    {
        let runtime = match front.rsplit(':').next() {
            Some("cri-containerd" | "containerd") => "containerd",
            Some("crio") => "cri-o",
            Some("docker") => "docker",
            _ => "kubernetes",
        };
        return container(runtime, id);
    }
    if let Some(name) = bare.strip_prefix("lxc.payload.") {
        return container("lxc", name);
    }
    if part.ends_with(".scope")
        && let Some(name) = bare.strip_prefix("machine-")
        && !name.starts_with("qemu\\x2d")
    {
        return container("systemd-nspawn", &unescape(name));
    }
    let name = part
        .strip_suffix(".service")
        .and_then(|unit| unit.strip_prefix("systemd-nspawn@"))?;
    container("systemd-nspawn", &unescape(name))
}

fn child_of_folder(outer: Option<&str>, part: &str) -> Option<Container> {
    let (_, runtime) = FOLDERS.iter().find(|(folder, _)| Some(*folder) == outer)?;
    let id = part.strip_prefix("libpod-").unwrap_or(part);
    (*runtime == "lxc" || is_hash(id))
        .then(|| container(runtime, id))
        .flatten()
}

fn container(runtime: &str, id: &str) -> Option<Container> {
    let sound = !id.is_empty() && id.len() <= MAX_ID;
    sound.then(|| Container {
        runtime: runtime.into(),
        id: id.into(),
    })
}

/// A container id: 64 hexadecimal digits, or the 32 of older runtimes.
fn is_hash(id: &str) -> bool {
    matches!(id.len(), 32 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The first unit on the way down that is no slice; below `user@N.service` the first one there.
fn find_unit(path: &str) -> Option<Text> {
    let mut units = path.split('/').map(|part| part.strip_prefix('_').unwrap_or(part));
    let first = units.find(|part| is_unit(part))?;
    let manager = first.starts_with("user@") && first.ends_with(".service");
    let inner = manager
        .then(|| units.find(|part| is_unit(part)))
        .flatten()
        .filter(|inner| *inner != "init.scope");
    Some(inner.unwrap_or(first).into())
}

fn is_unit(part: &str) -> bool {
    const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    let sound = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    part.len() <= MAX_ID
        && KINDS.iter().any(|kind| {
            part.strip_suffix(kind)
                .is_some_and(|name| !name.is_empty() && name.chars().all(sound))
        })
}

/// systemd's `\x2d` for a hyphen in a name.
fn unescape(name: &str) -> String {
    name.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "3f4b9c1d2e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e";

    #[track_caller]
    fn check(content: &str, path: &str, container: Option<(&str, &str)>, unit: Option<&str>) {
        let group = parse(content.replace("ID", ID).as_bytes());
        let found = group
            .container
            .as_ref()
            .map(|found| (&*found.runtime, &*found.id));
        let expected = container.map(|(runtime, id)| (runtime, if id == "ID" { ID } else { id }));
        assert_eq!(found, expected, "{content}");
        assert_eq!(group.path.as_deref(), Some(&*path.replace("ID", ID)), "{content}");
        assert_eq!(
            group.unit.as_deref(),
            unit.map(|unit| unit.replace("ID", ID)).as_deref(),
            "{content}"
        );
    }

    #[test]
    fn units() {
        let ssh = Some("ssh.service");
        check(
            "0::/system.slice/ssh.service\n",
            "/system.slice/ssh.service",
            None,
            ssh,
        );
        check(
            "9:name=systemd:/system.slice/ssh.service\n3:cpu:/\n0::/\n",
            "/system.slice/ssh.service",
            None,
            ssh,
        );
        let session = "/user.slice/user-1000.slice/session-3.scope";
        check(&format!("0::{session}"), session, None, Some("session-3.scope"));
        let app = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope";
        check(&format!("0::{app}"), app, None, Some("app-firefox.scope"));
        let manager = "/user.slice/user-1000.slice/user@1000.service/init.scope";
        check(&format!("0::{manager}"), manager, None, Some("user@1000.service"));
        check("0::/\n", "/", None, None);
        check("0::/init.scope\n", "/init.scope", None, Some("init.scope"));
        check("1:name=systemd:/x y.service\n", "/x y.service", None, None);
    }

    #[test]
    fn containers() {
        let docker = Some(("docker", "ID"));
        let scope = Some("docker-ID.scope");
        check(
            "0::/system.slice/docker-ID.scope",
            "/system.slice/docker-ID.scope",
            docker,
            scope,
        );
        check(
            "4:memory:/docker/ID\n1:name=systemd:/docker/ID\n",
            "/docker/ID",
            docker,
            None,
        );
        check("4:memory:/docker/ID\n0::/\n", "/", docker, None);
        let podman = "/machine.slice/libpod-ID.scope/container";
        check(
            &format!("0::{podman}"),
            podman,
            Some(("podman", "ID")),
            Some("libpod-ID.scope"),
        );
        let pod = "/kubepods/besteffort/pod12-34/ID";
        check(
            &format!("4:memory:{pod}\n0::{pod}"),
            pod,
            Some(("kubernetes", "ID")),
            None,
        );
        let cri =
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-ID.scope";
        check(
            &format!("0::{cri}"),
            cri,
            Some(("containerd", "ID")),
            Some("cri-containerd-ID.scope"),
        );
        let colon = "/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:ID";
        check(
            &format!("0::{colon}"),
            colon,
            Some(("containerd", "ID")),
            Some("containerd.service"),
        );
        let crio = "/kubepods.slice/kubepods-pod1.slice/crio-ID.scope";
        check(
            &format!("0::{crio}"),
            crio,
            Some(("cri-o", "ID")),
            Some("crio-ID.scope"),
        );
        check(
            "0::/lxc/web/system.slice",
            "/lxc/web/system.slice",
            Some(("lxc", "web")),
            None,
        );
        check(
            "0::/lxc.payload.web/x",
            "/lxc.payload.web/x",
            Some(("lxc", "web")),
            None,
        );
        let machine = "/machine.slice/machine-my\\x2dbox.scope/payload";
        check(
            &format!("0::{machine}"),
            machine,
            Some(("systemd-nspawn", "my-box")),
            Some("machine-my\\x2dbox.scope"),
        );
        let nested = "/docker/ID/docker/11111111111111111111111111111111";
        let inner = Some(("docker", "11111111111111111111111111111111"));
        check(&format!("0::{nested}"), nested, inner, None);
    }

    #[test]
    fn what_only_looks_like_a_container() {
        for path in [
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/system.slice/docker.service",
            "/docker/short",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
            "/lxc.monitor.web",
        ] {
            let group = parse(format!("0::{}", path.replace("ID", ID)).as_bytes());
            assert_eq!(group.container, None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn hostile_content_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn near_misses_do_no_harm(path in "(0::|1:name=systemd:)?(/|docker|-|[.]scope|libpod|pod|lxc|:|[0-9a-f]{0,64}|machine-){0,12}") {
            let group = parse(path.as_bytes());
            prop_assert!(group.container.is_none_or(|found| found.id.len() <= MAX_ID));
        }
    }
}
