//! All detectors together, and what they share: learning, patience for hashes, knowledge of executables.

use std::sync::Arc;

use atalaya_model::memory::Memory;
use atalaya_model::state::State;
use atalaya_model::{Event, Fact, Finding, ProcessKey, Span, Time};

use crate::detector::{Detector, Findings, Scene};
use crate::executables::Executables;
use crate::lists::Lists;
use crate::options::Options;
use crate::registry;
use crate::sightings::{Sightings, is_settled};

/// Most findings that wait for a hash; more are told at once, without it.
const MAX_HELD: usize = 1_024;

/// How long what is seen is held to be ordinary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learning {
    /// Until when; `None` not at all. A snapshot, which has nothing to compare with, learns for ever.
    pub until: Option<Time>,
    /// There is only this look, and nothing to compare with: what is odd by itself is told although we learn.
    pub first_look: bool,
}

/// Every enabled detector.
pub struct Detectors {
    list: Vec<Box<dyn Detector>>,
    learning: Learning,
    patience: Span,
    executables: Executables,
    sightings: Sightings,
    held: Vec<(Time, Finding)>,
}

impl Detectors {
    /// The detectors that the options enable, remembering nothing yet.
    pub fn new(options: &Options, lists: &Lists, learning: Learning) -> Self {
        Self {
            list: registry::build(options, lists),
            learning,
            patience: options.wait_for_hash,
            executables: Executables::default(),
            sightings: Sightings::default(),
            held: Vec::new(),
        }
    }

    /// Takes other options and lists; what was learnt stays, windows and counters begin anew.
    pub fn reload(&mut self, options: &Options, lists: &Lists) {
        let memories: Vec<Memory> = self
            .list
            .iter()
            .flat_map(|detector| detector.remember())
            .collect();
        self.list = registry::build(options, lists);
        self.patience = options.wait_for_hash;
        for detector in &mut self.list {
            memories.iter().for_each(|memory| detector.recall(memory));
        }
    }

    /// Takes back what an earlier run remembered. Call it before the first event.
    pub fn recall(&mut self, memory: &Memory) {
        self.executables.recall(memory);
        for detector in &mut self.list {
            detector.recall(memory);
        }
    }

    /// Is anything known about what is ordinary here? If not, learning is advisable.
    pub fn has_learnt(&self) -> bool {
        !self.executables.is_empty() || self.list.iter().any(|detector| !detector.remember().is_empty())
    }

    /// Until when we learn.
    pub const fn learning(&self) -> Learning {
        self.learning
    }

    /// Shows one event to every detector. `state` is as of just after the event, or a little later.
    pub fn look_at(&mut self, state: &dyn State, event: &Event, out: &mut Findings) {
        let first = out.findings.len();
        let scene = self.scene(state, event.time);
        for detector in &mut self.list {
            detector.look_at(&scene, event, out);
        }
        self.hold(event.time, first, out);
        let mut sightings = Vec::new();
        self.sightings
            .look_at(state, event, &self.executables, self.patience, &mut sightings);
        self.show(&scene, sightings, out);
        match &event.fact {
            Fact::ProcessUpdated(process) | Fact::ProcessEnded(process) => {
                self.release(state, process.key, out)
            }
            Fact::Tick { .. } => self.release_overdue(state, event.time, out),
            _ => {}
        }
    }

    /// Tells everything that still waits for a hash; for the end of a snapshot or a watch.
    pub fn flush(&mut self, state: &dyn State, time: Time, out: &mut Findings) {
        let scene = self.scene(state, time);
        let mut sightings = Vec::new();
        self.sightings.flush(time, &self.executables, &mut sightings);
        self.show(&scene, sightings, out);
        for detector in &mut self.list {
            detector.finish(&scene, out);
        }
        let held = std::mem::take(&mut self.held);
        out.findings
            .extend(held.into_iter().map(|(_, finding)| with_latest(state, finding)));
    }

    fn scene<'a>(&self, state: &'a dyn State, time: Time) -> Scene<'a> {
        Scene {
            state,
            time,
            learning: self.learns_at(time),
            first_look: self.learning.first_look,
        }
    }

    fn learns_at(&self, time: Time) -> bool {
        self.learning.until.is_some_and(|until| time < until)
    }

    fn show(&mut self, scene: &Scene<'_>, sightings: Vec<crate::Sighting>, out: &mut Findings) {
        for mut sighting in sightings {
            // Two processes of one new program in the same moment: the first made it known.
            sighting.novelty = self.executables.novelty(&sighting.process);
            // What was there while we learnt is ordinary, however late its hash comes.
            let scene = &Scene {
                learning: self.learns_at(sighting.first),
                ..*scene
            };
            for detector in &mut self.list {
                detector.sees(scene, &sighting, out);
            }
            self.executables.learn(&sighting.process, out);
        }
    }

    /// Keeps back new findings whose process is still being hashed.
    fn hold(&mut self, time: Time, first: usize, out: &mut Findings) {
        let mut place = first;
        while place < out.findings.len() && self.held.len() < MAX_HELD {
            let waits = out.findings[place]
                .process
                .as_ref()
                .is_some_and(|process| !is_settled(process));
            if waits && self.patience > Span(0) && time.since(out.findings[place].time) < self.patience {
                let finding = out.findings.remove(place);
                self.held.push((finding.time.after(self.patience), finding));
            } else {
                place += 1;
            }
        }
    }

    fn release(&mut self, state: &dyn State, key: ProcessKey, out: &mut Findings) {
        let settled = state.process(key).is_none_or(|process| is_settled(process));
        if !settled || self.held.is_empty() {
            return;
        }
        let of_process = |(_, finding): &mut (Time, Finding)| {
            finding.process.as_ref().is_some_and(|process| process.key == key)
        };
        let ready = self.held.extract_if(.., of_process);
        out.findings
            .extend(ready.map(|(_, finding)| with_latest(state, finding)));
    }

    fn release_overdue(&mut self, state: &dyn State, time: Time, out: &mut Findings) {
        let ready = self.held.extract_if(.., |(deadline, _)| *deadline <= time);
        out.findings
            .extend(ready.map(|(_, finding)| with_latest(state, finding)));
    }
}

/// The finding with what is known of its process now.
fn with_latest(state: &dyn State, mut finding: Finding) -> Finding {
    if let Some(process) = &mut finding.process
        && let Some(latest) = state.process(process.key)
        && latest.executable == process.executable
    {
        *process = Arc::clone(latest);
    }
    finding
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
