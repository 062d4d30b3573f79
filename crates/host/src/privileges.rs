//! What this process may do, what it may not, and the command that would change it.

use std::path::Path;

use atalaya_model::Text;
use atalaya_model::tier::Limit;
use caps::{CapSet, Capability};

/// A capability that makes a difference.
#[derive(Debug)]
struct Wanted {
    capability: Capability,
    without: &'static str,
}

const WANTED: [Wanted; 7] = [
    Wanted {
        capability: Capability::CAP_SYS_PTRACE,
        without: "executables, working directories and sockets of other users' processes are not seen",
    },
    Wanted {
        capability: Capability::CAP_DAC_READ_SEARCH,
        without: "descriptors and executables in folders of other users are not read",
    },
    Wanted {
        capability: Capability::CAP_NET_ADMIN,
        without: "sockets closed between two looks may be lost under load, as the kernel's queue stays small",
    },
    Wanted {
        capability: Capability::CAP_SYS_ADMIN,
        without: "network namespaces of containers are not entered, and their sockets not seen",
    },
    Wanted {
        capability: Capability::CAP_NET_RAW,
        without: "packets cannot be read: `watch --packets` and `capture` do not work",
    },
    Wanted {
        capability: Capability::CAP_BPF,
        without: "programs in the kernel cannot be loaded: what lives between two looks loses its process",
    },
    Wanted {
        capability: Capability::CAP_PERFMON,
        without: "programs in the kernel and tracepoints cannot be used: what lives between two looks loses its process",
    },
];

/// The privileges of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Effective user id.
    pub user_id: u32,
    /// Capabilities that are there, of those that matter (`CAP_NET_ADMIN`).
    pub present: Vec<Text>,
    /// Capabilities that are missing, and what is not seen without each.
    pub missing: Vec<(Text, Text)>,
}

impl Privileges {
    /// This process's, as they are now.
    pub fn own() -> Self {
        let effective = caps::read(None, CapSet::Effective).unwrap_or_default();
        Self::of(rustix::process::geteuid().as_raw(), |capability| {
            effective.contains(&capability)
        })
    }

    fn of(user_id: u32, has: impl Fn(Capability) -> bool) -> Self {
        let (present, missing): (Vec<&Wanted>, Vec<&Wanted>) =
            WANTED.iter().partition(|wanted| has(wanted.capability));
        let name = |wanted: &&Wanted| Text::from(wanted.capability.to_string());
        Self {
            user_id,
            present: present.iter().map(name).collect(),
            missing: missing
                .iter()
                .map(|wanted| (name(wanted), wanted.without.into()))
                .collect(),
        }
    }

    /// Is everything there?
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The limits that the missing capabilities set, each with the commands that would lift it. `program` is the path
    /// of this program; root itself is told what its environment took away.
    pub fn limits(&self, program: &Path) -> Vec<Limit> {
        let remedy = self.remedy(program);
        let limit = |(name, without): &(Text, Text)| Limit {
            what: format!("no {name}: {without}").into(),
            remedy: remedy.clone(),
        };
        self.missing.iter().map(limit).collect()
    }

    /// The exact commands that grant what is missing.
    pub fn remedy(&self, program: &Path) -> Text {
        if self.user_id == 0 {
            let names: Vec<&str> = self.missing.iter().map(|(name, _)| &**name).collect();
            return format!("start it with {} in its bounding set", names.join(", ")).into();
        }
        if self
            .missing
            .iter()
            .all(|(name, _)| !GRANTED.contains(&name.to_lowercase()))
        {
            return "sudo atalaya watch".into();
        }
        format!("sudo atalaya watch, or once: sudo {}", grant(program)).into()
    }
}

/// What `setcap` is told so that any user may watch with the program. Not CAP_SYS_ADMIN, which is little less than root.
pub const GRANTED: &str =
    "cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_sys_ptrace,cap_dac_read_search+ep";

/// The `setcap` command that lets any user watch with the program at `path`.
pub fn grant(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let path = if path.chars().all(plain) {
        path.into_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    };
    format!("setcap {GRANTED} {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_its_command() {
        let some = Privileges::of(1000, |capability| capability == Capability::CAP_NET_ADMIN);
        assert_eq!(some.present, ["CAP_NET_ADMIN".into()]);
        assert_eq!(some.missing.len(), 6);
        assert!(!some.is_complete());
        let limits = some.limits(Path::new("/usr/bin/atalaya"));
        assert_eq!(limits.len(), 6);
        assert!(limits[0].what.starts_with("no CAP_SYS_PTRACE: "));
        assert_eq!(
            &*limits[0].remedy,
            "sudo atalaya watch, or once: sudo setcap \
             cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw,cap_sys_ptrace,cap_dac_read_search+ep /usr/bin/atalaya"
        );
        let granted = Privileges::of(1000, |capability| capability != Capability::CAP_SYS_ADMIN);
        assert_eq!(&*granted.remedy(Path::new("atalaya")), "sudo atalaya watch");
        assert!(grant(Path::new("/a b/it's")).ends_with(r"+ep '/a b/it'\''s'"));
    }

    #[test]
    fn all_is_all() {
        let all = Privileges::of(0, |_| true);
        assert!(all.is_complete() && all.limits(Path::new("x")).is_empty());
        let none = Privileges::of(0, |_| false);
        assert!(none.remedy(Path::new("x")).contains("bounding set"));
        let own = Privileges::own();
        assert_eq!(own.present.len() + own.missing.len(), WANTED.len());
    }
}
