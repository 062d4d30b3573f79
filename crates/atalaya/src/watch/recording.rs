//! The flight recorder of a watch: the last packets on disk, kept in a file of their own around a grave alert.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atalaya_host::packets::{Captured, Interface};
use atalaya_model::{Alert, Observation, Severity, Span, Time};
use atalaya_wire::capture::{self, Owner, Record, Recorder, Whose};
use atalaya_wire::packet::Options;
use atalaya_wire::{Decoder, Segment};
use foldhash::{HashMap, HashMapExt as _};

use crate::capture::owners::Owners;
use crate::capture::selection::ends;
use crate::config::packets::Recorder as Settings;
use crate::exit::Failure;

/// How long after an alert packets are still recorded into its file.
const AFTERWARDS: Span = Span::from_seconds(10);

/// A recorder that runs.
pub(super) struct Recording {
    recorder: Recorder,
    folder: PathBuf,
    severity: Severity,
    keep: usize,
    /// What frames of each interface begin with, and its name.
    interfaces: HashMap<u32, capture::Interface>,
    /// Whose packets are: told later than these come, so it is asked when they are frozen.
    owners: Owners,
    /// The alert whose file is due, and when.
    due: Option<(Time, String)>,
    /// Writing fails; it was told.
    is_failing: bool,
}

impl Recording {
    /// Begins to record into `folder`.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub(super) fn open(settings: &Settings, folder: PathBuf) -> Result<Self, Failure> {
        let ring = folder.join("ring");
        let recorder = Recorder::open(&ring, settings.size.0).map_err(|error| {
            Failure::Failed(format!("cannot record packets in {}: {error}", ring.display()))
        })?;
        Ok(Self {
            recorder,
            folder,
            severity: settings.severity,
            keep: settings.keep.max(1) as usize,
            interfaces: HashMap::new(),
            owners: Owners::new(),
            due: None,
            is_failing: false,
        })
    }

    /// Frames of this interface come from now on.
    pub(super) fn interface(&mut self, interface: &Interface) {
        let known = capture::Interface {
            name: interface.name.to_string(),
            link: interface.link,
            snap_length: 0,
        };
        self.interfaces.insert(interface.number, known);
    }

    /// Learns whose sockets are.
    pub(super) fn observe(&mut self, observation: &Observation) {
        self.owners.observe(observation);
    }

    /// Records a frame.
    pub(super) fn frame(&mut self, captured: &Captured<'_>) {
        let frame = &captured.frame;
        let Some(interface) = self.interfaces.get(&frame.interface) else {
            return;
        };
        let written = self.recorder.write(
            frame,
            interface,
            Whose {
                sent: Some(captured.is_outgoing),
                process: None,
            },
        );
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::error!("the flight recorder cannot write: {error}; watching goes on");
            }
            Err(_) => {}
        }
    }

    /// An alert was raised: a grave one has its packets kept, those that come a little later, too.
    pub(super) fn alert(&mut self, alert: &Alert) {
        if alert.finding.severity >= self.severity && self.due.is_none() {
            let rule: String = alert
                .finding
                .rule
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let name = format!("alert-{}-{rule}.pcapng", alert.id);
            self.due = Some((alert.finding.time.after(AFTERWARDS), name));
        }
    }

    /// Time passes; `last` when the watch ends and nothing more will come.
    pub(super) fn pass(&mut self, now: Time, last: bool) {
        if let Err(error) = self.recorder.tick(now) {
            tracing::debug!(%error, "the flight recorder cannot write");
        }
        if let Some((_, name)) = self.due.take_if(|(due, _)| last || *due <= now) {
            self.freeze(&name, last);
        }
    }

    /// Keeps what is in the ring. The copying takes place on a thread of its own, unless nobody would wait for that.
    fn freeze(&mut self, name: &str, wait: bool) {
        let frozen = match self.recorder.freeze() {
            Ok(frozen) => frozen,
            Err(error) => {
                tracing::error!("the packets around an alert cannot be kept: {error}");
                return;
            }
        };
        let (folder, path, keep) = (self.folder.clone(), self.folder.join(name), self.keep);
        // What is learnt from now on is of later packets, and the engine does not wait for a disk.
        let mut owners = self.owners.clone();
        let mut decoder = Decoder::new(Options::default());
        let save = move || {
            match frozen.save(&path, |record| owner(record, &mut decoder, &mut owners)) {
                Ok(bytes) => tracing::info!(
                    "kept the packets around an alert in {} ({})",
                    path.display(),
                    atalaya_format::numbers::bytes(bytes)
                ),
                Err(error) => tracing::error!("the packets around an alert cannot be kept: {error}"),
            }
            if let Err(error) = thin(&folder, keep) {
                tracing::warn!(
                    "old recordings in {} cannot be removed: {error}",
                    folder.display()
                );
            }
        };
        if wait {
            save();
        } else if let Err(error) = std::thread::Builder::new().name("freeze".into()).spawn(save) {
            tracing::error!("the packets around an alert cannot be kept: {error}");
        }
    }
}

/// Whose a recorded frame is, as far as that is known by now.
fn owner(record: &Record<'_>, decoder: &mut Decoder, owners: &mut Owners) -> Option<Owner> {
    /// How far a process's start, which is told in ticks, may be after its first packet.
    const SLACK: Span = Span::from_seconds(1);
    let mut found = None;
    // What cannot be decoded has no owner.
    let _undecoded = decoder.decode(&record.frame, &mut |packet| {
        if found.is_none() && !matches!(packet.segment, Segment::Other { .. }) {
            let (transport, sender, receiver) = ends(packet);
            found = owners.of(transport, sender, receiver, record.whose.sent == Some(true));
        }
    });
    // Ports are used again: who did not live yet did not send it.
    found.filter(|owner: &Owner| owner.process.started <= record.frame.time.after(SLACK))
}

/// Removes the oldest frozen files beyond `keep`.
fn thin(folder: &Path, keep: usize) -> io::Result<()> {
    let mut frozen = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("alert-") && name.ends_with(".pcapng") {
            frozen.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    frozen.sort();
    let old = frozen.len().saturating_sub(keep);
    frozen
        .into_iter()
        .take(old)
        .try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_frozen_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..5 {
            let path = folder.path().join(format!("alert-{number}-rule.pcapng"));
            fs::write(&path, "x").unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000 + number);
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        thin(folder.path(), 2).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["alert-3-rule.pcapng", "alert-4-rule.pcapng", "notes.txt"]);
    }
}
