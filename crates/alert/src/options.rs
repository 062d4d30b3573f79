//! What the configuration file says about alerts.

use std::collections::BTreeMap;

pub use atalaya_model::setting::{Period, Size};
use atalaya_model::{Severity, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[alerts]`: what is worth telling, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertOptions {
    /// Findings milder than this are counted and not told: info, low, medium, high or critical.
    #[schemars(with = "SeverityName")]
    pub minimum_severity: Severity,
    /// How long a finding must stay away before it is told anew (`1h`).
    pub cooldown: Period,
    /// Another cooldown for alerts of one severity.
    #[schemars(with = "BTreeMap<SeverityName, Period>")]
    pub cooldown_by_severity: BTreeMap<Severity, Period>,
}

impl Default for AlertOptions {
    fn default() -> Self {
        Self {
            minimum_severity: Severity::Info,
            cooldown: Period(Span::from_seconds(3_600)),
            cooldown_by_severity: BTreeMap::new(),
        }
    }
}

impl AlertOptions {
    /// How long a finding of this severity must stay away before it is told anew.
    pub fn cooldown_of(&self, severity: Severity) -> Span {
        self.cooldown_by_severity
            .get(&severity)
            .map_or(self.cooldown.0, |period| period.0)
    }
}

/// The names of severities, for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum SeverityName {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_has_the_defaults() {
        let options: AlertOptions = toml::from_str("").unwrap();
        assert_eq!(options, AlertOptions::default());
        assert_eq!(options.cooldown_of(Severity::High), Span::from_seconds(3_600));
    }

    #[test]
    fn severities_have_their_own_cooldown_and_what_is_written_reads_back() {
        let text = "minimum_severity = \"low\"\ncooldown = \"10m\"\n[cooldown_by_severity]\nhigh = \"90s\"\n";
        let options: AlertOptions = toml::from_str(text).unwrap();
        assert_eq!(options.cooldown_of(Severity::High), Span::from_seconds(90));
        assert_eq!(options.cooldown_of(Severity::Low), Span::from_seconds(600));
        assert_eq!(
            toml::to_string(&options).unwrap(),
            "minimum_severity = \"low\"\ncooldown = \"10m\"\n\n[cooldown_by_severity]\nhigh = \"90s\"\n"
        );
    }

    #[test]
    fn mistakes_are_named() {
        let error = toml::from_str::<AlertOptions>("cooldown = \"soon\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("`soon` is not a length of time"), "{error}");
        assert!(toml::from_str::<AlertOptions>("cooldwn = \"1h\"").is_err());
        assert!(toml::from_str::<AlertOptions>("minimum_severity = \"loud\"").is_err());
    }

    #[test]
    fn the_schema_knows_every_table_and_closes_it() {
        let alerts = schemars::schema_for!(AlertOptions);
        let outlets = schemars::schema_for!(crate::outlet::options::OutletOptions);
        let allow = schemars::schema_for!(crate::Allow);
        for schema in [&alerts, &outlets, &allow] {
            assert_eq!(schema.get("additionalProperties"), Some(&false.into()));
        }
        let text = serde_json::to_string(&outlets).unwrap();
        for name in [
            "console",
            "log",
            "json",
            "minimum_severity",
            "rotate",
            "critical",
            "snapshot",
            "ecs",
        ] {
            assert!(text.contains(&format!("\"{name}\"")), "{name}: {text}");
        }
    }
}
