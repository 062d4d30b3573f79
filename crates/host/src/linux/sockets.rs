//! Socket tables by `sock_diag` dumps: every TCP, UDP and raw socket of one network namespace.
//!
//! One request, one reused buffer, no allocation for a socket: at 100,000 sockets a dump is what a look costs.

pub mod message;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use atalaya_model::{Socket, Transport};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use message::{Message, Messages};

/// The kernel never fills a dump message beyond 32 KiB; a larger buffer only costs cache.
const BUFFER: usize = 64 << 10;

/// A `sock_diag` socket for dumps, bound to the network namespace in which it was opened.
#[derive(Debug)]
pub struct Dumper {
    socket: netlink_sys::Socket,
    /// Inode number of the network namespace.
    namespace: u32,
    sequence: u32,
    /// Tables that this kernel does not have, by their place in [`TABLES`]. Asking again would make the kernel look for
    /// the module each time.
    missing: [bool; TABLES.len()],
}

/// What is asked for in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// TCP of both families at once.
    Tcp,
    /// Datagram or raw sockets of one family, by its number.
    Other(Transport, u8),
}

/// What of the tables is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Everything,
    /// Of TCP, sockets in states in which usually no process holds them yet, or any more; of all else, everything.
    Unused,
    /// Of TCP, sockets in the other states.
    Used,
    /// Everything but TCP.
    Others,
    /// Everything but what the kernel keeps of ended connections (TIME_WAIT): after a storm, most of all.
    NotWaiting,
}

/// SYN_RECV, both FIN_WAIT, TIME_WAIT, LAST_ACK, CLOSING, NEW_SYN_RECV: each a bit, by the kernel's number.
const UNUSED: u32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 12;

const TIME_WAIT: u32 = 1 << 6;

const INET: u8 = libc::AF_INET as u8;
const INET6: u8 = libc::AF_INET6 as u8;

/// Every table of one look, the most important first.
const TABLES: [Table; 5] = [
    Table::Tcp,
    Table::Other(Transport::Udp, INET),
    Table::Other(Transport::Udp, INET6),
    Table::Other(Transport::Raw(libc::IPPROTO_RAW as u8), INET),
    Table::Other(Transport::Raw(libc::IPPROTO_RAW as u8), INET6),
];

/// The buffer that every dump of a look shares.
#[derive(Debug)]
pub struct Buffer(Box<[u8]>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; BUFFER].into_boxed_slice())
    }
}

impl Buffer {
    /// The bytes to receive into.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// What one dump could not give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Messages that could not be read as a socket.
    pub unreadable: u64,
    /// Tables that could not be read completely.
    pub failed: u64,
}

impl Dumper {
    /// Opens a dump socket in the calling thread's network namespace, whose inode number is `namespace`.
    ///
    /// # Errors
    /// When the kernel offers no `sock_diag`, or no descriptor is free.
    pub fn open(namespace: u32) -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        Ok(Self {
            socket,
            namespace,
            sequence: 0,
            missing: [false; TABLES.len()],
        })
    }

    /// Inode number of the network namespace that it reads.
    pub const fn namespace(&self) -> u32 {
        self.namespace
    }

    /// Reads every table, giving each socket (owners still unknown) to `each`.
    ///
    /// # Errors
    /// When TCP or UDP over IPv4 cannot be read at all. A table that this kernel lacks (IPv6, raw) is left out.
    pub fn dump(&mut self, buffer: &mut Buffer, each: &mut dyn FnMut(Socket)) -> io::Result<Losses> {
        self.dump_part(Part::Everything, buffer, each)
    }

    /// Reads a part of the tables.
    ///
    /// # Errors
    /// As [`dump`](Self::dump).
    pub fn dump_part(
        &mut self,
        part: Part,
        buffer: &mut Buffer,
        each: &mut dyn FnMut(Socket),
    ) -> io::Result<Losses> {
        let mut losses = Losses::default();
        for (place, table) in TABLES.into_iter().enumerate() {
            let states = match (part, table) {
                (Part::Others, Table::Tcp) | (Part::Used, Table::Other(..)) => continue,
                (Part::Unused, Table::Tcp) => UNUSED,
                (Part::Used, Table::Tcp) => !UNUSED,
                (Part::NotWaiting, Table::Tcp) => !TIME_WAIT,
                _ => u32::MAX,
            };
            if self.missing[place] {
                continue;
            }
            match self.dump_table((table, states), buffer, &mut losses, each) {
                Ok(()) => {}
                Err(error) if table.is_required() => return Err(error),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => self.missing[place] = true,
                Err(_) => losses.failed += 1,
            }
        }
        Ok(losses)
    }

    fn dump_table(
        &mut self,
        (table, states): (Table, u32),
        buffer: &mut Buffer,
        losses: &mut Losses,
        each: &mut dyn FnMut(Socket),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = table.request(states, self.sequence);
        send(self.as_fd(), &request, SendFlags::empty())?;
        loop {
            let (length, _) = match recv(self.socket.as_fd(), &mut *buffer.0, RecvFlags::empty()) {
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for message in Messages::new(buffer.0.get(..length).unwrap_or_default(), self.sequence) {
                match message {
                    Message::Socket(body) => match message::socket(body, table.transport(), self.namespace) {
                        Some(socket) => each(socket),
                        None => losses.unreadable += 1,
                    },
                    Message::Done => {
                        return Ok(());
                    }
                    Message::Error(0) => {}
                    Message::Error(number) => return Err(io::Error::from_raw_os_error(number)),
                    Message::Malformed => losses.unreadable += 1,
                }
            }
        }
    }
}

impl AsFd for Dumper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Table {
    const fn transport(self) -> Transport {
        match self {
            Self::Tcp => Transport::Tcp,
            Self::Other(transport, _) => transport,
        }
    }

    fn is_required(self) -> bool {
        matches!(self, Self::Tcp | Self::Other(Transport::Udp, INET))
    }

    /// The bytes of the dump request. TCP is asked in the form that covers both families, as `ss` does: the kernel
    /// then walks its large hash table once instead of twice.
    fn request(self, states: u32, sequence: u32) -> Vec<u8> {
        match self {
            Self::Tcp => message::request_tcp(states, sequence),
            Self::Other(transport, family) => message::request(transport, family, sequence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn own_sockets_are_in_the_dump() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        let udp_port = udp.local_addr().unwrap().port();
        let mut found = Vec::new();
        let losses = Dumper::open(7)
            .unwrap()
            .dump(&mut Buffer::default(), &mut |socket| {
                assert_eq!(socket.namespace, 7);
                assert_ne!(socket.cookie, 0);
                if [tcp_port, udp_port].contains(&socket.local.port) {
                    found.push((socket.transport, socket.local.to_string(), socket.state.name()));
                }
            })
            .unwrap();
        assert_eq!((losses.unreadable, losses.failed), (0, 0));
        assert!(
            found.contains(&(Transport::Tcp, format!("127.0.0.1:{tcp_port}"), "LISTEN")),
            "{found:?}"
        );
        assert!(
            found.contains(&(Transport::Udp, format!("[::1]:{udp_port}"), "CLOSE")),
            "{found:?}"
        );
    }
}
