//! `atalaya report`: how a host did.

use std::io::Write;
use std::ops::Range;

use atalaya_format::Language;
use atalaya_host::clock;
use atalaya_model::{Span, Time, Value};
use atalaya_report::document::Document;
use atalaya_report::document::report::{Question, report};
use atalaya_store::StoreError;

use super::{Opened, file, hand_out, open, range};
use crate::cli::{DocumentFormat, ReportArgs};
use crate::config::Config;
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::setup::{self, VERSION};
use crate::terminal::Terminal;

/// What a report is about when nobody says.
const USUAL: Span = Span::from_seconds(86_400);

/// Runs the verb.
///
/// # Errors
/// A wrong time, a store that cannot be read, a file that cannot be written.
pub fn run(
    args: &ReportArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let file = file(&args.times)?;
    let format = args.output.or_else(|| file.and_then(DocumentFormat::of));
    if format.is_none() && file.is_none() && terminal.stdout {
        return Err(Failure::Usage(
            "an HTML page is not for a terminal: name a file (`--to report.html`), or `--output text`"
                .to_owned(),
        ));
    }
    let now = clock::now();
    let range = range(&args.times, Some(USUAL), now)?;
    let language = setup::language(args.database.common.lang);
    let opened = open(args.database.store.as_deref(), loaded)?;
    let limit = args.limit as usize;
    let document = make(&opened, range, now, (limit, language), &loaded.config).map_err(super::failed)?;
    let format = format.unwrap_or(DocumentFormat::Html);
    hand_out(&document, format, language, file, terminal, out)?;
    Ok(Exit::Clean)
}

/// Asks the store.
pub(super) fn make(
    opened: &Opened,
    range: Range<Time>,
    now: Time,
    (limit, language): (usize, Language),
    config: &Config,
) -> Result<Document, StoreError> {
    let mut method = vec![("Database", Value::from(opened.path.display().to_string()))];
    method.extend(configured(config));
    let question = Question {
        range,
        now,
        limit,
        language,
        source: opened.name.clone(),
        version: VERSION.into(),
        method,
    };
    report(&opened.reader, &question)
}

/// What of the configuration bears on what a report can say.
fn configured(config: &Config) -> Vec<(&'static str, Value)> {
    let list = |texts: Vec<String>| match texts.is_empty() {
        true => Value::from("none"),
        false => Value::from(texts.join(", ")),
    };
    // Each detector's table has `enabled`.
    let tables = serde_json::to_value(&config.detect).unwrap_or_default();
    let off = atalaya_detect::registry::ENTRIES
        .iter()
        .filter(|entry| tables[entry.id]["enabled"] == false)
        .map(|entry| entry.id.to_owned());
    let internal = config.networks.internal.iter().map(ToString::to_string);
    vec![
        ("Detectors that are off", list(off.collect())),
        ("Exceptions", Value::Integer(config.allow.len() as i64)),
        ("Networks of one's own", list(internal.collect())),
        (
            "Packets are read",
            Value::from(if config.packets.enabled { "yes" } else { "no" }),
        ),
        ("Kept for", Value::Span(config.store.keep.0)),
    ]
}
