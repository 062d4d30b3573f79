//! All others, each recognised by its first bytes.

mod brief;
pub(crate) mod databases;
pub(crate) mod directories;
pub(crate) mod peers;
pub(crate) mod plain;
pub(crate) mod sessions;
pub(crate) mod tor;
pub(crate) mod tunnels;
pub(crate) mod windows;

#[cfg(test)]
mod tests;
