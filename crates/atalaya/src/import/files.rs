//! The files to read: which they are, and what each tells, line by line.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use atalaya_format::told::{Options, Told};
use atalaya_format::{eve, zeek};
use atalaya_model::Time;
use atalaya_wire::capture::unpacked;
use serde_json::Value;

use super::lines::{Line, Lines};
use crate::exit::Failure;
use crate::replay::piped;

/// Files of one folder, at most.
const MOST: usize = 100_000;
/// Lines that are looked at to learn when a file begins.
const LOOK: u64 = 1_000;
/// Bad lines of a file that are told, each.
const SHOWN: u64 = 5;

/// A file to read.
pub(super) struct Source {
    /// How it is called in messages.
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    /// When it begins, as far as that is known.
    pub(super) begins: Time,
}

/// Finds the files that are meant, in the order in which they begin.
///
/// # Errors
/// A name of nothing, a folder that cannot be read.
pub(super) fn find(names: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for name in names {
        if name.as_os_str() == "-" {
            piped()?;
            sources.push(Source {
                name: "standard input".to_owned(),
                path: None,
                begins: Time(0),
            });
            continue;
        }
        let unreadable =
            |error: io::Error| Failure::Failed(format!("cannot read {}: {error}", name.display()));
        if !fs::metadata(name).map_err(unreadable)?.is_dir() {
            sources.push(file(name));
            continue;
        }
        let before = sources.len();
        for entry in fs::read_dir(name).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if fs::metadata(&path).is_ok_and(|data| data.is_file()) {
                sources.push(file(&path));
            }
            if sources.len() - before > MOST {
                let name = name.display();
                return Err(Failure::Failed(format!(
                    "{name} holds more than {MOST} files: name some of them"
                )));
            }
        }
    }
    if sources.is_empty() {
        let names: Vec<_> = names.iter().map(|name| name.display().to_string()).collect();
        return Err(Failure::Failed(format!(
            "{} holds no file; files inside folders of it are not looked for",
            names.join(", ")
        )));
    }
    for source in &mut sources {
        if source.path.is_some() {
            source.begins = begins(source);
        }
    }
    sources.sort_by(|a, b| (a.begins, &a.name).cmp(&(b.begins, &b.name)));
    Ok(sources)
}

fn file(path: &Path) -> Source {
    Source {
        name: path.display().to_string(),
        path: Some(path.to_owned()),
        begins: Time(0),
    }
}

/// When the first line was written; what is wrong in it is told when it is read.
fn begins(source: &Source) -> Time {
    let Ok(mut log) = Log::open(source, Options::default()) else {
        return Time(0);
    };
    log.is_quiet = true;
    while log.lines.number < LOOK {
        match log.read() {
            Ok(true) if log.told.is_empty() => {}
            _ => break,
        }
    }
    log.told.front().map_or(Time(0), |told| told.written)
}

/// Who reads the lines.
enum Reader {
    Unknown,
    Zeek(zeek::read::Reader),
    Eve(eve::read::Reader),
}

/// A file that is read.
pub(super) struct Log {
    pub(super) name: String,
    lines: Lines,
    reader: Reader,
    options: Options,
    /// What it told that was not taken yet.
    told: VecDeque<Told>,
    room: Vec<Told>,
    /// Lines that could not be read.
    pub(super) bad: u64,
    /// Anything was told.
    pub(super) tells: bool,
    is_over: bool,
    is_quiet: bool,
}

impl Log {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(source: &Source, options: Options) -> io::Result<Self> {
        let read: Box<dyn Read + Send> = match &source.path {
            Some(path) => Box::new(File::open(path)?),
            None => Box::new(io::stdin()),
        };
        Ok(Self {
            name: source.name.clone(),
            lines: Lines::new(unpacked(read)?),
            reader: Reader::Unknown,
            options,
            told: VecDeque::new(),
            room: Vec::new(),
            bad: 0,
            tells: false,
            is_over: false,
            is_quiet: false,
        })
    }

    /// When what it tells next was written; `None` at its end.
    ///
    /// # Errors
    /// When it cannot be read on.
    pub(super) fn peek(&mut self) -> io::Result<Option<Time>> {
        while self.told.is_empty() && !self.is_over {
            if !self.read()? {
                self.is_over = true;
                if let Reader::Eve(reader) = &mut self.reader {
                    reader.finish(&mut self.room);
                    self.told.extend(self.room.drain(..));
                }
                if self.bad > SHOWN && !self.is_quiet {
                    tracing::error!("{}: {} more lines cannot be read", self.name, self.bad - SHOWN);
                }
            }
        }
        self.tells |= !self.told.is_empty();
        Ok(self.told.front().map(|told| told.written))
    }

    /// Takes what it tells next.
    pub(super) fn take(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Lines so far.
    pub(super) const fn line(&self) -> u64 {
        self.lines.number
    }

    /// Reads a line; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let number = self.lines.number + 1;
        let wrong = match self.lines.next()? {
            None => return Ok(false),
            Some(Line::TooLong) => Some("it is longer than 1 MiB".to_owned()),
            Some(Line::Text(line)) => {
                if let Reader::Unknown = self.reader {
                    self.reader = reader(&line, &self.name, self.options);
                }
                match &mut self.reader {
                    Reader::Unknown => None,
                    Reader::Zeek(reader) => reader.line(&line).map(|told| self.room.extend(told)).err(),
                    Reader::Eve(reader) => reader.line(&line, &mut self.room).err(),
                }
                .map(|bad| bad.to_string())
            }
        };
        self.told.extend(self.room.drain(..));
        if let Some(wrong) = wrong {
            self.bad += 1;
            if self.bad <= SHOWN && !self.is_quiet {
                tracing::error!("{}:{number}: {wrong}", self.name);
            }
        }
        Ok(true)
    }
}

/// Whose log it is, by a line of it.
fn reader(line: &str, name: &str, options: Options) -> Reader {
    if line.trim().is_empty() {
        return Reader::Unknown;
    }
    let value: Option<Value> = line
        .starts_with('{')
        .then(|| serde_json::from_str(line).ok())
        .flatten();
    match value {
        Some(value) if value.get("event_type").is_some() => Reader::Eve(eve::read::Reader::new(options)),
        _ => {
            let name = name.rsplit('/').next().unwrap_or_default();
            Reader::Zeek(zeek::read::Reader::new(name, options))
        }
    }
}
