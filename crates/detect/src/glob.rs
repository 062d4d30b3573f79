//! Globs over paths: `?` is one character and `*` any number of them within a folder, `**` crosses folders.

/// Does the whole of `text` match? Linear in practice, quadratic at worst.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: (pattern after the star, text that the star has not taken yet).
    let mut star: Option<(usize, usize)> = None;
    let mut deep: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            deep = Some((p, t));
            star = None;
            continue;
        }
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (Some(b'?'), Some(&character)) if character != b'/' => {
                p += 1;
                t += 1;
                continue;
            }
            (Some(wanted), Some(found)) if wanted == found => {
                p += 1;
                t += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        if let Some((after, taken)) = star
            && text.get(taken).is_some_and(|character| *character != b'/')
        {
            star = Some((after, taken + 1));
            (p, t) = (after, taken + 1);
        } else if let Some((after, taken)) = deep
            && taken < text.len()
        {
            star = None;
            deep = Some((after, taken + 1));
            (p, t) = (after, taken + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stay_in_their_folder_and_double_stars_do_not() {
        for (pattern, text, expected) in [
            ("/tmp/**", "/tmp/a", true),
            ("/tmp/**", "/tmp/a/b/c", true),
            ("/tmp/**", "/tmpfile", false),
            ("/home/*/Downloads/**", "/home/ann/Downloads/x", true),
            ("/home/*/Downloads/**", "/home/ann/b/Downloads/x", false),
            ("**/.*/**", "/opt/.hidden/run", true),
            ("**/.*/**", "/opt/hidden/.run", false),
            ("**/.*", "/opt/hidden/.run", true),
            ("**/.*", "/opt/.hidden/run", false),
            ("/usr/bin/?at", "/usr/bin/cat", true),
            ("/usr/bin/?at", "/usr/bin//at", false),
            ("**b*d/**e", "/abxbcd/c/e", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    /// The obvious way, exponential at worst.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([b'*', b'*', rest @ ..], _) => {
                slow(rest, text) || (!text.is_empty() && slow(pattern, &text[1..]))
            }
            ([b'*', rest @ ..], _) => {
                slow(rest, text) || (text.first().is_some_and(|c| *c != b'/') && slow(pattern, &text[1..]))
            }
            ([b'?', rest @ ..], [c, after @ ..]) if *c != b'/' => slow(rest, after),
            ([p, rest @ ..], [c, after @ ..]) if p == c => slow(rest, after),
            ([], []) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_way(pattern in "[ab/*?]{0,8}", text in "[ab/]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
