//! From a finding and the catalogue's words to sentences.
//!
//! The sentences are not escaped: JSON has escapes of its own, and every text writer sends the whole line through
//! `escape`.

use std::borrow::Cow;

use atalaya_model::{Finding, Severity, Value};

use crate::catalogue::{self, Language, term};
use crate::{escape, numbers};

/// Which of a message's sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A few words.
    Title,
    /// What happened, who did it, and why it is odd.
    Sentence,
    /// What to do.
    Recommendation,
    /// What would silence it.
    Silence,
}

/// Longest value in a sentence, in characters; the middle of a longer one is left out.
const MAX_VALUE: usize = 300;
/// Elements of a list that are named.
const MAX_LISTED: usize = 3;

/// One sentence about a finding. A rule without words gets its name and its values; a placeholder without a value
/// stays visible as `?name?`.
pub fn render(finding: &Finding, language: Language, part: Part) -> String {
    let Some(message) = catalogue::message_for(finding, language) else {
        return generic(finding, language, part);
    };
    fill(
        match part {
            Part::Title => message.title,
            Part::Sentence => message.sentence,
            Part::Recommendation => message.recommendation,
            Part::Silence => message.silence,
        },
        finding,
        language,
    )
}

/// The severity's name in this language.
pub fn severity(severity: Severity, language: Language) -> &'static str {
    term(severity.name(), language)
}

/// A value for people: sizes and spans with units, times in the host's zone, lists as `a, b and 3 more`.
pub fn value(value: &Value, language: Language) -> String {
    match value {
        Value::Bool(truth) => match (truth, language) {
            (true, Language::English) => "yes",
            (true, Language::Spanish) => "sí",
            (false, _) => "no",
        }
        .to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => {
            let shown = format!("{number:.2}");
            match shown.contains('.') {
                true => shown.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => shown,
            }
        }
        Value::Bytes(bytes) => numbers::bytes(*bytes),
        Value::Text(text) => term(&escape::middle(text, MAX_VALUE), language).to_owned(),
        Value::Address(ip) => ip.to_string(),
        Value::Network(network) => network.to_string(),
        Value::Time(time) => time.local(),
        Value::Span(span) => span.to_string(),
        Value::List(values) => list(values, language),
    }
}

fn list(values: &[Value], language: Language) -> String {
    let (and, more, none) = match language {
        Language::English => ("and", "more", "none"),
        Language::Spanish => ("y", "más", "ninguno"),
    };
    let shown: Vec<_> = values
        .iter()
        .take(MAX_LISTED)
        .map(|item| value(item, language))
        .collect();
    let rest = values.len().saturating_sub(MAX_LISTED);
    match shown.as_slice() {
        [] => none.to_owned(),
        [only] => only.clone(),
        [first @ .., last] if rest == 0 => format!("{} {and} {last}", first.join(", ")),
        all => format!("{} {and} {rest} {more}", all.join(", ")),
    }
}

/// Replaces `{name}` by the value of this name.
fn fill(words: &str, finding: &Finding, language: Language) -> String {
    let mut filled = String::with_capacity(words.len() + 64);
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, next)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            break;
        };
        filled.push_str(&placeholder(name, finding, language));
        rest = next;
    }
    filled.push_str(rest);
    filled
}

fn placeholder(name: &str, finding: &Finding, language: Language) -> String {
    if name == "who" {
        let who = catalogue::who(finding, language);
        return escape::middle(&who, MAX_VALUE).into_owned();
    }
    match (finding.value(name), &finding.process) {
        (Some(found), _) => match (name, finding.value("name")) {
            // What the process asked for says more than where it was sent.
            ("destination" | "address" | "peer", Some(asked_for)) => {
                format!("{} ({})", value(asked_for, language), value(found, language))
            }
            _ => value(found, language),
        },
        (None, Some(process)) if name == "pid" => process.key.pid.to_string(),
        _ => format!("?{name}?"),
    }
}

fn generic(finding: &Finding, language: Language, part: Part) -> String {
    match part {
        Part::Title => finding.rule.to_string(),
        Part::Sentence => {
            let values: Vec<_> = finding
                .values
                .iter()
                .map(|(name, found)| format!("{name} = {}", value(found, language)))
                .collect();
            let who: Cow<'_, str> = match &finding.process {
                Some(_) => Cow::Owned(placeholder("who", finding, language)),
                None => Cow::Borrowed(&finding.key),
            };
            format!("{}: {who} ({}).", finding.rule, values.join(", "))
        }
        Part::Recommendation | Part::Silence => String::new(),
    }
}
