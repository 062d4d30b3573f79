//! `atalaya db`: back up, check, measure, rebuild.

use std::io::Write;
use std::path::{Path, PathBuf};

use atalaya_format::numbers;
use atalaya_host::clock;
use atalaya_host::identity::Identity;
use atalaya_report::database::{write_check, write_check_json, write_sizes, write_sizes_json};
use atalaya_store::{Options, Reader, Writer};

use crate::alerts::failed;
use crate::cli::{DatabaseVerb, Output, WhichDatabase};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::setup::{self, VERSION};
use crate::terminal::ignore_closed_pipe;

/// Runs the verb.
///
/// # Errors
/// No database, a path that may not be written, a database that a watch writes (`vacuum`), a full disk.
pub fn run(verb: &DatabaseVerb, loaded: &Loaded, out: &mut dyn Write) -> Result<Exit, Failure> {
    let which = verb.database();
    let path = path(which, loaded);
    let language = setup::language(which.common.lang);
    match verb {
        DatabaseVerb::Backup { file, .. } => {
            let bytes = Reader::open(&path)
                .and_then(|reader| reader.backup(file))
                .map_err(failed)?;
            let size = numbers::bytes(bytes);
            ignore_closed_pipe(writeln!(out, "{}: {size}", file.display()))?;
        }
        DatabaseVerb::Check { output, .. } => {
            let check = Reader::open_damaged(&path)
                .and_then(|reader| reader.check())
                .map_err(failed)?;
            ignore_closed_pipe(match output {
                Output::Text => write_check(&check, language, out),
                Output::Json => write_check_json(&check, out),
            })?;
            if !check.is_sound() {
                return Ok(Exit::Failed);
            }
        }
        DatabaseVerb::Stats { output, .. } => {
            let reader = Reader::open(&path).map_err(failed)?;
            let tables = reader.sizes().map_err(failed)?;
            let extent = reader.extent().map_err(failed)?;
            ignore_closed_pipe(match output {
                Output::Text => write_sizes(&tables, &extent, language, out),
                Output::Json => write_sizes_json(&tables, &extent, out),
            })?;
        }
        DatabaseVerb::Vacuum { .. } => vacuum(&path, out)?,
    }
    Ok(Exit::Clean)
}

fn path(which: &WhichDatabase, loaded: &Loaded) -> PathBuf {
    crate::keeper::path(which.store.as_deref(), loaded, &Places::of_this_user())
}

fn vacuum(path: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    // What is not there is not made.
    drop(Reader::open(path).map_err(failed)?);
    let boot = Identity::of_host().boot.unwrap_or_else(|| "unknown".into());
    let mut writer = Writer::open(path, &Options::new(boot, VERSION, clock::now())).map_err(failed)?;
    let before = writer.stats().map_err(failed)?.bytes;
    writer.vacuum().map_err(failed)?;
    let after = writer.stats().map_err(failed)?.bytes;
    let [before, after] = [before, after].map(numbers::bytes);
    ignore_closed_pipe(writeln!(out, "{}: {before} → {after}", path.display()))
}
