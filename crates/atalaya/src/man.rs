//! The manual page: the program, then every verb with its flags and examples, on one page.

use std::io::{self, Write};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;

/// Writes the page.
///
/// # Errors
/// When the writer fails.
pub fn write(out: &mut dyn Write) -> io::Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    Man::new(command.clone()).render(out)?;
    let mut waiting: Vec<(String, &Command)> = below("atalaya", &command);
    while let Some((name, verb)) = waiting.pop() {
        section(&name, verb, out)?;
        waiting.extend(below(&name, verb));
    }
    Ok(())
}

/// The verbs below a command, last first.
fn below<'a>(name: &str, command: &'a Command) -> Vec<(String, &'a Command)> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let mut verbs: Vec<_> = verbs
        .map(|verb| (format!("{name} {}", verb.get_name()), verb))
        .collect();
    verbs.reverse();
    verbs
}

/// One verb: what are sections on a page of its own are sections within this one.
fn section(name: &str, verb: &Command, out: &mut dyn Write) -> io::Result<()> {
    let man = Man::new(verb.clone());
    let mut text = Vec::new();
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if verb.get_arguments().next().is_some() {
        man.render_options_section(&mut text)?;
    }
    if verb.get_after_help().is_some() {
        man.render_extra_section(&mut text)?;
    }
    let text = String::from_utf8_lossy(&text).replace(".SH ", ".SS ");
    writeln!(out, ".SH \"{}\"", name.to_uppercase())?;
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_section_in_order() {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words}:\n{text}"));
        assert!(place(".SH \"ATALAYA WATCH\"") < place(".SH \"ATALAYA ALERTS\""));
        assert!(place(".SH \"ATALAYA ALERTS\"") < place(".SH \"ATALAYA ALERTS LIST\""));
        assert!(place(".SH \"ATALAYA ALERTS LIST\"") < place(".SH \"ATALAYA CONFIG\""));
    }
}
