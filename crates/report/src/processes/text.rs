//! The list for a person: a line a process, what is unusual about it in colour and in words.

mod table;

use std::io::{self, Write};

use atalaya_format::catalogue::Language;
use atalaya_format::{escape, text as words};
use atalaya_model::{Process, ProcessUse, Time};

use super::{Processes, Source, forest};
use crate::snapshot::labels::label;
use table::{Cells, Table};

/// How the list is written.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Use colour.
    pub colour: bool,
    /// Language of labels.
    pub language: Language,
    /// Columns that a line may have.
    pub width: usize,
    /// Show who started whom.
    pub tree: bool,
    /// Everything about each process, under its line.
    pub verbose: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            colour: false,
            language: Language::English,
            width: 120,
            tree: false,
            verbose: false,
        }
    }
}

/// Longest line of a block, in characters.
const MAX_LINE: usize = 2_000;

/// Writes the list, or the tree.
///
/// # Errors
/// When the writer fails.
pub fn write_text(processes: &Processes<'_>, options: &TextOptions, out: &mut dyn Write) -> io::Result<()> {
    let language = options.language;
    let mut page = Page {
        out: &mut io::BufWriter::with_capacity(64 << 10, out),
        options,
    };
    page.line(&head(processes, language))?;
    if !processes.rows.is_empty() {
        rows(&mut page, processes)?;
    }
    let more = processes.total.saturating_sub(processes.rows.len());
    if more > 0 {
        let note = format!("  {more} {}", label("more; `--limit` shows them", language));
        page.faint_line(&note)?;
    }
    for note in processes.not_seen {
        let note = escape::start(note, MAX_LINE);
        page.faint_line(&format!("  {}: {note}", label("not seen", language)))?;
    }
    page.out.flush()
}

struct Page<'a> {
    out: &'a mut dyn Write,
    options: &'a TextOptions,
}

impl Page<'_> {
    fn paint(&self, text: &str, colour: &str) -> String {
        if self.options.colour && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{}", line.trim_end())
    }

    fn faint_line(&mut self, line: &str) -> io::Result<()> {
        let line = self.paint(line, "2");
        self.line(&line)
    }
}

/// How many there are, and who says so.
fn head(processes: &Processes<'_>, language: Language) -> String {
    let english = language == Language::English;
    let count = processes.total;
    let clause = match (english, processes.filtered) {
        (true, true) => " (filtered)",
        (false, true) => " (filtrado)",
        (_, false) => "",
    };
    let what = match (english, processes.idle, processes.source.is_live(), count) {
        (true, true, _, 0) => format!("No process{clause}"),
        (true, true, _, 1) => format!("1 process{clause}"),
        (true, true, ..) => format!("{count} processes{clause}"),
        (true, false, true, 0) => format!("No process uses the network{clause}"),
        (true, false, true, 1) => format!("1 process uses the network{clause}"),
        (true, false, true, _) => format!("{count} processes use the network{clause}"),
        (true, false, false, 0) => format!("No process used the network{clause}"),
        (true, false, false, _) => {
            let noun = if count == 1 { "process" } else { "processes" };
            format!("{count} {noun} used the network{clause}")
        }
        (false, true, _, 0) => format!("Ningún proceso{clause}"),
        (false, true, _, 1) => format!("1 proceso{clause}"),
        (false, true, ..) => format!("{count} procesos{clause}"),
        (false, false, true, 0) => format!("Ningún proceso usa la red{clause}"),
        (false, false, true, 1) => format!("1 proceso usa la red{clause}"),
        (false, false, true, _) => format!("{count} procesos usan la red{clause}"),
        (false, false, false, 0) => format!("Ningún proceso usó la red{clause}"),
        (false, false, false, 1) => format!("1 proceso usó la red{clause}"),
        (false, false, false, _) => format!("{count} procesos usaron la red{clause}"),
    };
    let who = match (english, &processes.source) {
        (true, Source::Watcher { pid }) => format!("says the watcher (pid {pid})"),
        (false, Source::Watcher { pid }) => format!("según el vigilante (pid {pid})"),
        (true, Source::Look) => "by one look".to_owned(),
        (false, Source::Look) => "en una sola mirada".to_owned(),
        (true, Source::Store(range)) => {
            let until = range.end.min(processes.now);
            format!(
                "says the store, from {} to {}",
                range.start.local(),
                until.local()
            )
        }
        (false, Source::Store(range)) => {
            let until = range.end.min(processes.now);
            format!("según el almacén, de {} a {}", range.start.local(), until.local())
        }
    };
    format!("{what}, {who}")
}

