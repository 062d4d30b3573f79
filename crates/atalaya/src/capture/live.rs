//! Packets from the network, with the process of each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

use atalaya_host::clock::{self, Deadline};
use atalaya_host::collector::Options as CollectorOptions;
use atalaya_host::packets::{Batch, Capture, Delivery, LONGEST_FRAME, Options};
use atalaya_host::signals::Signals;
use atalaya_model::filter::Expression;
use atalaya_model::{Observation, Span};
use atalaya_wire::LinkType;
use atalaya_wire::capture::{Interface, Whose};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::output::Output;
use super::owners::Owners;
use super::selection::{Asked, Selection};
use super::wants_processes;
use crate::cli::CaptureArgs;
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::setup;

/// Batches between the rings and this thread.
const BATCHES: usize = 64;
/// Batches that wait for the word of their processes, at most: 32 MiB.
const HELD: usize = 64;
/// How long they wait. The kernel's word comes a quarter of a second later at most.
const PATIENCE: Span = Span::from_seconds(1);
/// Observations between the collector and this thread.
const OBSERVATIONS: usize = 1_024;
/// Longest sleep.
const SLICE: Duration = Duration::from_millis(100);
/// Between two looks of a collector that must look.
const LOOK: Span = Span::from_seconds(1);

/// Everything that a captured frame goes through.
struct Live<'a> {
    args: &'a CaptureArgs,
    selection: Selection,
    owners: Option<Owners>,
    output: Output,
    interfaces: BTreeMap<u32, Interface>,
    held: VecDeque<(Deadline, Batch)>,
    lost: u64,
}

