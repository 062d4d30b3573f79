//! Writes what a replay finds: as text, JSON, Zeek's logs, EVE or CSV.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use atalaya_format::csv::Table;
use atalaya_format::ecs::{self, Context};
use atalaya_format::text::{Style, dated_alert_line, details};
use atalaya_format::{eve, zeek};
use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::{AlertRecord, Event, Fact};
use atalaya_report::Traffic;

use crate::cli::{ReplayOutput, ResultArgs};
use crate::exit::Failure;
use crate::terminal::ignore_closed_pipe;

/// Text that is gathered before it is written.
const GATHER: usize = 256 << 10;

/// Where and how records are written.
pub(crate) struct Writing<'a> {
    how: How<'a>,
    filter: Option<Expression>,
    context: Context,
    style: Style,
    verbose: bool,
    /// Reused for lines under way.
    room: String,
    place: Place,
    /// Standard output, where records go elsewhere.
    summary_to: Option<Box<dyn Write + 'a>>,
}

enum How<'a> {
    Text(Box<dyn Write + 'a>),
    Json(Lines<'a>),
    Eve(Lines<'a>),
    Zeek(Logs<'a>),
    Csv(Box<Table<Box<dyn Write + 'a>>>),
}

/// Lines on their way to one place.
struct Lines<'a> {
    text: String,
    to: Box<dyn Write + 'a>,
}

impl Lines<'_> {
    fn settle(&mut self) -> io::Result<()> {
        if self.text.len() >= GATHER {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(self.text.as_bytes())?;
        self.text.clear();
        self.to.flush()
    }
}

/// Zeek's logs: all in one place, each line with its `_path`, or each in a file of its own.
struct Logs<'a> {
    together: Option<Lines<'a>>,
    folder: PathBuf,
    files: BTreeMap<&'static str, Lines<'a>>,
}

impl<'a> Writing<'a> {
    /// Opens the destination.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(
        args: &ResultArgs,
        filter: Expression,
        context: Context,
        style: Style,
        out: &'a mut dyn Write,
    ) -> Result<Self, Failure> {
        let mut summary_to: Option<Box<dyn Write + 'a>> = None;
        let to: Box<dyn Write + 'a> = match &args.to {
            Some(path) if args.output == ReplayOutput::Zeek => {
                fs::create_dir_all(path)
                    .map_err(|error| Failure::Failed(format!("cannot make {}: {error}", path.display())))?;
                summary_to = Some(Box::new(out));
                Box::new(io::sink())
            }
            Some(path) => {
                let file = File::create(path)
                    .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
                summary_to = Some(Box::new(out));
                // Lines are gathered where they are made.
                match args.output {
                    ReplayOutput::Json | ReplayOutput::Eve => Box::new(file),
                    _ => Box::new(BufWriter::with_capacity(GATHER, file)),
                }
            }
            None => Box::new(out),
        };
        let lines = |to| Lines {
            text: String::with_capacity(GATHER + (8 << 10)),
            to,
        };
        let how = match args.output {
            ReplayOutput::Text => How::Text(to),
            ReplayOutput::Json => How::Json(lines(to)),
            ReplayOutput::Eve => How::Eve(lines(to)),
            ReplayOutput::Zeek => How::Zeek(Logs {
                together: args.to.is_none().then(|| lines(to)),
                folder: args.to.clone().unwrap_or_default(),
                files: BTreeMap::new(),
            }),
            ReplayOutput::Csv => How::Csv(Box::new(
                Table::new(to, Kind::Connection)
                    .map_err(|error| Failure::Failed(format!("cannot write: {error}")))?,
            )),
        };
        Ok(Self {
            how,
            filter: (filter != Expression::All).then_some(filter),
            context,
            style,
            verbose: args.verbose,
            room: String::new(),
            place: Place(args.to.clone()),
            summary_to,
        })
    }

    /// Writes an event, where it is one that is written: connections as they end, what was said in them, losses.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let written = self.write_event(event);
        self.place.judge(written)
    }

    fn write_event(&mut self, event: &Event) -> io::Result<()> {
        if !matches!(
            event.fact,
            Fact::ConnectionClosed(_) | Fact::Protocol(_) | Fact::Gap(_)
        ) {
            return Ok(());
        }
        if let Some(filter) = &self.filter
            && ecs::judged(event).is_some_and(|record| !filter.matches(&record))
        {
            return Ok(());
        }
        match &mut self.how {
            How::Text(_) => Ok(()),
            How::Json(lines) => {
                ecs::event(&mut lines.text, event, &self.context);
                lines.text.push('\n');
                lines.settle()
            }
            How::Eve(lines) => {
                eve::event(&mut lines.text, event);
                lines.settle()
            }
            How::Zeek(logs) => {
                let mut written = Ok(());
                zeek::lines(&mut self.room, event, |path, line| {
                    if written.is_ok() {
                        written = logs.line(path, line);
                    }
                });
                written
            }
            How::Csv(table) => match ecs::record_of(event) {
                Some(record) => table.write(&record),
                None => Ok(()),
            },
        }
    }

    /// Writes a row about an alert.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn alert(&mut self, record: &AlertRecord) -> Result<(), Failure> {
        let written = self.write_alert(record);
        self.place.judge(written)
    }

    fn write_alert(&mut self, record: &AlertRecord) -> io::Result<()> {
        match &mut self.how {
            How::Text(to) => {
                writeln!(to, "{}", dated_alert_line(record, self.style))?;
                if let (true, AlertRecord::Raised(alert)) = (self.verbose, record) {
                    write!(to, "{}", details(alert, self.style))?;
                }
                Ok(())
            }
            How::Json(lines) => {
                ecs::alert_record(&mut lines.text, record, &self.context);
                lines.text.push('\n');
                lines.settle()
            }
            How::Eve(lines) => {
                eve::alert(&mut lines.text, record, self.style.language);
                lines.settle()
            }
            How::Zeek(logs) => {
                let mut written = Ok(());
                zeek::alert(&mut self.room, record, self.style.language, |path, line| {
                    written = logs.line(path, line);
                });
                written
            }
            How::Csv(_) => Ok(()),
        }
    }

    /// Writes what still waits, and the summary: after text, or where records went to a file; else on standard error.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(mut self, summary: Option<&Traffic>) -> Result<(), Failure> {
        let mut told = summary
            .map(|summary| summary.text(self.style))
            .unwrap_or_default();
        let written = match &mut self.how {
            How::Text(to) => {
                let text = std::mem::take(&mut told);
                to.write_all(text.as_bytes()).and_then(|()| to.flush())
            }
            How::Json(lines) | How::Eve(lines) => lines.flush(),
            How::Zeek(logs) => logs.flush(),
            How::Csv(table) => table.flush(),
        };
        self.place.judge(written)?;
        match self.summary_to {
            Some(mut out) => ignore_closed_pipe(out.write_all(told.as_bytes()).and_then(|()| out.flush())),
            // Where standard error is closed nobody wants to know.
            None => {
                io::stderr().write_all(told.as_bytes()).unwrap_or_default();
                Ok(())
            }
        }
    }
}

/// Where records go, for messages.
struct Place(Option<PathBuf>);

impl Place {
    /// A reader that closed its pipe has had enough; all else is a failure, which says where.
    fn judge(&self, written: io::Result<()>) -> Result<(), Failure> {
        match (&self.0, written) {
            (Some(path), Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(
                format!("cannot write {}: {error}", path.display()),
            )),
            (_, written) => ignore_closed_pipe(written),
        }
    }
}

impl Logs<'_> {
    /// Puts a line where its log is.
    fn line(&mut self, path: &'static str, line: &str) -> io::Result<()> {
        let place = match &mut self.together {
            Some(lines) => lines,
            None => match self.files.entry(path) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let file = File::create(self.folder.join(format!("{path}.log")))?;
                    new.insert(Lines {
                        text: String::new(),
                        to: Box::new(file),
                    })
                }
            },
        };
        place.text.push_str(line);
        place.text.push('\n');
        place.settle()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.together
            .iter_mut()
            .chain(self.files.values_mut())
            .try_for_each(Lines::flush)
    }
}
