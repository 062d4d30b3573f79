//! How much goes by on each interface: counts of the last seconds, compared.

use std::collections::VecDeque;

use atalaya_model::live::InterfaceTraffic;
use atalaya_model::{Span, Text, Time};

use crate::flows::Count;

/// How far back is looked.
const WINDOW: Span = Span::from_seconds(10);
/// How often counts are taken.
const EVERY: Span = Span::from_seconds(1);

/// Counts by interface, at a time.
type Sample = (Time, Vec<(u32, Option<Text>, Count)>);

/// Counts of the last seconds: at most one a second.
#[derive(Debug, Default)]
pub(crate) struct Rates(VecDeque<Sample>);

impl Rates {
    /// Is it time to take counts?
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.0
            .back()
            .is_none_or(|(last, _)| now.since(*last) >= EVERY || now < *last)
    }

    /// Takes counts.
    pub(super) fn take(&mut self, now: Time, counts: Vec<(u32, Option<Text>, Count)>) {
        if self.0.back().is_some_and(|(last, _)| now < *last) {
            // The clock was set back.
            self.0.clear();
        }
        self.0.push_back((now, counts));
        while self
            .0
            .pop_front_if(|(first, _)| now.since(*first) > WINDOW)
            .is_some()
        {}
    }

    /// What went by, by interface.
    pub(crate) fn traffic(&self, speed: &dyn Fn(u32) -> Option<u64>) -> Vec<InterfaceTraffic> {
        let (Some((first, before)), Some((last, after))) = (self.0.front(), self.0.back()) else {
            return Vec::new();
        };
        let Ok(micros @ 1..) = u64::try_from(last.since(*first).0) else {
            return Vec::new();
        };
        let rate = |count: u64| count.saturating_mul(1_000_000) / micros;
        let told = after.iter().map(|(number, name, count)| {
            let earlier = before.iter().find(|(other, ..)| other == number);
            let earlier = earlier.map_or_else(Count::default, |(.., count)| *count);
            let bits = rate(count.bytes.saturating_sub(earlier.bytes).saturating_mul(8));
            InterfaceTraffic {
                name: name.clone().unwrap_or_else(|| number.to_string().into()),
                bits_per_second: bits,
                packets_per_second: rate(count.packets.saturating_sub(earlier.packets)),
                share_of_link: speed(*number)
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

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let mut rates = Rates::default();
        for second in 0..30 {
            let now = Time::from_seconds(second);
            assert!(rates.is_due(now));
            let count = Count {
                packets: 100 * second as u64,
                bytes: 125_000 * second as u64,
            };
            rates.take(now, vec![(2, Some("eth0".into()), count)]);
            assert!(!rates.is_due(now));
        }
        let told = rates.traffic(&|_| None);
        assert_eq!(
            (told[0].bits_per_second, told[0].packets_per_second),
            (1_000_000, 100)
        );
        assert_eq!((&*told[0].name, told[0].share_of_link), ("eth0", None));
        let told = rates.traffic(&|number| (number == 2).then_some(10_000_000));
        assert_eq!(told[0].share_of_link, Some(0.1));
        assert_eq!(rates.0.len(), 11);
        rates.take(Time::from_seconds(3), Vec::new());
        assert_eq!(rates.0.len(), 1);
    }
}
