//! Where an address is, and whose network that is in, as a database of addresses says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Text;

/// What is known of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// ISO 3166-1 code of the country: two capital letters.
    pub country: Option<Text>,
    /// Number of the autonomous system, never 0.
    pub asn: Option<u32>,
    /// Who runs that.
    pub organization: Option<Text>,
}

impl Place {
    /// Is nothing known?
    pub const fn is_empty(&self) -> bool {
        self.country.is_none() && self.asn.is_none() && self.organization.is_none()
    }
}

/// Where the two ends of a conversation are; unset where no database says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the two ends of a conversation")]
pub struct Places {
    pub source: Option<Arc<Place>>,
    pub destination: Option<Arc<Place>>,
}

impl Places {
    /// Is nothing known of either end?
    pub const fn is_empty(&self) -> bool {
        self.source.is_none() && self.destination.is_none()
    }
}
