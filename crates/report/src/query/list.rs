//! The list of saved questions.

use std::io::{self, Write};

use atalaya_format::escape;
use atalaya_store::console::{Parameter, SavedQuestion};

use super::schema::write_object;

/// Longest sentence, in characters: people write these files.
const SENTENCE: usize = 300;

/// Writes saved questions for a person: name, sentence, parameters.
///
/// # Errors
/// When the writer fails.
pub fn write_list(questions: &[SavedQuestion], out: &mut dyn Write) -> io::Result<()> {
    let width = questions
        .iter()
        .map(|question| question.name.chars().count())
        .max()
        .unwrap_or(0);
    for question in questions {
        let about = escape::start(&question.about, SENTENCE);
        writeln!(
            out,
            "{}",
            format!("{:<width$}  {about}", escape::text(&question.name)).trim_end()
        )?;
        for parameter in &question.parameters {
            let about = escape::start(&parameter.about, SENTENCE);
            writeln!(out, "{:width$}    {}  {about}", "", declared(parameter))?;
        }
    }
    Ok(())
}

/// `since=24h`, `ip=…`.
fn declared(parameter: &Parameter) -> String {
    let default = parameter.default.as_deref().unwrap_or("…");
    escape::start(&format!("{}={default}", parameter.name), SENTENCE)
}

/// Writes saved questions as JSON Lines.
///
/// # Errors
/// When the writer fails.
pub fn write_list_json(questions: &[SavedQuestion], out: &mut dyn Write) -> io::Result<()> {
    for question in questions {
        let parameters: Vec<_> = question.parameters.iter().map(declared).collect();
        let parameters = parameters.join(" ");
        let members = [
            ("name", &*question.name),
            ("meaning", &question.about),
            ("parameters", &parameters),
            ("sql", &question.sql),
        ];
        write_object(&members, out)?;
    }
    Ok(())
}
