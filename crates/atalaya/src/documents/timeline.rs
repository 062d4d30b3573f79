//! `atalaya timeline`: everything known of one thing, in order.

use std::io::Write;

use atalaya_host::clock;
use atalaya_report::document::timeline::{Question, timeline};
use atalaya_store::Subject;

use super::{failed, file, hand_out, open, range};
use crate::cli::{DocumentFormat, TimelineArgs};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::setup::{self, VERSION};
use crate::terminal::Terminal;

/// Runs the verb.
///
/// # Errors
/// A wrong time or subject, a store that cannot be read, a file that cannot be written.
pub fn run(
    args: &TimelineArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let subject = Subject::parse(&args.subject).ok_or_else(|| {
        Failure::Usage("say what the timeline is about: a process id, a path, an address, a name".to_owned())
    })?;
    let file = file(&args.times)?;
    let now = clock::now();
    let range = range(&args.times, None, now)?;
    let language = setup::language(args.database.common.lang);
    let opened = open(args.database.store.as_deref(), loaded)?;
    let deadline = clock::Deadline::after(args.patience);
    let question = Question {
        subject,
        word: args.subject.as_str().into(),
        range,
        now,
        limit: args.limit as usize,
        language,
        source: opened.name.clone(),
        version: VERSION.into(),
        is_over: &|| deadline.left().is_none(),
    };
    let document = timeline(&opened.reader, &question).map_err(failed)?;
    let format = args.output.or_else(|| file.and_then(DocumentFormat::of));
    let format = format.unwrap_or(DocumentFormat::Text);
    hand_out(&document, format, language, file, terminal, out)?;
    Ok(Exit::Clean)
}
