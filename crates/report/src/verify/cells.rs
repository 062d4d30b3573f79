//! What a cell says.

use std::borrow::Cow;
use std::net::IpAddr;

use atalaya_format::csv::unguarded;
use atalaya_model::Time;

use super::columns::decoded;

/// Is nothing said here? Other monitors have many words for it.
fn is_missing(cell: &[u8]) -> bool {
    const WORDS: [&str; 8] = [
        "none",
        "null",
        "nan",
        "-",
        "unknown",
        "desconocido",
        "info no disponible",
        "?",
    ];
    let cell = cell.trim_ascii();
    cell.is_empty()
        || cell.len() <= 24
            && WORDS
                .iter()
                .any(|word| cell.eq_ignore_ascii_case(word.as_bytes()))
        || cell
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"n/a"))
}

/// The cell without what protects a spreadsheet from a formula in it; empty where nothing is said. In our own tables only
/// an empty cell says nothing: whoever calls a program `null` must not hide it.
pub(super) fn said(cell: &[u8], is_ours: bool) -> Cow<'_, [u8]> {
    if !is_ours && is_missing(cell) {
        return Cow::default();
    }
    if !cell.contains(&b'\'') {
        return cell.into();
    }
    match decoded(cell) {
        Cow::Borrowed(text) => match unguarded(text) {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        },
        Cow::Owned(text) => unguarded(&text).into_owned().into_bytes().into(),
    }
}

/// The name of a process; of one that had ended already, the second seed writes `PID 12 (Terminado?)`.
pub(super) fn name(cell: &[u8], is_ours: bool) -> Cow<'_, [u8]> {
    let name = said(cell, is_ours);
    match !is_ours && name.starts_with(b"PID ") && name.ends_with(b"(Terminado?)") {
        true => Cow::default(),
        false => name,
    }
}

/// The name of the file at a path.
pub(super) fn base(path: &[u8]) -> &[u8] {
    let sign = if path.contains(&b'/') { b'/' } else { b'\\' };
    match path.rsplit(|byte| *byte == sign).next() {
        Some(b"") | None => path,
        Some(base) => base,
    }
}

/// A digest in hexadecimal; empty where it is none.
pub(super) fn digest(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    match (32..=128).contains(&cell.len()) && cell.iter().all(u8::is_ascii_hexdigit) {
        true => cell,
        false => b"",
    }
}

/// A whole number.
pub(super) fn number(cell: &[u8]) -> Option<u64> {
    let digits = cell.trim_ascii();
    // Spreadsheets make `12.0` of a number in a column with gaps.
    let digits = digits.strip_suffix(b".0").unwrap_or(digits);
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let digit = |sum: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    };
    digits.iter().try_fold(0, digit)
}

/// A port.
pub(super) fn port(cell: &[u8]) -> Option<u16> {
    number(cell).and_then(|port| port.try_into().ok())
}

/// An address alone: `192.0.2.1`, `[2001:db8::1]`, `fe80::1%eth0`.
pub(super) fn address(cell: &[u8]) -> Option<IpAddr> {
    let cell = cell.trim_ascii();
    let cell = cell
        .strip_prefix(b"[")
        .and_then(|cell| cell.strip_suffix(b"]"))
        .unwrap_or(cell);
    let cell = cell.split(|byte| *byte == b'%').next()?;
    let ip: IpAddr = std::str::from_utf8(cell).ok()?.parse().ok()?;
    Some(ip.to_canonical())
}

/// An address with its port, as `192.0.2.1:443`, `::1:443` or `[::1]:443`.
pub(super) fn endpoint(cell: &[u8]) -> Option<(IpAddr, u16)> {
    let cell = cell.trim_ascii();
    let colon = cell.iter().rposition(|byte| *byte == b':')?;
    Some((address(&cell[..colon])?, port(&cell[colon + 1..])?))
}

/// The user in `User='ana'`.
pub(super) fn user_in(details: &[u8]) -> &[u8] {
    const BEFORE: &[u8] = b"User='";
    let begin = memchr::memmem::find(details, BEFORE).map(|place| place + BEFORE.len());
    let rest = begin.and_then(|begin| details.get(begin..)).unwrap_or_default();
    rest.split(|byte| *byte == b'\'')
        .next()
        .filter(|user| !is_missing(user))
        .unwrap_or_default()
}

/// A time. The last one is remembered: rows of one scan have it in common.
#[derive(Debug, Default)]
pub(super) struct Times {
    text: Vec<u8>,
    time: Option<Time>,
}

