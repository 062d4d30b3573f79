//! Secrets in command lines are replaced before anything leaves this room; a keyed hash keeps them comparable.

use atalaya_model::Text;
use sha2::{Digest as _, Sha256};

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// The arguments of a program with their secrets replaced.
pub fn arguments<T: AsRef<str>>(arguments: &[T]) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| argument.as_ref().to_owned())
        .collect()
}

/// HMAC-SHA-256 (RFC 2104) of `message`, in lower-case hexadecimal.
pub fn keyed_hash(key: &[u8; 32], message: &[u8]) -> Text {
    hexadecimal(&hmac(key, message)).into()
}

/// HMAC-SHA-256 with a key of at most one block.
pub fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let (mut inner, mut outer) = ([0x36; 64], [0x5c; 64]);
    for (index, byte) in key.iter().enumerate() {
        inner[index] ^= byte;
        outer[index] ^= byte;
    }
    let first = Sha256::new().chain_update(inner).chain_update(message).finalize();
    Sha256::new()
        .chain_update(outer)
        .chain_update(first)
        .finalize()
        .into()
}

/// Lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}
