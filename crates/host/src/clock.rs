//! The only place in the workspace that reads a clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use atalaya_model::{Span, Time};

/// The time of day, UTC, by the host's clock. It may jump when the clock is set.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Time {
    let now = SystemTime::now();
    let micros = match now.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    };
    Time(micros)
}

/// Time that passed since some fixed moment of this run. It never jumps: intervals and time-outs are made of it.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn monotonic() -> Span {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let passed = ORIGIN.get_or_init(Instant::now).elapsed();
    Span(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
}

/// When the host booted: the time of day less the time since boot (which counts sleep, too).
#[cfg(target_os = "linux")]
pub fn boot() -> Time {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now().after(Span(-(since.tv_sec * 1_000_000 + since.tv_nsec / 1_000)))
}

/// The kernel's own clock at one moment, by which the times that it tells become times of day.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub struct KernelClock {
    /// Nanoseconds of the monotonic clock.
    pub monotonic: u64,
    /// The time of day then.
    pub time: Time,
    /// Nanoseconds since boot in which the machine slept, and the monotonic clock stood still.
    asleep: u64,
}

#[cfg(target_os = "linux")]
impl KernelClock {
    /// As it is now.
    pub fn now() -> Self {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
        };
        let monotonic = read(rustix::time::ClockId::Monotonic);
        Self {
            monotonic,
            time: now(),
            asleep: read(rustix::time::ClockId::Boottime).saturating_sub(monotonic),
        }
    }

    /// The time of day of a moment of the monotonic clock.
    pub fn time_of(&self, monotonic: u64) -> Time {
        let passed = i128::from(self.monotonic) - i128::from(monotonic);
        let passed = i64::try_from(passed / 1_000).unwrap_or(0);
        Time(self.time.0.saturating_sub(passed))
    }

    /// The same moment in clock ticks since boot, as `/proc` tells the start of a process.
    pub fn ticks_of(&self, monotonic: u64) -> u64 {
        monotonic.saturating_add(self.asleep) / 10_000_000
    }
}

/// A moment in the future of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Span);

impl Deadline {
    /// The moment `span` from now.
    pub fn after(span: Span) -> Self {
        Self(Span(monotonic().0.saturating_add(span.0)))
    }

    /// What is left until then; `None` once it has passed.
    pub fn left(self) -> Option<std::time::Duration> {
        let micros = u64::try_from(self.0.0.saturating_sub(monotonic().0)).ok()?;
        (micros > 0).then(|| std::time::Duration::from_micros(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_with_each_other() {
        let first = monotonic();
        assert!(now() > Time::from_seconds(1_700_000_000));
        assert!(monotonic() >= first);
        assert!(Deadline::after(Span::from_seconds(60)).left().is_some());
        assert_eq!(Deadline::after(Span(0)).left(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_times_become_times_of_day() {
        let clock = KernelClock::now();
        let second = 1_000_000_000;
        assert_eq!(clock.time_of(clock.monotonic), clock.time);
        assert_eq!(
            clock.time.since(clock.time_of(clock.monotonic - second)),
            Span(1_000_000)
        );
        assert_eq!(
            clock.time_of(clock.monotonic + second).since(clock.time),
            Span(1_000_000)
        );
        assert_eq!(
            clock.ticks_of(clock.monotonic) - clock.ticks_of(clock.monotonic - second),
            100
        );
        assert!(
            (boot().since(clock.time_of(0)).0 + i64::try_from(clock.asleep / 1_000).unwrap()).abs()
                < 1_000_000
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn boot_is_what_the_kernel_says() {
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let line = stat.lines().find_map(|line| line.strip_prefix("btime ")).unwrap();
        let kernel: i64 = line.parse().unwrap();
        assert!(
            (boot().seconds() - kernel).abs() <= 2,
            "{} {kernel}",
            boot().seconds()
        );
    }
}
