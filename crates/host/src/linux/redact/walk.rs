//! Goes through the arguments one by one and knows which program they are for.

use super::families::{self, CARRIERS, Family, Part, Place};
use super::{REDACTED, names, values};
use crate::linux::process::arguments::cut;
use crate::linux::process::script::base_name;

/// Most of one argument that is looked at, in bytes: more than a kept command line can show.
const MAX_ARGUMENT: usize = 16 << 10;
/// Deepest command line within a command line.
const MAX_DEPTH: u8 = 3;

/// What is known after the arguments so far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Base name of the first argument.
    first: Option<String>,
    family: Option<&'static Family>,
    /// The family's subcommand was seen.
    ready: bool,
    /// The next argument is a value.
    pending: Option<Part>,
    /// The next argument may be code for a shell.
    code: bool,
    depth: u8,
}

impl Walk {
    /// The next argument with its secrets replaced.
    pub(super) fn step(&mut self, argument: &str) -> String {
        let argument = cut(argument, MAX_ARGUMENT);
        let code = std::mem::take(&mut self.code);
        if let Some(part) = self.pending.take()
            && let Some(redacted) = self.value(part, argument)
        {
            return redacted;
        }
        self.recognise(argument);
        if let Some(redacted) = self.family_option(argument) {
            return redacted;
        }
        if let Some(redacted) = self.long_option(argument, code) {
            return redacted;
        }
        self.code = argument.starts_with('-') && argument.ends_with('c') && !argument.starts_with("--");
        if values::ends_in_authorization(argument) {
            self.pending = Some(Part::Scheme);
        }
        // Inside a command line within an argument the whole text was looked at already.
        let text = if self.depth == 0 {
            values::scan(argument)
        } else {
            argument.to_owned()
        };
        if self.depth < MAX_DEPTH && text.contains([' ', '\t', '\n']) {
            return command_line(&text, self.depth + 1);
        }
        text
    }

    /// Notes the program, where the argument names one.
    fn recognise(&mut self, argument: &str) {
        if argument.starts_with('-') && self.first.is_some() || argument.contains([' ', '=']) {
            return;
        }
        let name = base_name(argument.trim_start_matches('-'));
        if self.first.is_none() {
            self.first = Some(cut(name, 64).to_owned());
        }
        // What runs inside `sshpass` has options of its own; after `mysql` a `net` is the name of a database.
        let may_change = self.family.is_none_or(Family::runs_others);
        if let Some(family) = families::of(name).filter(|_| may_change) {
            self.family = Some(family);
            self.ready = family.after.is_none();
        }
        self.ready |= self.family.is_some_and(|family| family.after == Some(argument));
    }

    /// An option that holds a secret for this program only.
    fn family_option(&mut self, argument: &str) -> Option<String> {
        let family = self.family.filter(|_| self.ready)?;
        for option in family.options {
            if option.place != Place::Attached
                && (argument == option.name || ends_cluster(argument, option.name))
            {
                self.pending = Some(option.part);
                return Some(argument.to_owned());
            }
            let long = option.name.starts_with("--");
            if let Some(value) = argument.strip_prefix(option.name)
                && option.place != Place::Next
                && (!long || value.starts_with('='))
                && !value.is_empty()
            {
                let value = if long { &value[1..] } else { value };
                let equals = if long { "=" } else { "" };
                if self.is_port_mapping(value) {
                    return None;
                }
                return Some(format!(
                    "{}{equals}{}",
                    option.name,
                    secret_part(option.part, value)
                ));
            }
        }
        None
    }

    /// `docker run mysql -p3306:3306` publishes a port.
    fn is_port_mapping(&self, value: &str) -> bool {
        let carried = self
            .first
            .as_deref()
            .is_some_and(|first| CARRIERS.contains(&first));
        carried && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
    }

