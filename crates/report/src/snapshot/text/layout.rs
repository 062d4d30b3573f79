//! Where things stand on the page.

use std::io::{self, Write};

use atalaya_format::catalogue::Language;
use atalaya_format::escape;
use atalaya_format::text::{Style, severity};
use atalaya_model::Severity;

use super::TextOptions;
use crate::snapshot::labels::label;

/// Margin of everything below a heading.
const MARGIN: &str = "  ";
/// Column in which facts begin.
const FACTS: usize = 22;
/// Widest bar of a ranking.
const BAR: usize = 24;

/// A page of lines on its way out. What comes from outside is escaped here.
pub(super) struct Page<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    pub(super) language: Language,
    pub(super) width: usize,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut dyn Write, options: &TextOptions) -> Self {
        Self {
            out,
            colour: options.colour,
            language: options.language,
            width: options.width.max(60),
        }
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn faint(&self, text: &str) -> String {
        self.paint(text, "2")
    }

    /// A whole line, without spaces at its end.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{}", line.trim_end())
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        self.line("")
    }

    /// The first line: what this is, and of whom.
    pub(super) fn title(&mut self, title: &str, host: &str) -> io::Result<()> {
        let title = self.paint(title, "1");
        let line = format!("{title} · {}", escape::start(host, 64));
        self.line(&line)?;
        let rule = self.faint(&"─".repeat(self.width));
        self.line(&rule)
    }

    pub(super) fn heading(&mut self, name: &'static str) -> io::Result<()> {
        self.blank()?;
        let heading = self.paint(label(name, self.language), "1");
        self.line(&heading)
    }

    /// A label, a value, and what belongs to it in grey.
    pub(super) fn fact(&mut self, name: &'static str, value: &str, beside: &str) -> io::Result<()> {
        let name = format!("{:width$}", label(name, self.language), width = FACTS);
        let room = self.width.saturating_sub(MARGIN.len() + FACTS);
        let mut head = format!("{MARGIN}{}", self.faint(&name));
        if !beside.is_empty() {
            return self.line(&format!("{head}{value:<5} {}", self.faint(beside)));
        }
        let value = if value.is_empty() { "-" } else { value };
        for line in wrap(&escape::text(value), room) {
            self.line(&format!("{head}{line}"))?;
            head = format!("{MARGIN}{:FACTS$}", "");
        }
        Ok(())
    }

    /// All is well.
    pub(super) fn calm(&mut self, sentence: &'static str) -> io::Result<()> {
        let line = format!("{MARGIN}{}", label(sentence, self.language));
        self.line(&line)
    }

    /// `HIGH      Connection to a suspicious port                 suspicious_port`
    pub(super) fn alert_head(&mut self, of: Severity, title: &str, rule: &str) -> io::Result<()> {
        let style = Style {
            colour: self.colour,
            language: self.language,
        };
        let plain = severity(
            of,
            Style {
                colour: false,
                ..style
            },
        );
        let head = format!("[{}]", plain.trim_end());
        let painted = severity(of, style).replace(&plain, &head);
        let rule = escape::start(rule, 40);
        let beside = MARGIN.len() + head.chars().count() + 1 + rule.chars().count() + 2;
        let title = escape::start(title, self.width.saturating_sub(beside));
        let used = beside - 2 + title.chars().count();
        let gap = " ".repeat(self.width.saturating_sub(used).max(2));
        let line = format!(
            "{MARGIN}{painted} {}{gap}{}",
            self.paint(&title, "1"),
            self.faint(&rule)
        );
        self.line(&line)
    }

    /// Text under an alert, wrapped, with a label in front of it.
    pub(super) fn paragraph(&mut self, name: &str, text: &str) -> io::Result<()> {
        let text = escape::start(text, 2_000);
        let label = if name.is_empty() {
            String::new()
        } else {
            format!("{name}: ")
        };
        let room = self.width.saturating_sub(2 * MARGIN.len());
        let first = label.chars().count();
        // The label takes part in the wrapping as if it were a word.
        let lines = wrap(&format!("{}{text}", "\u{0}".repeat(first)), room);
        for (index, line) in lines.iter().enumerate() {
            let text = line.trim_start_matches('\u{0}');
            let label = if index == 0 {
                self.faint(&label)
            } else {
                String::new()
            };
            self.line(&format!("{MARGIN}{MARGIN}{label}{text}"))?;
        }
        Ok(())
    }

    /// One example under an alert.
    pub(super) fn sample(&mut self, ends: &str, state: &str, process: &str) -> io::Result<()> {
        let line = format!("{MARGIN}{MARGIN}{MARGIN}{ends} ({state})  {process}");
        let line = escape::start(&line, self.width.max(60) + 60);
        self.line(&line)
    }

    /// A remark about what is missing.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        let room = self.width.saturating_sub(2 * MARGIN.len());
        for (index, line) in wrap(&escape::start(text, 1_000), room).iter().enumerate() {
            let mark = if index == 0 { "- " } else { "  " };
            self.line(&format!("{MARGIN}{mark}{line}"))?;
        }
        Ok(())
    }

    /// A command on a line of its own, to be copied whole.
    pub(super) fn remedy(&mut self, command: &str) -> io::Result<()> {
        let line = format!("{MARGIN}{MARGIN}→ {}", escape::text(command));
        self.line(&line)
    }

    /// Names with numbers and bars, the most first.
    pub(super) fn ranking(
        &mut self,
        name: &'static str,
        rows: impl Iterator<Item = (String, u64, String)>,
        most: u64,
    ) -> io::Result<()> {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let heading = format!("{MARGIN}{}", self.faint(label(name, self.language)));
        self.line(&heading)?;
        for (name, count, beside) in rows {
            let bar = bar(count, most);
            let line = format!(
                "{MARGIN}{MARGIN}{name:<30} {count:>7} {bar} {}",
                self.faint(&beside)
            );
            self.line(&line)?;
        }
        Ok(())
    }

    pub(super) fn columns(&mut self, heads: &str) -> io::Result<()> {
        let line = format!("{MARGIN}{}", self.faint(heads.trim_end()));
        self.line(&line)
    }
}

/// A bar of eighths of a column.
fn bar(count: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if most == 0 {
        return String::new();
    }
    let eighths = (u128::from(count) * (BAR as u128) * 8 / u128::from(most)).max(1) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Breaks at spaces; a word that is too long stays whole, so that it can be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a/very/long/path b", 5), ["a/very/long/path", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn bars_never_vanish_and_never_overflow() {
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(5, 5).chars().count(), BAR);
        assert_eq!(bar(u64::MAX, u64::MAX).chars().count(), BAR);
        assert_eq!(bar(0, 0), "");
    }
}
