//! Whatever a document says, it says in Spanish, too.

use atalaya_format::catalogue::Language;

use crate::snapshot::labels::label;

/// The sources of documents, without their tests.
const SOURCES: &[&str] = &[
    include_str!("diff.rs"),
    include_str!("news.rs"),
    include_str!("report.rs"),
    include_str!("report/alerts.rs"),
    include_str!("report/rankings.rs"),
    include_str!("timeline.rs"),
    include_str!("unseen.rs"),
    include_str!("write.rs"),
    include_str!("write/charts.rs"),
    include_str!("write/html.rs"),
    include_str!("write/markdown.rs"),
    include_str!("write/text.rs"),
];

/// What people do not read in words, and what both languages write alike.
const ALIKE: &[&str] = &["", "{0}", "SHA-256", "Pid", "Sockets", "DNS", "TLS", "HTTP"];

/// The text literal that begins at the first quotation mark, its continued lines joined, and what comes after it.
fn literal(source: &str) -> Option<(String, &str)> {
    let (_, rest) = source.split_once('"')?;
    let end = rest
        .char_indices()
        .find(|(place, c)| *c == '"' && !rest[..*place].ends_with('\\'))?;
    let mut text = String::new();
    for line in rest[..end.0].split("\\\n") {
        text.push_str(if text.is_empty() { line } else { line.trim_start() });
    }
    Some((text, &rest[end.0 + 1..]))
}

#[test]
fn every_word_has_its_spanish() {
    let mut seen = 0;
    let mut check = |text: &str| {
        seen += 1;
        let spanish = label(Box::leak(text.to_owned().into_boxed_str()), Language::Spanish);
        assert!(spanish != text || ALIKE.contains(&text), "no Spanish for: {text}");
    };
    for source in SOURCES {
        let source = source.split("#[cfg(test)]").next().unwrap();
        for marker in [
            "Said::new(",
            "Said::plain(",
            "word(\n",
            "word(\"",
            " title: \"",
            " about: \"",
            " label: \"",
        ] {
            for (place, _) in source.match_indices(marker) {
                let after = &source[place..];
                // A sentence that a variable holds has been found where it is written.
                let until = after.find(['"', ';']).unwrap();
                if after.as_bytes()[until] == b'"' {
                    check(&literal(after).unwrap().0);
                }
            }
        }
        for (place, _) in source.match_indices(" column(\"") {
            let (_, after) = literal(&source[place..]).unwrap();
            check(&literal(after).unwrap().0);
        }
        for (place, _) in source.match_indices("    say(\n") {
            check(&literal(&source[place..]).unwrap().0);
        }
    }
    assert!(seen > 120, "{seen}");
}
