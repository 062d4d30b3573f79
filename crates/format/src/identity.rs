//! Names of a conversation that need no counter: the same for all that is written of it, and in every run on the same
//! packets.

use atalaya_model::Connection;

/// Scatters a number over 64 bits (the finaliser of SplitMix64).
pub(crate) const fn scatter(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number of 51 bits, which every reader of JSON can hold.
pub(crate) const fn number(connection: &Connection) -> u64 {
    scatter(connection.id ^ scatter(connection.started.0.cast_unsigned())) >> 13
}

/// `C` and 17 letters and digits, as Zeek names connections.
pub(crate) fn uid(connection: &Connection) -> [u8; 18] {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let first = scatter(connection.id ^ scatter(connection.started.0.cast_unsigned()));
    let second = scatter(first ^ connection.id);
    let mut uid = [b'C'; 18];
    let (left, right) = uid[1..].split_at_mut(9);
    for (part, mut rest) in [(left, first), (right, second)] {
        for letter in part {
            *letter = LETTERS[(rest % 62) as usize];
            rest /= 62;
        }
    }
    uid
}
