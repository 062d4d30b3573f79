//! The best way of observing that works here; when it breaks while running, the next best.

use std::time::Duration;

use atalaya_model::{Gap, Ledger, Observation, Stage, Text, Tier, TierReport};

use crate::collector::{Collector, Options, Sink};
use crate::{HostError, clock};

/// Opens the collector of one tier.
pub type Open = fn(Tier, Options) -> Result<Box<dyn Collector>, HostError>;

/// The tiers of this system, best first.
const TIERS: [Tier; 3] = [Tier::Ebpf, Tier::Events, Tier::Poll];

/// A collector that steps down when it must, and says so.
pub struct Ladder {
    current: Box<dyn Collector>,
    tier: Tier,
    options: Options,
    open: Open,
}

impl std::fmt::Debug for Ladder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ladder")
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}

impl Ladder {
    /// Opens the best tier that works here, or `forced` and no other. When that breaks while running, the next goes on all
    /// the same: to see less is better than to see nothing.
    ///
    /// # Errors
    /// When none works, or the forced one does not.
    #[cfg(target_os = "linux")]
    pub fn open(forced: Option<Tier>, options: Options) -> Result<Self, HostError> {
        Self::open_with(forced, options, crate::linux::open)
    }

    fn open_with(forced: Option<Tier>, mut options: Options, open: Open) -> Result<Self, HostError> {
        let candidates = match forced {
            Some(tier) => vec![tier],
            None => TIERS.to_vec(),
        };
        step(&candidates, &mut options, open).map(|(tier, current)| Self {
            current,
            tier,
            options,
            open,
        })
    }

    /// Gives up the tier in use for the next that works. `why` it broke is told with the new tier.
    fn step_down(&mut self, why: &HostError, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let lower: Vec<Tier> = TIERS.into_iter().filter(|tier| *tier < self.tier).collect();
        let reason: Text = format!("it broke while running: failed to {why}").into();
        self.options.unavailable.push((self.tier, reason));
        let (tier, current) = step(&lower, &mut self.options, self.open)?;
        let now = clock::now();
        sink(Observation::Gap(Gap {
            time: now,
            stage: Stage::KernelRing,
            count: 0,
            reason: format!(
                "tier {} broke (failed to {why}); tier {} goes on",
                self.tier.name(),
                tier.name()
            )
            .into(),
        }));
        self.current = current;
        self.tier = tier;
        sink(Observation::Tier(now, self.current.report()));
        Ok(())
    }

    /// Does what the collector does; when it fails and there is a lower tier, that one looks instead.
    fn attempt(
        &mut self,
        sink: &mut Sink<'_>,
        act: impl Fn(&mut dyn Collector, &mut Sink<'_>) -> Result<(), HostError>,
    ) -> Result<(), HostError> {
        loop {
            let Err(error) = act(&mut *self.current, sink) else {
                return Ok(());
            };
            if self.tier <= Tier::Poll {
                return Err(error);
            }
            self.step_down(&error, sink)?;
        }
    }
}

/// Opens the first of `candidates` that works, and notes in `options` why those before it do not.
fn step(
    candidates: &[Tier],
    options: &mut Options,
    open: Open,
) -> Result<(Tier, Box<dyn Collector>), HostError> {
    let mut last = None;
    for tier in candidates {
        match open(*tier, options.clone()) {
            Ok(collector) => return Ok((*tier, collector)),
            Err(error) => {
                options
                    .unavailable
                    .push((*tier, format!("failed to {error}").into()));
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| {
        let none = std::io::Error::from(std::io::ErrorKind::Unsupported);
        HostError::system("find another way to observe this host")(none)
    }))
}

impl Collector for Ladder {
    fn report(&self) -> TierReport {
        self.current.report()
    }

    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.attempt(sink, |collector, sink| collector.look(sink))
    }

    fn wait(&mut self, timeout: Duration, sink: &mut Sink<'_>) -> Result<(), HostError> {
        let deadline = clock::Deadline::after(atalaya_model::Span(
            i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX),
        ));
        self.attempt(sink, move |collector, sink| {
            collector.wait(deadline.left().unwrap_or_default(), sink)
        })
    }

    fn finish(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
        self.current.finish(sink)
    }

    fn pending(&self) -> usize {
        self.current.pending()
    }

    fn ledger(&self) -> Ledger {
        self.options.ledger.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works for one look, or always.
    struct Weak {
        tier: Tier,
        options: Options,
        looks: u32,
    }

    impl Collector for Weak {
        fn report(&self) -> TierReport {
            TierReport {
                tier: self.tier,
                unavailable: self.options.unavailable.clone(),
                limits: Vec::new(),
            }
        }

        fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), HostError> {
            self.looks += 1;
            if self.looks > 1 && self.tier != Tier::Poll {
                return Err(HostError::system("ask the kernel")(
                    std::io::ErrorKind::PermissionDenied.into(),
                ));
            }
            sink(Observation::LookDone(clock::now(), Default::default()));
            Ok(())
        }

        fn wait(&mut self, _: Duration, _: &mut Sink<'_>) -> Result<(), HostError> {
            Ok(())
        }

        fn pending(&self) -> usize {
            0
        }

        fn ledger(&self) -> Ledger {
            self.options.ledger.clone()
        }
    }

    fn all(tier: Tier, options: Options) -> Result<Box<dyn Collector>, HostError> {
        Ok(Box::new(Weak {
            tier,
            options,
            looks: 0,
        }))
    }

    fn no_events(tier: Tier, options: Options) -> Result<Box<dyn Collector>, HostError> {
        if tier == Tier::Events {
            return Err(HostError::system("open a tracepoint")(
                std::io::ErrorKind::NotFound.into(),
            ));
        }
        all(tier, options)
    }

    #[test]
    fn the_best_that_works_is_taken_and_a_forced_one_is_not_replaced() {
        let best = Ladder::open_with(None, Options::default(), all).unwrap();
        assert_eq!(best.report().tier, Tier::Ebpf);
        let forced = Ladder::open_with(Some(Tier::Poll), Options::default(), all).unwrap();
        assert_eq!(forced.report().tier, Tier::Poll);
        assert!(forced.report().unavailable.is_empty());
        let error = Ladder::open_with(Some(Tier::Events), Options::default(), no_events).unwrap_err();
        assert!(error.to_string().starts_with("open a tracepoint"), "{error}");
    }

    #[test]
    fn a_tier_that_breaks_is_left_with_a_gap_and_the_reason() {
        let mut ladder = Ladder::open_with(None, Options::default(), no_events).unwrap();
        let mut told = Vec::new();
        ladder.look(&mut |observation| told.push(observation)).unwrap();
        assert_eq!(told.len(), 1);
        told.clear();
        ladder.look(&mut |observation| told.push(observation)).unwrap();
        let [
            Observation::Gap(gap),
            Observation::Tier(_, report),
            Observation::LookDone(..),
        ] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert!(gap.reason.contains("tier ebpf broke") && gap.reason.contains("tier poll goes on"));
        assert_eq!(report.tier, Tier::Poll);
        let reasons: Vec<_> = report.unavailable.iter().map(|(tier, _)| *tier).collect();
        assert_eq!(reasons, [Tier::Ebpf, Tier::Events]);
    }
}
