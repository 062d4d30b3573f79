//! Markdown for tickets and wikis: headings, lists and pipe tables.

use std::io::{self, Write};

use crate::snapshot::labels::label as word;
use atalaya_format::catalogue::Language;

use super::{columns, empty, origin, said, shown, title};
use crate::document::{Document, Said, Shape, Table};

/// Writes the document.
///
/// # Errors
/// When the writer fails.
pub fn write_markdown(document: &Document, language: Language, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {}\n", escaped(&said(&document.title, language)))?;
    writeln!(out, "{}\n", escaped(&origin(document)))?;
    writeln!(out, "**{}**\n", escaped(&said(&document.verdict, language)))?;
    for number in &document.numbers {
        let column = crate::document::column("", "", Shape::Number);
        let value = shown(&column, Some(&number.value), language);
        writeln!(
            out,
            "- {}: {}",
            escaped(word(number.label, language)),
            escaped(&value)
        )?;
    }
    list("What is new", &document.news, language, out)?;
    list("What was not seen", &document.unseen, language, out)?;
    for section in &document.sections {
        if !section.table.rows.is_empty() {
            write_table(&section.table, language, out)?;
        }
    }
    if let Some(sentence) = empty(document, language) {
        writeln!(out, "\n{}", escaped(&sentence))?;
    }
    writeln!(out, "\n## {}\n", word("Method", language))?;
    let column = crate::document::column("", "", Shape::Sentence);
    for (label, value) in &document.method {
        let value = shown(&column, Some(value), language);
        writeln!(out, "- {}: {}", escaped(word(label, language)), escaped(&value))?;
    }
    out.flush()
}

fn list(
    heading: &'static str,
    sentences: &[Said],
    language: Language,
    out: &mut dyn Write,
) -> io::Result<()> {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {}\n", word(heading, language))?;
    for sentence in sentences {
        writeln!(out, "- {}", escaped(&said(sentence, language)))?;
    }
    Ok(())
}

fn write_table(table: &Table, language: Language, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n## {}\n", escaped(&title(table, language)))?;
    let about = said(&table.about, language);
    if !about.is_empty() {
        writeln!(out, "{}\n", escaped(&about))?;
    }
    let (mut places, under) = columns(table, 0);
    places.extend(under);
    write!(out, "|")?;
    for place in &places {
        write!(out, " {} |", escaped(word(table.columns[*place].label, language)))?;
    }
    write!(out, "\n|")?;
    for place in &places {
        let is_number = matches!(table.columns[*place].shape, Shape::Number | Shape::Bytes);
        write!(out, "{}", if is_number { " ---: |" } else { " --- |" })?;
    }
    writeln!(out)?;
    for row in &table.rows {
        write!(out, "|")?;
        for place in &places {
            let value = row.get(*place).and_then(Option::as_ref);
            write!(
                out,
                " {} |",
                escaped(&shown(&table.columns[*place], value, language))
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Text that Markdown takes for nothing but text: signs with a meaning have a backslash before them, those of HTML are
/// entities, and addresses do not become links.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // `http://x`, `www.x` and `a@b` would become links.
            ':' if matches!(before, 'p' | 's' | 'P' | 'S') => escaped.push_str("&#58;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '!' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '+' | '-' | '=' | ')' | '.' if before == ' ' && escaped.is_empty() => {
                escaped.push('\\');
                escaped.push(c);
            }
            '.' if escaped.len() >= 3 && escaped.to_ascii_lowercase().ends_with("www") => {
                escaped.push_str("&#46;");
            }
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_a_meaning_of_its_own() {
        for (text, expected) in [
            ("a|b", r"a\|b"),
            (
                "<img src=x onerror=alert(1)>",
                "&lt;img src=x onerror=alert(1)&gt;",
            ),
            ("[x](javascript:y)", r"\[x\](javascript:y)"),
            ("https://evil.example", "https&#58;//evil.example"),
            ("www.evil.example", "www&#46;evil.example"),
            ("**bold** `code`", r"\*\*bold\*\* \`code\`"),
            ("- item", r"\- item"),
            (r"a\x1b", r"a\\x1b"),
            ("/usr/bin/python3.11", "/usr/bin/python3.11"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
