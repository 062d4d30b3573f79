//! Everything about one alert, under its line.

use atalaya_model::Alert;

use super::{Style, connection, faint, flags, label, listener, process};
use crate::escape;
use crate::sentence::{self, Part, render};

/// Longest line of a block, in characters.
const MAX_LINE: usize = 2_000;

/// The numbers, the process, sample connections, what to do and what would silence it: indented lines, each with its
/// newline.
pub fn details(alert: &Alert, style: Style) -> String {
    let language = style.language;
    let finding = &alert.finding;
    let mut block = Block {
        text: String::new(),
        style,
    };
    block.line(
        "Rule",
        &format!("{} ({})", render(finding, language, Part::Title), finding.rule),
    );
    let techniques: Vec<_> = alert
        .techniques
        .iter()
        .map(|technique| format!("{} {} ({})", technique.id, technique.name, technique.tactic))
        .collect();
    block.line("Technique", &techniques.join(", "));
    let values: Vec<_> = finding
        .values
        .iter()
        .filter(|(name, _)| &**name != "variant")
        .map(|(name, value)| format!("{name} = {}", sentence::value(value, language)))
        .collect();
    block.line("Values", &values.join(", "));
    if let Some(it) = &finding.process {
        block.line("Process", &process(it, language));
        block.line("Command line", it.command_line.as_deref().unwrap_or_default());
        block.line(
            "Working directory",
            it.working_directory.as_deref().unwrap_or_default(),
        );
        block.line("SHA-256", it.sha256.as_deref().unwrap_or_default());
        let script = it.script.as_deref().unwrap_or_default();
        let script_hash = it.script_sha256.as_ref();
        let script_hash = script_hash.map(|hash| format!(" (SHA-256 {hash})"));
        block.line("Script", &format!("{script}{}", script_hash.unwrap_or_default()));
        block.line("LD_PRELOAD", it.preload.as_deref().unwrap_or_default());
        let flags: Vec<_> = flags(it, language).iter().map(|(words, _)| *words).collect();
        block.line("Flags", &flags.join(", "));
        let code = it.exit_code.map(|code| code.to_string());
        block.line("Exit code", &code.unwrap_or_default());
        let ancestors: Vec<_> = it
            .ancestors
            .iter()
            .map(|ancestor| format!("{} ({})", ancestor.name, ancestor.key.pid))
            .collect();
        block.line("Ancestors", &ancestors.join(" < "));
        let container = it.container.as_ref();
        let container = container.map(|container| format!("{} {}", container.runtime, container.id));
        block.line("Container", &container.unwrap_or_default());
        block.line("Unit", it.unit.as_deref().unwrap_or_default());
        let package = it.package.as_ref();
        let package = package.map(|package| {
            let version = package.version.as_deref().unwrap_or_default();
            format!("{} {version} ({})", package.name, package.digest.name())
        });
        block.line("Package", &package.unwrap_or_default());
    }
    if let Some(it) = &finding.listener {
        block.line("Listener", &listener(it));
    }
    if !finding.connections.is_empty() {
        block.label("Sample connections");
        block.text.push('\n');
        for example in &finding.connections {
            let who = example.process.as_ref();
            let who = who.map(|it| format!(" {}", process(it, language)));
            let line = format!(
                "    {}{}\n",
                connection(example, language),
                who.unwrap_or_default()
            );
            block.text.push_str(&line);
        }
    }
    block.line("What to do", &render(finding, language, Part::Recommendation));
    block.line("To silence it", &render(finding, language, Part::Silence));
    block.text
}

struct Block {
    text: String,
    style: Style,
}

impl Block {
    fn label(&mut self, text: &str) {
        let label = format!("{}:", label(text, self.style.language));
        self.text.push_str("  ");
        self.text.push_str(&faint(&label, self.style));
    }

    /// A label and a text, unless the text is empty.
    fn line(&mut self, label: &str, text: &str) {
        if !text.trim().is_empty() {
            self.label(label);
            self.text.push(' ');
            self.text.push_str(&escape::start(text, MAX_LINE));
            self.text.push('\n');
        }
    }
}
