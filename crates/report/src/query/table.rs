//! The answer for a person: a table where it fits, else a block a row.

use std::io::{self, Write};

use atalaya_format::escape;
use atalaya_model::Time;
use atalaya_store::console::{Answer, Cell, ResultColumn};

use super::hex;

/// How the table is written.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Use colour.
    pub colour: bool,
    /// Columns that a line may have.
    pub width: usize,
}

/// Longest cell of a table that would not fit otherwise, in characters.
const CELL: usize = 60;

/// Longest cell of a block, in characters.
const LONGEST: usize = 32_000;

/// Between two columns.
const SPACE: usize = 2;

/// Writes the answer for a person. Times of documented columns are local, truth is a word, NULL is `-`.
///
/// # Errors
/// When the writer fails.
pub fn write_text(answer: &Answer, options: &TextOptions, out: &mut dyn Write) -> io::Result<()> {
    if answer.columns.is_empty() {
        return Ok(());
    }
    // Whole where everything fits, else with long cells cut, else row by row.
    let fitting = [options.width, CELL].into_iter().find_map(|most| {
        let widths = widths(answer, most);
        let whole = widths.iter().sum::<usize>() + SPACE * (widths.len() - 1);
        (whole <= options.width).then_some((most, widths))
    });
    let (most, widths) = match fitting {
        Some(fitting) => fitting,
        None if answer.rows.is_empty() => (CELL, widths(answer, CELL)),
        None => return blocks(answer, options, out),
    };
    let names: Vec<String> = names(answer);
    let right: Vec<bool> = (0..names.len()).map(|place| is_numeric(answer, place)).collect();
    line(&names, &widths, &right, options.colour, out)?;
    for row in &answer.rows {
        let cells = row.iter().zip(&answer.columns);
        let cells: Vec<_> = cells.map(|(cell, column)| shown(cell, column, most)).collect();
        line(&cells, &widths, &right, false, out)?;
    }
    Ok(())
}

fn names(answer: &Answer) -> Vec<String> {
    let columns = answer.columns.iter();
    columns.map(|column| escape::start(&column.name, CELL)).collect()
}

/// The width of each column, with cells of so many characters at most.
fn widths(answer: &Answer, most: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = names(answer).iter().map(|name| name.chars().count()).collect();
    for row in &answer.rows {
        for ((width, column), cell) in widths.iter_mut().zip(&answer.columns).zip(row) {
            *width = (*width).max(shown(cell, column, most).chars().count());
        }
    }
    widths
}

/// One line; a column of numbers stands at the right.
fn line(
    cells: &[String],
    widths: &[usize],
    right: &[bool],
    bold: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut text = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
        let width = *width;
        text.push_str(&match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        text.push_str(&" ".repeat(SPACE));
    }
    match bold {
        true => writeln!(out, "\x1b[1m{}\x1b[0m", text.trim_end()),
        false => writeln!(out, "{}", text.trim_end()),
    }
}

/// A block a row: a line a column. What is NULL is left out.
fn blocks(answer: &Answer, options: &TextOptions, out: &mut dyn Write) -> io::Result<()> {
    let names = names(answer);
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (number, row) in answer.rows.iter().enumerate() {
        let head = format!("-- {} --", number + 1);
        match options.colour {
            true => writeln!(out, "\x1b[1m{head}\x1b[0m")?,
            false => writeln!(out, "{head}")?,
        }
        for ((cell, column), name) in row.iter().zip(&answer.columns).zip(&names) {
            if *cell != Cell::Null {
                writeln!(out, "{name:<width$}  {}", shown(cell, column, LONGEST))?;
            }
        }
    }
    Ok(())
}

/// Is everything in this column a number that is shown as one?
fn is_numeric(answer: &Answer, place: usize) -> bool {
    let is_worded = matches!(answer.columns[place].kind, Some("time" | "boolean"));
    let mut cells = answer.rows.iter().map(|row| &row[place]);
    !is_worded && cells.all(|cell| matches!(cell, Cell::Integer(_) | Cell::Real(_) | Cell::Null))
}

/// What is smaller is no time of a conversation but something counted that was given the name of a time: `count(*) AS opened`.
const EARLIEST: i64 = 10_000_000_000_000;

/// A cell in at most so many characters.
fn shown(cell: &Cell, column: &ResultColumn, most: usize) -> String {
    match (cell, column.kind) {
        (Cell::Null, _) => "-".to_owned(),
        (Cell::Integer(time), Some("time")) if *time >= EARLIEST => Time(*time).local(),
        (Cell::Integer(0), Some("boolean")) => "false".to_owned(),
        (Cell::Integer(1), Some("boolean")) => "true".to_owned(),
        (Cell::Integer(number), _) => number.to_string(),
        (Cell::Real(number), _) => number.to_string(),
        (Cell::Text(text), _) => escape::start(text, most),
        (Cell::Blob(bytes), _) => escape::start(&format!("x'{}'", hex(bytes)), most),
    }
}
