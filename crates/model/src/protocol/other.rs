//! All other protocols: what they say of themselves, as names and values.

use serde::{Deserialize, Serialize};

use crate::{Application, Text};

/// A few facts of a protocol that has no words of its own here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Other {
    /// The protocol.
    pub application: Application,
    /// Names (`snake_case`, one list per protocol in the docs) and values, at most 32 of at most 512 bytes. A list is
    /// the same name several times.
    pub attributes: Vec<(Text, Box<str>)>,
}

impl Other {
    /// A protocol of which nothing is known yet.
    pub const fn new(application: Application) -> Self {
        Self {
            application,
            attributes: Vec::new(),
        }
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(known, _)| &**known == name)?;
        Some(value)
    }
}
