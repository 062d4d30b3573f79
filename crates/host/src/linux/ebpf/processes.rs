//! Processes as the kernel programs tell them.

use super::loader::Tracepoint;

/// Programs of `bpf/processes.h`.
pub(super) const TRACEPOINTS: &[Tracepoint] = &[
    Tracepoint {
        program: "on_exec",
        tracepoint: "sched_process_exec",
    },
    Tracepoint {
        program: "on_fork",
        tracepoint: "sched_process_fork",
    },
    Tracepoint {
        program: "on_exit",
        tracepoint: "sched_process_exit",
    },
];
