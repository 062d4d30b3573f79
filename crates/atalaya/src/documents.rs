//! `atalaya report`, `timeline`, `diff` and `verify`: questions answered as documents.

pub mod diff;
pub mod report;
mod scheduled;
pub mod timeline;
pub mod verify;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use atalaya_format::Language;
use atalaya_host::identity::Identity;
use atalaya_model::{Span, Text, Time};
use atalaya_report::document::Document;
use atalaya_report::document::write::{write_csv, write_html, write_json, write_markdown, write_text};
use atalaya_store::{Reader, StoreError};

use crate::cli::{DocumentFormat, Place, TimesArgs};
use crate::config::load::Loaded;
use crate::exit::Failure;
use crate::paths::Places;
use crate::terminal::{Terminal, ignore_closed_pipe};

pub(crate) use scheduled::Schedule;

/// A database that is open, and what people call it.
struct Opened {
    reader: Reader,
    path: PathBuf,
    name: Text,
}

/// Opens the store: the flag's, else the configuration's.
fn open(flag: Option<&Path>, loaded: &Loaded) -> Result<Opened, Failure> {
    let path = crate::keeper::path(flag, loaded, &Places::of_this_user());
    open_at(path, flag.is_none()).map_err(failed)
}

/// Opens a database. It is this host's where its newest run was in this boot, or where it is the usual one.
fn open_at(path: PathBuf, usual: bool) -> Result<Opened, StoreError> {
    let reader = Reader::open(&path)?;
    let identity = Identity::of_host();
    let runs = reader.runs(1)?;
    let here = identity.boot.as_ref().zip(runs.first());
    let is_here = usual || here.is_some_and(|(boot, run)| *boot == run.boot_id);
    let name = match is_here {
        true => identity.name,
        false => path.display().to_string().into(),
    };
    Ok(Opened { reader, path, name })
}

fn failed(error: StoreError) -> Failure {
    Failure::Failed(format!("cannot use the store: {error}"))
}

/// The time that is asked for; `usual` is the last time where nothing is said, `None` for everything.
fn range(times: &TimesArgs, usual: Option<Span>, now: Time) -> Result<Range<Time>, Failure> {
    let mut ends = times.to.iter().filter_map(|place| match place {
        Place::Time(moment) => Some(*moment),
        Place::File(_) => None,
    });
    let end = times.until.or_else(|| ends.next());
    if ends.next().is_some() {
        return Err(Failure::Usage(
            "--to names the end of the time twice; a file named like a time is written `./24h`".to_owned(),
        ));
    }
    if times.last.is_some() && end.is_some() {
        return Err(Failure::Usage("--last ends now; use --from and --to".to_owned()));
    }
    // Everything is everything: a clock that was set back left rows in the future.
    let is_all = usual.is_none() && times.last.is_none() && times.from.is_none();
    // What is kept under a second of now, too.
    let latest = if is_all {
        Time(i64::MAX)
    } else {
        now.after(Span(1))
    };
    let until = end.map_or(latest, |end| end.at(now));
    let back = |span: Span| until.after(Span(span.0.saturating_neg()));
    let from = match (times.from, times.last.or(usual)) {
        (Some(from), _) => from.at(now),
        (None, Some(span)) => back(span),
        (None, None) => Time(0),
    };
    if from >= until {
        return Err(Failure::Usage(format!(
            "the time begins ({}) no earlier than it ends ({})",
            from.local(),
            until.local()
        )));
    }
    Ok(from..until)
}

/// The file to write, where one is named.
fn file(times: &TimesArgs) -> Result<Option<&Path>, Failure> {
    let mut files = times.to.iter().filter_map(|place| match place {
        Place::File(file) => Some(file.as_path()),
        Place::Time(_) => None,
    });
    let file = files.next();
    match files.next() {
        None => Ok(file),
        Some(other) => Err(Failure::Usage(format!(
            "--to names two files; {} is the second one",
            other.display()
        ))),
    }
}

/// Writes a document where it is wanted.
fn hand_out(
    document: &Document,
    format: DocumentFormat,
    language: Language,
    file: Option<&Path>,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(path) = file else {
        let width = if terminal.stdout { terminal.width } else { 0 };
        return ignore_closed_pipe(write(document, format, language, width, out));
    };
    save(document, format, language, path)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

fn write(
    document: &Document,
    format: DocumentFormat,
    language: Language,
    width: usize,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match format {
        DocumentFormat::Html => write_html(document, language, out),
        DocumentFormat::Markdown => write_markdown(document, language, out),
        DocumentFormat::Text => write_text(document, language, width, out),
        DocumentFormat::Json => write_json(document, language, out),
        DocumentFormat::Csv => write_csv(document, out),
    }
}

/// Writes a file that is whole or not there: what is in it, only its owner may read. A pipe or device is written as it is.
fn save(document: &Document, format: DocumentFormat, language: Language, path: &Path) -> std::io::Result<()> {
    if path.metadata().is_ok_and(|known| !known.is_file()) {
        let mut out = BufWriter::new(File::options().write(true).open(path)?);
        return write(document, format, language, 0, &mut out);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    // One that a killed run left behind; made anew, it follows no link.
    drop(std::fs::remove_file(&beside));
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|file| {
            let mut out = BufWriter::new(file);
            write(document, format, language, 0, &mut out)?;
            let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What is half written helps nobody.
        drop(std::fs::remove_file(&beside));
    }
    written
}
