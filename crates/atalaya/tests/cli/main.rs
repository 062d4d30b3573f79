//! The command as a user meets it: verbs, flags, exit codes, outputs, files. What needs network namespaces and other
//! programs' sockets is in `live`.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests start the program and wait for it"
)]

#[cfg(test)]
mod capture;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod database;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod export;
#[cfg(test)]
mod geo;
#[cfg(test)]
mod hearsay;
#[cfg(test)]
mod history;
#[cfg(test)]
mod home;
#[cfg(test)]
mod import;
#[cfg(test)]
mod library;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod query;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod service;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod verbs;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod watching;
#[cfg(test)]
mod wrong_captures;
