//! What only Linux answers: `/proc`, `sock_diag`, namespaces, package databases.

pub mod cgroup;
mod describe;
pub mod destroy;
pub mod hash;
pub mod namespaces;
pub mod owners;
pub mod package;
pub mod poll;
pub mod process;
pub mod redact;
pub mod sockets;
pub mod users;
