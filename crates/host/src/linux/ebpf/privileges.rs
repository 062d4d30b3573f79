//! May this process load kernel programs?

use atalaya_model::Text;
use atalaya_model::tier::Limit;
use caps::{CapSet, Capability};

use super::loader::refused;
use crate::HostError;
use crate::privileges::GRANTED;

/// Names the capabilities that are missing, before the kernel says no more than that it is not permitted.
///
/// # Errors
/// With the command that grants them.
pub(super) fn check() -> Result<(), HostError> {
    missing(has)
}

/// May programs be attached to control groups?
pub(super) fn may_attach_to_groups() -> bool {
    has(Capability::CAP_NET_ADMIN) || has(Capability::CAP_SYS_ADMIN)
}

/// What is not seen of processes of other users, if anything.
pub(super) fn limit() -> Option<Limit> {
    let may_read = has(Capability::CAP_SYS_PTRACE)
        && (has(Capability::CAP_DAC_READ_SEARCH) || has(Capability::CAP_DAC_OVERRIDE));
    (!may_read).then(|| Limit {
        what: Text::from(
            "hashes of other users' programs, and who holds their sockets that are older than the watch",
        ),
        remedy: Text::from("run as root, or grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"),
    })
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

fn missing(has: impl Fn(Capability) -> bool) -> Result<(), HostError> {
    // What CAP_BPF and CAP_PERFMON grant, CAP_SYS_ADMIN granted before there were these.
    let wanted = [Capability::CAP_BPF, Capability::CAP_PERFMON];
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|capability| !has(*capability) && !has(Capability::CAP_SYS_ADMIN))
        .map(|capability| capability.to_string())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let remedy = format!("run as root, or `sudo setcap {GRANTED}` on the program");
    Err(refused(
        "load the kernel programs",
        format!("no {}: {remedy}", missing.join(" and ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let error = missing(|capability| capability == Capability::CAP_BPF).unwrap_err();
        assert!(
            error.to_string().contains("no CAP_PERFMON: run as root"),
            "{error}"
        );
        assert!(
            missing(|_| false)
                .unwrap_err()
                .to_string()
                .contains("no CAP_BPF and CAP_PERFMON")
        );
        assert!(missing(|capability| capability == Capability::CAP_SYS_ADMIN).is_ok());
    }
}
