//! Notices of closed sockets: the kernel's socket-destroy multicast of one network namespace.
//!
//! A notice has addresses, user, cookie and (TCP) the final counters, but no inode, control group or process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use atalaya_model::{Socket, Transport};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{RecvFlags, recv};

use super::sockets::{Buffer, message};

/// `SKNLGRP_INET_TCP_DESTROY`, `_UDP_`, `INET6_TCP_`, `INET6_UDP_`.
const GROUPS: [u32; 4] = [1, 2, 3, 4];

/// Most notices read in one go, so that a flood cannot keep the caller from everything else.
pub const MOST_AT_ONCE: usize = 100_000;

/// A subscription to the closed sockets of one network namespace.
#[derive(Debug)]
pub struct Notices {
    socket: netlink_sys::Socket,
    namespace: u32,
    /// The kernel gave the receive buffer that was asked for.
    pub has_full_buffer: bool,
}

/// What one reading gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Notices passed on.
    pub sockets: u64,
    /// Times that the kernel's buffer had overflowed; how many notices each time cost is not known.
    pub overflows: u64,
    /// Notices that could not be read as a socket.
    pub unreadable: u64,
}

impl Notices {
    /// Subscribes in the calling thread's network namespace, whose inode number is `namespace`, with a kernel buffer of
    /// `receive_buffer` bytes, or what the system allows to anybody.
    ///
    /// # Errors
    /// When the kernel has no such multicast (before Linux 4.5) or no descriptor is free.
    pub fn subscribe(namespace: u32, receive_buffer: usize) -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_SOCK_DIAG)?;
        let has_full_buffer = match set_socket_recv_buffer_size_force(&socket, receive_buffer) {
            Ok(()) => true,
            Err(_) => {
                set_socket_recv_buffer_size(&socket, receive_buffer)?;
                false
            }
        };
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        let mut joined = 0;
        for group in GROUPS {
            // A kernel without IPv6 refuses two of them.
            joined += u32::from(socket.add_membership(group).is_ok());
        }
        if joined == 0 {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        Ok(Self {
            socket,
            namespace,
            has_full_buffer,
        })
    }

    /// Gives every waiting notice, at most [`MOST_AT_ONCE`], to `each`. Does not wait.
    ///
    /// # Errors
    /// When the socket cannot be read any more.
    pub fn drain(&mut self, buffer: &mut Buffer, each: &mut dyn FnMut(Socket)) -> io::Result<Drained> {
        let mut drained = Drained::default();
        for _ in 0..MOST_AT_ONCE {
            let bytes = buffer.bytes();
            let (length, _) = match recv(&self.socket, &mut *bytes, RecvFlags::DONTWAIT) {
                Ok(received) => received,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(Errno::NOBUFS) => {
                    drained.overflows += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for notice in message::Messages::new(bytes.get(..length).unwrap_or_default(), 0) {
                let message::Message::Socket(body) = notice else {
                    drained.unreadable += 1;
                    continue;
                };
                // The transport comes with the notice.
                match message::socket(body, Transport::Tcp, self.namespace) {
                    Some(socket) => {
                        drained.sockets += 1;
                        each(socket);
                    }
                    None => drained.unreadable += 1,
                }
            }
        }
        Ok(drained)
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn a_closed_connection_is_told_with_its_bytes() {
        let mut notices = Notices::subscribe(3, 1 << 20).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server_port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let client_port = client.local_addr().unwrap().port();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[7; 1234]).unwrap();
        server.read_exact(&mut [0; 1234]).unwrap();
        server.write_all(&[8; 99]).unwrap();
        client.read_exact(&mut [0; 99]).unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        drop((client, server, udp));

        let (mut tcp, mut udp) = (None, false);
        let mut buffer = Buffer::default();
        for _ in 0..500 {
            notices
                .drain(&mut buffer, &mut |socket| {
                    udp |= socket.transport == Transport::Udp && socket.local.port == udp_port;
                    if socket.local.port == client_port && socket.remote.port == server_port {
                        tcp = Some(socket);
                    }
                })
                .unwrap();
            if tcp.is_some() && udp {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let tcp = tcp.expect("no notice of the TCP socket");
        assert_eq!((tcp.transport, tcp.namespace, tcp.inode), (Transport::Tcp, 3, 0));
        let traffic = tcp.traffic.expect("no counters");
        assert_eq!(traffic.sent_bytes, 1234);
        // A closed socket does not say whether a FIN is among the bytes received.
        assert!((99..=100).contains(&traffic.received_bytes), "{traffic:?}");
        assert!(udp, "no notice of the UDP socket");
    }

    #[test]
    fn an_overflow_is_counted() {
        let mut notices = Notices::subscribe(3, 1 << 12).unwrap();
        let mut drained = Drained::default();
        for _ in 0..2_000 {
            drop(UdpSocket::bind("127.0.0.1:0").unwrap());
        }
        for _ in 0..500 {
            drained = notices.drain(&mut Buffer::default(), &mut |_| {}).unwrap();
            if drained.overflows > 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(drained.overflows > 0, "{drained:?}");
    }
}
