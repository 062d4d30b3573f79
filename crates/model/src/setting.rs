//! How lengths of time and sizes are written in a configuration: `"90s"`, `"1.5h"`, `"512MB"`.
//!
//! Use with `#[serde(with = "atalaya_model::setting::span")]` and `#[schemars(with = "String")]`.

/// Reads bytes: `1024`, `10kB`, `1.5MB`, `2GB` (decimal), `64KiB`, `1MiB`, `1GiB` (binary), in any case.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    let bytes = number * factor as f64;
    (bytes.is_finite() && bytes <= 9e18).then_some(bytes as u64)
}

/// The shortest exact way to write a size.
pub fn show_size(bytes: u64) -> String {
    let units = [
        (1_000_000_000, "GB"),
        (1 << 30, "GiB"),
        (1_000_000, "MB"),
        (1 << 20, "MiB"),
        (1_000, "kB"),
        (1 << 10, "KiB"),
    ];
    for (factor, unit) in units {
        if bytes > 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// The shortest exact way to write a span.
pub fn show_span(span: crate::Span) -> String {
    let micros = span.0;
    for (factor, unit) in [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
    ] {
        if micros > 0 && micros % factor == 0 {
            return format!("{}{unit}", micros / factor);
        }
    }
    if micros == 0 {
        "0s".to_owned()
    } else {
        format!("{micros}us")
    }
}

/// Spans as text.
pub mod span {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::Span;

    /// Writes a span as `1h`.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_span(*span))
    }

    /// Reads `1h`.
    ///
    /// # Errors
    /// When the text is no length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        Span::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a length of time; hint: write a number and a unit, such as \"250ms\", \"10s\", \"5m\", \"2h\", \"7d\""
            ))
        })
    }
}

/// Sizes as text.
pub mod size {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes a size as `64MB`.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_size(*bytes))
    }

    /// Reads `64MB`.
    ///
    /// # Errors
    /// When the text is no size.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_size(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a size; hint: write a number and a unit, such as \"500kB\", \"64MB\", \"2GB\", \"1GiB\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    #[test]
    fn what_is_shown_can_be_read() {
        for bytes in [0, 1, 1_000, 1_024, 64_000_000, 64 << 20, 5_000_000_001] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        for micros in [0, 1, 1_500, 250_000, 10_000_000, 90_000_000, 86_400_000_000] {
            assert_eq!(Span::parse(&show_span(Span(micros))), Some(Span(micros)));
        }
        assert_eq!(parse_size("1.5MB"), Some(1_500_000));
        assert_eq!(parse_size("12 parsecs"), None);
    }
}
