//! Time as it travels with events: microseconds, UTC, 64 bits. Calendars appear only at the edges.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since the Unix epoch, UTC. Shown as RFC 3339 with microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

/// A length of time in microseconds; negative when a clock was set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Time {
    /// A time `seconds` after the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn milliseconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// How long before `self` `earlier` was.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// This time moved by `span`.
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    fn stamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// `2026-11-20T21:27:03.123456Z`.
    pub fn rfc3339(self) -> String {
        format!("{:.6}", self.stamp())
    }

    /// `2026-11-20 21:27:03` in the host's own time zone: what people write in logs.
    pub fn local(self) -> String {
        let zone = jiff::tz::TimeZone::system();
        self.stamp()
            .to_zoned(zone)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    }

    /// `21:27:03` in the host's own time zone.
    pub fn local_clock(self) -> String {
        let zone = jiff::tz::TimeZone::system();
        self.stamp().to_zoned(zone).strftime("%H:%M:%S").to_string()
    }

    /// The hour within the week in the host's own time zone: 0 is Monday's first, 167 Sunday's last.
    pub fn hour_of_week(self) -> u8 {
        let zoned = self.stamp().to_zoned(jiff::tz::TimeZone::system());
        let hour = i16::from(zoned.weekday().to_monday_zero_offset()) * 24 + i16::from(zoned.hour());
        u8::try_from(hour).unwrap_or_default()
    }

    /// The next time after this one at which the host's clocks show `minute` minutes after midnight; with a `weekday` (0 is
    /// Monday) only on that day. Where clocks are put forward over it, it is as much later.
    pub fn next_at(self, minute: u16, weekday: Option<u8>) -> Self {
        let zone = jiff::tz::TimeZone::system();
        let mut date = self.stamp().to_zoned(zone.clone()).date();
        let (hour, minute) = ((minute / 60 % 24) as i8, (minute % 60) as i8);
        // The day itself, and a week after it at most; one more for days that a zone leaves out.
        for _ in 0..=8 {
            let is_day = weekday.is_none_or(|day| date.weekday().to_monday_zero_offset() == (day % 7) as i8);
            let zoned = date.at(hour, minute, 0, 0).to_zoned(zone.clone());
            if let Some(time) = zoned.ok().map(|zoned| Self(zoned.timestamp().as_microsecond()))
                && is_day
                && time > self
            {
                return time;
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        self.after(Span::from_seconds(86_400))
    }

    /// Reads RFC 3339 (`2026-11-20T21:27:03Z`, any offset) or a local `2026-11-20[ 21:27[:03]]`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
            return Some(Self(stamp.as_microsecond()));
        }
        let civil = text.parse::<jiff::civil::DateTime>().ok().or_else(|| {
            let date = text.parse::<jiff::civil::Date>().ok()?;
            Some(date.at(0, 0, 0, 0))
        })?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::system()).ok()?;
        Some(Self(zoned.timestamp().as_microsecond()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Span {
    /// A span of whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The span in seconds, with its fraction.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Reads `90`, `90s`, `1.5h`, `250ms`, `10m`, `7d`, `2w` (a bare number means seconds).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().ok()?;
        let unit = match unit.trim() {
            "us" | "µs" => 1.0,
            "ms" => 1e3,
            "" | "s" => 1e6,
            "m" | "min" => 60e6,
            "h" => 3_600e6,
            "d" => 86_400e6,
            "w" => 604_800e6,
            _ => return None,
        };
        let micros = number * unit;
        (micros.is_finite() && micros <= 9e18).then_some(Self(micros as i64))
    }
}

impl fmt::Display for Span {
    /// The largest unit that keeps it readable: `250ms`, `1.5s`, `3m 20s`, `5h 2m`, `8d 4h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let seconds = micros / 1_000_000;
        match seconds {
            0 if micros < 1_000 => write!(f, "{sign}{micros}µs"),
            0 => write!(f, "{sign}{}ms", micros / 1_000),
            1..60 => write!(f, "{sign}{:.1}s", micros as f64 / 1e6),
            60..3_600 => write!(f, "{sign}{}m {}s", seconds / 60, seconds % 60),
            3_600..86_400 => write!(f, "{sign}{}h {}m", seconds / 3_600, seconds / 60 % 60),
            _ => write!(f, "{sign}{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_reads_rfc3339() {
        let time = Time(1_763_674_023_123_456);
        assert_eq!(time.rfc3339(), "2025-11-20T21:27:03.123456Z");
        assert_eq!(Time::parse(&time.rfc3339()), Some(time));
        assert_eq!(
            Time::parse("2025-11-20T22:27:03+01:00"),
            Some(Time::from_seconds(1_763_674_023))
        );
        assert_eq!(Time::parse("yesterday-ish"), None);
    }

    #[test]
    fn the_next_time_by_the_clock() {
        // Whatever the zone: a day later, at the same time by the clock.
        let now = Time::parse("2026-11-21T06:30").unwrap();
        let shown = |minute, weekday| now.next_at(minute, weekday).local();
        assert_eq!(shown(7 * 60, None), "2026-11-21 07:00:00");
        assert_eq!(shown(6 * 60 + 30, None), "2026-11-22 06:30:00");
        assert_eq!(shown(0, None), "2026-11-22 00:00:00");
        // It is a Saturday.
        assert_eq!(shown(7 * 60, Some(5)), "2026-11-21 07:00:00");
        assert_eq!(shown(6 * 60, Some(5)), "2026-11-28 06:00:00");
        assert_eq!(shown(7 * 60, Some(0)), "2026-11-23 07:00:00");
    }

    #[test]
    fn reads_spans() {
        assert_eq!(Span::parse("90"), Some(Span(90_000_000)));
        assert_eq!(Span::parse("1.5h"), Some(Span(5_400_000_000)));
        assert_eq!(Span::parse("250ms"), Some(Span(250_000)));
        assert_eq!(Span::parse("5 parsecs"), None);
        assert_eq!(Span::parse("-3s"), None);
        assert_eq!(Span::parse("3m").map(|s| s.to_string()).as_deref(), Some("3m 0s"));
    }
}
