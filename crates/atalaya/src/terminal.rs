//! The terminal, if there is one: its width, whether it shows colour, and the one status line.

use std::io::{self, IsTerminal as _, Write as _};

use crate::exit::Failure;

/// What standard output and error are connected to.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is a terminal.
    pub stderr: bool,
    /// Colour is wanted on standard output.
    pub colour: bool,
    /// Columns.
    pub width: usize,
}

impl Terminal {
    /// Looks at the terminal and the environment: `NO_COLOR`, `TERM`, `COLUMNS`.
    pub fn detect() -> Self {
        let stdout = io::stdout().is_terminal();
        let stderr = io::stderr().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let width = columns.or_else(atalaya_host::usage::terminal_width);
        Self {
            stdout,
            stderr,
            colour: stdout && !dumb && !set("NO_COLOR"),
            width: width
                .filter(|width| (20..=1_000).contains(width))
                .unwrap_or(if stdout { 80 } else { 120 }),
        }
    }

    /// Replaces the status line on standard error; an empty text takes it away. Without a terminal: nothing.
    pub fn status(&self, text: &str) {
        if self.stderr {
            let shown: String = text.chars().take(self.width.saturating_sub(1)).collect();
            let mut stderr = io::stderr().lock();
            // A status line that cannot be shown is no loss.
            write!(stderr, "\r\x1b[2K{shown}")
                .and_then(|()| stderr.flush())
                .unwrap_or_default();
        }
    }
}

/// A reader that closed the pipe has had enough: that is no failure.
///
/// # Errors
/// Any other failure to write.
pub fn ignore_closed_pipe(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}
