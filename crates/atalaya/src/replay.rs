//! `atalaya replay`: captures through the same engine as a watch. Time comes from the packets.

mod source;
mod writing;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use atalaya_detect::Learning;
use atalaya_format::ecs::Context;
use atalaya_format::text::Style;
use atalaya_host::clock;
use atalaya_host::identity::Identity;
use atalaya_model::{AlertRecord, Event, Fact, Ledger, Severity, Span, Text, Time};
use atalaya_report::Traffic;
use atalaya_store::{Entry, Options as StoreOptions, Writer};
use atalaya_wire::capture::Record;

use crate::cli::ReplayArgs;
use crate::config::load::Loaded;
use crate::engine::{Engine, Output};
use crate::exit::{Exit, Failure};
use crate::setup::{self, VERSION, context};
use crate::terminal::Terminal;
pub(crate) use source::piped;
use source::{Source, Sources};
use writing::Writing;

/// Rows that are given to the store at once.
const BATCH: usize = 8_192;
/// A capture whose first packet is this much older than the last one of the file before it is another story.
const STEP_BACK: Span = Span::from_seconds(3_600);
/// Frames between two looks at the clock for the progress line.
const PROGRESS: u64 = 1 << 14;

/// Runs the verb.
///
/// # Errors
/// A wrong filter or configuration; nothing that can be read.
pub fn run(
    args: &ReplayArgs,
    loaded: Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let filter = args.filter.as_deref().unwrap_or("");
    let filter = atalaya_model::filter::parse(filter).map_err(|error| Failure::Usage(error.to_string()))?;
    let sources = Sources::find(&args.files)?;
    if args.to.as_deref().is_some_and(|to| sources.has(to)) {
        return Err(Failure::Usage("--to names a capture that is read".to_owned()));
    }
    if let (Some(to), Some(store)) = (&args.to, &args.store)
        && is_same(to, store)
    {
        return Err(Failure::Usage("--to and --store name the same file".to_owned()));
    }
    let language = setup::language(args.common.lang);
    let style = Style {
        colour: terminal.colour,
        language,
    };
    let context = Context {
        of_captures: true,
        ..context(&Identity::of_host(), language)
    };
    let ledger = Ledger::default();
    // A store that cannot be opened costs nothing that is in the file to write to.
    let store = args.store.as_deref().map(open_store).transpose()?;
    let writing = Writing::open(args, filter, context, style, out)?;
    let last_alert = store
        .as_ref()
        .map_or(Ok(0), Writer::last_alert)
        .map_err(|error| store_failed(&error))?;
    let options = setup::packet_options(&loaded.config.packets, args.checksums, None);
    // Which programs a capture's host knew is not known: none is new.
    let learning = Learning {
        until: Some(Time(i64::MAX)),
        ..Learning::default()
    };
    let mut engine = setup::engine(loaded, learning, last_alert, Time(0), ledger);
    engine.read_packets(options);
    let mut replay = Replay {
        engine,
        writing,
        summary: Traffic::default(),
        store,
        entries: Vec::new(),
        worst: None,
        now: None,
        out: Vec::new(),
        terminal,
        is_quiet: args.common.quiet,
        shows_progress: terminal.stderr && !args.common.quiet,
        begun: clock::monotonic(),
    };
    let mut damaged = false;
    for source in sources {
        damaged |= !replay.read(source)?;
    }
    replay.finish()?;
    let exit = Exit::of_findings(replay.worst, Severity::High);
    let Replay {
        engine,
        writing,
        mut summary,
        ..
    } = replay;
    summary.left_out = left_out(&engine);
    writing.finish((!args.common.quiet && summary.files > 0).then_some(&summary))?;
    // The operating system takes memory back faster than it is given back piece by piece.
    std::mem::forget((engine, summary));
    Ok(if damaged { Exit::Failed } else { exit })
}

/// What of the captures could not be read, or was left out.
fn left_out(engine: &Engine) -> Vec<(Text, u64)> {
    let counts = engine.tracker().decoded();
    let streams = engine.tracker().stream_losses();
    [
        ("frames of an unknown kind of link", counts.unknown_link),
        ("frames with damaged headers", counts.damaged),
        ("frames with a wrong checksum", counts.checksum),
        ("frames that are no IP (ARP apart)", counts.not_ip),
        ("frames of ARP", counts.arp),
        (
            "fragments that never came together, or contradicted others",
            counts.fragments_dropped,
        ),
        ("tunnels that could not be opened", counts.unopened),
        (
            "packets whose transport header is cut or lies",
            counts.short + counts.lying,
        ),
        (
            "packets seen again on another interface",
            engine.tracker().seen_again(),
        ),
        ("bytes that are missing in streams of TCP", streams.missed_bytes),
        ("segments of TCP that contradict earlier ones", streams.conflicts),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| (what.into(), count))
    .collect()
}

/// Whether both paths lead to the same place.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || std::fs::canonicalize(one)
            .is_ok_and(|one| std::fs::canonicalize(other).is_ok_and(|other| one == other))
}

fn open_store(path: &Path) -> Result<Writer, Failure> {
    // What a capture tells is of no boot of this host.
    let options = StoreOptions::new("replay", VERSION, clock::now());
    Writer::open(path, &options).map_err(|error| store_failed(&error))
}

fn store_failed(error: &atalaya_store::StoreError) -> Failure {
    Failure::Failed(format!("cannot use the store: {error}"))
}

