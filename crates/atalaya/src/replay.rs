//! `atalaya replay`: captures through the same engine as a watch. Time comes from the packets.

pub(crate) mod results;
mod source;
pub(crate) mod writing;

use std::collections::BTreeSet;
use std::io::Write;

use atalaya_host::clock;
use atalaya_model::{Span, Text, Time};
use atalaya_wire::capture::Record;

use crate::cli::ReplayArgs;
use crate::config::load::Loaded;
use crate::engine::{Engine, Output};
use crate::exit::{Exit, Failure};
use crate::setup;
use crate::terminal::Terminal;
use results::Results;
pub(crate) use source::piped;
use source::{Source, Sources};

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
    let sources = Sources::find(&args.files)?;
    let results = Results::open(&args.results, sources.paths(), "replay", terminal, out)?;
    let options = setup::packet_options(&loaded.config.packets, args.checksums, None);
    let mut engine = setup::engine_of_files(loaded, results.last_alert()?);
    engine.read_packets(options);
    let mut replay = Replay {
        engine,
        results,
        now: None,
        out: Vec::new(),
        begun: clock::monotonic(),
    };
    let mut damaged = false;
    for source in sources {
        damaged |= !replay.read(source)?;
    }
    replay.finish()?;
    let Replay {
        engine, mut results, ..
    } = replay;
    results.summary.left_out = left_out(&engine);
    let exit = results.finish()?;
    // The operating system takes memory back faster than it is given back piece by piece.
    std::mem::forget(engine);
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

/// A replay under way.
struct Replay<'a> {
    engine: Engine,
    results: Results<'a>,
    /// The latest packet so far.
    now: Option<Time>,
    out: Vec<Output>,
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
        self.results.summary.files += 1;
        let mut first = true;
        let mut frames = 0u64;
        let unknown = self.engine.tracker().decoded().unknown_link;
        loop {
            let Record { frame, whose, .. } = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => {
                    self.results.clear_progress();
                    tracing::error!("{name}: {error}");
                    self.hand_out()?;
                    return Ok(false);
                }
            };
            if first {
                first = false;
                self.begin(frame.time)?;
            }
            self.results.summary.frame(frame.time, frame.length);
            self.now = self.now.max(Some(frame.time));
            self.engine.frame_of(&frame, whose, &mut self.out);
            frames += 1;
            if !self.out.is_empty() {
                self.hand_out()?;
            }
            if frames.is_multiple_of(PROGRESS) && self.results.shows_progress {
                self.progress(&name, reader.bytes(), source.size);
            }
        }
        self.results.clear_progress();
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
        let rate = self.results.summary.frames as f64 / seconds.max(0.001);
        let share = size.filter(|size| *size > 0).map(|size| read * 100 / size);
        let share = share.map(|share| format!("{share} % of ")).unwrap_or_default();
        let name = atalaya_format::escape::start(name, 60);
        self.results.terminal.status(&format!(
            "{share}{name}: {} packets, {rate:.0} a second",
            self.results.summary.frames
        ));
    }

    /// Gives everything that came out of the engine to whoever wants it.
    fn hand_out(&mut self) -> Result<(), Failure> {
        self.results.hand_out(&mut self.out)
    }

    /// The last capture has been read: what is still open ends with it.
    fn finish(&mut self) -> Result<(), Failure> {
        let now = self.now.unwrap_or_default();
        self.end()?;
        self.engine.finish(now, &mut self.out);
        self.hand_out()?;
        self.results.close(now)
    }
}
