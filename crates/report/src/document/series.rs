//! Traffic in steps of time that suit the length of the range, with what was not seen.

use std::ops::Range;

use atalaya_model::{Gap, Span, Time};
use atalaya_store::MinuteTotal;

use super::{Point, Series};

/// Minutes that a step may have: those that divide the hour or the day.
const STEPS: [i64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080];

/// Steps of a series, at most, but for ranges of many years.
pub(super) const MOST: i64 = 300;

const MINUTE: i64 = 60_000_000;

/// The shortest step of which at most `most` make up the range.
pub(super) fn step(range: &Range<Time>, most: i64) -> Span {
    let length = range.end.since(range.start).0;
    let minutes = STEPS
        .into_iter()
        .find(|minutes| length / (minutes * MINUTE) < most);
    Span(minutes.unwrap_or(length / MINUTE / most.max(1) + 1) * MINUTE)
}

/// The minutes put together; steps without traffic are there, too.
pub(super) fn points(range: &Range<Time>, step: Span, minutes: &[MinuteTotal]) -> Vec<Point> {
    let first = range.start.0.div_euclid(step.0);
    let last = range.end.0.saturating_sub(1).div_euclid(step.0);
    let mut points: Vec<Point> = (first..=last)
        .map(|place| Point {
            start: Time(place * step.0),
            ..Point::default()
        })
        .collect();
    for minute in minutes {
        let place = minute.start.0.div_euclid(step.0) - first;
        let point = usize::try_from(place)
            .ok()
            .and_then(|place| points.get_mut(place));
        if let Some(point) = point {
            point.connections += minute.total.connections;
            point.failed += minute.total.failed;
            point.sent_bytes = point.sent_bytes.saturating_add(minute.total.sent_bytes);
            point.received_bytes = point.received_bytes.saturating_add(minute.total.received_bytes);
        }
    }
    points
}

/// The steps in which gaps were told, neighbours put together.
fn lossy(step: Span, gaps: &[Gap]) -> Vec<Range<Time>> {
    let mut places: Vec<i64> = gaps.iter().map(|gap| gap.time.0.div_euclid(step.0)).collect();
    places.sort_unstable();
    let mut found: Vec<Range<Time>> = Vec::new();
    for place in places {
        let (start, end) = (Time(place * step.0), Time((place + 1) * step.0));
        match found.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => found.push(start..end),
        }
    }
    found
}

/// The series of a range.
pub(super) fn series(
    range: &Range<Time>,
    minutes: &[MinuteTotal],
    unwatched: &[Range<Time>],
    gaps: &[Gap],
) -> Series {
    let step = step(range, MOST);
    Series {
        step,
        points: points(range, step, minutes),
        unwatched: unwatched.to_vec(),
        lossy: lossy(step, gaps),
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::Stage;
    use atalaya_store::Total;

    use super::*;

    #[test]
    fn steps_suit_the_range() {
        let range = |hours: i64| Time(0)..Time::from_seconds(hours * 3_600);
        for (hours, most, minutes) in [
            (1, 300, 1),
            (24, 300, 5),
            (24, 24, 120),
            (24 * 7, 300, 60),
            (24 * 365, 300, 2_880),
        ] {
            assert_eq!(step(&range(hours), most).0, minutes * MINUTE, "{hours}");
        }
        let century = range(24 * 36_500);
        assert!(century.end.0 / step(&century, 300).0 < 310);
    }

    #[test]
    fn nothing_is_lost_and_silence_is_a_step() {
        let minute = |minute: i64, bytes: u64| MinuteTotal {
            start: Time(minute * MINUTE),
            total: Total {
                connections: 1,
                sent_bytes: bytes,
                ..Total::default()
            },
        };
        let range = Time(3 * MINUTE)..Time(21 * MINUTE);
        let points = points(
            &range,
            Span(5 * MINUTE),
            &[minute(3, 1), minute(4, 2), minute(20, u64::MAX)],
        );
        let sent: Vec<_> = points.iter().map(|point| point.sent_bytes).collect();
        assert_eq!(sent, [3, 0, 0, 0, u64::MAX]);
        assert_eq!(points[0].connections, 2);
    }

    #[test]
    fn neighbouring_losses_are_one_band() {
        let gap = |minute: i64| Gap {
            time: Time(minute * MINUTE),
            stage: Stage::Store,
            count: 1,
            reason: "".into(),
        };
        let bands = lossy(Span(5 * MINUTE), &[gap(11), gap(1), gap(6), gap(30)]);
        let minutes: Vec<_> = bands
            .iter()
            .map(|band| (band.start.0 / MINUTE, band.end.0 / MINUTE))
            .collect();
        assert_eq!(minutes, [(0, 15), (30, 35)]);
    }
}
