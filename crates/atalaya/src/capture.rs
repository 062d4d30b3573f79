//! `atalaya capture`: packets into a file, with the process of each; or from one file into another.

mod live;
mod output;
pub(crate) mod owners;
pub(crate) mod selection;

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use atalaya_host::clock;
use atalaya_model::filter::Expression;
use atalaya_wire::Frame;
use atalaya_wire::capture::{Reader, Record, Whose};

use crate::cli::{CaptureArgs, CaptureFormat};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::replay::piped;
use crate::replay::results::is_same;
use output::Output;
use selection::{Asked, Selection};

/// Runs the verb.
///
/// # Errors
/// A wrong filter or combination of flags, no privilege to capture, or a file that cannot be read or written.
pub fn run(args: &CaptureArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let text = args.filter.as_deref().unwrap_or("");
    let filter = atalaya_model::filter::parse(text).map_err(|error| Failure::Usage(error.to_string()))?;
    if let Some(field) = selection::unanswered(&filter) {
        let message = format!(
            "a capture cannot be filtered by `{}`: packets are chosen by their addresses, ports and processes; \
             `atalaya replay --filter` asks for what was said",
            field.name
        );
        return Err(Failure::Usage(message));
    }
    check(args)?;
    let output = Output::open(args);
    match &args.read {
        Some(path) => convert(args, path, &loaded, filter, output),
        None => live::run(args, loaded, filter, output),
    }
}

fn check(args: &CaptureArgs) -> Result<(), Failure> {
    let rotates = args.rotate_size.is_some() || args.rotate_time.is_some();
    let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
    if args.keep.is_some() && !rotates {
        return usage("--keep is of use only with --rotate-size or --rotate-time");
    }
    if args.write.as_os_str() == "-" && rotates {
        return usage("standard output cannot be rotated; name a file with --write");
    }
    if args.write.as_os_str() == "-" && std::io::stdout().is_terminal() {
        return usage("standard output is a terminal: name a file with --write, or pipe it into a program");
    }
    if args.read.as_deref().is_some_and(|read| read.as_os_str() == "-") {
        piped()?;
    }
    if let Some(read) = &args.read
        && is_same(read, &args.write)
    {
        return usage("--read and --write name the same file");
    }
    Ok(())
}

/// From a file into another.
fn convert(
    args: &CaptureArgs,
    path: &Path,
    loaded: &Loaded,
    filter: Expression,
    mut output: Output,
) -> Result<Exit, Failure> {
    let name = path.display();
    let read: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else if path.is_dir() {
        return Err(Failure::Failed(format!(
            "`{name}` is a folder: name a file in it"
        )));
    } else {
        let file = File::open(path);
        Box::new(file.map_err(|error| Failure::Failed(format!("cannot open `{name}`: {error}")))?)
    };
    let failed = |error| Failure::Failed(format!("cannot read `{name}`: {error}"));
    let mut reader = Reader::open(read).map_err(failed)?;
    let mut selection = Selection::new(filter, loaded.networks());
    let mut damage = None;
    let mut last = None;
    while output.takes_more(args.count) {
        let Record {
            frame,
            interface,
            whose,
        } = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                damage = Some(failed(error));
                break;
            }
        };
        last = Some(frame.time);
        let whose = if args.no_processes {
            Whose::default()
        } else {
            whose
        };
        let (keeps, _) = selection.judge(&frame, &mut Asked::Capture(whose));
        if keeps {
            output.write(&snapped(frame, args.snap_length), interface, whose)?;
        }
    }
    let read = reader.records();
    let packets = output.finish(last.unwrap_or_else(clock::now))?;
    if let Some(failure) = damage {
        return Err(failure);
    }
    if !args.common.quiet {
        tracing::info!("{packets} packets of {read} written to {}", args.write.display());
    }
    Ok(Exit::Clean)
}

/// The frame, no longer than `length`.
fn snapped(frame: Frame<'_>, length: Option<u32>) -> Frame<'_> {
    let length = length.map_or(usize::MAX, |length| length as usize);
    let data = frame.data.get(..length).unwrap_or(frame.data);
    Frame { data, ..frame }
}

/// Whether processes are looked for: they are written, or a filter may ask for them.
const fn wants_processes(args: &CaptureArgs) -> bool {
    !args.no_processes && (matches!(args.format, CaptureFormat::Pcapng) || args.filter.is_some())
}
