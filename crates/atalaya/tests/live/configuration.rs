//! The configuration that these tests watch with.

use std::time::Duration;

/// How long these watches learn.
pub(crate) const LEARNING: Duration = Duration::from_secs(2);

/// As shipped, but with a short time of learning and one address on the block list.
pub(crate) fn configuration() -> String {
    "[watch]\nlearning = \"2s\"\n\n[detect.blocklisted_address]\naddresses = [\"203.0.113.0/24\"]\n"
        .to_owned()
}
