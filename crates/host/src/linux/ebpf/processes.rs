//! Processes as the kernel programs tell them.

use super::loader::Tracepoint;

/// Programs of `bpf/processes.h`.
pub(super) const TRACEPOINTS: &[Tracepoint] = &[];