pub(super) fn run(
    args: &CaptureArgs,
    loaded: Loaded,
    filter: Expression,
    output: Output,
) -> Result<Exit, Failure> {
    let signals = Signals::install().map_err(|error| Failure::Failed(format!("failed to {error}")))?;
    let (sender, deliveries) = bounded(BATCHES);
    let options = Options {
        interfaces: args.interface.clone(),
        snap_length: args.snap_length.unwrap_or(LONGEST_FRAME),
        promiscuous: args.promiscuous,
        filter: filter.clone(),
        ..Options::default()
    };
    let capture = Capture::start(options, sender)
        .map_err(|error| Failure::Failed(format!("cannot capture: failed to {error}")))?;
    let report = capture.report();
    let mut live = Live {
        args,
        selection: Selection::new(filter, loaded.networks()),
        owners: None,
        output,
        interfaces: BTreeMap::new(),
        held: VecDeque::new(),
        lost: 0,
    };
    for interface in &report.interfaces {
        live.appeared(interface);
    }
    for limit in &report.limits {
        tracing::warn!("{} (to change that: {})", limit.what, limit.remedy);
    }
    let over = Arc::new(AtomicBool::new(false));
    let observations = match wants_processes(args) {
        true => follow(args, &loaded, Arc::clone(&over)),
        false => None,
    };
    live.owners = observations.is_some().then(Owners::new);
    if !args.common.quiet {
        let names: Vec<&str> = report.interfaces.iter().map(|known| &*known.name).collect();
        tracing::info!("capturing on {}; Ctrl-C ends it", names.join(", "));
    }

    let deadline = args.duration.map(Deadline::after);
    let mut flush = Deadline::after(LOOK);
    while signals.stop().is_none() && live.output.takes_more(args.count) {
        let left = deadline.map_or(Some(SLICE), Deadline::left);
        let Some(left) = left else { break };
        match deliveries.recv_timeout(left.min(SLICE)) {
            Ok(delivery) => live.take(delivery, observations.as_ref())?,
            Err(RecvTimeoutError::Timeout) => live.learn(observations.as_ref()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        live.write_due(false)?;
        if flush.left().is_none() {
            live.output.flush()?;
            flush = Deadline::after(LOOK);
        }
    }
    // The threads of the capture may wait for room, which only whoever hears them makes.
    let ending = Builder::new()
        .name("packets-end".into())
        .spawn(move || drop(capture));
    ending.map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
    while live.output.takes_more(args.count)
        && let Ok(delivery) = deliveries.recv()
    {
        live.take(delivery, observations.as_ref())?;
        live.write_due(false)?;
    }
    drop(deliveries);
    if observations.is_some() && !live.held.is_empty() {
        signals.wait(Span(PATIENCE.0 / 2));
        live.learn(observations.as_ref());
    }
    live.write_due(true)?;
    over.store(true, Ordering::Relaxed);
    drop(observations);
    let lost = live.lost;
    let packets = live.output.finish(clock::now())?;
    if !args.common.quiet {
        tracing::info!(
            "{packets} packets written to {}, {lost} lost",
            args.write.display()
        );
    }
    Ok(Exit::Clean)
}

impl Live<'_> {
    fn appeared(&mut self, interface: &atalaya_host::packets::Interface) {
        let known = Interface {
            name: interface.name.to_string(),
            link: interface.link,
            snap_length: self.args.snap_length.unwrap_or(LONGEST_FRAME),
        };
        self.interfaces.insert(interface.number, known);
    }

    fn take(
        &mut self,
        delivery: Delivery,
        observations: Option<&Receiver<Observation>>,
    ) -> Result<(), Failure> {
        match delivery {
            Delivery::Appeared(interface) => {
                let is_new = !self.interfaces.contains_key(&interface.number);
                self.appeared(&interface);
                if is_new && !self.args.common.quiet {
                    tracing::info!("capturing on {} from now on", interface.name);
                }
            }
            Delivery::Gone(interface) => tracing::warn!("`{}` is gone", interface.name),
            Delivery::Gap(gap) => {
                self.lost = self.lost.saturating_add(gap.count);
                tracing::warn!("{} packets were lost: {}", gap.count, gap.reason);
            }
            Delivery::Frames(batch) if self.owners.is_none() => self.write(&batch)?,
            Delivery::Frames(batch) => self.held.push_back((Deadline::after(PATIENCE), batch)),
        }
        self.learn(observations);
        Ok(())
    }

    fn learn(&mut self, observations: Option<&Receiver<Observation>>) {
        if let (Some(owners), Some(observations)) = (&mut self.owners, observations) {
            for observation in observations.try_iter().take(OBSERVATIONS) {
                owners.observe(&observation);
            }
        }
    }

    /// Writes what has waited long enough, or everything.
    fn write_due(&mut self, all: bool) -> Result<(), Failure> {
        while let Some((deadline, _)) = self.held.front()
            && (all || self.held.len() > HELD || deadline.left().is_none())
            && let Some((_, batch)) = self.held.pop_front()
        {
            self.write(&batch)?;
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Failure> {
        for captured in batch.captured() {
            if !self.output.takes_more(self.args.count) {
                break;
            }
            let frame = captured.frame;
            let mut asked = Asked::Live {
                is_outgoing: captured.is_outgoing,
                owners: self.owners.as_mut(),
            };
            let (keeps, owner) = self.selection.judge(&frame, &mut asked);
            if keeps {
                let interface = self
                    .interfaces
                    .entry(frame.interface)
                    .or_insert_with(|| Interface {
                        name: String::new(),
                        link: LinkType(frame.link.0),
                        snap_length: 0,
                    });
                let whose = Whose {
                    sent: Some(owner.as_ref().map_or(captured.is_outgoing, |owner| owner.sent)),
                    process: owner.as_ref().map(|owner| &owner.process),
                };
                self.output.write(&frame, interface, whose)?;
            }
        }
        Ok(())
    }
}

/// Observes processes and their sockets in a thread of its own; none where that is not possible, which is said.
fn follow(args: &CaptureArgs, loaded: &Loaded, over: Arc<AtomicBool>) -> Option<Receiver<Observation>> {
    let options = CollectorOptions {
        every_process: false,
        packages: false,
        ..CollectorOptions::default()
    };
    let mut collector = match setup::collector(args.tier, options, loaded) {
        Ok(collector) => collector,
        Err(failure) => {
            tracing::warn!("packets are written without their processes: {failure}");
            return None;
        }
    };
    let (sender, receiver) = bounded(OBSERVATIONS);
    let work = move || {
        while !over.load(Ordering::Relaxed) {
            let mut open = true;
            let mut send = |observation| open &= sender.send(observation).is_ok();
            let looked = collector.look(&mut send);
            let until = Deadline::after(LOOK);
            let mut waited = Ok(());
            while waited.is_ok()
                && !over.load(Ordering::Relaxed)
                && let Some(left) = until.left()
            {
                waited = collector.wait(left.min(SLICE), &mut send);
            }
            if let Err(error) = looked.and(waited) {
                tracing::warn!("processes are not told any more: failed to {error}");
                return;
            }
            if !open {
                return;
            }
        }
    };
    match Builder::new().name("collector".into()).spawn(work) {
        Ok(_) => Some(receiver),
        Err(error) => {
            tracing::warn!("packets are written without their processes: {error}");
            None
        }
    }
}
