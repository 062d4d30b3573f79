//! One HTML file that needs nothing else: no script, no font, no picture, no request.

use std::io::{self, Write};

use crate::snapshot::labels::label as word;
use atalaya_format::catalogue::Language;
use atalaya_format::escape::html as escaped;
use atalaya_model::{Severity, Value};

use super::style::{HASH, SHEET};
use super::{charts, columns, empty, group, origin, said, shown, title};
use crate::document::{Chart, Column, Document, Said, Section, Shape, Table, column};

/// Writes the document: first a page that says it all, then the details, then how it was made.
///
/// # Errors
/// When the writer fails.
pub fn write_html(document: &Document, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let heading = escaped(&said(&document.title, language));
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{HASH}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{heading}</title>\n<style>{SHEET}</style></head><body>",
        language.code()
    )?;
    summary(document, &heading, language, out)?;
    writeln!(out, "<main>")?;
    for section in told(document) {
        write_section(section, document, language, out)?;
    }
    if let Some(sentence) = empty(document, language) {
        writeln!(out, "<p class=\"faint empty\">{}</p>", escaped(&sentence))?;
    }
    writeln!(
        out,
        "<section id=\"method\"><h2>{}</h2>\n<dl>",
        escaped(word("Method", language))
    )?;
    let plain = column("", "", Shape::Sentence);
    for (label, value) in &document.method {
        let value = shown(&plain, Some(value), language);
        writeln!(
            out,
            "<dt>{}</dt><dd>{}</dd>",
            escaped(word(label, language)),
            escaped(&value)
        )?;
    }
    let method = word(
        "Made from what the store kept; nothing was looked up elsewhere. Byte units are decimal. Times are those of this \
         computer's time zone.",
        language,
    );
    writeln!(
        out,
        "</dl>\n<p class=\"faint\">{}</p></section>\n</main></body></html>",
        escaped(method)
    )?;
    out.flush()
}

/// The sections in which something stands.
fn told(document: &Document) -> impl Iterator<Item = &Section> {
    let sections = document.sections.iter();
    sections.filter(|section| !section.table.rows.is_empty())
}

/// The page that stands first.
fn summary(document: &Document, heading: &str, language: Language, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<header class=\"first\"><h1>{heading}</h1>\n<p class=\"faint\">{}</p>",
        escaped(&origin(document))
    )?;
    let class = document.worst.map_or("", Severity::name);
    writeln!(
        out,
        "<p class=\"verdict {class}\">{}</p>",
        escaped(&said(&document.verdict, language))
    )?;
    writeln!(out, "<ul class=\"numbers\">")?;
    let plain = column("", "", Shape::Number);
    for number in &document.numbers {
        let value = shown(&plain, Some(&number.value), language);
        writeln!(
            out,
            "<li><b>{}</b>{}</li>",
            escaped(&value),
            escaped(word(number.label, language))
        )?;
    }
    writeln!(out, "</ul>")?;
    list("What is new", &document.news, language, out)?;
    list("What was not seen", &document.unseen, language, out)?;
    if document.unseen.is_empty() {
        writeln!(
            out,
            "<h3>{}</h3><p>{}</p>",
            escaped(word("What was not seen", language)),
            escaped(word("Nothing is known to be missing.", language))
        )?;
    }
    writeln!(out, "<nav aria-label=\"{}\">", escaped(word("Details", language)))?;
    for section in told(document) {
        let (name, title) = (section.table.name, title(&section.table, language));
        writeln!(out, "<a href=\"#{name}\">{}</a>", escaped(&title))?;
    }
    writeln!(out, "</nav></header>")
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
    writeln!(out, "<h3>{}</h3>\n<ul>", escaped(word(heading, language)))?;
    for sentence in sentences {
        writeln!(out, "<li>{}</li>", escaped(&said(sentence, language)))?;
    }
    writeln!(out, "</ul>")
}