/// A replay under way.
struct Replay<'a> {
    engine: Engine,
    writing: Writing<'a>,
    summary: Traffic,
    store: Option<Writer>,
    entries: Vec<Entry>,
    worst: Option<Severity>,
    /// The latest packet so far.
    now: Option<Time>,
    out: Vec<Output>,
    terminal: &'a Terminal,
    is_quiet: bool,
    shows_progress: bool,
    begun: Span,
}

impl Replay<'_> {
    /// Reads one capture. False where it could not be read to its end; everything before the damage is told.
    fn read(&mut self, source: Source) -> Result<bool, Failure> {
        let name = source.name.clone();
        let mut reader = match source.open() {
            Ok(reader) => reader,
            Err(error) => {
                tracing::error!("{name}: {error}");
                return Ok(false);
            }
        };
        self.summary.files += 1;
        let mut first = true;
        let mut frames = 0u64;
        let unknown = self.engine.tracker().decoded().unknown_link;
        loop {
            let Record { frame, whose, .. } = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => {
                    self.clear_progress();
                    tracing::error!("{name}: {error}");
                    self.hand_out()?;
                    return Ok(false);
                }
            };
            if first {
                first = false;
                self.begin(frame.time)?;
            }
            self.summary.frame(frame.time, frame.length);
            self.now = self.now.max(Some(frame.time));
            self.engine.frame_of(&frame, whose, &mut self.out);
            frames += 1;
            if !self.out.is_empty() {
                self.hand_out()?;
            }
            if frames.is_multiple_of(PROGRESS) && self.shows_progress {
                self.progress(&name, reader.bytes(), source.size);
            }
        }
        self.clear_progress();
        let unknown = self.engine.tracker().decoded().unknown_link - unknown;
        if unknown > 0 {
            let links: BTreeSet<u16> = reader.interfaces().iter().map(|known| known.link.0).collect();
            let links: Vec<String> = links.iter().map(u16::to_string).collect();
            tracing::warn!(
                "{name}: {unknown} of {frames} frames are of a kind of link that is not known, and left out; kinds in \
                 this file: {} (see tcpdump.org/linktypes.html)",
                links.join(", ")
            );
        }
        Ok(true)
    }

    /// A capture begins at this time: long before the end of the last one, it is a story of its own.
    fn begin(&mut self, time: Time) -> Result<(), Failure> {
        if let Some(now) = self.now
            && now.since(time).0 > STEP_BACK.0
        {
            self.end()?;
            self.now = None;
        }
        Ok(())
    }

    /// Ends what is open, and gives it out as it comes.
    fn end(&mut self) -> Result<(), Failure> {
        while self.engine.end_packets(&mut self.out) {
            self.hand_out()?;
        }
        self.hand_out()
    }

    fn progress(&self, name: &str, read: u64, size: Option<u64>) {
        let seconds = Span(clock::monotonic().0 - self.begun.0).as_seconds();
        let rate = self.summary.frames as f64 / seconds.max(0.001);
        let share = size.filter(|size| *size > 0).map(|size| read * 100 / size);
        let share = share.map(|share| format!("{share} % of ")).unwrap_or_default();
        let name = atalaya_format::escape::start(name, 60);
        self.terminal.status(&format!(
            "{share}{name}: {} packets, {rate:.0} a second",
            self.summary.frames
        ));
    }

    fn clear_progress(&self) {
        if self.shows_progress {
            self.terminal.status("");
        }
    }

    /// Gives everything that came out of the engine to whoever wants it.
    fn hand_out(&mut self) -> Result<(), Failure> {
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain(..) {
            match output {
                Output::Event(event) => self.event(&event)?,
                Output::Alert(record) => self.alert(record)?,
                Output::Memory(_) => {}
            }
        }
        self.out = out;
        Ok(())
    }

    fn event(&mut self, event: &Arc<Event>) -> Result<(), Failure> {
        match &event.fact {
            // Nobody reads a summary that is not shown.
            _ if self.is_quiet => {}
            Fact::ConnectionClosed(connection) => self.summary.connection(connection),
            Fact::Protocol(protocol) => self.summary.protocol(protocol),
            _ => {}
        }
        self.writing.event(event)?;
        if self.store.is_some() {
            self.keep(Entry::Event(Event::clone(event)))?;
        }
        Ok(())
    }

    fn alert(&mut self, record: Arc<AlertRecord>) -> Result<(), Failure> {
        if let AlertRecord::Raised(alert) = &*record {
            self.worst = self.worst.max(Some(alert.finding.severity));
            self.summary.alert(alert);
        }
        self.clear_progress();
        self.writing.alert(&record)?;
        if self.store.is_some() {
            self.keep(Entry::Alert(Arc::unwrap_or_clone(record)))?;
        }
        Ok(())
    }

    fn keep(&mut self, entry: Entry) -> Result<(), Failure> {
        self.entries.push(entry);
        if self.entries.len() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if let Some(store) = &mut self.store {
            store.write(&self.entries).map_err(|error| store_failed(&error))?;
            self.entries.clear();
        }
        Ok(())
    }

    /// The last capture has been read: what is still open ends with it.
    fn finish(&mut self) -> Result<(), Failure> {
        let now = self.now.unwrap_or_default();
        self.end()?;
        self.engine.finish(now, &mut self.out);
        self.hand_out()?;
        self.flush()?;
        if let Some(store) = self.store.take() {
            store.close(now).map_err(|error| store_failed(&error))?;
        }
        Ok(())
    }
}
