//! A host made of a script, so that the whole program runs in tests without a kernel.

use std::time::Duration;

use atalaya_model::observation::Look;
use atalaya_model::{Ledger, Observation, Tier, TierReport, Time};

use crate::HostError;
use crate::collector::{Collector, Sink};

/// Gives one scripted list of observations for each look, in order; after the last, empty looks.
#[derive(Debug)]
pub struct FakeCollector {
    looks: std::vec::IntoIter<Vec<Observation>>,
    report: TierReport,
    ledger: Ledger,
    time: Time,
}

impl FakeCollector {
    /// A host that shows these looks. A look that does not end in `LookDone` gets one, at the time of its last
    /// observation, that names no namespace.
    pub fn new(looks: Vec<Vec<Observation>>) -> Self {
        Self {
            looks: looks.into_iter(),
            report: TierReport {
                tier: Tier::Poll,
                unavailable: Vec::new(),
                limits: Vec::new(),
            },
            ledger: Ledger::default(),
            time: Time(0),
        }
    }

    /// The same host, observed as `report` says.
    pub fn with_report(self, report: TierReport) -> Self {
        Self { report, ..self }
    }

    /// How many looks are still in the script.
    pub fn remaining(&self) -> usize {
        self.looks.len()
    }
}

impl Collector for FakeCollector {
    fn report(&self) -> TierReport {
        self.report.clone()
    }

    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let mut done = false;
        for observation in self.looks.next().unwrap_or_default() {
            self.time = time_of(&observation);
            done = matches!(observation, Observation::LookDone(..));
            sink(observation);
        }
        if !done {
            sink(Observation::LookDone(self.time, Look::default()));
        }
        Ok(())
    }

    /// Returns at once: a script does not wait for anybody.
    fn wait(&mut self, _timeout: Duration, _sink: &mut Sink<'_>) -> Result<(), HostError> {
        Ok(())
    }

    fn pending(&self) -> usize {
        0
    }

    fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }
}

fn time_of(observation: &Observation) -> Time {
    match observation {
        Observation::Process(time, _)
        | Observation::ProcessGone(time, _)
        | Observation::Sockets(time, _)
        | Observation::SocketClosed(time, _)
        | Observation::LookDone(time, _)
        | Observation::Tier(time, _) => *time,
        Observation::SocketEvents(events) => events.first().map_or(Time(0), |event| event.time),
        Observation::Resolved(resolution) => resolution.time,
        Observation::Gap(gap) => gap.time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_model::ProcessKey;

    #[test]
    fn the_script_is_played_look_by_look() {
        let gone = Observation::ProcessGone(Time(5), ProcessKey { pid: 1, start: 2 });
        let done = Observation::LookDone(
            Time(9),
            Look {
                namespaces: vec![7],
                ..Look::default()
            },
        );
        let mut host = FakeCollector::new(vec![vec![gone.clone()], vec![done.clone()]]);
        let mut look = || {
            let mut seen = Vec::new();
            host.look(&mut |observation| seen.push(observation)).unwrap();
            seen
        };
        assert_eq!(look(), [gone, Observation::LookDone(Time(5), Look::default())]);
        assert_eq!(look(), [done]);
        assert_eq!(look(), [Observation::LookDone(Time(9), Look::default())]);
    }
}
