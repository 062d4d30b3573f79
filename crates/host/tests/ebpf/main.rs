//! What the kernel programs tell of sockets that the tests and their programs use.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "these are tests, which start the programs that they look at"
)]

mod datagrams;
mod environment;
mod frames;
mod losses;
mod older;
mod outcomes;
mod refusals;
mod script;
mod streams;
mod users;
mod watch;
