//! When to look at a row again: a wheel of seconds whose lists run through the rows themselves.
//!
//! A row is on one list at a time. It is not moved when a packet comes: when its second is there, whoever asks looks
//! whether its time is really over, and puts it back where not.

/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// Seconds in a turn; what is further away is looked at once a turn.
const SECONDS: usize = 512;

/// A row's place on its list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    before: u32,
    after: u32,
    /// When it is looked at; `i64::MAX` where it is on no list.
    pub(super) second: i64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            before: NONE,
            after: NONE,
            second: i64::MAX,
        }
    }
}

/// Where the links are.
pub(super) trait Links {
    fn link(&mut self, slot: u32) -> Option<&mut Link>;
}

#[derive(Debug)]
pub(super) struct Wheel {
    heads: Box<[u32; SECONDS]>,
    /// The second that was looked at last.
    now: i64,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            heads: Box::new([NONE; SECONDS]),
            now: i64::MIN,
        }
    }

    pub(super) const fn now(&self) -> i64 {
        self.now
    }

    /// Puts a row where it is looked at in that second, at the earliest in the next.
    pub(super) fn insert(&mut self, second: i64, slot: u32, links: &mut dyn Links) {
        let farthest = self.now.saturating_add(SECONDS as i64 - 1);
        let second = second.clamp(self.now.saturating_add(1), farthest);
        let head = self.heads[bucket(second)];
        let Some(link) = links.link(slot) else {
            return;
        };
        *link = Link {
            before: NONE,
            after: head,
            second,
        };
        self.heads[bucket(second)] = slot;
        if let Some(link) = links.link(head) {
            link.before = slot;
        }
    }

    pub(super) fn remove(&mut self, slot: u32, links: &mut dyn Links) {
        let Some(link) = links.link(slot) else {
            return;
        };
        let Link {
            before,
            after,
            second,
        } = std::mem::take(link);
        if let Some(link) = links.link(before) {
            link.after = after;
        } else if second != i64::MAX && self.heads[bucket(second)] == slot {
            self.heads[bucket(second)] = after;
        }
        if let Some(link) = links.link(after) {
            link.before = before;
        }
    }

    /// Goes on to `second` and takes what is due off the wheel: every row of it where that is far ahead.
    pub(super) fn advance(&mut self, second: i64, links: &mut dyn Links, due: &mut Vec<u32>) {
        if second <= self.now {
            return;
        }
        let turn = second.saturating_sub(SECONDS as i64 - 1);
        for passed in self.now.saturating_add(1).max(turn)..=second {
            let mut slot = std::mem::replace(&mut self.heads[bucket(passed)], NONE);
            while let Some(link) = links.link(slot) {
                due.push(slot);
                slot = std::mem::take(link).after;
            }
        }
        self.now = second;
    }

    /// The row that would be looked at first.
    pub(super) fn first(&self) -> Option<u32> {
        (1..SECONDS as i64)
            .map(|ahead| self.heads[bucket(self.now.wrapping_add(ahead))])
            .find(|slot| *slot != NONE)
    }
}

const fn bucket(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Links for Vec<Link> {
        fn link(&mut self, slot: u32) -> Option<&mut Link> {
            self.get_mut(slot as usize)
        }
    }

    proptest! {
        /// As a plain list of times would do it: nothing comes too early, nothing is forgotten.
        #[test]
        fn what_is_due_comes_when_it_is_due(
            steps in prop::collection::vec((0u32..20, 0i64..2_000, 0i64..700, any::<bool>()), 1..100),
        ) {
            let mut links = vec![Link::default(); 20];
            let mut wheel = Wheel::new();
            let mut due = Vec::new();
            let mut now = 1_000;
            wheel.advance(now, &mut links, &mut due);
            let mut listed: BTreeMap<u32, i64> = BTreeMap::new();
            for (slot, ahead, step, removes) in steps {
                wheel.remove(slot, &mut links);
                listed.remove(&slot);
                if !removes {
                    wheel.insert(now + ahead, slot, &mut links);
                    // What is further away than a turn is looked at within one.
                    listed.insert(slot, now + ahead.clamp(1, SECONDS as i64 - 1));
                }
                prop_assert_eq!(wheel.first().is_some(), !listed.is_empty());
                now += step;
                wheel.advance(now, &mut links, &mut due);
                due.sort_unstable();
                let expected: Vec<u32> =
                    listed.iter().filter(|(_, second)| **second <= now).map(|(slot, _)| *slot).collect();
                prop_assert_eq!(&due, &expected);
                listed.retain(|_, second| *second > now);
                due.clear();
            }
        }
    }
}
