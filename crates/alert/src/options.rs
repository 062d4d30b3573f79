//! What the configuration file says about alerts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use atalaya_model::{Severity, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

/// A length of time as people write it: `90s`, `10m`, `1.5h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Span);

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = self.0.0;
        // The largest unit that is exact, so that what is written reads back as the same length.
        let units = [
            ("w", 604_800_000_000),
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
        ];
        let units = units
            .into_iter()
            .chain([("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)]);
        for (unit, length) in units {
            if micros > 0 && micros % length == 0 {
                return serializer.collect_str(&format_args!("{}{unit}", micros / length));
            }
        }
        serializer.collect_str(&format_args!("{micros}us"))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Span::parse(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a length of time; write a number and a unit, as in `90s`, `10m`, `1.5h`, `7d`"
            ))
        })
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: a number and one of us, ms, s, m, h, d, w.",
            "pattern": "^[0-9]+(\\.[0-9]+)?\\s*(us|µs|ms|s|m|min|h|d|w)?$",
        })
    }
}

/// A number of bytes as people write it: `500 kB`, `50 MB`, `1 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = match unit.trim() {
            "" => "B",
            unit => unit,
        };
        let (_, length) = SIZES
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.parse::<u64>().ok()?.checked_mul(length).map(Self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exact = SIZES
            .into_iter()
            .find(|(_, length)| self.0.is_multiple_of(*length));
        let (unit, length) = exact.filter(|_| self.0 > 0).unwrap_or(("B", 1));
        serializer.collect_str(&format_args!("{} {unit}", self.0 / length))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a number of bytes; write a whole number and a unit, as in `500 kB`, `50 MB`, `1 GiB`"
            ))
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number of bytes: a whole number and one of B, kB, MB, GB, KiB, MiB, GiB.",
            "pattern": "^[0-9]+\\s*([kKmMgG][iI]?)?[bB]?$",
        })
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

    #[test]
    fn sizes() {
        assert_eq!(Size::parse("50 MB"), Some(Size(50_000_000)));
        assert_eq!(Size::parse("1GiB"), Some(Size(1 << 30)));
        assert_eq!(Size::parse("512"), Some(Size(512)));
        assert_eq!(Size::parse("5 parsecs"), None);
        assert_eq!(Size::parse("99999999999999999999 GB"), None);
        assert_eq!(serde_json::to_string(&Size(50_000_000)).unwrap(), "\"50 MB\"");
        assert_eq!(serde_json::to_string(&Size(1 << 20)).unwrap(), "\"1 MiB\"");
    }
}
