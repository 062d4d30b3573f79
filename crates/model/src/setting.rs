//! Lengths of time and sizes as people write them in a configuration: `"90s"`, `"1.5h"`, `"512 MB"`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Span;

/// A length of time as people write it: `250ms`, `90s`, `10m`, `1.5h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Span);

/// A number of bytes as people write it: `500 kB`, `64 MB`, `1.5GB`, `1 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Period {
    /// A period of whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(Span::from_seconds(seconds))
    }
}

/// Units from the largest; the first that divides exactly is the one shown.
const PERIODS: [(&str, i64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

const SIZES: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Size {
    /// Reads a number and a unit, in any case; a bare number is bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = match unit.trim() {
            "" => "B",
            unit => unit,
        };
        let (_, factor) = SIZES
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self);
        }
        let bytes = number.parse::<f64>().ok()? * factor as f64;
        (bytes.is_finite() && bytes <= 9e18).then_some(Self(bytes as u64))
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = self.0.0;
        let exact = PERIODS
            .into_iter()
            .find(|(_, length)| micros != 0 && micros % length == 0);
        let (unit, length) = exact.unwrap_or(("s", 1_000_000));
        serializer.collect_str(&format_args!("{}{unit}", micros / length))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Span::parse(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a length of time; hint: write a number and a unit, such as \"250ms\", \"10s\", \
                 \"5m\", \"2h\", \"7d\""
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

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exact = SIZES
            .into_iter()
            .find(|(_, length)| self.0 > 0 && self.0.is_multiple_of(*length));
        let (unit, length) = exact.unwrap_or(("B", 1));
        serializer.collect_str(&format_args!("{} {unit}", self.0 / length))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a size; hint: write a number and a unit, such as \"500 kB\", \"64 MB\", \"1 GiB\""
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
            "description": "A number of bytes: a number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.",
            "pattern": "^[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtT][iI]?)?[bB]?$",
        })
    }
}

/// For fields that are plain spans: `#[serde(with = "atalaya_model::setting::span")]`.
pub mod span {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Period;
    use crate::Span;

    /// Writes a span as `1h`.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        Period(*span).serialize(serializer)
    }

    /// Reads `1h`.
    ///
    /// # Errors
    /// When the text is no length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        Period::deserialize(deserializer).map(|period| period.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for bytes in [0, 1, 1_000, 1_024, 64_000_000, 64 << 20, 5_000_000_001] {
            let text = serde_json::to_string(&Size(bytes)).unwrap();
            assert_eq!(
                serde_json::from_str::<Size>(&text).unwrap(),
                Size(bytes),
                "{text}"
            );
        }
        for micros in [0, 1, 1_500, 250_000, 10_000_000, 90_000_000, 86_400_000_000] {
            let text = serde_json::to_string(&Period(Span(micros))).unwrap();
            assert_eq!(
                serde_json::from_str::<Period>(&text).unwrap(),
                Period(Span(micros)),
                "{text}"
            );
        }
        assert_eq!(Size::parse("1.5MB"), Some(Size(1_500_000)));
        assert_eq!(Size::parse("12 parsecs"), None);
        assert_eq!(Size::parse("99999999999999999999 GB"), None);
        assert!(serde_json::from_str::<Period>("\"soon\"").is_err());
    }
}
