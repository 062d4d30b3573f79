//! The table `[report]`.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::cli::DocumentFormat;

/// The table `[report]`: reports that a watch writes by itself, as `atalaya report` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reports {
    /// When to write a report of the last 24 hours, every day: "07:00" by this computer's clock. Unset: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub daily: Option<At>,
    /// When to write a report of the last seven days, every week: "mon 07:00". Unset: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub weekly: Option<Weekly>,
    /// Folder of the reports. Default: `reports` beside the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Reports of each kind that are kept; the oldest go first.
    pub keep: u32,
    /// How they are written: html, markdown, text, json, csv.
    pub format: Format,
    /// Rows of each table, at most.
    pub limit: u32,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            daily: None,
            weekly: None,
            folder: None,
            keep: 31,
            format: Format::Html,
            limit: 25,
        }
    }
}

/// How a scheduled report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Html,
    Markdown,
    Text,
    Json,
    Csv,
}

impl From<Format> for DocumentFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Html => Self::Html,
            Format::Markdown => Self::Markdown,
            Format::Text => Self::Text,
            Format::Json => Self::Json,
            Format::Csv => Self::Csv,
        }
    }
}

/// A time of day: `"07:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Minutes after midnight.
    pub minute: u16,
}

/// A time of the week: `"mon 07:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// 0 is Monday.
    pub weekday: u8,
    /// When on that day.
    pub at: At,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl At {
    fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.trim().split_once(':')?;
        let digits = |text: &str| {
            let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u16>().ok()).flatten()
        };
        let (hour, minute) = (digits(hour)?, digits(minute)?);
        (hour < 24 && minute < 60).then_some(Self {
            minute: hour * 60 + minute,
        })
    }
}

impl Weekly {
    fn parse(text: &str) -> Option<Self> {
        let (day, at) = text.trim().split_once(' ')?;
        let day = day.get(..3)?.to_ascii_lowercase();
        let weekday = DAYS.iter().position(|known| *known == day)?;
        Some(Self {
            weekday: u8::try_from(weekday).ok()?,
            at: At::parse(at)?,
        })
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a time of day; hint: write it as in \"07:00\" or \"18:30\""
            ))
        })
    }
}

impl Serialize for Weekly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let day = DAYS.get(usize::from(self.weekday)).copied().unwrap_or("mon");
        serializer.collect_str(&format_args!("{day} {}", self.at))
    }
}

impl<'de> Deserialize<'de> for Weekly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a time of the week; hint: write it as in \"mon 07:00\", the day being mon, tue, wed, \
                 thu, fri, sat or sun"
            ))
        })
    }
}

impl JsonSchema for At {
    fn schema_name() -> Cow<'static, str> {
        "At".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{1,2}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let reports: Reports = toml::from_str("daily = \"7:05\"\nweekly = \"Sunday 23:59\"\n").unwrap();
        assert_eq!(reports.daily, Some(At { minute: 425 }));
        let at = At { minute: 1_439 };
        assert_eq!(reports.weekly, Some(Weekly { weekday: 6, at }));
        let text = toml::to_string(&reports).unwrap();
        assert!(
            text.contains("daily = \"07:05\"") && text.contains("weekly = \"sun 23:59\""),
            "{text}"
        );
        for wrong in ["24:00", "7", "07:60", "+7:00", "a:b", ""] {
            assert_eq!(At::parse(wrong), None, "{wrong}");
        }
        for wrong in ["07:00", "someday 07:00", "mo 07:00", "mon"] {
            assert_eq!(Weekly::parse(wrong), None, "{wrong}");
        }
    }
}
