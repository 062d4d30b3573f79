//! Numbers for people.

/// A number of bytes in the largest decimal unit that keeps it at least 1: `999 B`, `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], " ")
}

/// A count, short: `999`, `3.4k`, `12M`.
pub fn count(count: u64) -> String {
    scaled(count, &["", "k", "M", "G", "T", "P", "E"], "")
}

fn scaled(number: u64, units: &[&str], space: &str) -> String {
    let mut value = number as f64;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    // 999.95 would be shown as 1000.0.
    while value >= 999.5
        && number >= 1_000
        && let Some(next) = units.next()
    {
        value /= 1_000.0;
        unit = next;
    }
    let shown = if number < 1_000 {
        number.to_string()
    } else if value < 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    format!("{shown}{space}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (9_960, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18 EB"),
        ];
        for (number, shown) in cases {
            assert_eq!(bytes(number), shown);
        }
        assert_eq!(count(3_412), "3.4k");
        assert_eq!(count(12), "12");
    }
}
