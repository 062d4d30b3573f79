//! (being written)

pub mod catalogue;
