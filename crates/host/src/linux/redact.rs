//! Secrets in command lines are replaced before anything leaves this room; a keyed hash keeps them comparable.
//!
//! Rather too much than too little is replaced. What stays are the names of options, users and hosts, because they
//! are what a defender asks about.

mod families;
mod names;
#[cfg(test)]
mod tests;
mod values;
mod walk;

use atalaya_model::Text;
use sha2::{Digest as _, Sha256};

use super::process::arguments::MAX_KEPT;

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";

/// A replaced secret can make another one visible; after so many rounds that is no command line any more.
const MAX_ROUNDS: usize = 8;

/// The arguments of a program with their secrets replaced. Stops after as many as a kept command line can show.
/// Done a second time it changes nothing.
pub fn arguments<T: AsRef<str>>(arguments: &[T]) -> Vec<String> {
    let mut redacted = once(arguments);
    if redacted.iter().any(|argument| argument.contains(REDACTED)) {
        for _ in 0..MAX_ROUNDS {
            let again = once(&redacted);
            if again == redacted {
                break;
            }
            redacted = again;
        }
    }
    redacted
}

fn once<T: AsRef<str>>(arguments: &[T]) -> Vec<String> {
    let mut walk = walk::Walk::default();
    let mut length = 0;
    let mut redacted = Vec::with_capacity(arguments.len().min(256));
    for argument in arguments {
        if length > MAX_KEPT {
            break;
        }
        let argument = walk.step(argument.as_ref());
        length += argument.len() + 1;
        redacted.push(argument);
    }
    redacted
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
    let second = Sha256::new().chain_update(outer).chain_update(first);
    second.finalize().into()
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
