//! What a watcher may see that lives in a pid namespace of its own, as in a container: the processes in there, and the
//! network namespaces that they use. The programs see the whole host; the rest of it is no business of ours, and its
//! processes could not be named by ids that mean anything here.

use atalaya_model::{Owners, Socket};
use rustix::fs::{AtFlags, CWD, statat};

use crate::HostError;
use crate::linux::owners::numbers::NumberSet;

/// Inode number of the first pid namespace, the same on every kernel (`PROC_PID_INIT_INO`).
const FIRST: u32 = 0xefff_fffc;
/// Inode number of the first time namespace (`PROC_TIME_INIT_INO`).
const FIRST_TIME: u32 = 0xefff_fffa;
/// Most network namespaces remembered.
const MOST: usize = 65_536;

/// The network namespaces that are ours to see; `None` where that is all of them.
#[derive(Debug, Default)]
pub(super) struct Scope(Option<NumberSet<u32>>);

/// Inode number of our pid namespace, 0 where it is the host's own.
pub(super) fn process_namespace() -> u32 {
    match statat(CWD, c"/proc/self/ns/pid", AtFlags::empty()) {
        Ok(stat) if stat.st_ino as u32 != FIRST => stat.st_ino as u32,
        _ => 0,
    }
}

/// The kernel and `/proc` must agree on when a process started.
pub(super) fn check_time() -> Result<(), HostError> {
    match statat(CWD, c"/proc/self/ns/time", AtFlags::empty()) {
        Ok(stat) if stat.st_ino as u32 != FIRST_TIME => Err(HostError::system(
            "compare times with the kernel's, in a time namespace of its own: start it outside",
        )(std::io::ErrorKind::Unsupported.into())),
        _ => Ok(()),
    }
}

impl Scope {
    /// Everything, or from `own` on what processes of ours turn out to use.
    pub(super) fn of(process_namespace: u32, own: u32) -> Self {
        Self((process_namespace != 0).then(|| [own].into_iter().collect()))
    }

    /// Is this socket ours to see?
    pub(super) fn takes(&mut self, socket: &Socket) -> bool {
        let Some(namespaces) = &mut self.0 else {
            return true;
        };
        let is_owned = match &socket.owners {
            Owners::Unknown(_) => false,
            Owners::One(_) | Owners::Used(_) | Owners::Accepting(_) | Owners::Many(_) => true,
        };
        if is_owned && namespaces.len() < MOST {
            namespaces.insert(socket.namespace);
        }
        is_owned || namespaces.contains(&socket.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_model::{Endpoint, Evidence, ProcessKey, SocketState, Transport};

    fn socket(namespace: u32, owners: Owners) -> Socket {
        let end = Endpoint::new([192, 0, 2, 1].into(), 80);
        Socket {
            transport: Transport::Tcp,
            state: SocketState::Established,
            local: end,
            remote: end,
            namespace,
            cookie: 1,
            inode: 0,
            user_id: 0,
            cgroup_id: 0,
            traffic: None,
            owners,
        }
    }

    #[test]
    fn what_others_use_is_left_out() {
        let nobody = || Owners::Unknown(Evidence::NotFound);
        let ours = Owners::Used(ProcessKey { pid: 2, start: 3 });
        let mut all = Scope::of(0, 1);
        assert!(all.takes(&socket(2, nobody())));
        let mut some = Scope::of(7, 1);
        assert!(some.takes(&socket(1, nobody())));
        assert!(!some.takes(&socket(2, nobody())));
        assert!(some.takes(&socket(2, ours)));
        assert!(some.takes(&socket(2, nobody())), "a process of ours is in there");
    }
}
