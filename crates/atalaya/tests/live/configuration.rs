//! The configuration that these tests watch with.

/// As shipped, but with a short time of learning and one address on the block list.
pub(crate) fn configuration() -> String {
    "[watch]\nlearning = \"2s\"\n\n[lists]\naddresses = [\"203.0.113.0/24\"]\n".to_owned()
}
