//! The message catalogue: what each rule says, in the languages that we speak. The only place with sentences.
//!
//! A finding carries a rule and values; [`message_for`] chooses the words for it, and the renderer fills the
//! placeholders: `{name}` is the finding's value of that name, `{who}` is [`who`]. Text values pass through
//! [`term`] first, so that `established` or the remark about a port come out in the reader's language. A value that
//! is missing is shown as `?name?`.

mod english;
mod report;
mod spanish;
mod terms;
mod verify;

use atalaya_model::{Evidence, Finding, Value};

/// A language that the program speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "es")]
    Spanish,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// The two-letter code: `en`, `es`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// The language that `--lang` or `LANG` names (`es`, `es_ES.UTF-8`, `en-GB`, `C`), `None` for one we do not speak.
    pub fn from_code(code: &str) -> Option<Self> {
        let language = code
            .split(['_', '-', '.', '@'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        match language.as_str() {
            "en" | "english" | "c" | "posix" => Some(Self::English),
            "es" | "spanish" | "español" => Some(Self::Spanish),
            _ => None,
        }
    }
}

/// The words of one rule. Placeholders stand in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The rule, with `.variant` where the rule has several things to say.
    pub rule: &'static str,
    /// A few words, without placeholders and without a full stop.
    pub title: &'static str,
    /// What happened, who did it, and why it is odd, with its numbers.
    pub sentence: &'static str,
    /// What to do now.
    pub recommendation: &'static str,
    /// What would silence it, if it is wanted.
    pub silence: &'static str,
}

/// Every message of one language.
pub const fn messages(language: Language) -> &'static [Message] {
    match language {
        Language::English => english::MESSAGES,
        Language::Spanish => spanish::MESSAGES,
    }
}

/// The words of a rule (`deleted_executable`) or of a variant of it (`deleted_executable.memfd`).
pub fn message(rule: &str, language: Language) -> Option<&'static Message> {
    messages(language).iter().find(|message| message.rule == rule)
}

/// The words for a finding: those of the variant that its value `variant` names, else those of its rule.
pub fn message_for(finding: &Finding, language: Language) -> Option<&'static Message> {
    let variant = match finding.value("variant") {
        Some(Value::Text(variant)) => message(&format!("{}.{variant}", finding.rule), language),
        _ => None,
    };
    variant.or_else(|| message(&finding.rule, language))
}

/// Who did it: program, process id and user, or why nobody can be named. Not escaped: the edge that shows it escapes.
pub fn who(finding: &Finding, language: Language) -> String {
    if let Some(process) = &finding.process {
        let pid = process.key.pid;
        let (user_word, script_word) = match language {
            Language::English => ("user", "running"),
            Language::Spanish => ("usuario", "que ejecuta"),
        };
        let mut text = process.label().to_owned();
        if let Some(script) = &process.script {
            text.push_str(&format!(", {script_word} {script}"));
        }
        let mut example = finding.connections.iter();
        let is_hearsay = example.any(|it| it.attribution.evidence == Evidence::CaptureFile);
        let source = match language {
            _ if !is_hearsay => "",
            Language::English => ", as the capture says",
            Language::Spanish => ", según la captura",
        };
        return match (&process.user_name, process.user_id) {
            (Some(name), _) => format!("{text} (pid {pid}, {user_word} {name}{source})"),
            (None, Some(id)) => format!("{text} (pid {pid}, {user_word} {id}{source})"),
            (None, None) => format!("{text} (pid {pid}{source})"),
        };
    }
    // Packets without a socket name no process, but a host.
    if let Some(connection) = finding.connections.first()
        && connection.attribution.evidence == Evidence::NotRecorded
    {
        let host = connection.local().ip;
        return match language {
            Language::English => format!("Host {host}"),
            Language::Spanish => format!("El equipo {host}"),
        };
    }
    let user = match finding.value("user_id") {
        Some(Value::Integer(id)) => Some(id),
        _ => None,
    };
    match (language, user) {
        (Language::English, Some(id)) => format!("An unknown process of user {id}"),
        (Language::English, None) => "An unknown process".to_owned(),
        (Language::Spanish, Some(id)) => format!("Un proceso desconocido del usuario {id}"),
        (Language::Spanish, None) => "Un proceso desconocido".to_owned(),
    }
}

/// A word, label or fixed remark in this language; text that is not ours comes back as it is.
pub fn term(english: &str, language: Language) -> &str {
    match language {
        Language::English => english,
        Language::Spanish => spanish_terms()
            .find(|(key, _)| *key == english)
            .map_or(english, |(_, spanish)| spanish),
    }
}

/// Every term with its Spanish.
fn spanish_terms() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    terms::SPANISH
        .iter()
        .chain(verify::SPANISH)
        .chain(report::SPANISH)
}

#[cfg(test)]
mod tests;
