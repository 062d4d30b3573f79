//! The store as the rest of the program uses it.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod console;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod earlier;
#[cfg(test)]
mod filter;
#[cfg(test)]
mod full;
#[cfg(test)]
mod grouped;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod maintain;
#[cfg(test)]
mod migration;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod packets;
#[cfg(test)]
mod page;
#[cfg(test)]
mod panels;
#[cfg(test)]
mod protocols;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod sums;
#[cfg(test)]
mod uses;
