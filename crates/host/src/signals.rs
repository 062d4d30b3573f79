//! Signals that end a run or ask for a reload. Handlers only set flags and wake whoever waits.

use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd as _};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use atalaya_model::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::HostError;
use crate::clock::Deadline;

/// The signal that asked to stop, 0 while none did.
static STOP: AtomicI32 = AtomicI32::new(0);
static RELOAD: AtomicBool = AtomicBool::new(false);
/// The writing end of the pipe that wakes sleepers; it stays open for the life of the process.
static WAKE: AtomicI32 = AtomicI32::new(-1);
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Why the run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The installed handlers, one for the whole process.
#[derive(Debug)]
pub struct Signals {
    woken: PipeReader,
}

impl Signals {
    /// Takes over SIGINT, SIGTERM and SIGHUP. A second Ctrl-C ends the process at once, with status 130.
    ///
    /// # Errors
    /// When they are taken over already, or the system refuses.
    pub fn install() -> Result<Self, HostError> {
        if INSTALLED.swap(true, Ordering::SeqCst) {
            let again = std::io::Error::other("the handlers are installed already");
            return Err(HostError::system("handle signals")(again));
        }
        let (woken, wake) = std::io::pipe().map_err(HostError::system("create a pipe"))?;
        for end in [woken.as_fd(), wake.as_fd()] {
            rustix::io::ioctl_fionbio(end, true)
                .map_err(|error| HostError::system("create a pipe")(error.into()))?;
        }
        WAKE.store(wake.into_raw_fd(), Ordering::SeqCst);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            handle(signal)?;
        }
        Ok(Self { woken })
    }

    /// Has somebody asked to stop?
    pub fn stop(&self) -> Option<Stop> {
        match STOP.load(Ordering::SeqCst) {
            0 => None,
            libc::SIGINT => Some(Stop::Interrupt),
            _ => Some(Stop::Terminate),
        }
    }

    /// Has somebody asked for a reload since this was last called?
    pub fn take_reload(&self) -> bool {
        RELOAD.swap(false, Ordering::SeqCst)
    }

    /// Sleeps until a signal comes, or `span` has passed. `true` where a signal woke it.
    pub fn wait(&self, span: Span) -> bool {
        let deadline = Deadline::after(span);
        while let Some(left) = deadline.left() {
            let mut ready = [PollFd::new(&self.woken, PollFlags::IN)];
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut ready, timeout.as_ref()) {
                Ok(0) => return false,
                Ok(_) => {
                    self.drain();
                    return true;
                }
                Err(_) => {} // interrupted: the pipe says more
            }
        }
        false
    }

    /// Empties the pipe after a wake-up, for whoever polls it by its descriptor.
    pub fn drain(&self) {
        let mut bytes = [0; 64];
        while rustix::io::read(&self.woken, &mut bytes).is_ok_and(|count| count > 0) {}
    }
}

impl AsFd for Signals {
    /// Readable after a signal.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}

/// Lets SIGPIPE end this process quietly, as people expect of `atalaya | head`. Not for long runs: Rust ignores the
/// signal by default, and a closed pipe is then an ordinary error.
///
/// # Errors
/// When the system refuses.
#[expect(unsafe_code, reason = "signal dispositions have no safe wrapper")]
pub fn end_on_closed_pipe() -> Result<(), HostError> {
    // SAFETY: SIG_DFL is a valid disposition and no handler of ours is involved.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if before == libc::SIG_ERR {
        let error = std::io::Error::last_os_error();
        return Err(HostError::system("restore SIGPIPE")(error));
    }
    Ok(())
}

#[expect(unsafe_code, reason = "signal handlers have no safe wrapper")]
fn handle(signal: libc::c_int) -> Result<(), HostError> {
    // SAFETY: `sigaction` is plain data for which all-zero bytes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is a live, initialised value; the handler only does what signal-safety(7) allows.
    let status = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if status != 0 {
        let error = std::io::Error::last_os_error();
        return Err(HostError::system("handle signals")(error));
    }
    Ok(())
}

/// Runs between any two instructions: atomics, `write` and `_exit` only, and `errno` is put back.
#[expect(unsafe_code, reason = "only raw system calls may be made in a handler")]
extern "C" fn on_signal(signal: libc::c_int) {
    if signal == libc::SIGHUP {
        RELOAD.store(true, Ordering::SeqCst);
    } else if STOP.swap(signal, Ordering::SeqCst) == libc::SIGINT && signal == libc::SIGINT {
        // SAFETY: `_exit` is async-signal-safe and does not return.
        unsafe { libc::_exit(128 + libc::SIGINT) }
    }
    // SAFETY: `__errno_location` gives this thread's errno; `write` is async-signal-safe, its buffer is static, and a
    // full or closed pipe only fails.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(WAKE.load(Ordering::SeqCst), b"!".as_ptr().cast(), 1);
        *errno = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_set_flags_and_wake() {
        let signals = Signals::install().unwrap();
        assert!(Signals::install().is_err());
        assert_eq!((signals.stop(), signals.take_reload()), (None, false));
        assert!(!signals.wait(Span(1_000)));
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::HUP).unwrap();
        assert!(signals.wait(Span::from_seconds(60)));
        assert!(signals.take_reload() && !signals.take_reload());
        assert_eq!(signals.stop(), None);
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
        assert!(signals.wait(Span::from_seconds(60)));
        assert_eq!(signals.stop(), Some(Stop::Terminate));
        assert!(!signals.wait(Span(1_000)));
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the disposition is tested in a process of its own"
    )]
    fn a_closed_pipe_ends_quietly() {
        if std::env::var_os("ATALAYA_TEST_PIPE").is_some() {
            end_on_closed_pipe().unwrap();
            let (reader, mut writer) = std::io::pipe().unwrap();
            drop(reader);
            drop(std::io::Write::write(&mut writer, b"x"));
            std::process::exit(7); // not reached
        }
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signals::tests::a_closed_pipe_ends_quietly"])
            .env("ATALAYA_TEST_PIPE", "1")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal, Some(libc::SIGPIPE));
    }
}