    /// `--password=x`, `--password x`, `-Ddb.password=x`, `PASSWORD=x`.
    fn long_option(&mut self, argument: &str, code: bool) -> Option<String> {
        let bare = argument.trim_start_matches('-');
        let dashes = argument.len() - bare.len();
        let end = bare
            .bytes()
            .position(|byte| !names::is_name_byte(byte))
            .unwrap_or(bare.len());
        let (name, rest) = bare.split_at(end);
        if name.len() < 2 || !names::is_secret(name) {
            return None;
        }
        if let Some(value) = rest.strip_prefix('=') {
            if values::is_harmless(value) || (code && value.contains([' ', ';', '&', '|'])) {
                return None;
            }
            return Some(format!("{}={REDACTED}", &argument[..dashes + end]));
        }
        let takes_next = matches!(dashes, 1 | 2) && rest.is_empty() && !names::is_switch(name);
        if takes_next && !self.family.is_some_and(|family| family.only_attached) {
            self.pending = Some(Part::Optional);
            return Some(argument.to_owned());
        }
        None
    }

    /// A value that was announced by the argument before; `None` where it turns out to be something else.
    fn value(&mut self, part: Part, value: &str) -> Option<String> {
        if part == Part::Optional && looks_like_option(value) {
            return None;
        }
        if part == Part::Scheme && values::is_scheme(value) {
            self.pending = Some(Part::Whole);
            return Some(value.to_owned());
        }
        Some(secret_part(part, value))
    }
}

fn looks_like_option(argument: &str) -> bool {
    let bytes = argument.as_bytes();
    argument.starts_with("--") || (bytes.len() == 2 && bytes[0] == b'-' && bytes[1].is_ascii_alphabetic())
}

/// `-su` for `-s -u`.
fn ends_cluster(argument: &str, option: &str) -> bool {
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    match (argument.strip_prefix('-'), option.strip_prefix('-')) {
        (Some(cluster), Some(letter)) if letter.len() == 1 && letters(letter) => {
            matches!(cluster.len(), 2..=5) && letters(cluster) && cluster.ends_with(letter) && option == "-u"
        }
        _ => false,
    }
}

fn secret_part(part: Part, value: &str) -> String {
    let redacted = |kept: usize| format!("{}{REDACTED}", &value[..kept]);
    let kept = match part {
        _ if values::is_harmless(value) => None,
        Part::Whole | Part::Optional | Part::Scheme => Some(0),
        Part::After(mark) => value
            .find(mark)
            .map(|at| at + mark.len_utf8())
            .filter(|kept| *kept < value.len()),
        Part::With(mark) => value.contains(mark).then_some(0),
        Part::AfterPass => value.starts_with("pass:").then_some("pass:".len()),
    };
    kept.map_or_else(|| value.to_owned(), redacted)
}

/// A command line within an argument (`sh -c '…'`): its words are arguments again, its separators stay.
fn command_line(text: &str, depth: u8) -> String {
    let fresh = || Walk {
        depth,
        ..Walk::default()
    };
    let mut walk = fresh();
    let mut line = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = word_length(rest);
        if word > 0 {
            line.push_str(&quoted(&rest[..word], |bare| walk.step(bare)));
            rest = &rest[word..];
        }
        let Some(separator) = rest.chars().next() else {
            break;
        };
        if !matches!(separator, ' ' | '\t') {
            walk = fresh();
        }
        line.push(separator);
        rest = &rest[separator.len_utf8()..];
    }
    line
}

/// How long the first word is; quotes hold it together.
fn word_length(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(b'\''), _) => {}
            (_, b'\\') => escaped = true,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b' ' | b'\t' | b'\n' | b';' | b'|' | b'&' | b'(' | b')') => return at,
            (None, _) => {}
        }
    }
    text.len()
}

/// Applies `change` to a word without the quotes around all of it.
fn quoted(word: &str, change: impl FnOnce(&str) -> String) -> String {
    for quote in ['"', '\''] {
        if let Some(bare) = word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return format!("{quote}{}{quote}", change(bare));
        }
    }
    change(word)
}
