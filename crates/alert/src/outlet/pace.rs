//! What comes at intervals, by the time of events.

use atalaya_model::{Span, Time};

/// An interval, and when it is over next. The default never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    every: Option<Span>,
    next: Option<Time>,
}

impl Pace {
    /// First at once, then at each interval; never where that is 0.
    pub(super) fn every(interval: Span) -> Self {
        Self {
            every: (interval.0 > 0).then_some(interval),
            next: None,
        }
    }

    /// Does it ever come?
    pub(super) const fn is_some(&self) -> bool {
        self.every.is_some()
    }

    /// Is it due? If so, it is not again until the interval has passed. A clock that was set back is followed.
    pub(super) fn is_due(&mut self, now: Time) -> bool {
        let Some(every) = self.every else { return false };
        let next = self.next.unwrap_or(now);
        let latest = now.after(every);
        if now < next && next <= latest {
            return false;
        }
        // Intervals count from one another, not from when somebody asked, but none is made up for.
        let planned = next.after(every);
        self.next = Some(if planned > now && planned <= latest {
            planned
        } else {
            latest
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_at_once_and_then_at_each_interval() {
        let at = Time::from_seconds;
        let mut pace = Pace::every(Span::from_seconds(120));
        let due: Vec<bool> = [0, 1, 119, 121, 239, 240, 1_000, 1_001, 1_119, 1_120]
            .map(|second| pace.is_due(at(second)))
            .to_vec();
        assert_eq!(
            due,
            [true, false, false, true, false, true, true, false, false, true]
        );
        // The clock goes back by an hour: not silent for an hour.
        assert!(pace.is_due(at(-3_600)) && !pace.is_due(at(-3_500)));
        let mut never = Pace::every(Span(0));
        assert!(!never.is_some() && !never.is_due(at(0)));
    }
}