fn rows(page: &mut Page<'_>, processes: &Processes<'_>) -> io::Result<()> {
    let options = page.options;
    let language = options.language;
    let lines = match options.tree {
        true => forest::grow(processes.rows),
        false => Vec::new(),
    };
    let cells: Vec<Cells> = processes
        .rows
        .iter()
        .map(|row| Cells::of(row, processes, language))
        .collect();
    let table = Table::fit(&cells, options.width, language);
    page.line("")?;
    page.faint_line(&table.header(language))?;
    if !options.tree {
        for (row, cells) in processes.rows.iter().zip(&cells) {
            process(page, &table, cells, row, "")?;
        }
        return Ok(());
    }
    for line in &lines {
        match line.row {
            Some(place) => process(page, &table, &cells[place], &processes.rows[place], &line.lead)?,
            None => {
                let name = escape::start(&line.name, 40);
                let ancestor = format!("{}{}{name}", table.ancestor(line.key.pid), line.lead);
                page.faint_line(&ancestor)?;
            }
        }
    }
    Ok(())
}

fn process(
    page: &mut Page<'_>,
    table: &Table,
    cells: &Cells,
    row: &ProcessUse,
    lead: &str,
) -> io::Result<()> {
    let language = page.options.language;
    let mut program = row.process.label().to_owned();
    if let Some(script) = &row.process.script {
        program.push_str(&format!(" {script}"));
    }
    let room = table.process.saturating_sub(lead.chars().count()).max(16);
    let program = escape::end(&program, room);
    let remarks = remarks(&row.process, language);
    let length: usize = remarks.iter().map(|(text, _)| text.chars().count() + 2).sum();
    let before = table.row(cells);
    let mut line = format!("{before}{}{program}", page.paint(lead, "2"));
    if program.chars().count() + length > room {
        // Under it, so that neither is cut.
        page.line(&line)?;
        line = " ".repeat(before.chars().count() + lead.chars().count());
    }
    for (text, suspicious) in remarks {
        let text = page.paint(&text, if suspicious { "1;33" } else { "2" });
        line.push_str(&format!("  {text}"));
    }
    page.line(&line)?;
    if page.options.verbose {
        details(page, row)?;
    }
    Ok(())
}

/// What is unusual about it, and how it ended; true for what an intruder's would look like.
fn remarks(process: &Process, language: Language) -> Vec<(String, bool)> {
    let mut remarks: Vec<_> = words::flags(process, language)
        .into_iter()
        // A script that is named needs no word.
        .filter(|(words, _)| *words != "script" || process.script.is_none())
        .map(|(words, suspicious)| (words.to_owned(), suspicious))
        .collect();
    let end = process.exit_code.and_then(|code| words::end(code, language));
    remarks.extend(end.map(|end| (end, false)));
    remarks
}

/// Everything else about a process, a line each.
fn details(page: &mut Page<'_>, row: &ProcessUse) -> io::Result<()> {
    let language = page.options.language;
    let process = &row.process;
    let text = |text: &Option<atalaya_model::Text>| text.as_deref().unwrap_or_default().to_owned();
    let listeners = row.usage.listeners.iter();
    let listeners: Vec<_> = listeners
        .map(|(transport, local)| format!("{} {local}", transport.name()))
        .collect();
    let ancestors: Vec<_> = process
        .ancestors
        .iter()
        .map(|ancestor| format!("{} ({})", ancestor.name, ancestor.key.pid))
        .collect();
    let container = process.container.as_ref();
    let package = process.package.as_ref().map(|package| {
        let version = package.version.as_deref().unwrap_or_default();
        format!("{} {version} ({})", package.name, package.digest.name())
    });
    let failed = match row.usage.failed {
        0 => String::new(),
        failed => failed.to_string(),
    };
    let script_hash = process.script_sha256.as_ref();
    let script_hash = script_hash.map(|hash| format!(" (SHA-256 {hash})"));
    for (name, value) in [
        ("Command line", text(&process.command_line)),
        (
            "Script",
            format!("{}{}", text(&process.script), script_hash.unwrap_or_default()),
        ),
        ("SHA-256", text(&process.sha256)),
        ("LD_PRELOAD", text(&process.preload)),
        ("Working directory", text(&process.working_directory)),
        ("Started", process.started.local()),
        ("Ended", process.ended.map(Time::local).unwrap_or_default()),
        (
            "Exit code",
            process.exit_code.map(|code| code.to_string()).unwrap_or_default(),
        ),
        ("Listens on", listeners.join(", ")),
        ("Failed attempts", failed),
        (
            "Container",
            container
                .map(|container| format!("{} {}", container.runtime, container.id))
                .unwrap_or_default(),
        ),
        ("Unit", text(&process.unit)),
        ("Package", package.unwrap_or_default()),
        ("Ancestors", ancestors.join(" < ")),
    ] {
        if !value.trim().is_empty() {
            let name = page.paint(&format!("{}:", label(name, language)), "2");
            page.line(&format!("         {name} {}", escape::start(&value, MAX_LINE)))?;
        }
    }
    Ok(())
}
