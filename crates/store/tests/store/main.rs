//! The store as the rest of the program uses it.

mod crash;
mod filter;
mod full;
mod opening;
mod retention;
mod round_trip;
mod sample;
