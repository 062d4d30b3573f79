//! Who holds a socket, and how sure that is.

use std::sync::Arc;

use atalaya_model::{Attribution, Connection, Evidence, Owners, Process, ProcessKey};

use crate::processes::Processes;

/// Most other holders that a row names.
const MAX_SHARED: usize = 64;

/// The process of a socket as concluded from its holders.
pub(crate) struct Owner {
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) attribution: Attribution,
    pub(crate) shared_with: Box<[ProcessKey]>,
}

/// Which of several holders is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// Of a listener the oldest: workers inherit it from the one that opened it.
    Oldest,
    /// Of a connection the youngest: servers pass it on to a worker.
    Youngest,
}

pub(crate) fn resolve(owners: &Owners, prefer: Prefer, processes: &Processes) -> Owner {
    let (key, evidence, shared_with) = match owners {
        Owners::Unknown(evidence) => return nobody(*evidence),
        Owners::One(key) => (*key, Evidence::Descriptor, Box::default()),
        Owners::Used(key) => (*key, Evidence::KernelEvent, Box::default()),
        Owners::Accepting(key) => (*key, Evidence::Listener, Box::default()),
        Owners::Many(keys) => {
            let order = |key: &&ProcessKey| (key.start, key.pid);
            let named = match prefer {
                Prefer::Oldest => keys.iter().min_by_key(order),
                Prefer::Youngest => keys.iter().max_by_key(order),
            };
            let Some(&named) = named else {
                return nobody(Evidence::NotFound);
            };
            let others = keys.iter().copied().filter(|key| *key != named);
            let others: Box<[ProcessKey]> = others.take(MAX_SHARED).collect();
            let evidence = if others.is_empty() {
                Evidence::Descriptor
            } else {
                Evidence::SharedDescriptor
            };
            (named, evidence, others)
        }
    };
    match processes.get(key) {
        Some(process) => Owner {
            process: Some(process.clone()),
            attribution: evidence.into(),
            shared_with,
        },
        None => nobody(Evidence::NotFound),
    }
}

fn nobody(evidence: Evidence) -> Owner {
    Owner {
        process: None,
        attribution: evidence.into(),
        shared_with: Box::default(),
    }
}

/// Do these holders say what the connection's row says already? The usual case, without allocating.
pub(crate) fn agrees(owners: &Owners, connection: &Connection) -> bool {
    match owners {
        Owners::One(key) => {
            connection.attribution.evidence == Evidence::Descriptor && is_of(connection, *key)
        }
        Owners::Unknown(evidence) => match connection.process {
            Some(_) => connection.attribution.evidence == Evidence::SeenBefore,
            None => connection.attribution.evidence == *evidence,
        },
        Owners::Used(key) => {
            connection.attribution.evidence == Evidence::KernelEvent && is_of(connection, *key)
        }
        Owners::Accepting(key) => {
            connection.attribution.evidence == Evidence::Listener && is_of(connection, *key)
        }
        Owners::Many(_) => false,
    }
}

fn is_of(connection: &Connection, key: ProcessKey) -> bool {
    let process = connection.process.as_ref();
    process.is_some_and(|process| process.key == key)
}

/// The other users of a socket when it goes over to another process: those known so far, and the former owner.
pub(crate) fn with_former(
    owner: &Owner,
    former: ProcessKey,
    shared_with: &[ProcessKey],
) -> Box<[ProcessKey]> {
    let now = owner.process.as_ref().map(|process| process.key);
    let mut others: Vec<ProcessKey> = shared_with.to_vec();
    if !others.contains(&former) {
        others.push(former);
    }
    others.retain(|key| Some(*key) != now);
    others.truncate(MAX_SHARED);
    others.into()
}

/// What is left of an attribution once nobody holds the socket any more: no surer than it was.
pub(crate) fn seen_before(earlier: Attribution) -> Attribution {
    if matches!(earlier.evidence, Evidence::KernelEvent | Evidence::Listener) {
        return earlier;
    }
    let evidence = Evidence::SeenBefore;
    Attribution {
        certainty: earlier.certainty.min(evidence.certainty()),
        evidence,
    }
}
