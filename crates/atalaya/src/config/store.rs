//! The table `[store]`.

use std::path::PathBuf;

use atalaya_model::setting::{Period, Size};
use atalaya_model::{Span, Time};
use atalaya_store::Retention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Microseconds.
const DAY: i64 = 86_400_000_000;
/// A database without a row is nearly as large.
const SMALLEST: u64 = 1_000_000;

/// The table `[store]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Keep history.
    pub enabled: bool,
    /// The database. Default: /var/lib/atalaya/atalaya.db as root, else ~/.local/share/atalaya/atalaya.db.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Connections, processes, listeners and gaps older than this are dropped. Ages count in whole days, rounded up; 0s
    /// keeps every age.
    pub keep: Period,
    /// What was said in connections (DNS, TLS, HTTP and other protocols) is dropped when older than this. Default: as
    /// `keep`, and never longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub keep_protocols: Option<Period>,
    /// Alerts older than this are dropped. Default: as `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub keep_alerts: Option<Period>,
    /// Rollups (sums by minute, hour, day, address and program) older than this are dropped, and with them the addresses
    /// and programs. Default: four times `keep`; never shorter than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub keep_rollups: Option<Period>,
    /// Above this size the oldest rows are dropped, then the oldest rollups, alerts last; 0 allows any size.
    pub max_size: Size,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            keep: Period::seconds(30 * 86_400),
            keep_protocols: None,
            keep_alerts: None,
            keep_rollups: None,
            max_size: Size(2_000_000_000),
        }
    }
}

impl Store {
    /// What is kept at this time.
    pub fn retention(&self, now: Time) -> Retention {
        let usual = Retention::new(days(self.keep), self.max_size.0, now);
        let or = |own: Option<Period>, usual: u32| own.map_or(usual, days);
        Retention {
            protocol_days: or(self.keep_protocols, usual.protocol_days),
            alert_days: or(self.keep_alerts, usual.alert_days),
            rollup_days: or(self.keep_rollups, usual.rollup_days),
            ..usual
        }
    }

    /// What cannot work, each with what to do.
    pub(super) fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let policy = self.retention(Time(0));
        // 0 is for ever.
        let age = |days: u32| if days == 0 { u32::MAX } else { days };
        let mut mistakes = Vec::new();
        if age(policy.protocol_days) > age(policy.days) {
            mistakes.push((
                "store.keep_protocols is longer than store.keep",
                "what was said in a connection is not kept longer than the connection; set a longer `keep`",
            ));
        }
        if age(policy.rollup_days) < age(policy.days) {
            mistakes.push((
                "store.keep_rollups is shorter than store.keep",
                "rollups are asked where rows are gone; set it as long as `keep` or longer, or remove it",
            ));
        }
        if (1..SMALLEST).contains(&policy.bytes) {
            mistakes.push((
                "store.max_size is smaller than 1 MB",
                "not even an empty database fits; \"2 GB\" is a good choice, \"0\" allows any size",
            ));
        }
        mistakes
    }
}

/// A length of time in days. A part of a day counts as one: 0 would keep every age.
fn days(keep: Period) -> u32 {
    let Span(micros) = keep.0;
    let whole = micros / DAY + i64::from(micros % DAY > 0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Store {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn less_than_a_day_is_not_for_ever() {
        for (text, expected) in [("1h", 1), ("1d", 1), ("86401s", 2), ("0s", 0), ("1ms", 1)] {
            let policy = read(&format!("keep = \"{text}\"")).retention(Time(0));
            assert_eq!(policy.days, expected, "{text}");
        }
    }

    #[test]
    fn ages_that_are_not_set_follow_the_one_that_is() {
        let ages = |text: &str| {
            let policy = read(text).retention(Time(7));
            assert_eq!(policy.now, Time(7));
            [
                policy.days,
                policy.protocol_days,
                policy.alert_days,
                policy.rollup_days,
            ]
        };
        assert_eq!(ages(""), [30, 30, 30, 120]);
        assert_eq!(ages("keep = \"10d\""), [10, 10, 10, 40]);
        assert_eq!(ages("keep = \"0s\""), [0, 0, 0, 0]);
        let own = "keep = \"10d\"\nkeep_protocols = \"36h\"\nkeep_alerts = \"52w\"\nkeep_rollups = \"0s\"";
        assert_eq!(ages(own), [10, 2, 364, 0]);
        assert_eq!(
            read("max_size = \"3 GB\"").retention(Time(0)).bytes,
            3_000_000_000
        );
    }

    #[test]
    fn ages_agree_with_one_another() {
        for (text, words) in [
            ("", ""),
            ("keep_protocols = \"30d\"", ""),
            ("keep_protocols = \"31d\"", "keep_protocols is longer"),
            ("keep_protocols = \"0s\"", "keep_protocols is longer"),
            (
                "keep = \"0s\"\nkeep_protocols = \"9d\"\nkeep_rollups = \"0s\"",
                "",
            ),
            ("keep_alerts = \"0s\"", ""),
            ("keep_alerts = \"1d\"", ""),
            ("keep_rollups = \"30d\"", ""),
            ("keep_rollups = \"29d\"", "keep_rollups is shorter"),
            (
                "keep = \"0s\"\nkeep_rollups = \"900d\"",
                "keep_rollups is shorter",
            ),
            ("max_size = \"0\"", ""),
            ("max_size = \"1\"", "max_size is smaller"),
            ("max_size = \"1 MB\"", ""),
        ] {
            let mistakes = read(text).mistakes();
            assert_eq!(
                mistakes.len(),
                usize::from(!words.is_empty()),
                "{text}: {mistakes:?}"
            );
            assert!(
                mistakes.iter().all(|(what, _)| what.contains(words)),
                "{text}: {mistakes:?}"
            );
        }
    }
}
