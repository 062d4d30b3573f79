//! What this tier cannot see on this host, and what would grant it.

use atalaya_model::tier::Limit;
use atalaya_model::{Text, Tier, TierReport};
use caps::{CapSet, Capability};

use crate::linux::namespaces::Namespaces;
use crate::privileges::GRANTED;

/// May the descriptors of every process be read?
pub(super) fn may_read_every_process() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    has(Capability::CAP_SYS_PTRACE)
        && (has(Capability::CAP_DAC_READ_SEARCH) || has(Capability::CAP_DAC_OVERRIDE))
}

/// Before anything is known; with the reasons why better tiers are off.
pub(super) const fn empty(tier: Tier, unavailable: Vec<(Tier, Text)>) -> TierReport {
    TierReport {
        tier,
        unavailable,
        limits: Vec::new(),
    }
}

/// As the last look found it; `follow` says that there is more than one.
pub(super) fn of(
    tier: Tier,
    namespaces: &Namespaces,
    follow: bool,
    unavailable: &[(Tier, Text)],
) -> TierReport {
    let mut report = empty(tier, unavailable.to_vec());
    let missed = if tier == Tier::Poll {
        "processes that begin and end between two looks, and which process a connection was of that did"
    } else {
        "the process of UDP and raw sockets that live between two looks, and what went over them"
    };
    let between = follow.then(|| Limit {
        what: Text::from(missed),
        remedy: Text::from("shorten the interval (`--interval 250ms`)"),
    });
    report.limits.extend(between);
    if !may_read_every_process() {
        report.limits.push(Limit {
            what: Text::from("the process of sockets that belong to other users"),
            remedy: format!("run as root (`sudo atalaya watch`), or `sudo setcap {GRANTED}` on the program")
                .into(),
        });
    }
    report.limits.extend(namespaces.limits());
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_has_nothing_between_two() {
        let namespaces = Namespaces::open(None).unwrap();
        let says = |follow| {
            let report = of(Tier::Poll, &namespaces, follow, &[]);
            report
                .limits
                .iter()
                .any(|limit| limit.what.contains("between two looks"))
        };
        assert!(says(true) && !says(false));
    }
}
