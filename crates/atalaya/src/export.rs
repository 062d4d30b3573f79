//! `atalaya export`: rows of any table and range, in the order of time, with little memory.

mod output;
#[cfg(feature = "parquet")]
mod parquet;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use atalaya_format::{ecs, zeek};
use atalaya_host::clock;
use atalaya_model::filter::Expression;
use atalaya_model::{Fact, Message, Span, Time};
use atalaya_store::{Reader, View, filtered_as, views};

use crate::cli::{ExportArgs, ExportFormat};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::terminal::ignore_closed_pipe;
use output::Output;

/// Text that is gathered before it is written.
const GATHER: usize = 256 << 10;

/// Runs the verb.
///
/// # Errors
/// No such table, a filter or format that it does not have; a database that cannot be read.
pub fn run(args: &ExportArgs, loaded: &Loaded, out: &mut dyn Write) -> Result<Exit, Failure> {
    let view = find(&args.table)?;
    let filter = args.filter.as_deref().unwrap_or("");
    let filter = atalaya_model::filter::parse(filter).map_err(|error| Failure::Usage(error.to_string()))?;
    if filter != Expression::All && filtered_as(view.name).is_none() {
        return Err(Failure::Usage(format!(
            "--filter has nothing to look at in {}; it chooses connections, processes, listeners, alerts, gaps and what \
             was said in connections",
            view.name
        )));
    }
    if args.format == ExportFormat::Zeek && !is_zeeks(view.name) {
        return Err(Failure::Usage(format!(
            "Zeek has no log like {}; csv and jsonl write any table",
            view.name
        )));
    }
    let path = crate::keeper::path(args.database.store.as_deref(), loaded, &Places::of_this_user());
    if args
        .to
        .as_deref()
        .is_some_and(|to| crate::replay::results::is_same(to, &path))
    {
        return Err(Failure::Usage("--to names the database".to_owned()));
    }
    let reader = Reader::open(&path).map_err(crate::alerts::failed)?;
    let range = range(args);
    let (to, place): (Box<dyn Write + Send + '_>, String);
    let mut plain;
    match &args.to {
        Some(file) => {
            place = file.display().to_string();
            let made = File::create(file);
            let made = made.map_err(|error| Failure::Failed(format!("cannot write {place}: {error}")))?;
            to = Box::new(BufWriter::with_capacity(GATHER, made));
            plain = Some(to);
        }
        None => {
            place = String::new();
            plain = None;
        }
    }
    let written = match &mut plain {
        Some(to) => write(args.format, &reader, &view, range, &filter, to)?,
        None => write(args.format, &reader, &view, range, &filter, &mut *out)?,
    };
    match written {
        Err(error) if !place.is_empty() => Err(Failure::Failed(format!("cannot write {place}: {error}"))),
        written => ignore_closed_pipe(written).map(|()| Exit::Clean),
    }
}

/// Failures of the database are failures of the run; those of the output are told apart, since a reader may have had
/// enough.
fn write(
    format: ExportFormat,
    reader: &Reader,
    view: &View,
    range: Range<Time>,
    filter: &Expression,
    out: &mut dyn Write,
) -> Result<io::Result<()>, Failure> {
    if format == ExportFormat::Zeek {
        return logs(reader, view.name, range, filter, out);
    }
    let mut output = match Output::new(format, view, out) {
        Ok(output) => output,
        Err(error) => return Ok(Err(error)),
    };
    let mut written = Ok(());
    reader
        .export(view, range, filter, &mut |cells| {
            written = output.row(cells);
            written.is_ok()
        })
        .map_err(crate::alerts::failed)?;
    Ok(written.and_then(|()| output.finish()))
}

fn find(name: &str) -> Result<View, Failure> {
    let all = views();
    let names: Vec<_> = all.iter().map(|view| view.name).collect();
    let unknown = || {
        Failure::Usage(format!(
            "there is no table `{name}`; known are {}",
            names.join(", ")
        ))
    };
    all.iter()
        .find(|view| view.name == name)
        .cloned()
        .ok_or_else(unknown)
}

fn range(args: &ExportArgs) -> Range<Time> {
    let now = clock::now();
    let from = match (args.last, args.since) {
        (Some(last), _) => now.after(Span(last.0.saturating_neg())),
        (None, Some(since)) => since.at(now),
        (None, None) => Time(i64::MIN),
    };
    from..args.until.map_or(Time(i64::MAX), |until| until.at(now))
}

fn is_zeeks(view: &str) -> bool {
    matches!(
        view,
        "connections" | "dns" | "tls" | "http" | "protocols" | "gaps"
    )
}

/// Zeek's lines come from the events of the past. A conversation that goes on has none yet.
fn logs(
    reader: &Reader,
    view: &str,
    range: Range<Time>,
    filter: &Expression,
    out: &mut dyn Write,
) -> Result<io::Result<()>, Failure> {
    let mut room = String::new();
    for event in reader.history(range) {
        let event = event.map_err(crate::alerts::failed)?;
        let of = match &event.fact {
            Fact::ConnectionClosed(_) => "connections",
            Fact::Gap(_) => "gaps",
            Fact::Protocol(protocol) => match &protocol.message {
                Message::Dns(_) => "dns",
                Message::Tls(_) => "tls",
                Message::Http(_) => "http",
                _ => "protocols",
            },
            _ => continue,
        };
        if of != view || ecs::judged(&event).is_some_and(|record| !filter.matches(&record)) {
            continue;
        }
        let mut written = Ok(());
        zeek::lines(&mut room, &event, |_, line| {
            if written.is_ok() {
                written = writeln!(out, "{line}");
            }
        });
        if written.is_err() {
            return Ok(written);
        }
    }
    Ok(out.flush())
}