fn write_section(
    section: &Section,
    document: &Document,
    language: Language,
    out: &mut dyn Write,
) -> io::Result<()> {
    let table = &section.table;
    writeln!(
        out,
        "<section id=\"{}\"><h2>{}</h2>",
        table.name,
        escaped(&title(table, language))
    )?;
    let about = said(&table.about, language);
    if !about.is_empty() {
        writeln!(out, "<p class=\"faint\">{}</p>", escaped(&about))?;
    }
    let range = document.range.clone().unwrap_or(document.made..document.made);
    let chart = match &section.chart {
        Some(Chart::Series(series)) => charts::series(series, &range, language),
        Some(Chart::Bars) => charts::bars(table, language),
        Some(Chart::Lanes(lanes)) => charts::lanes(lanes, &range, language),
        None => String::new(),
    };
    out.write_all(chart.as_bytes())?;
    // Numbers by time are for whoever wants them exactly.
    let is_folded = matches!(section.chart, Some(Chart::Series(_)));
    if is_folded {
        let label = escaped(word("as a table", language));
        writeln!(out, "<details class=\"rows\"><summary>{label}</summary>")?;
    }
    write_table(table, language, out)?;
    if is_folded {
        writeln!(out, "</details>")?;
    }
    writeln!(out, "</section>")
}

fn write_table(table: &Table, language: Language, out: &mut dyn Write) -> io::Result<()> {
    let (places, under) = columns(table, table.group);
    write!(out, "<div class=\"scroll\"><table><thead><tr>")?;
    for place in &places {
        let column = &table.columns[*place];
        let label = escaped(word(column.label, language));
        write!(out, "<th scope=\"col\"{}>{label}</th>", class(column, None))?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (number, row) in table.rows.iter().enumerate() {
        if let Some(parts) = group(table, number, language) {
            write_group(table, number, &parts, places.len(), out)?;
        }
        let more: Vec<String> = under
            .iter()
            .filter_map(|place| {
                let column = &table.columns[*place];
                let value = row.get(*place)?.as_ref()?;
                let text = shown(column, Some(value), language);
                let label = word(column.label, language);
                Some(format!(
                    "<span><b>{}</b> {}</span>",
                    escaped(label),
                    escaped(&text)
                ))
            })
            .collect();
        write!(
            out,
            "{}",
            if more.is_empty() {
                "<tr>"
            } else {
                "<tr class=\"above\">"
            }
        )?;
        for place in &places {
            let column = &table.columns[*place];
            let value = row.get(*place).and_then(Option::as_ref);
            let text = escaped(&shown(column, value, language));
            let class = class(column, value);
            match exact(value) {
                Some(exact) => write!(out, "<td{class} title=\"{}\">{text}</td>", escaped(&exact))?,
                None => write!(out, "<td{class}>{text}</td>")?,
            }
        }
        writeln!(out, "</tr>")?;
        if !more.is_empty() {
            writeln!(
                out,
                "<tr class=\"under\"><td colspan=\"{}\">{}</td></tr>",
                places.len(),
                more.join(" ")
            )?;
        }
    }
    writeln!(out, "</tbody></table></div>")
}

/// The heading of rows that belong together.
fn write_group(
    table: &Table,
    row: usize,
    parts: &[(usize, String)],
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(
        out,
        "<tr class=\"group\"><th colspan=\"{width}\" scope=\"rowgroup\">"
    )?;
    for (place, part) in parts {
        let value = table.rows.get(row).and_then(|row| row.get(*place)?.as_ref());
        let class = table.columns.get(*place).map(|column| class(column, value));
        write!(
            out,
            "<span{}>{}</span> ",
            class.unwrap_or_default(),
            escaped(part)
        )?;
    }
    writeln!(out, "</th></tr>")
}

/// What is shown shortened, exactly.
fn exact(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Bytes(bytes) => Some(format!("{bytes} B")),
        Value::Time(time) => Some(time.rfc3339()),
        _ => None,
    }
}

/// The class attribute of a cell.
fn class(column: &Column, value: Option<&Value>) -> String {
    let name = match column.shape {
        Shape::Number | Shape::Bytes => "number",
        Shape::Time => "time",
        Shape::Code => "code",
        Shape::Sentence => "sentence",
        Shape::Severity => "severity",
        Shape::Word | Shape::Term | Shape::Under => return String::new(),
    };
    let severity = match (column.shape, value) {
        (Shape::Severity, Some(Value::Text(name))) => Severity::from_name(name),
        _ => None,
    };
    match severity {
        Some(severity) => format!(" class=\"{name} {}\"", severity.name()),
        None => format!(" class=\"{name}\""),
    }
}
