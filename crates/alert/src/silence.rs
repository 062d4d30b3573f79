//! Silences that a person sets while the watch runs, for a while.

use atalaya_model::{Finding, Text, Time};

use crate::pattern;

/// Findings of one rule that are not told for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The rule.
    pub rule: Text,
    /// The finding's key, or a glob of keys; empty for all of the rule.
    pub key: Text,
    /// When it ends.
    pub until: Time,
}

impl Silence {
    /// Does it hold back this finding at `now`?
    pub fn covers(&self, finding: &Finding, now: Time) -> bool {
        now < self.until
            && self.rule == finding.rule
            && (self.key.is_empty() || pattern::matches(&self.key, &finding.key))
    }
}

/// The silences in force.
#[derive(Debug, Default)]
pub struct Silences(Vec<Silence>);

impl Silences {
    /// Most silences at a time; more are refused.
    pub const MAX: usize = 1_024;

    /// Adds a silence, or moves the end of one for the same rule and key.
    ///
    /// # Errors
    /// When there are [`Silences::MAX`] already.
    pub fn add(&mut self, silence: Silence) -> Result<(), TooManySilences> {
        let same = |other: &&mut Silence| other.rule == silence.rule && other.key == silence.key;
        if let Some(known) = self.0.iter_mut().find(same) {
            known.until = silence.until;
        } else if self.0.len() < Self::MAX {
            self.0.push(silence);
        } else {
            return Err(TooManySilences);
        }
        Ok(())
    }

    /// Does any of them hold back this finding?
    pub fn covers(&self, finding: &Finding, now: Time) -> bool {
        self.0.iter().any(|silence| silence.covers(finding, now))
    }

    /// Forgets those that are over.
    pub fn expire(&mut self, now: Time) {
        self.0.retain(|silence| now < silence.until);
    }

    /// Those in force.
    pub fn list(&self) -> &[Silence] {
        &self.0
    }
}

/// There are as many silences as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are {} silences already; let some expire, or add `[[allow]]` entries to the configuration",
    Silences::MAX
)]
pub struct TooManySilences;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::samples::finding;

    #[test]
    fn a_silence_holds_until_its_end() {
        let mut silences = Silences::default();
        let until = Time::from_seconds(100);
        let silence = |rule: &str, key: &str| Silence {
            rule: rule.into(),
            key: key.into(),
            until,
        };
        silences.add(silence("suspicious_port", "/usr/bin/*")).unwrap();
        let mut found = finding("suspicious_port", "/usr/bin/nc → 4444");
        assert!(silences.covers(&found, Time::from_seconds(99)));
        assert!(!silences.covers(&found, until));
        found.key = "/opt/nc → 4444".into();
        assert!(!silences.covers(&found, Time::from_seconds(99)));
        silences.add(silence("suspicious_port", "")).unwrap();
        assert!(silences.covers(&found, Time::from_seconds(99)));
        found.rule = "dns_rate".into();
        assert!(!silences.covers(&found, Time::from_seconds(99)));
        silences.expire(until);
        assert!(silences.list().is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_the_same_silence_is_moved() {
        let mut silences = Silences::default();
        let silence = |key: usize, until| Silence {
            rule: "r".into(),
            key: key.to_string().into(),
            until: Time::from_seconds(until),
        };
        for key in 0..Silences::MAX {
            silences.add(silence(key, 5)).unwrap();
        }
        assert_eq!(silences.add(silence(Silences::MAX, 5)), Err(TooManySilences));
        silences.add(silence(0, 50)).unwrap();
        silences.expire(Time::from_seconds(10));
        assert_eq!(silences.list().len(), 1);
    }
}
