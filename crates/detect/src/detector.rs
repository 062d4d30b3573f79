//! What a detector is given, and what it gives.

use std::sync::Arc;

use atalaya_model::memory::Memory;
use atalaya_model::state::State;
use atalaya_model::{Event, Finding, Process, Time};

use crate::executables::Novelty;

/// The surroundings of one event.
pub struct Scene<'a> {
    /// What is tracked, as of just after the event.
    pub state: &'a dyn State,
    /// The event's time.
    pub time: Time,
    /// What is there now is held to be ordinary, and learnt in silence.
    pub learning: bool,
    /// There is only this look, and nothing to compare with.
    pub first_look: bool,
}

/// A process whose executable deserves a look, once its facts have settled: its hash is known, or will not come.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When.
    pub time: Time,
    /// When it was first seen to run this program: its facts may have come much later.
    pub first: Time,
    /// The process.
    pub process: Arc<Process>,
    /// It has, or had, a connection or a listener. Otherwise its program is known and has changed.
    pub uses_network: bool,
    /// It was told before with the same program; only more is known of it now.
    pub again: bool,
    /// What is remembered about its executable.
    pub novelty: Novelty,
}

/// One detector: state and events in, findings out.
pub trait Detector: Send {
    /// Looks at one event.
    fn look_at(&mut self, scene: &Scene<'_>, event: &Event, out: &mut Findings);

    /// Looks at a program that uses the network, or that has changed.
    fn sees(&mut self, _scene: &Scene<'_>, _sighting: &Sighting, _out: &mut Findings) {}

    /// Tells what it held back: no more will come.
    fn finish(&mut self, _scene: &Scene<'_>, _out: &mut Findings) {}

    /// Takes back something that it remembered in an earlier run. Ignores what it does not know.
    fn recall(&mut self, _memory: &Memory) {}

    /// Everything that it remembers now.
    fn remember(&self) -> Vec<Memory> {
        Vec::new()
    }
}

/// What detectors say.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What is odd.
    pub findings: Vec<Finding>,
    /// What must be remembered across restarts; later records replace earlier ones.
    pub memories: Vec<Memory>,
}

impl Findings {
    /// Remembers something; what is too long to be kept is not.
    pub(crate) fn remember(&mut self, memory: Memory) {
        let bytes = memory.bytes.as_ref().map_or(0, Vec::len);
        if memory.key.len() <= Memory::MAX_KEY && bytes <= Memory::MAX_BYTES {
            self.memories.push(memory);
        }
    }
}
