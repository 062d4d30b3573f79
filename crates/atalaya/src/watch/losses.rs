//! Lines that outlets lost, told as gaps: what stands in no log must at least stand in the history.

use atalaya_model::{Gap, Ledger, Stage, Time};

/// How much of the outlets' losses has been told.
#[derive(Debug, Default)]
pub(super) struct Losses {
    told: u64,
}

impl Losses {
    /// What was lost since this was asked last; ask after every look.
    pub(super) fn gap(&mut self, ledger: &Ledger, time: Time) -> Option<Gap> {
        let counts = ledger.counts();
        let outlets = counts.iter().find(|count| count.stage == Stage::Outlet);
        let lost = outlets.map_or(0, |count| count.dropped);
        let count = lost.saturating_sub(self.told);
        self.told = lost;
        (count > 0).then(|| Gap {
            time,
            stage: Stage::Outlet,
            count,
            reason: "an outlet could not keep up, or could not write".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once() {
        let (ledger, mut losses) = (Ledger::default(), Losses::default());
        let mut count = |lost| {
            ledger.dropped(Stage::Outlet, lost);
            losses.gap(&ledger, Time(0)).map(|gap| gap.count)
        };
        assert_eq!(
            [count(0), count(7), count(0), count(2)],
            [None, Some(7), None, Some(2)]
        );
        ledger.dropped(Stage::Store, 5);
        assert_eq!(losses.gap(&ledger, Time(0)), None);
    }
}
