//! Numbers, times and addresses, written without a text in between: records have dozens of them.

use std::fmt::Write;
use std::net::IpAddr;

use atalaya_model::Time;

/// The numbers below a hundred, two digits each.
const PAIRS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                     5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Two digits of a number below a hundred.
#[inline]
fn pair(out: &mut String, number: u64) {
    let place = (number % 100) as usize * 2;
    out.push_str(&PAIRS[place..place + 2]);
}

/// One digit.
#[inline]
fn digit(out: &mut String, number: u64) {
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// A whole number.
#[inline]
pub(crate) fn integer(out: &mut String, number: u64) {
    // Octets, ports and counts: most numbers by far.
    match number {
        0..10 => digit(out, number),
        10..100 => pair(out, number),
        100..1_000 => {
            digit(out, number / 100);
            pair(out, number);
        }
        1_000..10_000 => {
            pair(out, number / 100);
            pair(out, number);
        }
        10_000..100_000 => {
            digit(out, number / 10_000);
            pair(out, number / 100);
            pair(out, number);
        }
        _ => long(out, number),
    }
}

fn long(out: &mut String, number: u64) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    let mut rest = number;
    while let Some(digit) = digits[..begin].last_mut() {
        *digit = b'0' + (rest % 10) as u8;
        begin -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push_str(ascii(&digits[begin..]));
}

/// A whole number with its sign.
#[inline]
pub(crate) fn signed(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    integer(out, number.unsigned_abs());
}

/// Lower-case hexadecimal without leading zeros.
pub(crate) fn hex(out: &mut String, number: u16) {
    // Writing to a String cannot fail.
    write!(out, "{number:x}").unwrap_or_default();
}

/// An address in quotation marks.
#[inline]
pub(crate) fn address(out: &mut String, ip: IpAddr) {
    out.push('"');
    match ip {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push('.');
                }
                integer(out, octet.into());
            }
        }
        IpAddr::V6(ip) => write!(out, "{ip}").unwrap_or_default(),
    }
    out.push('"');
}

/// `"2026-11-20T21:27:03.123456Z"`.
#[inline]
pub(crate) fn rfc3339(out: &mut String, time: Time) {
    stamp(out, time, "Z\"");
}

/// `"2026-11-20T21:27:03.123456+0000"`.
#[inline]
pub(crate) fn rfc3339_offset(out: &mut String, time: Time) {
    stamp(out, time, "+0000\"");
}

/// Seconds with their fraction: `1300475167.096535`, `5.0`.
pub(crate) fn seconds(out: &mut String, micros: i64) {
    if micros < 0 {
        out.push('-');
    }
    let micros = micros.unsigned_abs();
    integer(out, micros / 1_000_000);
    let mut digits = *b".000000";
    put(&mut digits[1..], micros % 1_000_000);
    let zeros = digits[2..]
        .iter()
        .rev()
        .take_while(|digit| **digit == b'0')
        .count();
    out.push_str(ascii(&digits[..digits.len() - zeros]));
}

fn stamp(out: &mut String, time: Time, end: &str) {
    out.push('"');
    let (day, clock) = (
        time.0.div_euclid(86_400_000_000),
        time.0.rem_euclid(86_400_000_000),
    );
    match civil(day) {
        Some((year, month, day)) => {
            let clock = clock.unsigned_abs();
            let mut digits = *b"0000-00-00T00:00:00.000000";
            put(&mut digits[..4], year);
            put(&mut digits[5..7], month);
            put(&mut digits[8..10], day);
            put(&mut digits[11..13], clock / 3_600_000_000);
            put(&mut digits[14..16], clock / 60_000_000 % 60);
            put(&mut digits[17..19], clock / 1_000_000 % 60);
            put(&mut digits[20..], clock % 1_000_000);
            out.push_str(ascii(&digits));
        }
        // Years of five digits, or before the first: not written by hand.
        None => out.push_str(time.rfc3339().trim_end_matches('Z')),
    }
    out.push_str(end);
}

/// The date of a day counted from 1970-01-01, in the years 0 to 9999 (H. Hinnant, *chrono-compatible low-level date
/// algorithms*: years begin in March, so that the leap day is the last).
fn civil(day: i64) -> Option<(u64, u64, u64)> {
    let day = u64::try_from(day + 719_468).ok()?;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let year = era * 400 + year + u64::from(month >= 10);
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year < 10_000).then_some((year, month, day))
}

/// Puts a number's last digits into `digits`.
#[inline]
fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_keep_one_digit() {
        for (micros, shown) in [
            (0, "0.0"),
            (5_000_000, "5.0"),
            (1_300_475_167_096_530, "1300475167.09653"),
            (-1, "-0.000001"),
        ] {
            let mut out = String::new();
            seconds(&mut out, micros);
            assert_eq!(out, shown);
        }
    }

    proptest! {
        #[test]
        fn times_are_as_the_calendar_has_them(near in -99_999_999_999_999_999i64..299_999_999_999_999_999, any in any::<i64>()) {
            for time in [Time(near), Time(any)] {
                let mut out = String::new();
                rfc3339(&mut out, time);
                prop_assert_eq!(out, format!("\"{}\"", time.rfc3339()));
            }
        }

        #[test]
        fn whole_numbers_are_as_the_library_has_them(number in any::<i64>(), small in -300i64..300) {
            for number in [number, small, number % 200_000, i64::MIN, i64::MAX] {
                let mut out = String::new();
                signed(&mut out, number);
                prop_assert_eq!(out, number.to_string());
            }
        }

        #[test]
        fn addresses_are_as_the_library_has_them(v4 in any::<u32>(), v6 in any::<u128>()) {
            for ip in [IpAddr::V4(Ipv4Addr::from(v4)), IpAddr::V6(Ipv6Addr::from(v6))] {
                let mut out = String::new();
                address(&mut out, ip);
                prop_assert_eq!(out, format!("\"{ip}\""));
            }
        }
    }
}
