//! How the texts of allow-list entries and silences match.

use atalaya_model::filter::Glob;

/// Does all of `text` match? A pattern without `*` and `?` must be equal to the letter, so that allowing one path
/// never allows another; one with them is a glob as in filters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    if Glob::has_wildcard(pattern) {
        Glob::new(pattern).is_match(text)
    } else {
        pattern == text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_to_the_letter_or_a_glob() {
        assert!(matches("/usr/bin/nc", "/usr/bin/nc"));
        assert!(!matches("/usr/bin/nc", "/usr/bin/NC"));
        assert!(matches("/usr/*/nc", "/usr/local/bin/nc"));
        assert!(!matches("/usr/*/nc", "/usr/bin/ncat"));
    }
}
