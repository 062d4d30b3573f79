//! One record of a database, whatever its maker's shape.

use std::fmt;

use atalaya_model::{Place, Text};
use maxminddb::{LookupResult, MaxMindDbError, PathElement};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Longest name of an organisation, in characters.
const MAX_NAME: usize = 128;

/// Places where the code of the country stands.
const COUNTRY: [&[PathElement<'static>]; 3] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
    &[PathElement::Key("country")],
];
/// Places where the number of the autonomous system stands.
const NUMBER: [&[PathElement<'static>]; 4] = [
    &[PathElement::Key("autonomous_system_number")],
    &[
        PathElement::Key("traits"),
        PathElement::Key("autonomous_system_number"),
    ],
    &[PathElement::Key("as_number")],
    &[PathElement::Key("asn")],
];
/// Places where it is said who runs it.
const ORGANIZATION: [&[PathElement<'static>]; 4] = [
    &[PathElement::Key("autonomous_system_organization")],
    &[
        PathElement::Key("traits"),
        PathElement::Key("autonomous_system_organization"),
    ],
    &[PathElement::Key("as_organization")],
    &[PathElement::Key("as_name")],
];

/// Why a database cannot be read, in words.
pub(super) fn unreadable(error: &MaxMindDbError) -> String {
    match error {
        MaxMindDbError::InvalidDatabase { .. } => {
            format!("it is no database of addresses, or damaged: {error}")
        }
        other => other.to_string(),
    }
}

/// What a record tells; what cannot be read is unknown.
pub(super) fn place(found: &LookupResult<'_, Vec<u8>>) -> Place {
    if !found.has_data() {
        return Place::default();
    }
    let first = |paths: &[&[PathElement<'static>]]| {
        paths
            .iter()
            .find_map(|path| found.decode_path::<Scalar>(path).ok().flatten())
    };
    Place {
        country: first(&COUNTRY).and_then(Scalar::country),
        asn: first(&NUMBER).and_then(|number| number.asn()),
        organization: first(&ORGANIZATION).and_then(Scalar::name),
    }
}

/// A number or a text; anything else is an error, and so is looked for elsewhere.
#[derive(Debug)]
enum Scalar {
    Number(u64),
    Text(String),
}

impl Scalar {
    fn country(self) -> Option<Text> {
        match self {
            Self::Text(code) if code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Some(code.to_ascii_uppercase().into())
            }
            _ => None,
        }
    }

    fn asn(&self) -> Option<u32> {
        let number = match self {
            Self::Number(number) => u32::try_from(*number).ok()?,
            Self::Text(text) => {
                let digits = match text.get(..2) {
                    Some(prefix) if prefix.eq_ignore_ascii_case("AS") => &text[2..],
                    _ => text,
                };
                digits.parse().ok()?
            }
        };
        (number > 0).then_some(number)
    }

    fn name(self) -> Option<Text> {
        match self {
            Self::Text(text) if text.chars().count() <= MAX_NAME => {
                (!text.trim().is_empty()).then(|| text.into())
            }
            Self::Text(text) => Some(text.chars().take(MAX_NAME).collect::<String>().into()),
            Self::Number(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_i32<E: Error>(self, number: i32) -> Result<Scalar, E> {
                u64::try_from(number).map(Scalar::Number).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_countries_and_names_come_in_several_shapes() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        assert_eq!(text("AS15169").asn(), Some(15_169));
        assert_eq!(text("15169").asn(), Some(15_169));
        assert_eq!(Scalar::Number(0).asn(), None);
        assert_eq!(Scalar::Number(1 << 40).asn(), None);
        assert_eq!(text("ASé").asn(), None);
        assert_eq!(text("es").country().as_deref(), Some("ES"));
        assert_eq!(text("Spain").country(), None);
        assert_eq!(text("é").country(), None);
        assert_eq!(text(" ").name(), None);
        assert_eq!(
            text(&"x".repeat(500)).name().map(|name| name.len()),
            Some(MAX_NAME)
        );
    }
}
