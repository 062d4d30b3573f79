//! What may be asked: views, columns, functions.

use std::io::{self, Write};

use atalaya_format::json;
use atalaya_model::fields;
use atalaya_store::View;
use atalaya_store::console::FUNCTIONS;

/// Writes views with their columns, and after all of them the functions, for a person.
///
/// # Errors
/// When the writer fails.
pub fn write_schema(views: &[View], functions: bool, out: &mut dyn Write) -> io::Result<()> {
    for (number, view) in views.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}: {}", view.name, view.doc)?;
        let width = view
            .columns
            .iter()
            .map(|column| column.name.len())
            .max()
            .unwrap_or(0);
        for column in &view.columns {
            writeln!(
                out,
                "  {:<width$}  {:<12}  {}",
                column.name, column.kind, column.doc
            )?;
        }
    }
    if functions {
        writeln!(out, "\nfunctions, beside those of SQLite:")?;
        for function in FUNCTIONS {
            writeln!(
                out,
                "  {}({})\n      {}",
                function.name, function.arguments, function.about
            )?;
        }
    }
    Ok(())
}

/// Writes the same as JSON Lines: an object a column, or a function.
///
/// # Errors
/// When the writer fails.
pub fn write_schema_json(views: &[View], functions: bool, out: &mut dyn Write) -> io::Result<()> {
    for view in views {
        for column in &view.columns {
            let field = fields::all().find(|field| field.column == column.name);
            let mut members = vec![
                ("view", view.name),
                ("column", &column.name),
                ("type", column.kind),
                ("meaning", &column.doc),
            ];
            if let Some(field) = field {
                members.extend([("field", field.name), ("privacy", field.privacy.name())]);
            }
            write_object(&members, out)?;
        }
    }
    if functions {
        for function in FUNCTIONS {
            let members = [
                ("function", function.name),
                ("arguments", function.arguments),
                ("meaning", function.about),
            ];
            write_object(&members, out)?;
        }
    }
    Ok(())
}

/// Writes an object of texts on a line.
pub(super) fn write_object(members: &[(&str, &str)], out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::from("{");
    for (name, text) in members {
        if line.len() > 1 {
            line.push(',');
        }
        json::whole(&mut line, name);
        line.push(':');
        json::whole(&mut line, text);
    }
    writeln!(out, "{line}}}")
}
