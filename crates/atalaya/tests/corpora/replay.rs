//! Corpora, and captures through the engine as `atalaya replay` sends them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use atalaya::config::load;
use atalaya::engine::{Engine, Output};
use atalaya::setup;
use atalaya_detect::Learning;
use atalaya_model::{Event, Ledger, Time};
use atalaya_wire::capture::Reader;
use serde_json::Value;

/// The folder of this corpus, unless there is none on this machine.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let Some(corpora) = std::env::var_os("ATALAYA_CORPORA") else {
        println!("skipped: no corpora");
        return None;
    };
    Some(Path::new(&corpora).join(name))
}

/// A table of a corpus: one value a row.
pub(crate) fn rows(table: &Path) -> Vec<Value> {
    let text = fs::read_to_string(table).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Rows by capture, and by whether checksums are to be looked at.
pub(crate) fn by_capture(rows: Vec<Value>) -> BTreeMap<(String, bool), Vec<Value>> {
    let mut captures: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        let capture = row["capture"].as_str().unwrap().to_owned();
        let checked = row["checksums"] == "checked";
        captures.entry((capture, checked)).or_default().push(row);
    }
    captures
}

/// Per cent.
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    let [part, whole] = [part, whole].map(|count| f64::from(u32::try_from(count).unwrap()));
    part * 100.0 / whole
}

/// How a capture is read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings {
    /// Segments with wrong checksums are not believed.
    pub(crate) checksums: bool,
    /// VLANs keep conversations apart.
    pub(crate) apart_by_vlan: bool,
}

/// What became of a capture.
#[derive(Default)]
pub(crate) struct Replayed {
    /// Frames before the end, or the damage.
    pub(crate) frames: u64,
    /// What the engine told.
    pub(crate) outputs: usize,
    /// Why it was not read to its end.
    pub(crate) error: Option<String>,
}

/// Reads a capture through the engine: decoding, conversations, protocols, detectors and the alert desk.
pub(crate) fn replay(path: &Path, settings: Settings, each: &mut dyn FnMut(&Event)) -> Replayed {
    let mut replayed = Replayed::default();
    let mut reader = match Reader::open(Box::new(File::open(path).unwrap())) {
        Ok(reader) => reader,
        Err(error) => {
            replayed.error = Some(error.to_string());
            return replayed;
        }
    };
    let mut loaded = load::load(None, Path::new("/nonexistent"), Time(0)).unwrap();
    loaded.config.packets.query_strings = true;
    let mut options = setup::packet_options(&loaded.config.packets, settings.checksums, None);
    options.flows.apart_by_vlan = settings.apart_by_vlan;
    let mut engine = setup::engine(loaded, Learning::default(), 0, Time(0), Ledger::default());
    engine.read_packets(options);
    let mut out = Vec::new();
    let mut now = Time(0);
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                now = now.max(frame.time);
                engine.frame(&frame, &mut out);
            }
            Ok(None) => break,
            Err(error) => {
                replayed.error = Some(error.to_string());
                break;
            }
        }
        replayed.frames += 1;
        replayed.outputs += give(&mut out, each);
    }
    while engine.end_packets(&mut out) {}
    finish(&mut engine, now, &mut out);
    replayed.outputs += give(&mut out, each);
    replayed
}

fn finish(engine: &mut Engine, now: Time, out: &mut Vec<Output>) {
    engine.finish(now, out);
    assert_eq!(engine.tracker().flow_count(), 0, "conversations that never end");
}

fn give(out: &mut Vec<Output>, each: &mut dyn FnMut(&Event)) -> usize {
    let count = out.len();
    for output in out.drain(..) {
        if let Output::Event(event) = output {
            each(&event);
        }
    }
    count
}
