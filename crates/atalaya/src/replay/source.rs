//! Where captures come from: files, folders of them, standard input.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use atalaya_model::Time;
use atalaya_wire::capture::Reader;

use crate::exit::Failure;

/// Files of one folder, at most.
const MOST: usize = 100_000;

/// One capture.
pub(super) struct Source {
    /// How it is called in messages.
    pub(super) name: String,
    /// Bytes of the file; `None` for a pipe.
    pub(super) size: Option<u64>,
    path: Option<PathBuf>,
}

impl Source {
    /// Opens it.
    ///
    /// # Errors
    /// In words, when it cannot be opened or is no capture.
    pub(super) fn open(&self) -> Result<Reader, String> {
        let read: Box<dyn Read + Send> = match &self.path {
            Some(path) => Box::new(File::open(path).map_err(|error| format!("cannot be opened: {error}"))?),
            None => Box::new(io::stdin()),
        };
        Reader::open(read).map_err(|error| error.to_string())
    }
}

/// All captures, in the order in which they are read.
pub(super) struct Sources(std::vec::IntoIter<Source>);

impl Iterator for Sources {
    type Item = Source;

    fn next(&mut self) -> Option<Source> {
        self.0.next()
    }
}

impl Sources {
    /// Finds the captures that are meant. Of a folder, the files in it (not in folders inside it), by the time of
    /// their first packets; what is no capture is left out with a word.
    ///
    /// # Errors
    /// A name of nothing, a folder that cannot be read or holds no capture.
    pub(super) fn find(names: &[PathBuf]) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for name in names {
            if name.as_os_str() == "-" {
                piped()?;
                sources.push(Source {
                    name: "standard input".to_owned(),
                    size: None,
                    path: None,
                });
                continue;
            }
            let data = fs::metadata(name).map_err(|error| unreadable(name, &error))?;
            if data.is_dir() {
                sources.extend(folder(name)?);
            } else {
                sources.push(file(name, data.is_file().then_some(data.len())));
            }
        }
        Ok(Self(sources.into_iter()))
    }

    /// Where those lie that are files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0
            .as_slice()
            .iter()
            .filter_map(|source| source.path.as_deref())
    }
}

/// Refuses to wait for a capture that somebody would have to type.
///
/// # Errors
/// Standard input is a terminal.
pub(crate) fn piped() -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "standard input is a terminal: give a file, or pipe a capture into it".to_owned(),
        ));
    }
    Ok(())
}

fn unreadable(name: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot read {}: {error}", name.display()))
}

fn file(path: &Path, size: Option<u64>) -> Source {
    Source {
        name: path.display().to_string(),
        size,
        path: Some(path.to_owned()),
    }
}

fn folder(path: &Path) -> Result<Vec<Source>, Failure> {
    let mut found: Vec<(Time, Source)> = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
        let entry = entry.map_err(|error| unreadable(path, &error))?.path();
        let Ok(data) = fs::metadata(&entry) else { continue };
        if !data.is_file() {
            continue;
        }
        if found.len() == MOST {
            return Err(Failure::Failed(format!(
                "{} holds more than {MOST} files: name some of them",
                path.display()
            )));
        }
        let source = file(&entry, Some(data.len()));
        match begin(&source) {
            // A capture without packets tells nothing, and its place is of no meaning.
            Ok(time) => found.push((time.unwrap_or_default(), source)),
            Err(error) => tracing::warn!("{} is left out: {error}", source.name),
        }
    }
    if found.is_empty() {
        return Err(Failure::Failed(format!(
            "{} holds no capture; files inside folders of it are not looked for",
            path.display()
        )));
    }
    found.sort_by(|(a, left), (b, right)| (a, &left.name).cmp(&(b, &right.name)));
    Ok(found.into_iter().map(|(_, source)| source).collect())
}

/// The time of the first packet.
fn begin(source: &Source) -> Result<Option<Time>, String> {
    let mut reader = source.open()?;
    // A damaged first record is told when it is read.
    Ok(reader.next().ok().flatten().map(|frame| frame.time))
}
