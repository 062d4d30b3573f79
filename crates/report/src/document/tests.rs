//! Whatever a document says, it says in Spanish, too.

use atalaya_format::catalogue::Language;

use super::Document;
use crate::snapshot::labels::label;

/// The sources of documents, without their tests.
const SOURCES: &[&str] = &[
    include_str!("diff.rs"),
    include_str!("news.rs"),
    include_str!("report.rs"),
    include_str!("report/alerts.rs"),
    include_str!("report/incidents.rs"),
    include_str!("report/rankings.rs"),
    include_str!("timeline.rs"),
    include_str!("unseen.rs"),
    include_str!("write.rs"),
    include_str!("write/charts.rs"),
    include_str!("write/html.rs"),
    include_str!("write/markdown.rs"),
    include_str!("write/text.rs"),
    include_str!("../verify.rs"),
    include_str!("../verify/network.rs"),
    include_str!("../verify/network/lists.rs"),
    include_str!("../verify/processes.rs"),
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

fn has_spanish(text: &str) {
    let spanish = label(Box::leak(text.to_owned().into_boxed_str()), Language::Spanish);
    assert!(spanish != text || ALIKE.contains(&text), "no Spanish for: {text}");
}

/// Fails where a word of the document has no Spanish.
pub(crate) fn speaks_spanish(document: &Document) {
    let said = [&document.title, &document.verdict].into_iter();
    let said = said.chain(&document.news).chain(&document.unseen);
    let tables = document.sections.iter().map(|section| &section.table);
    let of_tables = tables.flat_map(|table| {
        let labels = table.columns.iter().map(|column| column.label);
        labels.chain([table.title, table.about.sentence])
    });
    said.map(|said| said.sentence)
        .chain(of_tables)
        .chain(document.numbers.iter().map(|number| number.label))
        .chain(document.method.iter().map(|(label, _)| *label))
        .for_each(has_spanish);
}

#[test]
fn every_word_has_its_spanish() {
    let mut seen = 0;
    let mut check = |text: &str| {
        seen += 1;
        has_spanish(text);
    };
    for source in SOURCES {
        let source = source.split("#[cfg(test)]").next().unwrap();
        for marker in ["Said::new(", "Said::plain(", "word(\n", "word(\"", " label: \""] {
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
        for marker in [
            "Table::new(",
            "_table(",
            "Number::count(",
            "destinations(",
            "ranking(",
        ] {
            for (place, _) in source.match_indices(marker) {
                // Its name comes first, and then what people read; where variables hold them, others are checked.
                let call = &source[place + marker.len()..];
                let (name, after) = match literal(call) {
                    Some(found) if call.trim_start().starts_with('"') => found,
                    _ => continue,
                };
                assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
                check(&literal(after).unwrap().0);
            }
        }
        for (place, _) in source.match_indices("    say(\n") {
            check(&literal(&source[place..]).unwrap().0);
        }
    }
    assert!(seen > 120, "{seen}");
}
