//! Captures and expectations from the folder of corpora.

use std::fs::File;
use std::path::{Path, PathBuf};

use atalaya_model::{Connection, Event, Fact, Time};
use atalaya_track::{FlowOptions, Options, Tracker};
use atalaya_wire::capture::Reader;
use atalaya_wire::packet;
use serde_json::Value;

/// The folder of this corpus, unless there is none on this machine.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let Some(corpora) = std::env::var_os("ATALAYA_CORPORA") else {
        println!("skipped: no corpora");
        return None;
    };
    Some(Path::new(&corpora).join(name))
}

/// What is expected, one value a row.
pub(crate) fn expected(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every connection of a capture, as it was in the end; of a damaged capture those before the damage.
pub(crate) fn replay(path: &Path, checksums: bool, flows: FlowOptions) -> Vec<Connection> {
    let Ok(mut reader) = Reader::open(Box::new(File::open(path).unwrap())) else {
        return Vec::new();
    };
    let mut tracker: Option<Tracker> = None;
    let mut events = Vec::new();
    let mut closed = Vec::new();
    while let Ok(Some(frame)) = reader.next() {
        let tracker = tracker.get_or_insert_with(|| begin(frame.time, checksums, flows.clone()));
        tracker.frame(&frame, &mut events);
        keep(&mut events, &mut closed);
    }
    if let Some(tracker) = &mut tracker {
        tracker.finish(&mut events);
        assert_eq!(tracker.flow_count(), 0);
    }
    keep(&mut events, &mut closed);
    closed
}

fn begin(now: Time, checksums: bool, flows: FlowOptions) -> Tracker {
    let mut tracker = Tracker::new(Options::new(now));
    let decoding = packet::Options {
        checksums,
        ..packet::Options::default()
    };
    tracker.read_packets(decoding, flows, None);
    tracker
}

fn keep(events: &mut Vec<Event>, closed: &mut Vec<Connection>) {
    closed.extend(events.drain(..).filter_map(|event| match event.fact {
        Fact::ConnectionClosed(connection) => Some(Connection::clone(&connection)),
        _ => None,
    }));
}
