//! The packets of a watch: captured, recorded, and read by the engine.

use atalaya_host::packets::{Capture, CaptureReport, Delivery, Options};
use atalaya_model::Ledger;
use atalaya_model::filter::Expression;
use crossbeam_channel::{Receiver, bounded};

use crate::config::packets::Packets as Settings;
use crate::exit::Failure;

/// Batches between capture and engine, at most: with the largest batch 32 MiB.
const BATCHES: usize = 64;

/// A capture that feeds the watch.
pub(super) struct Packets {
    /// What the rings hand over.
    pub(super) deliveries: Receiver<Delivery>,
    /// The interfaces that were there at the start, by their numbers.
    first: Vec<u32>,
    /// Stops when it is dropped.
    capture: Capture,
}

impl Packets {
    /// Opens the rings of these interfaces, of all where none is named.
    ///
    /// # Errors
    /// Without the privilege, or an interface that is not there.
    pub(super) fn start(
        interfaces: &[String],
        settings: &Settings,
        ledger: &Ledger,
    ) -> Result<Self, Failure> {
        let (sender, deliveries) = bounded(BATCHES);
        let ring = usize::try_from(settings.ring.0).unwrap_or(usize::MAX);
        let options = Options {
            interfaces: interfaces.to_vec(),
            snap_length: settings.snap_length,
            promiscuous: settings.promiscuous,
            filter: Expression::All,
            ring_bytes: ring.min(Options::default().ring_bytes),
            total_bytes: ring,
            ledger: ledger.clone(),
            ..Options::default()
        };
        let capture = Capture::start(options, sender)
            .map_err(|error| Failure::Failed(format!("cannot read packets: failed to {error}")))?;
        let there = capture.report().interfaces;
        Ok(Self {
            deliveries,
            first: there.iter().map(|interface| interface.number).collect(),
            capture,
        })
    }

    /// This interface came after the start.
    pub(super) fn is_new(&self, number: u32) -> bool {
        !self.first.contains(&number)
    }

    /// What is captured, and what is not.
    pub(super) fn report(&self) -> CaptureReport {
        self.capture.report()
    }

    /// Ends the capture, and gives what it still had.
    pub(super) fn stop(self) -> Receiver<Delivery> {
        let Self {
            deliveries, capture, ..
        } = self;
        // Its threads may wait for room, which only whoever hears them makes.
        let ending = std::thread::Builder::new().name("packets-end".into());
        if let Err(error) = ending.spawn(move || drop(capture)) {
            tracing::debug!(%error, "the last packets are not read");
        }
        deliveries
    }
}
