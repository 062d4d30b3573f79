//! One HTML file that needs nothing else: no script, no font, no picture, no request.

use std::io::{self, Write};

use crate::snapshot::labels::label;
use atalaya_format::catalogue::term;
use atalaya_format::escape::html as escaped;
use atalaya_model::Value;

use super::{Labels, about, origin, said, shown, title};
use crate::verify::document::{Document, List, Shape};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--faint:#767676}
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}
p{margin:.2rem 0;color:var(--faint)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1rem 0}dt{color:var(--faint)}dd{margin:0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:.5rem 0;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid var(--line);padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top}
td.number,th.number{text-align:right;white-space:nowrap}td.time{white-space:nowrap}
td.long{font-family:ui-monospace,monospace;font-size:12px;word-break:break-all;min-width:14rem}
tr.more td{border-top:0;padding-top:0}tr.first td{border-bottom:0}tr.more span{color:var(--faint);font-family:system-ui,sans-serif}
.critical,.high{color:#c62828;font-weight:600}.medium{color:#b26a00;font-weight:600}.low{color:#8a7a00}
@media print{body{margin:0;max-width:none;font-size:10px}.scroll{overflow:visible}tr{break-inside:avoid}h2{break-after:avoid}}
";

/// Writes the document.
///
/// # Errors
/// When the writer fails.
pub fn write_html(document: &Document, labels: Labels, out: &mut dyn Write) -> io::Result<()> {
    let language = labels.language;
    let heading = escaped(term(document.title, language));
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{heading}</title>\n\
         <style>{STYLE}</style></head><body>\n<h1>{heading}</h1>\n<dl>",
        language.code()
    )?;
    for (label, value) in origin(document, language) {
        writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(&label), escaped(&value))?;
    }
    writeln!(out, "</dl>")?;
    for list in &document.lists {
        write_list(list, labels, out)?;
    }
    if !document.left_out.is_empty() {
        writeln!(out, "<h2>{}</h2>\n<ul>", escaped(term("Left out", language)))?;
        for note in &document.left_out {
            writeln!(out, "<li>{}</li>", escaped(&said(note, language)))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</body></html>")?;
    out.flush()
}

fn write_list(list: &List, labels: Labels, out: &mut dyn Write) -> io::Result<()> {
    let language = labels.language;
    writeln!(
        out,
        "<section id=\"{}\"><h2>{}</h2>",
        list.name,
        escaped(&title(list, language))
    )?;
    let about = about(list, language);
    if !about.is_empty() {
        writeln!(out, "<p>{}</p>", escaped(&about))?;
    }
    if list.rows.is_empty() {
        return writeln!(out, "<p>{}</p></section>", escaped(term("None.", language)));
    }
    // Columns that are empty in every row only take room.
    let places = (0..list.columns.len()).filter(|place| {
        list.rows
            .iter()
            .any(|row| row.get(*place).is_some_and(Option::is_some))
    });
    let (long, mut short): (Vec<usize>, Vec<usize>) =
        places.partition(|place| list.columns[*place].shape == Shape::Long);
    // One long text has room beside the others; several go below them, so that nothing is wider than a page.
    let long = match long.len() {
        0 | 1 => {
            short.extend(long);
            Vec::new()
        }
        _ => long,
    };
    write!(out, "<div class=\"scroll\"><table><thead><tr>")?;
    for place in &short {
        let column = &list.columns[*place];
        let class = class(column.shape, None);
        write!(out, "<th{class}>{}</th>", escaped(label(column.label, language)))?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    let below = if long.is_empty() { "" } else { " class=\"first\"" };
    for row in &list.rows {
        write!(out, "<tr{below}>")?;
        for place in &short {
            let column = &list.columns[*place];
            let value = row.get(*place).and_then(Option::as_ref);
            let text = escaped(&shown(column, value, language));
            write!(out, "<td{}>{text}</td>", class(column.shape, value))?;
        }
        writeln!(out, "</tr>")?;
        if !long.is_empty() {
            write!(
                out,
                "<tr class=\"more\"><td class=\"long\" colspan=\"{}\">",
                short.len()
            )?;
            for place in &long {
                let column = &list.columns[*place];
                if let Some(value) = row.get(*place).and_then(Option::as_ref) {
                    let name = escaped(label(column.label, language));
                    let text = escaped(&shown(column, Some(value), language));
                    write!(out, "<div><span>{name}</span> {text}</div>")?;
                }
            }
            writeln!(out, "</td></tr>")?;
        }
    }
    writeln!(out, "</tbody></table></div></section>")
}

/// The class attribute of a cell.
fn class(shape: Shape, value: Option<&Value>) -> String {
    let name = match (shape, value) {
        (Shape::Number | Shape::Bytes, _) => "number",
        (Shape::Time, _) => "time",
        (Shape::Long, _) => "long",
        (Shape::Severity, Some(Value::Text(name))) => match atalaya_model::Severity::from_name(name) {
            Some(severity) => severity.name(),
            None => return String::new(),
        },
        _ => return String::new(),
    };
    format!(" class=\"{name}\"")
}
