//! How much goes by on each interface: counts of the last seconds, compared.

use std::collections::VecDeque;

use atalaya_host::packets::Interface;
use atalaya_model::live::InterfaceTraffic;
use atalaya_model::{Span, Text};
use atalaya_track::Summary;

/// How far back is looked.
const WINDOW: Span = Span::from_seconds(10);
/// How often counts are taken.
const EVERY: Span = Span::from_seconds(1);

/// Frames and their bytes by interface, at a time of the monotonic clock.
type Sample = (Span, Vec<(u32, Option<Text>, u64, u64)>);

/// Counts of the last seconds: at most one a second.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<Sample>);

impl Rates {
    /// Is it time to take counts?
    pub(super) fn is_due(&self, now: Span) -> bool {
        self.0.back().is_none_or(|(last, _)| now.0 - last.0 >= EVERY.0)
    }

    /// Takes counts.
    pub(super) fn take(&mut self, now: Span, summary: &Summary) {
        let counts = summary.interfaces.iter();
        let counts = counts.map(|(number, name, count)| (*number, name.clone(), count.packets, count.bytes));
        self.0.push_back((now, counts.collect()));
        while self
            .0
            .front()
            .is_some_and(|(first, _)| now.0 - first.0 > WINDOW.0)
        {
            self.0.pop_front();
        }
    }

    /// What went by, by interface.
    pub(super) fn of(&self, interfaces: &[Interface]) -> Vec<InterfaceTraffic> {
        let (Some((first, before)), Some((last, after))) = (self.0.front(), self.0.back()) else {
            return Vec::new();
        };
        let Ok(micros @ 1..) = u64::try_from(last.0 - first.0) else {
            return Vec::new();
        };
        let rate = |count: u64| count.saturating_mul(1_000_000) / micros;
        let told = after.iter().map(|(number, name, packets, bytes)| {
            let earlier = before.iter().find(|(other, ..)| other == number);
            let (packets_before, bytes_before) =
                earlier.map_or((0, 0), |(_, _, packets, bytes)| (*packets, *bytes));
            let bits = rate(bytes.saturating_sub(bytes_before).saturating_mul(8));
            let interface = interfaces.iter().find(|interface| interface.number == *number);
            let speed = interface.and_then(|interface| interface.speed);
            InterfaceTraffic {
                name: name.clone().unwrap_or_else(|| number.to_string().into()),
                bits_per_second: bits,
                packets_per_second: rate(packets.saturating_sub(packets_before)),
                share_of_link: speed
                    .filter(|speed| *speed > 0)
                    .map(|speed| bits as f64 / speed as f64),
            }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_track::Count;

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let mut rates = Rates::default();
        for second in 0..30 {
            let now = Span::from_seconds(second);
            assert!(rates.is_due(now));
            let count = Count {
                connections: 0,
                packets: 100 * second as u64,
                bytes: 125_000 * second as u64,
            };
            let summary = Summary {
                interfaces: vec![(2, Some("eth0".into()), count)],
                ..Summary::default()
            };
            rates.take(now, &summary);
            assert!(!rates.is_due(now));
        }
        let told = rates.of(&[]);
        assert_eq!(
            (told[0].bits_per_second, told[0].packets_per_second),
            (1_000_000, 100)
        );
        assert_eq!((&*told[0].name, told[0].share_of_link), ("eth0", None));
        assert_eq!(rates.0.len(), 11);
    }
}