impl Times {
    pub(super) fn read(&mut self, cell: &[u8]) -> Option<Time> {
        if let Some(time) = universal(cell) {
            return Some(time);
        }
        if cell != self.text {
            self.text.clear();
            self.text.extend_from_slice(cell);
            // What is longer is no time.
            self.time = (cell.len() <= 64)
                .then(|| Time::parse(decoded(cell).trim()))
                .flatten();
        }
        self.time
    }
}

/// `2026-11-20T21:27:03.123456Z`, as we write it, quickly.
fn universal(cell: &[u8]) -> Option<Time> {
    let (b'Z', text) = cell.split_last()? else {
        return None;
    };
    if text.len() < 19 || text.len() > 26 {
        return None;
    }
    let part = |begin: usize, end: usize| number(&text[begin..end]).map(|part| part as i64);
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if signs.iter().any(|(place, sign)| text[*place] != *sign) {
        return None;
    }
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let micros = match text.get(19..)? {
        [] => 0,
        [b'.', digits @ ..] if !digits.is_empty() => {
            number(digits)? as i64 * 10_i64.pow(6 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    let valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !valid {
        return None;
    }
    // Days since the epoch by the civil calendar: years begin in March, so that the leap day is their last.
    let shifted = year - i64::from(month <= 2);
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some(Time(
        (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_said_in_many_words() {
        for cell in [
            "",
            " ",
            "N/A",
            "n/a - Permiso denegado / Error SO",
            "None",
            "Info no disponible",
            "NaN",
            "-",
        ] {
            assert_eq!(*said(cell.as_bytes(), false), *b"", "{cell}");
            // Ours says nothing by saying nothing.
            assert_eq!(*said(cell.as_bytes(), true), *cell.as_bytes());
        }
        for cell in ["none.exe", "sh", "n", "-x"] {
            assert_eq!(*said(cell.as_bytes(), false), *cell.as_bytes());
        }
        for (cell, expected) in [
            ("'=1+1", "=1+1"),
            ("'＝1+1", "＝1+1"),
            ("x;'＠y", "x;＠y"),
            ("'quoted'", "'quoted'"),
        ] {
            assert_eq!(*said(cell.as_bytes(), false), *expected.as_bytes());
            assert_eq!(*said(cell.as_bytes(), true), *expected.as_bytes());
        }
        assert_eq!(*said(b"'=\xe9", true), *"=é".as_bytes());
        assert_eq!(*name(b"PID 12 (Terminado?)", false), *b"");
        for (path, expected) in [
            ("/tmp/null", "null"),
            (r"C:\Temp\a.exe", "a.exe"),
            (r"/tmp/a\b", r"a\b"),
            ("x", "x"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(base(path.as_bytes()), expected.as_bytes());
        }
        assert_eq!(digest(b"N/A - Archivo no encontrado"), b"");
        assert_eq!(digest("ab".repeat(32).as_bytes()).len(), 64);
        assert_eq!(digest("zz".repeat(32).as_bytes()), b"");
        assert_eq!(user_in(b"User='root'"), b"root");
        assert_eq!(user_in(b"Proceso info no disponible"), b"");
        assert_eq!(user_in(b"User='"), b"");
    }

    #[test]
    fn addresses_with_and_without_their_ports() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(endpoint(b"192.0.2.1:443"), Some((ip("192.0.2.1"), 443)));
        assert_eq!(endpoint(b"::1:443"), Some((ip("::1"), 443)));
        assert_eq!(endpoint(b"[2001:db8::1]:80"), Some((ip("2001:db8::1"), 80)));
        assert_eq!(endpoint(b"::ffff:192.0.2.1:80"), Some((ip("192.0.2.1"), 80)));
        assert_eq!(endpoint(b"fe80::1%eth0:80"), Some((ip("fe80::1"), 80)));
        for none in ["N/A", "192.0.2.1", "host:80", "192.0.2.1:70000", "", ":"] {
            assert_eq!(endpoint(none.as_bytes()), None, "{none}");
        }
        assert_eq!(address(b"[fe80::1%3]"), Some(ip("fe80::1")));
        assert_eq!(number(b" 12.0 "), Some(12));
        assert_eq!(number(b"99999999999999999999"), None);
        assert_eq!(number(b"1e3"), None);
    }

    proptest! {
        #[test]
        fn a_time_that_we_wrote_is_read(micros in -2_000_000_000_000_000i64..7_000_000_000_000_000) {
            let time = Time(micros);
            prop_assert_eq!(universal(time.rfc3339().as_bytes()), Some(time));
            prop_assert_eq!(Times::default().read(time.rfc3339().as_bytes()), Time::parse(&time.rfc3339()));
        }

        #[test]
        fn no_cell_is_too_odd(cell in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (said(&cell, true), said(&cell, false), base(&cell), endpoint(&cell), user_in(&cell), Times::default().read(&cell));
        }
    }
}
