//! One JSON object a process, a line each: its record, with what it does under `atalaya.usage`.

use std::io::{self, Write};

use atalaya_format::ecs::{self, Context};

use super::Processes;

/// Writes the processes.
///
/// # Errors
/// When the writer fails.
pub fn write_json(processes: &Processes<'_>, context: &Context, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for row in processes.rows {
        line.clear();
        ecs::process_use(&mut line, row, processes.source.name(), context);
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    out.flush()
}
