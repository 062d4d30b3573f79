//! The programs at the root of the control groups, which see datagrams and the ends of sockets.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use aya::Ebpf;
use aya::programs::{Program, ProgramError};

use super::control_group;
use super::loader::{reason, refused};
use crate::HostError;
use crate::linux::programs::calls::{self, Group};

const PROGRAMS: [(&str, Group); 5] = [
    ("datagram_sent", Group::Egress),
    ("datagram_received", Group::Ingress),
    ("datagram_bound4", Group::Bound4),
    ("datagram_bound6", Group::Bound6),
    ("released", Group::Release),
];

/// Attachments; each ends with its descriptor.
#[derive(Debug)]
pub(super) struct Attached(Vec<OwnedFd>);

impl Attached {
    /// Attaches to the root, for all processes. Programs of others that are there stay.
    pub(super) fn to_root(ebpf: &mut Ebpf) -> Result<Self, HostError> {
        let root = control_group::open_root()?;
        let links = PROGRAMS.iter().map(|(name, purpose)| {
            attach(ebpf, name, *purpose, &root).map_err(|error| {
                let text = format!("{name}: {}", reason(&*error));
                refused("attach a program to the control groups", text)
            })
        });
        links.collect::<Result<_, _>>().map(Self)
    }

    /// Is everything still attached?
    pub(super) fn check(&self) -> Result<(), HostError> {
        let is_gone = |link: &OwnedFd| {
            let path = format!("/proc/self/fdinfo/{}", link.as_raw_fd());
            fs::read_to_string(path).is_ok_and(|text| is_detached(&text))
        };
        if self.0.iter().any(is_gone) {
            return Err(refused(
                "see datagrams",
                "somebody has detached a program of ours from the control groups",
            ));
        }
        Ok(())
    }
}

/// What the kernel says of a link that leads nowhere any more.
fn is_detached(information: &str) -> bool {
    let groups = information
        .lines()
        .filter_map(|line| line.strip_prefix("cgroup_id:"));
    groups.map(str::trim).any(|group| group == "0")
}

fn attach(
    ebpf: &mut Ebpf,
    name: &str,
    purpose: Group,
    root: &OwnedFd,
) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let program = match ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)? {
        Program::CgroupSkb(program) => {
            program.load()?;
            program.fd()?
        }
        Program::CgroupSock(program) => {
            program.load()?;
            program.fd()?
        }
        _ => return Err(ProgramError::UnexpectedProgramType.into()),
    };
    let link = calls::link_group(program.as_fd(), root.as_fd(), purpose);
    link.map_err(|error: io::Error| error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_where_it_leads() {
        assert!(is_detached(
            "pos:\t0\nlink_type:\tcgroup\ncgroup_id:\t0\nattach_type:\t1\n"
        ));
        assert!(!is_detached("link_type:\tcgroup\ncgroup_id:\t10\n"));
        assert!(!is_detached(""));
    }
}
