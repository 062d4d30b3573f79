//! What the watcher itself costs.

use atalaya_model::Span;

/// CPU time and memory of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all threads so far.
    pub cpu: Span,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Most resident memory so far, in bytes.
    pub peak: u64,
}

/// What this process has used so far; what cannot be read is 0.
#[cfg(target_os = "linux")]
pub fn own() -> Usage {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line.split_ascii_whitespace().next()?;
        Some(number.parse::<u64>().ok()?.saturating_mul(1024))
    };
    Usage {
        cpu: Span(cpu.tv_sec * 1_000_000 + cpu.tv_nsec / 1_000),
        resident: kilobytes("VmRSS:").unwrap_or_default(),
        peak: kilobytes("VmHWM:").unwrap_or_default(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_costs_something_and_never_less() {
        let first = own();
        assert!(first.cpu > Span(0) && first.resident > 100 << 10 && first.peak >= first.resident);
        assert!((0..1_000).fold(0u64, |sum, n| sum ^ n) < 2_000);
        assert!(own().cpu >= first.cpu);
    }
}
/// Columns of the terminal on standard output or error, `None` where neither is one.
pub fn terminal_width() -> Option<usize> {
    let width = |size: rustix::termios::Winsize| usize::from(size.ws_col);
    let of_output = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let size = of_output.or_else(|| rustix::termios::tcgetwinsize(std::io::stderr()).ok());
    size.map(width).filter(|width| *width > 0)
}
