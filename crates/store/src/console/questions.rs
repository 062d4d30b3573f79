//! Questions that come with the program, and how a saved question is written: a SQL file whose first comment says what it
//! answers, and which parameters it takes.
//!
//! ```sql
//! -- Addresses that got the most bytes.
//! -- :since = 24h, how far back
//! -- :port, of this port
//! SELECT …
//! ```

/// A saved question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedQuestion {
    /// Its name.
    pub name: String,
    /// What it answers, in a sentence; empty where its file does not say.
    pub about: String,
    /// The parameters that its comment names.
    pub parameters: Vec<Parameter>,
    /// The whole text.
    pub sql: String,
}

/// A parameter of a saved question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, without the `:`.
    pub name: String,
    /// Its value where none is given.
    pub default: Option<String>,
    /// What it means.
    pub about: String,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("questions/", $name, ".sql")))),*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in![
    "top-destinations",
    "top-processes",
    "rare-destinations",
    "one-address",
    "one-process",
    "domains",
    "uploads",
    "traffic-by-hour",
    "hours-of-week",
    "failed-attempts",
    "long-connections",
    "listeners",
    "new-executables",
    "odd-paths",
    "tls-clients",
    "alerts-by-rule",
    "open-alerts",
    "not-seen",
];

impl SavedQuestion {
    /// The questions that come with the program.
    pub fn built_in() -> impl Iterator<Item = Self> {
        BUILT_IN.iter().map(|(name, text)| Self::read(name, text))
    }

    /// Reads the text of a saved question. What its comment does not say is left empty.
    pub fn read(name: &str, text: &str) -> Self {
        let mut about = Vec::new();
        let mut parameters = Vec::new();
        // Some editors begin a file with a byte order mark.
        let lines = text.trim_start_matches('\u{feff}').lines();
        let lines = lines.skip_while(|line| line.trim().is_empty());
        let comments = lines.map_while(|line| line.trim().strip_prefix("--"));
        for comment in comments.map(str::trim) {
            match comment.strip_prefix(':') {
                Some(parameter) => parameters.push(Parameter::read(parameter)),
                None => about.push(comment),
            }
        }
        Self {
            name: name.to_owned(),
            about: about.join(" ").trim().to_owned(),
            parameters,
            sql: text.to_owned(),
        }
    }

    /// The values given, and after them the defaults of those that are not.
    pub fn values(&self, given: &[(String, String)]) -> Vec<(String, String)> {
        let is_given = |name: &str| given.iter().any(|(known, _)| known == name);
        let missing = self
            .parameters
            .iter()
            .filter(|parameter| !is_given(&parameter.name));
        let defaults =
            missing.filter_map(|parameter| Some((parameter.name.clone(), parameter.default.clone()?)));
        given.iter().cloned().chain(defaults).collect()
    }
}

impl Parameter {
    /// Reads `since = 24h, how far back`.
    fn read(text: &str) -> Self {
        let (declared, about) = text.split_once(',').unwrap_or((text, ""));
        let (name, default) = match declared.split_once('=') {
            Some((name, default)) => (name, Some(default.trim().to_owned())),
            None => (declared, None),
        };
        Self {
            name: name.trim().to_owned(),
            default,
            about: about.trim().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_says_what_it_is() {
        let text = "\n -- Who talks\n-- to this port.\n-- :port, the port\n-- :since = 24h, how far back\n-- :what=\n\nselect 1\n-- :no";
        let saved = SavedQuestion::read("talk", text);
        assert_eq!(saved.about, "Who talks to this port.");
        let names: Vec<_> = saved
            .parameters
            .iter()
            .map(|parameter| &*parameter.name)
            .collect();
        assert_eq!(names, ["port", "since", "what"]);
        let values = saved.values(&[("since".into(), "1h".into())]);
        assert_eq!(
            values,
            [("since".into(), "1h".into()), ("what".into(), String::new())]
        );
        assert_eq!(SavedQuestion::read("x", "select 1").about, "");
        let marked = SavedQuestion::read("x", "\u{feff}-- Marked.\r\n-- :n = 1\r\nselect :n");
        assert_eq!((&*marked.about, marked.parameters.len()), ("Marked.", 1));
    }
}
