//! `atalaya verify`: what a monitor wrote down, or the store keeps, read again with suspicion.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

use atalaya_format::escape;
use atalaya_host::clock;
use atalaya_model::{Severity, Text, Time};
use atalaya_report::document::Said;
use atalaya_report::verify::{
    InputError, Network, Options, Processes, Sources, SuspiciousPaths, read_network, read_processes,
    stored_network, stored_processes,
};
use atalaya_store::{Reader, StoreError};
use ipnet::IpNet;

use super::{failed, file, hand_out, range};
use crate::cli::{DocumentFormat, VerifyArgs, VerifyVerb, VerifyWhat};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::setup::{self, VERSION};
use crate::terminal::Terminal;

/// Runs the verb.
///
/// # Errors
/// When nothing of what was named can be read.
pub fn run(
    args: &VerifyArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let (what, document, unread) = match &args.verb {
        VerifyVerb::Processes(what) => {
            let mut processes = Processes::new(options(what, &[], loaded));
            let (sources, unread) = gather(what, loaded, &mut processes, read_processes, stored_processes)?;
            (what, processes.finish(sources), unread)
        }
        VerifyVerb::Network { what, internal } => {
            let mut network = Network::new(options(what, internal, loaded));
            let (sources, unread) = gather(what, loaded, &mut network, read_network, stored_network)?;
            (what, network.finish(sources), unread)
        }
    };
    let file = file(&what.times)?;
    let format = what.output.or_else(|| file.and_then(DocumentFormat::of));
    let format = format.unwrap_or(DocumentFormat::Text);
    hand_out(
        &document,
        format,
        setup::language(what.common.lang),
        file,
        terminal,
        out,
    )?;
    Ok(match unread {
        true => Exit::Failed,
        false => Exit::of_findings(document.worst, Severity::High),
    })
}

fn options(what: &VerifyWhat, internal: &[IpNet], loaded: &Loaded) -> Options {
    let folders = &loaded.config.detect.suspicious_path;
    let mut suspicious = SuspiciousPaths::new(&folders.paths, &folders.except);
    what.suspicious_path.iter().for_each(|path| suspicious.add(path));
    let own = loaded.config.networks.internal.iter();
    Options {
        rare: what.rare,
        internal: own.chain(internal).copied().collect(),
        suspicious,
        limit: if what.limit == 0 { usize::MAX } else { what.limit },
    }
}

/// Reads every file, or the store. True with the sources: a file could not be read.
fn gather<T>(
    what: &VerifyWhat,
    loaded: &Loaded,
    into: &mut T,
    mut read: impl FnMut(Box<dyn Read>, &str, &mut T) -> Result<Vec<Said>, InputError>,
    ask: impl FnOnce(&Reader, Range<Time>, &mut T) -> Result<(), StoreError>,
) -> Result<(Sources, bool), Failure> {
    let mut sources = Sources {
        made: clock::now(),
        version: VERSION.into(),
        ..Sources::default()
    };
    let range = range(&what.times, None, sources.made)?;
    if what.files.is_empty() {
        let path = crate::keeper::path(what.store.as_deref(), loaded, &Places::of_this_user());
        let reader = Reader::open(&path).map_err(|error| match error {
            error @ StoreError::Missing { .. } if what.store.is_none() => {
                Failure::Failed(format!("{}; or name CSV files", failed(error)))
            }
            error => failed(error),
        })?;
        ask(&reader, range, into).map_err(failed)?;
        sources.names.push(path.display().to_string().into());
        return Ok((sources, false));
    }
    if what.times.names_a_time() {
        return Err(Failure::Usage(
            "--last, --from and --to with a time are for the store; tables are read wholly".to_owned(),
        ));
    }
    let mut errors = Vec::new();
    for file in &what.files {
        let name: Text = match file.as_os_str() == "-" {
            true => "standard input".into(),
            false => file.display().to_string().into(),
        };
        let notes = open(file)
            .map_err(|error| format!("{name}: cannot open it: {error}"))
            .and_then(|input| read(input, &name, into).map_err(|error| error.to_string()));
        match notes {
            Ok(notes) => {
                sources.names.push(name);
                sources.left_out.extend(notes);
            }
            Err(error) => errors.push(shown(&error)),
        }
    }
    if sources.names.is_empty() {
        return Err(Failure::Failed(errors.join("\n")));
    }
    for error in &errors {
        tracing::error!("{error}");
    }
    Ok((sources, !errors.is_empty()))
}

/// A message with whatever the file's name has in it; its own lines stay lines.
fn shown(error: &str) -> String {
    let lines: Vec<_> = error.split('\n').map(escape::text).collect();
    lines.join("\n")
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(file)?;
    match file.metadata()?.is_dir() {
        true => Err(io::Error::other("it is a folder; name the files in it")),
        false => Ok(Box::new(file)),
    }
}
