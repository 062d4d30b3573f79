//! Tier `ebpf`: programs in the kernel keep every conversation and who holds it, and tell what is new.
//!
//! The programs are in `ebpf/bpf`, written in C; their object is committed beside them. This side loads them, reads
//! their ring in batches, and turns records into observations.

mod attached;
mod collector;
mod control_group;
mod decode;
mod listeners;
mod loader;
mod privileges;
mod processes;
mod ring;
mod scope;
#[cfg(test)]
mod tests;
mod walker;

pub use collector::EbpfCollector;
