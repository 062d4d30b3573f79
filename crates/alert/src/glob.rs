//! Patterns with `*` and `?`, for names, paths and keys.

/// Does all of `text` match `pattern`? `*` stands for any run of characters (also `/`), `?` for one character; all
/// else for itself. Time is at most the product of the lengths, so a hostile name cannot stall the engine.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut rest_pattern = pattern;
    let mut rest = text;
    // Where to go on when the run that the last `*` stands for must become longer.
    let mut last_star: Option<(&str, &str)> = None;
    loop {
        let mut after_pattern = rest_pattern.chars();
        let mut after = rest.chars();
        match (after_pattern.next(), after.next()) {
            (Some('*'), _) => {
                rest_pattern = after_pattern.as_str();
                if rest_pattern.is_empty() {
                    return true;
                }
                last_star = Some((rest_pattern, rest));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                rest_pattern = after_pattern.as_str();
                rest = after.as_str();
            }
            (None, None) => return true,
            _ => {
                let Some((pattern, text)) = last_star else {
                    return false;
                };
                let mut longer = text.chars();
                if longer.next().is_none() {
                    return false;
                }
                rest_pattern = pattern;
                rest = longer.as_str();
                last_star = Some((pattern, rest));
            }
        }
    }
}

/// Is it a plain text without `*` and `?`?
pub(crate) fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("/usr/*/python3.?", "/usr/local/bin/python3.9", true),
            ("?", "é", true),
            ("?", "", false),
            ("a**b", "ab", true),
            ("a*b*c", "a-b-b-c-b-c", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn many_stars_on_a_long_name_end_soon() {
        let text = "a".repeat(1 << 14);
        assert!(!matches("*a*a*a*a*a*a*a*a*b", &text));
    }

    proptest! {
        #[test]
        fn agrees_with_a_regular_expression(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            // The slow way: by recursion over all splits.
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.first(), text.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => (0..=text.len()).any(|n| slow(&pattern[1..], &text[n..])),
                    (Some(b'?'), Some(_)) => slow(&pattern[1..], &text[1..]),
                    (Some(a), Some(b)) if a == b => slow(&pattern[1..], &text[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
