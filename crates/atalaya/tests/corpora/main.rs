//! Captures of other projects through the whole engine, beside what these projects make of them (`$ATALAYA_CORPORA`).
//!
//! Each test prints its share and every difference, and fails where the share is below what was reached. What is
//! compared, and why the rest differs, is told in `docs/corpora.md`. The rows of connections alone are compared more
//! closely in the room `track`.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the program and wait for it"
)]

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod import;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod suricata;
#[cfg(test)]
mod zeek;
