//! The service manager's side of a long run: ready, alive, stopping (sd_notify(3)).

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use atalaya_model::Span;

/// Longest status line, in bytes.
const MAX_STATUS: usize = 512;

/// A line to the service manager. Without one every message goes nowhere.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Span>,
}

impl Notifier {
    /// The service manager that started this process, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    ///
    /// # Errors
    /// When there is a manager, and its socket cannot be used.
    pub fn from_environment() -> io::Result<Self> {
        let pid = std::env::var("WATCHDOG_PID").ok();
        let for_us = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let watchdog = std::env::var("WATCHDOG_USEC").ok().filter(|_| for_us);
        Self::to(std::env::var_os("NOTIFY_SOCKET"), watchdog.as_deref())
    }

    /// A line to the socket at `address` (`@name` for an abstract one), with the watchdog's time-out in microseconds.
    ///
    /// # Errors
    /// When the address is none, or the socket cannot be used.
    pub fn to(address: Option<OsString>, watchdog: Option<&str>) -> io::Result<Self> {
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Ok(Self::default());
        };
        let target = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(&address)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "NOTIFY_SOCKET is no path",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&target)?;
        socket.set_nonblocking(true)?;
        let timeout = watchdog.and_then(|micros| micros.parse::<i64>().ok());
        Ok(Self {
            socket: Some(socket),
            watchdog: timeout.filter(|micros| *micros > 0).map(Span),
        })
    }

    /// Is there a service manager?
    pub fn is_managed(&self) -> bool {
        self.socket.is_some()
    }

    /// How often [`Self::alive`] must be called: half the watchdog's time-out. `None` without a watchdog.
    pub fn watchdog_interval(&self) -> Option<Span> {
        self.watchdog.map(|timeout| Span((timeout.0 / 2).max(1)))
    }

    /// The watch has begun.
    pub fn ready(&self) -> io::Result<()> {
        self.send("READY=1")
    }

    /// The watch goes on. To be called only by whoever knows that it does.
    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// The configuration is read again; [`Self::ready`] ends it.
    pub fn reloading(&self) -> io::Result<()> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"))
    }

    /// The watch ends.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) -> io::Result<()> {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let end = line.floor_char_boundary(MAX_STATUS);
        self.send(&format!("STATUS={}", &line[..end]))
    }

    fn send(&self, message: &str) -> io::Result<()> {
        match &self.socket {
            Some(socket) => socket.send(message.as_bytes()).map(drop),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(Some(path.into()), Some("3000000")).unwrap();
        assert!(notifier.is_managed());
        assert_eq!(notifier.watchdog_interval(), Some(Span(1_500_000)));
        let heard = || {
            let mut buffer = [0; 1024];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        notifier.ready().unwrap();
        assert_eq!(heard(), "READY=1");
        notifier.alive().unwrap();
        assert_eq!(heard(), "WATCHDOG=1");
        notifier.status("12 connections\nREADY=0").unwrap();
        assert_eq!(heard(), "STATUS=12 connectionsREADY=0");
        notifier.reloading().unwrap();
        assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        notifier.stopping().unwrap();
        assert_eq!(heard(), "STOPPING=1");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let notifier = Notifier::to(None, Some("5")).unwrap();
        assert!(!notifier.is_managed());
        assert_eq!(notifier.watchdog_interval(), None);
        notifier.ready().unwrap();
        assert!(Notifier::to(Some("relative".into()), None).is_err());
        assert!(Notifier::to(Some("/nonexistent/socket".into()), None).is_err());
    }

    #[test]
    fn abstract_sockets_serve_too() {
        let name = format!("atalaya-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::to(Some(format!("@{name}").into()), Some("nonsense")).unwrap();
        notifier.ready().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(manager.recv(&mut buffer).unwrap(), 7);
        assert_eq!(notifier.watchdog_interval(), None);
    }
}
