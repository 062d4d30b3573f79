//! The list of detectors.

use atalaya_model::Severity;
use atalaya_model::alert::Technique;

use crate::detector::Detector;
use crate::lists::Lists;
use crate::options::Options;
use crate::{
    blocklisted_address, changed_executable, deleted_executable, dns_rate, excessive_connections,
    many_external, new_executable, new_process, preloaded_library, reverse_shell, suspicious_path,
    suspicious_port, uncommon_port, unusual_listener,
};

/// One detector: what it is, and how it is made.
pub struct Entry {
    /// The rule's id: the name of its file, of its options, and of its findings.
    pub id: &'static str,
    /// What it finds, in one sentence.
    pub sentence: &'static str,
    /// How bad its findings usually are.
    pub severity: Severity,
    /// Further severities that some of its findings have, each with the reason.
    pub other_severities: &'static [(Severity, &'static str)],
    /// ATT&CK techniques: id, name, tactic.
    pub techniques: &'static [(&'static str, &'static str, &'static str)],
    /// Names of the values that its findings carry (each where it is known).
    pub values: &'static [&'static str],
    /// Variants of its message, as named by the value `variant`.
    pub variants: &'static [&'static str],
    /// What it cannot see, or what else one should know.
    pub limits: &'static str,
    /// Makes it, if the options enable it.
    pub build: fn(&Options, &Lists) -> Option<Box<dyn Detector>>,
}

/// Every detector there is, in the order of the documentation.
pub const ENTRIES: &[Entry] = &[
    suspicious_port::ENTRY,
    blocklisted_address::ENTRY,
    uncommon_port::ENTRY,
    excessive_connections::ENTRY,
    many_external::ENTRY,
    unusual_listener::ENTRY,
    suspicious_path::ENTRY,
    new_process::ENTRY,
    new_executable::ENTRY,
    changed_executable::ENTRY,
    deleted_executable::ENTRY,
    dns_rate::ENTRY,
    reverse_shell::ENTRY,
    preloaded_library::ENTRY,
];

/// The entry of a rule.
pub fn find(rule: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.id == rule)
}

/// The techniques that a rule may be a sign of; none for a rule that is not ours.
pub fn techniques(rule: &str) -> Vec<Technique> {
    let techniques = find(rule).map_or(&[][..], |entry| entry.techniques).iter();
    techniques
        .map(|(id, name, tactic)| Technique {
            id: (*id).into(),
            name: (*name).into(),
            tactic: (*tactic).into(),
        })
        .collect()
}

pub(crate) fn build(options: &Options, lists: &Lists) -> Vec<Box<dyn Detector>> {
    ENTRIES
        .iter()
        .filter_map(|entry| (entry.build)(options, lists))
        .collect()
}

#[cfg(test)]
mod tests;
