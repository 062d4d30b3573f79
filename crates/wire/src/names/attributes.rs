//! Collecting names and values of a protocol that has no words of its own in the model, within their limits.

use atalaya_model::Application;
use atalaya_model::protocol::Other;

/// Attributes that are kept.
const MOST: usize = 32;
/// Bytes of a value that are kept.
const LONGEST: usize = 512;

/// What a message says of itself.
pub(crate) struct Attributes(Other);

impl Attributes {
    pub(crate) const fn new(application: Application) -> Self {
        Self(Other::new(application))
    }

    /// Adds a value; what is beyond the limits is left out.
    pub(crate) fn add(&mut self, name: &str, value: Box<str>) {
        if self.0.attributes.len() >= MOST {
            return;
        }
        let value = if value.len() > LONGEST {
            let end = value.floor_char_boundary(LONGEST);
            value.get(..end).unwrap_or_default().into()
        } else {
            value
        };
        self.0.attributes.push((name.into(), value));
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.add(name, value.into());
    }

    pub(crate) fn show(&mut self, name: &str, value: impl ToString) {
        self.add(name, value.to_string().into_boxed_str());
    }

    pub(crate) fn maybe(&mut self, name: &str, value: Option<Box<str>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// A list: the same name several times.
    pub(crate) fn all<Value: ToString>(&mut self, name: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.show(name, value);
        }
    }

    pub(crate) fn done(self) -> Other {
        self.0
    }
}
